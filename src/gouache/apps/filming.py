"""The command line's films: painted, gone on with and painted again, with progress and Ctrl-C."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from gouache.apps.fetching import fetch_models
from gouache.apps.printing import print_json
from gouache.apps.progress import Progress, Shown, make_progress
from gouache.apps.runner import Stop
from gouache.engine import SessionState, validate
from gouache.errors import ConfigError, StateError
from gouache.films.config import FilmConfig
from gouache.films.film import Film, check
from gouache.films.folders import FRAMES
from gouache.films.keeping import (
    FilmResult,
    KeepFilm,
    create_folder,
    film_outputs,
    sound_of,
    write_film,
)
from gouache.films.restyle import follow
from gouache.inputs import Input, file_sha256
from gouache.output.pictures import save_picture
from gouache.output.run_folder import RunFolder
from gouache.prompts import one_line
from gouache.protocols import Step
from gouache.reserve import reserve
from gouache.runs.drive import Event, Listener, Run, Stepped, drive
from gouache.runs.outputs import reserved
from gouache.runs.places import check_run, stored_outputs, stored_source
from gouache.runs.written import Written
from gouache.settings.config import PaintConfig
from gouache.watching import watching


def film_run(
    config: PaintConfig,
    film: FilmConfig,
    out: str | None,
    run_dir: Path | None,
    shown: Shown,
    source: Path | None = None,
    audio: Path | None = None,
) -> int:
    """Paints a film, over the clip `source` if there is one, that sounds like that or `audio`;
    returns the exit code."""
    check(config, film)
    validate(config)
    guide = None if source is None else follow(source, film, config)
    with film_outputs(out, config.title, run_dir) as outputs:
        fetch_models(config, shown.quiet)
        with ExitStack() as stack:
            progress = stack.enter_context(make_progress(shown.silent, shown.preview, "frame"))
            with watching(progress.sketch):
                painter = Film.build(config, film, guide=guide)
            folder = stack.enter_context(create_folder(painter, outputs, source, audio))
            keep = KeepFilm(folder, outputs, sound=source)
            result = _painted(Run(painter), keep, progress)
        return _report(config, film, result, shown, passing=outputs.run_dir is None)


def resume_film(run_dir: Path, shown: Shown) -> int:
    """Goes on with the film in `run_dir`; returns the exit code."""
    changes = check_run(run_dir)
    with ExitStack() as stack:
        folder = stack.enter_context(RunFolder.open(run_dir, FRAMES))
        outputs, written = stored_outputs(folder), Written.read(folder)
        passing = bool(folder.read_settings()["outputs"].get("passing"))
        if written.out is not None:
            outputs = replace(outputs, out=outputs.out.with_name(written.out))
        stack.enter_context(reserve([outputs.out]))
        tensors, meta = folder.load_state()
        config = PaintConfig.from_dict(meta["config"])
        film = FilmConfig.from_dict(meta["film"])
        source = _same_clip(stored_source(folder), meta)
        if not tensors:  # painted to the end
            if written.missing(outputs, 1, film.num_frames):
                out = write_film(folder, outputs, written, source)
            else:
                out = outputs.out
                print(
                    f"gouache: already finished; the film is {one_line(out)}, nothing is written",
                    file=sys.stderr,
                )
            result = FilmResult(out, film.num_frames, film.num_frames, 0.0, run_dir)
        else:
            progress = stack.enter_context(make_progress(shown.silent, shown.preview, "frame"))
            guide = None if source is None else follow(source, film, config)
            painter = Film.from_state(SessionState(tensors, meta), guide=guide, **changes)
            folder.truncate_losses(painter.step_index)
            keep = KeepFilm(folder, outputs, written, source)
            result = _painted(Run(painter), keep, progress)
    return _report(config, film, result, shown, passing=passing)


def replay_film(
    config: PaintConfig,
    told: Any,
    out: str | None,
    frame: int | None,
    shown: Shown,
    source: Path | None = None,
    place: Path | None = None,
) -> int:
    """Paints a film again, or of it one frame as a picture. `told` is what a file tells of it;
    `source` the clip that it was painted over; `place` the file or run folder itself, whose sound
    the film has again."""
    if not isinstance(told, Mapping) or not isinstance(frame, int | None):
        raise ConfigError("the settings of the film are damaged; give the original file")
    film = FilmConfig.from_dict(told)
    if frame is None:
        audio = None
        if film.audio_levels and place is not None and (audio := sound_of(place)) is None:
            print(
                f"gouache: the sound of this film is not in {one_line(place)}, and the new one has "
                "none; its run folder and its .mp4 have it",
                file=sys.stderr,
            )
        return film_run(config, film, out, None, shown, source, audio)
    if not 0 <= frame < film.num_frames:
        raise ConfigError(f"frame is {frame}; the film has frames 0 to {film.num_frames - 1}")
    validate(config)
    with reserved(out, f"{config.title} {frame}") as outputs:
        fetch_models(config, shown.quiet)
        with make_progress(shown.silent, shown.preview, "frame") as progress:
            guide = None if source is None else follow(source, film, config)
            run = Run(Film.build(config, film, guide=guide))
            painter = cast("Film", run.painter)
            with Stop().listening() as stop:
                drive(
                    run,
                    [_shown(progress)],
                    lambda: stop.wanted or (painter.frame == frame and painter.frame_done),
                )
            if stop.wanted:
                raise KeyboardInterrupt
        save_picture(run.pictures()[0], outputs.out, run.record(0), config.title)
        if shown.json:
            print_json({"out": [str(outputs.out)], "frame": frame})
        else:
            print(outputs.out)
    return 0


def _same_clip(source: Path | None, meta: Mapping[str, Any]) -> Path | None:
    """The clip, if it is the one that the film was begun with; else `StateError`."""
    if source is None:
        return None
    told = [Input.from_record(one) for one in meta["inputs"] if one.get("setting") == "source"]
    found = file_sha256(source)
    if [one.sha256 for one in told] != [found]:
        state = "was changed" if found else "is not there"
        begun = told[0].short if told else "unknown"
        raise StateError(
            f"the clip {one_line(source)} {state}; put back the one that the film was begun with "
            f"(sha256 {begun})"
        )
    return source


def _painted(run: Run, keep: KeepFilm, progress: Progress) -> FilmResult:
    with Stop().listening() as stop:
        drive(run, [_shown(progress), keep], lambda: stop.wanted)
    return keep.result


def _shown(progress: Progress) -> Listener:
    """Frames as they are done; of the first one, which takes longest, each step."""

    def show(event: Event, run: Run) -> None:
        if not isinstance(event, Stepped):
            return
        film, step = cast("Film", run.painter), event.step
        if film.frame_done:
            picture = film.picture()
            progress.show(Step(film.frame, film.num_frames, 0, picture, step.losses))
        elif film.frame == 0:
            steps = film.script.steps(0)
            progress.sketch(Step(step.index, steps, 0, step.image, step.losses))

    return show


def _report(
    config: PaintConfig, film: FilmConfig, result: FilmResult, shown: Shown, *, passing: bool
) -> int:
    """Prints where the film is; 0 when finished, 130 when interrupted. A `passing` run folder goes
    with the end of its film."""
    done = result.out is not None
    if passing and done:
        shutil.rmtree(result.run_dir, ignore_errors=True)
    if shown.json:
        print_json(
            {
                "out": str(result.out) if done else None,
                "run_dir": None if passing and done else str(result.run_dir),
                "frames": result.frames,
                "num_frames": result.num_frames,
                "fps": film.fps,
                "size": list(config.size),
                "prompt": config.title,
                "seed": config.seed,
                "seconds": round(result.seconds, 3),
                "resume": None if done else str(result.run_dir),
            }
        )
    elif done:
        print(result.out)
    if done:
        return 0
    at = f"after frame {result.frames} of {result.num_frames}"
    if not result.frames:  # nothing is saved within a frame, and the first one takes longest
        at = "in the first frame, which begins again"
    print(f"gouache: stopped {at}; go on with: gouache resume {result.run_dir}", file=sys.stderr)
    return 130


__all__ = ["film_run", "replay_film", "resume_film"]
