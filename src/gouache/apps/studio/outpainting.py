"""The canvas grows: an order to extend a picture becomes one to edit it under a mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gouache.apps.studio.endpoints import picture_name
from gouache.apps.studio.fitting import GROWN, extended, new_parts
from gouache.apps.studio.orders import Limits, check_pixels, mapping
from gouache.errors import ConfigError
from gouache.ops.images import load_image

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

SIDES = ("left", "right", "top", "bottom")
FEATHER = 12  # pixels, from the filling beside the old part to what is painted
# Where the order does not say: slow enough for the new part to keep the old one's colours.
_LEARNING_RATE = 0.03
_FOCUS_SHARE = 0.4  # of cutouts; the others look at both parts


def as_edit(
    document: Any,
    limits: Limits,
    find_image: Callable[[str], Path],
    keep: Callable[[Picture], str],
) -> Any:
    """An order with `extend`: {of, left, right, top, bottom} -> the order of an edit; others as
    they are.

    The grown picture, filled from its edges, and a mask of what is new are kept as uploads (`keep`
    gives their ids). The old part keeps its pixels: the painted part is laid beside it, and fades
    in the new part alone. `ConfigError` for anything that cannot be.
    """
    if not isinstance(document, Mapping) or document.get("extend") is None:
        return document
    if document.get("image") is not None or document.get("edit") is not None:
        raise ConfigError("extend takes the place of image and edit; leave those out")
    of, margins = _read(document["extend"])
    picture = load_image(find_image(of))
    left, right, top, bottom = margins
    size = picture.width + left + right, picture.height + top + bottom
    check_pixels(size, limits, GROWN)
    settings = mapping(document.get("settings", {}), "settings", None)
    feather = min(FEATHER, min(side for side in margins if side) // 4 * 2)  # even
    # It reaches as far to both sides of a mask, which stays away from the old part for it.
    mask = new_parts(picture.size, margins, seam=feather)
    return {
        **{name: value for name, value in document.items() if name != "extend"},
        "settings": {"learning_rate": _LEARNING_RATE, **settings, "size": list(size)},
        "image": keep(extended(picture, margins)),
        "edit": {
            "mask": keep(mask.convert("RGB")),
            "settings": {"feather": feather, "focus_share": _FOCUS_SHARE},
        },
        "parent": document.get("parent") or (of if "/" in of else ""),
    }


def _read(body: Any) -> tuple[str, tuple[int, int, int, int]]:
    if not isinstance(body, Mapping) or not body.keys() <= {"of", *SIDES}:
        raise ConfigError('extend must be {"of": "RUN/NODE", "left": 64, "right": 0, ...}')
    numbers = []
    for name in SIDES:
        number = body.get(name, 0)
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= 2**13:
            raise ConfigError(f"extend.{name} is {number!r:.40}; expected whole pixels, 0 or more")
        numbers.append(number)
    if not any(numbers):
        raise ConfigError("extend grows no side; give left, right, top or bottom in pixels")
    left, right, top, bottom = numbers
    return picture_name(body.get("of")), (left, right, top, bottom)


__all__ = ["FEATHER", "as_edit"]
