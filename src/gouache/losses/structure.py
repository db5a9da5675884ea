"""What keeps an edited picture near its source (VQGAN-CLIP, appendix H.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from gouache.losses.prompt import now, spherical_distance
from gouache.protocols import LossContext, SourceViews
from gouache.settings.schedule import Number

_LEAST = 1e-3  # share of a cutout outside the mask below which it is not counted


@dataclass(frozen=True)
class StructureLoss:
    """`weight * factor / strength` * mean distance of each cutout to the same one of the source.

    Cutouts count by their share outside the mask, so that what is replaced may change; without a
    mask all count alike. The sum is divided by the number of cutouts, not by these shares: with
    nothing but mask in view there is nothing to keep.
    """

    scope: ClassVar[str] = "cutouts"

    weight: float
    masked: bool = False
    factor: Number = 1.0
    strength: Number = 1.0
    name: str = "structure"

    def __call__(self, context: LossContext) -> Tensor:
        """(B,)."""
        source = _source(context)
        apart = spherical_distance(context.embeddings, source.embeddings)  # (N,B)
        if self.masked:
            outside = 1 - source.inside
            apart = apart * outside.where(outside > _LEAST, 0.0)
        weight = self.weight * now(self.factor, context) / now(self.strength, context)
        return weight * apart.mean(0)


@dataclass(frozen=True)
class DirectionLoss:
    """Distance of each cutout to the same cutout of the source, moved in the text's direction.

    `direction` (1,D) is the target phrase's unit vector less the source phrase's, unscaled, and
    `strength` its factor: the relative edit of Open-Edit (Liu et al. 2020, arXiv 2008.01576). What
    the two phrases have in common cancels out, so only their difference moves the picture.
    """

    scope: ClassVar[str] = "cutouts"

    direction: Tensor = field(repr=False)
    strength: Number = 1.0
    weight: float = 1.0
    name: str = "direction"

    def __call__(self, context: LossContext) -> Tensor:
        """(B,)."""
        moved = _source(context).embeddings + now(self.strength, context) * self.direction
        target = F.normalize(moved, dim=-1)
        return self.weight * spherical_distance(context.embeddings, target).mean(0)


def _source(context: LossContext) -> SourceViews:
    assert context.source is not None, "this loss is for edits: the objective has no source"
    return context.source


__all__ = ["DirectionLoss", "StructureLoss"]
