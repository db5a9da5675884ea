"""What a clip says of the frames of a film."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from gouache.engine.hook import Hook
from gouache.inputs import Input
from gouache.networks.canvas import Canvas
from gouache.networks.models import Models


@dataclass(frozen=True)
class Begun:
    """How a frame begins.

    latent: (1,code_dim,h,w).
    rest: (1,3,h*f,w*f), what the latent cannot hold of what is carried on; None for nothing.
    hook: what else takes part in painting it.
    """

    latent: Tensor
    rest: Tensor | None
    hook: Hook


class Guide(Protocol):
    """Says what frames begin from, where they do not follow a camera. A film asks for frames in
    their order; the same frame has to be the same whenever it is asked for."""

    @property
    def num_frames(self) -> int: ...

    @property
    def inputs(self) -> tuple[Input, ...]:
        """What it reads, for the record."""
        ...

    def wants(self, frame: int) -> Collection[int]:
        """Numbers of the frames that `frame` goes on from: the one before, or one of those that
        the one before went on from."""
        ...

    def begin(
        self, frame: int, painted: Mapping[int, Tensor], models: Models, canvas: Canvas
    ) -> Begun:
        """painted: those that it `wants`, as they were painted, (1,3,H,W) in [0,1]."""
        ...


__all__ = ["Begun", "Guide"]
