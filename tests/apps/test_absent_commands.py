"""Commands that the installed package does not have say where they are, and paint nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gouache.apps.cli.main import run

INSTALLED = """
import sys
sys.modules["gouache_training"] = sys.modules["gouache_bench"] = None  # the wheel alone
from gouache.apps.cli.main import run
sys.exit(run(sys.argv[1:]))
"""


def installed(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", INSTALLED, *arguments]
    return subprocess.run(program, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments", [["train"], ["train", "export", "--out", "x"], ["bench", "--help"]]
)
def test_a_command_of_the_repository_is_told_and_not_painted(
    arguments: list[str], tmp_path: Path
) -> None:
    done = installed(*arguments, folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "in a clone of the repository run: " in done.stderr
    assert f"gouache paint {arguments[0]}" in done.stderr
    assert not [*tmp_path.iterdir()]


def test_training_is_listed_where_it_is(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    absent = installed("--help", folder=tmp_path).stdout
    for name in ("train", "bench"):
        assert f"  {name} " in shown
        assert f"  {name} " not in absent
