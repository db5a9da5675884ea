"""Colours: naming, changing, and names that follow."""

from __future__ import annotations

import numpy as np
import pytest

from gouache_training.colors import (
    COLOR_NAMES,
    COLOR_RGB,
    color_indices,
    dominant_color,
    hue_matrix,
    jittered,
    name_has_color,
    recolor_name,
    tint_matrix,
)


def test_typical_colors_have_their_own_names() -> None:
    assert color_indices(COLOR_RGB).tolist() == list(range(len(COLOR_NAMES)))


def test_most_jittered_shades_keep_their_names() -> None:
    index = np.repeat(np.arange(len(COLOR_NAMES)), 200)
    shades = jittered(index, np.random.default_rng(0))
    assert (color_indices(shades) == index).mean() > 0.9


def test_whole_turns_change_nothing_and_greys_stay() -> None:
    whole = hue_matrix(np.array([0.0, 1.0]))
    np.testing.assert_allclose(whole, np.broadcast_to(np.eye(3), (2, 3, 3)), atol=1e-5)
    third = hue_matrix(np.array([1 / 3]))[0]
    np.testing.assert_allclose(third @ np.array([1, 0, 0]), [0, 1, 0], atol=1e-5)
    np.testing.assert_allclose(third @ np.full(3, 0.5), np.full(3, 0.5), atol=1e-6)


def pixels(*colors: tuple[float, float, float, float]) -> np.ndarray:
    return np.array([colors], np.float32)


def test_dominant_color_needs_a_majority() -> None:
    red, blue = (0.86, 0.1, 0.1, 1.0), (0.15, 0.35, 0.85, 1.0)
    assert dominant_color(pixels(red, red, blue))[0] == COLOR_NAMES.index("red")
    assert dominant_color(pixels(red, blue))[0] == -1
    assert dominant_color(pixels(red, (0.0, 0.0, 0.0, 0.0)))[0] == COLOR_NAMES.index("red")


def test_outlines_do_not_make_a_thing_black() -> None:
    red, black = (0.86, 0.1, 0.1, 1.0), (0.0, 0.0, 0.0, 1.0)
    assert dominant_color(pixels(red, red, black, black))[0] == COLOR_NAMES.index("red")


def test_tint_gives_the_color_its_name() -> None:
    matrix = tint_matrix(COLOR_RGB)
    gray = np.array([0.8, 0.8, 0.8, 1.0])
    named = color_indices(matrix @ gray)
    wrong = [COLOR_NAMES[i] for i in range(len(COLOR_NAMES)) if named[i] != i]
    assert set(wrong) <= {"white", "yellow", "pink"}  # these are named after what is seen


@pytest.mark.parametrize(
    ("name", "color", "expected"),
    [
        ("red apple", "blue", "blue apple"),
        ("red apple", None, "apple"),
        ("apple", "blue", "blue apple"),
        ("big red apple", "blue", "big blue apple"),
        ("orange", "blue", "blue orange"),  # the fruit
        ("red panda", "blue", None),
        ("red and blue ball", "green", None),
    ],
)
def test_names_follow_the_color(name: str, color: str | None, expected: str | None) -> None:
    assert recolor_name(name, color) == expected


def test_a_fruit_is_not_a_color_word() -> None:
    assert name_has_color("red apple")
    assert not name_has_color("orange")
