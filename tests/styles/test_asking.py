"""Which style and what weather a prompt asks for."""

from __future__ import annotations

import pytest

from gouache.styles import examples, find_style, find_weather, known_styles, without_weather
from gouache.styles.asking import NAMES
from gouache.styles.filters import STYLES
from gouache.styles.weather import WEATHER


@pytest.mark.parametrize(
    ("text", "style", "content"),
    [
        ("a mosaic of a fish", "mosaic", "a fish"),
        ("A Watercolour painting of  a rose", "watercolor", "a rose"),
        ("a lighthouse at dusk, watercolour", "watercolor", "a lighthouse at dusk"),
        ("a red apple, pixel art, detailed", "pixel art", "a red apple, detailed"),
        ("a ship in stained glass", "stained glass", "a ship"),
        ("a cat drawn in chalk on a blackboard", "chalk", "a cat"),
        ("a neon owl", "neon", "an owl"),
        ("the low-poly fox", "low poly", "the fox"),
        ("an old photo of a car", "sepia", "a car"),
        ("watercolor", "watercolor", ""),
        ("stained glass window", "stained glass", ""),
    ],
)
def test_a_style_and_what_is_left(text: str, style: str, content: str) -> None:
    found = find_style(text)
    assert found is not None
    assert (found.style, found.content) == (style, content)


@pytest.mark.parametrize(
    "text",
    [
        *("a house", "mosaic", "a black and white cat", "a glass vase", "a painting of a house"),
        *("a pencil", "a pencil and a ruler", "a box with dots", "a charcoal grill", "", "in"),
        *("a silhouettes", "an oil lamp", "neon", "a poster on pop music"),
    ],
)
def test_what_names_no_style(text: str) -> None:
    assert find_style(text) is None


def test_every_style_but_blur_is_known_by_its_captions() -> None:
    """What `pocket` learned a style's name from is understood, but for words of other things."""
    assert set(NAMES) == {style.name for style in STYLES} - {"blurry"}
    assert known_styles() == tuple(style.name for style in STYLES if style.name != "blurry")
    missed = []
    for style in STYLES:
        for template in style.templates if style.name in NAMES else ():
            asked = find_style(template.format(a="a fish", n="fish"))
            if asked is None or asked.style != style.name:
                missed.append(template)
    assert missed == [
        *("{n} sketch", "{a} in black and white", "a grayscale {n}", "a painting of {a}"),
        *("{n} silhouette", "the shadow of {a}", "a comic book {n}"),
        *("an impressionist painting of {a}", "{a} painted with dots"),
    ]


def test_each_example_asks_for_what_it_is_an_example_of() -> None:
    for name, text in examples().items():
        style = find_style(text)
        assert [*find_weather(text), *([style.style] if style else [])] == [name]
    assert {*examples()} == {*NAMES, *WEATHER}


@pytest.mark.parametrize(
    ("text", "weather"),
    [
        ("a tree in the snow", ("snow",)),
        ("a car on the road in the rain", ("rain",)),
        ("a ship at sea in a storm", ("storm",)),
        ("a bridge over a river in fog", ("fog",)),
        ("a fish under water", ("under water",)),
        ("a cottage under a rainbow in the snow", ("snow", "rainbow")),
        ("a windmill in a field of flowers", ("flowers",)),
        ("a snowman", ()),
        ("rainforest", ()),
        ("a stormtrooper", ()),
    ],
)
def test_weather(text: str, weather: tuple[str, ...]) -> None:
    assert find_weather(text) == weather
    assert set(weather) <= set(WEATHER)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a snowman in the snow", "a snowman"),
        ("a boat, in a storm, oil painting", "a boat, oil painting"),
        ("a house in the snow at night", "a house at night"),
        ("a cat under a rainbow in the rain", "a cat"),
        ("A Crow On A Snowy Hill", "A Crow"),
        ("snowy hills", "snowy hills"),
        ("a misty forest in winter", "a misty forest"),
        ("in the snow", "in the snow"),
        ("a snowman", "a snowman"),
        ("", ""),
    ],
)
def test_weather_is_taken_from_behind_the_thing(text: str, left: str) -> None:
    assert without_weather(text) == left
