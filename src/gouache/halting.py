"""Ending long work early. Who may want that says how to ask; the work asks in between.

with halting(lambda: stop.wanted):
    session = Session.build(config)  # raises Halted soon after `stop.wanted` became true

The question holds for this thread (and task) only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_asked: ContextVar[Callable[[], bool] | None] = ContextVar("halting", default=None)


class Halted(BaseException):
    """The work was ended on request. No `Exception`: no handler of mistakes may keep it."""


@contextmanager
def halting(wanted: Callable[[], bool]) -> Iterator[None]:
    """`check` in the body raises `Halted` once `wanted()` is true; an outer question waits."""
    token = _asked.set(wanted)
    try:
        yield
    finally:
        _asked.reset(token)


def check() -> None:
    """Raises `Halted` where the work is not wanted any more. Cheap: ask often."""
    wanted = _asked.get()
    if wanted is not None and wanted():
        raise Halted


__all__ = ["Halted", "check", "halting"]
