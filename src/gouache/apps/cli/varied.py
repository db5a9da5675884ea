"""`gouache four`, `vary` and `evolve`: choose one of several, and go on from it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gouache.apps.cli.options import FOUR, VARIED, VARY, with_settings
from gouache.apps.cli.paint import (
    ConfigFile,
    Json,
    Out,
    Preset,
    Preview,
    Quiet,
    Timelapse,
    Words,
    asked_settings,
    paint_and_report,
)
from gouache.apps.progress import Shown
from gouache.runs.outputs import reserved
from gouache.runs.varied import COUNT, STRENGTH, evolved, varied
from gouache.settings.config import PaintConfig

Prompt = Annotated[
    str, typer.Option("--prompt", help="Other words than those the picture was painted from.")
]


@with_settings(FOUR)
def four(
    words: Words = None,
    out: Out = None,
    config: ConfigFile = None,
    preset: Preset = "auto",
    timelapse: Timelapse = None,
    preview: Preview = False,
    quiet: Quiet = False,
    json: Json = False,
    *,
    given: Mapping[str, Any],
) -> int:
    """Paint four seeds together: four pictures and a sheet of them with numbers."""
    settings = asked_settings(words, config, preset, {**given, "count": COUNT})
    shown = Shown(quiet, json, preview)
    return _paint(settings, settings.title, out, timelapse, shown)


@with_settings(VARY)
def vary(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="The picture.")],
    prompt: Prompt = "",
    strength: Annotated[
        float, typer.Option("--strength", help="0 begins with the picture as it is, 1 with noise.")
    ] = STRENGTH,
    out: Out = None,
    preset: Preset = "auto",
    timelapse: Timelapse = None,
    preview: Preview = False,
    quiet: Quiet = False,
    json: Json = False,
    *,
    given: Mapping[str, Any],
) -> int:
    """Paint variations of a picture, four unless --count says otherwise.

    One that gouache painted brings its words and settings; any other needs --prompt.
    """
    asked = {"count": COUNT, **given, "prompt": prompt}
    settings = varied(picture, asked, strength=strength, preset=preset)
    name, shown = f"{picture.stem} varied", Shown(quiet, json, preview)
    return _paint(settings, name, out, timelapse, shown, [picture])


@with_settings(VARIED)
def evolve(
    first: Annotated[Path, typer.Argument(metavar="PICTURE", help="A picture.")],
    second: Annotated[Path, typer.Argument(metavar="PICTURE", help="Another one.")],
    prompt: Prompt = "",
    out: Out = None,
    preset: Preset = "auto",
    timelapse: Timelapse = None,
    preview: Preview = False,
    quiet: Quiet = False,
    json: Json = False,
    *,
    given: Mapping[str, Any],
) -> int:
    """Cross two pictures and paint on; each seed takes other parts of the two.

    Words and settings are those of the first one that gouache painted; --prompt says others.
    """
    settings = evolved(first, second, {**given, "prompt": prompt}, preset=preset)
    name, shown = f"{first.stem} crossed with {second.stem}", Shown(quiet, json, preview)
    return _paint(settings, name, out, timelapse, shown, [first, second])


def _paint(
    settings: PaintConfig,
    name: str,
    out: str | None,
    timelapse: Path | None,
    shown: Shown,
    parents: Sequence[Path] = (),
) -> int:
    """Paints to names of its own (`name` makes the default one), and tells the seeds."""
    settings.stages  # mistakes are told before torch is imported  # noqa: B018
    count = settings.count
    with reserved(
        out, name, count=count, timelapse=timelapse, sources=tuple(parents), labels=True
    ) as outputs:
        if not shown.silent:
            seeds = [str(seed) for seed in outputs.seeds(settings.seed, count)]
            told = ", ".join(seeds) if count < 9 else f"{seeds[0]} to {seeds[-1]}"
            print(f"gouache: {'seed' if count == 1 else 'seeds'} {told}", file=sys.stderr)
        return paint_and_report(settings, outputs, shown)


__all__ = ["evolve", "four", "vary"]
