"""Paints what is queued, one run at a time, in one thread; listens between two steps."""

from __future__ import annotations

import io
import json
import shutil
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image

from gouache.apps.outputs import Outputs
from gouache.apps.runner import run_settings
from gouache.apps.studio.orders import Limits, Order
from gouache.apps.studio.runs import ENDED, Run, load_runs
from gouache.atomic import write_bytes
from gouache.editing.config import EditConfig
from gouache.editing.editor import EditPlan, EditSession, find, make_plan, start, with_source
from gouache.engine import Session, picture_record, resume_session, save_session
from gouache.errors import ConfigError, GouacheError, OutputError, StateError
from gouache.ops.images import encode, load_image, read_picture, to_pil
from gouache.output.png import dump_json, save_picture
from gouache.output.run_folder import RunFolder
from gouache.output.video import timelapse
from gouache.prompts import one_line, parse_prompts
from gouache.protocols import Step

SAVE_EVERY = 10  # steps: what a power cut costs at most
FRAME_SECONDS = 0.1  # more frames than this nobody sees
PARKED = 3  # paused runs that stay in memory; older ones are read from their folder again
FILM_FRAMES = 120  # of a timelapse, about
Build = Callable[[Order], Session]


class Studio:
    """All runs and the thread that paints them. Methods may be called from any thread.

    While a run is paused the others are painted.
    """

    def __init__(self, root: Path, limits: Limits | None = None, build: Build | None = None):
        self.root = root
        self.limits = limits or Limits()
        self._build = build or _build
        (root / "runs").mkdir(parents=True, exist_ok=True)
        self.runs: dict[str, Run] = {run.id: run for run in load_runs(root)}
        self._queue: deque[str] = deque()
        self._news = threading.Condition()
        self._closing = False
        self._parked: deque[str] = deque()  # paused, in memory; the painter's own
        self._thread = threading.Thread(target=self._work, name="painter", daemon=True)
        self._thread.start()

    def submit(self, order: Order, owner: str) -> Run:
        """Queues a new run; `ConfigError` when too many wait."""
        run = Run.new(self.root, owner, order)
        with self._news:
            if len(self._queue) >= self.limits.queue:
                raise QueueFullError(
                    f"{len(self._queue)} pictures are waiting; cancel one or try again later"
                )
            with RunFolder.create(run.path, run_settings(run.config, self._outputs(run))):
                run.save_about()
            self.runs[run.id] = run
            self._queue.append(run.id)
            self._news.notify()
        return run

    def position(self, run: Run) -> int:
        """0 for a run that does not wait, else its place in the queue from 1."""
        with self._news:
            return self._queue.index(run.id) + 1 if run.id in self._queue else 0

    def pause(self, run: Run) -> None:
        """Stops after the current step; `go_on` goes on."""
        self._require(run, "painting", "starting")
        run.changed(wish="pause")

    def stop(self, run: Run) -> None:
        """Ends a run with the picture as it is, or takes it out of the queue."""
        with self._news:
            if run.id in self._queue:
                self._queue.remove(run.id)
                if run.session is None and run.order is not None:  # never begun
                    run.changed(status="cancelled")
                    run.save_about()
                    return
            elif run.status == "paused":
                pass
            else:
                self._require(run, "painting", "starting")
                run.changed(wish="stop")
                return
            run.changed(wish="stop")
            self._queue.appendleft(run.id)  # the worker writes the picture
            self._news.notify()

    def draw(self, run: Run, png: bytes) -> None:
        """Lays strokes (a picture with alpha) over a paused picture; painting goes on from it."""
        self._require(run, "paused")
        with run.lock:
            run.drawings.append(png)

    def go_on(self, run: Run, prompt: str | None = None) -> None:
        """Continues a paused or interrupted run, before those that wait; maybe with other words."""
        self._require(run, "paused", "interrupted")
        if prompt is not None:
            if len(parse_prompts(prompt)) > 1:
                raise ConfigError("a prompt given during a run has one stage; leave '^' out")
            run.changed(prompt=prompt)
        with self._news:
            run.changed(status="queued", wish="")
            self._queue.appendleft(run.id)
            self._news.notify()

    def delete(self, run: Run) -> None:
        """Removes an ended run and all its files."""
        self._require(run, *ENDED)
        with self._news:
            self.runs.pop(run.id, None)
        shutil.rmtree(run.path, ignore_errors=True)

    def close(self, timeout: float = 30.0) -> None:
        """Saves what is being painted and ends the thread."""
        with self._news:
            self._closing = True
            self._news.notify()
        self._thread.join(timeout)

    def _require(self, run: Run, *statuses: str) -> None:
        if run.status not in statuses:
            raise ConfigError(
                f"the run is {run.status}; this is possible while it is {' or '.join(statuses)}"
            )

    def _outputs(self, run: Run) -> Outputs:
        return Outputs(run.picture_path, run.path, SAVE_EVERY)

    def _work(self) -> None:
        while True:
            with self._news:
                while not self._queue and not self._closing:
                    self._news.wait()
                if self._closing:
                    return
                run = self.runs[self._queue.popleft()]
                run.changed(status="starting" if run.session is None else "painting")
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    warnings.simplefilter("always", UserWarning)
                    warnings.showwarning = run.noted
                    self._paint(run)
            except GouacheError as error:
                self._failed(run, str(error))
            except Exception as error:  # a bug must not end the thread that paints for everybody
                self._failed(run, f"this run failed unexpectedly ({one_line(error, 120)})")

    def _failed(self, run: Run, message: str) -> None:
        shown = message.replace(str(self.root), "the studio's folder")
        run.changed(status="failed", error=shown)
        self._release(run)
        try:
            run.save_about()
        except OutputError:
            return  # the disk is full: the status is known until the server ends

    def _paint(self, run: Run) -> None:
        if run.session is None:
            self._open(run)
        session, folder = run.session, run.folder
        assert session is not None
        assert folder is not None
        self._apply(run, session, folder)
        with run.lock:
            run.status = "painting"
            run.num_steps = session.num_steps
        run.save_about()
        begun, first, shown = time.monotonic(), session.step_index, 0.0
        while not session.finished and not run.wish and not self._closing:
            step = next(session)
            folder.record(step.index, {name: v.tolist() for name, v in step.losses.items()})
            rate = (session.step_index - first) / max(time.monotonic() - begun, 1e-9)
            left = (session.num_steps - session.step_index) / rate
            frame = run.frame
            filmed = step.index % max(1, session.num_steps // FILM_FRAMES) == 0
            if filmed or session.finished or time.monotonic() - shown >= FRAME_SECONDS:
                frame, shown = encode(self._finished(run, step), "JPEG"), time.monotonic()
            with run.lock:
                run.totals.append(round(float(step.total.mean()), 4))
            run.changed(step=session.step_index, seconds_left=left, frame=frame)
            if filmed:
                _film(run, step.index, frame)
            if session.step_index % SAVE_EVERY == 0:
                self._save(run, session, folder)
        self._settle(run, session, folder)

    def _settle(self, run: Run, session: Session, folder: RunFolder) -> None:
        if session.finished or run.wish == "stop":
            picture = to_pil(session.picture()[0])
            if run.editing is not None:
                picture = run.editing.finish_pil(picture)
            record = picture_record(session, {}, 0)
            save_picture(picture, run.picture_path, record, run.config.prompt)
            self._node(run, "end", picture)
            self._save(run, session, folder)
            status = "done" if session.finished else "stopped"
            run.changed(status=status, frame=encode(picture, "JPEG"), seconds_left=None, wish="")
            self._release(run)
        else:
            self._save(run, session, folder)
            status = "interrupted" if self._closing else "paused"
            picture = to_pil(session.picture()[0])
            run.changed(status=status, frame=encode(picture, "JPEG"), wish="")
            self._park(run)
        run.save_about()

    def _park(self, run: Run) -> None:
        """Keeps a paused run in memory, and lets go of the one that is paused longest."""
        with suppress(ValueError):
            self._parked.remove(run.id)
        self._parked.append(run.id)
        while len(self._parked) > PARKED:
            old = self.runs.get(self._parked.popleft())
            if old is not None and old.status == "paused":
                self._release(old)

    def _open(self, run: Run) -> None:
        """A new session, or that of an interrupted run."""
        if run.order is not None:
            run.editing = _start_edit(run.order) if run.order.edit else None
            run.session = run.editing.session if run.editing else self._build(run.order)
            run.config = run.session.config
            if run.editing is not None:
                _keep_edit(run)
            run.folder = RunFolder.open(run.path)
            save_session(run.session, run.folder.state_path)
            self._node(run, "start", to_pil(run.session.picture()[0]))
            return
        run.folder = RunFolder.open(run.path)
        try:
            self._reopen(run, run.folder)
        except BaseException:
            run.folder.close()
            raise

    def _reopen(self, run: Run, folder: RunFolder) -> None:
        if run.kind == "edit":
            plan, mask = _kept_edit(run)
            run.session = resume_session(
                folder.state_path, edit=lambda parts: with_source(parts, plan, mask(parts.models))
            )
            run.editing = EditSession(run.session, plan, mask(run.session.models))
        else:
            run.session = resume_session(folder.state_path)
        folder.truncate_losses(run.session.step_index)
        with run.lock:
            rows = folder.read_losses()
            names = ("step", "picture")
            run.totals = [sum(v for k, v in row.items() if k not in names) for row in rows]
            run.step = run.session.step_index

    def _apply(self, run: Run, session: Session, folder: RunFolder) -> None:
        """What was drawn and said during the pause."""
        with run.lock:
            drawings, run.drawings = run.drawings, []
            prompt, run.prompt = run.prompt, None
        for png in drawings:
            strokes = Image.open(io.BytesIO(png)).convert("RGBA")
            below = to_pil(session.picture()[0]).convert("RGBA")
            strokes = strokes.resize(below.size, Image.Resampling.LANCZOS)
            above = Image.alpha_composite(below, strokes).convert("RGB")
            changed = strokes.getchannel("A").point(lambda value: 255 * (value > 8))
            session.set_image(above, changed)
            self._node(run, "drawn", above)
            run.changed(frame=encode(above, "JPEG"))
        if prompt is not None and prompt != run.config.prompt:
            session.set_prompt(prompt)
            run.config = run.config.updated(prompt=prompt)
            self._node(run, "prompt", to_pil(session.picture()[0]), prompt)

    def _save(self, run: Run, session: Session, folder: RunFolder) -> None:
        picture = to_pil(session.picture()[0])
        folder.save_step(session.step_index, [picture], None, [run.config.prompt])
        save_session(session, folder.state_path)

    def _node(self, run: Run, kind: str, picture: Image.Image, prompt: str = "") -> None:
        """A point in the run's history, with its picture."""
        assert run.session is not None
        number = len(run.nodes)
        (run.path / "nodes").mkdir(exist_ok=True)
        save_picture(picture, run.path / "nodes" / f"{number}.png", None, run.config.prompt)
        node = {"node": number, "kind": kind, "step": run.session.step_index, "prompt": prompt}
        with run.lock:
            run.nodes.append(node)

    def _finished(self, run: Run, step: Step) -> Image.Image:
        picture = to_pil(step.image[0])
        return picture if run.editing is None else run.editing.finish_pil(picture)

    def _release(self, run: Run) -> None:
        if run.folder is not None:
            run.folder.close()
        run.session = run.editing = run.folder = run.order = None


class QueueFullError(ConfigError):
    """Too many pictures wait."""


def _build(order: Order) -> Session:
    config = order.config
    if order.image is not None:
        config = config.updated(init_image=str(order.image))
    return Session.build(config)


def _start_edit(order: Order) -> EditSession:
    assert order.edit is not None
    assert order.image is not None
    edit = order.edit
    plan = make_plan(order.image, edit.config, replace=edit.replace, old=edit.old, mask=edit.mask)
    return start(plan, order.config, sized=order.sized)


def _keep_edit(run: Run) -> None:
    """Puts what an interrupted edit needs into its folder."""
    assert run.editing is not None
    plan, mask = run.editing.plan, run.editing.mask
    save_picture(plan.base or plan.source, run.path / "source.png", None, "")
    if mask is not None:
        chosen = Image.fromarray(mask.selected.byte().mul(255).numpy())
        save_picture(chosen, run.path / "mask.png", None, "")
    document = {"old": plan.old, "settings": plan.config.to_dict(), "mask": mask is not None}
    write_bytes(run.path / "edit.json", dump_json(document).encode())


def _kept_edit(run: Run) -> tuple[EditPlan, Callable[[Any], Any]]:
    """The plan of an interrupted edit, and what finds its mask."""
    try:
        document = json.loads((run.path / "edit.json").read_bytes())
        settings = {**document["settings"], "grow": 0, "invert": False}  # both are in the mask
        config = EditConfig().updated(**settings)
        old, masked = str(document["old"]), bool(document["mask"])
    except (OSError, ValueError, KeyError, TypeError):
        raise StateError("the edit's record is damaged; start it again") from None
    mask = load_image(run.path / "mask.png") if masked else None
    plan = make_plan(read_picture(run.path / "source.png"), config, old=old, mask=mask)
    return plan, lambda models: find(plan, models)


def _film(run: Run, index: int, frame: bytes) -> None:
    """Keeps a frame for the timelapse."""
    folder = run.path / "frames"
    folder.mkdir(exist_ok=True)
    write_bytes(folder / f"{index:06d}.jpg", frame)


def make_film(run: Run, kind: str) -> Path:
    """The timelapse of what was painted so far; `kind` is mp4 or gif."""
    frames = [*sorted(run.path.glob("frames/*.jpg")), run.picture_path]
    path = run.path / f"timelapse.{kind}"
    with timelapse(path) as film:
        for frame in frames:
            if frame.exists():
                film.add(load_image(frame))
    if not path.exists():
        raise OutputError("there is nothing to show yet; wait for the first step")
    return path


__all__ = ["QueueFullError", "Studio", "make_film"]
