"""Deleted runs, which can come back for some days: their folders wait in another place.

trash/ID    the folder of a run as it was; its time is that of the deletion
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gouache.apps.studio.runs import ABOUT, Run, load_runs
from gouache.atomic import output_errors

DAYS = 7  # that a deleted run can come back
MOST = 200  # deleted runs of all visitors that are kept; the oldest go first


class Trash:
    """What was deleted; may be used from any thread. What is too old goes now and at each `put`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / "trash"
        self._lock = threading.RLock()
        self.runs = {run.id: run for run in load_runs(root, "trash")}
        for path in self._folder.glob("*"):
            if path.name not in self.runs:
                shutil.rmtree(path, ignore_errors=True)  # half of one that was being removed
        self._make_room()

    def put(self, run: Run) -> None:
        """Takes a run's folder; `OutputError` where that fails, and then it is where it was."""
        with self._lock:
            self._move(run, self._folder)
            with suppress(OSError):
                os.utime(run.path)
            self.runs[run.id] = run
            self._make_room()

    def take(self, run: Run) -> bool:
        """Puts a run's folder back where it was; false for one that is not here any more."""
        with self._lock:
            if self.runs.get(run.id) is not run:
                return False
            self._move(run, self._root / "runs")
            del self.runs[run.id]
            return True

    def ends(self, run: Run) -> float:
        """When a run that is here goes by itself, in seconds since 1970."""
        return _deleted(run) + DAYS * 24 * 3600

    @contextmanager
    def seen(self, run: Run) -> Iterator[None]:
        """Files may be added to its folder in the body: it stays as long as it would have."""
        before = _deleted(run)
        try:
            yield
        finally:
            with suppress(OSError):
                os.utime(run.path, (before, before))

    def remove(self, run: Run) -> None:
        """Removes a run and all its files, wherever they are; `OutputError` where that fails."""
        with self._lock:
            with output_errors(run.path / ABOUT):
                (run.path / ABOUT).unlink(missing_ok=True)  # half a run must not come back
            self.runs.pop(run.id, None)
            shutil.rmtree(run.path, ignore_errors=True)

    def _move(self, run: Run, folder: Path) -> None:
        place = folder / run.id
        with output_errors(place):
            folder.mkdir(exist_ok=True)
            run.path.rename(place)
        run.path = place
        run.drawings = sorted(place.glob("drawings/*.png"))

    def _make_room(self) -> None:
        newest = sorted(self.runs.values(), key=_deleted, reverse=True)
        for place, run in enumerate(newest):
            if place >= MOST or time.time() - _deleted(run) > DAYS * 24 * 3600:
                with suppress(Exception):  # what cannot be removed now is tried again
                    self.remove(run)


def _deleted(run: Run) -> float:
    try:
        return run.path.stat().st_mtime
    except OSError:
        return 0.0


__all__ = ["DAYS", "MOST", "Trash"]
