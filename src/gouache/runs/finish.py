"""What is done to a finished picture, in order, and recorded in its file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

from PIL.Image import Image


class FinishStep(Protocol):
    """One thing that is done to a finished picture; the same picture gives the same result."""

    def __call__(self, picture: Image) -> Image: ...

    def record(self) -> dict[str, Any]:
        """Its `name`, and what else decides it, as JSON."""
        ...


Finishing: TypeAlias = Sequence[FinishStep]


def finished(picture: Image, finishing: Finishing) -> Image:
    """The picture after all steps."""
    for step in finishing:
        picture = step(picture)
    return picture


__all__ = ["FinishStep", "Finishing", "finished"]
