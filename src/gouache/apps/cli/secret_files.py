"""Secrets in files: what is on the command line, others see in the list of processes."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from gouache.errors import ConfigError
from gouache.prompts import one_line

_BYTES = 4096


def first_line(file: Path, expected: str) -> str:
    """The first line of a file that others should not read; no message shows any of it.

    `expected` says what belongs there. `ConfigError` where it cannot be read; warns where others
    can read it.
    """
    try:
        with file.open("rb") as opened:
            shared = stat.S_IMODE(os.fstat(opened.fileno()).st_mode) & 0o044
            regular = stat.S_ISREG(os.fstat(opened.fileno()).st_mode)
            line = opened.readline(_BYTES).decode().rstrip("\r\n")
    except OSError as error:
        raise ConfigError(f"cannot read {one_line(file)}: {error.strerror}") from None
    except ValueError:
        raise ConfigError(f"{one_line(file)} is not text in UTF-8; write {expected}") from None
    if shared and regular and os.name == "posix":
        print(
            f"gouache: warning: others on this machine can read {one_line(file)}; "
            "make it private: chmod 600",
            file=sys.stderr,
        )
    return line


__all__ = ["first_line"]
