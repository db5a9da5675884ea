"""What varies in a sweep: braces in prompts, axes of settings, seeds, explicit rows.

An axis is a list of points, a point some settings by their names: `latent=quantized,multiscale` is
an axis of two points with one setting each, a table of rows an axis whose points have several.
Standard library only; every mistake is a `ConfigError` (in a prompt a `PromptError`) of one line.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from gouache.errors import ConfigError, PromptError
from gouache.prompts import MAX_SEED, one_line
from gouache.registry import nearest
from gouache.settings.config import settings

Point: TypeAlias = Mapping[str, Any]
Axis: TypeAlias = Sequence[Point]

MAX_CELLS = 100_000
PRESET = "preset"
# What an axis cannot vary, and what to do instead.
_NOT_VARIED = {
    "prompt": "give several prompts, or {red,blue} inside of one",
    "seed": "give --seeds 0-7",
    "count": "a cell is one picture; give --seeds 0-7 for several",
    "device": "it decides no picture; give --device once",
}
_RANGE = re.compile(r"\s*([0-9]{1,19})\s*(?:-\s*([0-9]{1,19})\s*)?")
_TOGETHER = re.compile(r"\s\+\s")  # between the texts of a setting that repeats, as it is shown


def read_axis(text: str) -> tuple[str, Axis]:
    """`NAME=VALUE,VALUE` -> its name and points; `;` separates values that have commas."""
    name, equals, values = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals or not name:
        raise ConfigError(
            f"the axis is {one_line(repr(text), 60)}; write NAME=VALUE,VALUE: learning_rate=0.1,0.2"
        )
    listed = values.split(";" if ";" in values else ",")
    return name, make_axis(name, [value.strip() for value in listed])


def make_axis(name: str, values: Sequence[Any]) -> Axis:
    """The points of one setting; each value is read, none may be there twice."""
    _check_name(name)
    if isinstance(values, (str, Mapping)) or not isinstance(values, Sequence):
        raise ConfigError(f"the axis {name} is {values!r:.60}; expected a list of values")
    if any(value == "" for value in values) or not values:
        raise ConfigError(f"the axis {name} has an empty value; write {name}=VALUE,VALUE")
    points = [{name: _read(name, value)} for value in values]
    for number, point in enumerate(points):
        if point in points[:number]:
            raise ConfigError(
                f"the axis {name} has {one_line(str(values[number]), 40)} twice; once is enough"
            )
    return points


def read_rows(rows: Sequence[Mapping[str, Any]]) -> Axis:
    """Explicit rows as one axis; an empty value (a cell of a table) is not given."""
    points: list[dict[str, Any]] = []
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise ConfigError(f"row {number} is {row!r:.40}; expected settings by their names")
        point: dict[str, Any] = {}
        for name, value in row.items():
            if value is None or value == "":
                continue
            own = str(name).strip().replace("-", "_")
            if own not in ("prompt", "seed"):
                _check_name(own)
            try:
                point[own] = _read(own, value)
            except ConfigError as error:
                raise ConfigError(f"row {number}: {error}") from None
        if not point:
            raise ConfigError(f"row {number} is empty; each has at least one setting")
        if point in points:
            raise ConfigError(f"row {number} is row {points.index(point) + 1}; once is enough")
        points.append(point)
    if not points:
        raise ConfigError("there are no rows; give at least one")
    return points


def _check_name(name: str) -> None:
    if name in _NOT_VARIED:
        raise ConfigError(f"{name} cannot be an axis; {_NOT_VARIED[name]}")
    known = {setting.name for setting in settings()} | {PRESET}
    if name not in known:
        raise ConfigError(f"no setting is called {name!r:.60}; {nearest(name, sorted(known))}")


def _read(name: str, value: Any) -> Any:
    if name == PRESET:
        return value
    setting = next(one for one in settings() if one.name == name)
    if setting.codec.repeats and isinstance(value, str) and name != "prompt":
        value = tuple(_TOGETHER.split(value))
    return setting.read(value)


def read_seeds(text: str) -> tuple[int, ...]:
    """`0-7,12` -> the seeds; each once."""
    found: list[int] = []
    for part in str(text).split(","):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise ConfigError(f"seeds is {text!r:.60}; write whole numbers and ranges: 0-7,12")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last > MAX_SEED:
            raise ConfigError(
                f"seeds has {one_line(part.strip(), 40)}; a range goes up, to {MAX_SEED} at most"
            )
        if last - first >= MAX_CELLS:
            raise ConfigError(
                f"seeds has {last - first + 1:,} of them; at most {MAX_CELLS:,} cells are possible"
            )
        found += range(first, last + 1)
    if len(set(found)) < len(found):
        raise ConfigError(f"seeds is {text!r:.60}; a seed is given twice, and once is enough")
    return tuple(found)


def expand(prompt: str) -> list[str]:
    r"""`a {red,blue} {castle,ship}` -> all four prompts, the last braces fastest.

    An alternative may be empty; `\{` and `\}` stand for themselves. Raises `PromptError`.
    """
    parts: list[list[str]] = []
    texts, depth_at = [""], -1
    place = 0
    while place < len(prompt):
        char = prompt[place]
        if char == "\\" and prompt[place + 1 : place + 2] in ("{", "}"):
            texts[-1] += prompt[place + 1]
            place += 2
            continue
        if char == "{":
            if depth_at >= 0:
                raise PromptError("braces inside of braces are not read", prompt, place)
            parts.append(texts)
            texts, depth_at = [""], place
        elif char == "}":
            if depth_at < 0:
                raise PromptError("a brace is closed that is not open", prompt, place)
            if len(texts) < 2:
                raise PromptError(
                    "braces want alternatives: {red,blue}; write \\{ to mean a brace",
                    prompt,
                    depth_at,
                )
            parts.append(texts)
            texts, depth_at = [""], -1
        elif char == "," and depth_at >= 0:
            texts.append("")
        else:
            texts[-1] += char
        place += 1
    if depth_at >= 0:
        raise PromptError("a brace is open that is not closed", prompt, depth_at)
    parts.append(texts)
    if math.prod(map(len, parts)) > MAX_CELLS:
        raise PromptError(f"the braces make more than {MAX_CELLS:,} prompts", prompt)
    return [" ".join("".join(chosen).split()) for chosen in itertools.product(*parts)]


def together(axes: Sequence[Axis]) -> Axis:
    """Axes of the same length as one: the first points of all, the second ones, and so on."""
    lengths = {len(axis) for axis in axes}
    if len(lengths) > 1:
        told = " and ".join(str(len(axis)) for axis in axes)
        raise ConfigError(f"the axes have {told} values; --zip wants the same number in all")
    return [merged(points) for points in zip(*axes, strict=True)]


def combinations(axes: Sequence[Axis]) -> Iterator[dict[str, Any]]:
    """Each combination of points, the last axis fastest; `ConfigError` where they are too many."""
    number = math.prod(map(len, axes))
    if number > MAX_CELLS:
        raise ConfigError(f"the sweep has {number:,} cells; at most {MAX_CELLS:,} are possible")
    return map(merged, itertools.product(*axes))


def merged(points: Sequence[Point]) -> dict[str, Any]:
    """The settings of several points; `ConfigError` where two of them say the same one."""
    found: dict[str, Any] = {}
    for point in points:
        if twice := sorted(found.keys() & point.keys()):
            raise ConfigError(f"{twice[0]} varies twice; give one axis for it")
        found |= point
    return found


__all__ = [
    "MAX_CELLS",
    "PRESET",
    "Axis",
    "Point",
    "combinations",
    "expand",
    "make_axis",
    "merged",
    "read_axis",
    "read_rows",
    "read_seeds",
    "together",
]
