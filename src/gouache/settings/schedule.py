"""A number that changes over a run: a frozen value, computed from the step alone.

Written as keyframes, `0:(0.1), 50:(0.3)` as in Deforum, by steps or by shares of the run in percent
(`0%:(1), 100%:(0)`), with `linear`, `cosine` or `step` after them for what is between two; or over
the whole run as `linear(1, 0.1)`, `cosine(1, 0.1)`, `constant(1)`. Numbers only: a run's settings
are plain. `KeyframeReader` reads all keyframes, also those of films, whose values may be formulas
(`gouache.films.curves`).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from gouache.errors import ConfigError
from gouache.registry import nearest
from gouache.settings.expressions import WORD, Scanner

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

INTERPOLATIONS = ("linear", "cosine", "step")
MAX_KEYFRAMES = 1000
MAX_STEP = 1_000_000
_WHOLE_RUN = {"constant": 1, "linear": 2, "cosine": 2}  # and how many numbers each has


@dataclass(frozen=True)
class Schedule:
    """Keyframes: `values[k]` at `positions[k]`, before the first one its value, after the last its.

    positions: rising, steps from 0 (whole numbers), or with `percent` shares of the run in
        [0,100], 0 being the first step and 100 the last.
    between: "linear", "cosine" (a half cosine from one to the next) or "step" (the one before).

    What does not fit raises `ConfigError`.
    """

    positions: tuple[float, ...]
    values: tuple[float, ...]
    between: str = "linear"
    percent: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.positions) == len(self.values) <= MAX_KEYFRAMES:
            raise ConfigError(
                f"a schedule has {len(self.positions)} positions and {len(self.values)} values; "
                f"expected as many of each, between 1 and {MAX_KEYFRAMES}"
            )
        if self.between not in INTERPOLATIONS:
            hint = nearest(str(self.between), list(INTERPOLATIONS))
            raise ConfigError(f"no interpolation is called {self.between!r:.40}; {hint}")
        if not all(map(math.isfinite, self.values)):
            raise ConfigError("a value of a schedule is not finite; expected numbers")
        most = 100 if self.percent else MAX_STEP
        whole = self.percent or all(position == int(position) for position in self.positions)
        if not whole or not all(0 <= position <= most for position in self.positions):
            kind = "percent" if self.percent else "whole steps"
            raise ConfigError(f"a position of a schedule is not in {kind} from 0 to {most:,}")
        if any(second <= first for first, second in pairwise(self.positions)):
            raise ConfigError("the positions of a schedule do not rise; write them in their order")

    def at(self, step: int, num_steps: int) -> float:
        """The number at `step` (0-based) of a run of `num_steps`, all stages together."""
        places: Sequence[float] = self.positions
        if self.percent:
            places = [place / 100 * max(1, num_steps - 1) for place in places]
        after = bisect_right(places, step)
        if after in (0, len(places)) or self.between == "step":
            return self.values[max(0, after - 1)]
        first, second = self.values[after - 1 : after + 1]
        done = (step - places[after - 1]) / (places[after] - places[after - 1])
        return mixed(first, second, done, self.between)

    def __str__(self) -> str:
        """As `parse` reads it."""
        if self.percent and self.positions == (0, 100) and self.between != "step":
            return f"{self.between}({_shown(self.values[0])}, {_shown(self.values[1])})"
        mark = "%" if self.percent else ""
        frames = ", ".join(
            f"{_shown(position)}{mark}:({_shown(value)})"
            for position, value in zip(self.positions, self.values, strict=True)
        )
        return frames if self.between == "linear" else f"{frames} {self.between}"

    def __repr__(self) -> str:
        return f"Schedule.parse({str(self)!r})"

    @classmethod
    def parse(cls, text: str, name: str = "the schedule") -> Schedule:
        """Reads what the module says; `ConfigError` tells where `name` is not as expected."""
        return _Reader(text, name).schedule()


def mixed(first: float, second: float, done: float, between: str = "linear") -> float:
    """What is between two numbers, `done` of the way in [0,1]: "linear" or "cosine"."""
    if between == "cosine":
        done = (1 - math.cos(math.pi * done)) / 2
    value = first * (1 - done) + second * done
    return min(max(value, min(first, second)), max(first, second))  # whatever is rounded


class KeyframeReader(Scanner):
    """Keyframes `position:value, ... INTERPOLATION`; what positions and values are, others say."""

    interpolations: tuple[str, ...] = INTERPOLATIONS
    most_keyframes = MAX_KEYFRAMES

    def keyframes(self) -> tuple[list[Any], list[Any], str]:
        """Positions, values, and what is between them. All of the text is read."""
        positions: list[Any] = []
        values: list[Any] = []
        while True:
            if len(positions) == self.most_keyframes:
                self.fail(f"at most {self.most_keyframes} keyframes")
            positions.append(self.position(positions))
            self.take(":", "':'")
            values.append(self.value())
            if not self.more():
                break
        self.skip()
        word = WORD.match(self.text, self.place)
        if word is None:
            self.end(f"',' and the next keyframe, or {', '.join(self.interpolations)}")
            return positions, values, self.interpolations[0]
        return positions, values, self.interpolation(word[0])

    def interpolation(self, word: str) -> str:
        """The word that comes, at the end of the text."""
        if word.lower() not in self.interpolations:
            self.fail(f"one of {', '.join(self.interpolations)}")
        self.place += len(word)
        self.end("nothing more")
        return word.lower()

    def position(self, earlier: list[Any]) -> Any:
        raise NotImplementedError

    def value(self) -> Any:
        raise NotImplementedError

    def more(self) -> bool:
        """Whether another keyframe comes; what is between the two is read."""
        return self.given(",")


class _Reader(KeyframeReader):
    """Steps or shares of a run, and numbers."""

    _percent = False

    def schedule(self) -> Schedule:
        self.skip()
        word = WORD.match(self.text, self.place)
        if word is not None:
            return self._whole_run(word[0].lower())
        positions, values, between = self.keyframes()
        return Schedule(tuple(positions), tuple(values), between, self._percent)

    def _whole_run(self, word: str) -> Schedule:
        if word not in _WHOLE_RUN:
            self.fail("0:(NUMBER), constant(, linear( or cosine(")
        self.place += len(word)
        self.take("(", f"'(' after {word}")
        values = [self.number("a number")]
        for _ in range(_WHOLE_RUN[word] - 1):
            self.take(",", "',' and the number at the end of the run")
            values.append(self.number("a number"))
        self.take(")", "')'")
        self.end("nothing more")
        if word == "constant":
            return Schedule((0,), tuple(values))
        return Schedule((0, 100), tuple(values), word, percent=True)

    def position(self, earlier: list[Any]) -> float:
        start = self.place
        found, percent = self.number("a step, or a share in %"), self.given("%")
        if not earlier:
            self._percent = percent
        most = 100 if percent else MAX_STEP
        self.skip()
        if percent != self._percent:
            self.fail("all positions as steps, or all in %", start)
        if not 0 <= found <= most or not (percent or found.is_integer()):
            self.fail(f"{'a share' if percent else 'a whole step'} from 0 to {most}", start)
        if earlier and found <= earlier[-1]:
            self.fail(f"a position after {_shown(earlier[-1])}", start)
        return found

    def value(self) -> float:
        opened = self.given("(")
        found = self.number("a number")
        if opened:
            self.take(")", "')'")
        return found


def _shown(number: float) -> str:
    return repr(float(number)).removesuffix(".0")


if TYPE_CHECKING:
    Number = float  # to those who read it at a step: `numbers_at` puts plain numbers in place
    _Section = TypeVar("_Section", bound=DataclassInstance)
else:
    Number = float | Schedule
    _Section = TypeVar("_Section")


def scheduled(section: DataclassInstance) -> Mapping[str, Schedule]:
    """The settings of a section, or of all, that are schedules, by their names."""
    found: dict[str, Schedule] = {}
    for item in fields(section):
        value = getattr(section, item.name)
        if isinstance(value, Schedule):
            found[item.name] = value
    return found


def numbers_at(section: _Section, step: int, num_steps: int) -> _Section:
    """A section of the settings as it is at a step: numbers in place of its schedules."""
    found = scheduled(section)
    if not found:
        return section
    return replace(section, **{name: one.at(step, num_steps) for name, one in found.items()})


__all__ = [
    "INTERPOLATIONS",
    "KeyframeReader",
    "Number",
    "Schedule",
    "mixed",
    "numbers_at",
    "scheduled",
]
