"""Work that has no steps to iterate over, done in parts all the same: others take turns with it."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterator

_pause: contextvars.ContextVar[Callable[[], None] | None] = contextvars.ContextVar(
    "alternating", default=None
)


def in_parts(work: Callable[[], object]) -> Iterator[None]:
    """Does `work` in a thread of its own that only runs while the next part is waited for.

    A part ends where the work calls `give_way`. What it raises, the last part raises.
    """
    go, ended = threading.Semaphore(0), threading.Semaphore(0)
    raised: list[BaseException] = []

    def pause() -> None:
        ended.release()
        go.acquire()

    def whole() -> None:
        go.acquire()
        _pause.set(pause)
        try:
            work()
        except BaseException as error:
            raised.append(error)
        finally:
            finished.set()
            ended.release()

    finished = threading.Event()
    # What holds for whoever asks (who watches, who may end it) holds for the work.
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(whole,), name="start", daemon=True).start()
    while True:
        go.release()
        ended.acquire()
        if finished.is_set():
            break
        yield
    if raised:
        raise raised[0]


def give_way() -> None:
    """Lets the others have their turn, in work that is done in parts."""
    if (pause := _pause.get()) is not None:
        pause()


__all__ = ["give_way", "in_parts"]
