"""The studio for many: health, metrics, quotas, fair turns for several workers, draining."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from gouache.apps.studio.connections import make_listener, make_server
from gouache.apps.studio.http import make_app
from gouache.apps.studio.orders import Limits
from gouache.apps.studio.painter import Painter
from gouache.apps.studio.quotas import GB, DiskQuotaError, Quotas, TimeQuotaError, size_of
from gouache.apps.studio.runs import Run
from gouache.apps.studio.turns import DrainingError, Turns
from gouache.apps.studio.worker import Studio
from studio_away import reopened
from studio_client import SMALL, submit, tiny_build, wait
from studio_server import Server
from studio_tiny import Gate, gated, order, reaches


@pytest.fixture
def studio(tmp_path: Path, gate: Gate) -> Iterator[Studio]:
    with gated(tmp_path / "runs", gate) as studio:
        yield studio


def samples(client: Any) -> dict[tuple[str, ...], float]:
    """Name and values of labels -> value, as a Prometheus server reads it."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    families = text_string_to_metric_families(answer.text)
    return {
        (one.name, *one.labels.values()): one.value for family in families for one in family.samples
    }


def test_metrics_tell_numbers_and_nothing_else(studio: Studio, gate: Gate) -> None:
    client = TestClient(make_app(studio))
    run = submit(client, "a secret wish")
    gate.waits.wait(60)
    waiting = submit(client, "another secret")
    told = samples(client)
    assert told["gouache_runs", "painting"] == 1
    assert (told["gouache_queue_runs",], told["gouache_queue_users",]) == (1, 1)
    assert (told["gouache_workers", "painting"], told["gouache_workers", "idle"]) == (1, 0)
    gate.open.set()
    for name in (run, waiting):
        wait(client, name, "done")
    told = samples(client)
    assert told["gouache_runs", "done"] == 2
    assert told["gouache_orders_total",] == 2
    assert told["gouache_steps_total",] == 12
    assert told["gouache_queue_wait_seconds_count",] == 2
    assert told["gouache_queue_wait_seconds_bucket", "+Inf"] == 2
    assert told["gouache_painting_seconds_total",] > 0
    assert told["process_resident_memory_bytes",] > 0
    owner = studio.runs[run].owner
    text = client.get("/metrics").text
    assert not [word for word in ("secret", run, owner, str(studio.root)) if word in text]


