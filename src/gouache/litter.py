"""Files that must not outlive this process, however it is interrupted."""

from __future__ import annotations

import contextlib
import os

_paths: dict[str, int] = {}  # and the process that made it: a child must not clear its parent's


def note(path: str | os.PathLike[str]) -> None:
    """`path` is temporary: `clear` removes it."""
    _paths[os.fspath(path)] = os.getpid()


def forget(path: str | os.PathLike[str]) -> None:
    """`path` was moved into place or removed."""
    _paths.pop(os.fspath(path), None)


def clear() -> None:
    """Removes what is noted. Called where nothing else runs any more, a signal handler too."""
    for path, process in list(_paths.items()):
        if process == os.getpid():
            with contextlib.suppress(OSError):
                os.unlink(path)  # noqa: PTH108
    _paths.clear()


__all__ = ["clear", "forget", "note"]
