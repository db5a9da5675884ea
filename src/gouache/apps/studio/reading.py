"""Words, settings and origin of a picture that gouache made, or of a file of settings.

What this studio does not know or cannot take is told in one line each, and the rest is taken.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gouache.apps.studio.orders import (
    NOT_SET,
    Limits,
    check_limits,
    check_models,
    flat_settings,
)
from gouache.errors import ConfigError, GouacheError
from gouache.output.documents import check_document, later_version
from gouache.prompts import Prompt, format_prompt, one_line
from gouache.settings.config import PaintConfig, make_config, settings

_MOST_NOTES = 20
_INPUTS = {
    "init_image": "it starts from",
    "cross_image": "it is crossed with",
    "image_prompts": "it is painted towards",
    "source": "it changes",
    "mask": "its mask is",
}


def is_settings(data: bytes) -> bool:
    """Whether a file is JSON rather than a picture."""
    return data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{"


def parse_settings(data: bytes) -> dict[str, Any]:
    """JSON -> the document; `ConfigError` for anything else."""
    try:
        found = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"the file is not JSON ({one_line(error, 60)})") from None
    assert isinstance(found, dict)
    return found


def read_document(
    document: Mapping[str, Any], limits: Limits, models: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """What a picture carries, or a file of settings -> prompt, settings, size, lineage and notes.

    `settings` are fit for an order of this studio, `lineage` is what the file tells of pictures and
    changes. `GouacheError` for a damaged document.
    """
    notes: list[str] = []
    if "config" not in document and isinstance(document.get("settings"), Mapping):
        document = _by_system(document, notes)
    if not (record := "config" in document):  # settings alone
        document = {"config": document}
    check_document(document, Path("the file"))
    if later := later_version(document, Path("the file")):
        notes.append(f"{later}; what is new in it may be missing here")
    known = dict(_known(document["config"], notes))
    for kind, allowed in models.items():
        try:
            check_models(kind, known.get(kind), allowed)
        except ConfigError as error:
            del known[kind]
            notes.append(f"{one_line(error)}; its default is taken")
    if not known:
        raise ConfigError("the file holds no settings of gouache; give one that gouache wrote")
    try:
        config = PaintConfig.from_dict(known) if record else make_config("auto", **known)
    except GouacheError as error:
        raise ConfigError(f"the settings in the file cannot be used: {one_line(error)}") from None
    picture = document.get("picture") or 0
    notes += _left_out(document, config, known)
    config = config.updated(
        seed=min(config.seed + picture, 2**63 - 1),
        count=1,
        prompt=_prompt(document, config, picture),
    )
    try:
        check_limits(config, limits)
    except ConfigError as error:
        notes.append(one_line(error))
    return {
        "prompt": config.title,
        "settings": flat_settings(config),
        "size": list(config.size),
        "lineage": _lineage(document),
        "notes": notes[:_MOST_NOTES],
    }


def _by_system(document: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """A picture that another system painted: its words and seed are all that is known here."""
    system = one_line(str(document.get("system", "another program")), 60)
    notes.append(f"{system} painted it, which this studio has not; its words and seed are taken")
    taken = {name: document[name] for name in ("prompt", "seed") if name in document}
    if isinstance(words := taken.get("prompt"), str):  # which it took as they are
        taken["prompt"] = format_prompt(Prompt(text=words))
    told = {name: document[name] for name in ("version", "format") if name in document}
    return {**told, "config": taken}


def _known(values: Mapping[str, Any], notes: list[str]) -> Iterator[tuple[str, Any]]:
    """Flat settings that this version reads; a note for each of the others."""
    table = {setting.name: setting for setting in settings()}
    sections = {setting.section for setting in table.values()}
    for key, value in values.items():
        inner = value if key in sections and key and isinstance(value, Mapping) else {key: value}
        for name, one in inner.items():
            setting = table.get(name)
            if name in ("prompt", "prompts"):
                yield "prompt", one
            elif setting is None:
                notes.append(f"{one_line(repr(name), 60)} is no setting of this gouache; ignored")
            else:
                try:
                    setting.check(setting.read(one))
                    yield name, one
                except GouacheError as error:
                    notes.append(f"{one_line(error, 160)}; ignored")


def _prompt(document: Mapping[str, Any], config: PaintConfig, picture: int) -> str:
    """The picture's own words, those of the batch's other pictures left out."""
    own = document.get("prompt")
    return own if isinstance(own, str) else config.prompt_of(picture)


def _left_out(
    document: Mapping[str, Any], config: PaintConfig, known: Mapping[str, Any]
) -> Iterator[str]:
    """What the file tells and an order does not take."""
    for one in document.get("inputs", ()):
        what = _INPUTS.get(str(one.get("setting")), "it needs")
        name = one_line(one.get("name") or "a picture", 80)
        yield f"{what} {name}, which the file does not hold; add that picture too"
    changes = [edit for edit in document.get("edits", ()) if edit.get("edit") != "init_image"]
    if changes:
        yield (
            f"the picture was edited or changed by hand ({len(changes)} changes); only its words "
            "and settings are taken"
        )
    if config.count > 1:
        yield f"it is one of {config.count} pictures; its own words and seed are taken"
    inputs = ("prompt", "prompts", "count", *(_INPUTS if "inputs" in document else ()))
    plain = PaintConfig()
    ignored = [
        setting.name
        for setting in settings()
        if setting.name in NOT_SET and setting.name in known and setting.name not in inputs
        if setting.get(config) != setting.get(plain)
    ]
    if ignored:
        yield f"not taken in the studio, which has its own: {', '.join(ignored)}"


def _lineage(document: Mapping[str, Any]) -> dict[str, Any]:
    """Where the picture comes from: the studio's run, if any, the pictures read, the changes."""
    origin = document.get("studio")
    told = origin if isinstance(origin, Mapping) else {}
    kept = ("setting", "name", "sha256")
    return {
        "run": str(told.get("run", ""))[:40],
        "parents": [str(one)[:60] for one in _list(told.get("parents"))][:8],
        "how": str(told.get("how", ""))[:20],
        "inputs": [
            {name: str(one.get(name, ""))[:200] for name in kept}
            for one in document.get("inputs", ())
        ],
        "edits": [
            {"edit": str(edit.get("edit", ""))[:20], "step": edit.get("step")}
            for edit in document.get("edits", ())
        ],
    }


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


__all__ = ["is_settings", "parse_settings", "read_document"]
