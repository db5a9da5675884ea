"""What is to be seen of a run while it is painted: encoded when somebody looks, and once."""

from __future__ import annotations

import base64
from functools import cached_property
from typing import TYPE_CHECKING

from gouache.ops.images import encode

if TYPE_CHECKING:
    from PIL.Image import Image

FRAME_SECONDS = 0.06  # more frames than this nobody sees
SIDE = 512  # pixels; of what is pushed to pages, at most


class Frame:
    """A picture (RGB or RGBA) that nobody changes any more."""

    def __init__(self, picture: Image) -> None:
        self._picture = picture

    @cached_property
    def jpeg(self) -> bytes:
        """At its size."""
        return encode(self._picture, "JPEG")

    @cached_property
    def webp(self) -> bytes:
        """At most `SIDE` pixels a side."""
        picture = self._picture
        if max(picture.size) > SIDE:
            picture = picture.copy()
            picture.thumbnail((SIDE, SIDE), reducing_gap=2.0)
        return encode(picture, "WEBP")

    @property
    def url(self) -> str:
        """The small one in an address, as an <img> takes it."""
        return f"data:image/webp;base64,{base64.b64encode(self.webp).decode()}"


__all__ = ["FRAME_SECONDS", "SIDE", "Frame"]
