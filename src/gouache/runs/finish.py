"""What is done to a finished picture, in order, and recorded in its file."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from torch import Tensor

from gouache.networks.canvas import Canvas
from gouache.networks.models import Models
from gouache.networks.pool import shared_drawing
from gouache.ops.images import to_pil
from gouache.ops.smoothing import evened
from gouache.protocols import DRAWN, Drawable, FinishStep
from gouache.settings.config import PaintConfig

Finishing: TypeAlias = Sequence[FinishStep]
_STRIP = 256  # rows that are finished at once
# In pixels of the picture as it was painted:
RADIUS = 0.75  # of the unsharp mask
SURROUNDINGS = 2.5  # in which texture is evened out, to each side
_CUT, _DARKEST, _BRIGHTEST = 0.01, 0.3, 0.8  # shares of pixels and of brightness: `_stretched`


class ScaleWarning(UserWarning):
    """A picture is enlarged otherwise than by a drawing decoder."""


@dataclass(frozen=True)
class Drawn:
    """The generator's drawing decoder draws the codes anew, `scale` times as large.

    It draws at `DRAWN` times the size; less is that, reduced by blocks; then it is `retouched`. A
    picture on the way, of which no codes are known, stays as it is.
    """

    models: Models = field(repr=False)
    canvas: Canvas
    scale: int
    smooth: float
    sharpen: float
    levels: float
    network: object = field(repr=False)
    sha256: str

    @torch.inference_mode(False)
    def __call__(self, picture: Image.Image, codes: Tensor | None) -> Image.Image:
        if codes is None:
            return picture
        whole = self.models.draw(self.network, codes, self.canvas)  # (1,3,H,W)
        return retouched(whole, self.scale, self.smooth, self.sharpen, self.levels)

    def record(self) -> dict[str, Any]:
        told: dict[str, Any] = {"name": "drawing", "scale": self.scale, "sha256": self.sha256}
        done = {"smooth": self.smooth, "sharpen": self.sharpen, "levels": self.levels}
        return told | {name: value for name, value in done.items() if value}


def retouched(
    drawn: Tensor, scale: int, smooth: float, sharpen: float, levels: float
) -> Image.Image:
    """What a drawing decoder drew, as a painter would leave it.

    What is drawn of a painting has a faint restless texture, soft edges and is pale. So texture
    fainter than `smooth` is evened out and edges are sharpened by an unsharp mask `RADIUS * scale`
    pixels wide, `sharpen` strong; then the darkest and the brightest are pulled towards black and
    white, by `levels` of the way. 0 leaves each out.

    Args:
        drawn: (1,3,DRAWN*H,DRAWN*W) in [0,1].
        scale: how many times H and W it becomes.
        smooth: in [0,1], see `evened`.
        sharpen: share of the mask that is added, at least 0.
        levels: in [0,1].

    Returns:
        An RGB picture, scale*W x scale*H.
    """
    block = DRAWN // scale
    height, width = drawn.shape[2] // block, drawn.shape[3] // block
    radius = round(SURROUNDINGS * scale)
    margin = 2 * radius if smooth else 0  # as far as `evened` looks
    out = Image.new("RGB", (width, height))
    for top in range(0, height, _STRIP):
        first, last = max(0, top - margin), min(height, top + _STRIP + margin)
        rows = drawn[:, :, first * block : last * block]
        rows = F.avg_pool2d(rows, block) if block > 1 else rows
        rows = evened(rows, radius, smooth) if smooth else rows
        out.paste(to_pil(rows[0, :, top - first :][:, :_STRIP]), (0, top))
    if sharpen:
        out = out.filter(ImageFilter.UnsharpMask(RADIUS * scale, round(100 * sharpen), 0))
    return _stretched(out, levels) if levels else out


def _stretched(picture: Image.Image, share: float) -> Image.Image:
    """Darkest and brightest moved towards black and white by `share`, the same for all channels.

    A hundredth of the pixels (`_CUT`) may lie beyond each. A darkest that is brighter than
    `_DARKEST` counts as that, a brightest that is darker than `_BRIGHTEST` as that: a pink heart on
    white has nothing that should become black.
    """
    counts = np.asarray(picture.convert("L").histogram())
    sums = counts.cumsum() / counts.sum()
    low = min(int(np.searchsorted(sums, _CUT, "right")) / 255, _DARKEST)
    high = max(int(np.searchsorted(sums, 1 - _CUT)) / 255, _BRIGHTEST)
    black, white = low * (1 - share), high + (1 - high) * share
    values = (np.arange(256) / 255 - low) * (white - black) / (high - low) + black
    table = np.rint(255 * values.clip(0, 1)).astype(int).tolist()
    return picture.point(table * 3)


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


def scaled(config: PaintConfig, models: Models, canvas: Canvas) -> Finishing:
    """How pictures of a generator become `config.scale` times as large; nothing is done for 1.

    Those that are drawn are `retouched`, those that are enlarged are not.

    The drawing decoder is loaded here: what is wrong with it is told before anything is painted. A
    `ScaleWarning` says where there is none.
    """
    if (scale := config.scale) == 1:
        return ()
    generator = models.generator
    if isinstance(generator, Drawable) and (sha256 := generator.drawing):
        network = shared_drawing(generator)
        retouching = config.smooth, config.sharpen, config.levels
        return (Drawn(models, canvas, scale, *retouching, network, sha256),)
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


__all__ = ["Drawn", "Enlarged", "Finishing", "ScaleWarning", "finished", "retouched", "scaled"]
