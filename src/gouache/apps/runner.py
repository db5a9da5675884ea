"""The command line's runs: paint, edit, resume and replay, with progress and Ctrl-C."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from PIL import Image

from gouache.apps.fetching import fetch_models
from gouache.apps.printing import print_json
from gouache.apps.progress import Progress, Shown, make_progress
from gouache.editing.composite import warn_lossy
from gouache.editing.editor import EditPlan, edit_of, start
from gouache.engine import Session, resume_session
from gouache.engine.edits import lay_strokes
from gouache.errors import ImageError
from gouache.interrupts import NUMBERS
from gouache.ops.images import open_image
from gouache.output.pictures import save_picture
from gouache.output.run_folder import RunFolder
from gouache.runs.drive import Event, Listener, Run, Stepped, drive
from gouache.runs.finished import finished_config, last_losses, tell_finished
from gouache.runs.keep import Keep, Result, note, write_pictures
from gouache.runs.outputs import Outputs, claimed
from gouache.runs.places import check_run, keep_places, run_settings, stored_outputs
from gouache.runs.written import Written
from gouache.settings.config import PaintConfig
from gouache.watching import watching


class Stop:
    """Notes Ctrl-C so that a run ends between two steps, with everything saved.

    A second Ctrl-C interrupts at once, for those who do not want to wait for the saving: it goes to
    whoever handled signals before.
    """

    def __init__(self) -> None:
        self.wanted = False
        self._before: dict[int, Any] = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if not self.wanted:
            self.wanted = True
            return
        before = self._before.get(number)
        if callable(before):
            before(number, frame)
        raise KeyboardInterrupt

    @contextmanager
    def listening(self) -> Iterator[Stop]:
        """Installs the handlers (main thread only) and puts the old ones back."""
        if threading.current_thread() is threading.main_thread():  # else somebody else does
            for number in NUMBERS:
                before = signal.getsignal(number)
                if before is not signal.SIG_IGN:  # as nohup wants it
                    self._before[number] = before
                    signal.signal(number, self._note)
        try:
            yield self
        finally:
            for number, before in self._before.items():
                signal.signal(number, before)


def _shown(progress: Progress) -> Listener:
    def show(event: Event, run: Run) -> None:
        if isinstance(event, Stepped):
            progress.show(event.step)

    return show


def _laying(strokes: Sequence[tuple[int, Path, float]]) -> Listener:
    """Lays files of strokes after so many steps, as somebody drew them."""
    waiting = list(strokes)

    def lay(event: Event, run: Run) -> None:
        while waiting and waiting[0][0] == run.session.step_index:
            _, path, near = waiting.pop(0)
            with Image.open(path, formats=["PNG"]) as layer:
                lay_strokes(run.session, layer.convert("RGBA"), path.name, near)

    return lay


def _painted(run: Run, keep: Keep, progress: Progress, *before: Listener) -> Result:
    """Paints to the end or to Ctrl-C; `progress` is entered already."""
    with Stop().listening() as stop, keep:
        drive(run, [*before, _shown(progress), keep], lambda: stop.wanted)
    return keep.result


def paint_run(
    config: PaintConfig,
    outputs: Outputs,
    shown: Shown,
    expected: Mapping[str, Any] | None = None,
    strokes: Sequence[tuple[int, Path, float]] = (),
) -> int:
    """Builds the session and runs it; returns the exit code. `strokes` are laid on the way."""
    with ExitStack() as stack:
        progress = stack.enter_context(make_progress(shown.silent, shown.preview))
        with watching(progress.sketch):
            run = Run(Session.build(config))
        session = run.session
        if expected is not None:
            _compare_models(run, expected)
        folder = None
        if outputs.run_dir is not None:
            settings = run_settings(config, outputs)
            folder = stack.enter_context(RunFolder.create(outputs.run_dir, settings))
            keep_places(folder, outputs)
        _say_compiled(session, shown.silent)
        result = _painted(run, Keep(outputs, folder), progress, _laying(strokes))
    return report(config, result, json=shown.json)


def edit_run(
    plan: EditPlan,
    config: PaintConfig,
    outputs: Outputs,
    shown: Shown,
    *,
    sized: bool = True,
    expected: Mapping[str, Any] | None = None,
) -> int:
    """Fetches what is missing and edits a picture; returns the exit code."""
    if plan.config.composite:
        warn_lossy(outputs.out)
    fetch_models(config, shown.quiet)
    session = start(plan, config, sized=sized)
    run, mask = Run(session), edit_of(session).mask
    if expected is not None:
        _compare_models(run, expected)
        _compare_mask(session, expected)
    if outputs.overlay is not None and mask is not None:
        save_picture(mask.overlay(plan.source), outputs.overlay, mask.record(), mask.phrase)
    _say_compiled(session, shown.silent)
    with make_progress(shown.silent, shown.preview) as progress:
        result = _painted(run, Keep(outputs), progress)
    return report(session.config, result, json=shown.json)


def resume_run(run_dir: Path, shown: Shown) -> int:
    """Continues the run in `run_dir`; returns the exit code. A finished run is left as it is."""
    changes = check_run(run_dir)
    with ExitStack() as stack:
        folder = stack.enter_context(RunFolder.open(run_dir))
        outputs, written = stored_outputs(folder), Written.read(folder)
        if written.out is not None:
            outputs = replace(outputs, out=outputs.out.with_name(written.out))
        _, meta = folder.load_state()
        if (config := finished_config(outputs, written, meta)) is not None:
            tell_finished(outputs)
            return report(config, _result_of_finished(outputs, meta, folder), json=shown.json)
        session = resume_session(folder.state_path, **changes)
        outputs = stack.enter_context(claimed(outputs, session.config.count))
        if session.finished:  # killed before its pictures were written, or some are gone
            count = session.config.count
            missing = written.missing(outputs, count, session.step_index)
            write_pictures(Run(session, losses=last_losses(folder, count)), outputs, only=missing)
            note(written, outputs, session, folder)
            return report(
                session.config, _result_of_finished(outputs, meta, folder), json=shown.json
            )
        folder.truncate_losses(session.step_index)
        _say_compiled(session, shown.silent)
        progress = stack.enter_context(make_progress(shown.silent, shown.preview))
        result = _painted(Run(session), Keep(outputs, folder, written), progress)
    return report(session.config, result, json=shown.json)


def _result_of_finished(outputs: Outputs, meta: Mapping[str, Any], folder: RunFolder) -> Result:
    """Read from the run folder, without any model: so there are no scores."""
    count = int(meta["config"]["count"])
    paths = outputs.picture_paths(count)
    losses = {k: v.tolist() for k, v in last_losses(folder, count).items()}
    grid = outputs.out if len(paths) > 1 else None
    return Result(
        paths,
        grid,
        int(meta["step"]),
        int(meta["num_steps"]),
        0.0,
        [],
        losses,
        outputs.seeds(int(meta["config"]["seed"]), count),
    )


def _say_compiled(session: Session, quiet: bool) -> None:
    """Tells why the first step of a compiled run takes so long."""
    if session.models.compiled and not (quiet or session.finished):
        print(
            f"gouache: compiling the networks for {session.num_steps} steps, which may take a "
            "minute or more; --compile off does without",
            file=sys.stderr,
        )


def _compare_models(run: Run, expected: Mapping[str, Any]) -> None:
    """Warns when a picture was made with other weights than those it is painted with now."""
    now = run.session.identity()
    differing = [
        kind.removesuffix("s")
        for kind in ("generator", "perceptors")
        if _without_names(expected.get(kind)) != _without_names(now[kind])
    ]
    if _enlarged_by(expected.get("finish")) != _enlarged_by(run.record(0).get("finish")):
        differing.append("drawing decoder")
    for kind in differing:
        print(
            f"gouache: the picture was made with another {kind} than the "
            "installed one; this one will differ",
            file=sys.stderr,
        )


def _enlarged_by(steps: Sequence[Mapping[str, Any]] | None) -> list[Any]:
    """Which weights drew a picture larger; None for a picture that was enlarged by none."""
    return [step.get("sha256") for step in steps or () if "scale" in step]


def _compare_mask(session: Session, expected: Mapping[str, Any]) -> None:
    """Warns when a mask was read or found otherwise than for the picture that is edited again."""
    told, now = expected.get("source"), session.identity()["source"]
    known = told.get("mask_sha256") if isinstance(told, Mapping) else None
    if known is not None and known != now["mask_sha256"]:
        print(
            "gouache: the picture was made with another mask than this one; it will differ",
            file=sys.stderr,
        )


def _without_names(models: Any) -> Any:
    """Fingerprints and weights: the same weights may have been called otherwise."""
    listed = models if isinstance(models, list) else [models]
    plain = [model for model in listed if isinstance(model, Mapping)]
    return [{k: v for k, v in model.items() if k != "name"} for model in plain]


def report(config: PaintConfig, result: Result, *, json: bool) -> int:
    """Prints where the pictures are; 0 when finished, 130 when interrupted."""
    if json:
        print_json(
            {
                "out": [str(path) for path in result.out],
                "grid": None if result.grid is None else str(result.grid),
                "size": _size_of(result.out),
                "prompt": config.title if len(config.prompt) < 2 else "",
                "prompts": list(config.prompt) if len(config.prompt) > 1 else [],
                "seed": config.seed,
                "seeds": result.seeds,
                "step": result.step,
                "num_steps": result.num_steps,
                "seconds": round(result.seconds, 3),
                "scores": result.scores,
                "losses": result.losses,
                "resume": None if result.resume is None else str(result.resume),
            }
        )
    else:
        for path in [*result.out, *([result.grid] if result.grid else [])]:
            print(path)
    if result.resume is not None:
        print(
            f"gouache: stopped after step {result.step} of {result.num_steps}; "
            f"go on with: gouache resume {result.resume}",
            file=sys.stderr,
        )
        return 130
    return 0


def _size_of(paths: Sequence[Path]) -> list[int] | None:
    """Width and height of the pictures written, all alike; None where none can be read."""
    try:
        with open_image(paths[0]) as picture:
            return [picture.width, picture.height]
    except (ImageError, IndexError):
        return None


__all__ = ["edit_run", "paint_run", "report", "resume_run"]
