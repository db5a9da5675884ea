"""A number that changes over a run: a frozen value, computed from the step alone.

Written as keyframes, `0:(0.1), 50:(0.3)` as in Deforum, by steps or by shares of the run in percent
(`0%:(1), 100%:(0)`), with `linear`, `cosine` or `step` after them for what is between two; or over
the whole run as `linear(1, 0.1)`, `cosine(1, 0.1)`, `constant(1)`. Numbers only: nothing is
evaluated as code.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import TYPE_CHECKING, NoReturn, TypeVar

from gouache.errors import ConfigError
from gouache.registry import nearest

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

INTERPOLATIONS = ("linear", "cosine", "step")
MAX_KEYFRAMES = 1000
MAX_STEP = 1_000_000
_WHOLE_RUN = {"constant": 1, "linear": 2, "cosine": 2}  # and how many numbers each has
NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")  # as people write it
_WORD = re.compile(r"[A-Za-z_]+")


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
        if self.between == "cosine":
            done = (1 - math.cos(math.pi * done)) / 2
        value = first * (1 - done) + second * done
        return min(max(value, min(first, second)), max(first, second))  # whatever is rounded

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


class _Reader:
    """A text and how far it is read."""

    def __init__(self, text: str, name: str) -> None:
        self._text, self._name, self._place = text, name, 0

    def schedule(self) -> Schedule:
        self._skip()
        word = _WORD.match(self._text, self._place)
        return self._keyframes() if word is None else self._whole_run(word[0].lower())

    def _whole_run(self, word: str) -> Schedule:
        if word not in _WHOLE_RUN:
            self._fail("0:(NUMBER), constant(, linear( or cosine(")
        self._place += len(word)
        self._take("(", f"'(' after {word}")
        values = [self._number("a number")]
        for _ in range(_WHOLE_RUN[word] - 1):
            self._take(",", "',' and the number at the end of the run")
            values.append(self._number("a number"))
        self._take(")", "')'")
        self._end("nothing more")
        if word == "constant":
            return Schedule((0,), tuple(values))
        return Schedule((0, 100), tuple(values), word, percent=True)

    def _keyframes(self) -> Schedule:
        positions: list[float] = []
        values: list[float] = []
        kinds: list[bool] = []
        while True:
            start = self._place
            positions.append(self._number("a step, or a share in %"))
            kinds.append(self._given("%"))
            most = 100 if kinds[-1] else MAX_STEP
            self._skip()
            if kinds[-1] != kinds[0]:
                self._fail("all positions as steps, or all in %", start)
            if not 0 <= positions[-1] <= most or not (kinds[0] or positions[-1].is_integer()):
                self._fail(f"{'a share' if kinds[0] else 'a whole step'} from 0 to {most}", start)
            if len(positions) > 1 and positions[-1] <= positions[-2]:
                self._fail(f"a position after {_shown(positions[-2])}", start)
            if len(positions) > MAX_KEYFRAMES:
                self._fail(f"at most {MAX_KEYFRAMES} keyframes", start)
            self._take(":", "':'")
            opened = self._given("(")
            values.append(self._number("a number"))
            if opened:
                self._take(")", "')'")
            if not self._given(","):
                break
        self._skip()
        word = _WORD.match(self._text, self._place)
        if word is None:
            self._end(f"',' and the next keyframe, or {', '.join(INTERPOLATIONS)}")
        elif word[0].lower() not in INTERPOLATIONS:
            self._fail(f"one of {', '.join(INTERPOLATIONS)}")
        else:
            self._place = word.end()
            self._end("nothing more")
        between = INTERPOLATIONS[0] if word is None else word[0].lower()
        return Schedule(tuple(positions), tuple(values), between, kinds[0])

    def _number(self, what: str) -> float:
        self._skip()
        found = NUMBER.match(self._text, self._place)
        if found is None or not math.isfinite(float(found[0])):
            self._fail(what)
        self._place = found.end()
        return float(found[0])

    def _given(self, mark: str) -> bool:
        self._skip()
        here = self._text.startswith(mark, self._place)
        self._place += len(mark) * here
        return here

    def _take(self, mark: str, what: str) -> None:
        if not self._given(mark):
            self._fail(what)

    def _end(self, what: str) -> None:
        self._skip()
        if self._place < len(self._text):
            self._fail(what)

    def _skip(self) -> None:
        while self._text[self._place : self._place + 1].isspace():
            self._place += 1

    def _fail(self, what: str, place: int | None = None) -> NoReturn:
        place = self._place if place is None else place
        while self._text[place : place + 1].isspace():
            place += 1
        before, after = self._text[max(0, place - 30) : place], self._text[place : place + 30]
        shown = "".join(c if c.isprintable() else "?" for c in f"{before}^{after}")
        raise ConfigError(f"{self._name}: expected {what} at character {place + 1}: {shown}")


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


__all__ = ["INTERPOLATIONS", "NUMBER", "Number", "Schedule", "numbers_at", "scheduled"]
