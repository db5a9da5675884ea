"""Who paints: the studio itself in a thread, or a worker elsewhere that is told what (`hired`).

A hand has a thread of the studio to itself, in which all its methods but `close` are called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from gouache.apps.studio.filming import FilmPainter
from gouache.apps.studio.noting import listening
from gouache.apps.studio.painter import Painter
from gouache.apps.studio.runs import Run


class Hand(Protocol):
    there: bool
    """Whether it can paint now, as far as that is known."""

    def ready(self, given_up: Callable[[], bool]) -> bool:
        """Waits until it can paint; false where it was given up before."""
        ...

    def paint(self, run: Run) -> Iterator[None]:
        """Begins or goes on with a run, and yields between two parts of the work. Others may be
        painted in between. `BrokenExecutor` where whoever painted it is no more."""
        ...

    def close(self) -> None:
        """Nothing more is painted."""
        ...


class Here:
    """Paints in this process."""

    there = True

    def __init__(self, painter: Painter, films: FilmPainter) -> None:
        self._painter = painter
        self._films = films

    def ready(self, given_up: Callable[[], bool]) -> bool:
        return True

    def paint(self, run: Run) -> Iterator[None]:
        steps = (self._painter if run.film is None else self._films).paint(run)
        while True:
            with listening(run):
                try:
                    next(steps)
                except StopIteration:
                    return
            yield

    def close(self) -> None:
        return None


__all__ = ["Hand", "Here"]
