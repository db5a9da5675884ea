"""Vector quantisation and the gradients that pass through it.

The nearest code of a vector z minimises |c|^2 - 2 z.c, one matrix product once the squared norms of
the codes are known (VQ-VAE, van den Oord et al. 2017, arXiv 1711.00937).
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

# Distances held at once: 2^24 float32 values are 64 MiB, 1024 vectors at a time for 16384 codes.
MAX_DISTANCES = 1 << 24


def squared_norms(codebook: Tensor) -> Tensor:
    """(K,D) -> (K,) float32, what `nearest_codes` may be given so as not to compute it again."""
    return codebook.detach().float().square().sum(1)


@torch.no_grad()
def nearest_codes(
    vectors: Tensor,
    codebook: Tensor,
    norms: Tensor | None = None,
    max_distances: int = MAX_DISTANCES,
) -> Tensor:
    """Index of the nearest row of `codebook` (K,D) for each of `vectors` (M,D): (M,) int64.

    Computed in float32 whatever the inputs or the autocast state, as half precision confuses
    neighbours. Of codes at equal distance the first wins, as with `argmin`. At most `max_distances`
    distances are in memory at a time (one row of K at least).
    """
    with torch.autocast(vectors.device.type, enabled=False):
        codes = codebook.detach().float()
        norms = squared_norms(codes) if norms is None else norms
        rows = max(1, max_distances // len(codes))
        found = [
            torch.addmm(norms, chunk.float(), codes.T, alpha=-2.0).argmin(1)
            for chunk in torch.split(vectors, rows)
        ]
    return torch.cat(found) if len(found) != 1 else found[0]


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, latent: Tensor, quantized: Tensor) -> Tensor:
        return quantized.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def straight_through(latent: Tensor, quantized: Tensor) -> Tensor:
    """Exactly `quantized` going forward, the identity to `latent` going back; same shapes.

    Unlike `latent + (quantized - latent).detach()` the value has no rounding error.
    """
    return cast(Tensor, _StraightThrough.apply(latent, quantized))  # type: ignore[no-untyped-call]


class _ClampWithGrad(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, low: float, high: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.bounds = low, high
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        low, high = ctx.bounds
        # A descent step moves x against the gradient: below `low` a negative one brings it back.
        passes = ((x >= low) | (gradient < 0)) & ((x <= high) | (gradient > 0))
        return gradient.masked_fill(~passes, 0), None, None


def clamp_with_grad(x: Tensor, low: float, high: float) -> Tensor:
    """`x.clamp(low, high)` whose gradient also passes outside where descent leads back inside.

    With plain `clamp` a saturated pixel gets no gradient and stays saturated.
    """
    return cast(Tensor, _ClampWithGrad.apply(x, low, high))  # type: ignore[no-untyped-call]


__all__ = ["MAX_DISTANCES", "clamp_with_grad", "nearest_codes", "squared_norms", "straight_through"]
