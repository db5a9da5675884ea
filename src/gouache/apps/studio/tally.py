"""What a studio has done since it began, counted; `metrics` shows it."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping

from gouache.apps.studio.runs import Run

# Seconds that runs waited for a worker, up to and including each; the last is for all others.
WAITS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)


class Tally:
    """Counts; may be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queued: dict[str, float] = {}  # runs that wait, since when
        self._waits = [0] * (len(WAITS) + 1)
        self._counts: Counter[str] = Counter()
        self._ended: Counter[str] = Counter()
        self._seconds = self._waited = 0.0

    def queued(self, run: Run) -> None:
        """It waits for a worker from now on."""
        with self._lock:
            self._queued.setdefault(run.id, time.monotonic())

    def taken(self, run: Run) -> None:
        """It waits no longer."""
        with self._lock:
            since = self._queued.pop(run.id, None)
            if since is not None:
                seconds = time.monotonic() - since
                self._waits[bisect_left(WAITS, seconds)] += 1
                self._waited += seconds

    def removed(self, run: Run) -> None:
        """It left the queue without a turn."""
        with self._lock:
            self._queued.pop(run.id, None)

    def painted(self, steps: int, seconds: float) -> None:
        with self._lock:
            self._counts["steps"] += max(steps, 0)
            self._seconds += seconds

    def ended(self, status: str) -> None:
        """A run left the hands of a worker with that status."""
        with self._lock:
            self._ended[status] += 1

    def count(self, what: str, number: int = 1) -> None:
        """orders, losses (of workers), or refusals."""
        with self._lock:
            self._counts[what] += number

    def counts(self) -> Mapping[str, int]:
        with self._lock:
            return dict(self._counts)

    def endings(self) -> Mapping[str, int]:
        with self._lock:
            return dict(self._ended)

    @property
    def seconds(self) -> float:
        """That were painted, of all workers together."""
        return self._seconds

    def waits(self) -> tuple[list[tuple[str, float]], float]:
        """(up to so many seconds, runs that waited no longer) in order, and the sum of seconds."""
        with self._lock:
            found, total = [], 0
            for edge, number in zip((*WAITS, float("inf")), self._waits, strict=True):
                total += number
                found.append(("+Inf" if edge == float("inf") else str(edge), float(total)))
            return found, self._waited


__all__ = ["WAITS", "Tally"]
