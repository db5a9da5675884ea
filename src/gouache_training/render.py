"""Vector or raster picture in, square of premultiplied RGBA out."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["Pixels", "fit", "is_near_duplicate", "render_svg", "thumbnail"]

Pixels = NDArray[np.uint8]

_LONGEST_OVER_SHORTEST = 5.0
_EMPTY_BELOW = 10.0  # mean alpha of 255 under which a coloured picture is a few specks
_THUMB = 12
_SAME_BELOW = 5.0  # mean difference of two thumbnails, of 255


def render_svg(svg: str, side: int) -> Image.Image:
    """Draw an SVG at `side` pixels of width, without system fonts so that machines agree.

    Raises:
        ValueError: the picture cannot be parsed, even after its size attributes are replaced.
    """
    import resvg_py  # only builders of data sets need it

    options: dict[str, Any] = {"width": side, "skip_system_fonts": True}
    try:
        data = resvg_py.svg_to_bytes(svg_string=svg, **options)
    except Exception:  # the binding raises a bare exception of its own for any defect
        data = resvg_py.svg_to_bytes(svg_string=_with_size(svg), **options)
    return Image.open(io.BytesIO(bytes(data)))


def _with_size(svg: str) -> str:
    """Old clip art lacks a usable width, height or viewBox: give it a generous one."""
    tag = re.search(r"<svg\b[^>]*>", svg, re.DOTALL)
    if tag is None:
        raise ValueError("no svg element")
    head = re.sub(r"\s(width|height)\s*=\s*(\"[^\"]*\"|'[^']*')", "", tag.group(0))
    if "viewBox" not in head:
        head = head.replace("<svg", '<svg viewBox="-200 -200 1400 1400"', 1)
    head = head.replace("<svg", '<svg width="600" height="600"', 1)
    return svg[: tag.start()] + head + svg[tag.end() :]


def fit(image: Image.Image, side: int, sparse: bool = False) -> Pixels | None:
    """Crop to content, scale to fit and centre on a transparent square.

    Args:
        image: any PIL picture; one without transparency counts as content all over.
        side: side of the result.
        sparse: accept thin drawings (one-colour icons).

    Returns:
        (side, side, 4) premultiplied RGBA, or None when the picture is empty, a speck or a strip.
    """
    rgba = image.convert("RGBA")
    alpha = np.asarray(rgba.getchannel("A"))
    rows, columns = np.nonzero(alpha > 12)
    if len(rows) < 30:
        return None
    left, top = int(columns.min()), int(rows.min())
    rgba = rgba.crop((left, top, int(columns.max()) + 1, int(rows.max()) + 1))
    width, height = rgba.size
    if max(width, height) > _LONGEST_OVER_SHORTEST * min(width, height):
        return None
    scale = side / max(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = rgba.convert("RGBa").resize(size, Image.Resampling.LANCZOS)
    square = Image.new("RGBa", (side, side))
    square.paste(small, ((side - size[0]) // 2, (side - size[1]) // 2))
    array = np.frombuffer(square.tobytes(), np.uint8).reshape(side, side, 4).copy()
    # Lanczos overshoots by a little; colour above alpha would not be a premultiplied colour.
    np.minimum(array[..., :3], array[..., 3:], out=array[..., :3])
    if not sparse and array[..., 3].mean() < _EMPTY_BELOW:
        return None
    return array


def thumbnail(pixels: Pixels) -> NDArray[np.float32]:
    """(12*12*4,) block means of a picture: what two copies of it have in common."""
    side = pixels.shape[0]
    edges = np.linspace(0, side, _THUMB + 1).astype(int)[:-1]
    rows = np.add.reduceat(pixels.astype(np.float32), edges, axis=0)
    blocks = np.add.reduceat(rows, edges, axis=1) / (side / _THUMB) ** 2
    flat: NDArray[np.float32] = blocks.reshape(-1).astype(np.float32)
    return flat


def is_near_duplicate(candidate: NDArray[np.float32], others: list[NDArray[np.float32]]) -> bool:
    """Whether a thumbnail is close to one of the others (pictures of the same concept)."""
    if not others:
        return False
    return bool(np.abs(np.stack(others) - candidate).mean(axis=1).min() < _SAME_BELOW)
