"""A listener that writes what a run makes: pictures, losses, film and state."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL.Image import Image
from torch import Tensor

from gouache.engine import Session, save_session
from gouache.ops.images import grid_pil, numbered_pil, to_pil, together
from gouache.output.pictures import save_picture
from gouache.output.run_folder import RunFolder
from gouache.output.video import timelapse as open_film
from gouache.protocols import Step
from gouache.reserve import reserve
from gouache.runs.drive import Diverged, Done, Event, Interrupted, Prepared, Run, Stepped
from gouache.runs.outputs import Outputs
from gouache.runs.places import keep_places, run_settings
from gouache.runs.written import Written


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
    seeds: list[int] = field(default_factory=list)  # of `out`
    resume: Path | None = None  # the run folder to go on from, when interrupted


class Keep:
    """Writes the pictures when the run ends, however it does, and all else on the way.

        with Keep(outputs, folder) as keep:
            drive(run, [keep])
        keep.result.out

    `folder` is the run's own, None for none: one is made where it is interrupted. `written` is of a
    run that goes on. A run that diverges leaves the last good picture and the state before it.
    """

    def __init__(
        self,
        outputs: Outputs,
        folder: RunFolder | None = None,
        written: Written | None = None,
    ) -> None:
        self._outputs = outputs
        self._folder = folder
        self._written = written
        self._stack = ExitStack()
        self._film: Any = None
        self._begun = time.monotonic()
        self._result: Result | None = None

    def __enter__(self) -> Keep:
        if self._outputs.timelapse is not None:
            self._film = self._stack.enter_context(open_film(self._outputs.timelapse))
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.__exit__(*exception)

    @property
    def result(self) -> Result:
        """Of a run that has ended."""
        assert self._result is not None
        return self._result

    def __call__(self, event: Event, run: Run) -> None:
        match event:
            case Prepared():
                self._prepared(event, run)
            case Stepped():
                self._stepped(event, run)
            case Diverged():
                self._write(run, event.error.image)
            case Interrupted() | Done():
                self._ended(run)

    def _prepared(self, event: Prepared, run: Run) -> None:
        self._begun = time.monotonic()
        if self._written is None:
            self._written = Written.found(self._outputs, run.session.config.count)
        if self._folder is not None and event.step == 0:
            self._written.save(self._folder)
            save_session(run.session, self._folder.state_path)

    def _stepped(self, event: Stepped, run: Run) -> None:
        step = event.step
        if self._film is not None and (event.filmed or event.last):
            self._film.add(_frame(step.image, self._outputs))
        if self._folder is not None:
            losses = {name: value.tolist() for name, value in event.losses.items()}
            self._folder.record(step.index, losses)
            if (step.index + 1) % self._outputs.save_every == 0 or event.last:
                self._save(self._folder, run, step)

    def _save(self, folder: RunFolder, run: Run, step: Step) -> None:
        images, config = [to_pil(picture) for picture in step.image], run.session.config
        prompts = [config.prompt_of(k) for k in range(len(images))]
        folder.save_step(step.index + 1, images, None, prompts)
        save_session(run.session, folder.state_path)

    def _ended(self, run: Run) -> None:
        session = run.session
        if self._film is not None and session.finished:
            self._film.add(_frame(session.picture(), self._outputs))
        resume = None
        if not session.finished:
            if self._folder is None:
                self._folder = self._stack.enter_context(_folder_for_later(session, self._outputs))
            save_session(session, self._folder.state_path)
            resume = self._folder.path
        paths, grid = self._write(run)
        self._result = Result(
            out=paths,
            grid=grid,
            step=session.step_index,
            num_steps=session.num_steps,
            seconds=time.monotonic() - self._begun,
            scores=[round(value, 4) for value in run.scores()],
            losses={name: value.tolist() for name, value in run.losses.items()},
            seeds=self._outputs.seeds(session.config.seed, session.config.count),
            resume=resume,
        )

    def _write(self, run: Run, pictures: Tensor | None = None) -> tuple[list[Path], Path | None]:
        session = run.session
        assert self._written is not None
        names = self._stack.enter_context(self._written.names(self._outputs, session.config.count))
        paths = write_pictures(run, names, pictures)
        if self._folder is not None:
            note(self._written, names, session, self._folder)
        return paths


def note(written: Written, outputs: Outputs, session: Session, folder: RunFolder) -> None:
    """Remembers what the run has left at its names."""
    written.note(outputs, session.config.count, session.step_index)
    written.save(folder)


def write_pictures(
    run: Run,
    outputs: Outputs,
    pictures: Tensor | None = None,
    *,
    only: Collection[Path] | None = None,
) -> tuple[list[Path], Path | None]:
    """Writes the pictures as they are now (or those given), and of several a grid: their paths.

    `only` are the paths that are wanted, None for all.
    """
    images = run.pictures(pictures)
    chosen = list(range(len(images))) if outputs.only is None else [outputs.only]
    paths = outputs.picture_paths(len(images))
    for path, k in zip(paths, chosen, strict=True):
        record = run.record(k, scaled=pictures is None)
        if only is None or path in only:
            save_picture(images[k], path, record, record["prompt"])
    if len(paths) == 1:
        return paths, None
    title, changes = run.session.config.title, [dict(edit) for edit in run.session.edits]
    own: dict[str, Any] = {"picture": None, "prompt": title, "edits": changes}
    if outputs.labels:
        own["labels"] = True
    record = run.record(0, scaled=pictures is None) | own
    if only is None or outputs.out in only:
        grid = numbered_pil(images) if outputs.labels else grid_pil(images)
        save_picture(grid, outputs.out, record, title)
    return paths, outputs.out


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


def _frame(pictures: Tensor, outputs: Outputs) -> Image:
    """As it is painted; with the codes of a step `Run.pictures` would draw its frames larger."""
    images = [to_pil(picture) for picture in pictures]
    return images[outputs.only] if outputs.only is not None else together(images)


__all__ = ["Keep", "Result", "note", "write_pictures"]
