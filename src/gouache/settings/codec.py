"""One field, one codec: how a setting is read, checked, shown and explained, for every front end.

What a field holds (its type, or `codec` in its metadata) decides; the command line, files of
settings, orders of the studio, records in pictures and its page ask `Setting`. Texts are read alike
wherever they come from: `1e-05` is a number where a number belongs, and text where text does.
"""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gouache.errors import ConfigError
from gouache.registry import nearest
from gouache.settings.expressions import NUMBER
from gouache.settings.schedule import Schedule

_INT = re.compile(r"[-+]?[0-9]{1,400}|0x[0-9a-fA-F]{1,300}|0o[0-7]{1,400}")
_ENDLESS = re.compile(r"([-+]?)\.?(inf|nan)", re.IGNORECASE)
_BOOLS = {
    **dict.fromkeys(("true", "yes", "on"), True),
    **dict.fromkeys(("false", "no", "off"), False),
}


@dataclass(frozen=True)
class Setting:
    """A field of the settings, as everybody sees it. Mistakes raise `ConfigError`, in one line."""

    name: str
    section: str  # attribute of PaintConfig, "" at top level
    type: Any
    default: Any
    meta: Mapping[str, Any]

    @property
    def help(self) -> str:
        return str(self.meta["help"])

    @property
    def parts(self) -> str:
        """What stands between the parts of one text, "" where it has none."""
        return str(self.meta.get("parts", self.codec.mark))

    @property
    def codec(self) -> Codec:
        return typing.cast("Codec", self.meta.get("codec") or _BY_TYPE[self.type])

    def get(self, config: Any) -> Any:
        """Its value in a `PaintConfig`; of another dataclass the field of this name."""
        return getattr(getattr(config, self.section, config) if self.section else config, self.name)

    def read(self, value: Any) -> Any:
        """What people and files write, text or not, as the setting's type; then as `check`."""
        if value is None:
            raise ConfigError(
                f"{self.name} has no value; leave it out, or write one (in quotes if it is the "
                "text null)"
            )
        found = self.codec.read(self, value)
        self.check(found)
        return found

    def check(self, value: Any) -> None:
        """Raises `ConfigError` for a value of the wrong type or out of range."""
        if not _is_type(value, self.type):
            raise ConfigError(f"{self.name} is {value!r:.60}; expected {self.codec.expected}")
        for item in value if isinstance(value, tuple) else (value,):
            if (choices := self.meta.get("choices")) and item not in choices:
                raise ConfigError(f"{self.name} is {item!r:.60}; {_offered(item, choices)}")
        self.codec.check(self, value)

    def arguments(self, value: Any) -> list[str]:
        """What is written for it on a command line, one text for each time that it is given."""
        return self.codec.arguments(value)

    def show(self, value: Any) -> str:
        """In one line; `read` reads it back, but for several texts of a setting that repeats."""
        return " + ".join(self.codec.arguments(value))

    def plain(self, value: Any) -> Any:
        """As JSON holds it; `read` reads it back."""
        return self.codec.plain(value)

    def explain(self) -> str:
        """Help with the choices and the default."""
        parts = [self.help]
        choices = self.meta.get("choices")
        if choices:
            parts.append(f"({(self.codec.mark or ', ').join(map(str, choices))})")
        if self.default not in ("", (), None, choices):
            parts.append(f"[default: {self.show(self.default)}]")
        return " ".join(parts)

    def document(self) -> dict[str, Any]:
        """Name, help, default, range and how it is written, for clients that know JSON only.

        `mark` stands between the values of a list that is written as one text.
        """
        found: dict[str, Any] = {
            "name": self.name,
            "section": self.section,
            "help": self.help,
            "default": self.plain(self.default),
        }
        for key in ("low", "high", "above", "choices"):
            if key in self.meta:
                found[key] = self.plain(self.meta[key])
        if self.codec.mark:
            found["mark"] = self.codec.mark
        return found


def settings_of(cls: type, section: str = "") -> list[Setting]:
    """The settings that a dataclass declares, those of its sections in their place."""
    found: list[Setting] = []
    hints = typing.get_type_hints(cls)
    for item in dataclasses.fields(cls):
        kind = hints[item.name]
        if dataclasses.is_dataclass(kind) and kind is not Schedule:
            found += settings_of(typing.cast(type, kind), item.name)
        else:
            found.append(Setting(item.name, section, kind, item.default, item.metadata))
    return found


class Codec:
    """Text, and what the other kinds have in common."""

    expected = "text"
    metavar = "TEXT"
    mark = ""  # between the values of a list that is one text
    repeats = False  # its option is given once for each value

    def read(self, setting: Setting, value: Any) -> Any:
        """The value where it can be told; all else stays, for `check` to say what is wrong."""
        return value

    def check(self, setting: Setting, value: Any) -> None:
        """What the type does not say; `value` has the right one."""
        check_length(value, setting.meta.get("longest"), f"the {setting.name}")

    def arguments(self, value: Any) -> list[str]:
        return [str(value)]

    def plain(self, value: Any) -> Any:
        if isinstance(value, Schedule):
            return str(value)
        return list(value) if isinstance(value, tuple) else value


