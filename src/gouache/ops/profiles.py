"""Colour profiles (ICC): what a picture's numbers mean, in sRGB and back."""

from __future__ import annotations

import io
import warnings
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from gouache.prompts import one_line

_STEPS = 5  # samples along each axis of the colours, to compare a profile with sRGB
_SAME = 2  # of 255: two profiles that differ by less show the same
_SPACES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}  # ICC's name -> Pillow's mode
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION


class ProfileWarning(UserWarning):
    """A picture's colours were converted to sRGB by its profile."""


class BadProfileWarning(UserWarning):
    """A picture's profile is unusable or is for other pictures; its numbers are taken as sRGB."""


def plain(image: Image.Image, shown: str) -> Image.Image:
    """A picture of any mode -> RGB or RGBA of 8 bits, as `images.read_picture` says."""
    colors, alpha = _parted(image)
    if colors.mode.startswith(("I", "F")):
        colors = Image.fromarray(_to_8_bit(np.asarray(colors)))
    profile = _fitting_profile(image, colors.mode, shown)
    kind = profile_mode(profile) if profile else ""
    if profile and kind != "RGB":
        picture = srgb_from(colors.convert(kind), profile, shown)
    elif colors.mode == "LAB":
        picture = lab_to_srgb(colors)
    else:
        picture = colors.convert("RGB")
    picture.info = {"icc_profile": profile} if kind == "RGB" else {}
    if alpha is not None:
        picture.putalpha(alpha)
    return picture


def flat(picture: Image.Image, shown: str = "the picture") -> Image.Image:
    """What `plain` gives -> RGB in sRGB on white, without `info`; silent where `shown` is ""."""
    profile = picture.info.get("icc_profile")
    colors = picture.convert("RGB")
    colors.info = {}
    if profile and not is_srgb(profile):
        colors = srgb_from(colors, profile, shown)
        colors.info = {}
    if picture.mode == "RGB":
        return colors
    colors.putalpha(picture.getchannel("A"))
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, colors).convert("RGB")


def profile_mode(data: bytes) -> str:
    """The mode of the pictures that a profile is for: RGB, L, CMYK or LAB; "" where it is unusable.

    A profile is usable if colours can be converted by it to sRGB.
    """
    return _read(data)[0]


def is_srgb(data: bytes) -> bool:
    """Whether a usable profile for RGB shows what sRGB shows, whatever its name."""
    return _read(data)[1]


def srgb_from(image: Image.Image, data: bytes, shown: str) -> Image.Image:
    """A picture of the profile's mode -> RGB in sRGB.

    Says so in one `ProfileWarning`, unless `shown` is "".
    """
    opened = _open(data)
    if not shown:
        return _converted(image, opened, _srgb(), "RGB")
    name = one_line(ImageCms.getProfileDescription(opened).strip(), 40) or "without a name"
    warnings.warn(
        f"the colours of {shown} are converted to sRGB from its profile ({name})",
        ProfileWarning,
        stacklevel=2,
    )
    return _converted(image, opened, _srgb(), "RGB")


def srgb_to(image: Image.Image, data: bytes) -> Image.Image | None:
    """A picture in sRGB -> RGB in the profile's colours; None where it leads one way only."""
    try:
        return _converted(image, _srgb(), _open(data), "RGB")
    except Exception:  # scanners' and cameras' profiles say what they see, not how to show it
        return None


def lab_to_srgb(image: Image.Image) -> Image.Image:
    """A picture of mode LAB -> RGB."""
    return _converted(image, ImageCms.createProfile("LAB"), _srgb(), "RGB")


def _parted(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The colours without transparency, and the transparency (mode L) where there is any."""
    key = image.info.get("transparency")
    if key is None and not image.has_transparency_data:
        return image, None
    if image.mode.startswith(("I", "F")):  # a grey that stands for nothing
        values = np.asarray(image)
        return image, Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8))
    if image.mode in ("La", "RGBa"):
        image = image.convert(image.mode.upper())
    whole = image.convert("RGBA")
    grey = image.mode in ("1", "L", "LA")
    return whole.convert("L") if grey else whole.convert("RGB"), whole.getchannel("A")


def _fitting_profile(image: Image.Image, mode: str, shown: str) -> bytes | None:
    """The profile, if it can be used for colours of `mode`."""
    if "icc_profile" not in image.info:
        return None
    data = image.info["icc_profile"]
    kind = profile_mode(data) if isinstance(data, bytes) else ""
    rich = ("CMYK", "LAB")
    fits = {"": False, "RGB": mode not in rich, "L": mode in ("1", "L")}.get(kind, kind == mode)
    if fits:
        return bytes(data)
    why = f"is for {kind} pictures and it is {mode}" if kind else "cannot be used"
    warnings.warn(
        f"the colour profile of {shown} {why}; it is left out",
        BadProfileWarning,
        stacklevel=2,
    )
    return None


def _to_8_bit(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey values (H,W) of 16 or 32 bits or floating point -> 0..255.

    White is 65535 for whole numbers (255 where none is larger: 8 bits in a wider file), 1 for
    fractions, or the brightest value where that is larger.
    """
    whole = values.dtype.kind != "f"
    values = np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)
    most = float(values.max())
    white = max(most, 1.0 if not whole else 255.0 if most <= 255 else 65535.0)
    return np.rint(np.clip(values / white, 0, 1) * 255).astype(np.uint8)


@lru_cache(maxsize=8)
def _read(data: bytes) -> tuple[str, bool]:
    try:
        opened = _open(data)
        mode = _SPACES.get(opened.profile.xcolor_space.strip(), "")
        if not mode:
            return "", False
        samples = _samples(mode)
        found = np.asarray(_converted(samples, opened, _srgb(), "RGB"), np.int16)
    except Exception:  # of any class: what is damaged leads the library anywhere
        return "", False
    same = mode == "RGB" and int(np.abs(found - np.asarray(samples)).max()) <= _SAME
    return mode, same


def _open(data: bytes) -> Any:
    return ImageCms.ImageCmsProfile(io.BytesIO(data))


@lru_cache(maxsize=1)
def _srgb() -> Any:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _converted(image: Image.Image, start: Any, end: Any, mode: str) -> Image.Image:
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    transform = ImageCms.buildTransform(start, end, image.mode, mode, intent, _FLAGS)
    found = ImageCms.applyTransform(image, transform)
    assert found is not None
    return found


def _samples(mode: str) -> Image.Image:
    """Colours from all over the space, one row."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    levels = np.linspace(0, 255, _STEPS).astype(np.uint8)
    grid = np.stack(np.meshgrid(*[levels] * channels, indexing="ij"), -1).reshape(1, -1, channels)
    return Image.frombytes(mode, (grid.shape[1], 1), np.ascontiguousarray(grid).tobytes())


__all__ = [
    "BadProfileWarning",
    "ProfileWarning",
    "flat",
    "is_srgb",
    "lab_to_srgb",
    "plain",
    "profile_mode",
    "srgb_from",
    "srgb_to",
]
