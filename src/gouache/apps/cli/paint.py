"""`gouache paint`, `resume` and `replay`: commands that end in a picture."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gouache.apps.cli.options import PAINT, PRESET_HELP, with_settings
from gouache.apps.progress import Shown
from gouache.errors import PromptError
from gouache.runs.outputs import Outputs, reserved
from gouache.settings.config import PaintConfig, make_config

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress; only the result.")]
Preview = Annotated[
    bool, typer.Option("--preview", help="Show the picture in the terminal while it is painted.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one line of JSON about the result.")]
Out = Annotated[  # text: a path would lose the slash that makes it a folder
    str | None,
    typer.Option("--out", "-o", help="Picture to write: .png, .jpg, .webp; or a folder for it."),
]
Timelapse = Annotated[
    Path | None, typer.Option("--timelapse", help="Film of the painting, .mp4 or .gif.")
]


@with_settings(PAINT)
def paint(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PROMPT",
            help="What to paint. Several prompts in quotes are one picture each; "
            "words without quotes are one prompt.",
        ),
    ] = None,
    out: Out = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings from a YAML or JSON file.")
    ] = None,
    preset: Annotated[str, typer.Option("--preset", help=PRESET_HELP)] = "auto",
    run_dir: Annotated[
        Path | None, typer.Option("--run-dir", help="Folder for settings, losses, steps, state.")
    ] = None,
    save_every: Annotated[
        int, typer.Option("--save-every", help="Steps between saves in the run folder.", min=1)
    ] = 25,
    timelapse: Timelapse = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the settings and stop.")
    ] = False,
    preview: Preview = False,
    quiet: Quiet = False,
    json: Json = False,
    *,
    given: Mapping[str, Any],
) -> int:
    """Paint pictures from words: "text:weight:stop @place | text ^ next stage"."""
    values = {**read_config_file(config), **given}
    filed = values.pop("preset", preset)
    preset = filed if preset == "auto" else preset
    if words:
        values["prompt"] = split_prompts(words)
    settings = make_config(preset, **values)
    settings.stages  # mistakes are told before torch is imported  # noqa: B018
    if dry_run:
        from gouache.apps.settings_file import settings_text

        typer.echo(settings_text(settings, sys.stdout.encoding))
        return 0
    with reserved(
        out,
        settings.title,
        count=settings.count,
        run_dir=run_dir,
        save_every=save_every,
        timelapse=timelapse,
    ) as outputs:
        return paint_and_report(settings, outputs, Shown(quiet, json, preview))


def resume(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A run folder.")],
    preview: Preview = False,
    quiet: Quiet = False,
    json: Json = False,
) -> int:
    """Go on with an interrupted run; the picture goes where the first call said."""
    from gouache.apps.runner import resume_run

    return resume_run(run_dir, Shown(quiet, json, preview))


def replay(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="A picture made by gouache.")],
    init_image: Annotated[
        Path | None, typer.Option("--init-image", help="Where the init image is now.")
    ] = None,
    cross_image: Annotated[
        Path | None, typer.Option("--cross-image", help="Where the cross image is now.")
    ] = None,
    image_prompt: Annotated[
        list[Path] | None, typer.Option("--image-prompt", help="Where an image prompt is now.")
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--source", help="Where the picture is now that was edited.")
    ] = None,
    mask: Annotated[
        Path | None, typer.Option("--mask", help="Where the mask of an edit is now.")
    ] = None,
    generator: Annotated[str, typer.Option("--generator", help="Where the generator is now.")] = "",
    perceptor: Annotated[
        list[str] | None, typer.Option("--perceptor", help="Where a perceptor is now.")
    ] = None,
    out: Out = None,
    timelapse: Timelapse = None,
    preview: Preview = False,
    quiet: Quiet = False,
    json: Json = False,
) -> int:
    """Paint or edit a picture again from the settings inside its file.

    What it was painted from is found by name beside it or in this folder, and has to be the same.
    """
    from gouache.apps.replaying import Named, replay_settings
    from gouache.output.documents import unusable
    from gouache.output.pictures import read_metadata

    metadata = read_metadata(picture)
    named = Named(
        init_image, image_prompt or [], generator, perceptor or [], source, mask, cross_image
    )
    settings, index, plan, strokes = replay_settings(metadata, picture, named)
    try:
        settings.stages  # noqa: B018
    except PromptError as error:
        raise unusable(metadata, picture, str(error)) from None
    name = settings.title if index is None else settings.prompt_of(index)
    with reserved(out, name, count=settings.count, timelapse=timelapse, only=index) as outputs:
        shown = Shown(quiet, json, preview)
        if plan is not None:
            from gouache.apps.runner import edit_run

            return edit_run(plan, settings, outputs, shown, expected=metadata)
        return paint_and_report(settings, outputs, shown, metadata, strokes)


def paint_and_report(
    settings: PaintConfig,
    outputs: Outputs,
    shown: Shown,
    expected: Mapping[str, Any] | None = None,
    strokes: Sequence[tuple[int, Path]] = (),
) -> int:
    """Checks the settings before anything slow is loaded, then paints."""
    from gouache.apps.fetching import fetch_models
    from gouache.apps.runner import paint_run
    from gouache.engine import validate

    validate(settings)
    fetch_models(settings, shown.quiet)
    return paint_run(settings, outputs, shown, expected, strokes)


def split_prompts(words: Sequence[str]) -> list[str]:
    """The arguments of a command line as prompts: one picture each, or the words of one prompt.

    White space, or nothing at all, reaches a program in quotes only: then each argument is a prompt
    of its own. Otherwise they are what somebody wrote without quotes: `gouache a red apple`.
    """
    if any(not word or any(char.isspace() for char in word) for word in words):
        return list(words)
    return [" ".join(words)]


def read_config_file(path: Path | None) -> dict[str, Any]:
    """Flat settings from a file; unknown keys are refused by the settings."""
    if path is None:
        return {}
    from gouache.apps.settings_file import read_settings

    return read_settings(path)


__all__ = ["paint", "read_config_file", "replay", "resume"]
