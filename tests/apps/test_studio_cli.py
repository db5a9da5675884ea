"""`gouache studio` on the command line: what it refuses, and what it warns of."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from studio_server import Server


def refused(gouache: Any, *options: str) -> str:
    outcome = gouache("studio", "--no-browser", *options)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert outcome.err.startswith("gouache: ")
    return str(outcome.err)


def test_a_taken_port(gouache: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        line = refused(gouache, "--port", str(taken.getsockname()[1]))
    assert "give another --port" in line


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--port", "70000"], "--port"),
        (["--port", "x"], "--port"),
        (["--auth", "ada"], "USER:PASSWORD"),
        (["--auth", ":x"], "USER:PASSWORD"),
        (["--host", "no.such.host.invalid"], "cannot listen"),
        (["--runs", "file"], "cannot write file"),
        (["--runs", "file/below"], "cannot write file/below"),
        (["--max-steps", "0"], "--max-steps"),
        (["--workers", "0"], "--workers"),
        (["--workers", "two"], "--workers"),
        (["--quota-minutes", "0"], "--quota-minutes is 0; expected a number above 0"),
        (["--quota-minutes", "inf"], "--quota-minutes"),
        (["--quota-gb", "-1"], "--quota-gb"),
        (["--quota-gb", "nan"], "--quota-gb"),
        (["--cluster", " "], "--cluster is empty"),
        (["--threads", "2"], "--threads is for --workers and --cluster"),
        (["--workers", "2", "--threads", "0"], "--threads"),
        (["--user-header", "X Remote"], "--user-header is 'X Remote'"),
        (["--user-header", "X-User", "--host", "0.0.0.0"], "for a proxy on this machine"),
    ],
)
def test_bad_options_are_one_line(gouache: Any, options: list[str], told: str) -> None:
    Path("file").write_text("x")
    assert told in refused(gouache, *options)


def test_a_cluster_without_ray_says_what_to_install(
    gouache: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gouache.runs.cluster.find_spec", lambda name: None)
    line = refused(gouache, "--cluster", "auto")
    assert (
        "run: pip install 'gouache[cluster]', or paint on this machine alone: --workers N" in line
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studio") / "runs"


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    """For this machine alone."""
    with Server(folder) as server:
        yield server
    assert "Traceback" not in server.log


def test_a_folder_has_one_studio(gouache: Any, server: Server, folder: Path) -> None:
    said = refused(gouache, "--port", "0", "--runs", str(folder))
    assert "by another process; stop that studio or bot" in said
    assert server.running


def test_others_on_the_network_are_warned_of(tmp_path: Path) -> None:
    with Server(tmp_path / "runs", "--host", "0.0.0.0", "--auth", "ada:x") as server:
        address = server.address.replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(f"{address}/api/runs").status_code == 401
        assert httpx.get(f"{address}/api/runs", auth=("ada", "x")).status_code == 200
    assert "warning: bound to 0.0.0.0" in server.log


def test_only_its_own_names_lead_to_a_local_studio(server: Server) -> None:
    assert "warning" not in server.log
    foreign = httpx.get(server.address, headers={"host": "evil.example"})
    assert foreign.status_code == 421
    local = server.address.replace("127.0.0.1", "localhost")
    assert httpx.get(server.address, headers={"host": local[7:]}).status_code == 200


def test_without_the_extra_it_says_what_to_install(
    gouache: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "pip install 'gouache[studio]'" in refused(gouache)
