"""What is done to a finished picture, in order, and recorded in its file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from PIL.Image import Image

from gouache.protocols import FinishStep

Finishing: TypeAlias = Sequence[FinishStep]


def finished(picture: Image, finishing: Finishing) -> Image:
    """The picture after all steps."""
    for step in finishing:
        picture = step(picture)
    return picture


__all__ = ["Finishing", "finished"]
