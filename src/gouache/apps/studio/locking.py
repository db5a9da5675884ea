"""The folder of all runs is for one process at a time, and for one person to read."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from gouache.errors import ConfigError, OutputError
from gouache.prompts import one_line


def locked(root: Path) -> FileLock:
    """The folder, made where missing and seen by nobody else, for this process alone."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / "studio.lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise ConfigError(
            f"another studio or bot uses {one_line(root)}; stop it, or give another folder with "
            "--runs"
        ) from None
    except OSError as error:
        raise OutputError(f"cannot write to {one_line(root)}: {error.strerror}") from None
    for name in (
        "runs",
        "images",
        "trash",
    ):  # those of older versions too; the folder itself may be shared
        folder = root / name
        with suppress(OSError):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o700)
    return lock


__all__ = ["locked"]
