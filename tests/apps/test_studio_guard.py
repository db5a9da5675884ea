"""Who may talk to the studio and as whom: names, passwords, owners, private files."""

from __future__ import annotations

import json
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from gouache.apps.cli.studio import ENVIRONMENT
from gouache.apps.studio.guard import (
    LOOPBACK_NAMES,
    Guesses,
    hide_folders,
    host_name,
    own_names,
)
from gouache.apps.studio.http import make_app
from gouache.apps.studio.owners import owner_of, settled_owner
from gouache.apps.studio.worker import Studio
from studio_client import SMALL, submit, tiny_build, upload, wait
from studio_server import Server


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    studio = Studio(tmp_path / "runs", build=tiny_build)
    yield studio
    studio.close()


def status(studio: Studio, host: str, names: set[str], any_address: bool) -> int:
    client = TestClient(make_app(studio, names, any_address=any_address))
    return client.get("/api/prompts", headers={"host": host}).status_code


FOREIGN = [
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example:80",
    "evil.example:127.0.0.1",
    "127.0.0.1@evil.example",
    "evil@127.0.0.1",
    "[::1].evil.example",
    "2130706433",
    "",
]


@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize("bound", ["127.0.0.1", "0.0.0.0", "::", "192.0.2.7"])
def test_no_foreign_name_leads_to_a_studio(studio: Studio, host: str, bound: str) -> None:
    assert status(studio, host, *own_names(bound, bound)) == 421


@pytest.mark.parametrize(
    ("bound", "host", "expected"),
    [
        ("127.0.0.1", "localhost:7860", 405),
        ("127.0.0.1", "LOCALHOST.", 405),
        ("127.0.0.1", "[::1]:7860", 405),
        ("127.0.0.1", "192.0.2.7", 421),
        ("0.0.0.0", "192.0.2.7:80", 405),
        ("0.0.0.0", "[2001:DB8::7]:80", 405),
        ("::", "192.0.2.7", 405),
        ("192.0.2.7", "192.0.2.7:99", 405),
        ("192.0.2.7", "192.0.2.8:99", 421),
        ("192.0.2.7", "studio.example:99", 405),
        ("0.0.0.0", "STUDIO.example", 405),
        ("127.0.0.1", "studio.example", 405),
    ],
)
def test_its_own_names_do(studio: Studio, bound: str, host: str, expected: int) -> None:
    # 405: the request was let in, and is none that exists.
    assert status(studio, host, *own_names(bound, bound, ["Studio.Example"])) == expected


@given(st.text(max_size=40))
def test_a_name_is_local_only_if_it_is_spelled_so(text: str) -> None:
    name = host_name(text)
    if name in LOOPBACK_NAMES:
        bare = re.sub(r":\d*$", "", text.strip().lower().removesuffix("."))
        assert (
            bare.strip("[]").partition("%")[0].removesuffix(".")
            in {
                *LOOPBACK_NAMES,
                "::ffff:127.0.0.1",
            }
            or host_name(bare) in LOOPBACK_NAMES
        )


def test_a_wildcard_studio_refuses_rebound_names(tmp_path: Path) -> None:
    with Server(tmp_path / "runs", "--host", "0.0.0.0", "--allow-host", "art.example") as server:
        address = server.address.replace("0.0.0.0", "127.0.0.1")
        for host, expected in [("evil.example", 421), ("art.example", 200), ("10.1.2.3", 200)]:
            assert httpx.get(address, headers={"host": host}).status_code == expected
        assert httpx.get(address).status_code == 200


def test_other_pages_are_kept_out_of_the_interface(studio: Studio) -> None:
    client = TestClient(make_app(studio, local=True))
    for site in ("cross-site", "same-site"):
        foreign = {"sec-fetch-site": site}
        assert client.get("/api/runs", headers=foreign).status_code == 403
        assert client.get("/", headers=foreign).status_code == 200  # a link to the page
    assert client.get("/api/runs", headers={"sec-fetch-site": "same-origin"}).status_code == 200
    assert client.post("/api/runs", headers={"origin": "null"}, json={}).status_code == 403


def test_guesses_are_few(studio: Studio) -> None:
    client = TestClient(make_app(studio, auth="ada:right"))
    answers = [client.get("/", auth=("ada", f"guess {k}")) for k in range(60)]
    looked_at = [answer for answer in answers if answer.status_code == 401]
    assert 0 < len(looked_at) < 20
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) > 0
    assert "too many wrong passwords" in answers[-1].json()["error"]
    assert client.get("/", auth=("ada", "right")).status_code == 429  # not told from a wrong one
    assert not client.cookies


