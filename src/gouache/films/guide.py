"""What a clip says of the frames of a film."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Guide(Protocol):
    """Says what frames begin from, where they do not follow a camera. A film asks for frames in
    their order, each once; the same frame has to be the same whenever it is asked for."""

    @property
    def num_frames(self) -> int: ...

    def source(self, frame: int) -> Tensor | None:
        """The frame (1,3,H,W) in [0,1] that is painted over; None where there is none."""
        ...

    def carried(self, previous: Tensor, frame: int) -> tuple[Tensor, Tensor]:
        """What was painted, moved on from `frame - 1` to `frame`, and what of it is not to be
        trusted: (1,3,H,W) in [0,1], and (1,1,H,W) in [0,1], 1 where something else came in sight.
        """
        ...


__all__ = ["Guide"]
