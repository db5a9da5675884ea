"""A sum of latents at several resolutions, rounded to codes like a single one.

One optimiser step on a coarse level moves many cells together, so large shapes form first and
texture does not win by default: Direct Ascent Synthesis (Fort and Whitaker 2025, arXiv 2502.07753),
applied to the VQGAN's latent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.latents.quantized import QuantizedLatent
from gouache.protocols import Generator
from gouache.settings.config import LatentConfig

FACTORS = (2, 4, 8)  # how much coarser each further level is
SMALLEST = 2  # cells of a level's shorter side: a level of one cell would only shift all colours


class MultiscaleLatent(QuantizedLatent):
    """A `gouache.protocols.Latent`: z at full resolution plus coarser levels, enlarged and summed.

    The coarse levels start at zero, so the start is the same as with a single level. The codebook's
    bounds hold for the sum. Without a codebook the sum is decoded as it is: of pixels, that is the
    method of the paper above.
    """

    needs_codebook = False

    def __init__(self, generator: Generator, start: Tensor, config: LatentConfig) -> None:
        height, width = start.shape[-2:]
        sizes = [(-(-height // factor), -(-width // factor)) for factor in FACTORS]
        self._coarse: list[Tensor] = []
        super().__init__(generator, start, config)
        self._coarse = [
            self._z.new_zeros(*start.shape[:2], *size).requires_grad_()
            for size in sizes
            if min(size) >= SMALLEST
        ]

    def parameters(self) -> Iterator[Tensor]:
        """The full level, then coarser and coarser ones."""
        yield self._z
        yield from self._coarse

    def _whole(self) -> Tensor:
        """The sum of all levels, with gradient."""
        total = self._z
        for level in self._coarse:
            total = total + F.interpolate(
                level, self._z.shape[-2:], mode="bilinear", align_corners=False
            )
        return total

    def _place(self, whole: Tensor) -> None:
        self._z += whole - self._whole()

    def state_dict(self) -> dict[str, Tensor]:
        """Copies of all levels and of the average."""
        coarse = {f"coarse{k}": level.detach().clone() for k, level in enumerate(self._coarse)}
        return super().state_dict() | coarse

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Reads back what `state_dict` gave. Another shape or missing parts raise `StateError`."""
        super().load_state_dict(state)
        for number, level in enumerate(self._coarse):
            level.copy_(state[f"coarse{number}"])


__all__ = ["MultiscaleLatent"]
