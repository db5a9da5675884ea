"""`gouache info`: how a picture was made."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated, Any

import typer

from gouache.config import PaintConfig, settings


def info(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="A picture made by gouache.")],
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> int:
    """Show how a picture was made."""
    from gouache.output.png import read_metadata

    metadata = read_metadata(picture)
    if json:
        typer.echo(jsonlib.dumps(metadata, ensure_ascii=False))
        return 0
    for line in describe(metadata):
        typer.echo(line)
    return 0


def describe(metadata: dict[str, Any]) -> list[str]:
    """Readable lines: the prompt, what differs from the defaults, the models, the losses."""
    config = metadata.get("config", {})
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat |= value if isinstance(value, dict) else {key: value}
    rows = _prompts(metadata, flat)
    plain = PaintConfig()
    always = ("size", "steps", "seed", "count")
    for setting in settings():
        if setting.name not in flat or setting.name in ("prompt", "prompts"):
            continue
        value = flat[setting.name]
        default = setting.get(plain)
        if setting.name in always or value != (
            list(default) if isinstance(default, tuple) else default
        ):
            shown = "x".join(map(str, value)) if setting.name == "size" else value
            if isinstance(shown, list):
                shown = ", ".join(map(str, shown)) or "none"
            rows.append((setting.name, shown))
    for model in metadata.get("perceptors", []):
        rows.append(("perceptor", _model(model)))
    rows.append(("generator", _model(metadata.get("generator", {}))))
    for name, value in metadata.get("losses", {}).items():
        rows.append((f"loss {name}", f"{value:.4f}" if isinstance(value, float) else value))
    if metadata.get("picture") is not None and flat.get("count", 1) != 1:
        rows.append(("picture", f"{metadata['picture'] + 1} of {flat['count']}"))
    rows.append(("done", f"{metadata.get('step')} of {metadata.get('num_steps')} steps"))
    if metadata.get("edits"):
        rows.append(("edits", f"{len(metadata['edits'])} by hand"))
    rows.append(("version", metadata.get("version")))
    width = max(len(name) for name, _ in rows)
    return [f"{name:{width}}  {value}" for name, value in rows]


def _prompts(metadata: dict[str, Any], flat: dict[str, Any]) -> list[tuple[str, Any]]:
    """The picture's own prompt; of a grid all of them."""
    prompts = flat.get("prompts") or [flat.get("prompt", "")]
    picture = metadata.get("picture")
    if picture is None:
        return [("prompt", prompt) for prompt in prompts]
    return [("prompt", prompts[picture % len(prompts)])]


def _model(model: dict[str, Any]) -> str:
    weight = model.get("weight", 1)
    share = "" if weight == 1 else f", weight {weight:g}"
    return f"{model.get('name')} (sha256 {str(model.get('fingerprint'))[:12]}{share})"
