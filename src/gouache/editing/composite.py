"""The painted part laid over the source, which keeps all of its own outside."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.Image import Image as Picture
from torch import Tensor

from gouache.editing import shapes
from gouache.editing.mask import Mask
from gouache.ops.images import fitted_box
from gouache.ops.profiles import flat, is_srgb, profile_mode, srgb_to
from gouache.output.pictures import picture_format
from gouache.prompts import one_line

_KEPT = ("RGB", "RGBA", "RGBa", "L", "LA", "La", "1", "P", "PA")  # all that RGB or RGBA can hold
_GREY = ("1", "L", "LA", "La", "I", "I;16", "F")
_UNSEEN = 0.05  # share of what is painted that has to be transparent to be spoken of


class CompositeWarning(UserWarning):
    """What a composite cannot keep of its source."""


def composite(source: Picture, painted: Picture, mask: Mask, *, larger: bool = False) -> Picture:
    """The painted picture over the source where the feathered mask is; all else is the source.

    `source` is RGB or RGBA, in sRGB or with a profile for RGB in its `info`; so is the result.
    `painted` is RGB in sRGB, of any size: it goes where `images.fit` took its canvas from, and
    nothing beside that changes. Transparency stays everywhere as it is, so what is
    painted where the source is transparent is not seen: a `CompositeWarning` tells if that is much
    of it. A profile that leads to sRGB only cannot be kept, which is told too.

    With `larger` the source is enlarged where what is painted has more pixels than it.
    """
    original, selected, feather = source, mask.selected, mask.config.feather
    times = max(painted.width / source.width, painted.height / source.height)
    if larger and times > 1:
        size = (round(source.width * times), round(source.height * times))
        source = source.resize(size, Image.Resampling.LANCZOS)
        selected, feather = shapes.resized(selected, size), round(feather * times)
    profile = source.info.get("icc_profile")
    left, top, right, bottom = map(round, fitted_box(source.size, painted.size))
    above = Image.new("RGB", source.size)
    above.paste(painted.resize((right - left, bottom - top), Image.Resampling.LANCZOS), (left, top))
    if profile and not is_srgb(profile):
        back = srgb_to(above, profile)
        if back is None:
            _tell(
                "the source's colour profile cannot be painted in; the composite is in sRGB, with "
                "other numbers than the source everywhere"
            )
            return composite(_in_srgb(original), painted, mask, larger=larger)
        above = back
    below = np.asarray(source.convert("RGB"))
    within = np.zeros((*below.shape[:2], 1), np.float32)
    within[top:bottom, left:right] = 1
    share = shapes.feathered(selected, feather).numpy()[..., None] * within
    blend = below + share * (np.asarray(above, np.float32) - below)
    out = Image.fromarray(np.where(share > 0, np.rint(blend.clip(0, 255)).astype(np.uint8), below))
    if source.mode == "RGBA":
        alpha = source.getchannel("A")
        unseen = float((np.asarray(alpha)[share[..., 0] > 0] == 0).mean())
        if unseen > _UNSEEN:
            _tell(
                f"{unseen:.0%} of what is painted lies where the source is transparent and is not "
                "seen; without composite all of the picture is opaque"
            )
        out.putalpha(alpha)
    if profile:
        out.info["icc_profile"] = profile
    return out


def warn_reduced(picture: Picture) -> None:
    """Says in one line what no composite keeps of a source, as `images.upright` gives it."""
    profile = picture.info.get("icc_profile")
    kind = profile_mode(profile) if isinstance(profile, bytes) else ""
    reasons = []
    if picture.info.get("bits") == 16 or picture.mode.startswith(("I", "F")):
        reasons.append("has more than 8 bits a channel, and the composite has 8")
    elif picture.mode not in _KEPT:
        reasons.append(f"is {picture.mode}, and the composite is RGB")
    if kind == "L" and picture.mode in _GREY:
        reasons.append("has a profile for grey, and the composite is in sRGB")
    if reasons:
        _tell(f"the source {' and '.join(reasons)}: its numbers change outside the mask too")


@dataclass(frozen=True)
class Composite:
    """A step of finishing (`gouache.runs.finish`): `composite` over a source.

    `width` is that of pictures as they are painted: a source grows with those that are wider.
    """

    source: Picture = field(repr=False)
    mask: Mask = field(repr=False)
    width: int

    def __call__(self, picture: Picture, codes: Tensor | None = None) -> Picture:
        return composite(self.source, picture, self.mask, larger=picture.width > self.width)

    def record(self) -> dict[str, Any]:
        return {"name": "composite"}


def warn_lossy(path: str | Path) -> None:
    """Says that a composite in this file will not be the source's outside the mask to the byte."""
    if picture_format(path) == "JPEG":
        _tell(
            f"JPEG changes every pixel a little; for {one_line(path)} to be the source outside the "
            "mask write a .png"
        )


def _in_srgb(source: Picture) -> Picture:
    plain = source.convert("RGB")
    plain.info = dict(source.info)
    found = flat(plain, "")
    if source.mode == "RGBA":
        found.putalpha(source.getchannel("A"))
    return found


def _tell(message: str) -> None:
    warnings.warn(message, CompositeWarning, stacklevel=3)


__all__ = ["Composite", "CompositeWarning", "composite", "warn_lossy", "warn_reduced"]
