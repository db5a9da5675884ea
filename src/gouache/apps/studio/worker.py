"""Paints what is queued: a run or group at a time, in a thread, or in one for each worker; listens
between two steps."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gouache.apps.studio.asking import check_asked, check_words
from gouache.apps.studio.drawings import is_joined, joined_drawing, new_drawing
from gouache.apps.studio.filming import FilmPainter
from gouache.apps.studio.films import make_film
from gouache.apps.studio.hands import Hand, Here
from gouache.apps.studio.hired import Hired
from gouache.apps.studio.keeping import keep_order
from gouache.apps.studio.orders import Limits, Order
from gouache.apps.studio.painter import SAVE_EVERY, Build, Painter, build_session
from gouache.apps.studio.quotas import Quotas
from gouache.apps.studio.runs import ENDED, Run, hide_tokens, load_runs
from gouache.apps.studio.tally import Tally
from gouache.apps.studio.trash import Trash
from gouache.apps.studio.turns import DrainingError, QueueFullError, Turns
from gouache.atomic import output_errors, write_bytes
from gouache.errors import ConfigError, GouacheError, OutputError
from gouache.output.run_folder import RunFolder
from gouache.prompts import one_line
from gouache.runs.executors import Executor
from gouache.runs.outputs import Outputs
from gouache.runs.places import run_settings

PARKED = 3  # paused runs that stay in memory; older ones are read from their folder again
DRAWINGS = 16  # that wait to be laid into one picture
LOSSES = 3  # of workers, by the same run: then it is the run


@dataclass(eq=False)
class Post:
    """A hand with its thread."""

    hand: Hand
    thread: threading.Thread = field(init=False)
    painting: bool = False
    waiting: bool = False  # for a run

    @property
    def state(self) -> str:
        """starting, idle or painting, as others see it."""
        return "painting" if self.painting else "idle" if self.hand.there else "starting"


class Studio:
    """All runs and the threads that paint them. Methods may be called from any thread.

    While a run is paused the others are painted. What a run may do next is decided under one lock,
    so that it is queued once however often it is asked for. Without `workers` one thread paints
    here; else each executor is one worker (`hired`), with `threads` of the processor.
    """

    def __init__(
        self,
        root: Path,
        limits: Limits | None = None,
        build: Build | None = None,
        workers: Sequence[Executor] = (),
        threads: int = 0,
    ):
        self.root = root
        self.limits = limits or Limits()
        (root / "runs").mkdir(parents=True, exist_ok=True)
        hide_tokens(root)
        self.runs: dict[str, Run] = {run.id: run for run in load_runs(root)}
        self.trash = Trash(root)
        self.tally = Tally()
        self.quotas = Quotas(root, self.limits, self._folders)
        self._turns = Turns(self.limits.queue, self.limits.queue_each)
        for run in self.runs.values():
            if run.status == "queued":
                self._wait_for_turn(run)
        self._news = threading.Condition()
        self._closing = False
        self.draining = False
        self._parked: deque[str] = deque()  # paused, in memory; the painter's own
        self._at_work: dict[Run, Post] = {}  # what is in hand
        self._losses: Counter[str] = Counter()  # of workers, by run
        self._passed: set[Run] = set()  # pause for another one, and go on by themselves
        build = build or build_session
        how: dict[str, Any] = {"ending": self._ending, "paused": self._park}
        self._painter = Painter(build, self._news, **how)
        self._films = FilmPainter(build, self._news, **how)
        hands: list[Hand] = [
            Hired(worker, build, self._news, ending=self._ending, threads=threads)
            for worker in workers
        ]
        self._posts = [Post(hand) for hand in hands or [Here(self._painter, self._films)]]
        for post in self._posts:
            self._man(post)

    def submit(self, order: Order, owner: str) -> Run:
        """Queues the run of an order for one picture."""
        return self.submit_all(replace(order, count=1), owner)[0]

    def submit_all(self, order: Order, owner: str) -> list[Run]:
        """Queues the runs of an order, all or none; of several a group.

        `QueueFullError` when too many wait, of all or of this visitor.
        """
        if order.edit is None:
            check_asked(order.config)
        self._permit(owner)
        with self._news:
            self._look_after()
            self._admit(owner, order.count)
        self.tally.count("orders", order.count)
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
                self._wait_for_turn(run)
            self._news.notify_all()
        return runs

    def _permit(self, owner: str) -> None:
        """Whether anything may be asked for; not under the lock, as it may look at the disk."""
        try:
            if self.draining:
                raise DrainingError("the studio is about to restart; ask again in a minute")
            self.quotas.admit(owner)
        except ConfigError:
            self.tally.count("refusals")
            raise

    def _admit(self, owner: str, number: int = 1) -> None:
        """Keeps places in the queue, or refuses in one line. Under the lock."""
        try:
            self._turns.admit(owner, number)
        except ConfigError:
            self.tally.count("refusals")
            raise

    def _wait_for_turn(self, run: Run, first: bool = False) -> None:
        self._turns.add(run, first)
        self.tally.queued(run)

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
            return self._turns.position(run, self._busy())

    def waiting(self) -> tuple[int, int]:
        """Runs in the queue, and visitors that they are of."""
        with self._news:
            return len(self._turns), self._turns.users

    def hands(self) -> list[str]:
        """What each of those that paint does: starting, idle or painting."""
        with self._news:
            self._look_after()
            return [post.state for post in self._posts]

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
            self.tally.removed(run)
            if run.begun:  # the painter writes the picture, between two steps of what it paints
                run.changed(status="painting", wish="stop")
                self._turns.hurry(run)
                self._news.notify_all()
                return
            run.changed(status="cancelled")
        run.save_about()

    def put_first(self, run: Run) -> None:
        """Brings a waiting run before all others of its visitor. What is painted of theirs lets it
        pass, and goes on by itself after all that waits."""
        with self._news:
            self._look_after()
            self._require(run, "queued")
            if run not in self._turns:
                return
            self._turns.remove(run)
            self._turns.add(run, first=True)
            own = {one: post for one, post in self._at_work.items() if one.owner == run.owner}
            post = next(iter(own.values()), None)
            for one in (one for one, at in own.items() if at is post):
                if one.status in ("painting", "starting") and not one.wish:
                    one.changed(wish="pause")
                    self._passed.add(one)

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

    def draw(self, run: Run, png: bytes, near: float = 0.0) -> None:
        """Lays strokes (a picture with alpha) over a picture, in a pause or between two steps.

        `near` says how near to them their colours stay, 0 (free) to 1, in hundredths.

        They are in the run's folder until they are in the picture.
        """
        path = new_drawing(run.path, near)
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
            if not waits or is_joined(waits[-1]):
                raise ConfigError("the strokes are in the picture already; paint over them")
            path = run.drawings.pop()
        path.unlink(missing_ok=True)

    def join_drawings(self, run: Run, together: Callable[[Sequence[bytes]], bytes]) -> None:
        """Makes the drawings that wait into one, while the painter does not look at them."""
        layers = list(run.drawings)
        if len(layers) < 2 or run.status == "painting":  # which lays them as one in a moment
            return
        joined = joined_drawing(layers[-1])  # after all of them by name
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
        self._permit(run.owner)
        with self._news:
            self._look_after()
            self._require(run, *may)
            self._admit(run.owner)
            self._turns.give_up(run.owner)  # it takes its place at once
            run.changed(status="queued", wish="", error="", **changes)
            self._losses.pop(run.id, None)
            self._wait_for_turn(run, first=True)
            self._news.notify_all()
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

    def drain(self, timeout: float = 30.0) -> None:
        """Takes no orders any more, and saves what is being painted between two steps: it waits for
        the studio that comes next, which goes on with it by itself."""
        with self._news:
            self.draining = True
        self.close(timeout)

    def close(self, timeout: float = 30.0) -> None:
        """Saves what is being painted and ends the threads."""
        with self._news:
            self._closing = True
            self._news.notify_all()
        until = time.monotonic() + timeout
        for post in self._posts:
            post.thread.join(max(0.0, until - time.monotonic()))
        for post in self._posts:
            post.hand.close()
        self.quotas.save()

    def _ending(self) -> str:
        """The status in which runs are left, "" while nobody ends."""
        return ("queued" if self.draining else "interrupted") if self._closing else ""

    def _folders(self, owner: str) -> list[Path]:
        """All that a visitor has on the disk."""
        runs = [*self.runs.values(), *self.trash.runs.values()]
        own = [run.path for run in runs if run.owner == owner]
        return [*own, self.root / "images" / owner]

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

    def _man(self, post: Post) -> None:
        """Gives a hand a thread."""
        post.painting = post.waiting = False
        post.thread = threading.Thread(target=self._work, args=(post,), name="painter", daemon=True)
        post.thread.start()

    def _look_after(self) -> None:
        """Replaces painting threads that are no more. Under the lock."""
        for post in self._posts:
            if self._closing or post.thread.is_alive():
                continue
            for run in [run for run, at in self._at_work.items() if at is post]:
                del self._at_work[run]
                self._failed(run, "this run was lost with the thread that painted it", lasting=True)
            self._parked.clear()
            self._man(post)

    def _work(self, post: Post) -> None:
        while post.hand.ready(lambda: self._closing):
            with self._news:
                post.waiting = True
                while not (runs := self._next(post, hurried=False)) and not self._closing:
                    self._news.wait()
                post.waiting, post.painting = False, bool(runs)
            if not runs:
                return
            self._handle(post, runs)
            post.painting = False

    def _next(self, post: Post, *, hurried: bool) -> list[Run]:
        """Takes a run whose turn it is into hand, with others of its group that wait; only one that
        takes moments, if `hurried`."""
        with self._news:
            if hurried or self._closing:
                run = self._turns.next_hurried()
            else:
                run = self._next_allowed()
            if run is None:
                return []
            begun = run.wish == "stop"  # a picture that is only written
            runs = [run]
            if not hurried and not begun:
                runs += self._turns.take_group(run, self._idle(post))
            self._take(post, runs)
            return runs

    def _next_allowed(self) -> Run | None:
        """The next one whose visitor may paint still; others stay as they are. Under the lock."""
        while (run := self._turns.next(self._busy())) is not None:
            line = "" if run.wish == "stop" else self.quotas.reached(run.owner)
            if not line:
                return run
            self.tally.removed(run)
            run.changed(status="interrupted", error=line)
            with suppress(OutputError):
                run.save_about()
        return None

    def _busy(self) -> Counter[str]:
        """How many workers each visitor has; the only one is nobody's when it is free. Under the
        lock."""
        if len(self._posts) == 1:
            return Counter()
        return Counter(owner for owner, _ in {(run.owner, at) for run, at in self._at_work.items()})

    def _idle(self, post: Post) -> int:
        """How many others have nothing to do. Under the lock."""
        return sum(one.waiting for one in self._posts if one is not post)

    def _take(self, post: Post, runs: Sequence[Run]) -> None:
        """Takes runs into hand. Under the lock."""
        self._at_work |= dict.fromkeys(runs, post)
        for run in runs:
            self.tally.taken(run)
            run.status = "starting" if run.session is None else "painting"

    def _finish_stopped(self, post: Post) -> None:
        """Writes the pictures of paused runs that were stopped; nobody waits long for that."""
        while runs := self._next(post, hurried=True):
            for run in runs:
                steps = post.hand.paint(run)
                while self._advanced(run, steps):
                    pass

    def _handle(self, post: Post, runs: Sequence[Run]) -> None:
        """Paints each of a group in turn, a step at a time, until it ends or something is wished.

        Whoever of the group goes on meanwhile joins.
        """
        painting = {run: post.hand.paint(run) for run in runs}
        all_painted = list(runs)
        while painting:
            for run, steps in list(painting.items()):
                if not self._advanced(run, steps):
                    del painting[run]
                self._finish_stopped(post)
            if painting and not self._closing:
                with self._news:
                    # Whoever is idle takes them.
                    joining = [] if self._idle(post) else self._turns.take_group(runs[0])
                    self._take(post, joining)
                painting |= {run: post.hand.paint(run) for run in joining}
                all_painted += joining
        self._line_up_passed(all_painted)

    def _line_up_passed(self, runs: Sequence[Run]) -> None:
        """Those that let another one pass wait again, unless somebody decided otherwise."""
        with self._news:
            passed = [run for run in runs if run in self._passed]
            self._passed.difference_update(passed)
            waiting = [run for run in passed if run.status == "paused" and not self._closing]
            for run in waiting:
                run.changed(status="queued")
                self._wait_for_turn(run)
        for run in waiting:
            with suppress(OutputError):
                run.save_about()

    def _advanced(self, run: Run, steps: Iterator[None]) -> bool:
        """Does a step; false after the last. No mistake ends the thread that paints for all."""
        begun, step = time.monotonic(), run.step
        try:
            if self.runs.get(run.id) is run:
                next(steps)
                self._count(run, run.step - step, time.monotonic() - begun)
                return True
        except StopIteration:
            pass
        except BrokenExecutor as error:
            self._lost(run, one_line(error, 120))
            return False
        except GouacheError as error:
            self._failed(run, str(error), lasting=isinstance(error, OutputError))
        except Exception as error:
            self._failed(run, f"this run failed unexpectedly ({one_line(error, 120)})")
        with suppress(Exception):
            self._count(run, run.step - step, time.monotonic() - begun)
            self.tally.ended(run.status)
        with self._news:
            self._at_work.pop(run, None)
        return False

    def _count(self, run: Run, steps: int, seconds: float) -> None:
        """Notes what was painted, and lets a run pause whose visitor has used up what there is."""
        self.tally.painted(steps, seconds)
        self.quotas.spent(run.owner, seconds)
        if not run.wish and run.status in ("starting", "painting"):
            line = self.quotas.reached(run.owner)
            if line and not run.wish:
                run.changed(wish="pause", error=f"{line}; this picture is paused")

    def _lost(self, run: Run, reason: str) -> None:
        """Its worker is no more: another one goes on from what was saved last."""
        self.tally.count("losses")
        with self._news:
            self._at_work.pop(run, None)
            self._losses[run.id] += 1
            if self._losses[run.id] < LOSSES and not self._closing:
                run.changed(status="queued", doing="", sketches={}, leads=None, seconds_left=None)
                self._wait_for_turn(run, first=True)
                self._news.notify_all()
            elif self._closing:
                run.changed(status=self._ending(), wish="")
        if run.status in ("queued", "interrupted"):
            with suppress(OutputError):
                run.save_about()
            return
        line = f"what painted this ended {self._losses[run.id]} times ({reason})"
        self._failed(run, f"{line}; continue to try again", lasting=True)

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


__all__ = ["QueueFullError", "Studio", "make_film"]
