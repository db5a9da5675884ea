"""Whose run is painted next: visitors take turns, and each one's runs go in order."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Mapping
from itertools import zip_longest
from types import MappingProxyType

from gouache.apps.studio.runs import Run
from gouache.errors import ConfigError

_NOBODY: Mapping[str, int] = MappingProxyType({})


class QueueFullError(ConfigError):
    """Too many pictures wait, of one visitor or of all."""


class DrainingError(ConfigError):
    """The studio is about to end, and takes no orders any more."""


class Turns:
    """The queue. A run is in it once at most. Not for several threads: the studio holds its lock.

    A visitor who was served waits behind all others who wait, so that nobody fills the queue for
    everybody. `limit` is for all visitors together, `each` for one.
    """

    def __init__(self, limit: int, each: int) -> None:
        self._limit = limit
        self._each = each
        self._lines: OrderedDict[str, deque[Run]] = OrderedDict()  # by visitor, in turn
        self._expected: Counter[str] = Counter()  # admitted, not here yet
        self._hurried: deque[Run] = deque()

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def __contains__(self, run: Run) -> bool:
        return run in self._hurried or run in self._lines.get(run.owner, ())

    def admit(self, owner: str, number: int = 1) -> None:
        """Keeps places, which `add` or `give_up` ends; `QueueFullError` where there are none."""
        own = len(self._lines.get(owner, ())) + self._expected[owner]
        waiting = len(self) + self._expected.total()
        if own + number > self._each:
            raise QueueFullError(
                f"{own} pictures of yours are waiting; cancel one or try again later"
            )
        if waiting + number > self._limit:
            raise QueueFullError(f"{waiting} pictures are waiting; cancel one or try again later")
        self._expected[owner] += number

    def give_up(self, owner: str, number: int = 1) -> None:
        """Ends what `admit` began without a run."""
        self._expected[owner] -= number
        self._expected += Counter()  # drops what is not expected any more

    def add(self, run: Run, first: bool = False) -> None:
        """At the end of the visitor's own line, or at its front. Once is enough."""
        if run in self:
            return
        line = self._lines.setdefault(run.owner, deque())
        if first:
            line.appendleft(run)
        else:
            line.append(run)

    def hurry(self, run: Run) -> None:
        """Before everything else: for what takes moments."""
        self.remove(run)
        self._hurried.append(run)

    def remove(self, run: Run) -> bool:
        """Whether it waited."""
        line = self._lines.get(run.owner, deque())
        if run not in line:
            return False
        line.remove(run)
        if not line:
            del self._lines[run.owner]
        return True

    def next_hurried(self) -> Run | None:
        return self._hurried.popleft() if self._hurried else None

    def next(self, busy: Mapping[str, int] = _NOBODY) -> Run | None:
        """Takes out the run whose turn it is. `busy`: how many of each visitor's are being painted;
        whoever has fewest comes first."""
        if self._hurried:
            return self._hurried.popleft()
        if not self._lines:
            return None
        owner = min(self._lines, key=lambda one: busy.get(one, 0))  # the first of several
        line = self._lines.pop(owner)
        run = line.popleft()
        if line:
            self._lines[owner] = line  # behind all others
        return run

    def take_group(self, run: Run, idle: int = 0) -> list[Run]:
        """Takes out the others of a run's group, which are painted together with it; only their
        share of them where others are `idle`."""
        line = self._lines.get(run.owner, ())
        others = [one for one in line if run.group and one.group == run.group]
        others = others[: -(-(1 + len(others)) // (1 + idle)) - 1]
        for one in others:
            self.remove(one)
        return others

    @property
    def users(self) -> int:
        """Visitors who wait."""
        return len(self._lines)

    def position(self, run: Run, busy: Mapping[str, int] = _NOBODY) -> int:
        """Its place from 1, as things are; 0 for a run that does not wait."""
        if run not in self._lines.get(run.owner, ()):
            return 0
        lines = sorted(self._lines.items(), key=lambda item: busy.get(item[0], 0))
        rounds = zip_longest(*(line for _, line in lines))
        order = [one for turn in rounds for one in turn if one is not None]
        return order.index(run) + 1


__all__ = ["DrainingError", "QueueFullError", "Turns"]
