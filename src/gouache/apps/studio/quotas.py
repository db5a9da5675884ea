"""What one visitor may use: painting time of a day, and room on the disk. Nothing that is there is
lost where it is used up: runs pause, and orders are refused in one line.

quotas.json    seconds of this day (UTC) by visitor, where time is limited
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from gouache.apps.studio.orders import Limits
from gouache.atomic import write_bytes
from gouache.errors import ConfigError, OutputError

FILE = "quotas.json"
WRITE_EVERY = 10.0  # seconds: what a power cut gives away at most
MEASURE_EVERY = 30.0  # seconds for which a size is believed
GB = 10**9


class TimeQuotaError(ConfigError):
    """This visitor's painting time of today is used up."""


class DiskQuotaError(ConfigError):
    """This visitor's pictures take the room there is for them."""


class Quotas:
    """Counts what visitors use; may be used from any thread. Without limits it does nothing.

    `folders` gives all folders of a visitor. A day begins at midnight, UTC.
    """

    def __init__(
        self,
        root: Path,
        limits: Limits,
        folders: Callable[[str], Iterable[Path]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = root / FILE
        self._seconds_each, self._bytes_each = limits.seconds_each, limits.bytes_each
        self._folders = folders
        self._clock = clock
        self._lock = threading.Lock()
        self._day, self._seconds = self._read()
        self._written: float = clock()
        self._sizes: dict[str, tuple[float, int]] = {}  # by visitor: measured when, bytes

    def admit(self, owner: str) -> None:
        """Raises `TimeQuotaError` or `DiskQuotaError` where nothing more may be painted."""
        if line := self._time(owner):
            raise TimeQuotaError(line)
        self._sizes.pop(owner, None)  # something may have been deleted just now
        if line := self._disk(owner):
            raise DiskQuotaError(line)

    def reached(self, owner: str) -> str:
        """The line that tells what is used up, "" for nothing."""
        return self._time(owner) or self._disk(owner)

    def spent(self, owner: str, seconds: float) -> None:
        """Notes time of a worker."""
        if self._seconds_each is None:
            return
        with self._lock:
            self._turn_page()
            self._seconds[owner] = self._seconds.get(owner, 0.0) + seconds
            if self._clock() - self._written < WRITE_EVERY:
                return
            self._written = self._clock()
        self.save()

    def save(self) -> None:
        """Writes what was used today; a full disk is no reason not to paint."""
        if self._seconds_each is None:
            return
        with self._lock:
            told = {"day": self._day, "seconds": {k: round(v, 1) for k, v in self._seconds.items()}}
        with suppress(OutputError):
            write_bytes(self._path, json.dumps(told).encode())

    def _time(self, owner: str) -> str:
        if self._seconds_each is None:
            return ""
        with self._lock:
            self._turn_page()
            used = self._seconds.get(owner, 0.0) >= self._seconds_each
        return used * (
            f"your painting time of today is used up ({_minutes(self._seconds_each)} a day); "
            "go on after midnight UTC"
        )

    def _disk(self, owner: str) -> str:
        if self._bytes_each is None:
            return ""
        when, size = self._sizes.get(owner, (0.0, 0))
        if self._clock() - when > MEASURE_EVERY:
            size = sum(map(size_of, self._folders(owner)))
            self._sizes[owner] = self._clock(), size
        return (size >= self._bytes_each) * (
            f"your pictures take {size / GB:.3g} GB, and {self._bytes_each / GB:.3g} GB is what "
            "each may have; delete some, from the trash too"
        )

    def _turn_page(self) -> None:
        """Under the lock."""
        if (day := _day(self._clock())) != self._day:
            self._day, self._seconds = day, {}

    def _read(self) -> tuple[str, dict[str, float]]:
        found: dict[str, float] = {}
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            told = json.loads(self._path.read_bytes())
            seconds = {str(name): float(used) for name, used in told["seconds"].items()}
            if told["day"] == _day(self._clock()):
                found.update(seconds)
        return _day(self._clock()), found


def size_of(folder: Path) -> int:
    """Bytes of all files in it; 0 where there is none."""
    total = 0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    total += size_of(Path(entry.path))
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.3g} minute{'s' * (seconds != 60)}"


__all__ = ["GB", "DiskQuotaError", "Quotas", "TimeQuotaError", "size_of"]
