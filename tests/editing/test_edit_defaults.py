"""Which settings an edit has that nobody gave: its own guide, whatever guides pictures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gouache.editing import edit
from gouache.editing.config import DEFAULTS, painting_config
from gouache.engine import Guide
from gouache.perceptors import load_perceptor
from gouache.settings.config import PaintConfig, make_config
from tiny import TinyGenerator, TinyPerceptor

OWN = {
    "latent": "quantized", "smooth": 0.0, "sharpen": 0.0, "levels": 0.0, "cut_size": 0,
    "layout": "off", "style_weight": 0.0,
}  # fmt: skip


def test_edits_are_what_they_were_before_two_guided_by_default() -> None:
    config = painting_config("auto", {"prompt": "x"})
    assert config == make_config("pocket", prompt="x", latent="quantized", scale=4)
    assert config == painting_config("pocket", {"prompt": "x"})
    assert config.perceptor == DEFAULTS["perceptor"]


@pytest.mark.parametrize(
    ("preset", "given", "expected"),
    [
        ("photo", {}, make_config(scale=1, **OWN)),
        ("paper", {}, make_config("paper", latent="quantized")),
        (
            "auto",
            {"perceptor": ["pocket", "photo"]},
            make_config(scale=4, **OWN),
        ),
        ("auto", {"perceptor": "x", "latent": "multiscale"}, None),
    ],
)
def test_what_is_named_decides(preset: str, given: dict[str, Any], expected: Any) -> None:
    if expected is None:
        expected = make_config("paper", **given, scale=4)
    if "perceptor" in given and preset == "auto" and given["perceptor"] != "x":
        expected = expected.updated(perceptor=given["perceptor"])
    assert painting_config(preset, given) == expected


def test_an_edit_is_drawn_large_unless_its_size_is_somebody_elses() -> None:
    """A composite has its source's size; who gives a size means that of the finished picture."""
    assert painting_config("auto", {"prompt": "x"}).scale == 4
    assert painting_config("auto", {"prompt": "x"}, drawn=False).scale == 1
    for given in ({"size": "64x64"}, {"generator": "imagenet"}, {"scale": 2}):
        assert painting_config("auto", given).scale == given.get("scale", 1)


@pytest.mark.parametrize(
    ("perceptor", "named"),
    [
        (None, ["pocket"]),
        ("photo", ["photo"]),
        (["pocket", "photo:0.5"], ["pocket", "photo:0.5"]),
        (lambda: load_perceptor("pocket"), ["pocket"]),
        (lambda: [Guide(load_perceptor("photo"), 2.0)], ["photo:2.0"]),
        (TinyPerceptor, ["pocket"]),
    ],
)
def test_one_call_with_names_or_objects(
    perceptor: Any, named: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[PaintConfig] = []
    module = sys.modules[edit.__module__]
    monkeypatch.setattr(module, "start", lambda plan, config, **others: asked.append(config))
    monkeypatch.setattr(module, "finish_edit", lambda editing: editing)
    given = perceptor() if callable(perceptor) else perceptor
    picture = Image.new("RGB", (32, 24), "red")
    edit(picture, "x", perceptor=given, generator=TinyGenerator(), steps=3)
    assert asked == [make_config(prompt="x", perceptor=named, scale=1, steps=3, **OWN)]
