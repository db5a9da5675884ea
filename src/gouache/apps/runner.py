"""Drives a session and writes what it makes: the one loop behind paint, resume and replay."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

from PIL.Image import Image as Picture
from torch import Tensor

from gouache.apps.finished import finished_config, last_losses, tell_finished
from gouache.apps.outputs import Outputs, claimed
from gouache.apps.places import check_run, keep_places, run_settings, stored_outputs
from gouache.apps.printing import print_json
from gouache.apps.progress import Progress, make_progress
from gouache.apps.written import Written
from gouache.editing.editor import EditPlan, start
from gouache.engine import Session, picture_record, resume_session, save_session
from gouache.errors import DivergedError
from gouache.interrupts import NUMBERS
from gouache.ops.images import grid_pil, to_pil, together
from gouache.output.png import save_picture
from gouache.output.run_folder import RunFolder
from gouache.output.video import timelapse as open_film
from gouache.protocols import Step
from gouache.reserve import reserve
from gouache.settings.config import PaintConfig
from gouache.watching import watching

Touch = Callable[[Picture], Picture]

FRAMES = 120  # a timelapse has about this many


@dataclass
class Result:
    """What a run wrote, as `--json` prints it."""

    out: list[Path]
    grid: Path | None
    step: int
    num_steps: int
    seconds: float
    scores: list[float]
    losses: dict[str, list[float]] = field(default_factory=dict)
    resume: Path | None = None  # the run folder to go on from, when interrupted


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


def run_session(
    session: Session,
    outputs: Outputs,
    folder: RunFolder | None,
    progress: Progress,
    touch: Touch | None = None,
    written: Written | None = None,
) -> Result:
    """Paints to the end or to Ctrl-C and writes pictures, film, losses and state.

    `progress` is entered already. `touch` is what an edit does to its pictures in the end; edits
    cannot be resumed. `written` is of a run that goes on.
    """
    begun = time.monotonic()
    stop, last, count = Stop(), None, session.config.count
    written = written or Written.found(outputs, count)
    every = max(1, session.num_steps // FRAMES)
    with ExitStack() as stack:
        stack.enter_context(stop.listening())
        film = stack.enter_context(open_film(outputs.timelapse)) if outputs.timelapse else None
        if folder is not None and session.step_index == 0:
            written.save(folder)
            save_session(session, folder.state_path)
        try:
            for step in session:
                last = step
                progress.show(step)
                if film is not None and (step.index % every == 0 or session.finished):
                    film.add(_frame(step, outputs))
                if folder is not None:
                    _record(folder, session, step, outputs.save_every)
                if stop.wanted:
                    break
        except DivergedError as error:
            with written.names(outputs, count) as names:
                _write_pictures(session, names, last.losses if last else {}, error.image)
                _note(written, names, session, folder)
            raise
        if film is not None and session.finished:
            film.add(_as_frame(session.picture(), outputs))
        resume = None
        if not session.finished and touch is None:
            folder = folder or stack.enter_context(_folder_for_later(session, outputs))
            save_session(session, folder.state_path)
            resume = folder.path
        names = stack.enter_context(written.names(outputs, count))
        losses = last.losses if last else {}
        paths, grid = _write_pictures(session, names, losses, session.picture(), touch)
        _note(written, names, session, folder)
    return Result(
        out=paths,
        grid=grid,
        step=session.step_index,
        num_steps=session.num_steps,
        seconds=time.monotonic() - begun,
        scores=[round(value, 4) for value in session.scores().tolist()],
        losses={k: v.tolist() for k, v in session.own_losses(losses).items()},
        resume=resume,
    )


def _note(written: Written, outputs: Outputs, session: Session, folder: RunFolder | None) -> None:
    if folder is not None:
        written.note(outputs, session.config.count, session.step_index)
        written.save(folder)


def _record(folder: RunFolder, session: Session, step: Step, save_every: int) -> None:
    losses = session.own_losses(step.losses)
    folder.record(step.index, {name: value.tolist() for name, value in losses.items()})
    if session.step_index % save_every == 0 or session.finished:
        images = [to_pil(picture) for picture in step.image]
        prompts = [session.config.prompt_of(k) for k in range(len(images))]
        folder.save_step(session.step_index, images, None, prompts)
        save_session(session, folder.state_path)


@contextmanager
def _folder_for_later(session: Session, outputs: Outputs) -> Iterator[RunFolder]:
    """A run folder beside the picture, for a run that had none and is interrupted."""
    with ExitStack() as stack:
        path = outputs.rest
        if path is None or os.path.lexists(path):  # not reserved, or somebody did not care
            path = stack.enter_context(reserve((), outputs.rests())).chosen[0]
        outputs = replace(outputs, run_dir=path)
        settings = run_settings(session.config, outputs)
        folder = stack.enter_context(RunFolder.create(path, settings))
        keep_places(folder, outputs)
        yield folder


def _write_pictures(
    session: Session,
    outputs: Outputs,
    losses: Mapping[str, Tensor],
    pictures: Any,
    touch: Touch | None = None,
    *,
    only: Collection[Path] | None = None,
) -> tuple[list[Path], Path | None]:
    images = [to_pil(picture) for picture in pictures]
    if touch is not None:
        images = [touch(image) for image in images]
    chosen = list(range(len(images))) if outputs.only is None else [outputs.only]
    paths = outputs.picture_paths(len(images))
    for path, k in zip(paths, chosen, strict=True):
        record = picture_record(session, losses, k)
        if only is None or path in only:
            save_picture(images[k], path, record, record["prompt"])
    if len(paths) == 1:
        return paths, None
    title, changes = session.config.title, [dict(edit) for edit in session.edits]
    record = picture_record(session, losses, 0)
    record |= {"picture": None, "prompt": title, "edits": changes}
    if only is None or outputs.out in only:
        save_picture(grid_pil(images), outputs.out, record, title)
    return paths, outputs.out


def _frame(step: Step, outputs: Outputs) -> Any:
    return _as_frame(step.image, outputs)


def _as_frame(pictures: Any, outputs: Outputs) -> Any:
    images = [to_pil(picture) for picture in pictures]
    if outputs.only is not None:
        return images[outputs.only]
    return together(images)


def paint_run(
    config: PaintConfig,
    outputs: Outputs,
    *,
    quiet: bool,
    json: bool,
    preview: bool = False,
    expected: Mapping[str, Any] | None = None,
) -> int:
    """Builds the session and runs it; returns the exit code."""
    with ExitStack() as stack:
        progress = stack.enter_context(make_progress(quiet or json, preview))
        with watching(progress.sketch):
            session = Session.build(config)
        if expected is not None:
            _compare_models(session, expected)
        folder = None
        if outputs.run_dir is not None:
            settings = run_settings(config, outputs)
            folder = stack.enter_context(RunFolder.create(outputs.run_dir, settings))
            keep_places(folder, outputs)
        _say_compiled(session, quiet or json)
        result = run_session(session, outputs, folder, progress)
    return report(config, result, json=json)


def edit_run(
    plan: EditPlan,
    config: PaintConfig,
    outputs: Outputs,
    *,
    sized: bool,
    overlay: Path | None,
    quiet: bool,
    json: bool,
    preview: bool = False,
) -> int:
    """Edits a picture; returns the exit code."""
    editing = start(plan, config, sized=sized)
    session, mask = editing.session, editing.mask
    if overlay is not None and mask is not None:
        save_picture(mask.overlay(plan.source), overlay, mask.record(), mask.phrase)
    _say_compiled(session, quiet or json)
    with make_progress(quiet or json, preview) as progress:
        result = run_session(session, outputs, None, progress, editing.finish_pil)
    code = report(session.config, result, json=json)
    if not session.finished:
        print(
            f"gouache: stopped after step {result.step} of {result.num_steps}; "
            "the picture is as it was then",
            file=sys.stderr,
        )
        return 130
    return code


def resume_run(run_dir: Path, *, quiet: bool, json: bool, preview: bool = False) -> int:
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
            return report(config, _result_of_finished(outputs, meta, folder), json=json)
        session = resume_session(folder.state_path, **changes)
        outputs = stack.enter_context(claimed(outputs, session.config.count))
        if session.finished:  # killed before its pictures were written, or some are gone
            count = session.config.count
            missing = written.missing(outputs, count, session.step_index)
            losses = last_losses(folder, count)
            _write_pictures(session, outputs, losses, session.picture(), only=missing)
            _note(written, outputs, session, folder)
            return report(session.config, _result_of_finished(outputs, meta, folder), json=json)
        folder.truncate_losses(session.step_index)
        _say_compiled(session, quiet or json)
        progress = stack.enter_context(make_progress(quiet or json, preview))
        result = run_session(session, outputs, folder, progress, written=written)
    return report(session.config, result, json=json)


def _result_of_finished(outputs: Outputs, meta: Mapping[str, Any], folder: RunFolder) -> Result:
    """Read from the run folder, without any model: so there are no scores."""
    count = int(meta["config"]["count"])
    paths = outputs.picture_paths(count)
    losses = {k: v.tolist() for k, v in last_losses(folder, count).items()}
    grid = outputs.out if len(paths) > 1 else None
    return Result(paths, grid, int(meta["step"]), int(meta["num_steps"]), 0.0, [], losses)


def _say_compiled(session: Session, quiet: bool) -> None:
    """Tells why the first step of a compiled run takes so long."""
    if session.models.compiled and not (quiet or session.finished):
        print(
            f"gouache: compiling the networks for {session.num_steps} steps, which may take a "
            "minute or more; --compile off does without",
            file=sys.stderr,
        )


def _compare_models(session: Session, expected: Mapping[str, Any]) -> None:
    """Warns when a picture was made with other weights than those it is painted with now."""
    now = session.identity()
    for kind in ("generator", "perceptors"):
        if _without_names(expected.get(kind)) != _without_names(now[kind]):
            print(
                f"gouache: the picture was made with another {kind.removesuffix('s')} than the "
                "installed one; this one will differ",
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
                "prompt": config.title if len(config.prompt) < 2 else "",
                "prompts": list(config.prompt) if len(config.prompt) > 1 else [],
                "seed": config.seed,
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


__all__ = ["Result", "paint_run", "report", "resume_run", "run_session", "run_settings"]
