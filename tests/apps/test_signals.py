"""Ctrl-C and SIGTERM, at any time: one line, exit code 130, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from small import SMALL

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

LONG = ["a fish", *SMALL, "--steps", "100000", "--save-every", "1", "--run-dir", "run"]


def launch(folder: Path, *arguments: str, hook: str = "") -> subprocess.Popen[str]:
    """`python -m gouache` in a terminal's place; `hook` runs before it, in its process."""
    program = f"import sys; sys.argv = ['gouache', *sys.argv[1:]]\n{hook}\n"
    program += "from gouache.__main__ import entry\nentry()"
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ends_in_one_line(process: subprocess.Popen[str], folder: Path) -> str:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in out + err
    assert "Exception" not in err
    assert list(folder.rglob(".gouache*")) == []
    return err


def hook_on_import(module: str, *numbers: int) -> str:
    """Sends itself signals when a module begins to be imported, as a hand on Ctrl-C would."""
    return f"""
import os, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            for number in {tuple(map(int, numbers))!r}:
                os.kill(os.getpid(), number)
sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize(
    ("module", "number"),
    [
        ("gouache.apps.cli.main", signal.SIGINT),
        ("typer", signal.SIGINT),
        ("typer", signal.SIGTERM),
        ("typer", signal.SIGHUP),
        ("torch", signal.SIGTERM),
        ("numpy", signal.SIGINT),
        ("gouache.engine.session", signal.SIGHUP),
    ],
)
def test_while_it_starts(tmp_path, module, number):
    process = launch(tmp_path, "a fish", *SMALL, hook=hook_on_import(module, number))
    assert ends_in_one_line(process, tmp_path) == "gouache: interrupted\n"
    assert list(tmp_path.iterdir()) == []


COMMANDS = {
    "info": ["info", "a.png"],
    "dry run": ["a fish", "--dry-run"],
    "edit": ["edit", "a.png", "a fish", *SMALL],
    "mask": ["mask", "a.png", "a fish"],
    "replay": ["replay", "a.png"],
    "resume": ["resume", "run"],
    "figures": ["figures", "list"],
    "models": ["models", "list"],
    "bench": ["bench", "--rounds", "1"],
    "studio": ["studio", "--no-browser", "--port", "0"],
    "train": ["train", "perceptor"],
}


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS.keys())
def test_in_every_command(tmp_path, arguments):
    """When the command itself begins, and again while that is answered."""
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    hook = """
import os, signal, typer.core
class Now(typer.core.TyperGroup):
    pass
before = typer.core.TyperCommand.invoke
def invoke(self, ctx):
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)
    return before(self, ctx)
typer.core.TyperCommand.invoke = invoke
"""
    assert ends_in_one_line(launch(tmp_path, *arguments, hook=hook), tmp_path) == (
        "gouache: interrupted\n"
    )


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_while_painting_everything_is_saved(tmp_path, number):
    process = launch(tmp_path, *LONG)
    wait_for(tmp_path / "run" / "steps" / "00002.png", process)
    process.send_signal(number)
    err = ends_in_one_line(process, tmp_path)
    assert "gouache resume run" in err.splitlines()[-1]
    assert (tmp_path / "a-fish.png").exists()


SAVING = """
import os, signal
from PIL import Image
before = Image.Image.save
def save(self, path, *more, **others):
    with open(path, "wb") as file:
        file.write(b"half")
    if "run" in sys.argv:
        os.kill(os.getpid(), signal.{})
    return before(self, path, *more, **others)
Image.Image.save = save
"""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_second_one_while_saving(tmp_path, number):
    """The first by the first step's picture; the second comes while the result is written."""
    process = launch(tmp_path, *LONG, hook=SAVING.format(number))
    err = ends_in_one_line(process, tmp_path)
    assert err.splitlines()[-1] == "gouache: interrupted"
    assert not (tmp_path / "a-fish.png").exists()


def test_a_first_one_after_everything_is_written(tmp_path):
    hook = """
import os, signal, atexit
atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))
"""
    process = launch(tmp_path, "--version", hook=hook)
    assert ends_in_one_line(process, tmp_path) == "gouache: interrupted\n"


def test_what_nohup_ignores_stays_ignored(tmp_path):
    hook = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    process = launch(tmp_path, *LONG, hook=hook)
    wait_for(tmp_path / "run" / "steps" / "00001.png", process)
    process.send_signal(signal.SIGHUP)
    wait_for(tmp_path / "run" / "steps" / "00004.png", process)
    process.send_signal(signal.SIGINT)
    ends_in_one_line(process, tmp_path)


def test_a_script_of_an_earlier_version(tmp_path):
    program = [
        sys.executable,
        "-c",
        "from gouache.apps.cli import main; main.entry()",
        "--version",
    ]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, check=False, env=os.environ)
    assert done.returncode == 0
