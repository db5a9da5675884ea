"""`gouache mask` and `gouache edit`: pictures changed by words."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from gouache.apps.cli.options import EDIT, MASK, with_settings
from gouache.apps.cli.paint import Json, Out, Preset, Preview, Quiet, Timelapse
from gouache.apps.progress import Shown
from gouache.errors import ConfigError
from gouache.runs.outputs import reserved, slug

Image = Annotated[Path, typer.Argument(metavar="IMAGE", help="The picture.")]


@with_settings(MASK)
def mask(
    image: Image,
    phrase: Annotated[str, typer.Argument(metavar="PHRASE", help="What to find.")],
    out: Out = None,
    overlay: Annotated[
        Path | None, typer.Option("--overlay", help="Also write the picture with the mask tinted.")
    ] = None,
    perceptor: Annotated[
        list[str] | None,
        typer.Option("--perceptor", help="Who looks: NAME or NAME:WEIGHT, again for more."),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, mps or auto.")] = "auto",
    quiet: Quiet = False,
    json: Json = False,
    *,
    given: Mapping[str, Any],
) -> int:
    """Find what a phrase names in a picture: a grey picture, white where it is."""
    from gouache.apps.fetching import fetch_missing
    from gouache.editing import EditConfig, find_mask
    from gouache.editing.config import DEFAULTS
    from gouache.editing.mask import check_phrase, read_source
    from gouache.networks.devices import resolve_device
    from gouache.settings.config import parse_perceptor

    check_phrase(phrase)
    config = EditConfig().updated(**given)
    guides = perceptor or list(DEFAULTS["perceptor"])
    names = [parse_perceptor(one)[0] for one in guides]
    source = read_source(image)
    with reserved(out, f"{slug(image.stem)} mask of {phrase}", overlay=overlay) as outputs:
        target = outputs.out
        fetch_missing([("perceptor", name) for name in names], quiet)
        found = find_mask(
            source, phrase, perceptor=guides, device=str(resolve_device(device)), config=config
        )
        found.save(target)
        if overlay is not None:
            from gouache.output.pictures import save_picture

            save_picture(found.overlay(source), overlay, found.record(), phrase)
    if json:
        told = {
            "out": str(target),
            "overlay": None if overlay is None else str(overlay),
            "phrase": phrase,
            "share": round(found.share, 4),
            "score": round(found.seen, 4),
            "threshold": round(found.threshold, 4),
        }
        typer.echo(jsonlib.dumps(told))
    else:
        typer.echo(target)
        if overlay is not None:
            typer.echo(overlay)
    return 0


@with_settings(EDIT)
def edit(
    image: Image,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="PROMPT", help="What it should become.")
    ] = None,
    old: Annotated[
        str, typer.Option("--from", help="What it is now: only the difference moves the picture.")
    ] = "",
    to: Annotated[str, typer.Option("--to", help="The prompt, after --from.")] = "",
    replace: Annotated[str, typer.Option("--replace", help="Repaint only what this names.")] = "",
    new: Annotated[str, typer.Option("--with", help="The prompt, after --replace.")] = "",
    mask: Annotated[
        Path | None,
        typer.Option(
            "--mask",
            help="Repaint only where this picture is light, or where a transparent layer is "
            "painted, or in its hole.",
        ),
    ] = None,
    out: Out = None,
    overlay: Annotated[
        Path | None, typer.Option("--overlay", help="Also write the picture with the mask tinted.")
    ] = None,
    preset: Preset = "auto",
    timelapse: Timelapse = None,
    preview: Preview = False,
    quiet: Quiet = False,
    json: Json = False,
    *,
    given: Mapping[str, Any],
) -> int:
    """Change a picture by words, as a whole or only what a phrase or a mask selects."""
    prompts = [text for text in (" ".join(words or []), to, new) if text]
    if len(prompts) != 1:
        raise ConfigError(
            "say once what the picture should become, for example: gouache edit a.png "
            f"--replace 'a red apple' --with 'a green apple' (got {len(prompts)} prompts)"
        )
    if overlay is not None and not (replace or mask):
        raise ConfigError("an overlay shows a mask; say what to replace or give a mask")
    from gouache.editing import EditConfig
    from gouache.editing.config import painting_config, split
    from gouache.editing.editor import make_plan

    mine, others = split(given)
    drawn = not mine.get("composite")
    config = painting_config(preset, {**others, "prompt": prompts[0]}, drawn=drawn)
    plan = make_plan(image, EditConfig().updated(**mine), replace=replace, old=old, mask=mask)
    with reserved(
        out, prompts[0], count=config.count, timelapse=timelapse, overlay=overlay
    ) as outputs:
        from gouache.apps.runner import edit_run

        shown, sized = Shown(quiet, json, preview), "size" in others
        return edit_run(plan, config, outputs, shown, sized=sized)


__all__ = ["edit", "mask"]
