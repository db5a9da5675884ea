"""Several prompts on the command line: one picture each, in one batch."""

from __future__ import annotations

import csv
import json
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gouache.apps import runner
from gouache.apps.cli.paint import split_prompts
from gouache.apps.progress import Silent
from gouache.output.pictures import read_metadata
from small import SMALL

TWO = ["a red apple", "a blue fish | rain:-0.5"]


def pixels(path: str | Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def dry(gouache, *arguments: str):
    return json.loads(gouache(*arguments, "--dry-run").out)


@pytest.mark.parametrize("paint", [[], ["paint"]])
def test_each_prompt_is_a_picture(gouache, paint):
    result = gouache(*paint, *TWO, "-q", *SMALL)
    name = "a-red-apple-a-blue-fish-rain-0-5"
    assert result.out.split() == [f"{name}-1.png", f"{name}-2.png", f"{name}.png"]
    for number in range(2):
        record = read_metadata(f"{name}-{number + 1}.png")
        assert (record["prompt"], record["seed"]) == (TWO[number], number)
        assert Image.open(f"{name}-{number + 1}.png").info["Description"] == TWO[number]
        assert ("prompt/1" in record["losses"]) == bool(number)
    assert read_metadata(f"{name}.png")["prompt"] == " / ".join(TWO)


def test_with_a_count_the_pictures_take_them_in_turn(gouache):
    result = gouache(*TWO, "--json", *SMALL, "--count", "5", "--out", "x.png")
    document = json.loads(result.out)
    assert len(document["out"]) == len(document["scores"]) == 5
    assert document["prompts"] == TWO
    assert [value is None for value in document["losses"]["prompt/1"]] == [True, False] * 2 + [True]
    prompts = [read_metadata(f"x-{k + 1}.png")["prompt"] for k in range(5)]
    assert prompts == [*TWO, *TWO, TWO[0]]


def test_which_arguments_are_prompts_and_which_are_words(gouache):
    for words, expected in (
        (["a", "red", "apple"], ["a red apple"]),
        (["a red apple"], ["a red apple"]),
        (["apple", "fish"], ["apple fish"]),
        (["apple", "a fish"], ["apple", "a fish"]),
        (["apple ", "fish"], ["apple ", "fish"]),
        (["apple", ""], ["apple", ""]),
        ([""], [""]),
    ):
        assert split_prompts(words) == expected
    one = dry(gouache, "a", "red", "apple")
    assert (one["prompt"], one["count"]) == ("a red apple", 1)
    two = dry(gouache, "a red apple", "fish")
    assert (two["prompt"], two["count"]) == (["a red apple", "fish"], 2)


def test_one_prompt_is_painted_as_ever(gouache):
    gouache("a red apple", "-q", *SMALL, "--count", "2", "--out", "one.png")
    gouache("a red apple", "a red apple", "-q", *SMALL, "--out", "two.png")
    for ending in ("-1.png", "-2.png", ".png"):
        assert np.array_equal(pixels(f"one{ending}"), pixels(f"two{ending}"))


def test_settings_files(gouache):
    Path("c.yaml").write_text("prompts:\n  - a red apple\n  - a blue fish\nsteps: 9\n")
    found = dry(gouache, "paint", "--config", "c.yaml")
    assert (found["prompt"], found["count"]) == (["a red apple", "a blue fish"], 2)
    assert dry(gouache, "paint", "--config", "c.yaml", "--count", "4")["count"] == 4
    over = dry(gouache, "a tree", "--config", "c.yaml")  # arguments count more than files
    assert (over["prompt"], over["count"]) == ("a tree", 1)
    Path("d.json").write_text(json.dumps({**found, "count": 3}))
    again = dry(gouache, "paint", "--config", "d.json")
    assert (again["prompt"], again["count"]) == (found["prompt"], 3)
    Path("e.json").write_text(json.dumps({"prompt": "a tree"}))
    assert dry(gouache, *TWO, "--config", "e.json")["prompt"] == TWO


def test_replay_paints_that_very_picture_and_no_other(gouache):
    gouache(*TWO, "-q", *SMALL, "--count", "3", "--out", "f.png", "--seed", "5")
    for number in (1, 2, 3):
        result = gouache("replay", f"f-{number}.png", "-q", "--out", "again.png")
        assert (result.code, result.err, result.out.split()) == (0, "", ["again.png"])
        assert np.array_equal(pixels(f"f-{number}.png"), pixels("again.png"))
        assert read_metadata("again.png")["prompt"] == TWO[(number - 1) % 2]
    assert gouache("replay", "f-1.png", "-q").out.split() == ["a-red-apple.png"]


def test_info_shows_the_pictures_own_prompt(gouache):
    gouache(*TWO, "-q", *SMALL, "--out", "f.png")
    first, second, grid = (gouache("info", f"f{end}.png").out for end in ("-1", "-2", ""))
    assert TWO[0] in first
    assert TWO[1] not in first
    assert "loss prompt/1" not in first
    assert TWO[1] in second
    assert TWO[0] not in second
    assert "loss prompt/1" in second
    assert all(prompt in grid for prompt in TWO)


def test_run_folders_and_resume(gouache):
    settings = ["-q", *SMALL, "--save-every", "2"]
    gouache(*TWO, *settings, "--out", "x.png", "--run-dir", "run")
    run = Path("run")
    assert json.loads((run / "settings.json").read_text())["config"]["prompt"] == TWO
    for name, prompt in (("00002.png", TWO[0]), ("00002-1.png", TWO[1])):
        assert Image.open(run / "steps" / name).info["Description"] == prompt
    rows = list(csv.DictReader((run / "losses.csv").read_text().splitlines()))
    assert [row["picture"] for row in rows] == ["0", "1"] * 4
    assert [bool(row["prompt/1"]) for row in rows] == [False, True] * 4
    before = [pixels(f"x-{k}.png") for k in (1, 2)]
    for k in (1, 2):
        Path(f"x-{k}.png").unlink()
    assert gouache("resume", "run", "-q").code == 0
    assert all(np.array_equal(pixels(f"x-{k}.png"), before[k - 1]) for k in (1, 2))


def test_an_interrupted_run_ends_in_the_same_pixels(gouache, monkeypatch):
    gouache(*TWO, "-q", *SMALL, "--out", "whole.png")
    make = runner.make_progress

    class Interrupting(Silent):
        def __init__(self, quiet, preview):
            self.inner = make(quiet)

        def show(self, step):
            if step.index == 1:
                signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(runner, "make_progress", Interrupting)
        assert gouache(*TWO, *SMALL, "--out", "x.png").code == 130
    assert gouache("resume", "x.run", "-q").code == 0
    for number, prompt in enumerate(TWO, 1):
        assert np.array_equal(pixels(f"x-{number}.png"), pixels(f"whole-{number}.png"))
        assert read_metadata(f"x-{number}.png")["prompt"] == prompt


def test_long_prompts_and_pictographs(gouache):
    fish = "\N{TROPICAL FISH}"
    result = gouache("pear " * 2000, f"{fish} {fish}", "-q", *SMALL, "--out", "x.png")
    assert result.code == 0
    assert len(result.err.splitlines()) == 1  # what is cut off
    assert read_metadata("x-2.png")["prompt"] == f"{fish} {fish}"
