"""The steps of one picture by a system: how many are done, and an end in between."""

from __future__ import annotations

from collections.abc import Iterator

from gouache.halting import check
from gouache.watching import count


def paced(total: int) -> Iterator[int]:
    """0 to `total` - 1. `halting` ends it between two steps; who watches is told what is done."""
    for step in range(total):
        check()
        yield step
        count(step + 1, total)


__all__ = ["paced"]
