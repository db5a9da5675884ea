"""A run that is interrupted and resumed ends in the same pixels as one that is not."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gouache.apps import runner
from gouache.apps.progress import Silent
from small import SMALL

RUN = ["a fish ^ a bird", "-q", *SMALL, "--seed", "3", "--save-every", "2"]


def pixels(name: str) -> np.ndarray:
    return np.asarray(Image.open(name))


@pytest.fixture
def whole(gouache):
    assert gouache(*RUN, "--out", "whole.png").code == 0
    return pixels("whole.png")


@pytest.mark.parametrize("killed_at", range(8))
def test_killed_at_any_step(gouache, whole, dies_at, killed_at):
    dies_at(killed_at, *RUN, "--out", "x.png", "--run-dir", "run")
    assert not Path("x.png").exists()
    result = gouache("resume", "run", "-q")
    assert result.code == 0
    assert np.array_equal(pixels("x.png"), whole)
    rows = Path("run/losses.csv").read_text().splitlines()[1:]
    assert [int(row.split(",")[0]) for row in rows] == list(range(8))


@pytest.mark.parametrize("run_dir", [True, False])
def test_ctrl_c_saves_and_says_how_to_go_on(gouache, whole, monkeypatch, run_dir):
    show = runner.make_progress

    class Interrupting(Silent):
        def __init__(self, quiet, preview):
            self.inner = show(quiet)

        def show(self, step):
            if step.index == 2:
                signal.raise_signal(signal.SIGINT)

    folder = ["--run-dir", "run"] if run_dir else []
    with monkeypatch.context() as patch:
        patch.setattr(runner, "make_progress", Interrupting)
        stopped = gouache(*RUN, "--out", "x.png", *folder)
    assert stopped.code == 130
    assert Path("x.png").exists()
    name = "run" if run_dir else "x.run"
    assert f"gouache resume {name}" in stopped.err
    assert not np.array_equal(pixels("x.png"), whole)
    assert gouache("resume", name, "-q").code == 0
    assert np.array_equal(pixels("x.png"), whole)


def test_a_finished_run_can_be_resumed_again(gouache, whole):
    gouache(*RUN, "--out", "x.png", "--run-dir", "run")
    Path("x.png").unlink()
    assert gouache("resume", "run", "-q").code == 0
    assert np.array_equal(pixels("x.png"), whole)


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "gone"])
def test_a_damaged_state_is_one_line(gouache, damage):
    gouache(*RUN, "--out", "x.png", "--run-dir", "run")
    before, state = pixels("x.png"), Path("run/state.safetensors")
    content = bytearray(state.read_bytes())
    if damage == "flip":
        content[-9] ^= 4
    elif damage != "gone":
        content = content[: len(content) // 2 if damage == "cut" else 0]
    state.write_bytes(content)
    if damage == "gone":
        state.unlink()
    result = gouache("resume", "run")
    assert result.code == 2
    assert len(result.err.splitlines()) == 1
    assert np.array_equal(pixels("x.png"), before)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_a_real_sigkill(gouache, tmp_path):
    arguments = ["a fish", *SMALL, "--run-dir", "run", "--save-every", "3", "-q"]
    arguments[arguments.index("--steps") + 1] = "60"
    assert gouache(*arguments[:-5], "-q", "--out", "whole.png", "--run-dir", "other").code == 0
    program = [sys.executable, "-m", "gouache", *arguments, "--out", "x.png"]
    process = subprocess.Popen(program, cwd=tmp_path)
    losses = tmp_path / "run" / "losses.csv"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if losses.exists() and losses.read_bytes().count(b"\n") > 7:
            break
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not Path("x.png").exists(), "the run was over before it could be killed"
    assert gouache("resume", "run", "-q").code == 0
    assert np.array_equal(pixels("x.png"), pixels("whole.png"))
