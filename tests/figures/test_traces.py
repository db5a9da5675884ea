"""A figure's record tells pictures by name and sum: another one of that name is another cell."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from gouache.figures.painters import Painters
from gouache.figures.recipe import Cell


def test_an_init_image_is_told_without_its_path(tmp_path: Path) -> None:
    path = tmp_path / "sea.png"
    painters = Painters("pocket", {"init_image": str(path)}, "")
    told = []
    for color in ("blue", "red"):
        Image.new("RGB", (20, 20), color).save(path)
        told.append(painters.tells(Cell("a fish"), 0))
    assert str(tmp_path) not in json.dumps(told)
    assert told[0]["inputs"][0]["name"] == "sea.png"
    assert told[0] != told[1]
