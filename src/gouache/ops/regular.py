"""Files that can be read from begin to end."""

from __future__ import annotations

import stat
from pathlib import Path

from gouache.errors import GouacheError
from gouache.prompts import NOT_FETCHED, one_line, web_address


def check_regular_file(path: Path, error: type[GouacheError], what: str, wanted: str) -> None:
    """Raises `error` for a path that is missing, a folder or another special file, or empty.

    `what` should be there ("picture"), `wanted` is what to give instead ("a picture file").
    """
    shown = one_line(path)
    try:
        info = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        if address := web_address(path):
            raise error(f"{one_line(address)} {NOT_FETCHED}") from None
        raise error(f"no {what} at {shown}; check the path") from None
    if stat.S_ISDIR(info.st_mode):
        raise error(f"{shown} is a folder; give {wanted}")
    if not stat.S_ISREG(info.st_mode):  # reading a pipe could wait for ever
        raise error(f"{shown} is not a regular file; give {wanted}")
    if info.st_size == 0:
        raise error(f"{shown} is empty; give {wanted}")


__all__ = ["check_regular_file"]
