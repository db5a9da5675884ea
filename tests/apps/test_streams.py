"""Whatever stdout and stderr can encode: no traceback, and JSON that is complete."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from gouache.apps import progress
from gouache.apps.cli.main import run
from gouache.apps.printing import prepare_streams, print_json
from gouache.output.pictures import read_metadata
from small import SMALL

PROMPT = "a red \N{RED APPLE} on caf\xe9 \N{CJK UNIFIED IDEOGRAPH-72D0}"
QUICK = [*SMALL, "--steps", "2"]
ENCODINGS = ["cp1252", "ascii", "latin-1", "cp437", "utf-16", "utf-8:strict", "ascii:strict"]


def call(encoding: str, *arguments: str) -> tuple[int, bytes, bytes]:
    """In this process, with streams as PYTHONIOENCODING makes them."""
    name, _, errors = encoding.partition(":")
    streams = [
        io.TextIOWrapper(io.BytesIO(), encoding=name, errors=errors or how)
        for how in ("strict", "backslashreplace")
    ]
    before = sys.stdout, sys.stderr
    try:
        sys.stdout, sys.stderr = streams
        code = run(list(arguments))
        for stream in streams:
            stream.flush()
    finally:
        sys.stdout, sys.stderr = before
    out, err = (stream.buffer.getvalue() for stream in streams)
    return code, out, err


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("painted") / "\N{RED APPLE}.png"
    assert run([PROMPT, "-q", *QUICK, "--out", str(path)]) == 0
    return path


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_painting(encoding, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "\N{RED APPLE}.png"
    code, out, err = call(encoding, PROMPT, *QUICK, "--json", "--preview", "--out", name)
    assert code == 0, err
    document = json.loads(out.decode(encoding.split(":")[0]))
    assert document["prompt"] == PROMPT
    assert document["out"] == [name]
    assert b"Traceback" not in err
    code, out, err = call(encoding, PROMPT, *QUICK, "--out", name)
    assert code == 0
    assert out
    assert read_metadata(name)["prompt"] == PROMPT


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_reading(encoding, painted):
    plain = encoding.split(":")[0]
    for arguments in (
        ["info", str(painted), "--json"],
        [PROMPT, "--dry-run"],
        ["models", "list", "--json"],
    ):
        code, out, err = call(encoding, *arguments)
        assert code == 0, err
        document = json.loads(out.decode(plain))
        if "models" not in arguments:
            assert document.get("prompt", PROMPT) == PROMPT
    for arguments in (["info", str(painted)], ["--help"], ["paint", "--help"], ["models", "list"]):
        code, out, err = call(encoding, *arguments)
        assert code == 0, err
        assert out
        assert err == b""
    code, out, err = call(encoding, "info", "\N{RED APPLE}/nowhere.png")
    assert (code, out) == (2, b"")
    assert b"nowhere" in err.replace(b"\0", b"")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_whole_process(encoding, tmp_path):
    program = [sys.executable, "-m", "gouache", PROMPT, *QUICK, "--json"]
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.decode(encoding))["prompt"] == PROMPT


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_bars_and_previews_on_terminals(encoding, monkeypatch, tmp_path):
    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    monkeypatch.chdir(tmp_path)
    terminal = Terminal(io.BytesIO(), encoding=encoding, errors="strict")
    monkeypatch.setattr(sys, "stderr", terminal)
    assert run([PROMPT, *QUICK, "--out", "a.png"]) == 0
    assert run([PROMPT, *QUICK, "--out", "b.png", "--preview"]) == 0
    terminal.flush()
    shown = terminal.buffer.getvalue()
    assert b"u2580" not in shown
    assert b"takes UTF-8" in shown
    assert isinstance(progress.make_progress(False, False), progress.Bar)


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_closed_stream_takes_everything(closed, monkeypatch, painted):
    monkeypatch.setattr(sys, closed, None)
    assert run(["info", str(painted)]) == 0
    assert run(["info", "nowhere.png"]) == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux")
def test_a_full_disk_behind_stdout_is_one_line(painted):
    program = [sys.executable, "-m", "gouache", "info", str(painted)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_json_has_no_infinities_and_keeps_letters(capsys):
    print_json({"x": [float("nan"), float("-inf")], "y": PROMPT, "z": "\udc80"})
    prepare_streams()
    out = capsys.readouterr().out
    assert json.loads(out) == {"x": [None, None], "y": PROMPT, "z": "\udc80"}
    print_json({"y": PROMPT})
    assert PROMPT in capsys.readouterr().out


def test_a_picture_is_there_as_it_is_told(painted):
    assert Image.open(painted).size == (32, 32)
