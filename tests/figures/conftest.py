"""Figures painted with tiny models, which are registered under the name "tiny"."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gouache.figures.making import Made, make
from gouache.figures.painters import Painters
from gouache.figures.recipe import Order, Recipe
from gouache.generators import generators
from gouache.perceptors import perceptors
from tiny import TinyGenerator, TinyPerceptor

TINY: dict[str, Any] = {
    "generator": "tiny",
    "perceptor": "tiny",
    "size": (32, 24),
    "steps": 3,
    "num_cutouts": 4,
    "start": "random",
    "start_tries": 1,
    "start_steps": 0,
    "start_scale": 1.0,
    "templates": False,
}


@pytest.fixture(autouse=True)
def _tiny_models(monkeypatch: pytest.MonkeyPatch) -> None:
    generators.names(), perceptors.names()  # scanned, so that nothing is added later
    monkeypatch.setitem(generators._references, "tiny", lambda device, dtype: TinyGenerator())
    monkeypatch.setitem(perceptors._references, "tiny", lambda device: TinyPerceptor())
    monkeypatch.setitem(perceptors._references, "other", lambda device: TinyPerceptor(seed=9))


@pytest.fixture
def painted(tmp_path: Path) -> Callable[..., Made]:
    """Makes a figure with tiny models: painted(recipe, seeds=..., judge=..., steps=4)."""

    def call(
        recipe: Recipe,
        order: Order = Order(),  # noqa: B008
        out: Path | None = None,
        seeds: tuple[int, ...] = (0,),
        judge: str = "other",
        tries: int = 5,
        tell: Callable[[str], object] = lambda line: None,
        **given: Any,
    ) -> Made:
        painters = Painters(order.world, {**TINY, **given}, judge, tries)
        return make(recipe, order, painters, out or tmp_path / "figure", seeds, tell)

    return call
