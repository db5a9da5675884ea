"""What is done to masks: thresholds, outlines by colour, growing, feathering, leaving out."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.ops.smoothing import box_mean

_CLUSTERS = 16  # colours
_ROUNDS = 3
_SOFTNESS = 0.12  # of the threshold, in [0,1], before colours are asked
_SURE = 1e-4


def normalized(values: Tensor) -> Tensor:
    """Any (H,W) -> [0,1]; all zero where nothing differs."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else torch.zeros_like(values)


def paper_threshold(grey: Tensor, deviations: float = 2.0) -> float:
    """Mean less so many standard deviations (appendix H.2)."""
    return float(grey.mean() - deviations * grey.std(correction=0))


def otsu_threshold(grey: Tensor) -> float:
    """The value that parts (H,W) into two classes of least variance within (Otsu 1979)."""
    values = grey.double().flatten().sort().values
    count = len(values)
    below = torch.arange(1, count, dtype=torch.float64)
    if not count > 1 or values[0] == values[-1]:
        return float(values[0])
    sums = values.cumsum(0)
    apart = sums[:-1] / below - (sums[-1] - sums[:-1]) / (count - below)
    best = int((below * (count - below) * apart.square()).argmax())
    return float((values[best] + values[best + 1]) / 2)


def outline(image: Tensor, grey: Tensor, threshold: float) -> Tensor:
    """Probability (H,W) of belonging to the thing, from coarse scores and the picture's colours.

    `image` is (1,3,H,W), `grey` (H,W) in [0,1]. Which colours are more frequent where the score is
    high than elsewhere is counted a few times over, and speaks along with the score: crops know
    where a thing is, colours where it ends.
    """
    height, width = grey.shape
    cluster = _clusters(image[0].flatten(1).T.float())
    prior = torch.sigmoid((grey - threshold) / _SOFTNESS).flatten().clamp(_SURE, 1 - _SURE)
    found = prior
    for _ in range(_ROUNDS):
        inside = torch.ones(_CLUSTERS).index_add_(0, cluster, found)
        outside = torch.ones(_CLUSTERS).index_add_(0, cluster, 1 - found)
        ratio = (inside / inside.sum() / (outside / outside.sum())).log()
        votes = box_mean(box_mean(ratio[cluster].view(1, 1, height, width), 1), 1)
        found = torch.sigmoid(votes.flatten() + torch.logit(prior))
    return found.view(height, width)


def without_specks(mask: Tensor, min_area: float) -> Tensor:
    """Boolean (H,W) without patches of fewer than `min_area` of all pixels, and such holes."""
    least = min_area * mask.numel()
    kept = _large_patches(mask, least)
    return ~_large_patches(~kept, least)


def grown(mask: Tensor, pixels: int) -> Tensor:
    """Boolean (H,W), wider by `pixels` to every side."""
    if not pixels:
        return mask
    side = 2 * pixels + 1
    values = mask[None, None].float()
    values = F.max_pool2d(values, (side, 1), 1, (pixels, 0))
    return F.max_pool2d(values, (1, side), 1, (0, pixels))[0, 0] > 0


def resized(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Boolean (H,W) at another size (width, height)."""
    values = F.interpolate(mask[None, None].float(), size[::-1], mode="bilinear")
    return values[0, 0] > 0.5


def feathered(mask: Tensor, pixels: int) -> Tensor:
    """Boolean (H,W) -> [0,1], fading over about `pixels` to both sides, exactly 0 farther away."""
    values = mask[None, None].float()
    if pixels:
        radius = max(1, round(pixels / 2))
        values = box_mean(box_mean(values, radius), radius)
    return values[0, 0].clamp(0, 1)


def bounding_box(mask: Tensor) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what is true in (H,W); at least one pixel must be."""
    rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _clusters(colors: Tensor) -> Tensor:
    """(P,3) -> which of 16 colours, (P,): k-means, from pixels evenly spaced in brightness."""
    order = colors.sum(1).argsort(stable=True)
    places = torch.linspace(0, len(colors) - 1, _CLUSTERS).long()
    centers = colors[order[places]].clone()
    nearest = torch.zeros(len(colors), dtype=torch.long)
    for _ in range(8):
        nearest = torch.cdist(colors, centers).argmin(1)
        sums = torch.zeros_like(centers).index_add_(0, nearest, colors)
        counts = torch.bincount(nearest, minlength=_CLUSTERS)[:, None]
        centers = torch.where(counts > 0, sums / counts.clamp_min(1), centers)
    return nearest


def _large_patches(mask: Tensor, least: float) -> Tensor:
    """Patches (of eight neighbours) with at least so many pixels."""
    if least <= 1 or not bool(mask.any()):
        return mask
    labels = torch.arange(1, mask.numel() + 1, dtype=torch.float64).view(1, 1, *mask.shape) * mask
    while True:  # every patch takes the largest number in it
        spread = F.max_pool2d(labels, 3, 1, 1) * mask
        if torch.equal(spread, labels):
            break
        labels = spread
    names, inverse, counts = np.unique(labels.numpy(), return_inverse=True, return_counts=True)
    kept = ((counts >= least) & (names > 0))[inverse.reshape(mask.shape)]
    return torch.from_numpy(kept)


__all__ = [
    "bounding_box",
    "feathered",
    "grown",
    "normalized",
    "otsu_threshold",
    "outline",
    "paper_threshold",
    "resized",
    "without_specks",
]
