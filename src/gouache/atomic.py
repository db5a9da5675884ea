"""Files that are either completely written or not touched at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gouache import litter
from gouache.errors import OutputError
from gouache.prompts import one_line

TEMP_PREFIX = ".gouache-"
_PROBE_BYTES = 1 << 16

_REASONS = {
    errno.ENOSPC: "no space is left on the disk; free some or choose another folder",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another folder",
    errno.EACCES: "permission denied; choose a folder you may write to",
    errno.EPERM: "permission denied; choose a folder you may write to",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.ENOENT: "its folder does not exist; create it or choose another",
    errno.ENOTDIR: "its folder is not a folder; choose another",
    errno.EEXIST: "a file of that name is in the way; choose another",
    errno.EISDIR: "it is a folder; give a file name",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.EFBIG: "the file grew too large for this disk; choose another folder",
}


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yields an empty temporary file beside `path`, which takes its place when the body ends.

    If anything fails, the body included, the temporary file is removed and what was at `path` is
    untouched. `OSError`s of the body (it should only write) and of the move become `OutputError`.
    Symbolic links are followed; a replaced file keeps its permissions. The parent must exist.
    """
    temp: Path | None = None
    with output_errors(path):
        target = _check_target(path)
        try:
            temp = _create_temp(target)
            yield temp
            _sync(temp)
            if target.exists():
                temp.chmod(stat.S_IMODE(target.stat().st_mode))
            temp.replace(target)
            litter.forget(temp)
            temp = None
            _sync_folder(target.parent)
        finally:
            if temp is not None:
                with contextlib.suppress(OSError):
                    temp.unlink(missing_ok=True)
                litter.forget(temp)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Writes `data` to `path` atomically; raises `OutputError`."""
    with atomic_path(path) as temp:
        temp.write_bytes(data)


def check_writable(path: str | Path, *, probe: bool = True) -> None:
    """Raises the `OutputError` that writing `path` later would raise, as far as it can be foreseen.

    Writes and removes a small temporary file beside it; `path` itself is not touched. `probe=False`
    writes nothing: for further names of a folder.
    """
    with output_errors(path):
        target = _check_target(path)
        if not probe:
            return
        temp = _create_temp(target)
        try:
            temp.write_bytes(bytes(_PROBE_BYTES))
            _sync(temp)
        finally:
            temp.unlink(missing_ok=True)
            litter.forget(temp)


def remove_leftovers(folder: Path) -> None:
    """Removes temporary files that a killed process left in `folder`. Only for a locked folder."""
    with contextlib.suppress(OSError):
        for temp in folder.glob(f"{TEMP_PREFIX}*"):
            temp.unlink(missing_ok=True)


@contextmanager
def output_errors(path: str | Path) -> Iterator[None]:
    """Turns an `OSError` of the body into an `OutputError`: one line with `path` and a remedy."""
    if "\0" in str(path):
        raise OutputError(f"cannot write {one_line(path)}: the name holds a null character")
    try:
        yield
    except OSError as error:
        reason = _REASONS.get(error.errno or 0) or one_line(error.strerror or error, 80)
        raise OutputError(f"cannot write {one_line(path)}: {reason}") from error


def _check_target(path: str | Path) -> Path:
    """The file that is meant, links resolved. Replacing a device (/dev/null) would destroy it."""
    target = Path(os.path.realpath(path))
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return target
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "is a directory")
    if not stat.S_ISREG(mode):
        raise OutputError(f"cannot write {one_line(path)}: it is not a regular file; name another")
    if not os.access(target, os.W_OK):
        raise OutputError(f"cannot write {one_line(path)}: the file is write-protected")
    return target


def _create_temp(target: Path) -> Path:
    """Like `mkstemp`, but with the permissions of an ordinary new file; keeps the suffix."""
    temp = target.with_name(f"{TEMP_PREFIX}{secrets.token_hex(6)}{target.suffix[-16:]}")
    litter.note(temp)
    os.close(os.open(temp, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return temp


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Makes the move itself survive a power cut, where the system offers it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


__all__ = [
    "TEMP_PREFIX",
    "atomic_path",
    "check_writable",
    "output_errors",
    "remove_leftovers",
    "write_bytes",
]