class Flag(Codec):
    expected = "true or false"

    def read(self, setting: Setting, value: Any) -> Any:
        return _BOOLS.get(value.strip().lower(), value) if isinstance(value, str) else value

    def check(self, setting: Setting, value: Any) -> None:
        """Both are possible."""


class Ranged(Codec):
    """A number between the bounds of its metadata."""

    def check(self, setting: Setting, value: Any) -> None:
        check_range(setting, value, repr(value)[:40])


class Whole(Ranged):
    expected = "whole number"
    metavar = "INTEGER"

    def read(self, setting: Setting, value: Any) -> Any:
        return read_whole(value)


class Real(Ranged):
    expected = "number"
    metavar = "FLOAT"

    def read(self, setting: Setting, value: Any) -> Any:
        if isinstance(value, str):
            text = value.strip()
            if NUMBER.fullmatch(text):
                return float(text)
            if found := _ENDLESS.fullmatch(text):
                return float(found[1] + found[2])
        value = read_whole(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return float(value) if abs(value) < 2**1000 else math.inf
        return value


class RealOrSchedule(Real):
    expected = "number, or a schedule such as 0:(1), 50:(2) or linear(1, 2)"
    metavar = "FLOAT|SCHEDULE"

    def read(self, setting: Setting, value: Any) -> Any:
        value = super().read(setting, value)
        if isinstance(value, str) and (":" in value or "(" in value):
            return Schedule.parse(value, setting.name)
        return value

    def check(self, setting: Setting, value: Any) -> None:
        numbers = value.values if isinstance(value, Schedule) else (value,)
        inside = f" in {str(value)[:60]}" if isinstance(value, Schedule) else ""
        for number in numbers:
            check_range(setting, number, f"{number!r:.40}{inside}")


class Texts(Codec):
    """Any number of texts; `most` in the metadata says how many."""

    expected = "a list of texts"
    repeats = True

    def read(self, setting: Setting, value: Any) -> Any:
        return (value,) if isinstance(value, str) else _as_tuple(value)

    def check(self, setting: Setting, value: Any) -> None:
        most, one = setting.meta.get("most"), setting.name.removesuffix("s").replace("_", " ")
        if most is not None and len(value) > most:
            raise ConfigError(f"{len(value)} {one}s are given; at most {most} are possible")
        for number, text in enumerate(value, 1):
            what = f"the {one}" if len(value) == 1 else f"{one} {number}"
            check_length(text, setting.meta.get("longest"), what)

    def arguments(self, value: Any) -> list[str]:
        return list(value)


class Prompts(Texts):
    """Prompts, one picture each; a single one is a text, and an empty text none."""

    def read(self, setting: Setting, value: Any) -> Any:
        return as_prompts(value)

    def plain(self, value: Any) -> Any:
        return list(value) if len(value) > 1 else "".join(value)


class Losses(Texts):
    """NAME or NAME:WEIGHT each."""

    def check(self, setting: Setting, value: Any) -> None:
        for text in value:
            parse_weighted(text, "loss")


class Names(Codec):
    """Some of the choices, as one text with commas; none of them is "none"."""

    expected = "a list of texts"
    mark = ","

    def read(self, setting: Setting, value: Any) -> Any:
        if not isinstance(value, str):
            return _as_tuple(value)
        parts = [part.strip() for part in value.split(",")]
        return () if parts == ["none"] else tuple(part for part in parts if part)

    def check(self, setting: Setting, value: Any) -> None:
        """The choices are all that is asked."""

    def arguments(self, value: Any) -> list[str]:
        return [self.mark.join(value) or "none"]


class Size(Codec):
    """Width and height, WxH; one number is a square."""

    expected = "2 times whole number"
    mark = "x"

    def read(self, setting: Setting, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            return _each_whole(_as_tuple(value))
        text = value.lower().replace("\N{MULTIPLICATION SIGN}", self.mark)
        width, cross, height = text.partition(self.mark)
        try:
            if not all(part.strip().isascii() for part in (width, height)):
                raise ValueError
            return int(width), int(height if cross else width)
        except ValueError:
            raise ConfigError(
                f"{setting.name} is {value!r:.60}; write WIDTHxHEIGHT, for example 128x96"
            ) from None

    def check(self, setting: Setting, value: Any) -> None:
        low, high = setting.meta["low"], setting.meta["high"]
        if not all(low <= side <= high for side in value):
            raise ConfigError(
                f"{setting.name} is {self.arguments(value)[0]}; width and height must lie between "
                f"{low} and {high}"
            )

    def arguments(self, value: Any) -> list[str]:
        return [self.mark.join(map(str, value))]


class Counts(Codec):
    """One whole number, or several with commas: one for each stage."""

    expected = "a list of whole numbers"
    mark = ","

    def read(self, setting: Setting, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            return (value,)
        if not isinstance(value, str):
            return _each_whole(_as_tuple(value))
        try:
            return tuple(int(part) for part in value.split(self.mark))
        except ValueError:
            raise ConfigError(
                f"{setting.name} is {value!r:.60}; write a whole number, or one per stage: 150,80"
            ) from None

    def check(self, setting: Setting, value: Any) -> None:
        low, high = setting.meta["low"], setting.meta["high"]
        if not value or not all(low <= number <= high for number in value):
            raise ConfigError(
                f"{setting.name} is {self.arguments(value)[0] or 'empty'}; every stage needs "
                f"between {low} and {high} {setting.name}"
            )

    def arguments(self, value: Any) -> list[str]:
        return [self.mark.join(map(str, value))]


def parse_weighted(text: str, kind: str) -> tuple[str, float]:
    r"""Reads "NAME" or "NAME:WEIGHT"; raises `ConfigError` for a `kind` of that name.

    Names may hold colons ("open_clip:ViT-B-32/openai", `C:\clip.pt`): the weight is what follows
    the last one, if that is a number.
    """
    name, colon, number = text.rpartition(":")
    try:
        weight = float(number) if colon and "_" not in number else math.nan
    except ValueError:
        weight = math.nan
    # "nan" and "inf" are words like others; digits that are no weight are a mistake.
    if math.isfinite(weight) and not 0 < weight <= 1e6:
        raise ConfigError(
            f"the weight of the {kind} {name!r:.80} is {number.strip():.20}; expected a "
            "positive number, at most 1000000"
        )
    if not math.isfinite(weight):
        name, weight = text, 1.0
    if not name.strip():
        raise ConfigError(f"the {kind} is {text!r:.80}; expected NAME or NAME:WEIGHT")
    return name.strip(), weight


def as_prompts(value: Any) -> Any:
    """One text is one prompt, and an empty one is none."""
    value = (value,) if isinstance(value, str) else _as_tuple(value)
    return () if value == ("",) else value


def read_whole(value: Any) -> Any:
    """A text that is a whole number as that number; all else as it is."""
    if not isinstance(value, str) or not _INT.fullmatch(text := value.strip()):
        return value
    return int(text, 0) if text[:2] in ("0x", "0o") else int(text)


def check_length(text: str, longest: int | None, what: str) -> None:
    if longest is not None and len(text) > longest:
        raise ConfigError(f"{what} has {len(text):,} characters; at most {longest:,} are possible")


def check_range(setting: Setting, number: float, got: str) -> None:
    """`low`, `high` (inclusive) and `above` (exclusive) of the metadata; finite in any case."""
    if isinstance(number, float) and not math.isfinite(number):
        raise ConfigError(f"{setting.name} is {number}; expected a finite number")
    low, high, above = (setting.meta.get(key) for key in ("low", "high", "above"))
    if above is not None and number <= above:
        raise ConfigError(f"{setting.name} is {got}; expected more than {above:g}")
    if (low is not None and number < low) or (high is not None and number > high):
        bound = above if low is None else low
        raise ConfigError(f"{setting.name} is {got}; expected between {bound:g} and {high:g}")


def _offered(item: Any, choices: Sequence[Any]) -> str:
    if isinstance(item, str):
        return nearest(item, list(choices))
    return f"choose from {', '.join(map(str, choices))}"


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _each_whole(values: Any) -> Any:
    return tuple(map(read_whole, values)) if isinstance(values, tuple) else values


def _is_type(value: Any, kind: Any) -> bool:
    if typing.get_origin(kind) is tuple:
        parts: Sequence[Any] = typing.get_args(kind)
        if not isinstance(value, tuple):
            return False
        if parts[-1] is Ellipsis:
            return all(_is_type(item, parts[0]) for item in value)
        return len(value) == len(parts) and all(map(_is_type, value, parts))
    if isinstance(kind, types.UnionType):
        return any(_is_type(value, part) for part in typing.get_args(kind))
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    return isinstance(value, kind)


_BY_TYPE: dict[Any, Codec] = {
    str: Codec(),
    bool: Flag(),
    int: Whole(),
    float: Real(),
    float | Schedule: RealOrSchedule(),
    tuple[str, ...]: Texts(),
}

__all__ = [
    "Codec",
    "Counts",
    "Losses",
    "Names",
    "Prompts",
    "Setting",
    "Size",
    "Texts",
    "as_prompts",
    "parse_weighted",
    "settings_of",
]
