"""What files tell of the pictures before them: bounded, and of any document only what is ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gouache.inputs import inputs_of
from gouache.output.lineage import GENERATIONS, kept, lineage_of
from gouache.output.pictures import read_metadata, save_picture
from gouache.settings.config import PaintConfig


def generations(lineage: Any) -> int:
    if lineage is None:
        return 0
    return 1 + max((generations(one.get("lineage")) for one in lineage["parents"]), default=0)


def test_a_long_line_of_pictures_stays_short(tmp_path: Path) -> None:
    path = tmp_path / "0.png"
    save_picture(Image.new("RGB", (4, 4)), path, {})
    for number in range(1, GENERATIONS + 4):
        config = PaintConfig().updated(init_image=str(path), cross_image=str(path))
        lineage = lineage_of(config, inputs_of(config))
        assert generations(lineage) == min(number, GENERATIONS)
        path = tmp_path / f"{number}.png"
        save_picture(Image.new("RGB", (4, 4)), path, {"lineage": lineage})
        assert read_metadata(path)["lineage"] == lineage
        assert str(tmp_path).encode() not in path.read_bytes()


@pytest.mark.parametrize("lineage", [None, 3, "vary", [], [{}], True])
def test_what_is_no_lineage(lineage: Any) -> None:
    assert kept(lineage) is None


def test_of_another_document_only_what_is_ours_is_kept() -> None:
    parent = {"name": "/home/me/a.png", "sha256": 7, "secret": "x", "lineage": {"parents": 3}}
    told = {"how": ["vary"], "strength": "much", "parents": [parent, None, 3, {}, {}], "more": 1}
    none = {"how": "", "strength": 0.0, "parents": []}
    first = {"name": "a.png", "sha256": "7", "lineage": none}
    assert kept(told) == {"how": "['vary']", "strength": 0.0, "parents": [first, {}]}
