"""A picture brought to a size that somebody chose: cut, framed, or extended with parts to paint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter

from gouache.apps.studio.copies import read_whole
from gouache.apps.studio.orders import Limits, check_pixels
from gouache.errors import ConfigError
from gouache.ops.profiles import flat

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

WAYS = ("crop", "fit", "extend")
GROWN = "the picture would be"  # how a refusal of its size begins
_SOFT = 0.04  # radius of the filling's blur, as a share of the picture's shorter side
_SHARP = 24  # pixels beside the old part over which the filling loses what is fine


@dataclass(frozen=True)
class Fit:
    """What is asked for: `size` (width, height), and where the picture, or what is left of it, lies
    in what is over: 0 is left or top, 1 right or bottom."""

    way: str
    size: tuple[int, int]
    x: float = 0.5
    y: float = 0.5


def read_fit(asked: Mapping[str, str], limits: Limits) -> Fit:
    """From an address: fit, size=WxH, x and y; `ConfigError` for anything else."""
    way = asked.get("fit", "crop")
    if way not in WAYS:
        raise ConfigError(f"fit is {way!r:.20}; expected {', '.join(WAYS)}")
    width, mark, height = asked.get("size", "").partition("x")
    if not mark:
        raise ConfigError(f"size is {asked.get('size', '')!r:.20}; expected WxH, such as 256x384")
    size = read_whole(width, "width", 1, 2**13), read_whole(height, "height", 1, 2**13)
    check_pixels(size, limits, GROWN)
    return Fit(way, size, *(_read_place(asked.get(name, "0.5"), name) for name in "xy"))


def brought(picture: Picture, fit: Fit) -> tuple[Picture, Picture | None]:
    """A picture (RGB or RGBA) at `fit.size`, and of an extension what is new (L, white).

    "crop" keeps transparency and profile; the other ways show the picture in sRGB on white.
    """
    (width, height), (w, h) = picture.size, fit.size
    if fit.way == "crop":
        scale = max(w / width, h / height)
        box_w, box_h = min(width, w / scale), min(height, h / scale)
        left, top = fit.x * (width - box_w), fit.y * (height - box_h)
        box = (left, top, left + box_w, top + box_h)
        return picture.resize(fit.size, Image.Resampling.LANCZOS, box=box), None
    scale = min(w / width, h / height)
    inner = max(1, min(w, round(width * scale))), max(1, min(h, round(height * scale)))
    placed = flat(picture, "").resize(inner, Image.Resampling.LANCZOS)
    left, top = round(fit.x * (w - inner[0])), round(fit.y * (h - inner[1]))
    margins = left, w - inner[0] - left, top, h - inner[1] - top
    if fit.way == "fit":
        framed = Image.new("RGB", fit.size, _edge_color(placed))
        framed.paste(placed, (left, top))
        return framed, None
    return extended(placed, margins), new_parts(inner, margins)


def extended(picture: Picture, margins: tuple[int, int, int, int]) -> Picture:
    """RGB with parts added at the left, right, top and bottom, filled from its edges.

    They are the picture mirrored at its edge: sharp there, so that no line is seen, and farther out
    without what is fine, which is for painting to find.
    """
    left, right, top, bottom = margins
    (width, height), sides = picture.size, ((top, bottom), (left, right), (0, 0))
    sharp = Image.fromarray(np.pad(np.asarray(picture), sides, "reflect"))
    radius = max(2.0, _SOFT * min(picture.size))
    soft = sharp.filter(ImageFilter.GaussianBlur(radius))
    down, across = (
        np.maximum(0, np.maximum(before - at, at - before - side + 1))
        for at, before, side in (
            (np.arange(sharp.height)[:, None], top, height),
            (np.arange(sharp.width)[None], left, width),
        )
    )
    share = np.minimum(1, np.maximum(down, across) / _SHARP)
    share = share * share * (3 - 2 * share)
    return Image.composite(soft, sharp, Image.fromarray(np.rint(255 * share).astype(np.uint8)))


def new_parts(size: tuple[int, int], margins: tuple[int, int, int, int], seam: int = 0) -> Picture:
    """White (mode L) where an extension of a picture of `size` is new, black elsewhere and on
    `seam` pixels around the old part."""
    (width, height), (left, right, top, bottom) = size, margins
    mask = Image.new("L", (width + left + right, height + top + bottom), 255)
    old = (left - seam, top - seam, left + width + seam, top + height + seam)
    mask.paste(0, old)
    return mask


def _edge_color(picture: Picture) -> tuple[int, int, int]:
    """The mean of its border."""
    pixels = np.asarray(picture).astype(float)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    red, green, blue = (round(value) for value in border.mean(0))
    return red, green, blue


def _read_place(text: str, name: str) -> float:
    try:
        place = float(text)
    except ValueError:
        place = -1.0
    if not 0 <= place <= 1:  # NaN is not
        raise ConfigError(f"{name} is {text!r:.20}; expected a number from 0 to 1")
    return place


__all__ = ["GROWN", "WAYS", "Fit", "brought", "extended", "new_parts", "read_fit"]
