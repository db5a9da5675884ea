"""Each loop in a process of its own, so that none lives off another's memory or settings.

The parent asks for one step at a time, of one process after the other: all loops see the same busy
or quiet machine, and only one computes at a time.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection
from typing import Any

from gouache.interrupts import children_wait


class Worker(AbstractContextManager["Worker"]):
    """A process that holds what `make(*arguments)` returns and calls its methods when asked.

    `make` is a function of a module (it is pickled by name). What a call raises is raised here.
    """

    def __init__(self, make: Callable[..., object], *arguments: object) -> None:
        context = multiprocessing.get_context("spawn")  # no memory shared with the parent
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, make, arguments), daemon=True)
        with children_wait():
            self._process.start()
        theirs.close()
        self._answer()

    def call(self, method: str, *arguments: object) -> Any:
        """`getattr(thing, method)(*arguments)` in the other process."""
        self._ours.send((method, arguments))
        return self._answer()

    def _answer(self) -> Any:
        try:
            failed, answer = self._ours.recv()
        except EOFError:
            raise RuntimeError("a measuring process ended; is the memory full?") from None
        if failed:
            raise answer
        return answer

    def __exit__(self, *exception: object) -> None:
        self._ours.close()
        self._process.join(5)
        self._process.terminate()


def _serve(pipe: Connection, make: Callable[..., object], arguments: tuple[object, ...]) -> None:
    try:
        thing: object = make(*arguments)
        pipe.send((False, None))
        while True:
            method, given = pipe.recv()
            pipe.send((False, getattr(thing, method)(*given)))
    except (EOFError, KeyboardInterrupt, BrokenPipeError, ConnectionResetError):
        return  # the parent has gone
    except Exception as error:
        pipe.send((True, error))


__all__ = ["Worker"]
