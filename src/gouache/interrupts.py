"""Ctrl-C and SIGTERM end the process `gouache` with one line, whenever they come.

Until painting begins, and again when all is written, a signal clears temporary files away and ends
the process at once. Nothing is raised, so nothing (an import, a library, a destructor) can swallow
it or answer with a traceback. `apps.runner.Stop` and training take signals over while they have
something to save; a second one is this module's again.

Nothing is imported here that takes time: a signal must find the handlers in place.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

from gouache import litter

EXIT = 130
NUMBERS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
_SHOW_CURSOR = "\x1b[?25h"  # a progress bar hides it


def end_at_once(number: int = 0, frame: FrameType | None = None) -> NoReturn:
    """Clears temporary files away, says so in one line and ends the process; a signal handler."""
    litter.clear()
    with contextlib.suppress(Exception):
        terminal = sys.stderr is not None and sys.stderr.isatty()
        line = f"\r\x1b[K{_SHOW_CURSOR}" if terminal else ""
        os.write(2, f"{line}gouache: interrupted\n".encode())
    os._exit(EXIT)


def catch_signals() -> None:
    """From now on. What the parent wants ignored (nohup) stays ignored."""
    for number in NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end_at_once)


def raise_interrupts() -> None:
    """For commands that save, or close, when `KeyboardInterrupt` is raised: the next signal does.

    The one after it ends the process. Where nobody called `catch_signals`, nothing is changed.
    """

    def once(number: int, frame: FrameType | None) -> NoReturn:
        catch_signals()
        raise KeyboardInterrupt

    for number in NUMBERS:
        if signal.getsignal(number) is end_at_once:
            signal.signal(number, once)


@contextlib.contextmanager
def children_wait() -> Iterator[None]:
    """Processes started in the body do not hear Ctrl-C: this one does, and they end with it.

    Otherwise each would answer with a traceback of its own.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    # Python begins it with the first process of all, and then lets that one hear Ctrl-C.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


__all__ = [
    "EXIT",
    "NUMBERS",
    "catch_signals",
    "children_wait",
    "end_at_once",
    "raise_interrupts",
]
