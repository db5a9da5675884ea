"""`gouache info`: how a picture was made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from gouache.apps.printing import print_json
from gouache.errors import ConfigError
from gouache.films.config import FilmConfig, film_settings
from gouache.films.folders import film_document_of, is_folder
from gouache.output.lineage import kept
from gouache.settings.codec import Setting
from gouache.settings.config import PaintConfig, settings


def info(
    picture: Annotated[
        Path, typer.Argument(metavar="PICTURE", help="A picture or a film made by gouache.")
    ],
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> int:
    """Show how a picture or a film was made."""
    from gouache.output.documents import check_document, later_version
    from gouache.output.video import read_any_metadata

    metadata = film_document_of(picture) if is_folder(picture) else read_any_metadata(picture)
    check_document(metadata, picture)
    if later := later_version(metadata, picture):
        typer.echo(f"gouache: note: {later}; what is new in it may be missing here", err=True)
    if json:
        print_json(metadata)
        return 0
    for line in describe(metadata):
        typer.echo(line)
    return 0


def describe(metadata: Mapping[str, Any]) -> list[str]:
    """Readable lines: the prompt, what differs from the defaults, the models, the losses.

    `metadata` is a document as `check_document` lets it pass. Of one that tells no settings (a mask
    or a cell of a figure) all that it tells.
    """
    if "config" in metadata:
        rows = _painting(metadata)
    else:
        rows = _by_system(metadata) if "system" in metadata else _plain(metadata)
    rows.append(("version", metadata.get("version")))
    shown = [(_line(name), _line(value)) for name, value in rows]
    width = max(len(name) for name, _ in shown)
    return [f"{name:{width}}  {value}" for name, value in shown]


def _painting(metadata: Mapping[str, Any]) -> list[tuple[str, Any]]:
    flat: dict[str, Any] = {}
    for key, value in metadata["config"].items():
        flat |= value if isinstance(value, dict) else {key: value}
    rows = _prompts(metadata, flat)
    plain = PaintConfig()
    always = ("size", "steps", "seed", "count")
    for setting in settings():
        if setting.name not in flat or setting.name == "prompt":
            continue
        value = flat[setting.name]
        if setting.name in always or value != setting.plain(setting.get(plain)):
            rows.append((setting.name, _shown(setting, value)))
    rows += [("read", told) for told in _read(metadata)]
    rows += [("" if k else "lineage", line) for k, line in enumerate(_tree(metadata))]
    for model in metadata.get("perceptors", []):
        rows.append(("perceptor", _model(model)))
    rows.append(("generator", _model(metadata.get("generator", {}))))
    for step in metadata.get("finish", []):
        rows.append(("finished by", _step(step)))
    for name, value in metadata.get("losses", {}).items():
        rows.append((f"loss {name}", f"{value:.4f}" if isinstance(value, float) else value))
    if metadata.get("picture") is not None and flat.get("count", 1) != 1:
        rows.append(("picture", f"{metadata['picture'] + 1} of {flat.get('count', 1)}"))
    if "film" in metadata:
        rows += _film(metadata)
    if "step" in metadata:
        rows.append(("done", f"{metadata['step']} of {metadata.get('num_steps')} steps"))
    if metadata.get("edits"):
        rows.append(("edits", f"{len(metadata['edits'])} by hand"))
    return rows


def _by_system(metadata: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """What another system painted: the words, its settings, and who chose."""
    plain = ("prompt", "system", "seed", "best_of", "score")
    rows = [(name, metadata[name]) for name in plain if name in metadata]
    for name, value in metadata.get("settings", {}).items():
        if isinstance(value, Mapping):  # sums of files
            rows += [(name, f"{file} (sha256 {_sum(value, file)})") for file in value]
        else:
            rows.append((name, value))
    if isinstance(metadata.get("guide"), Mapping):
        rows.append(("chosen by", _model(metadata["guide"])))
    rows += [("read", told) for told in _read(metadata)]
    batch = metadata.get("batch", {})
    if metadata.get("picture") is not None and batch:
        rows.append(("picture", f"{metadata['picture'] + 1} of {batch.get('count')}"))
    return rows


def _read(metadata: Mapping[str, Any]) -> list[str]:
    """The pictures that were painted from."""
    told = []
    for one in metadata.get("inputs", []):
        name, kind = one.get("name") or "a picture", f"sha256 of its {one.get('of')}"
        kind = "sha256" if one.get("of", "file") == "file" else kind
        told.append(f"{name} as {one.get('setting')} ({kind} {_sum(one, 'sha256')})")
    return told


def _film(metadata: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """What differs from the defaults of films, how long it is, and how much of it is there."""
    told, plain = metadata["film"], FilmConfig()
    rows: list[tuple[str, Any]] = []
    for setting in film_settings():
        value = told.get(setting.name, setting.plain(setting.get(plain)))
        if setting.name in ("fps", "steps_per_frame") or value != setting.plain(setting.get(plain)):
            rows.append((setting.name, _shown(setting, value)))
    if "frame" in metadata:
        rows.append(("frame", f"{metadata['frame']}, the first is 0"))
    if "painted" in metadata:
        rows.append(("painted", f"{metadata['painted']} frames"))
    return rows


def _shown(setting: Setting, value: Any) -> str:
    try:
        return setting.show(setting.read(value)) or "none"
    except ConfigError:  # of another version, or written by hand
        return str(value)


def _plain(metadata: Mapping[str, Any]) -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, value in metadata.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        rows += [(f"{key} {name}".strip(), one) for name, one in inner if key != "version"]
    return rows


def _prompts(metadata: Mapping[str, Any], flat: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The picture's own prompt; of a grid all of them."""
    prompts = flat.get("prompts") or flat.get("prompt", "")
    prompts = prompts if isinstance(prompts, list) else [prompts]
    picture = metadata.get("picture")
    if picture is None:
        return [("prompt", prompt) for prompt in prompts]
    return [("prompt", prompts[picture % len(prompts)])]


def _tree(told: Mapping[str, Any]) -> list[str]:
    """How a picture came about, and below it the pictures that it came from, each with its own."""
    lineage = kept(told.get("lineage"))
    if lineage is None:
        return []
    how, strength = lineage["how"], lineage["strength"]
    lines = [f"{how}, strength {strength:g}" if strength or how == "vary" else how]
    for parent in (parents := lineage["parents"]):
        last = parent is parents[-1]
        kind = "sha256" if parent.get("of", "file") == "file" else f"sha256 of its {parent['of']}"
        name = parent.get("name") or "a picture"
        before = _tree(parent)
        own = f"{name} ({kind} {_sum(parent, 'sha256')})" + (f": {before[0]}" if before else "")
        lines.append(f"{'└─' if last else '├─'} {own}")
        lines += [f"{' ' if last else '│'}  {line}" for line in before[1:]]
    return lines


def _model(model: Mapping[str, Any]) -> str:
    weight = model.get("weight", 1)
    share = "" if weight == 1 else f", weight {weight:g}"
    return f"{model.get('name')} (sha256 {_sum(model, 'fingerprint')}{share})"


def _step(step: Mapping[str, Any]) -> str:
    """`drawing (scale 4, sha256 0123456789ab)`."""
    told = [f"{k} {_sum(step, k) if k == 'sha256' else v}" for k, v in step.items() if k != "name"]
    return f"{step.get('name')} ({', '.join(told)})" if told else str(step.get("name"))


def _sum(told: Mapping[str, Any], name: str) -> str:
    return str(told.get(name) or "unknown")[:12]


def _line(value: Any) -> str:
    """On one line and printable, whatever a file tells, and in full."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value))
