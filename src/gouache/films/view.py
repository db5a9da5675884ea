"""A generator seen through a camera: what is painted lies in a key picture, what is seen moves.

Painting through the camera keeps the latent where it is from frame to frame: nothing is encoded
again, nothing is resampled twice, and the optimiser's memory stays right.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from gouache.films.camera import sample
from gouache.ops.codes import clamp_with_grad
from gouache.protocols import Checkpointed, CodebookGenerator, Generator, Tiled


class View:
    """A `Generator` like `inner`, whose pictures are seen through a camera.

    grid: `camera.places` of the frame; None for the key picture itself.
    rest: (B,3,h*f,w*f), what the latent could not hold of the key picture when it was encoded.
    """

    def __init__(
        self, inner: Generator, grid: Tensor | None, rest: Tensor | None, border: str
    ) -> None:
        self._inner, self._grid, self._rest, self._border = inner, grid, rest, border
        self.name, self.fingerprint = inner.name, inner.fingerprint
        self.downsampling, self.code_dim = inner.downsampling, inner.code_dim
        self.native_size, self.device = inner.native_size, inner.device

    @property
    def codebook(self) -> Tensor | None:
        return self._inner.codebook

    @property
    def code_prior(self) -> Tensor:
        return self._coded.code_prior

    @property
    def _coded(self) -> CodebookGenerator:
        return cast("CodebookGenerator", self._inner)

    def quantize(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        return self._coded.quantize(latent)

    def encode(self, image: Tensor) -> Tensor:
        return self._inner.encode(image)

    def decode(self, latent: Tensor) -> Tensor:
        return self._seen(self._inner.decode(latent))

    def decode_checkpointed(self, latent: Tensor) -> Tensor:
        inner = self._inner
        return self._seen(
            inner.decode_checkpointed(latent)
            if isinstance(inner, Checkpointed)
            else inner.decode(latent)
        )

    def decode_tiled(self, latent: Tensor) -> Tensor:
        inner = self._inner
        return self._seen(
            inner.decode_tiled(latent) if isinstance(inner, Tiled) else inner.decode(latent)
        )

    def _seen(self, whole: Tensor) -> Tensor:
        if self._rest is None and self._grid is None:
            return whole
        with torch.autocast(whole.device.type, enabled=False):
            whole = clamp_with_grad(whole.float(), 0.0, 1.0)
            if self._rest is not None:
                whole = whole + self._rest
            return whole if self._grid is None else sample(whole, self._grid, self._border)


__all__ = ["View"]
