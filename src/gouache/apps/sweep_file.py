"""Sweeps from files: a table of rows (CSV), or prompts, axes, rows and settings (TOML, YAML, JSON).

prompt = ["a {red,blue} castle", "a ship"]
seeds = "0-7"
zip = false
[axes]
learning_rate = [0.1, 0.2]
[[rows]]
latent = "multiscale"
steps = 120
[settings]
size = "128x128"
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gouache.apps.settings_file import read_document
from gouache.errors import ConfigError
from gouache.prompts import one_line
from gouache.registry import nearest
from gouache.settings.config import flatten
from gouache.sweeps.axes import Axis, make_axis, read_rows

_KEYS = ("prompt", "seeds", "zip", "axes", "rows", "settings")
_KIND = "sweep file"


@dataclass(frozen=True)
class SweepFile:
    """What a file asks for; nothing has to be in it."""

    prompts: tuple[str, ...] = ()
    seeds: str = ""
    zipped: bool = False
    axes: Mapping[str, Axis] = field(default_factory=dict)
    rows: Axis | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


def read_sweep_file(path: Path) -> SweepFile:
    """Raises `ConfigError`, in one line that names the file where it cannot be read."""
    if path.suffix.lower() in (".csv", ".tsv"):
        return SweepFile(rows=read_rows(_table(path)))
    document = read_document(path, _KIND)
    if not isinstance(document, Mapping):
        raise ConfigError(f"the {_KIND} {one_line(path)} holds no names and values")
    for name in document:
        if name not in _KEYS:
            hint = nearest(str(name), list(_KEYS))
            raise ConfigError(f"the {_KIND} {one_line(path)} has {name!r:.40}; {hint}")
    axes = _mapping(document, "axes")
    rows = document.get("rows")
    if rows is not None and not isinstance(rows, list):
        raise ConfigError(f"rows is {rows!r:.40}; expected a list of settings by their names")
    return SweepFile(
        _prompts(document.get("prompt", ())),
        _seeds(document.get("seeds", "")),
        _flag(document.get("zip", False)),
        {_name(name): make_axis(_name(name), values) for name, values in axes.items()},
        None if rows is None else read_rows(rows),
        flatten(_mapping(document, "settings")),
    )


def _table(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"the {_KIND} {one_line(path)} is not UTF-8 text") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"the {_KIND} {one_line(path)} cannot be read: {reason}") from None
    mark = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        header, *lines = list(csv.reader(text.splitlines(), delimiter=mark, strict=True)) or [[]]
    except csv.Error as error:
        raise ConfigError(f"the {_KIND} {one_line(path)} is no table: {error}") from None
    names = [name.strip() for name in header]
    if not all(names) or len(set(names)) < len(names):
        raise ConfigError(
            f"the first line of {one_line(path)} is {one_line(','.join(header), 60)!r}; expected "
            "the names of settings, each once"
        )
    rows = []
    for number, line in enumerate(filter(None, lines), 1):
        if len(line) != len(names):
            raise ConfigError(f"row {number} has {len(line)} values for {len(names)} names")
        rows.append(dict(zip(names, (value.strip() for value in line), strict=True)))
    return rows


def _mapping(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = document.get(name) or {}
    if not isinstance(found, Mapping):
        raise ConfigError(f"{name} is {found!r:.40}; expected names and values")
    return found


def _prompts(given: Any) -> tuple[str, ...]:
    found = (given,) if isinstance(given, str) else given
    if not isinstance(found, (list, tuple)) or not all(isinstance(one, str) for one in found):
        raise ConfigError(f"prompt is {given!r:.40}; expected a text, or a list of texts")
    return tuple(found)


def _seeds(given: Any) -> str:
    listed = given if isinstance(given, list) else [given]
    if not all(isinstance(one, (int, str)) and not isinstance(one, bool) for one in listed):
        raise ConfigError(f"seeds is {given!r:.40}; write whole numbers and ranges: 0-7,12")
    return ",".join(map(str, listed))


def _flag(given: Any) -> bool:
    known = {True: True, False: False, "true": True, "false": False}
    if not isinstance(given, (bool, str)) or given not in known:
        raise ConfigError(f"zip is {given!r:.40}; expected true or false")
    return known[given]


def _name(name: Any) -> str:
    return str(name).strip().replace("-", "_")


__all__ = ["SweepFile", "read_sweep_file"]
