"""Whether the document that a picture carries is one of ours, and of which version.

Files travel: documents come back damaged, edited by hand, and from versions that are not yet
written. Standard library only.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gouache._version import __version__
from gouache.errors import ImageError
from gouache.prompts import one_line

FORMAT = 1  # of pictures' documents and of states

_VERSION = re.compile(r"(\d{1,6})(?:\.(\d{1,6}))?(?:\.(\d{1,6}))?")


def check_document(document: Mapping[str, Any], path: str | Path) -> None:
    """Raises `ImageError` unless everything in `document` has the type that we write.

    Nothing has to be there, and what is not known is let alone: masks, cells of figures and other
    versions tell other things. The message says so where a later version wrote it.
    """
    for name, (is_right, expected) in _TYPES.items():
        value = document.get(name)
        if name in document and not is_right(value):
            raise unusable(document, path, f"{name} is {value!r:.40}; expected {expected}")
    picture: Any = document.get("picture")
    count: Any = document.get("batch", document.get("config", {})).get("count", 1)
    if picture is not None and _is_whole(count) and not 0 <= picture < count:
        raise unusable(document, path, f"picture is {picture!s:.20} and count {count!s:.20}")
    if later := later_version(document, path):
        formats = document.get("format", FORMAT)
        if formats > FORMAT:
            raise ImageError(f"{later}; install that version to read it")


def unusable(document: Mapping[str, Any], path: str | Path, reason: str) -> ImageError:
    """The error for settings that cannot be used."""
    if later := later_version(document, path):
        return ImageError(f"{later} and cannot be read ({one_line(reason)}); install that version")
    shown = one_line(path)
    return ImageError(
        f"the gouache settings in {shown} are damaged ({one_line(reason)}); give the original "
        "picture"
    )


def later_version(document: Mapping[str, Any], path: str | Path) -> str:
    """ "x.png was made by gouache 9.0, later than this one (0.1.0)"; "" for what we know."""
    version: Any = document.get("version")
    formats: Any = document.get("format")
    newer = isinstance(version, str) and _numbers(version) > _numbers(__version__)
    if not newer and not (_is_whole(formats) and formats > FORMAT):
        return ""
    made = f"gouache {one_line(version, 40)}" if newer else "another gouache"
    return f"{one_line(path)} was made by {made}, later than this one ({__version__})"


def dump_json(document: Any, indent: int | None = None, encoding: str | None = "utf-8") -> str:
    """JSON with letters as they are where `encoding` (None: ASCII) has them, else JSON's escapes.

    NaN and infinities become null.
    """
    plain = _finite(document)
    text = json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=indent)
    try:
        text.encode(encoding or "ascii")
    except (LookupError, UnicodeError):  # a path that is not UTF-8, or a terminal
        return json.dumps(plain, allow_nan=False, indent=indent)
    return text


def _numbers(version: str) -> tuple[int, ...]:
    found = _VERSION.match(version)
    return tuple(int(part or 0) for part in found.groups()) if found else ()


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    # A whole number of JSON may be larger than any float.
    return isinstance(value, float) or (_is_whole(value) and abs(value) < 1e300)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def _are_mappings(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_mapping, value))


def _is_model(value: Any) -> bool:
    return _is_mapping(value) and _is_number(value.get("weight", 1.0))


def _finite(value: Any) -> Any:
    """Plain JSON types; JSON has no NaN."""
    if isinstance(value, Mapping):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


_TYPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "version": (lambda value: isinstance(value, str), "text"),
    "format": (_is_whole, "a whole number"),
    "config": (_is_mapping, "settings by name"),
    "batch": (_is_mapping, "settings by name"),
    "system": (lambda value: isinstance(value, str), "text"),
    "settings": (_is_mapping, "settings by name"),
    "generator": (_is_model, "a model"),
    "perceptors": (
        lambda value: isinstance(value, list) and all(map(_is_model, value)),
        "a list of models",
    ),
    "picture": (lambda value: value is None or _is_whole(value), "a whole number"),
    "losses": (
        lambda value: (
            _is_mapping(value) and all(v is None or _is_number(v) for v in value.values())
        ),
        "numbers by name",
    ),
    "edits": (_are_mappings, "a list of changes"),
    "inputs": (_are_mappings, "a list of pictures"),
    "film": (_is_mapping, "settings by name"),
    "frame": (_is_whole, "a whole number"),
    "finish": (_are_mappings, "a list of steps"),
    "lineage": (_is_mapping, "how and from what"),
}


__all__ = ["FORMAT", "check_document", "dump_json", "later_version", "unusable"]
