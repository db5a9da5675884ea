"""Figures paint, edit and score with the models, precision and compiling that were asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

from gouache.figures import masked
from gouache.figures.making import Made
from gouache.figures.painters import Painters
from gouache.figures.recipe import Cell, Order, Recipe
from gouache.generators import generators
from gouache.networks import compiling
from gouache.perceptors import perceptors
from tiny import TinyGenerator, TinyPerceptor

Make = Callable[..., Made]
ORDER = Order(prompts=("a cat on a mat | a cat | a dog",))


class Banked(TinyPerceptor):
    """Half precision is noted; without it, weights that were made ready for it fail."""

    loads = 0

    def __init__(self) -> None:
        super().__init__(bank_size=4)
        self.dtype = torch.float32
        Banked.loads += 1

    def prepare(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def embed_image(self, image: torch.Tensor) -> torch.Tensor:
        if self.dtype != torch.float32:
            assert torch.is_autocast_enabled("cpu")
            assert torch.get_autocast_dtype("cpu") == self.dtype
        return super().embed_image(image)


@pytest.fixture(autouse=True)
def banked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    loaded: list[str] = []

    def generator(device: Any, dtype: Any) -> TinyGenerator:
        loaded.append("generator")
        return TinyGenerator()

    monkeypatch.setitem(generators._references, "tiny", generator)
    monkeypatch.setitem(perceptors._references, "tiny", lambda device: Banked())
    Banked.loads = 0
    return loaded


def test_figure_18_edits_with_the_figures_models(painted: Make, banked: list[str]) -> None:
    made = painted(masked.MASKED_EDITING, ORDER, precision="bf16", latent="quantized")
    assert made.painted == 3
    assert banked == ["generator"]
    assert Banked.loads == 1
    entries = json.loads(made.record.read_text())["pictures"]
    for entry in entries[1:]:
        assert entry["tells"]["generator"] == TinyGenerator.fingerprint
        assert entry["tells"]["settings"]["precision"] == "bf16"
    assert painted(masked.MASKED_EDITING, ORDER, precision="bf16", latent="quantized").painted == 0
    assert painted(masked.MASKED_EDITING, ORDER, precision="fp32", latent="quantized").painted == 3


def test_figures_compile_as_painting_does(painted: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def quick(function: Any, **options: Any) -> Any:
        names.append(function.__name__)
        return function

    monkeypatch.setattr(compiling, "missing", lambda device: "")
    monkeypatch.setitem(compiling.AUTO_STEPS, "cpu", 1)
    monkeypatch.setattr(torch, "compile", quick)
    cells = [Cell(prompt, prompt, "picture") for prompt in ("a cat", "a dog")]
    painted(Recipe("15", "t", lambda order: cells), compile="auto")
    assert sorted(names) == ["decode", "embed_image"]  # once for both


def test_guides_score_in_the_precision_that_they_were_loaded_in() -> None:
    given = {
        "generator": "tiny", "perceptor": "tiny", "size": (32, 24), "steps": 1, "num_cutouts": 2,
        "start": "random", "start_tries": 1, "start_steps": 0, "templates": False,
        "precision": "bf16",
    }  # fmt: skip
    done = Painters("pocket", given, "").paint(Cell("a cat"), 0, None)
    assert set(done.scores) == {"guide"}
