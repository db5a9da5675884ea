"""Whatever goes wrong: one clear line, exit code 2, no traceback, nothing overwritten."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from PIL import Image

from small import SMALL

KEPT = b"somebody's picture"

BAD = {
    "empty prompt": [""],
    "white space": [" \t\n "],
    "no prompt": ["paint"],
    "long prompt": ["a" * 100_000],
    "unbalanced escape": ["apple\\"],
    "empty part": ["a | | b"],
    "weight nan": ["apple:nan"],
    "weight inf": ["apple:inf"],
    "size 0": ["x", "--size", "0x32"],
    "negative size": ["x", "--size=-32x32"],
    "malformed size": ["x", "--size", "big"],
    "absurd size": ["x", "--size", "100000x100000"],
    "too many pixels": ["x", "--size", "8000x8000"],
    "no steps": ["x", "--steps", "0"],
    "negative steps": ["x", "--steps=-5"],
    "steps of no stage": ["x ^ y", "--steps", "3,4,5"],
    "steps are words": ["x", "--steps", "many"],
    "missing image": ["x", "--init-image", "nowhere.png"],
    "image is a folder": ["x", "--init-image", "."],
    "image is text": ["x", "--init-image", "notes.txt"],
    "image is cut off": ["x", "--init-image", "cut.png"],
    "image prompt missing": ["--image-prompt", "nowhere.png:1"],
    "noise prompt": ["--noise-prompt", "soon:1"],
    "no folder": ["x", "--out", "nowhere/x.png"],
    "out is a folder": ["x", "--out", "folder.png"],
    "out is no picture": ["x", "--out", "x.txt"],
    "film is no film": ["x", "--timelapse", "x.avi"],
    "unknown generator": ["x", "--generator", "pockets"],
    "unknown perceptor": ["x", "--perceptor", "clap"],
    "unknown latent": ["x", "--latent", "quantised"],
    "unknown optimiser": ["x", "--optimizer", "Adan"],
    "unknown preset": ["x", "--preset", "papers"],
    "unknown option": ["x", "--stepz", "3"],
    "unknown augmentation": ["x", "--augment", "flips"],
    "unknown device": ["x", "--device", "tpu"],
    "config missing": ["x", "--config", "nowhere.yaml"],
    "config unknown key": ["x", "--config", "unknown.yaml"],
    "config is a list": ["x", "--config", "list.yaml"],
    "config is not yaml": ["x", "--config", "broken.yaml"],
    "replay without settings": ["replay", "plain.png"],
    "replay of text": ["replay", "notes.txt"],
    "info of nothing": ["info", "nowhere.png"],
    "resume of nothing": ["resume", "nowhere"],
    "resume of a damaged run": ["resume", "damaged"],
    "one of the prompts is empty": ["a fish", "", "a tree"],
    "one of the prompts is blank": ["a fish", " "],
    "a mistake in the third prompt": ["a fish", "a tree", "a house | night:nan"],
    "one of the prompts is too long": ["a fish", "tree " * 5000],
    "prompts of other numbers of stages": ["a fish", "a tree ^ snow"],
    "more prompts than pictures": ["a fish", "a tree", "a house", "--count", "2"],
    "more prompts than are possible": ["a fish"] * 257,
    "a prompt without weight": ["a fish", "a tree:0"],
    "prompt and prompts": ["--config", "both.yaml"],
    "prompts are numbers": ["--config", "numbers.json"],
    "negative learning rate": ["x", "--learning-rate=-1"],
    "learning rate nan": ["x", "--learning-rate", "nan"],
}


@pytest.fixture
def files(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "unknown.yaml").write_text("stepz: 3")
    (tmp_path / "both.yaml").write_text("prompt: a\nprompts: [b, c]")
    (tmp_path / "numbers.json").write_text('{"prompts": [1, 2]}')
    (tmp_path / "list.yaml").write_text("- 3")
    (tmp_path / "broken.yaml").write_text("a: [")
    Image.new("RGB", (64, 64), "blue").save(tmp_path / "plain.png")
    whole = (tmp_path / "plain.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "settings.json").write_text(json.dumps({"outputs": 3}))
    (tmp_path / "x.png").write_bytes(KEPT)


@pytest.mark.parametrize("arguments", BAD.values(), ids=BAD.keys())
def test_bad_input(gouache, files, arguments):
    paints = arguments[0] not in ("replay", "info", "resume")
    extra = [part for part in SMALL if part not in arguments] if paints else []
    if "--size" in arguments or "--size=-32x32" in arguments:
        extra = ["--steps", "4"]
    elif any(a.startswith("--steps") for a in arguments):
        extra = ["--size", "32x32"]
    out = ["--out", "x.png"] if paints and "--out" not in arguments else []
    result = gouache(*arguments, *extra, *out)
    assert result.code == 2, result.err
    assert result.out == ""
    first, *rest = result.err.splitlines()
    assert first.startswith("gouache: ")
    assert "Traceback" not in result.err
    assert not rest or (len(rest) == 2 and rest[1].strip() == "^"), result.err
    assert Path("x.png").read_bytes() == KEPT


def test_nearest_names_are_offered(gouache, files):
    assert "pocket" in gouache("x", "--generator", "pockets").err
    assert "steps" in gouache("x", "--config", "unknown.yaml").err
    assert "Adam" in gouache("x", "--optimizer", "Adan").err


def test_a_caret_points_at_the_mistake(gouache):
    lines = gouache("apple | pear:nan").err.splitlines()
    assert lines[1][lines[2].index("^") :].startswith(("nan", "pear"))


def test_a_caret_points_into_the_prompt_with_the_mistake(gouache):
    message, text, caret = gouache("a fish", "a tree", "a house | night:nan").err.splitlines()
    assert message.startswith("gouache: prompt 3: ")
    assert text == "a house | night:nan"
    assert text[caret.index("^") :] == "nan"
    assert gouache("a fish", "a house | night:nan", "--dry-run").code == 2  # before anything slow


def test_1000_random_prompts(gouache):
    rng = random.Random(0)
    for _ in range(1000):
        raw = rng.randbytes(rng.randrange(1, 40))
        prompt = raw.decode("utf-8", rng.choice(["replace", "surrogateescape", "ignore"]))
        if prompt.startswith("-"):
            prompt = " " + prompt
        result = gouache("paint", prompt, "--dry-run")
        assert result.code in (0, 2)
        assert "Traceback" not in result.err
