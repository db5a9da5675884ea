"""What keeps the colours of something drawn: of its low frequencies alone.

Diffusion models are held by a reference's low-pass part in the same way (ILVR, Choi et al. 2021,
arXiv 2108.02938). A pull on the latent does not do it: codes that decode to other colours lie
nearer than codes of the same colour and another texture (docs/studio.md).
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
    name: str = "held"

    def __call__(self, context: LossContext) -> Tensor:
        """(B,)."""
        weight = F.avg_pool2d(self.weight, BLOCK, ceil_mode=True)
        apart = F.avg_pool2d(self.weight * (context.image - self.target), BLOCK, ceil_mode=True)
        square = apart.square().sum(1, keepdim=True) / weight.clamp_min(_LEAST)
        return square.flatten(1).mean(1)


__all__ = ["BLOCK", "HeldColours"]
