"""The command line with the guides that nobody asked for by name: `pocket` and `photo`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gouache.output.pictures import read_metadata
from gouache.settings.config import PaintConfig, make_config

SMALL = ["--size", "48x32", "--steps", "2", "--num-cutouts", "3"]
FAST = [*SMALL, "--start-steps", "1"]
ONE = [*FAST, "--start-tries", "1"]  # start, where starts do not matter
HOPE = "effervescent hope"
NOTE = f"gouache: note: photo does not know '{HOPE}'; pocket guides there alone"


def pixels(name: str | Path) -> np.ndarray:
    return np.asarray(Image.open(name))


def test_both_guide_unless_one_is_named(gouache):
    result = gouache("a castle", "-q", *FAST, "--out", "x.png")
    assert (result.code, result.err) == (0, "")
    told = read_metadata(Path("x.png"))
    assert [one["name"] for one in told["perceptors"]] == ["pocket", "photo"]
    expected = make_config(prompt="a castle", size="48x32", steps=2, num_cutouts=3, start_steps=1)
    assert PaintConfig.from_dict(told["config"]) == expected
    shown = dict(line.split(maxsplit=1) for line in gouache("info", "x.png").out.splitlines())
    assert shown["perceptor"].startswith("photo ")  # as the last of its name
    named = [part for guide in make_config().perceptor for part in ("--perceptor", guide)]
    assert gouache("a castle", "-q", *FAST, *named, "--out", "y.png").code == 0
    assert np.array_equal(pixels("x.png"), pixels("y.png"))
    assert gouache("a castle", "-q", *FAST, "--perceptor", "pocket", "--out", "z.png").code == 0
    assert not np.array_equal(pixels("x.png"), pixels("z.png"))


def test_a_picture_is_replayed_and_read_as_settings(gouache):
    assert gouache("a castle", "-q", *FAST, "--out", "x.png").code == 0
    assert gouache("replay", "x.png", "-q", "--out", "again.png").code == 0
    assert gouache("paint", "-q", "--config", "x.png", "--out", "read.png").code == 0
    assert np.array_equal(pixels("x.png"), pixels("again.png"))
    assert np.array_equal(pixels("x.png"), pixels("read.png"))


@pytest.mark.parametrize("killed_at", [0, 1])
def test_killed_at_any_step(gouache, dies_at, killed_at):
    """A picture of the batch is known to both, the other to one of them only."""
    run = ["a castle", HOPE, "-q", *ONE, "--save-every", "1"]
    whole = gouache(*run, "--out", "whole.png")
    assert (whole.code, whole.err.splitlines()) == (0, [NOTE])
    dies_at(killed_at, *run, "--out", "x.png", "--run-dir", "run")
    result = gouache("resume", "run", "-q")
    assert (result.code, result.err) == (0, "")
    for number in (1, 2):
        assert np.array_equal(pixels(f"x-{number}.png"), pixels(f"whole-{number}.png"))


def test_many_unknown_prompts_are_one_note(gouache):
    prompts = [HOPE, "a castle", "inner peace and joy", "deep sorrow", "the passing of time"]
    result = gouache(*prompts, "--json", *ONE, "--steps", "1", "--out", "x.png")
    assert (result.code, len(result.err.splitlines())) == (0, 1)
    assert len(json.loads(result.out)["out"]) == 5
    assert result.err.startswith(f"gouache: note: photo does not know '{HOPE}', ")
    assert "castle" not in result.err
    assert result.err.endswith("pocket guides there alone\n")
    assert len(result.err) < 300
    staged = gouache(f"{HOPE} ^ {HOPE}:2 | a castle", "-q", *ONE, "--steps", "1", "--out", "y.png")
    assert (staged.code, staged.err.splitlines()) == (0, [NOTE])


def test_words_of_another_language_are_told_once_of_both(gouache):
    result = gouache("a castle \u82f9\u679c", "-q", *ONE, "--steps", "1", "--out", "x.png")
    assert result.code == 0
    assert "the guides pocket and photo do not know '\u82f9\u679c'; write it" in result.err
    refused = gouache("\u82f9\u679c", *FAST)
    assert (refused.code, len(refused.err.splitlines())) == (2, 1)
    assert "the guides pocket and photo know no word of" in refused.err


def dry(gouache, *options):
    result = gouache("x", *options, "--dry-run")
    assert (result.code, result.err) == (0, "")
    return PaintConfig.from_dict(json.loads(result.out))


def test_presets_by_name_and_by_themselves(gouache):
    assert dry(gouache) == dry(gouache, "--preset", "photo") == make_config(prompt="x")
    pocket = dry(gouache, "--preset", "pocket")
    assert pocket == dry(gouache, "--perceptor", "pocket") == make_config("pocket", prompt="x")
    assert pocket.size == (128, 128)
    for text in ("perceptor: pocket\n", "preset: pocket\n", "perceptor: [pocket]\n"):
        Path("c.yaml").write_text(text)
        assert dry(gouache, "--config", "c.yaml") == pocket
    Path("c.yaml").write_text("steps: 7\n")
    assert dry(gouache, "--config", "c.yaml") == make_config(prompt="x", steps=7)
    told = gouache("paint", "--help").out
    assert "auto, paper, photo, pocket" in " ".join(told.split())
    assert "pocket + photo" in " ".join(told.split())


def test_edits_and_masks_are_led_by_pocket(gouache):
    """Until somebody names others."""
    Image.fromarray(np.full((32, 48, 3), 200, np.uint8)).save("a.png")
    edit = ["edit", "a.png", "a red apple", "-q", *SMALL, "--steps", "1"]
    for more, names in (
        ([], ["pocket"]),
        (["--preset", "pocket"], ["pocket"]),
        (["--preset", "photo"], ["pocket", "photo"]),
        (["--perceptor", "pocket", "--perceptor", "photo:0.5"], ["pocket", "photo"]),
    ):
        assert gouache(*edit, *more, "--out", "b.png").code == 0
        told = read_metadata(Path("b.png"))
        assert [one["name"] for one in told["perceptors"]] == names, more
        assert told["config"]["latents"]["latent"] == "quantized"


def test_figures_of_the_shipped_world_have_the_default_guides(gouache):
    result = gouache("figures", "cutouts", "a", "red", "fish", "--out", "c", *SMALL, "--steps", "1")
    assert result.code == 0
    told = json.loads(Path("c/figure.json").read_text())
    assert told["config"]["perceptor"] == ["pocket", "photo"]
    assert told["config"]["latents"]["start_tries"] == 3
