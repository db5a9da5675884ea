"""z-quantise: a free latent, rounded to the nearest codes on its way to the decoder.

The gradient passes the rounding as if it were not there (straight-through; van den Oord et al.
2017, arXiv 1711.00937). VQGAN-CLIP, section 2 and appendix G.1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gouache.latents.free import FreeLatent
from gouache.ops.codes import straight_through
from gouache.protocols import with_codebook


class QuantizedLatent(FreeLatent):
    """A `gouache.protocols.Latent`: one leaf tensor z, (B,code_dim,h,w), float32.

    `start` is copied as it is. After each optimiser step z is clamped to the smallest and largest
    value that the codebook has in each channel.
    """

    needs_codebook = True

    def __call__(self) -> Tensor:
        """Nearest codes, (B,code_dim,h,w); their gradient goes to z unchanged."""
        latent = self.unrounded()
        coded = with_codebook(self._generator)
        if coded is None:
            return latent
        return straight_through(latent, coded.quantize(latent.detach())[0])

    def unrounded(self) -> Tensor:
        """z itself, with gradient."""
        return self._whole()

    @torch.no_grad()
    def final(self) -> Tensor:
        """Nearest codes of the moving average, or of z where none is kept: (B,code_dim,h,w)."""
        coded = with_codebook(self._generator)
        return self._finished().clone() if coded is None else coded.quantize(self._finished())[0]


__all__ = ["QuantizedLatent"]
