"""`gouache paint`, `resume` and `replay`: commands that end in a picture."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gouache.apps.cli.options import PAINT, PRESET_HELP, SYSTEM, option_name, with_settings
from gouache.apps.progress import Shown
from gouache.errors import ConfigError, GouacheError, PromptError
from gouache.films.folders import film_document_of, is_film, is_folder
from gouache.prompts import one_line
from gouache.runs.outputs import Outputs, reserved
from gouache.settings.config import PaintConfig, make_config

if TYPE_CHECKING:
    from gouache.editing.editor import EditPlan
    from gouache.runs.replaying import Replay

SAVE_EVERY = 25  # steps
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


Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PROMPT",
        help="What to paint. Several prompts in quotes are one picture each; "
        "words without quotes are one prompt.",
    ),
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="Settings from a YAML or JSON file.")
]
Preset = Annotated[str, typer.Option("--preset", help=PRESET_HELP)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the settings and stop.")]


@with_settings((*PAINT, *SYSTEM))
def paint(
    words: Words = None,
    out: Out = None,
    config: ConfigFile = None,
    preset: Preset = "auto",
    run_dir: Annotated[
        Path | None, typer.Option("--run-dir", help="Folder for settings, losses, steps, state.")
    ] = None,
    save_every: Annotated[
        int, typer.Option("--save-every", help="Steps between saves in the run folder.", min=1)
    ] = SAVE_EVERY,
    timelapse: Timelapse = None,
    dry_run: DryRun = False,
    system: Annotated[
        str, typer.Option("--system", help="Who paints in the place of gouache: mindalle, glide...")
    ] = "",
    best_of: Annotated[
        int | None,
        typer.Option("--best-of", help="Of a system: of so many, keep what the guide likes best."),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option("--mask", help="Of a system: where the init image is painted anew."),
    ] = None,
    preview: Preview = False,
    quiet: Quiet = False,
    json: Json = False,
    *,
    given: Mapping[str, Any],
) -> int:
    """Paint pictures from words: "text:weight:stop @place | text ^ next stage"."""
    if system:
        from gouache.apps.by_system import refuse

        others = {"--run-dir": run_dir, "--save-every": save_every != SAVE_EVERY}
        others |= {"--timelapse": timelapse, "--preview": preview, "--dry-run": dry_run}
        refuse(system, others)
        if preset != "auto":
            raise ConfigError(f"{one_line(system, 80)} has no presets; leave --preset out")
        values = asked_values(words, config, given)
        shown = Shown(quiet, json)
        tries = 1 if best_of is None else best_of
        return _paint_by(system, values, out, tries, str(mask or ""), shown)
    asked: dict[str, Any] = {"best_of": best_of, "mask": mask}
    asked |= {option_name(one): given.get(one.name) for one in SYSTEM}
    for name, value in asked.items():
        if value is not None:
            option = name.replace("_", "-")
            raise ConfigError(f"--{option} is for pictures by other systems; add --system NAME")
    settings = asked_settings(words, config, preset, given)
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


def _paint_by(
    system: str, values: Mapping[str, Any], out: str | None, best_of: int, mask: str, shown: Shown
) -> int:
    from gouache.apps.by_system import system_run
    from gouache.runs.by_system import BySystem, options_and_rest, system_config

    options, values = options_and_rest(system, values)
    settings = system_config(system, values, best_of=best_of, over=bool(mask))
    job = BySystem(system, best_of, mask, options=options)
    job.check(settings)
    with reserved(out, settings.title, count=settings.count) as outputs:
        return system_run(job, settings, outputs, shown)


def resume(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A run folder.")],
    preview: Preview = False,
    quiet: Quiet = False,
    json: Json = False,
) -> int:
    """Go on with an interrupted run; the picture or film goes where the first call said."""
    if is_film(run_dir):
        from gouache.apps.filming import resume_film

        return resume_film(run_dir, Shown(quiet, json, preview))
    from gouache.apps.runner import resume_run

    return resume_run(run_dir, Shown(quiet, json, preview))


def replay(
    picture: Annotated[
        Path,
        typer.Argument(
            metavar="PICTURE", help="A picture or film made by gouache, or a film's run folder."
        ),
    ],
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
        Path | None,
        typer.Option("--source", help="Where the picture or clip is now that was painted over."),
    ] = None,
    mask: Annotated[
        Path | None, typer.Option("--mask", help="Where the mask of an edit is now.")
    ] = None,
    generator: Annotated[str, typer.Option("--generator", help="Where the generator is now.")] = "",
    perceptor: Annotated[
        list[str] | None, typer.Option("--perceptor", help="Where a perceptor is now.")
    ] = None,
    frame: Annotated[
        int | None, typer.Option("--frame", help="Of a film only this frame, from 0: a picture.")
    ] = None,
    out: Out = None,
    timelapse: Timelapse = None,
    preview: Preview = False,
    quiet: Quiet = False,
    json: Json = False,
) -> int:
    """Paint or edit a picture, or paint a film, again from the settings inside its file.

    What it was painted from is found by name beside it or in this folder, and has to be the same.
    """
    from gouache.output.documents import unusable
    from gouache.output.video import read_any_metadata
    from gouache.runs.replaying import Named, replay_settings

    metadata = film_document_of(picture) if is_folder(picture) else read_any_metadata(picture)
    named = Named(
        init_image, image_prompt or [], generator, perceptor or [], source, mask, cross_image
    )
    if "system" in metadata and "config" not in metadata:
        from gouache.apps.by_system import refuse, replay_by_system

        options = {"--frame": frame, "--timelapse": timelapse, "--preview": preview}
        refuse(str(metadata["system"]), options)
        return replay_by_system(metadata, picture, named, out, Shown(quiet, json))
    again = replay_settings(metadata, picture, named)
    settings, index, clip = again.config, again.picture, again.clip
    plan = _plan_again(again, metadata, picture)
    try:
        settings.stages  # noqa: B018
    except PromptError as error:
        raise unusable(metadata, picture, str(error)) from None
    if "film" in metadata:
        from gouache.apps.filming import replay_film

        frame = metadata.get("frame") if frame is None else frame
        shown = Shown(quiet, json, preview)
        return replay_film(settings, metadata["film"], out, frame, shown, clip, picture)
    if frame is not None:
        raise ConfigError(f"frame is {frame}, and {picture} is no film; leave it out")
    name = settings.title if index is None else settings.prompt_of(index)
    with reserved(
        out,
        name,
        count=settings.count,
        timelapse=timelapse,
        only=index,
        labels=bool(metadata.get("labels")),
    ) as outputs:
        shown = Shown(quiet, json, preview)
        if plan is not None:
            from gouache.apps.runner import edit_run

            return edit_run(plan, settings, outputs, shown, expected=metadata)
        return paint_and_report(settings, outputs, shown, metadata, again.strokes)


def _plan_again(again: Replay, metadata: Mapping[str, Any], picture: Path) -> EditPlan | None:
    """The edit that made a picture; None for a painting."""
    if again.edit is None or again.source is None:
        return None
    from gouache.editing.config import EditConfig
    from gouache.editing.editor import make_plan
    from gouache.output.documents import unusable

    try:
        config = EditConfig().updated(**again.edit["settings"])
    except (GouacheError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise unusable(metadata, picture, str(error)) from None
    return make_plan(
        again.source,
        config,
        replace="" if again.mask else str(again.edit.get("replace") or ""),
        old=str(again.edit.get("from") or ""),
        mask=again.mask,
    )


def paint_and_report(
    settings: PaintConfig,
    outputs: Outputs,
    shown: Shown,
    expected: Mapping[str, Any] | None = None,
    strokes: Sequence[tuple[int, Path, float]] = (),
) -> int:
    """Checks the settings before anything slow is loaded, then paints."""
    from gouache.apps.fetching import fetch_models
    from gouache.apps.runner import paint_run
    from gouache.engine import validate

    validate(settings)
    fetch_models(settings, shown.quiet)
    return paint_run(settings, outputs, shown, expected, strokes)


def asked_settings(
    words: Sequence[str] | None, config: Path | None, preset: str, given: Mapping[str, Any]
) -> PaintConfig:
    """Settings from a file, options and words; mistakes are told before torch is imported."""
    values = asked_values(words, config, given)
    preset = taken_preset(values, preset)
    settings = make_config(preset, **values)
    settings.stages  # noqa: B018
    return settings


def asked_values(
    words: Sequence[str] | None, config: Path | None, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Settings by flat names, not read yet: those of a file, of the options, and the words."""
    values = {**read_config_file(config), **given}
    if words:
        values["prompt"] = split_prompts(words)
    return values


def taken_preset(values: dict[str, Any], preset: str) -> str:
    """The preset of the options, else the one that a file names, which is taken out of `values`."""
    filed: str = values.pop("preset", preset)
    return filed if preset == "auto" else preset


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
