"""The only place that iterates what paints: `runs.drive` makes events of it, starts use it.

Third parties' loops over a `Session` are as good: it is an iterator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Protocol

from gouache.halting import Halted, halting
from gouache.protocols import Step


class Stepping(Protocol):
    """What can be done step by step. A step that fails or is halted leaves it as it was before."""

    @property
    def step_index(self) -> int:
        """Steps done."""
        ...

    @property
    def num_steps(self) -> int: ...

    @property
    def finished(self) -> bool: ...

    def __next__(self) -> Step: ...


def steps(
    painter: Stepping,
    number: int | None = None,
    wanted: Callable[[], bool] | None = None,
    *,
    within: bool = False,
) -> Iterator[Step]:
    """Does `number` steps at most, None for all that are left, until `wanted` is true between two.

    With `within` it is asked inside a step, too: that one is done again when painting goes on.
    """
    ask = wanted or (lambda: False)
    last = painter.num_steps if number is None else painter.step_index + number
    while not painter.finished and painter.step_index < last and not ask():
        try:
            with halting(ask) if within else nullcontext():
                step = next(painter)
        except Halted:
            if not within:
                raise
            return
        yield step


__all__ = ["Stepping", "steps"]
