"""Prompts of the single pictures of a batch, as settings."""

from __future__ import annotations

import re

import pytest

from gouache.errors import ConfigError
from gouache.prompts import MAX_PROMPT_CHARS
from gouache.settings.config import MAX_COUNT, PaintConfig, make_config


def test_without_a_count_each_prompt_is_a_picture() -> None:
    assert make_config(prompts=["a", "b", "c"]).count == 3
    assert make_config(prompts=["a", "b"], count=5).count == 5
    assert make_config(prompts="a").count == 1
    assert make_config(prompt="a").count == make_config(prompt="a", prompts=[]).count == 1


def test_pictures_take_them_in_turn() -> None:
    config = make_config(prompts=["a", "b"], count=5)
    assert [config.prompt_of(picture) for picture in range(5)] == ["a", "b", "a", "b", "a"]
    assert config.title == "a / b"
    one = make_config(prompt="a", count=2)
    assert [one.prompt_of(picture) for picture in range(2)] == [one.title] * 2 == ["a", "a"]


def test_they_survive_files() -> None:
    config = make_config(prompts=["a | b:-1", "c"], count=4)
    assert PaintConfig.from_dict(config.to_dict()) == config
    assert config.to_dict()["prompt"] == ["a | b:-1", "c"]
    one = make_config(prompt="a | b:-1")
    assert PaintConfig.from_dict(one.to_dict()) == one
    assert one.to_dict()["prompt"] == "a | b:-1"


def test_records_of_earlier_versions_have_two_settings() -> None:
    for prompt, prompts, expected in (
        ("a", [], ("a",)),
        ("", ["a", "b"], ("a", "b")),
        ("", ["a"], ("a",)),
        ("", [], ()),
    ):
        found = PaintConfig.from_dict({"prompt": prompt, "prompts": prompts, "count": 2})
        assert found.prompt == expected
        assert found == PaintConfig(prompt=expected, count=2)


def test_one_text_is_one_prompt() -> None:
    made = (PaintConfig(prompt="a"), make_config(prompt="a"), make_config(prompts="a"))  # type: ignore[arg-type]
    assert [config.prompt for config in made] == [("a",)] * 3
    assert made[1].updated(prompt="b").prompt == ("b",)
    assert make_config(prompt="").prompt == make_config().prompt == ()
    several = make_config(prompt=["a", "b"])
    assert (several, several.count) == (make_config(prompts=["a", "b"]), 2)
    assert several.updated(prompt="c").title == "c"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"prompt": "a", "prompts": ["b"]}, "both prompt and prompts are given"),
        ({"prompts": ["a", "b", "c"], "count": 2}, "count is 2 and there are 3 prompts"),
        ({"prompts": ["a", "b" * (MAX_PROMPT_CHARS + 1)]}, "prompt 2 has 20,001 characters"),
        ({"prompts": ["a"] * (MAX_COUNT + 1)}, "257 prompts are given; at most 256"),
        ({"noise_prompts": ["1"] * 257}, "257 noise prompts are given; at most 256"),
        ({"image_prompts": ["a"] * 257}, "257 image prompts are given; at most 256"),
        ({"prompts": [1, 2]}, "expected a list of texts"),
        ({"prompts": {"a": "b"}}, "expected a list of texts"),
    ],
)
def test_what_cannot_be(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as error:
        make_config(**values)
    assert "\n" not in str(error.value)


def test_the_longest_prompts_are_possible() -> None:
    config = make_config(prompts=["a" * MAX_PROMPT_CHARS] * MAX_COUNT)
    assert config.count == MAX_COUNT
