"""`--perceptor` on the command line: files, several with weights, metadata, replay and resume."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gouache.output.pictures import read_metadata
from gouache.weights.fingerprint import fingerprint
from perceptors.clip_samples import archive, write_merges
from small import SIZED, SMALL


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    write_merges(folder)
    return Path(shutil.copy(archive("vit"), folder / "clip.pt"))


def pixels(name: str) -> Any:
    return np.asarray(Image.open(name))


def test_a_published_clip_guides(gouache, clip):
    result = gouache("a red apple", "-q", *SIZED, "--perceptor", clip, "--out", "x.png")
    assert (result.code, result.err) == (0, "")
    metadata = read_metadata(Path("x.png"))
    assert metadata["perceptors"] == [
        {"name": "./clip.pt", "fingerprint": fingerprint(clip), "weight": 1.0}
    ]
    assert metadata["config"]["guidance"]["contrast_weight"] == 0.0  # the preset of published ones


def test_several_with_weights_replay_and_resume(gouache, clip, dies_at):
    both = ["--perceptor", "pocket", "--perceptor", f"{clip}:0.5"]
    run = ["a red apple", "-q", *SIZED, *both]
    assert gouache(*run, "--out", "x.png").code == 0
    metadata = read_metadata(Path("x.png"))
    assert metadata["config"]["perceptor"] == ["pocket", "./clip.pt:0.5"]
    assert metadata["config"]["guidance"]["contrast_weight"] > 0  # the preset of the first
    assert [(m["name"], m["weight"]) for m in metadata["perceptors"]] == [
        ("pocket", 1.0), ("./clip.pt", 0.5),
    ]  # fmt: skip
    assert "weight 0.5" in gouache("info", "x.png").out

    replayed = gouache("replay", "x.png", "-q", "--out", "again.png")
    assert replayed.code == 2
    assert f"clip.pt (sha256 {fingerprint(clip)[:12]})" in replayed.err
    assert "--perceptor PATH" in replayed.err
    named = ["--perceptor", clip]
    replayed = gouache("replay", "x.png", "-q", "--out", "again.png", *named)
    assert (replayed.code, replayed.err) == (0, "")
    assert np.array_equal(pixels("again.png"), pixels("x.png"))

    assert gouache("a red apple", "-q", *SMALL, "--out", "alone.png").code == 0
    # So few steps may not change a single code; what they were scored by differs for certain.
    assert read_metadata(Path("alone.png"))["losses"] != metadata["losses"]

    dies_at(2, *run, "--out", "resumed.png", "--run-dir", "run", "--save-every", "1")
    assert gouache("resume", "run", "-q").code == 0
    assert np.array_equal(pixels("resumed.png"), pixels("x.png"))


def test_a_list_in_a_settings_file(gouache, clip):
    Path("c.yaml").write_text(f"perceptor:\n  - pocket\n  - '{clip}:0.5'\n")
    shown = json.loads(gouache("x", "--config", "c.yaml", "--dry-run").out)
    assert shown["perceptor"] == ["pocket", f"{clip}:0.5"]
    given = gouache("x", "--config", "c.yaml", "--perceptor", "referee", "--dry-run")
    assert json.loads(given.out)["perceptor"] == ["referee"]
    Path("c.yaml").write_text("perceptor: referee\n")
    assert json.loads(gouache("x", "--config", "c.yaml", "--dry-run").out)["perceptor"] == [
        "referee"
    ]


def test_pictures_from_before_there_were_several_replay(gouache, monkeypatch):
    """Their metadata has the name as a plain text."""
    assert gouache("a fish", "-q", *SMALL, "--out", "x.png").code == 0
    metadata = read_metadata(Path("x.png"))
    metadata["config"]["perceptor"] = "pocket"
    monkeypatch.setattr("gouache.output.pictures.read_metadata", lambda path: metadata)
    assert gouache("replay", "x.png", "-q", "--out", "again.png").code == 0
    assert np.array_equal(pixels("again.png"), pixels("x.png"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["pokcet"], "did you mean pocket"),
        (["pocket:0"], "the weight of the perceptor 'pocket' is 0"),
        (["pocket:-1"], "expected a positive number"),
        (["pocket", "pocket:2"], "given twice"),
        (["nowhere/clip.pt"], "check the path"),
        ([""], "expected NAME or NAME:WEIGHT"),
    ],
)
def test_mistakes_are_one_line(gouache, given, message):
    options = [part for name in given for part in ("--perceptor", name)]
    result = gouache("a fish", "-q", *SIZED, *options)
    assert result.code == 2
    assert message in result.err
    assert result.err.count("\n") == 1
    assert not list(Path().glob("*.png"))


def test_what_was_cut_off_is_shown(gouache, clip):
    prompt = "red apple " * 40 + "castle"
    result = gouache(prompt, "-q", *SIZED, "--perceptor", clip, "--out", "x.png")
    assert result.code == 0
    assert "reads 75 tokens of 8" in result.err
    assert "cut off: 'apple red apple red apple castle'" in result.err
    assert result.err.count("\n") == 1


def test_shipped_models_need_no_other_package(tmp_path: Path) -> None:
    """Neither is imported: painting starts at once, and works where they are not installed."""
    program = (
        "import sys\n"
        "from gouache.apps.cli.main import run\n"
        f"code = run(['a fish', '-q', '--out', 'x.png', *{SMALL!r}])\n"
        "foreign = {'transformers', 'huggingface_hub', 'open_clip', 'httpx2', 'torchvision'}\n"
        "print(code, sorted(foreign & set(sys.modules)))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "GOUACHE_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines()[-1] == "0 []"
    assert (tmp_path / "x.png").is_file()
