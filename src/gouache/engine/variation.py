"""Pictures from pictures: a latent disturbed, two latents crossed. Each picture by its own rng."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

_PATCHES = (1, 4)  # cells a side: noise changes details and shapes, one part each
_BEND = 0.35  # of half the picture: how far its parts move at the most


def disturbed(latent: Tensor, strength: float, rngs: Sequence[torch.Generator]) -> Tensor:
    """A latent (B,code_dim,h,w) bent and with noise of its own kind: 0 keeps it, 1 is noise alone.

    Its parts move smoothly, so that shapes change: noise alone is painted away again. The noise has
    each channel's mean and deviation over the picture, so that it is on the codebook's scale.
    """
    latent = _bent(latent, strength * _BEND, rngs)
    mean = latent.mean((2, 3), keepdim=True)
    deviation = latent.std((2, 3), keepdim=True, correction=0)
    noise = torch.cat([_noise(latent.shape[1:], rng) for rng in rngs]).to(latent)
    kept = 1 - strength
    found: Tensor = mean + kept * (latent - mean) + math.sqrt(1 - kept**2) * deviation * noise
    return found


def crossed(first: Tensor, second: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
    """Half of the cells of one latent (B,code_dim,h,w) and half of another, in large patches."""
    shape = (1, *first.shape[2:])
    patches = torch.cat([_smooth(shape, max(2, min(shape[1:]) // 3), rng) for rng in rngs])
    middle = patches.flatten(1).median(1).values.view(-1, 1, 1, 1)
    return torch.where((patches > middle).to(first.device), second, first)


def _bent(latent: Tensor, far: float, rngs: Sequence[torch.Generator]) -> Tensor:
    """(B,C,h,w) with its parts moved by up to `far` of half its size, a few parts a side."""
    count, _, height, width = latent.shape
    moves = torch.cat(
        [_smooth((2, height, width), max(2, min(height, width) // 2), rng) for rng in rngs]
    )
    moves = far * moves.clamp(-2, 2) / 2
    still = F.affine_grid(
        torch.eye(2, 3).repeat(count, 1, 1), [count, 1, height, width], align_corners=False
    )
    grid = (still + moves.movedim(1, -1)).to(latent)
    return F.grid_sample(
        latent, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )


def _noise(shape: Sequence[int], rng: torch.Generator) -> Tensor:
    """(1,C,h,w), of mean 0 and deviation 1 where there are enough cells."""
    parts = torch.cat([_smooth(shape, patch, rng) for patch in _PATCHES])
    parts = parts / parts.std((2, 3), keepdim=True, correction=0).clamp_min(1e-6)
    return parts.sum(0, keepdim=True) / math.sqrt(len(_PATCHES))


def _smooth(shape: Sequence[int], patch: int, rng: torch.Generator) -> Tensor:
    """Normal noise (1,C,h,w) that changes over `patch` cells."""
    channels, height, width = shape
    rows, columns = -(-height // patch) + 1, -(-width // patch) + 1
    coarse = torch.randn(1, channels, rows, columns, generator=rng)
    if patch == 1:
        return coarse[..., :height, :width]
    return F.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)


__all__ = ["crossed", "disturbed"]
