"""Applies a draw of cutouts to pictures: one sampling pass, then one matrix product."""

from __future__ import annotations

import torch
from torch import Tensor

from gouache.cutouts.sampler import CutoutParams
from gouache.errors import ImageError
from gouache.ops.warp import warp


def apply(image: Tensor, params: CutoutParams, size: int) -> Tensor:
    """Cuts (B,3,H,W) in [0,1] into (N*B,3,size,size), cutout-major: `x.view(N, B, ...)`.

    The geometry and erasing keep the picture's range. Recolouring leaves it by at most the factors
    drawn and noise by a few times `noise_scale`; nothing is clamped here, because a clamped pixel
    has no gradient, and perceptors take values somewhat outside [0,1] as they are.

    Float32 whatever the input is. Differentiable in `image`; the mean colour around whole views is
    a constant. The noise is drawn on the image's device from the stored seeds, so equal params give
    equal cutouts there. Raises `ImageError` if these are not the pictures of the draw: another
    number of them or another aspect.
    """
    batch, num = params.batch, params.num_cutouts
    if image.ndim != 4 or len(image) != batch:
        raise ImageError(
            f"the picture is {tuple(image.shape)}; these cutouts were drawn for ({batch},3,H,W)"
        )
    drawn_height, drawn_width = params.picture_size.tolist()
    height, width = image.shape[2:]
    # A picture resized to whole pixels may be off by less than one of them.
    if abs(height * drawn_width - width * drawn_height) > max(drawn_height, drawn_width):
        raise ImageError(
            f"the picture is {width}x{height}; expected the aspect of {drawn_width}x{drawn_height}"
            ", for which these cutouts were drawn"
        )
    # Half precision has too few bits for coordinates; inside autocast the product would use it.
    with torch.autocast(image.device.type, enabled=False):
        squares = warp(
            image,
            params.homographies,
            size,
            mean_outside=params.mean_outside,
            erase=params.erase if bool(params.erase.any()) else None,
        )
        return _recolor(squares.reshape(num * batch, 3, size * size), params).view(
            -1, 3, size, size
        )


def _recolor(squares: Tensor, params: CutoutParams) -> Tensor:
    """Colour and noise for (N*B,3,S*S) in one product; a plain pass-through when both are off."""
    color = params.color.flatten(0, 1).to(squares.device)  # (N*B,3,4)
    matrix, offset = color[..., :3], color[..., 3:]
    if bool(params.noise_scale.any()):
        scale = params.noise_scale.flatten()[:, None, None].to(squares.device)
        noise = _noise(params, squares).mul_(scale).add_(offset)
        return torch.baddbmm(noise, matrix, squares)
    if bool((params.color != torch.eye(3, 4)).any()):
        return torch.baddbmm(offset, matrix, squares)
    return squares.contiguous()


def _noise(params: CutoutParams, like: Tensor) -> Tensor:
    """N(0,1) in the shape of the (N*B,3,S*S) cutouts, each picture's from its own seed."""
    shape = (params.num_cutouts, 1, *like.shape[1:])
    rng = torch.Generator(like.device)
    drawn = [
        torch.randn(shape, generator=rng.manual_seed(seed), device=like.device)
        for seed in params.noise_seed.tolist()
    ]
    return torch.cat(drawn, 1).flatten(0, 1)


__all__ = ["apply"]
