"""Sums of pictures that are no files."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

from PIL import Image

from gouache.ops.images import to_pil, to_tensor

if TYPE_CHECKING:
    from PIL.Image import Image as Picture
    from torch import Tensor


def pixels_sha256(picture: Picture) -> str:
    """Of the size and the RGB values: the same picture in another format has the same."""
    rgb = picture if picture.mode == "RGB" else to_pil(to_tensor(picture)[0])
    width, height = rgb.size
    return hashlib.sha256(f"{width}x{height}".encode() + rgb.tobytes()).hexdigest()


def tensor_sha256(tensor: Tensor) -> str:
    """Of the shape and the values as float32."""
    plain = tensor.detach().float().cpu().contiguous()
    return hashlib.sha256(str(tuple(plain.shape)).encode() + plain.numpy().tobytes()).hexdigest()


def object_sum(picture: Picture | Tensor) -> tuple[Literal["pixels", "tensor"], str]:
    """What `Input` calls `of` ("pixels" or "tensor"), and the sum."""
    if isinstance(picture, Image.Image):
        if picture.mode in ("RGB", "L"):
            return "pixels", pixels_sha256(picture)
        # Transparency is resized before it is laid on white: no file gives quite the same.
        told = f"{picture.mode}{picture.size}".encode()
        return "pixels", hashlib.sha256(told + picture.tobytes()).hexdigest()
    return "tensor", tensor_sha256(picture)


__all__ = ["object_sum", "pixels_sha256", "tensor_sha256"]
