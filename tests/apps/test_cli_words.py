"""Prompts in languages that the guide does not know, on the command line."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from small import SMALL

APPLE, PEAR = "\u82f9\u679c", "\u68a8"


@pytest.mark.parametrize("prompt", [APPLE, f"a red apple | {APPLE}", f"a red apple ^ {APPLE}"])
def test_a_wish_without_a_known_word_is_refused(gouache, tmp_path, prompt):
    result = gouache(prompt, *SMALL)
    assert result.code == 2
    assert result.err.splitlines() == [
        f"gouache: the guide pocket knows no word of '{APPLE}'; write it in English, or choose a "
        "guide that knows its language, for example --perceptor siglip2-b-16"
    ]
    assert not list(tmp_path.iterdir())


def test_unknown_words_are_told_once(gouache):
    result = gouache(f"a red {APPLE} | a {PEAR}:0 ^ a blue {PEAR}", "-q", *SMALL, "--out", "x.png")
    assert result.code == 0
    assert result.err.splitlines() == [
        f"gouache: note: the guide pocket does not know '{APPLE}', '{PEAR}'; write it in English"
    ]


def test_a_part_that_is_switched_off_may_be_unknown(gouache):
    result = gouache(f"a red apple | {PEAR}:0", "-q", *SMALL, "--out", "x.png")
    assert (result.code, result.err) == (0, "")


def test_phrases_of_masks_and_edits_too(gouache):
    Image.fromarray(np.full((32, 32, 3), 200, np.uint8)).save("a.png")
    for command in (
        ["mask", "a.png", APPLE],
        ["edit", "a.png", "--replace", APPLE, "--with", "a pear"],
        ["edit", "a.png", "--from", APPLE, "--to", "a pear"],
        ["edit", "a.png", "--from", "an apple", "--to", PEAR],
    ):
        result = gouache(*command, "--out", "b.png")
        assert (result.code, "knows no word of" in result.err) == (2, True), command
        assert len(result.err.splitlines()) == 1


def test_relative_edits_read_the_grammar(gouache):
    Image.fromarray(np.full((32, 32, 3), 200, np.uint8)).save("a.png")
    pixels = []
    for prompt, more in (
        ("a green apple", []),
        ("a green apple:2 | a pear", []),
        ("a green apple", ["--no-templates"]),
    ):
        edit = ["edit", "a.png", "--from", "a red apple", "--to", prompt, "--size", "32x32"]
        short = ["--steps", "3", "--num-cutouts", "3", "--learning-rate", "0.5"]
        result = gouache(*edit, *short, "-q", "--out", "b.png", *more)
        assert (result.code, result.err) == (0, "")
        pixels.append(np.asarray(Image.open("b.png")))
    assert not np.array_equal(pixels[0], pixels[1])
    assert not np.array_equal(pixels[0], pixels[2])
    wrong = ["edit", "a.png", "--from", "a red apple", "--to", "a pear ^ night"]
    result = gouache(*wrong, "--out", "c.png")
    assert (result.code, "has one stage" in result.err) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["a", "--image-prompt", "https://a.b/c.png:0.5"],
        ["--image-prompt", "https://a.b/c.png"],
        ["a ship", "--init-image", "https://a.b/c.png"],
        ["edit", "https://a.b/c.png", "a"],
        ["mask", "https://a.b/c.png", "a"],
        ["a", "--config", "https://a.b/c.png"],
    ],
)
def test_addresses_are_not_fetched_and_that_is_said(gouache, arguments):
    result = gouache(*arguments)
    assert (result.code, result.err) == (
        2,
        "gouache: https://a.b/c.png is an address, and those are not fetched; "
        "download it and give the file\n",
    )
