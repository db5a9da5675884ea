"""A generator seen through a camera: what is painted lies in a key picture, what is seen moves.

Painting through the camera keeps the latent where it is from frame to frame: nothing is encoded
again, nothing is resampled twice, and the optimiser's memory stays right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from gouache.films.camera import sample
from gouache.ops.codes import clamp_with_grad
from gouache.protocols import Checkpointed, CodebookGenerator, Generator, Tiled


class Decoder:
    """A generator's `decode`, for frames that go on in the latent of the one before: that one ends
    with the picture which the next begins with, so it is decoded once, with what its first step
    goes back through."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._last: tuple[Tensor, Tensor] | None = None  # codes, and the picture with its graph

    def __call__(self, codes: Tensor) -> Tensor:
        last, self._last = self._last, None
        if not torch.is_grad_enabled():  # of a frame that is done
            with torch.enable_grad():
                own = codes.detach().clone().requires_grad_()  # a latent changes in place
                self._last = own, self._generator.decode(own)
            return self._last[1].detach()
        if last is not None and torch.equal(last[0], codes):
            return cast(Tensor, _Again.apply(codes, last))  # type: ignore[no-untyped-call]
        return self._generator.decode(codes)


class _Again(torch.autograd.Function):
    """What was decoded before, as if it was decoded now."""

    @staticmethod
    def forward(ctx: Any, codes: Tensor, last: tuple[Tensor, Tensor]) -> Tensor:
        ctx.last = last
        return last[1].detach()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        codes, picture = ctx.last
        return torch.autograd.grad(picture, codes, gradient)[0], None


class View:
    """A `Generator` like `inner`, whose pictures are seen through a camera.

    decode: that of `inner`, or what stands for it.
    grid: `camera.places` of the frame; None for the key picture itself.
    rest: (B,3,h*f,w*f), what the latent could not hold of the key picture when it was encoded.
    """

    def __init__(
        self,
        inner: Generator,
        grid: Tensor | None,
        rest: Tensor | None,
        border: str,
        decode: Callable[[Tensor], Tensor],
    ) -> None:
        self._inner, self._grid, self._rest, self._border = inner, grid, rest, border
        self._decode = decode
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
        return self._seen(self._decode(latent))

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


__all__ = ["Decoder", "View"]
