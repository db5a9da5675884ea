"""What published perceptors do with a picture before they look at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.errors import ModelError
from gouache.ops.codes import clamp_with_grad
from gouache.weights.saving import PlainConfig

Resample = Literal["nearest", "bilinear", "bicubic"]
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Preprocessing(PlainConfig):
    """Size, resampling, mean and standard deviation (of values in [0,1]) that a model expects.

    "crop" brings the short side to `short_side` (0: to `size`), "squash" both sides; the middle of
    that is taken. Cutouts have the right size already and are only normalised. Wrong values raise
    `ModelError`.
    """

    size: int
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD
    resample: Resample = "bicubic"
    fit: Literal["crop", "squash"] = "crop"
    short_side: int = 0

    def __post_init__(self) -> None:
        sides = (self.size, self.short_side or self.size)
        if not all(isinstance(side, int) and 1 <= side <= 8192 for side in sides):
            raise ModelError(f"its pictures have {self.size!r:.40} pixels; expected 1 to 8192")
        if sides[1] < self.size:
            raise ModelError(f"it crops {self.size} pixels out of {sides[1]}; expected fewer")
        if not all(len(values) == 3 for values in (self.mean, self.std)) or min(self.std) <= 0:
            raise ModelError(
                f"its mean is {self.mean!r:.60} and its standard deviation {self.std!r:.60}; "
                "expected three numbers each, for red, green and blue"
            )
        if self.resample not in ("nearest", "bilinear", "bicubic"):
            raise ModelError(f"its resampling is {self.resample!r:.40}; expected bicubic")
        if self.fit not in ("crop", "squash"):
            raise ModelError(f"it fits pictures by {self.fit!r:.40}; expected crop or squash")

    def __call__(self, image: Tensor) -> Tensor:
        """(N,3,H,W) in [0,1] -> (N,3,size,size), normalised, float32. Differentiable."""
        if image.shape[-2:] != (self.size, self.size):
            image = self._fitted(image)
        # In float32 whatever the autocast state: a mean is added to small numbers.
        mean, std = (
            torch.tensor(values, device=image.device).view(3, 1, 1)
            for values in (self.mean, self.std)
        )
        return (image.float() - mean) / std

    def _fitted(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        short = self.short_side or self.size
        target = (short, short)
        if self.fit == "crop":
            # Rounded down, as everybody does.
            long = int(short * max(height, width) / min(height, width))
            target = (short, long) if height <= width else (long, short)
        if self.resample == "nearest":
            image = F.interpolate(image, target, mode="nearest")
        elif target != (height, width):
            image = F.interpolate(image, target, mode=self.resample, antialias=True)
            # A picture file holds nothing outside [0,1], where cubic filters overshoot.
            image = clamp_with_grad(image, 0.0, 1.0)
        top, left = ((side - self.size) // 2 for side in target)
        return image[..., top : top + self.size, left : left + self.size]


__all__ = ["CLIP_MEAN", "CLIP_STD", "Preprocessing", "Resample"]
