"""Settings from files: JSON, YAML, TOML, and all that gouache writes.

A plain scalar of YAML is a text, which each setting reads as what it holds and nothing guesses:
`1e-05` is a number where a number belongs, and `12:30`, `yes` and `off` are text where text does.
"""

from __future__ import annotations

import json
import re
import tomllib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from gouache.errors import ConfigError
from gouache.output.documents import dump_json
from gouache.prompts import NOT_FETCHED, one_line, web_address
from gouache.settings.config import PaintConfig, flatten

MAX_BYTES = 64 << 20  # 256 prompts of the greatest length, escaped, are half of that
MAX_VALUES = 100_000
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF")


class SettingsNote(UserWarning):
    """Something in a settings file is not used."""


def read_settings(path: Path) -> dict[str, Any]:
    """Flat settings from a YAML, TOML or JSON file, or from a picture that gouache made.

    Also a whole record (`settings.json` of a run, what `gouache info --json` prints), of which the
    settings are taken. Unknown and doubled names, and files that are neither, raise `ConfigError`.
    """
    shown = one_line(path)
    data = _read(path, "settings file")
    if data.startswith(_PICTURES):
        from gouache.output.pictures import read_metadata

        return _flat(read_metadata(path), shown)
    return _flat(_document(data, path, "settings file"), shown)


def read_document(path: Path, kind: str) -> Any:
    """What a TOML, YAML or JSON file holds: mappings, lists, texts; of JSON and TOML also numbers.

    kind: what it is in messages, which are `ConfigError`s of one line.
    """
    return _document(_read(path, kind), path, kind)


def _read(path: Path, kind: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        if address := web_address(path):
            raise ConfigError(f"{one_line(address)} {NOT_FETCHED}") from None
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"the {kind} {one_line(path)} cannot be read: {reason}") from None
    if len(data) > MAX_BYTES and not data.startswith(_PICTURES):
        raise ConfigError(f"the {kind} {one_line(path)} is over {MAX_BYTES >> 20} MB; shorten it")
    return data


def _document(data: bytes, path: Path, kind: str) -> Any:
    suffix = path.suffix.lower()
    try:
        # By its mark or its zeros: consoles write UTF-16 too.
        text = data.decode(json.detect_encoding(data)).removeprefix("\ufeff")
        if suffix == ".toml":
            return _within_bounds(tomllib.loads(text))
        return _parse(text, suffix == ".json")
    # Of a wrong value under a tag (`!!bool x`) PyYAML lets through what it met with.
    except (
        yaml.YAMLError,
        ValueError,
        LookupError,
        AttributeError,
        TypeError,
        RecursionError,
    ) as error:
        reason = one_line(" ".join(str(error).split()), 120)
        language = "TOML" if suffix == ".toml" else "YAML or JSON"
        raise ConfigError(f"the {kind} {one_line(path)} is not {language}: {reason}") from None


def settings_text(config: PaintConfig, encoding: str | None) -> str:
    """JSON that `read_settings` reads back; plain ASCII where `encoding` cannot hold it."""
    return dump_json(config.to_dict(), 2, encoding)


class _Loader(yaml.SafeLoader):
    """Plain values only, no name twice, and nothing guessed from how a scalar looks."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        "<": [("tag:yaml.org,2002:merge", re.compile(r"^(?:<<)$"))],
        **{
            first: [("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"))]
            for first in ("", "~", "n", "N")
        },
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        if isinstance(node, yaml.MappingNode):
            _refuse_twice([key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)])
        return super().construct_mapping(node, deep)


def _parse(text: str, only_json: bool) -> Any:
    if only_json or text.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(text, object_pairs_hook=_object)
        except json.JSONDecodeError:
            if only_json:
                raise
    return _within_bounds(yaml.load(text, Loader=_Loader))


def _within_bounds(values: Any) -> Any:
    """Aliases let a few lines of YAML stand for endless values, which no message could show."""
    waiting, count = [values], 0
    while waiting:
        count += 1
        if count > MAX_VALUES:
            raise ConfigError(f"the settings hold more than {MAX_VALUES:,} values; shorten them")
        value = waiting.pop()
        waiting += value if isinstance(value, (list, tuple)) else ()
        waiting += value.values() if isinstance(value, dict) else ()
    return values


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    _refuse_twice([name for name, _ in pairs])
    return dict(pairs)


def _refuse_twice(names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        twice = max(names, key=names.count)
        raise ConfigError(f"{one_line(repr(twice), 60)} is given twice; give it once")


def _flat(values: Any, shown: str) -> dict[str, Any]:
    if isinstance(values, Mapping) and isinstance(values.get("config"), Mapping):
        if values.get("edits"):
            warnings.warn(
                f"{shown} was changed by hand or is an edit; only its settings are taken",
                SettingsNote,
                stacklevel=4,
            )
        values = values["config"]
    return flatten({} if values is None else values)


__all__ = ["SettingsNote", "read_document", "read_settings", "settings_text"]
