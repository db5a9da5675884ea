"""Paints one run: from its order or its folder to its end, or to what is wished on the way."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, TypeAlias, cast

from PIL import Image

from gouache.apps.studio.alternating import in_parts
from gouache.apps.studio.asking import with_words
from gouache.apps.studio.drawings import nearness
from gouache.apps.studio.films import keep_frame
from gouache.apps.studio.frames import FRAME_SECONDS, Frame
from gouache.apps.studio.keeping import forget_order, kept_order
from gouache.apps.studio.noting import Note
from gouache.apps.studio.orders import Order
from gouache.apps.studio.pace import Pace
from gouache.apps.studio.runs import Run
from gouache.apps.studio.starting import Starting
from gouache.atomic import output_errors, write_bytes
from gouache.editing.editor import make_plan, start
from gouache.engine import Session, resume_session, save_session
from gouache.engine.edits import lay_strokes, over
from gouache.errors import GouacheError
from gouache.films.film import Film
from gouache.halting import Halted, halting
from gouache.ops.images import encode, to_pil
from gouache.output.pictures import dump_json, save_picture
from gouache.output.run_folder import RunFolder
from gouache.runs.drive import Diverged, Stepped, events
from gouache.runs.drive import Run as Driven
from gouache.settings.config import PaintConfig
from gouache.watching import watching

SAVE_EVERY = 10  # steps: what a power cut costs at most
Build: TypeAlias = Callable[[Order], Session | Film]


class Painter:
    """What the studio's thread does with a run. `lock` is the one under which its status changes.

    `ending` is "" or, once the server ends, the status in which runs are left; `paused` is called,
    under the lock, with each run that pauses. `in_parts`: starts are found in parts, too.
    """

    def __init__(
        self,
        build: Build,
        lock: AbstractContextManager[Any],
        *,
        ending: Callable[[], str],
        paused: Callable[[Run], None],
        in_parts: bool = False,
    ) -> None:
        self._build = build
        self._lock = lock
        self._ending = ending
        self._paused = paused
        self._in_parts = in_parts

    def paint(self, run: Run) -> Iterator[None]:
        """Begins or goes on, and yields between two steps; others may be painted in between."""
        yield from self._opened(run)
        if run.session is None:
            return
        yield
        session, folder = cast("Session", run.session), run.folder
        assert folder is not None
        laid = self._apply(run, session, folder)
        with self._lock:
            run.changed(status="painting", num_steps=session.num_steps)
        run.save_about()
        pace, shown = Pace(), 0.0
        pace.stepped(session.step_index)
        painting = Driven(session)
        for event in events(painting, lambda: self._wanted(run), within=True):
            if isinstance(event, Diverged):
                last = painting.pictures(event.error.image)[0]
                self._keep(run, painting, last, scaled=False)
            if not isinstance(event, Stepped):
                continue
            laid, step = None, event.step
            folder.record(step.index, {name: v.tolist() for name, v in event.losses.items()})
            each = pace.stepped(session.step_index)
            ahead = session.num_steps - session.step_index
            left = run.seconds_left if each is None else each * ahead
            frame = run.frame
            if event.filmed or event.last or time.monotonic() - shown >= FRAME_SECONDS:
                frame = Frame(painting.pictures(step.image)[0])
                shown = time.monotonic()
            with run.lock:
                run.totals.append(round(float(step.total.mean()), 4))
            run.changed(step=session.step_index, seconds_left=left, frame=frame)
            if event.filmed:
                assert frame is not None
                keep_frame(run, step.index, frame.jpeg)
            if session.step_index % SAVE_EVERY == 0:
                self._save(run, session, folder)
            yield
            if run.drawings and not self._wanted(run):
                laid = self._apply(run, session, folder)
        self._settle(run, painting, folder, laid)

    def _opened(self, run: Run) -> Iterator[None]:
        """Brings the run's session into memory, if it is wanted still."""
        run.changed(sealed=False)
        if run.session is None:
            if run.group or self._in_parts:  # starts of a group are found together
                yield from in_parts(lambda: self._open(run))
            else:
                self._open(run)

    def _wanted(self, run: Run) -> bool:
        """Is something wished besides painting?"""
        return bool(run.wish or self._ending())

    def _settle(
        self, run: Run, painting: Driven, folder: RunFolder, laid: Image.Image | None
    ) -> None:
        """Writes what is there. `laid` is a drawing that no step has changed: it stays as it is."""
        session = painting.session
        if not session.finished and run.wish != "stop":
            self._save(run, session, folder)
            picture = to_pil(session.picture()[0])
            with self._lock:
                if run.wish != "stop":  # which may come at any time
                    status = self._ending() or "paused"
                    run.changed(status=status, frame=Frame(picture), wish="")
                    self._paused(run)
        if run.status == "painting":
            with self._lock:
                run.sealed = True  # what is drawn from here on is refused
            if run.drawings:
                laid = self._apply(run, session, folder)
            picture = laid or painting.pictures()[0]
            frame = self._keep(run, painting, picture)
            self._node(run, "end", picture)
            self._save(run, session, folder)
            status = "done" if session.finished else "stopped"
            with self._lock:
                run.changed(status=status, frame=frame, seconds_left=None, wish="")
            self.release(run)
        run.save_about()

    def _keep(self, run: Run, painting: Driven, picture: Image.Image, scaled: bool = True) -> Frame:
        """Writes the run's picture; what is shown of it."""
        record = painting.record(0, scaled=scaled)
        record["prompt"] = run.config.title  # the words may have been changed on the way
        record["studio"] = run.origin
        save_picture(picture, run.picture_path, record, run.config.title)
        return Frame(picture)

    def _open(self, run: Run) -> None:
        """A new session, or that of an interrupted run; none if it is not wanted any more."""
        if run.begun:
            run.folder = RunFolder.open(run.path, run.shelf)
            self._reopen(run, run.folder)
            return
        run.save_about()  # a server that this ends does not begin it again by itself
        try:
            with halting(lambda: run.wish == "stop" or bool(self._ending())):
                self._begin(run)
        except Halted:
            self.release(run)
            with self._lock:
                run.changed(status="queued" if self._ending() else "cancelled", wish="")
            run.save_about()

    def _begin(self, run: Run) -> None:
        order = run.order or kept_order(run)
        run.changed(doing="loading the models")
        try:
            with watching(Starting(run)):
                session = _start_edit(order) if order.edit else self._build(order)
            if run.choice and not session.config.latents.start_choice:
                run.notes["choice"] = Note(
                    "late-choice",
                    f"beginning {run.choice} was chosen too late; another one is painted",
                )
        except BaseException:
            run.changed(seconds_left=None)
            raise
        finally:
            run.changed(doing="", sketches={}, leads=None, choice=None)
        run.session = session
        self._begun(run)

    def _begun(self, run: Run) -> None:
        """Writes what a run goes on from, as soon as its start is found."""
        session = cast("Session", run.session)
        run.config = session.config
        run.folder = RunFolder.open(run.path)
        save_session(session, run.folder.state_path)
        _tell_settings(run.folder, **_chosen(session.config))
        forget_order(run)
        start = to_pil(session.picture()[0])
        self._node(run, "start", start)
        run.changed(frame=Frame(start))  # of several sketches the one that was taken

    def _reopen(self, run: Run, folder: RunFolder) -> None:
        run.session = self._reopened(folder)
        folder.truncate_losses(run.session.step_index)
        with run.lock:
            rows = folder.read_losses()
            names = ("step", "picture")
            run.totals = [sum(v for k, v in row.items() if k not in names) for row in rows]
            run.step = run.session.step_index

    def _reopened(self, folder: RunFolder) -> Session | Film:
        """What is in the state of a run."""
        return resume_session(folder.state_path)

    def _apply(self, run: Run, session: Session, folder: RunFolder) -> Image.Image | None:
        """What was drawn, and said in a pause. It is kept until the state has it.

        Returns the result with the drawings over it as they were drawn, None without any.
        """
        with run.lock:
            drawings, words = list(run.drawings), run.prompt
            run.laying = len(drawings)
        laid = None
        if drawings:
            laid = Driven(session).pictures()[0]
            strokes = self._layer(run, drawings)
            laid = over(laid, strokes).convert("RGB")
            above = lay_strokes(session, strokes, f"{len(run.nodes)}.png", nearness(drawings[-1]))
            self._node(run, "drawn", above)
            run.changed(frame=Frame(above))
        if words is not None and words != run.config.title:
            self._ask(run, session, words)
        if drawings or words is not None:
            self._save(run, session, folder)
            _tell_settings(folder, prompt=run.config.title)
            with run.lock:
                run.prompt = None
                run.drawings = [path for path in run.drawings if path not in drawings]
                run.laying = 0
            run.save_about()
            for path in drawings:
                path.unlink(missing_ok=True)
        return laid

    def _layer(self, run: Run, drawings: Sequence[Path]) -> Image.Image:
        """Drawings as one layer (RGBA), the last on top; kept for the picture to be made again."""
        layer = Image.open(io.BytesIO(drawings[0].read_bytes())).convert("RGBA")
        for path in drawings[1:]:
            layer = over(layer, Image.open(io.BytesIO(path.read_bytes())).convert("RGBA"))
        kept = run.path / "strokes" / f"{len(run.nodes)}.png"
        with output_errors(kept):
            kept.parent.mkdir(exist_ok=True)
        write_bytes(kept, encode(layer, compress_level=1))
        return layer

    def _ask(self, run: Run, session: Session, words: str) -> None:
        """Other words; if they cannot be painted after all the run pauses and says why."""
        try:
            session.set_prompt(words)
        except GouacheError as error:
            with self._lock:
                run.changed(error=str(error), wish=run.wish or "pause")
            return
        prompt = with_words(run.config.title, session.stage, words)
        with run.lock:
            run.config = run.config.updated(prompt=prompt)
        self._node(run, "prompt", to_pil(session.picture()[0]), words)

    def _save(self, run: Run, session: Session, folder: RunFolder) -> None:
        picture = to_pil(session.picture()[0])
        folder.save_step(session.step_index, [picture], None, [run.config.title])
        save_session(session, folder.state_path)

    def _node(self, run: Run, kind: str, picture: Image.Image, prompt: str = "") -> None:
        """A point in the run's history, with its picture."""
        assert run.session is not None
        number = len(run.nodes)
        path = run.node_path(number)
        path.parent.mkdir(exist_ok=True)
        save_picture(picture, path, None, run.config.title)
        node = {"node": number, "kind": kind, "step": run.session.step_index, "prompt": prompt}
        with run.lock:
            run.nodes.append(node)

    def release(self, run: Run) -> None:
        folder, run.folder = run.folder, None
        run.session = run.order = None
        if folder is not None:
            folder.close()


