"""Prompts with places on the command line: all that tells or repeats a run carries them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gouache.output.pictures import read_metadata
from small import SMALL

PLACED = "a red apple @left | a blue cup:0.5 @0.5,0,1,0.75"


def pixels(path: str) -> Any:
    return np.asarray(Image.open(path))


@pytest.fixture
def painted(gouache: Any) -> Any:
    return json.loads(gouache(PLACED, "--json", *SMALL, "--out", "a.png").out)


def test_json_and_info_tell_places(gouache: Any, painted: Any) -> None:
    assert painted["prompt"] == read_metadata("a.png")["prompt"] == PLACED
    assert PLACED in gouache("info", "a.png").out


def test_replay_paints_them_where_they_were(gouache: Any, painted: Any) -> None:
    gouache("replay", "a.png", "--out", "b.png")
    assert read_metadata("b.png")["prompt"] == PLACED
    assert np.array_equal(pixels("a.png"), pixels("b.png"))


def test_a_settings_file_keeps_them(gouache: Any, painted: Any) -> None:
    Path("c.json").write_text(gouache(PLACED, "--dry-run", *SMALL).out)
    assert json.loads(Path("c.json").read_text())["prompt"] == PLACED
    gouache("paint", "--config", "c.json", "-q", "--out", "c.png")
    assert np.array_equal(pixels("a.png"), pixels("c.png"))
    gouache("a red apple | a blue cup:0.5", "-q", *SMALL, "--out", "d.png")
    assert not np.array_equal(pixels("a.png"), pixels("d.png"))
