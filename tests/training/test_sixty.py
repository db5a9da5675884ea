"""The sixty prompts by several painters: what is painted, chosen, measured and told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from gouache_bench.sixty import Painter, chosen, measured, painted, table


@dataclass(frozen=True)
class Ask:
    group: str
    prompt: str


ASKED = (Ask("colours", "red"), Ask("colours", "green"), Ask("others", "blue"))
COLOURS = {"red": (200, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 200)}


class Eye:
    """A perceptor of three colours."""

    name, fingerprint, image_size, embed_dim, bank = "eye", "", 8, 3, None

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        return torch.eye(3)[[list(COLOURS).index(text) for text in texts]]

    def embed_image(self, image: Tensor) -> Tensor:
        return torch.nn.functional.normalize(image.mean((2, 3)), dim=1)


def plain(colour: tuple[int, int, int], file: Path) -> Path:
    Image.new("RGB", (16, 16), colour).save(file)
    return file


def test_what_is_there_is_not_painted_again(tmp_path: Path) -> None:
    asked_for = []

    def find(name: str) -> Painter:
        assert name == "mine"

        def paint(prompt: str, seed: int) -> Image.Image:
            asked_for.append((prompt, seed))
            return Image.new("RGB", (16, 16), COLOURS[prompt])

        return paint

    plain((9, 9, 9), tmp_path / "01-1.png")
    files, seconds = painted("mine", range(2), tmp_path, ASKED, find)
    assert [file.name for row in files for file in row] == [
        *("00-0.png", "00-1.png", "01-0.png", "01-1.png", "02-0.png", "02-1.png")
    ]
    assert asked_for == [("red", 0), ("red", 1), ("green", 0), ("blue", 0), ("blue", 1)]
    assert seconds >= 0
    assert Image.open(files[1][1]).getpixel((0, 0)) == (9, 9, 9)
    again, seconds = painted("mine", range(2), tmp_path, ASKED, find)
    assert (again, len(asked_for)) == (files, 5)
    assert math.isnan(seconds)


def test_the_guide_chooses_and_the_referee_measures(tmp_path: Path) -> None:
    mixed = plain((200, 90, 0), tmp_path / "mixed.png")
    files = [[mixed, plain(COLOURS["red"], tmp_path / "red.png")], [mixed], [mixed]]
    best = chosen(files, Eye(), ASKED)
    assert [file.name for file in best] == ["red.png", "mixed.png", "mixed.png"]
    found = measured(best, Eye(), ASKED)
    assert [one["rank"] for one in found] == [0, 1, 2]
    cosines = [one["cosine"] for one in found]
    assert cosines == pytest.approx([1, 90 / (200**2 + 90**2) ** 0.5, 0], abs=1e-3)


def test_a_row_for_each_painter_with_intervals_and_the_difference_from_the_first() -> None:
    ours = [{"rank": rank, "cosine": cosine} for rank, cosine in ((0, 0.4), (5, 0.4), (4, 0.1))]
    theirs = [one | {"rank": 0, "cosine": one["cosine"] - 0.1} for one in ours]
    lines = table({"ours": ours, "theirs": theirs}, ASKED).splitlines()
    assert lines[2].startswith("| ours | 1 of 3, 33% (6%-79%) | 2 of 3, 67% (21%-94%) | 0.300 [")
    assert lines[2].endswith("|  | 1 of 2 | 0 of 1 |")
    assert "| -0.100 [-0.100, -0.100] | 2 of 2 | 1 of 1 |" in lines[3]
