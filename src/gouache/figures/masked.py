"""Figure 18: masked edits (appendix H.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gouache.figures.recipe import editing_recipe
from gouache.figures.words import WORDS

if TYPE_CHECKING:
    from PIL.Image import Image

STEPS = 100


def _mask(picture: Image, source: str) -> Image:
    from gouache.editing import find_mask

    return find_mask(picture, source, min_score=0.0).to_pil()


def _edit(picture: Image, source: str, target: str, seed: int) -> Image:
    from gouache.editing import replace

    return replace(
        picture, source, target, seed=seed, steps=STEPS, composite=True, min_score=0.0
    ).image


MASKED_EDITING = editing_recipe(
    {name: world.edits for name, world in WORDS.items()},
    _mask,
    _edit,
    {"steps": STEPS, "composite": True},
)

__all__ = ["MASKED_EDITING"]
