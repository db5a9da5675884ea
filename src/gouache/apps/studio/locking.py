"""The folder of all runs is for one process at a time, and for one person to read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gouache.reserve import only_writer


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Makes the folder this process's alone while it lasts; what this process writes is private.

    Raises `OutputError` where another process has it, or it cannot be made.
    """
    mask = os.umask(0o077)
    try:
        with only_writer(root, "stop that studio or bot, or give another folder with --runs"):
            # Those of older versions too; the folder itself may be shared.
            for folder in (root / name for name in ("runs", "images", "trash")):
                with suppress(OSError):
                    folder.mkdir(exist_ok=True)
                    folder.chmod(0o700)
            yield
    finally:
        os.umask(mask)


__all__ = ["locked"]