def test_who_knows_the_password_does_not_wait_for_guessers(studio: Studio) -> None:
    app = make_app(studio, auth="ada:right")
    known, guesser = TestClient(app), TestClient(app)
    assert known.get("/", auth=("ada", "right")).status_code == 200  # gives the cookie
    for _ in range(30):
        guesser.get("/", auth=("ada", "wrong"))
        assert known.get("/", auth=("ada", "right")).status_code == 200
    assert guesser.get("/", auth=("ada", "right")).status_code == 429


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b"]), st.floats(0, 100)), min_size=1, max_size=400)
)
def test_a_guesser_gets_a_bounded_number_of_tries(tries: list[tuple[str, float]]) -> None:
    now = 0.0
    guesses = Guesses(lambda: now)
    looked_at = 0
    for address, seconds in tries:
        now += seconds
        if guesses.wait(address) == 0:
            guesses.wrong(address)
            looked_at += 1
    # Free ones, the doubling ones, then one each `longest` seconds; again for the other address.
    assert looked_at <= 2 * (Guesses.free + 9 + now / Guesses.longest + 1)


def test_addresses_of_one_network_count_together_and_are_not_kept_for_ever() -> None:
    guesses = Guesses(lambda: 0.0)
    for k in range(Guesses.free):
        guesses.wrong(f"2001:db8::{k + 1}")
    assert guesses.wait("2001:db8::99") > 0
    assert guesses.wait("2001:db8:1::1") == 0
    assert guesses.wait("::ffff:192.0.2.1") == 0
    for k in range(3 * Guesses.kept):
        guesses.wrong(f"10.0.{k // 256}.{k % 256}")
    assert len(guesses._wrong) <= Guesses.kept


def told(gouache: Any, *options: str | Path) -> str:
    outcome = gouache("studio", "--no-browser", *options)
    assert outcome.code == 2
    assert "hunter" not in outcome.err
    return str(outcome.err)


