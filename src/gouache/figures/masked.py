"""Figure 18: masked edits (appendix H.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gouache.figures.recipe import editing_recipe
from gouache.figures.words import WORDS

if TYPE_CHECKING:
    from PIL.Image import Image

    from gouache.networks.models import Models
    from gouache.settings.config import PaintConfig

STEPS = 100


def _mask(picture: Image, source: str, config: PaintConfig, models: Models) -> Image:
    from gouache.editing import EditConfig
    from gouache.editing.editor import find, make_plan

    mask = find(make_plan(picture, EditConfig(min_score=0.0), replace=source), models)
    assert mask is not None
    return mask.to_pil()


def _edit(
    picture: Image, source: str, target: str, seed: int, config: PaintConfig, models: Models
) -> Image:
    from gouache.editing import EditConfig
    from gouache.editing.editor import finish_edit, make_plan, start

    plan = make_plan(picture, EditConfig(composite=True, min_score=0.0), replace=source)
    return finish_edit(start(plan, config, sized=True, models=models)).image


MASKED_EDITING = editing_recipe(
    {name: world.edits for name, world in WORDS.items()},
    _mask,
    _edit,
    {"composite": True},
    defaults={"steps": STEPS, "latent": "quantized"},
    with_models=True,
)

__all__ = ["MASKED_EDITING"]
