"""Names that one run has to itself, from the moment it chooses them until it has written them.

A run reserves all its names at once: pictures, grid, film, the folder of an interrupted run. What
it holds stands in a small hidden file beside them (`.gouache.TOKEN.names`), which it keeps locked.
The operating system gives the lock back when the process ends, however it ends, so the reservation
of a killed process is recognised and cleared away by whoever looks next. Choosing takes turns,
folder by folder, across threads and processes. No placeholder stands where a picture will be.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout, lock_descriptor

from gouache import litter
from gouache.atomic import output_errors
from gouache.errors import OutputError
from gouache.prompts import one_line

PREFIX = ".gouache."  # not that of temporary files: a run folder clears those away when opened
_SUFFIX = ".names"
_TURN = f"{PREFIX}turn"
LOCKED = b" "  # the byte of a file that `try_lock` locks


def endings() -> Iterator[str]:
    """ "", "-2", "-3"...: how names go on where the first is taken."""
    yield ""
    for number in count(2):
        yield f"-{number}"


class Reservation(AbstractContextManager["Reservation"]):
    """Names that nobody else gets until `release`, or the end of `with`. Made by `reserve`."""

    def __init__(self, chosen: Sequence[Path] = ()) -> None:
        self.chosen = tuple(chosen)  # the candidate that was free, () where none was asked for
        self._held: list[tuple[Path, int]] = []

    def release(self) -> None:
        """Gives the names back. What is written is safe then: it exists."""
        while self._held:
            path, descriptor = self._held.pop()
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            litter.forget(path)
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def __exit__(self, *exception: object) -> None:
        self.release()


def reserve(named: Collection[Path] = (), candidates: Iterable[Sequence[Path]] = ()) -> Reservation:
    """Reserves the names `named`, and the first of the sets `candidates` that is free as a whole.

    Free is a set of which no name exists and none is reserved. `named` ones may exist: whoever
    names a file may replace it. All candidates lie in one folder. Raises `OutputError`: a named
    one is reserved by another run, one is named twice, the folder cannot be written.
    """
    sets = iter(candidates)
    first = next(sets, ())
    wanted = [_real(path) for path in named]
    for place, path in enumerate(wanted):
        if path in wanted[:place]:
            shown = one_line([*named][place])
            raise OutputError(f"two results would both be {shown}; give each a name of its own")
    folders = sorted({path.parent for path in (*wanted, *map(_real, first))})
    with ExitStack() as stack:
        stack.enter_context(output_errors([*named, *first][0]))
        for folder in folders:  # in one order everywhere, so that nobody waits in a circle
            stack.enter_context(_turn(folder))
        taken = {path: who for folder in folders for path, who in _taken(folder).items()}
        for path, given in zip(wanted, named, strict=True):
            if path in taken:
                raise OutputError(
                    f"{one_line(given)} is about to be written by process {taken[path]}; wait for "
                    "it or choose another name"
                )
        chosen = first
        while any(_real(p) in taken or _real(p) in wanted or os.path.lexists(p) for p in chosen):
            chosen = next(sets)
        reservation = Reservation(chosen)
        try:
            for folder in folders:
                mine = [path for path in (*wanted, *map(_real, chosen)) if path.parent == folder]
                reservation._held.append(_write(folder, mine))
        except BaseException:
            reservation.release()
            raise
    return reservation


def try_lock(descriptor: int) -> bool | None:
    """Locks an open file without waiting: False if another holds it, None where none can be had.

    Closing the file gives the lock back, and so does the end of the process. Two descriptors of
    one process lock each other out as those of two processes do. The first byte is what is locked,
    and Windows forbids to read it: what others shall read begins at `LOCKED`.
    """
    try:
        return lock_descriptor(descriptor, blocking=False)
    except OSError:  # a file system without locks
        return None


def _real(path: Path) -> Path:
    """The file that is meant, links resolved, as the file system compares names."""
    real = os.path.normcase(os.path.realpath(path))
    return Path(real.casefold() if sys.platform == "darwin" else real)


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """Only one at a time chooses names in `folder`."""
    path = folder / _TURN
    while True:
        descriptor = _open(path, os.O_CREAT)
        try:
            got = try_lock(descriptor)
            # Whoever was here before may have removed the file that is locked now.
            if got is None or (got and _is(path, descriptor)):
                break
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        time.sleep(0.002)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        os.close(descriptor)


def _is(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


def _open(path: Path, flags: int = 0) -> int:
    """For locking: writing is not meant, but some network disks lock only what can be written."""
    try:
        return os.open(path, os.O_RDWR | flags, 0o666)
    except PermissionError:
        if not path.exists():
            raise
        return os.open(path, os.O_RDONLY)  # another user's


def _write(folder: Path, names: Sequence[Path]) -> tuple[Path, int]:
    path = folder / f"{PREFIX}{secrets.token_hex(8)}{_SUFFIX}"
    about = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "names": [name.name for name in names],
    }
    litter.note(path)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        try_lock(descriptor)
        os.write(descriptor, LOCKED + json.dumps(about).encode())
    except BaseException:
        os.close(descriptor)
        path.unlink(missing_ok=True)
        raise
    return path, descriptor


def _taken(folder: Path) -> dict[Path, str]:
    """Reserved names in `folder` and who holds them; clears away what dead processes left."""
    found: dict[Path, str] = {}
    for path in folder.glob(f"{PREFIX}*{_SUFFIX}"):
        try:
            descriptor = _open(path)
        except OSError:  # given back just now
            continue
        try:
            free = try_lock(descriptor)
            about = _read(descriptor)
            if free or (free is None and not _runs(about)):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
                continue
            who = str(about.get("pid", "unknown"))
            found |= {folder / str(name): who for name in about.get("names") or ()}
        finally:
            os.close(descriptor)
    return found


def _read(descriptor: int) -> dict[str, Any]:
    try:
        os.lseek(descriptor, len(LOCKED), os.SEEK_SET)
        about = json.loads(os.read(descriptor, os.fstat(descriptor).st_size))
    except (OSError, ValueError):
        about = {}
    return about if isinstance(about, dict) else {}


def _runs(about: Mapping[str, Any]) -> bool:
    """Where nothing can be locked: whether the process lives, as far as can be told from here."""
    process = about.get("pid")
    if about.get("host") != socket.gethostname() or not isinstance(process, int):
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


@contextmanager
def only_writer(folder: Path, otherwise: str) -> Iterator[None]:
    """Makes a folder, which is this process's to write into while it lasts.

    `otherwise` is what to do where another process writes there: then, and where the folder cannot
    be made, it is an `OutputError`.
    """
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise OutputError(
                f"{one_line(folder)} is being written to by another process; {otherwise}"
            ) from None
    try:
        yield
    finally:
        lock.release()


__all__ = ["LOCKED", "PREFIX", "Reservation", "endings", "only_writer", "reserve", "try_lock"]
