"""Paints what is queued, one run or group at a time, in one thread; listens between two steps."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any

from gouache.apps.studio.asking import check_asked, check_words
from gouache.apps.studio.filming import FilmPainter
from gouache.apps.studio.films import make_film
from gouache.apps.studio.keeping import keep_order
from gouache.apps.studio.orders import Limits, Order
from gouache.apps.studio.painter import SAVE_EVERY, Painter
from gouache.apps.studio.runs import ENDED, Run, hide_tokens, load_runs
from gouache.apps.studio.trash import Trash
from gouache.apps.studio.turns import QueueFullError, Turns
from gouache.atomic import output_errors, write_bytes
from gouache.engine import Session
from gouache.errors import ConfigError, GouacheError, OutputError
from gouache.films.film import Film
from gouache.output.run_folder import RunFolder
from gouache.prompts import one_line
from gouache.runs.outputs import Outputs
from gouache.runs.places import run_settings

PARKED = 3  # paused runs that stay in memory; older ones are read from their folder again
DRAWINGS = 16  # that wait to be laid into one picture
_JOINED = ".joined.png"  # how the name of several drawings in one ends
Build = Callable[[Order], Session | Film]
_noting: ContextVar[Run | None] = ContextVar("noting", default=None)


class Studio:
    """All runs and the thread that paints them. Methods may be called from any thread.

    While a run is paused the others are painted. What a run may do next is decided under one lock,
    so that it is queued once however often it is asked for.
    """

    def __init__(self, root: Path, limits: Limits | None = None, build: Build | None = None):
        self.root = root
        self.limits = limits or Limits()
        (root / "runs").mkdir(parents=True, exist_ok=True)
        hide_tokens(root)
        self.runs: dict[str, Run] = {run.id: run for run in load_runs(root)}
        self.trash = Trash(root)
        self._turns = Turns(self.limits.queue, self.limits.queue_each)
        for run in self.runs.values():
            if run.status == "queued":
                self._turns.add(run)
        self._news = threading.Condition()
        self._closing = False
        self._parked: deque[str] = deque()  # paused, in memory; the painter's own
        self._at_work: list[Run] = []  # what the painter has in hand
        self._painter, self._films = (
            kind(
                build or _build,
                self._news,
                closing=lambda: self._closing,
                paused=self._park,
            )
            for kind in (Painter, FilmPainter)
        )
        self._thread = self._new_thread()

    def submit(self, order: Order, owner: str) -> Run:
        """Queues the run of an order for one picture."""
        return self.submit_all(replace(order, count=1), owner)[0]

    def submit_all(self, order: Order, owner: str) -> list[Run]:
        """Queues the runs of an order, all or none; of several a group.

        `QueueFullError` when too many wait, of all or of this visitor.
        """
        if order.edit is None:
            check_asked(order.config)
        with self._news:
            self._look_after()
            self._turns.admit(owner, order.count)
        seeds = range(order.config.seed, order.config.seed + order.count)
        group = secrets.token_hex(16) if order.count > 1 else ""
        orders = [replace(order, config=order.config.updated(seed=seed)) for seed in seeds]
        runs = [Run.new(self.root, owner, one, group) for one in orders]
        try:
            for run, one in zip(runs, orders, strict=True):
                self._write(run, one)
        except BaseException:
            with self._news:
                self._turns.give_up(owner, order.count)
            for run in runs:
                shutil.rmtree(run.path, ignore_errors=True)
            raise
        with self._news:
            self._turns.give_up(owner, order.count)
            for run in runs:
                self.runs[run.id] = run
                self._turns.add(run)
            self._news.notify()
        return runs

    def _write(self, run: Run, order: Order) -> None:
        """What a server that ends now has to find."""
        run.order = keep_order(run, order)
        run.config = run.order.config
        settings = run_settings(run.config, self._outputs(run))
        if run.film is not None:
            settings["film"] = run.film.to_dict()
        with RunFolder.create(run.path, settings, run.shelf):
            run.save_about()

    def position(self, run: Run) -> int:
        """0 for a run that does not wait, else its place in the queue from 1."""
        with self._news:
            self._look_after()
            return self._turns.position(run)

    def settled(self, run: Run) -> bool:
        """Whether it has ended and that is on the disk, too."""
        with self._news:
            return run.ended and run not in self._at_work

    def pause(self, run: Run) -> None:
        """Stops after the current step; `go_on` goes on."""
        with self._news:
            self._require(run, "painting", "starting")
            if not run.wish:  # who stops it has decided
                run.changed(wish="pause")

    def stop(self, run: Run) -> None:
        """Ends a run with the picture as it is, or takes it out of the queue."""
        with self._news:
            self._look_after()
            if run.status in ("painting", "starting"):
                run.changed(wish="stop")
                return
            self._require(run, "queued", "paused")
            self._turns.remove(run)
            if run.begun:  # the painter writes the picture, between two steps of what it paints
                run.changed(status="painting", wish="stop")
                self._turns.hurry(run)
                self._news.notify()
                return
            run.changed(status="cancelled")
        run.save_about()

    def choose(self, run: Run, number: int) -> None:
        """Goes on from a sketch at once, from the best so far for 0."""
        with self._news:
            self._require(run, "starting")
            if not run.sketches:
                raise ConfigError("there are no sketches to choose from yet; wait for the first")
            if number and number not in run.sketches:
                known = ", ".join(map(str, sorted(run.sketches)))
                raise ConfigError(
                    f"there is no sketch {number}; there are {known}, and 0: the best"
                )
            run.changed(choice=number)

    def draw(self, run: Run, png: bytes) -> None:
        """Lays strokes (a picture with alpha) over a picture, in a pause or between two steps.

        They are in the run's folder until they are in the picture.
        """
        path = run.path / "drawings" / f"{time.time_ns():020d}-{secrets.token_hex(4)}.png"
        self._require_picture(run)
        with output_errors(path):
            path.parent.mkdir(exist_ok=True)
        write_bytes(path, png)
        try:
            with self._news:
                self._require_picture(run)
                run.drawings.append(path)
        except ConfigError:
            path.unlink(missing_ok=True)
            raise

    def undraw(self, run: Run) -> None:
        """Takes the last strokes back that were drawn and are not laid yet."""
        with self._news, run.lock:
            waits = run.drawings[run.laying :]
            if not waits or waits[-1].name.endswith(_JOINED):
                raise ConfigError("the strokes are in the picture already; paint over them")
            path = run.drawings.pop()
        path.unlink(missing_ok=True)

    def join_drawings(self, run: Run, together: Callable[[Sequence[bytes]], bytes]) -> None:
        """Makes the drawings that wait into one, while the painter does not look at them."""
        layers = list(run.drawings)
        if len(layers) < 2 or run.status == "painting":  # which lays them as one in a moment
            return
        joined = layers[-1].with_suffix(_JOINED)  # after all of them by name
        write_bytes(joined, together([layer.read_bytes() for layer in layers]))
        with self._news:
            if run.status in ("paused", "interrupted") and run.drawings[: len(layers)] == layers:
                run.drawings[: len(layers)] = [joined]
            else:
                layers = [joined]
        for path in layers:
            path.unlink(missing_ok=True)

    def go_on(self, run: Run, prompt: str | None = None) -> None:
        """Continues a paused or interrupted run at its visitor's next turn; maybe in other words.

        Words that cannot be painted are refused, and the run stays as it is. A stopped film may
        go on, too.
        """
        may = ("paused", "interrupted", *(("stopped",) if run.film else ()))
        self._require(run, *may)
        changes: dict[str, Any] = {}
        if prompt is not None and prompt != (
            run.config.title if run.prompt is None else run.prompt
        ):
            check_words(run, prompt)
            changes["prompt"] = prompt
        with self._news:
            self._look_after()
            self._require(run, *may)
            self._turns.admit(run.owner)
            self._turns.give_up(run.owner)  # it takes its place at once
            run.changed(status="queued", wish="", error="", **changes)
            self._turns.add(run, first=True)
            self._news.notify()
        with suppress(OutputError):  # it is queued all the same, until the server ends
            run.save_about()

    def delete(self, run: Run, *, forever: bool = False) -> None:
        """Puts an ended run into the trash, or removes it and all its files."""
        with self._news:
            self._require(run, *ENDED)
            self._turns.remove(run)
            del self.runs[run.id]
        try:
            (self.trash.remove if forever else self.trash.put)(run)
        except OutputError:
            self._add(run)
            raise

    def restore(self, run: Run) -> None:
        """Takes a run out of the trash; `ConfigError` where it is not there any more."""
        if not self.trash.take(run):
            raise ConfigError("the run is not in the trash any more")
        self._add(run)

    def _add(self, run: Run) -> None:
        with self._news:
            by_age = sorted([*self.runs.values(), run], key=lambda one: one.created)
            self.runs = {one.id: one for one in by_age}

    def close(self, timeout: float = 30.0) -> None:
        """Saves what is being painted and ends the thread."""
        with self._news:
            self._closing = True
            self._news.notify_all()
        self._thread.join(timeout)

    def _require(self, run: Run, *statuses: str) -> None:
        if self.runs.get(run.id) is not run:
            raise ConfigError("the run is deleted")
        if run.status not in statuses:
            raise ConfigError(
                f"the run is {run.status}; this is possible while it is {' or '.join(statuses)}"
            )

    def _require_picture(self, run: Run) -> None:
        if run.film is not None:
            raise ConfigError("nobody draws on a film; draw on a point of its history")
        waits = ("queued",) if run.begun else ()  # continued, and not yet painted on
        self._require(run, "painting", "paused", "interrupted", *waits)
        if run.status == "painting" and (run.sealed or run.wish == "stop"):
            raise ConfigError("the run is about to end; draw on the picture when it has")
        if len(run.drawings) >= DRAWINGS:
            raise ConfigError(f"{DRAWINGS} drawings wait already; continue the run first")

    def _outputs(self, run: Run) -> Outputs:
        return Outputs(run.picture_path, run.path, SAVE_EVERY)

    def _new_thread(self) -> threading.Thread:
        thread = threading.Thread(target=self._work, name="painter", daemon=True)
        thread.start()
        return thread

    def _look_after(self) -> None:
        """Replaces a painting thread that is no more. Under the lock."""
        if self._closing or self._thread.is_alive():
            return
        lost, self._at_work = self._at_work, []
        for run in lost:
            self._failed(run, "this run was lost with the thread that painted it", lasting=True)
        self._parked.clear()
        self._thread = self._new_thread()

    def _work(self) -> None:
        while True:
            with self._news:
                while not (runs := self._next(hurried=False)) and not self._closing:
                    self._news.wait()
            if not runs:
                return
            self._handle(runs)

    def _next(self, *, hurried: bool) -> list[Run]:
        """Takes a run whose turn it is into hand, with others of its group that wait; only one that
        takes moments, if `hurried`."""
        with self._news:
            if hurried or self._closing:
                run = self._turns.next_hurried()
            else:
                run = self._turns.next()
            if run is None:
                return []
            begun = run.wish == "stop"  # a picture that is only written
            runs = [run] if hurried or begun else [run, *self._turns.take_group(run)]
            self._take(runs)
            return runs

    def _take(self, runs: Sequence[Run]) -> None:
        """Takes runs into hand. Under the lock."""
        self._at_work.extend(runs)
        for run in runs:
            run.status = "starting" if run.session is None else "painting"

    def _finish_stopped(self) -> None:
        """Writes the pictures of paused runs that were stopped; nobody waits long for that."""
        while runs := self._next(hurried=True):
            for run in runs:
                steps = self._paint(run)
                while self._advanced(run, steps):
                    pass

    def _handle(self, runs: Sequence[Run]) -> None:
        """Paints each of a group in turn, a step at a time, until it ends or something is wished.

        Whoever of the group goes on meanwhile joins.
        """
        painting = {run: self._paint(run) for run in runs}
        while painting:
            for run, steps in list(painting.items()):
                if not self._advanced(run, steps):
                    del painting[run]
                self._finish_stopped()
            if painting and not self._closing:
                with self._news:
                    joining = self._turns.take_group(runs[0])
                    self._take(joining)
                painting |= {run: self._paint(run) for run in joining}

    def _paint(self, run: Run) -> Iterator[None]:
        return (self._painter if run.film is None else self._films).paint(run)

    def _advanced(self, run: Run, steps: Iterator[None]) -> bool:
        """Does a step; false after the last. No mistake ends the thread that paints for all."""
        try:
            if self.runs.get(run.id) is run:
                with _listening(run):
                    next(steps)
                return True
        except StopIteration:
            pass
        except GouacheError as error:
            self._failed(run, str(error), lasting=isinstance(error, OutputError))
        except Exception as error:
            self._failed(run, f"this run failed unexpectedly ({one_line(error, 120)})")
        with self._news, suppress(ValueError):
            self._at_work.remove(run)
        return False

    def _failed(self, run: Run, message: str, lasting: bool = False) -> None:
        """`lasting`: it may go on from its state, once what was wrong is right again."""
        status = "failed"
        with suppress(Exception):  # whatever is broken, the others' runs are painted
            status = "interrupted" if lasting and run.can_go_on else "failed"
            run.changed(status=status, error=message, wish="", seconds_left=None)
        run.status = status
        with suppress(Exception):
            self._painter.release(run)
        with suppress(Exception):  # the disk is full: the status is known until the server ends
            run.save_about()

    def _park(self, run: Run) -> None:
        """Keeps a paused run in memory, and lets go of the one that is paused longest."""
        with suppress(ValueError):
            self._parked.remove(run.id)
        self._parked.append(run.id)
        while len(self._parked) > PARKED:
            old = self.runs.get(self._parked.popleft())
            if old is not None and old.status == "paused":
                self._painter.release(old)


@contextlib.contextmanager
def _listening(run: Run) -> Iterator[None]:
    """Notes the warnings of this work: what others are told in their threads is not this run's."""

    def note(*told: Any, **more: Any) -> None:
        if _noting.get() is run:
            run.noted(*told, **more)

    _noting.set(run)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = note
        yield


def _build(order: Order) -> Session | Film:
    config = order.config
    if order.image is not None:
        config = config.updated(init_image=str(order.image), cross_image=str(order.other or ""))
    if order.film is not None:
        return Film.build(config, order.film)
    return Session.build(config)


__all__ = ["QueueFullError", "Studio", "make_film"]
