"""Paints by a worker elsewhere: a process, or an actor on another machine.

What `hands.Here` does in parts is done there by `remote`, a part each call; the executor has one
worker, so that each call finds what the one before left.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future, wait
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, TypeVar

from gouache.apps.studio import remote
from gouache.apps.studio.painter import Build, build_session
from gouache.apps.studio.remote import LOSSES, News, Wish, put_files
from gouache.apps.studio.runs import ABOUT, ORDER, STATE, Run
from gouache.errors import GouacheError, OutputError
from gouache.output.pictures import dump_json
from gouache.output.run_folder import RunFolder
from gouache.prompts import one_line
from gouache.runs.executors import Executor

T = TypeVar("T")
LOOK_EVERY = 0.25  # seconds between two looks whether a worker is waited for still
LONGEST_WAIT = 30.0  # seconds before a worker that does not begin is begun again
_PATHS = ("init_image", "cross_image", "image_prompts")  # settings that differ by machine


class Hired:
    """A worker of the studio; `executor` has no other. `ending` as for `Painter`.

    `threads`: of the processor, as many as the worker finds for 0.
    """

    def __init__(
        self,
        executor: Executor,
        build: Build,
        lock: AbstractContextManager[Any],
        *,
        ending: Callable[[], str],
        threads: int = 0,
    ) -> None:
        self._executor = executor
        self._build = build
        self._lock = lock
        self._ending = ending
        self._threads = threads
        self.there = False

    def ready(self, given_up: Callable[[], bool]) -> bool:
        """Waits until the worker has loaded what most pictures are painted with."""
        pause, told = 1.0, ""
        while not self.there and not given_up():
            warmed = self._build is build_session
            future = self._executor.call(remote.prepare, self._threads, warmed)
            while not future.done() and not given_up():
                wait([future], LOOK_EVERY)
            if not future.done():
                return False
            if (error := future.exception()) is None:
                self.there = True
                break
            if told != (line := one_line(error, 200)):  # once
                told = line
                print(f"gouache: warning: a worker does not begin: {line}", file=sys.stderr)
            until = time.monotonic() + pause
            while time.monotonic() < until and not given_up():
                time.sleep(LOOK_EVERY)
            pause = min(2 * pause, LONGEST_WAIT)
        return self.there

    def paint(self, run: Run) -> Iterator[None]:
        """As `hands.Hand` says; what is wished is heard between two calls."""
        while True:
            yield from self._painted(run)
            with self._lock:
                if not (run.status == "paused" and run.wish == "stop"):
                    return
                run.changed(status="painting")  # it was wished while the picture paused

    def close(self) -> None:
        """Ends the worker with what it does."""
        with suppress(Exception):
            self._executor.__exit__(GouacheError, None, None)

    def _painted(self, run: Run) -> Iterator[None]:
        with RunFolder.open(run.path, run.shelf):
            drawings = list(run.drawings)
            files = _files_of(run, drawings)
            self._call(remote.begin, run.id, files, run.painted, self._build)
            done = False
            try:
                while not done:
                    wish = self._wish(run, drawings)
                    news = self._call(remote.advance, run.id, wish)
                    if news is None:
                        raise BrokenExecutor("it is another one than before")
                    done = news.ended
                    self._take(run, news)
                    if not done:
                        yield
            finally:
                run.order = None  # it is in the folder
                if not done and self.there:
                    with suppress(Exception):
                        self._executor.call(remote.forget, run.id)

    def _wish(self, run: Run, sent: list[Path]) -> Wish:
        """What is wished now; `sent` are the drawings that are there, with those that go now."""
        with self._lock:
            # What is drawn after the last step would be in no picture.
            ends = run.status == "painting" and run.num_steps - run.step <= 1
            if ends != run.sealed:
                run.changed(sealed=ends)
            new = [path for path in run.drawings if path not in sent]
        sent += new
        drawings = {f"drawings/{path.name}": path.read_bytes() for path in new}
        return Wish(run.wish, run.choice, self._ending(), drawings)

    def _take(self, run: Run, news: News) -> None:
        """Brings the run and its folder to where the worker has brought them."""
        told = dict(news.told)
        gone = [name for name in news.removed if not name.startswith("drawings/")]
        put_files(run.path, news.files)
        for name in gone:
            (run.path / name).unlink(missing_ok=True)
        laid = [path for path in run.drawings if f"drawings/{path.name}" in news.removed]
        if "config" in told:  # whose files are in another folder there
            told["config"] = told["config"].updated(
                **{name: getattr(run.config, name) for name in _PATHS}
            )
        if "notes" in told:
            told["notes"] = {**told["notes"], **run.notes}
        if "nodes" in told:  # these here have names
            told["nodes"] = [*run.nodes, *told["nodes"][len(run.nodes) :]]
        with self._lock:
            status = told.get("status", run.status)
            if status != "starting" and run.choice is not None:
                told["choice"] = None
            if news.ended and not (status == "paused" and run.wish == "stop"):
                told["wish"] = ""
            first, totals = news.totals
            with run.lock:
                run.totals[first:] = totals
                run.drawings = [path for path in run.drawings if path not in laid]
            if told or totals:
                run.changed(**told)
        for path in laid:
            path.unlink(missing_ok=True)
        if news.about:
            run.save_about()
        if news.failure:
            raise (OutputError if news.lasting else GouacheError)(news.failure)

    def _call(self, function: Callable[..., T], *arguments: Any) -> T:
        if not self.there:  # before `ready`
            raise BrokenExecutor("it is begun again")
        future: Future[T] = self._executor.call(function, *arguments)
        try:
            return future.result()
        except BrokenExecutor:
            self.there = False
            raise


def _files_of(run: Run, drawings: list[Path]) -> dict[str, bytes]:
    """What a run goes on from, or begins with."""
    kept = ["settings.json", STATE, ORDER, LOSSES]
    paths = [run.path / name for name in kept]
    paths += [*sorted((run.path / "inputs").glob("*")), *drawings]
    if run.film is not None and run.painted:
        paths.append(run.frame_path(run.painted - 1))
    files = {path.relative_to(run.path).as_posix(): path.read_bytes() for path in _there(paths)}
    return {**files, ABOUT: dump_json(run.about()).encode()}


def _there(paths: list[Path]) -> list[Path]:
    return [path for path in paths if path.is_file()]


__all__ = ["Hired"]
