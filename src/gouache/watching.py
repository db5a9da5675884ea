"""Seeing what a start looks like while it is being found, before there are steps to iterate over.

with watching(show):
    session = Session.build(config)  # show(step) after each step that a try is painted

The step's pictures are those of the first try, at the size of the run. The watcher holds for this
thread (and task) only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from gouache.protocols import Step

_watcher: ContextVar[Callable[[Step], None] | None] = ContextVar("watching", default=None)


@contextmanager
def watching(show: Callable[[Step], None]) -> Iterator[None]:
    """`show` is called with the steps of tries in the body; an outer watcher waits."""
    token = _watcher.set(show)
    try:
        yield
    finally:
        _watcher.reset(token)


def watcher() -> Callable[[Step], None] | None:
    """Who watches, None for nobody."""
    return _watcher.get()


__all__ = ["watcher", "watching"]
