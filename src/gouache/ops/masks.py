"""Masks as people give them: what a picture of a mask selects, at any size."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from gouache.errors import ImageError
from gouache.ops.images import fit, upright
from gouache.prompts import one_line

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

_VARIES = 16  # of 255: what differs by less does so by a format's rounding
_WIDE = 0.5  # share of the picture, or of its border, that a picture with a hole covers
_ONE_COLOR = 0.9  # share of what is painted in the most frequent colour, if one brush painted it
_DARK = 64  # of 255: a ground in such a colour means "not here" in every convention
_SAME = 12  # of 255: mean difference of a picture from itself in another format
_TWO_LEVELS = 0.9  # share of the pixels near the smallest and the largest value
_NEAR = 0.1  # of the distance between them
_OVERSHOOT = 0.1  # of floating-point numbers beyond black and white, by resampling


class MaskWarning(UserWarning):
    """How a mask was read that could be read otherwise."""


def read_mask(
    given: str | Path | Image.Image | Tensor,
    size: tuple[int, int],
    shown: str = "the mask",
    over: Image.Image | None = None,
) -> Tensor:
    """A mask, however it is given, at `size` (width, height): (1 or B,1,H,W) in [0,1], float32.

    What is above 0.5 is selected. Of a file or a PIL picture that is what `mask_picture` says,
    fitted as the pictures are that it is for. A tensor has that size already, (H,W), (1,H,W) or
    (B,1,H,W), any type; otherwise `ImageError`.
    """
    import torch

    if not isinstance(given, torch.Tensor):
        return fit_mask(mask_picture(given, shown, over), size)
    width, height = size
    values = given.detach().float()
    values = values.reshape((1,) * (4 - values.ndim) + values.shape)
    if values.ndim != 4 or values.shape[1:] != (1, height, width):
        raise ImageError(
            f"{shown} has shape {tuple(given.shape)}; expected {(height, width)} or "
            f"(B,1,{height},{width})"
        )
    return values


def fit_mask(grey: Image.Image, size: tuple[int, int]) -> Tensor:
    """A grey picture (mode L) -> (1,1,H,W) in [0,1] at `size` (width, height), scaled and cropped
    by the one rule for pictures, `images.fit`, so that it stays on what it was drawn over."""
    import torch

    values = np.array(fit(grey, size), np.float32) / 255
    return torch.from_numpy(values)[None, None]


def mask_picture(
    source: str | Path | Image.Image, shown: str = "the mask", over: Image.Image | None = None
) -> Image.Image:
    """A file or PIL picture of a mask -> grey picture (mode L), upright, light where it selects.

    Where transparency varies, it is the mask: strokes on a transparent layer select what they
    cover; a picture with a hole in it selects the hole, as other programs have it. Which of them
    it is, its content tells, and `over`, the RGB picture that it is for: what shows that picture
    is one with a hole. Otherwise what is light is selected; where light and dark say nothing, of
    two values (0 and 1 among greys, two colours of a palette) the larger. Numbers of 16 or 32 bits
    and floating point are scaled. What could be read otherwise is told in one `MaskWarning`. A
    mask that nothing can be read from raises `ImageError`; one that is black everywhere does not.
    """
    if not isinstance(source, Image.Image):
        shown = one_line(source)
    image = upright(source, shown)
    try:
        return _read(image, shown, over)
    except ImageError:
        raise
    except Exception as error:  # modes that Pillow knows and cannot convert
        reason = one_line(error, 80) or type(error).__name__
        raise ImageError(
            f"{shown} cannot be read as a mask ({reason}); save it as a grey PNG, white where to "
            "paint"
        ) from None


def _read(image: Image.Image, shown: str, over: Image.Image | None) -> Image.Image:
    grey, alpha = _grey_and_alpha(image)
    if alpha is None:
        return _by_light(grey, shown)
    low, high = int(alpha.min()), int(alpha.max())
    if high == 0:
        raise ImageError(
            f"{shown} is transparent everywhere, so nothing is selected; paint over what is to "
            "change, or save it without transparency"
        )
    if high - low <= _VARIES and (low, high) != (0, 1):
        return _by_light(grey, shown)
    covers = (alpha.astype(np.float64) - low) / (high - low)
    hole = _has_hole(image, covers > 0.5, over)
    told = (
        "is a picture with a hole; the transparent part is selected"
        if hole
        else "is painted on a transparent layer; what is covered is selected"
    )
    _tell(f"{shown} {told} (invert for the rest)")
    return _grey(1 - covers if hole else covers)


def _has_hole(image: Image.Image, covered: NDArray[np.bool_], over: Image.Image | None) -> bool:
    """Whether a picture was cut, rather than painted on a layer, which is `covered` (H,W)."""
    border = np.concatenate([covered[0], covered[-1], covered[:, 0], covered[:, -1]])
    wide = bool(max(covered.mean(), border.mean()) > _WIDE)
    colors = np.asarray(image.convert("RGBA"))[covered][:, :3]
    coarse = (colors >> 4).astype(np.int64) @ np.array([256, 16, 1])
    counts = np.bincount(coarse, minlength=4096)
    one_color = bool(counts.max() >= _ONE_COLOR * len(colors))
    if over is not None:
        below = np.asarray(over.resize(image.size, Image.Resampling.BILINEAR))[covered]
        away = float(np.abs(colors.astype(np.int16) - below).mean())
        if away <= _SAME and (wide or not one_color):
            return True
    dark = bool(colors[coarse == counts.argmax()].mean(0).max() < _DARK)
    return wide and (dark or not one_color)


def _by_light(values: NDArray[Any], shown: str) -> Image.Image:
    """`values` (H,W): numbers of any kind, the larger the lighter."""
    kind = values.dtype.kind
    usual = 255.0 if values.dtype == np.uint8 else 1.0 if kind == "f" else 65535.0
    numbers = values.astype(np.float64)
    finite = np.isfinite(numbers)
    if not finite.any():
        raise ImageError(f"{shown} holds no number; save it as a grey PNG, white where to paint")
    low, high = float(numbers[finite].min()), float(numbers[finite].max())
    if np.isnan(numbers).any():  # nothing there
        low = min(low, 0.0)
    numbers = np.nan_to_num(numbers, nan=low, posinf=high, neginf=low)
    slack = _OVERSHOOT if kind == "f" else 0.0
    whites = (1.0, 255.0) if usual == 255 else (1.0, 255.0, 65535.0)
    white = next((white for white in whites if high <= white * (1 + slack)), high)
    if low >= -slack * white and low < white / 2 < high:
        if white != usual:
            _tell(f"{shown} holds numbers up to {high:g}; {white:g} is taken as white")
        return _grey(numbers / white)
    if _two_levels(numbers, low, high, whole_scale=usual if kind != "f" else high - low):
        _tell(f"of the two values in {shown}, {low:g} and {high:g}, the larger is selected")
        return _grey((numbers - low) / (high - low))
    if low < 0:
        raise ImageError(
            f"{shown} holds numbers from {low:g} to {high:g}; a mask has 0 where nothing changes "
            "and 1, 255 or 65535 where to paint"
        )
    if 0 < high <= white / 2:
        raise ImageError(
            f"{shown} is dark everywhere (at most {high:g} of {white:g}), so nothing is selected; "
            "make what is to be painted white"
        )
    return _grey(numbers / white)


def _two_levels(numbers: NDArray[np.float64], low: float, high: float, whole_scale: float) -> bool:
    """Whether nearly all of the picture is one of two greys that can be told apart."""
    if low == high:
        return False
    away = (numbers - low) / (high - low)
    if ((away == 0) | (away == 1)).all():
        return True
    near = float(((away < _NEAR) | (away > 1 - _NEAR)).mean())
    return near > _TWO_LEVELS and high - low > _VARIES / 255 * whole_scale


def _grey_and_alpha(image: Image.Image) -> tuple[NDArray[Any], NDArray[np.uint8] | None]:
    key = image.info.get("transparency")
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image)
        return values, None if key is None else np.where(values == key, 0, 255).astype(np.uint8)
    alpha = None
    if key is not None or image.has_transparency_data:
        if image.mode in ("La", "RGBa"):
            image = image.convert(image.mode.upper())
        image = image.convert("RGBA")
        alpha = np.asarray(image.getchannel("A"))
        image = image.convert("RGB")
    if image.mode == "LAB":
        return np.asarray(image.getchannel("L")), alpha
    if image.mode not in ("1", "L"):
        image = image.convert("RGB")
    return np.asarray(image.convert("L")), alpha


def _grey(share: NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(np.rint(share.clip(0, 1) * 255).astype(np.uint8))


def _tell(message: str) -> None:
    warnings.warn(message, MaskWarning, stacklevel=2)


__all__ = ["MaskWarning", "fit_mask", "mask_picture", "read_mask"]