def test_health_needs_no_name_and_no_password(studio: Studio) -> None:
    client = TestClient(
        make_app(studio, ["studio.example"], "ada:x"), base_url="http://other.example"
    )
    for path in ("/healthz", "/readyz"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        assert "set-cookie" not in answer.headers
    assert client.get("/metrics").status_code == 421
    named = TestClient(
        make_app(studio, ["studio.example"], "ada:x"), base_url="http://studio.example"
    )
    assert named.get("/metrics").status_code == 401
    assert named.get("/metrics", auth=("ada", "x")).status_code == 200


def test_a_cookie_behind_a_proxy_with_tls_is_for_tls_only(studio: Studio) -> None:
    client = TestClient(make_app(studio))
    assert "Secure" not in client.get("/api/runs").headers["set-cookie"]
    client.cookies.clear()
    behind = client.get("/api/runs", headers={"x-forwarded-proto": "https"})
    assert behind.headers["set-cookie"].endswith("HttpOnly; Secure; SameSite=Strict")


def test_visitors_are_whom_the_proxy_names(studio: Studio, gate: Gate) -> None:
    gate.open.set()
    client = TestClient(make_app(studio, user_header="X-Remote-User"))
    nobody = client.get("/api/runs")
    assert nobody.status_code == 401
    assert nobody.json()["error"] == "the proxy does not say in X-Remote-User who you are"
    twice = client.get("/api/runs", headers=[("x-remote-user", "ada"), ("x-remote-user", "bob")])
    assert twice.status_code == 401
    client.headers["X-Remote-User"] = "ada"
    run = submit(client)
    wait(client, run, "done")
    assert "set-cookie" not in client.get("/api/runs").headers
    assert "ada" not in studio.runs[run].owner
    client.headers["X-Remote-User"] = "bob"
    assert client.get(f"/api/runs/{run}").status_code == 404
    client.headers["X-Remote-User"] = "ada"
    assert client.get(f"/api/runs/{run}").status_code == 200


def test_three_visitors_take_turns_on_several_workers() -> None:
    """Whoever has the fewest pictures under way comes first, then whoever waits longest."""
    turns = Turns(100, 100)
    for owner in ("ada", "bob", "cyd"):
        for number in range(3):
            turns.add(Run(f"{owner}{number}", owner, Path(), config=order().config))
    waiting = [run for line in turns._lines.values() for run in line]
    busy = {"ada": 1}
    told = sorted(waiting, key=lambda run: turns.position(run, busy))
    assert [run.id for run in told[:3]] == ["bob0", "cyd0", "ada0"]
    hands: list[str] = []
    taken = []
    for _ in range(9):  # three workers; the one that painted longest is free
        run = turns.next({owner: hands.count(owner) for owner in hands})
        assert run is not None
        taken.append(run.owner)
        hands = [*hands, run.owner][-2:]
    assert [sorted(taken[k : k + 3]) for k in (0, 3, 6)] == [["ada", "bob", "cyd"]] * 3


def test_a_long_film_leaves_the_other_worker_to_others() -> None:
    turns = Turns(100, 100)
    for number in range(3):
        for owner in ("ada", "bob"):
            turns.add(Run(f"{owner}{number}", owner, Path(), config=order().config))
    film = {"ada": 1}
    served = [turns.next(film) for _ in range(4)]
    assert [run.owner for run in served if run] == ["bob", "bob", "bob", "ada"]


def test_painting_time_that_is_used_up_pauses_and_loses_nothing(tmp_path: Path, gate: Gate) -> None:
    now = [1e9]
    with gated(tmp_path / "runs", gate, Limits(seconds_each=3600)) as studio:
        studio.quotas._clock = lambda: now[0]
        client = TestClient(make_app(studio))
        run = studio.submit(order(), "ada")
        gate.waits.wait(60)
        waiting, other = studio.submit(order("waits"), "ada"), studio.submit(order("b"), "bob")
        studio.quotas.spent("ada", 3600)
        gate.open.set()
        reaches(run, "paused")
        reaches(other, "done")
        reaches(waiting, "interrupted")
        line = "your painting time of today is used up (60 minutes a day); go on after midnight UTC"
        assert run.error == f"{line}; this picture is paused"
        assert waiting.error == line
        for ask in (lambda: studio.submit(order(), "ada"), lambda: studio.go_on(run)):
            with pytest.raises(TimeQuotaError, match="60 minutes a day"):
                ask()
        assert run.status == "paused"
        assert samples(client)["gouache_refusals_total",] == 2
        again = Quotas(studio.root, studio.limits, lambda owner: (), lambda: now[0])
        assert again.reached("ada") == ""  # not written yet
        studio.quotas.save()
        again = Quotas(studio.root, studio.limits, lambda owner: (), lambda: now[0])
        assert again.reached("ada") == line
        now[0] += 24 * 3600
        for one in (run, waiting):
            studio.go_on(one)
            reaches(one, "done")


def test_the_answer_to_a_visitor_who_has_used_up_the_time(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "runs", Limits(seconds_each=60), tiny_build)
    client = TestClient(make_app(studio, local=True))
    studio.quotas.spent("local", 61)
    answer = client.post("/api/runs", json={"prompt": "a", "settings": SMALL})
    assert answer.status_code == 429
    assert "(1 minute a day)" in answer.json()["error"]
    assert not list((studio.root / "runs").iterdir())
    studio.close()


def test_room_on_the_disk_that_is_used_up(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "runs", Limits(bytes_each=1000), tiny_build)
    client = TestClient(make_app(studio))
    run = submit(client)  # there is nothing yet
    wait(client, run, "done", "paused")
    kept = studio.runs[run]
    assert size_of(kept.path) > 1000
    answer = client.post("/api/runs", json={"prompt": "a", "settings": SMALL})
    assert answer.status_code == 507
    assert answer.json()["error"].startswith("your pictures take")
    assert "1e-06 GB is what each may have; delete some" in answer.json()["error"]
    with pytest.raises(DiskQuotaError):
        studio.submit(order(), kept.owner)
    reaches(studio.submit(order(), "bob"), "done", "paused")
    if kept.status == "paused":
        studio.stop(kept)
        reaches(kept, "stopped")
    studio.delete(kept)  # into the trash, which takes room, too
    with pytest.raises(DiskQuotaError):
        studio.submit(order(), kept.owner)
    studio.trash.remove(kept)
    submit(client)
    studio.close()


def test_a_film_that_fills_the_disk_pauses(studio: Studio, gate: Gate) -> None:
    studio.quotas._bytes_each, now = GB, [1e9]
    studio.quotas._clock = lambda: now[0]
    run = studio.submit(order(), "ada")
    gate.waits.wait(60)
    with (run.path / "large").open("wb") as file:
        file.truncate(GB)
    now[0] += 60
    gate.open.set()
    reaches(run, "paused")
    assert run.error.startswith("your pictures take 1 GB, and 1 GB is what each may have")
    (run.path / "large").unlink()
    studio.go_on(run)
    reaches(run, "done")
    assert run.error == ""


def test_no_quota_no_file(studio: Studio, gate: Gate) -> None:
    gate.open.set()
    reaches(studio.submit(order(), "ada"), "done")
    studio.quotas.save()
    assert not (studio.root / "quotas.json").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"day": 1, "seconds": []}', '{"seconds": {}}'])
