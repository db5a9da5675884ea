"""What varies: braces, axes, seeds, rows. Whatever is written, it is read or refused in a line."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gouache.errors import ConfigError, GouacheError, PromptError
from gouache.sweeps.axes import (
    MAX_CELLS,
    combinations,
    expand,
    make_axis,
    read_axis,
    read_rows,
    read_seeds,
    together,
)


def test_braces_are_all_combinations() -> None:
    assert expand("a {red,blue} {castle,ship}") == [
        "a red castle",
        "a red ship",
        "a blue castle",
        "a blue ship",
    ]
    assert expand("a {,very }old tree:2 | night") == [
        "a old tree:2 | night",
        "a very old tree:2 | night",
    ]
    assert expand(r"\{a,b\}") == ["{a,b}"]
    assert expand("plain") == ["plain"]


@pytest.mark.parametrize(
    ("text", "position"),
    [("a {red castle", 2), ("a red} castle", 5), ("{a,{b,c}}", 3), ("a {red} castle", 2)],
)
def test_braces_that_are_wrong_are_pointed_at(text: str, position: int) -> None:
    with pytest.raises(PromptError) as caught:
        expand(text)
    assert caught.value.position == position


def test_seeds() -> None:
    assert read_seeds("0-3,12") == (0, 1, 2, 3, 12)
    for wrong in ("", "x", "3-1", "1,1", "0-3,2", "-1", "1.5", f"0-{MAX_CELLS}", "9" * 25):
        with pytest.raises(ConfigError):
            read_seeds(wrong)


def test_an_axis_reads_its_values_as_the_setting_does() -> None:
    assert read_axis("learning-rate=0.1, 0.2") == (
        "learning_rate",
        [{"learning_rate": 0.1}, {"learning_rate": 0.2}],
    )
    assert read_axis("steps=60;80,40")[1] == [{"steps": (60,)}, {"steps": (80, 40)}]
    assert read_axis("perceptor=pocket,pocket + photo:0.5")[1][1] == {
        "perceptor": ("pocket", "photo:0.5")
    }
    assert read_axis("preset=paper,photo")[1][0] == {"preset": "paper"}
    with pytest.raises(ConfigError, match="twice"):
        read_axis("learning_rate=0.1,0.10")
    with pytest.raises(ConfigError, match="learning_rate"):
        read_axis("learning_rates=0.1,0.2")
    with pytest.raises(ConfigError, match="--seeds"):
        read_axis("seed=1,2")


def test_axes_are_combined_or_go_together() -> None:
    one, other = make_axis("steps", [1, 2]), make_axis("learning_rate", [0.1, 0.2])
    assert len(list(combinations([one, other]))) == 4
    assert together([one, other]) == [
        {"steps": (1,), "learning_rate": 0.1},
        {"steps": (2,), "learning_rate": 0.2},
    ]
    with pytest.raises(ConfigError, match="same number"):
        together([one, make_axis("learning_rate", [0.1])])
    with pytest.raises(ConfigError, match="twice"):
        list(combinations([one, one]))
    with pytest.raises(ConfigError, match="cells"):
        combinations([range(1000), range(1000)])  # type: ignore[list-item]


def test_rows() -> None:
    rows = read_rows([{"prompt": "a star", "steps": "60"}, {"seed": "3", "steps": ""}])
    assert rows == [{"prompt": ("a star",), "steps": (60,)}, {"seed": 3}]
    for wrong in ([], [{}], [{"steps": ""}], [{"steps": 1}, {"steps": "1"}], [3], [{"count": 2}]):
        with pytest.raises(ConfigError):
            read_rows(wrong)  # type: ignore[arg-type]


MARKS = st.text(alphabet="{},\\;=-:|^ ab019.\n\0é", max_size=24)


@settings(max_examples=300, deadline=None)
@given(MARKS)
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    for read in (expand, read_axis, read_seeds):
        with contextlib.suppress(GouacheError):
            read(text)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=3), max_size=4))
def test_braces_multiply(groups: list[list[str]]) -> None:
    text = " ".join("{" + ",".join(group) + "}" for group in groups)
    number = 1
    for group in groups:
        number *= len(group)
    assert len(expand(text)) == number
