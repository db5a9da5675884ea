"""Pictures smoothed: plainly, and with their edges kept."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def box_mean(values: Tensor, radius: int) -> Tensor:
    """Mean over squares of 2 * `radius` + 1 pixels of (B,C,H,W); separable, the border repeated."""
    width, height = (min(radius, side - 1) for side in (values.shape[3], values.shape[2]))
    for kernel, pad in (
        ((1, 2 * width + 1), (width, width, 0, 0)),
        ((2 * height + 1, 1), (0, 0, height, height)),
    ):
        values = F.avg_pool2d(F.pad(values, pad, mode="replicate"), kernel, 1)
    return values


def evened(image: Tensor, radius: int, texture: float) -> Tensor:
    """Texture fainter than `texture` smoothed away; edges stay (He et al. 2010, guided filter).

    Around each pixel the picture is fitted by a linear function of itself, which is its mean where
    it changes little. The same function serves all three channels, so that edges keep their hue.

    Args:
        image: (B,3,H,W) in [0,1].
        radius: of the surroundings, in pixels.
        texture: standard deviation, in shares of full brightness, of which half is left; above 0.

    Returns:
        (B,3,H,W), up to rounding between the least and the greatest of the surroundings.
    """
    mean = box_mean(image, radius)
    variance = (box_mean(image.square(), radius) - mean.square()).mean(1, keepdim=True).clamp(min=0)
    kept = variance / (variance + texture**2)
    level = mean * (1 - kept)
    return box_mean(kept, radius) * image + box_mean(level, radius)


__all__ = ["box_mean", "evened"]
