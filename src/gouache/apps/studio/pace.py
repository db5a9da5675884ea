"""How long a step takes, for who wants to know how long all of them do."""

from __future__ import annotations

import statistics
import time
from collections import deque

RECENT = 15  # steps that count
ENOUGH = 4  # of them, before anything is told


class Pace:
    """The median of recent steps: neither a slow first one nor a pause of the machine counts."""

    def __init__(self) -> None:
        self._last: tuple[float, int] | None = None
        self._seconds: deque[float] = deque(maxlen=RECENT)

    def stepped(self, index: int, now: float | None = None) -> float | None:
        """After step `index`: seconds that one takes; None before enough are known. Steps that are
        counted anew begin with a lower index."""
        now = time.monotonic() if now is None else now
        if self._last is not None and index > self._last[1]:
            steps = index - self._last[1]
            self._seconds.extend([(now - self._last[0]) / steps] * min(steps, RECENT))
        self._last = now, index
        return statistics.median(self._seconds) if len(self._seconds) >= ENOUGH else None


__all__ = ["Pace"]
