"""How strongly pictures change from pixel to pixel."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def contrast(image: Tensor, wide: int = 1) -> Tensor:
    """Gradient magnitude of (B,C,H,W) over `wide` pixels, of the strongest channel: (B,1,H,W).

    Not to go back through: on even ground it has no gradient. `slope` has one everywhere.
    """
    return slope(image, wide).sqrt()


def slope(image: Tensor, wide: int = 1) -> Tensor:
    """The square of `contrast`, (B,1,H,W)."""
    right = F.pad(image[..., :, wide:] - image[..., :, :-wide], (0, wide, 0, 0))
    down = F.pad(image[..., wide:, :] - image[..., :-wide, :], (0, 0, 0, wide))
    return (right.square() + down.square()).amax(1, keepdim=True)


__all__ = ["contrast", "slope"]
