"""What is done to a finished picture, in order, and recorded in its file."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from torch import Tensor

from gouache.networks.canvas import Canvas
from gouache.networks.models import Models
from gouache.networks.pool import shared_drawing
from gouache.ops.images import to_pil
from gouache.protocols import DRAWN, Drawable, FinishStep

Finishing: TypeAlias = Sequence[FinishStep]
_STRIP = 64 * DRAWN  # rows that are made into bytes at once
RADIUS = 0.75  # of the unsharp mask, in pixels of the picture as it was painted


class ScaleWarning(UserWarning):
    """A picture is enlarged otherwise than by a drawing decoder."""


@dataclass(frozen=True)
class Drawn:
    """The generator's drawing decoder draws the codes anew, `scale` times as large.

    It draws at `DRAWN` times the size; less is that, reduced by blocks. What is drawn of a painting
    is softer than a painter would leave it, so its edges are sharpened by an unsharp mask
    `RADIUS * scale` pixels wide, `sharpen` strong. A picture on the way, of which no codes are
    known, stays as it is.
    """

    models: Models = field(repr=False)
    canvas: Canvas
    scale: int
    sharpen: float
    network: object = field(repr=False)
    sha256: str

    @torch.inference_mode(False)
    def __call__(self, picture: Image.Image, codes: Tensor | None) -> Image.Image:
        if codes is None:
            return picture
        whole = self.models.draw(self.network, codes, self.canvas)[0]  # (3,H,W)
        block = DRAWN // self.scale
        out = Image.new("RGB", (whole.shape[2] // block, whole.shape[1] // block))
        for top in range(0, whole.shape[1], _STRIP):
            rows = whole[:, top : top + _STRIP]
            out.paste(to_pil(F.avg_pool2d(rows, block) if block > 1 else rows), (0, top // block))
        if not self.sharpen:
            return out
        mask = ImageFilter.UnsharpMask(RADIUS * self.scale, round(100 * self.sharpen), 0)
        return out.filter(mask)

    def record(self) -> dict[str, Any]:
        told = {"name": "drawing", "scale": self.scale, "sha256": self.sha256}
        return told | ({"sharpen": self.sharpen} if self.sharpen else {})


@dataclass(frozen=True)
class Enlarged:
    """The picture `scale` times as large, by Lanczos; one on the way stays as it is."""

    scale: int

    def __call__(self, picture: Image.Image, codes: Tensor | None) -> Image.Image:
        if codes is None:
            return picture
        width, height = (side * self.scale for side in picture.size)
        return picture.resize((width, height), Image.Resampling.LANCZOS)

    def record(self) -> dict[str, Any]:
        return {"name": "lanczos", "scale": self.scale}


def scaled(scale: int, sharpen: float, models: Models, canvas: Canvas) -> Finishing:
    """How pictures of a generator become `scale` times as large; nothing is done for 1.

    `sharpen` is of those that are drawn, not of those that are enlarged (`Drawn`).

    The drawing decoder is loaded here: what is wrong with it is told before anything is painted. A
    `ScaleWarning` says where there is none.
    """
    if scale == 1:
        return ()
    generator = models.generator
    if isinstance(generator, Drawable) and (sha256 := generator.drawing):
        return (Drawn(models, canvas, scale, sharpen, shared_drawing(generator), sha256),)
    warnings.warn(
        f"the generator {generator.name:.80} has no drawing decoder; its pictures are enlarged "
        f"{scale} times by Lanczos",
        ScaleWarning,
        stacklevel=3,
    )
    return (Enlarged(scale),)


def finished(picture: Image.Image, finishing: Finishing, codes: Tensor | None) -> Image.Image:
    """The picture after all steps; `codes` as `FinishStep` takes them."""
    for step in finishing:
        picture = step(picture, codes)
    return picture


__all__ = ["Drawn", "Enlarged", "Finishing", "ScaleWarning", "finished", "scaled"]
