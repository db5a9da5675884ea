"""A value that the shell has split is no prompt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gouache.apps.cli import arguments as module
from gouache.apps.cli.main import app

SPLIT = {
    "--size 128x128": ["a fish", "--size", "128", "128"],
    "--size 64x96": ["a fish", "--size", "64", "x", "96"],
    "--size 64x97": ["a", "fish", "--size", "64x", "97"],
    "--size 64x98": ["--size", "64", "x98", "a fish"],
    "--size 64x99": ["--size=64", "99", "--steps", "3", "a fish"],
    "--size 32x33": ["--size", "32", "33"],
    "--steps 100,200": ["a fish ^ a bird", "--steps", "100", "200"],
    "--steps 100,201": ["a fish ^ a bird", "--steps", "100,", "201"],
    "--image-prompt red.png:2": ["a fish", "--image-prompt", "red.png", "2"],
    "--seed takes one": ["a fish", "--seed", "5", "6"],
    "--count takes one": ["a fish", "--count", "2", "3"],
    "--seed takes": ["--seed", "5", "6", "--count", "2", "3"],
    "--size 16x17": ["edit", "a.png", "a fish", "--size", "16", "17"],
    "--seeds 0,1,2": ["figures", "12", "--seeds", "0", "1", "2"],
}


@pytest.mark.parametrize(("form", "arguments"), SPLIT.items(), ids=SPLIT.keys())
def test_a_split_value_is_refused_with_the_right_form(gouache, tmp_path, form, arguments):
    result = gouache(*arguments)
    assert result.code == 2
    assert form in result.err
    assert len(result.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "prompt"),
    [
        (["128", "--size", "64x64"], "128"),
        (["the", "year", "1984", "--size", "64x64"], "the year 1984"),
        (["--seed", "5", "1984"], "1984"),
        (["--size", "64x64", "a fish", "--seed", "5"], "a fish"),
        (["--size", "64x64", "-q", "12"], "12"),
        (["a fish", "--size", "64x64"], "a fish"),
        (["--size", "64x64", "7 fishes"], "7 fishes"),
        (["--size", "64x64", "--", "7"], "7"),
    ],
)
def test_numbers_are_words_where_they_can_be(gouache, arguments, prompt):
    result = (
        gouache(*arguments, "--dry-run")
        if "--" not in arguments
        else gouache("--dry-run", *arguments)
    )
    assert result.code == 0, result.err
    assert json.loads(result.out)["prompt"] == prompt


def test_every_command_that_takes_words_looks(gouache):
    looking = {c.name for c in app.registered_commands if c.cls is module.OneWordValues}
    assert looking == {"paint", "edit", "figures", "four", "vary", "evolve", "video"}
    assert not Path("figures").exists()