def test_a_damaged_file_of_quotas_is_a_new_one(tmp_path: Path, text: str) -> None:
    (tmp_path / "quotas.json").write_text(text)
    quotas = Quotas(tmp_path, Limits(seconds_each=1), lambda owner: ())
    assert quotas.reached("ada") == ""
    quotas.spent("ada", 2)
    quotas.save()
    assert json.loads((tmp_path / "quotas.json").read_text())["seconds"] == {"ada": 2}


def test_draining_keeps_what_is_painted_for_the_next_studio(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Painter, "_reopened", reopened)
    whole = Studio(tmp_path / "whole", build=tiny_build)
    reaches(expected := whole.submit(order(steps=[12]), "ada"), "done")
    whole.close()
    studio = Studio(tmp_path / "runs", build=gate)
    client = TestClient(make_app(studio))
    run = studio.submit(order(steps=[12]), "ada")
    gate.waits.wait(60)
    waiting = studio.submit(order("waits"), "bob")
    draining = threading.Thread(target=studio.drain)
    draining.start()
    while not studio.draining:
        time.sleep(0.001)
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").json() == {"status": "draining"}
    assert samples(client)["gouache_accepting",] == 0
    answer = client.post("/api/runs", json={"prompt": "a", "settings": SMALL})
    assert answer.status_code == 503
    assert "about to restart" in answer.json()["error"]
    with pytest.raises(DrainingError):
        studio.submit(order(), "cyd")
    gate.open.set()
    draining.join(60)
    assert (run.status, waiting.status) == ("queued", "queued")
    assert 0 < run.step < 12
    studio._painter.release(run)  # as the end of its process does
    later = Studio(tmp_path / "runs", build=tiny_build)  # nobody asks it to go on
    found = later.runs[run.id]
    reaches(found, "done")
    reaches(later.runs[waiting.id], "done")
    later.close()
    pictures = [Image.open(one.picture_path) for one in (expected, found)]
    assert pictures[0].tobytes() == pictures[1].tobytes()


def test_sigterm_drains_while_requests_are_answered(studio: Studio) -> None:
    """The first SIGTERM; the second ends the server at once, as Ctrl-C does."""
    app, go = make_app(studio), threading.Event()
    drained: list[bool] = []

    def drain() -> None:
        studio.draining = True
        go.wait(60)
        drained.append(True)

    server = make_server(app, app.state.closing, drain=drain)
    listener = make_listener("127.0.0.1", 0)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    assert httpx.get(f"{address}/readyz").status_code == 200
    server.handle_exit(signal.SIGTERM, None)
    assert httpx.get(f"{address}/readyz").status_code == 503
    assert httpx.get(f"{address}/api/runs").status_code == 200
    go.set()
    thread.join(60)
    assert not thread.is_alive()
    assert drained == [True]
    assert make_server(app, app.state.closing).should_exit is False


def test_a_service_that_is_restarted_goes_on_by_itself(tmp_path: Path) -> None:
    """SIGTERM to the real thing, with the shipped models."""
    small = {"size": "32x24", "steps": [2000], "num_cutouts": 2, "perceptor": "pocket"}
    settings = {**small, "start": "random", "start_tries": 1}
    with Server(tmp_path / "runs") as server, httpx.Client(base_url=server.address) as client:
        answer = client.post("/api/runs", json={"prompt": "a red apple", "settings": settings})
        run = answer.json()["id"]
        wait(client, run, "painting")
        while (told := client.get(f"/api/runs/{run}").json())["step"] < 2:
            time.sleep(0.05)
        os.kill(server.pid, signal.SIGTERM)
        server.ended(60)
    assert "Traceback" not in server.log
    told = json.loads((tmp_path / "runs" / "runs" / run / "studio.json").read_text())
    assert told["status"] == "queued"
    with Server(tmp_path / "runs") as server, httpx.Client(base_url=server.address) as client:
        after = wait(client, run, "painting")
        assert after["step"] >= told["step"] >= 2
        client.post(f"/api/runs/{run}/stop")
        wait(client, run, "stopped")
