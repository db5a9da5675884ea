"""What a worker of the studio does: paints runs that were sent to it, for a moment each call.

No disk is shared: the files that a run goes on from come with it, and those that painting changes
go back with the news, so that whatever was told is in the studio's folder. What was painted since
is lost with the worker, and painted again by another from there.
"""

from __future__ import annotations

import copy
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import torch

from gouache.apps.studio.filming import FilmPainter
from gouache.apps.studio.noting import listening
from gouache.apps.studio.painter import Build, Painter
from gouache.apps.studio.runs import ABOUT, STATE, Run, load_run
from gouache.apps.studio.warming import warm
from gouache.atomic import TEMP_PREFIX, output_errors, write_bytes
from gouache.errors import GouacheError, OutputError
from gouache.prompts import one_line

SLICE = 0.1  # seconds that a call paints, or one step
LOSSES = "losses.csv"
_OWN = (".lock", ABOUT)  # files that are not the studio's business
_END = object()
_Stamp: TypeAlias = tuple[int, int, int]
# What the studio knows of a run, by name. It alone knows wishes, names and favourites.
TOLD = (
    *("status", "step", "num_steps", "error", "seconds_left", "doing", "sketches", "leads"),
    *("painted", "prompt", "nodes", "notes", "config", "frame"),
)


@dataclass(frozen=True)
class Wish:
    """What is wished of a run since the last call. `ending` as for `Painter`."""

    wish: str = ""
    choice: int | None = None
    ending: str = ""
    drawings: Mapping[str, bytes] = field(default_factory=dict, repr=False)  # new files


@dataclass(frozen=True)
class News:
    """What changed in a call. Files are named below the run's folder."""

    told: Mapping[str, Any] = field(repr=False)
    totals: tuple[int, list[float]] = field(repr=False)  # from this one on
    files: Mapping[str, bytes] = field(repr=False)
    removed: tuple[str, ...]
    about: bool  # `studio.json` is another
    ended: bool  # nothing is left to do
    failure: str = ""  # what ended it
    lasting: bool = False  # it may go on, once what was wrong is right again


def prepare(threads: int, warmed: bool) -> None:
    """Loads what most pictures are painted with; from now on so many threads are used, unless 0."""
    if threads:
        torch.set_num_threads(threads)
    if warmed:
        warm()


def begin(name: str, files: Mapping[str, bytes], painted: int, build: Build) -> None:
    """Takes a run to paint; `painted` frames of a film are there."""
    forget(name)
    _painting[name] = _Painting(name, files, painted, build)


def advance(name: str, wish: Wish) -> News | None:
    """Paints for a moment; None where this worker has no such run: it is another than before."""
    painting = _painting.get(name)
    if painting is None:
        return None
    news = painting.advance(wish)
    if news.ended:
        forget(name)
    return news


def forget(name: str) -> None:
    """Ends what `begin` began."""
    if (painting := _painting.pop(name, None)) is not None:
        painting.close()


class _Away(Run):
    """A run whose `studio.json` is written elsewhere."""

    untold = False  # whether it has to be written

    def save_about(self) -> None:
        self.untold = True


_painting: dict[str, _Painting] = {}  # by run; of this process


class _Painting:
    """A run in the hands of this worker."""

    def __init__(self, name: str, files: Mapping[str, bytes], painted: int, build: Build) -> None:
        self._place = tempfile.TemporaryDirectory(prefix="gouache-", ignore_cleanup_errors=True)
        folder = Path(self._place.name) / "runs" / name
        put_files(folder, files)
        self._run = load_run(folder, _Away)
        self._run.status, self._run.painted = "starting", painted
        self._ending = ""
        kind = Painter if self._run.film is None else FilmPainter
        self._painter = kind(
            build,
            threading.RLock(),
            ending=lambda: self._ending,
            paused=lambda run: None,
            in_parts=True,
        )
        self._steps = self._painter.paint(self._run)
        self._known: dict[str, _Stamp | None] = {n: _stamp(folder / n) for n in _names(folder)}
        self._told = self._now()
        self._totals = 0

    def close(self) -> None:
        self._painter.release(self._run)
        self._place.cleanup()

    def advance(self, wish: Wish) -> News:
        run = self._run
        run.wish = wish.wish or run.wish
        self._ending = wish.ending
        if run.status == "starting" and wish.choice is not None:
            run.choice = wish.choice
        for name, data in wish.drawings.items():
            put_files(run.path, {name: data})
            self._known[name] = _stamp(run.path / name)
            with run.lock:
                run.drawings.append(run.path / name)
        run.untold, ended, failure, lasting = False, True, "", False
        try:
            ended = self._slice()
        except GouacheError as error:
            failure, lasting = str(error), isinstance(error, OutputError)
        except Exception as error:
            failure = f"this run failed unexpectedly ({one_line(error, 120)})"
        files, removed = self._changes()
        before, self._told = self._told, self._now()
        told = {name: value for name, value in self._told.items() if value != before[name]}
        totals = self._new_totals()
        return News(told, totals, files, removed, run.untold, ended, failure, lasting)

    def _slice(self) -> bool:
        """Whether nothing is left. The last step has a call of its own, so that whoever draws is
        told before it that the picture ends."""
        run, until = self._run, time.monotonic() + SLICE
        while True:
            with listening(run):
                if next(self._steps, _END) is _END:
                    return True
            last = run.session is not None and run.num_steps - run.step <= 1
            if last or time.monotonic() >= until:
                return False

    def _now(self) -> dict[str, Any]:
        with self._run.lock:
            return {name: copy.copy(getattr(self._run, name)) for name in TOLD}

    def _new_totals(self) -> tuple[int, list[float]]:
        with self._run.lock:
            first, self._totals = self._totals, len(self._run.totals)
            return first, self._run.totals[first:]

    def _changes(self) -> tuple[dict[str, bytes], tuple[str, ...]]:
        """Files that are new or others than before, and the names of those that are gone.

        The state comes first: a film writes a frame before the state that comes after it, while
        this looks. Losses alone are no reason to send them again after each step.
        """
        folder = self._run.path
        files: dict[str, bytes] = {}
        now: dict[str, _Stamp | None] = {}
        for name in chain([STATE], _names(folder)):
            if name not in now and (stamp := _stamp(folder / name)):
                now[name] = stamp
                if self._known.get(name) != stamp:
                    files[name] = (folder / name).read_bytes()
        removed = tuple(self._known.keys() - now.keys())
        if files.keys() == {LOSSES} and not removed:
            return {}, ()
        self._known = now
        return files, removed


def put_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes files by their names below `folder`, each completely or not at all."""
    for name, data in files.items():
        path = folder / name
        with output_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, data)


def _names(folder: Path) -> Iterator[str]:
    """Of files that are worth telling of."""
    for path in sorted(folder.rglob("*")):
        if path.name not in _OWN and not path.name.startswith(TEMP_PREFIX) and path.is_file():
            yield path.relative_to(folder).as_posix()


def _stamp(path: Path) -> _Stamp | None:
    """What another file of that name would have otherwise."""
    try:
        told = path.stat()
    except OSError:
        return None
    return told.st_mtime_ns, told.st_size, told.st_ino


__all__ = ["News", "Wish", "advance", "begin", "forget", "prepare", "put_files"]
