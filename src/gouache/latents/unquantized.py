"""A free latent that goes to the decoder as it is, without rounding to codes.

What is left of the method when the codebook is: only its bounds hold the latent. A decoder has seen
nothing but codes in training, so what lies between them is its own invention.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gouache.latents.free import FreeLatent


class UnquantizedLatent(FreeLatent):
    """A `gouache.protocols.Latent`, called "continuous": one leaf tensor z, (B,code_dim,h,w).

    After each optimiser step z is clamped to the codebook's bounds per channel, as where it is
    rounded; without a codebook z is free.
    """

    def __call__(self) -> Tensor:
        """z, (B,code_dim,h,w), with gradient."""
        return self._whole()

    def unrounded(self) -> Tensor:
        """z, with gradient."""
        return self._whole()

    @torch.no_grad()
    def final(self) -> Tensor:
        """The moving average, or z where none is kept: (B,code_dim,h,w)."""
        return self._finished().clone()


__all__ = ["UnquantizedLatent"]