def test_the_password_comes_from_a_file_or_the_environment(
    gouache: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.write_text("hunter2")
    file.chmod(0o600)
    assert "USER:PASSWORD" in told(gouache, "--auth-file", file)
    assert "cannot read" in told(gouache, "--auth-file", tmp_path / "none")
    assert "give one" in told(gouache, "--auth-file", file, "--auth", "a:hunter2")
    file.write_bytes(b"a:\xff\xfe\n")
    assert "UTF-8" in told(gouache, "--auth-file", file)
    monkeypatch.setenv(ENVIRONMENT, "")
    assert f"{ENVIRONMENT} must be" in told(gouache)
    monkeypatch.setenv(ENVIRONMENT, "hunter2")
    assert f"{ENVIRONMENT} must be" in told(gouache)


def test_each_way_to_give_the_password_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.write_text("ada:from file\n")
    file.chmod(0o644)
    monkeypatch.setenv(ENVIRONMENT, "ada:from environment")
    ways: list[tuple[list[str], str, str]] = [
        (["--auth-file", str(file)], "from file", "chmod 600"),
        ([], "from environment", ""),
        (["--auth", "ada:from line"], "from line", "list of processes"),
    ]
    for options, password, warned in ways:
        with Server(tmp_path / "runs", *options) as server:
            assert httpx.get(server.address, auth=("ada", "x")).status_code == 401
            assert httpx.get(server.address, auth=("ada", password)).status_code == 200
        assert ("warning" in server.log) == bool(warned)
        assert warned in server.log


def test_files_are_private_and_hold_no_cookie(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    before = os.umask(0o022)
    try:
        # With a password visitors are told apart, though only this machine reaches it.
        with (
            Server(folder, "--auth", "ada:x") as server,
            httpx.Client(base_url=server.address, auth=("ada", "x"), timeout=60) as client,
        ):
            settings = {"size": "32x32", "steps": [2], "num_cutouts": 2, "start_tries": 1}
            image = upload(client)
            wait(client, submit(client, settings=settings, image=image), "done")
            token = next(iter(client.cookies.jar)).value
    finally:
        os.umask(before)
    assert token
    assert re.fullmatch("[0-9a-f]{32}", token)
    files = list(folder.rglob("*"))
    assert len(files) > 8
    for path in [folder, *files]:
        if path.name != ".lock":
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
        assert token not in str(path)
        if path.is_file():
            assert token.encode() not in path.read_bytes(), path


def test_folders_of_older_versions_become_private(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    for name in ("runs", "images"):
        (folder / name).mkdir(parents=True)
        (folder / name).chmod(0o755)
    with Server(folder):
        for name in ("runs", "images"):
            assert stat.S_IMODE((folder / name).stat().st_mode) == 0o700
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755  # may hold other things of theirs


def test_a_local_studio_has_one_owner(studio: Studio) -> None:
    app = make_app(studio, *[own_names("127.0.0.1", "127.0.0.1")[0]], local=True)
    addresses = ("http://127.0.0.1:7860", "http://localhost:7860", "http://[::1]:7860")
    clients = [TestClient(app, base_url=address) for address in addresses]
    run, image = submit(clients[0]), upload(clients[1])
    for client in clients:
        wait(client, run, "done")
        assert [one["id"] for one in client.get("/api/runs").json()["runs"]] == [run]
        assert client.get(f"/api/images/{image}").status_code == 200
        assert client.get(f"/api/runs/{run}/picture.png").status_code == 200
        assert not client.cookies
    branch = submit(clients[2], image=image, parent=f"{run}/1")
    wait(clients[0], branch, "done")


def test_the_local_owner_is_known_under_each_name(tmp_path: Path) -> None:
    with Server(tmp_path / "runs") as server:
        settings = {"size": "32x32", "steps": [1], "num_cutouts": 2, "start_tries": 1}
        run = submit(httpx.Client(base_url=server.address), settings=settings)
        port = server.address.rpartition(":")[2]
        for host in (f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}"):
            found = httpx.get(f"{server.address}/api/runs", headers={"host": host})
            assert [one["id"] for one in found.json()["runs"]] == [run]


def test_what_older_versions_kept_stays_its_owners(tmp_path: Path) -> None:
    token, folder = "0123456789abcdef" * 2, tmp_path / "runs"
    studio = Studio(folder, build=tiny_build)
    old = TestClient(make_app(studio), cookies={"gouache_studio": token})
    run, image = submit(old), upload(old)
    wait(old, run, "done")
    studio.close()
    # As older versions wrote it: the cookie is the owner's name.
    about = folder / "runs" / run / "studio.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), "owner": token}))
    (folder / "images" / owner_of(token)).rename(folder / "images" / token)
    again = Studio(folder, build=tiny_build)
    app = make_app(again)
    assert token not in about.read_text()
    cases = [
        (TestClient(app, cookies={"gouache_studio": token}), True),
        (TestClient(app), False),
        (TestClient(app, cookies={"gouache_studio": owner_of(token)}), False),
        (TestClient(make_app(again, local=True)), True),
    ]
    for client, seen in cases:
        expected = 200 if seen else 404
        assert len(client.get("/api/runs").json()["runs"]) == seen
        assert client.get(f"/api/runs/{run}").status_code == expected
        assert client.get(f"/api/images/{image}").status_code == expected
    again.close()


@given(st.text("0123456789abcdef", min_size=32, max_size=32))
def test_an_owners_name_is_no_cookie(token: str) -> None:
    name = owner_of(token)
    assert settled_owner(token) == settled_owner(name) == name
    assert not re.fullmatch("[0-9a-f]{32}", name)


@pytest.mark.parametrize("kind", ["generator", "perceptor", "latent", "start_judge"])
@pytest.mark.parametrize(
    "name",
    [
        "pocket:/../x",
        "pocket:../x",
        "quantized:/x",
        "pocket:1:/x",
        "pocket:/etc/passwd:2",
        "Pocket",
    ],
)
def test_a_name_of_a_model_never_becomes_a_path(studio: Studio, kind: str, name: str) -> None:
    client = TestClient(make_app(studio))
    for value in (name, [name], ["pocket", name]):
        body = {"prompt": "a", "settings": {**SMALL, kind: value}}
        answer = client.post("/api/runs", json=body)
        assert answer.status_code == 400
        assert "this studio has" in answer.json()["error"]
    assert studio.runs == {}


def test_a_perceptor_may_have_a_weight(studio: Studio) -> None:
    client = TestClient(make_app(studio))
    run = submit(client, settings={"perceptor": ["pocket:0.5"]})
    wait(client, run, "done")


def test_messages_hold_no_folder_of_this_machine(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    owner = owner_of("0" * 32)
    text = f"cannot write {root}/images/{owner}/x.png nor {Path.home()}/y"
    shown = hide_folders(text, root)
    assert owner not in shown
    assert str(Path.home()) + "/" not in shown
    assert shown.startswith("cannot write the studio's folder/images/x.png")


def test_ctrl_c_ends_it_quickly_though_pages_are_open(tmp_path: Path) -> None:
    settings = {"size": "64x64", "steps": 2000, "start_tries": 1, "perceptor": "pocket"}
    body = {"prompt": "a sun", "settings": settings}
    with Server(tmp_path / "runs") as server, httpx.Client(timeout=60) as client:
        run = client.post(f"{server.address}/api/runs", json=body).json()["id"]
        with client.stream("GET", f"{server.address}/api/runs/{run}/events") as stream:
            lines = stream.iter_lines()
            next(lines)
            while client.get(f"{server.address}/api/runs/{run}").json()["step"] < 2:
                time.sleep(0.02)
            server._process.send_signal(2)
            rest = list(lines)  # ends, and orderly
        assert server._process.wait(60) == 0
        assert rest is not None
    for mark in ("Traceback", "Error", "ASGI", "Cancel"):
        assert mark not in server.log
