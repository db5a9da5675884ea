"""The studio's HTTP interface: what it takes, what it refuses, and what survives."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient

from gouache.apps.studio.http import make_app
from gouache.apps.studio.orders import Limits, Order
from gouache.apps.studio.worker import Studio
from gouache.engine import Session
from gouache.output.pictures import read_metadata
from gouache.protocols import Step
from gouache.watching import watcher
from studio_client import SMALL, fill_disk, submit, tiny_build, upload, wait
from studio_server import Server

Build = Callable[[Order], Session]


class Slow:
    """A build whose runs wait for `let_go` before their second step."""

    def __init__(self) -> None:
        self.free = False

    def __call__(self, order: Order) -> Session:
        session = tiny_build(order)
        advance = session._try_step

        def patient() -> Any:
            while session.step_index == 1 and not self.free:
                time.sleep(0.01)
            return advance()

        session._try_step = patient  # type: ignore[method-assign]
        return session


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def app(tmp_path: Path, slow: Slow) -> Iterator[Any]:
    studio = Studio(tmp_path / "runs", Limits(queue=3, upload_bytes=200_000, uploads=4), slow)
    yield make_app(studio)
    slow.free = True
    studio.close()


@pytest.fixture
def client(app: Any, slow: Slow) -> TestClient:
    slow.free = True
    return TestClient(app, raise_server_exceptions=False)


def test_a_start_is_shown_while_it_is_found(tmp_path: Path) -> None:
    free = threading.Event()

    def build(order: Order) -> Session:
        session = tiny_build(order)
        show = watcher()
        assert show is not None
        image = torch.rand(1, 3, 24, 32)
        show(Step(0, 2, 0, image, {"prompt/0": torch.zeros(1)}))
        free.wait(30)
        return session

    studio = Studio(tmp_path / "runs", Limits(), build)
    client = TestClient(make_app(studio), raise_server_exceptions=False)
    try:
        run = submit(client)
        told = wait(client, run, "starting")
        for _ in range(500):
            if told["shown"]:
                break
            time.sleep(0.01)
            told = client.get(f"/api/runs/{run}").json()
        assert (told["status"], told["shown"], told["step"]) == ("starting", True, 0)
        frame = client.get(f"/api/runs/{run}/frame.jpg")
        assert Image.open(io.BytesIO(frame.content)).size == (32, 24)
        free.set()
        assert wait(client, run, "done")["shown"]
    finally:
        free.set()
        studio.close()


def png(size: tuple[int, int] = (32, 24), color: str = "red", mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, color).save(file, "PNG")
    return file.getvalue()


def test_a_run_from_order_to_film(client: TestClient) -> None:
    run = submit(client)
    told = wait(client, run, "done")
    assert told["step"] == told["num_steps"] == 6
    assert [node["kind"] for node in told["nodes"]] == ["start", "end"]
    assert len(told["losses"]) == 6
    assert told["settings"]["size"] == [32, 24]
    picture = Image.open(io.BytesIO(client.get(f"/api/runs/{run}/picture.png").content))
    assert picture.size == (32, 24)
    assert client.get(f"/api/runs/{run}/frame.jpg").headers["content-type"] == "image/jpeg"
    assert client.get(f"/api/runs/{run}/nodes/0.png").content.startswith(b"\x89PNG")
    assert client.get(f"/api/runs/{run}/timelapse.gif").content.startswith(b"GIF89a")
    assert b"ftyp" in client.get(f"/api/runs/{run}/timelapse.mp4").content[:12]
    settings = client.get(f"/api/runs/{run}/settings.json").json()
    assert settings["prompt"] == "a red apple"
    assert "prompts" not in settings  # a run of the studio is one picture
    assert not any("image" in name for name in settings)  # no path of this machine is told


def test_events_tell_each_state_until_the_end(client: TestClient) -> None:
    run = submit(client)
    with client.stream("GET", f"/api/runs/{run}/events") as stream:
        sent = [json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: ")]
    news = [one for one in sent if "status" in one]
    assert all(set(one) == {"run", "step", "image"} for one in sent if one not in news)
    assert news[-1]["status"] == "done"
    losses: list[float] = []
    for one in news:
        assert one["losses_from"] == len(losses)
        losses += one["losses"]
    assert len(losses) == 6


def test_pause_draw_and_continue(app: Any, slow: Slow, tmp_path: Path) -> None:
    client = TestClient(app)
    run = submit(client)
    wait(client, run, "painting")
    assert client.post(f"/api/runs/{run}/pause").status_code == 200
    slow.free = True
    told = wait(client, run, "paused")
    before = _pixels(client.get(f"/api/runs/{run}/frame.jpg").content)
    strokes = Image.new("RGBA", (64, 48))
    strokes.paste((16, 48, 224, 255), (0, 0, 32, 48))
    file = io.BytesIO()
    strokes.save(file, "PNG")
    assert client.post(f"/api/runs/{run}/draw", content=file.getvalue()).status_code == 200
    answer = client.post(f"/api/runs/{run}/continue", json={"prompt": "a blue pear"})
    assert answer.status_code == 200
    done = wait(client, run, "done")
    kinds = [node["kind"] for node in done["nodes"]]
    assert kinds == ["start", "drawn", "prompt", "end"]
    assert done["nodes"][1]["step"] == told["step"]
    assert done["prompt"] == "a blue pear"
    drawn = _pixels(client.get(f"/api/runs/{run}/nodes/1.png").content)
    assert np.abs(drawn[:, :12] - (16, 48, 224)).max() <= 2
    result = tmp_path / "result.png"
    result.write_bytes(client.get(f"/api/runs/{run}/picture.png").content)
    record = read_metadata(result)
    assert [edit["edit"] for edit in record["edits"]] == ["image", "prompts"]
    assert np.abs(drawn[:, 20:] - before[:, 20:]).mean() < 12  # JPEG; the other half was left


def _pixels(data: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(float)


def test_the_queue_has_positions_ends_and_a_limit(app: Any, slow: Slow) -> None:
    client = TestClient(app)
    first = submit(client)
    wait(client, first, "painting")
    waiting = [submit(client, f"wish {k}") for k in range(3)]
    assert [client.get(f"/api/runs/{one}").json()["position"] for one in waiting] == [1, 2, 3]
    full = client.post("/api/runs", json={"prompt": "one more"})
    assert full.status_code == 429
    assert client.post(f"/api/runs/{waiting[0]}/cancel").json()["status"] == "cancelled"
    assert client.get(f"/api/runs/{waiting[1]}").json()["position"] == 1
    slow.free = True
    for one in (first, *waiting[1:]):
        wait(client, one, "done")
    runs = client.get("/api/runs").json()["runs"]
    order = [run["status"] for run in runs]
    assert order == ["done", "cancelled", "done", "done"]


def test_stop_keeps_the_picture_also_of_a_paused_run(app: Any, slow: Slow) -> None:
    client = TestClient(app)
    run = submit(client)
    wait(client, run, "painting")
    client.post(f"/api/runs/{run}/pause")
    slow.free = True
    wait(client, run, "paused")
    client.post(f"/api/runs/{run}/stop")
    wait(client, run, "stopped")
    assert client.get(f"/api/runs/{run}/picture.png").status_code == 200
    assert client.delete(f"/api/runs/{run}").status_code == 200
    assert client.get(f"/api/runs/{run}").status_code == 404
    assert client.get("/api/runs").json()["runs"] == []


def test_paused_runs_leave_the_memory_and_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gouache.apps.studio.worker.PARKED", 1)
    studio = Studio(tmp_path / "runs")
    client = TestClient(make_app(studio))
    settings = {"size": "64x64", "steps": 200, "start_tries": 1, "perceptor": "pocket"}
    runs = []
    for _ in range(3):
        runs.append(submit(client, settings=settings))
        wait(client, runs[-1], "painting")
        client.post(f"/api/runs/{runs[-1]}/pause")
        wait(client, runs[-1], "paused")
    deadline = time.monotonic() + 30
    while studio.runs[runs[1]].session is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert [studio.runs[run].session is None for run in runs] == [True, True, False]
    stroke = png(mode="RGBA")
    assert client.post(f"/api/runs/{runs[0]}/draw", content=stroke).status_code == 200
    for run in runs[:1]:
        client.post(f"/api/runs/{run}/continue")
    client.post(f"/api/runs/{runs[1]}/stop")
    stopped = wait(client, runs[1], "stopped")
    assert stopped["picture"]
    done = wait(client, runs[0], "done")
    assert len(done["losses"]) == 200
    assert [node["kind"] for node in done["nodes"]] == ["start", "drawn", "end"]
    client.post(f"/api/runs/{runs[2]}/stop")
    wait(client, runs[2], "stopped")
    studio.close()


def test_branches_start_from_nodes_and_uploads(client: TestClient) -> None:
    run = submit(client)
    wait(client, run, "done")
    branch = submit(client, image=f"{run}/1", parent=f"{run}/1")
    told = wait(client, branch, "done")
    assert told["parent"] == f"{run}/1"
    wait(client, submit(client, image=upload(client)), "done")


def test_visitors_see_only_their_own(app: Any, slow: Slow) -> None:
    slow.free = True
    one, other = TestClient(app), TestClient(app)
    image = upload(one)
    run = submit(one)
    wait(one, run, "done")
    assert other.get("/api/runs").json()["runs"] == []
    paths = ["", "/events", "/frame.jpg", "/picture.png", "/nodes/0.png", "/settings.json"]
    for path in [f"/api/runs/{run}{path}" for path in paths] + [f"/api/images/{image}"]:
        assert other.get(path).status_code == 404, path
    for action in ("pause", "stop", "continue", "draw"):
        assert other.post(f"/api/runs/{run}/{action}", content=b"").status_code == 404
    assert other.delete(f"/api/runs/{run}").status_code == 404
    for body in ({"image": image}, {"image": f"{run}/0"}):
        answer = other.post("/api/runs", json={"prompt": "x", **body})
        assert answer.status_code == 400


def test_uploads_make_room_for_newer_ones(client: TestClient) -> None:
    names = [upload(client) for _ in range(6)]
    found = [client.get(f"/api/images/{name}").status_code for name in names]
    assert found.count(200) == 4


def test_masks_by_phrase_and_an_edit_with_it(tmp_path: Path) -> None:
    scene = Path(__file__).parents[2] / "src" / "gouache_bench" / "scenes" / "01.png"
    studio = Studio(tmp_path / "runs")
    client = TestClient(make_app(studio))
    image = upload(client, scene.read_bytes())
    found = client.post("/api/masks", json={"image": image, "phrase": "a red apple"})
    assert found.status_code == 201, found.text
    assert 0.05 < found.json()["share"] < 0.5
    absent = client.post("/api/masks", json={"image": image, "phrase": " "})
    assert absent.status_code == 400
    body = {
        "prompt": "a green pear",
        "image": image,
        "edit": {"mask": found.json()["id"], "settings": {"composite": True}},
        "settings": {"steps": 3, "num_cutouts": 3},
    }
    run = client.post("/api/runs", json=body).json()["id"]
    done = wait(client, run, "done")
    assert done["kind"] == "edit"
    source = _pixels(scene.read_bytes())
    edited = _pixels(client.get(f"/api/runs/{run}/picture.png").content)
    right = slice(int(source.shape[1] * 0.6), None)
    assert np.array_equal(source[:, right], edited[:, right])
    studio.close()


def malformed(image: str, run: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Requests that no sound client sends."""
    found: list[tuple[str, str, dict[str, Any]]] = []
    odd: list[Any] = [
        None,
        7,
        -1,
        1.5,
        True,
        [],
        {},
        "",
        "\x00",
        "\ud800",
        "x" * 20_001,
        "../../etc",
    ]
    for value in odd:
        found.append(("POST", "/api/runs", {"json": value}))
        found.append(("POST", "/api/runs", {"json": {"prompt": "a", "wish": value}}))
        found.append(("POST", "/api/masks", {"json": {"image": value, "phrase": "x"}}))
        if value != "../../etc":  # a prompt as good as any
            found.append(("POST", "/api/runs", {"json": {"prompt": value}}))
            found.append(("POST", "/api/prompts", {"json": {"prompt": value}}))
            found.append(("POST", "/api/masks", {"json": {"image": image, "phrase": value}}))
        for name in ("settings", "image", "edit", "image_prompts", "parent"):
            if value not in (None, "", {}, []) or isinstance(value, bool):
                found.append(("POST", "/api/runs", {"json": {"prompt": "a", name: value}}))
    bad_settings: dict[str, list[Any]] = {
        "size": ["0x0", "-1x5", "100000x100000", "1e9x2", [1], [64, "x"], "abc", None, "4x"],
        "steps": [-1, 10**9, "many", [], [1.5], [10**6], None],
        "seed": [-1, 2**70, "x", 1.5],
        "num_cutouts": [0, -3, 10**6, "x", None],
        "learning_rate": [-1, "x", 1e308, None, []],
        "generator": ["../../etc/passwd", "/etc/passwd", "http://x", "no-such", 5, ["pocket"]],
        "perceptor": ["../x", "open_clip:../../x", ["pocket", "x"], {}, 3, "openai/clip"],
        "latent": ["../x", "none", 5],
        "init_image": ["/etc/passwd", "../secret.png"],
        "image_prompts": [["/etc/passwd"]],
        "device": ["cuda", "cpu"],
        "count": [2, 10**6],
        "prompts": [["a"], ["a", "b"], "a", []],
        "start_tries": [10**6, 0],
        "nothing": [1],
    }
    for name, values in bad_settings.items():
        for value in values:
            body = {"prompt": "a", "settings": {name: value}}
            found.append(("POST", "/api/runs", {"json": body}))
    edits: list[Any] = [{}, {"mask": "../x"}, {"mask": "f" * 32}, {"replace": 5}, {"a": 1}]
    for edit in edits:
        found.append(("POST", "/api/runs", {"json": {"prompt": "a", "edit": edit}}))
    for edit in [*edits[1:], {"settings": {"blur": 1}}, {"replace": "a", "from": "b"}]:
        body = {"prompt": "a", "image": "f" * 32, "edit": edit}
        found.append(("POST", "/api/runs", {"json": body}))
    for prompt in [{"image": image, "weight": "x"}, {"image": image, "weight": 1e9}, {}, 3, None]:
        found.append(("POST", "/api/runs", {"json": {"prompt": "a", "image_prompts": [prompt]}}))
    plain = {"headers": {"content-type": "application/json"}}
    for data in (b"", b"{", b"[" * 100_000, b"\xff\xfe", b'{"prompt": NaN}', b"9" * 5000, b"null"):
        found.append(("POST", "/api/runs", {"content": data, **plain}))
    found.append(("POST", "/api/runs", {"content": b'{"prompt": "a"}'}))  # no content type
    found.append(("POST", "/api/runs", {"content": b" " * 2_000_000, **plain}))
    whole = png()
    broken = [b"", b"GIF89a", whole[:40], whole[:-40], b"\x00" * 1000, b"<svg/>", b"%PDF-1.7"]
    for data in [*broken, b"\x89PNG" + b"\x00" * 300_000]:
        found.append(("POST", "/api/images", {"content": data}))
        found.append(("POST", f"/api/runs/{run}/draw", {"content": data}))
    found.append(("POST", f"/api/runs/{run}/draw", {"content": whole}))  # without alpha
    for name in ("..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "f" * 32, "F" * 32, "a/b", "x" * 5000):
        found.append(("GET", f"/api/images/{name}", {}))
        found.append(("GET", f"/api/runs/{name}", {}))
        found.append(("GET", f"/api/runs/{name}/picture.png", {}))
        if "%2e" not in name and name != "..":  # which clients resolve to the page itself
            found.append(("GET", f"/page/{name}", {}))
        found.append(("DELETE", f"/api/runs/{name}", {}))
    for node in ("-1", "99", "x", "..%2f..%2fsettings", "1e5"):
        found.append(("GET", f"/api/runs/{run}/nodes/{node}.png", {}))
    for action in ("fly", "continue", "pause", "draw"):
        found.append(("POST", f"/api/runs/{run}/{action}", {"content": b"x"}))
    found.append(("GET", f"/api/runs/{run}/timelapse.exe", {}))
    found.append(("PUT", "/api/runs", {}))
    found.append(("GET", "/page/../http.py", {}))
    found.append(("GET", "/page/..%2fhttp.py", {}))
    return found


def test_malformed_requests_get_one_line_and_a_good_one_follows(client: TestClient) -> None:
    image, run = upload(client), submit(client)
    wait(client, run, "done")
    requests = malformed(image, run)
    assert len(requests) >= 200
    mistakes = []
    for method, path, values in requests:
        if "json" in values:  # lone surrogates too, which httpx would refuse to encode
            data = json.dumps(values["json"]).encode()
            values = {"content": data, "headers": {"content-type": "application/json"}}
        answer = client.request(method, path, **values)
        what = (method, path, str(values)[:200], answer.status_code, answer.text[:200])
        told = answer.headers.get("content-type") == "application/json"
        line = answer.json().get("error", "") if told else ""
        short = 0 < len(line) < 1500 and "\n" not in line
        if not 400 <= answer.status_code < 500 or not short or "Trace" in line or "/inc" in line:
            mistakes.append(what)
    assert mistakes == []
    wait(client, submit(client), "done")
    assert len(client.get("/api/runs").json()["runs"]) == 2


def test_a_full_disk_is_one_line_without_a_path(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_disk(monkeypatch)
    answer = client.post("/api/runs", json={"prompt": "a", "settings": SMALL})
    assert answer.status_code == 507
    assert answer.json()["error"].startswith("cannot write the studio's folder/runs/")
    monkeypatch.undo()
    wait(client, submit(client), "done")


def test_the_password_the_host_and_other_pages(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "runs", build=tiny_build)
    client = TestClient(make_app(studio, ("testserver",), "ada:löve"))
    assert client.get("/api/runs").status_code == 401
    wrong = base64.b64encode(b"ada:x").decode()
    assert client.get("/", headers={"authorization": f"Basic {wrong}"}).status_code == 401
    assert client.get("/", headers={"authorization": "Basic ***"}).status_code == 401
    right = {"authorization": f"Basic {base64.b64encode('ada:löve'.encode()).decode()}"}
    assert client.get("/", headers=right).status_code == 200
    elsewhere = client.get("/", headers={**right, "host": "evil.example"})
    assert elsewhere.status_code == 421
    body = {"prompt": "a", "settings": SMALL}
    foreign = {**right, "origin": "http://evil.example"}
    assert client.post("/api/runs", json=body, headers=foreign).status_code == 403
    same = {**right, "origin": "http://testserver"}
    assert client.post("/api/runs", json=body, headers=same).status_code == 201
    studio.close()


def test_a_killed_server_keeps_the_run_and_goes_on(tmp_path: Path) -> None:
    folder, client = tmp_path / "runs", httpx.Client(timeout=60)
    settings = {"size": "64x64", "steps": 60, "start_tries": 1, "perceptor": "pocket"}
    body = {"prompt": "a red sun", "settings": settings}
    with Server(folder) as server:
        run = client.post(f"{server.address}/api/runs", json=body).json()["id"]
        while client.get(f"{server.address}/api/runs/{run}").json()["step"] < 12:
            time.sleep(0.02)
        server.kill()
    with Server(folder) as server:
        client.base_url = server.address
        told = client.get(f"/api/runs/{run}").json()
        assert told["status"] == "interrupted"
        assert told["step"] >= 10
        assert len(told["losses"]) in (0, told["step"])
        assert client.get(f"/api/runs/{run}/frame.jpg").status_code == 200
        client.post(f"/api/runs/{run}/continue")
        done = wait(client, run, "done")
        assert done["step"] == 60
        assert len(done["losses"]) == 60
        interrupted = client.get(f"/api/runs/{run}/nodes/{len(done['nodes']) - 1}.png").content
        whole = {**body}
        again = client.post("/api/runs", json=whole).json()["id"]
        same = wait(client, again, "done")
        plain = client.get(f"/api/runs/{again}/nodes/{len(same['nodes']) - 1}.png").content
        assert np.array_equal(_pixels(interrupted), _pixels(plain))


def test_an_interrupted_edit_goes_on(tmp_path: Path) -> None:
    scene = Path(__file__).parents[2] / "src" / "gouache_bench" / "scenes" / "01.png"
    folder, client = tmp_path / "runs", httpx.Client(timeout=60)
    with Server(folder) as server:
        client.base_url = server.address
        body = {
            "prompt": "a green apple",
            "image": upload(client, scene.read_bytes()),
            "edit": {"replace": "a red apple"},
            "settings": {"steps": 40, "num_cutouts": 3},
        }
        run = client.post("/api/runs", json=body).json()["id"]
        while client.get(f"/api/runs/{run}").json()["step"] < 12:
            time.sleep(0.02)
        server.kill()
    with Server(folder) as server:
        client.base_url = server.address
        assert client.get(f"/api/runs/{run}").json()["status"] == "interrupted"
        client.post(f"/api/runs/{run}/continue")
        assert wait(client, run, "done")["step"] == 40


def test_parts_of_a_prompt_are_told_with_their_places(client: TestClient) -> None:
    told = client.post("/api/prompts", json={"prompt": r"a\: b:2 @top left ^ c"}).json()
    first, last = (parts[0] for parts in told["stages"])
    assert (first["place"], first["weight"], first["text"]) == ("top left", 2, "a: b")
    assert first["source"] == "a: b"
    assert last["place"] == ""
    wrong = client.post("/api/prompts", json={"prompt": "a @0,0,2,1"})
    assert wrong.status_code == 400
    assert "x0,y0,x1,y1" in wrong.json()["error"]
