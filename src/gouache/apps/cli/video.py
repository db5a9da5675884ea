"""`gouache video`: films whose camera moves while they are painted."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from gouache.apps.cli.options import VIDEO, with_settings
from gouache.apps.cli.paint import (
    DryRun,
    Json,
    Preset,
    Preview,
    Quiet,
    split_prompts,
    taken_preset,
)
from gouache.apps.progress import Shown
from gouache.errors import ConfigError
from gouache.films.config import asked_film


@with_settings(VIDEO)
def video(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="PROMPT", help="What to paint: 'text:weight | text ^ next stage'."),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--source", metavar="CLIP", help="Film to paint over; its sound stays."),
    ] = None,
    audio: Annotated[
        Path | None,
        typer.Option(
            "--audio", help="Sound that curves hear: beat, bass, mid, treble, volume in [0,1]."
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help="Film to write: .mp4, .webm, .gif or frame-%04d.png."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="Film file: TOML, YAML or JSON.")
    ] = None,
    preset: Preset = "auto",
    morph: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--morph", metavar="FROM TO", help="Two pictures to go between."),
    ] = None,
    run_dir: Annotated[
        Path | None,
        typer.Option(
            "--run-dir", help="Folder that keeps the frames and what resume goes on from."
        ),
    ] = None,
    dry_run: DryRun = False,
    preview: Preview = False,
    quiet: Quiet = False,
    json: Json = False,
    *,
    given: Mapping[str, Any],
) -> int:
    """Paint a film: the camera moves from frame to frame, and every frame is painted on."""
    values = {**(read_film_file(config, given) if config else {}), **given}
    preset = taken_preset(values, preset)
    if words and values.get("scenes"):
        raise ConfigError("the film file says what is shown; leave the prompt out")
    if words:
        values["prompt"] = " ^ ".join(split_prompts(words))
    if morph is not None:
        ends = [str(path) for path in morph]
        values |= {"morph": True, "init_image": ends[0], "cross_image": ends[1]}
    settings, film = asked_film(values, preset, over_clip=source is not None)
    settings.stages  # mistakes are told before torch is imported  # noqa: B018
    if source is not None:
        from gouache.films.restyle import followed

        film, settings = followed(source, film, settings, [*values])
    if audio is not None:
        from gouache.films.sound import listen

        film = film.updated(audio_levels=str(listen(audio, film.fps, film.num_frames)))
    if dry_run:
        from gouache.output.documents import dump_json

        other = "seconds" if film.frames else "frames"
        told = {name: value for name, value in film.to_dict().items() if name != other}
        typer.echo(dump_json(settings.to_dict() | told, 2, sys.stdout.encoding))
        return 0
    from gouache.apps.filming import film_run

    shown = Shown(quiet, json, preview)
    return film_run(settings, film, out, run_dir, shown, source, audio)


def read_film_file(path: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Flat settings from a film file, or from a file of settings; scenes as lines of JSON."""
    from gouache.apps.film_file import read_film

    values, scenes = read_film(path, given)
    if not scenes:
        return values
    texts = [text for scene in scenes for _, text in scene.prompts]
    return {**values, "scenes": tuple(map(str, scenes)), "prompt": " ^ ".join(texts)}


__all__ = ["video"]
