"""Work that visitors ask for and that takes seconds: few at once, few waiting, own threads.

Without it such requests would take all threads that serve pages and files.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from gouache.apps.studio.bodies import BusyError
from gouache.halting import Halted, halting

T = TypeVar("T")
GONE_EVERY = 0.5  # seconds between two looks whether who asked is still there


class EagerError(BusyError):
    """Too much is asked for at once by one visitor."""


class Workshop:
    """At most `workers` pieces of work at once; at most `limit` taken, `each` of one visitor."""

    def __init__(self, name: str, *, workers: int = 1, limit: int = 8, each: int = 2) -> None:
        self._name = name
        self._limit = limit
        self._each = each
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    async def run(
        self,
        owner: str,
        work: Callable[[], T],
        gone: Callable[[], Awaitable[bool]] | None = None,
    ) -> T:
        """The result of `work`, done in a thread of the workshop; `BusyError` at once if full.

        When `gone` says that nobody waits for it any more the work ends early (see `halting`) or
        is never begun, and `BusyError` tells those who are not there.
        """
        self._take(owner)
        left = threading.Event()
        future: Future[T] = self._pool.submit(self._do, work, left)
        future.add_done_callback(lambda _: self._free(owner))
        waiting = asyncio.wrap_future(future)
        waiting.add_done_callback(_look)
        try:
            while True:
                done, _ = await asyncio.wait({waiting}, timeout=GONE_EVERY)
                if done:
                    return waiting.result()
                if gone is not None and await gone():
                    raise BusyError("nobody waits for the result")
        except Halted:
            raise BusyError("the studio is ending; ask again later") from None
        finally:
            left.set()
            future.cancel()

    def close(self) -> None:
        """Nothing new is begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _do(self, work: Callable[[], T], left: threading.Event) -> T:
        with halting(left.is_set):
            return work()

    def _take(self, owner: str) -> None:
        with self._lock:
            if self._taken[owner] >= self._each:
                raise EagerError(
                    f"{self._each} requests of yours for {self._name} are under way; "
                    "wait for one of them"
                )
            if self._taken.total() >= self._limit:
                raise BusyError(
                    f"{self._taken.total()} requests for {self._name} are under way; "
                    "try again in a moment"
                )
            self._taken[owner] += 1

    def _free(self, owner: str) -> None:
        with self._lock:
            self._taken[owner] -= 1
            self._taken += Counter()


def _look(future: asyncio.Future[T]) -> None:
    """Nobody else may: what ends badly after that is not worth a message."""
    if not future.cancelled():
        future.exception()


__all__ = ["BusyError", "EagerError", "Workshop"]
