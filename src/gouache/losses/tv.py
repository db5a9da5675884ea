"""Total variation: the differences between neighbouring pixels (Rudin, Osher and Fatemi 1992)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from gouache.losses.prompt import now
from gouache.protocols import LossContext
from gouache.settings.schedule import Number


@dataclass(frozen=True)
class TotalVariationLoss:
    """`weight` * mean absolute difference to the right and lower neighbour; smooths the picture."""

    scope: ClassVar[str] = "picture"

    weight: Number
    name: str = "tv"

    def __call__(self, context: LossContext) -> Tensor:
        """(B,). A picture one pixel wide has no right neighbours, which counts as no difference."""
        image = context.image
        across = image.diff(dim=3).abs().flatten(1).sum(1)
        down = image.diff(dim=2).abs().flatten(1).sum(1)
        return now(self.weight, context) * (across + down) / image[0].numel()


__all__ = ["TotalVariationLoss"]