def _tell_settings(folder: RunFolder, **changes: Any) -> None:
    """Puts what a run is painted with now into its settings.json."""
    settings = folder.read_settings()
    with suppress(GouacheError, KeyError, TypeError):
        before = PaintConfig.from_dict(settings["config"])
        if (now := before.updated(**changes)) != before:
            settings["config"] = now.to_dict()
            write_bytes(folder.settings_path, (dump_json(settings, indent=2) + "\n").encode())


def _chosen(config: PaintConfig) -> dict[str, int]:
    """The settings that a sketch chosen by hand changes."""
    return {name: getattr(config.latents, name) for name in ("start_choice", "start_steps")}


def build_session(order: Order) -> Session | Film:
    """What paints an order that is no edit."""
    config = order.config
    if order.image is not None:
        config = config.updated(init_image=str(order.image), cross_image=str(order.other or ""))
    if order.film is not None:
        return Film.build(config, order.film)
    return Session.build(config)


def _start_edit(order: Order) -> Session:
    assert order.edit is not None
    assert order.image is not None
    edit = order.edit
    plan = make_plan(order.image, edit.config, replace=edit.replace, old=edit.old, mask=edit.mask)
    return start(plan, order.config, sized=order.sized)


__all__ = ["SAVE_EVERY", "Build", "Painter", "build_session"]
