"""Seeing what a start looks like while it is being found, before there are steps to iterate over.

with watching(show):
    session = Session.build(config)  # show(step) after each step that a try is painted

The step's pictures are those of the try that leads so far, at the size of the run. A `Watcher` sees
more: all tries, and what is done besides, and may choose one of them. It holds for this thread (and
task) only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from gouache.protocols import Step

if TYPE_CHECKING:
    from torch import Tensor


class Watcher:
    """Who sees a start being found: `show` is called with the steps of a try, or nobody is.

    What a subclass does not override is not looked at; `sees_all` says that it wants `sketched`.
    """

    sees_all = False

    def __init__(self, show: Callable[[Step], object] | None = None) -> None:
        self._show = show

    def __call__(self, step: Step) -> None:
        if self._show is not None:
            self._show(step)

    def doing(self, what: str) -> None:
        """What begins now, in a few words."""

    def counted(self, done: int, total: int) -> None:
        """So many of the steps are done by which another system paints one picture."""

    def sketched(self, pictures: Tensor, first: int, tries: int, step: int) -> None:
        """Tries `first` (from 1), `first` + 1... of `tries` after so many steps, (N,3,h,w) in
        [0,1]; all of them before their first one."""

    def leading(self, number: int) -> None:
        """The try (from 1) that the guides like best so far; before each step that is shown. They
        decide when all tries are painted, and may take another then."""

    def choice(self) -> int | None:
        """Asked after each step: the number of the try to go on from at once, 0 for the best so
        far; None while nothing is chosen. Runs of several pictures do not ask."""
        return None


_watcher: ContextVar[Watcher | None] = ContextVar("watching", default=None)


@contextmanager
def watching(show: Watcher | Callable[[Step], object]) -> Iterator[None]:
    """`show` is called with the steps of tries in the body; an outer watcher waits."""
    token = _watcher.set(show if isinstance(show, Watcher) else Watcher(show))
    try:
        yield
    finally:
        _watcher.reset(token)


def watcher() -> Watcher | None:
    """Who watches, None for nobody."""
    return _watcher.get()


def tell(what: str) -> None:
    """Lets who watches know what begins now."""
    if (watch := watcher()) is not None:
        watch.doing(what)


def count(done: int, total: int) -> None:
    """Lets who watches know how much of a picture is done."""
    if (watch := watcher()) is not None:
        watch.counted(done, total)


__all__ = ["Watcher", "count", "tell", "watcher", "watching"]
