"""The measure of relative edits: its tasks, and what it takes for a change and for structure."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageOps

from gouache_bench.relative import (
    SIDE,
    STAYS,
    TASKS,
    row,
    same_edges,
    source_of,
    table,
    unrelated,
)

STEP = {"done": True, "gain": 0.1, "edges": 0.8, "features": 0.5, "stays": 20.0}


def test_six_of_each_kind_and_each_but_once() -> None:
    assert Counter(task.kind for task in TASKS) == dict.fromkeys(STAYS, 6)
    assert len({(task.scene, task.side, task.new) for task in TASKS}) == len(TASKS)


@pytest.mark.parametrize("number", range(0, len(TASKS), 5))
def test_a_source_shows_its_thing_and_ground(number: int) -> None:
    picture, where = source_of(TASKS[number])
    assert (picture.size, where.shape) == ((SIDE, SIDE), (SIDE, SIDE))
    assert 0.1 < where.mean() < 0.9
    assert where[SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4].mean() > 0.2


def test_edges_know_structure_and_no_colour() -> None:
    picture, _ = source_of(TASKS[0])
    other, _ = source_of(TASKS[7])
    red, green, blue = picture.split()
    assert same_edges(picture, picture) == pytest.approx(1)
    assert same_edges(picture, ImageOps.invert(picture)) == pytest.approx(1)
    moved = Image.fromarray(np.roll(np.asarray(picture), 24, axis=1))
    turned = same_edges(picture, Image.merge("RGB", (blue, red, green)))
    assert turned > 0.6 > max(same_edges(picture, other), same_edges(picture, moved))


def test_the_floor_is_another_thing() -> None:
    for number, task in enumerate(TASKS):
        other = TASKS[unrelated(number)]
        assert (other.scene, other.side) != (task.scene, task.side)


def test_shares_and_means_have_intervals() -> None:
    found = [STEP, STEP | {"done": False, "gain": -0.1, "stays": None}]
    told = row("all", found)  # of two values: Student's, one degree of freedom
    assert told.startswith("| all | 1 of 2, 0.500 [0.095, 0.905] | +0.000 [-1.271, +1.271] |")
    assert row("all", found).endswith("| 20.0 dB |")
    lines = table({"relative": [STEP] * 6, "no edit": [STEP] * 6}, ["style"]).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| style", "| all, relative", "| all, no edit",
    ]  # fmt: skip
