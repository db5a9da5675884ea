"""How perceptors are written in settings: one or several, with weights."""

from __future__ import annotations

import pytest

from gouache.config import PaintConfig, make_config, parse_perceptor
from gouache.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "name", "weight"),
    [
        ("pocket", "pocket", 1.0),
        ("pocket:0.5", "pocket", 0.5),
        ("pocket: 2 ", "pocket", 2.0),
        ("B:1e-3", "B", 0.001),
        ("google/siglip2-base-patch16-224", "google/siglip2-base-patch16-224", 1.0),
        ("open_clip:ViT-B-32/openai", "open_clip:ViT-B-32/openai", 1.0),
        ("open_clip:ViT-B-32/openai:0.25", "open_clip:ViT-B-32/openai", 0.25),
        ("open_clip:hf-hub:a/b", "open_clip:hf-hub:a/b", 1.0),
        (r"C:\models\clip.pt", r"C:\models\clip.pt", 1.0),
        (r"C:\models\clip.pt:3", r"C:\models\clip.pt", 3.0),
        ("a:nan", "a:nan", 1.0),
        ("a:inf", "a:inf", 1.0),
        ("a:1_0", "a:1_0", 1.0),
        ("a:", "a:", 1.0),
    ],
)
def test_the_weight_is_what_follows_the_last_colon(text: str, name: str, weight: float) -> None:
    assert parse_perceptor(text) == (name, weight)


@pytest.mark.parametrize("text", ["", " ", ":0.5", "a:0", "a:-1", "a:1e7"])
def test_what_is_no_perceptor_is_one_line(text: str) -> None:
    with pytest.raises(ConfigError) as error:
        PaintConfig(perceptor=(text,))
    assert "\n" not in str(error.value)


def test_one_name_or_a_list() -> None:
    """Settings stored before there were several hold a plain text."""
    for stored in ("pocket", ["pocket"], ("pocket",)):
        assert PaintConfig.from_dict({"perceptor": stored}) == PaintConfig()
    several = PaintConfig.from_dict({"perceptor": ["pocket", "referee:0.5"]})
    assert several.guides == (("pocket", 1.0), ("referee", 0.5))
    assert PaintConfig.from_dict(several.to_dict()) == several


@pytest.mark.parametrize("wrong", [(), ("a", "b:2", "a:0.5"), ["a", 3], 3, None, {"a": 0.5}])
def test_wrong_lists_are_one_line(wrong: object) -> None:
    with pytest.raises(ConfigError) as error:
        make_config(perceptor=wrong)
    assert "\n" not in str(error.value)


def test_the_preset_follows_the_first_perceptor() -> None:
    pocket = make_config()
    paper = make_config(preset="paper")
    for first in ("pocket", "pocket:0.5", ["pocket:2", "clip-vit-b-32"], ("pocket",)):
        assert make_config(perceptor=first).cutouts == pocket.cutouts, first
    for first in ("clip-vit-b-32", ["clip-vit-b-32:0.5", "pocket"], "open_clip:ViT-B-32/openai"):
        assert make_config(perceptor=first).cutouts == paper.cutouts, first
        assert make_config(perceptor=first).guidance == paper.guidance, first
