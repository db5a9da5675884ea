"""Drawn scenes that move, and the flow that is true of them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def texture(seed: int, height: int, width: int, grain: int = 8) -> Tensor:
    """Coloured clouds, (3,height,width) in [0,1]."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, height // grain + 2, width // grain + 2, generator=rng)
    return F.interpolate(coarse, (height, width), mode="bicubic")[0].clamp(0, 1)


def pan(number: int, speed: int, side: int = 96) -> Tensor:
    """Frame `number` of a view that goes to the right over clouds."""
    left = number * speed
    return texture(1, side, side + 200)[:, :, left : left + side]


def thing(number: int, speed: int = 6, side: int = 96) -> tuple[Tensor, Tensor]:
    """Frame of a square that moves to the right over still clouds, and where the square is."""
    frame, mask = texture(2, side, side).clone(), torch.zeros(side, side, dtype=torch.bool)
    left = 10 + number * speed
    mask[30:62, left : left + 32] = True
    frame[:, 30:62, left : left + 32] = texture(3, 32, 32) * 0.5 + torch.tensor(
        [0.5, 0.0, 0.0]
    ).view(3, 1, 1)
    return frame, mask
