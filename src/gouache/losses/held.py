"""What keeps something drawn near to how it was drawn: its colours, and its shapes.

Colours are held by low frequencies alone, as diffusion models are by those of a reference (ILVR,
Choi et al. 2021, arXiv 2108.02938), and shapes by the codes. Each alone does worse: mean colours
let a disc become a square, and codes of paler colours lie near the drawn ones (docs/studio.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from gouache.protocols import LossContext

BLOCK = 16  # pixels a side of the squares whose mean colours are held; finer is the words' matter
_LEAST = 1e-6  # of weight in a square, below which nothing is held there


@dataclass(frozen=True)
class HeldColours:
    """Squared distance of mean colours in squares of `BLOCK` pixels, by the weight of each pixel.

    target: (B,3,H,W) in [0,1]. weight: (B,1,H,W), 0 where nothing is held. The mean is over the
    whole picture, so that a pixel is held as strongly in a small patch as in a large one.
    """

    scope: ClassVar[str] = "picture"

    target: Tensor = field(repr=False)
    weight: Tensor = field(repr=False)
    name: str = "held/colours"

    def __call__(self, context: LossContext) -> Tensor:
        """(B,)."""
        weight = F.avg_pool2d(self.weight, BLOCK, ceil_mode=True)
        apart = F.avg_pool2d(self.weight * (context.image - self.target), BLOCK, ceil_mode=True)
        square = apart.square().sum(1, keepdim=True) / weight.clamp_min(_LEAST)
        return square.flatten(1).mean(1)


@dataclass(frozen=True)
class HeldShapes:
    """`mean(weight/2 * (z - target)^2)`, over all cells as in `SteppedLoss`.

    target: (B,code_dim,h,w), what was drawn, encoded. weight: (B,1,h,w), 0 where nothing is held.
    """

    scope: ClassVar[str] = "picture"

    target: Tensor = field(repr=False)
    weight: Tensor = field(repr=False)
    name: str = "held/shapes"

    def __call__(self, context: LossContext) -> Tensor:
        """(B,)."""
        apart = (context.latent - self.target).square()
        return (self.weight / 2 * apart).flatten(1).mean(1)


__all__ = ["BLOCK", "HeldColours", "HeldShapes"]
