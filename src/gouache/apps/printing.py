"""What goes to stdout and stderr, whatever they can encode and wherever they go."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from gouache.errors import OutputError
from gouache.output.documents import dump_json
from gouache.prompts import one_line
from gouache.protocols import Step

# What stdout may answer; files that are written have names, and errors of their own.
STREAM_ERRORS = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG, errno.EBADF)


def prepare_streams() -> None:
    """Nothing that is printed fails for its letters: what a stream cannot encode is escaped.

    A stream that is closed (`>&-`) takes everything and shows nothing.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_json(document: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
    """A document on stdout, in one line; escaped where stdout has not its letters."""
    print(dump_json(document, encoding=sys.stdout.encoding or "utf-8"))


def describe(step: Step) -> str:
    """The losses, averaged over the batch: "prompt/0 0.812 latent 0.031"."""
    return " ".join(f"{name} {float(value.mean()):.3f}" for name, value in step.losses.items())


def flush() -> None:
    """Brings stdout to where it goes; `OutputError` where that takes no more, a full disk say."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise stdout_failed(error) from None


def stdout_failed(error: OSError) -> OutputError:
    """What to raise for an `OSError` of stdout; nothing more is written there."""
    discard_stdout()
    reason = one_line(error.strerror or error, 80)
    return OutputError(f"cannot write to the standard output: {reason}")


def discard_stdout() -> None:
    """What is still to be written has no reader: Python would complain about it at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


__all__ = [
    "STREAM_ERRORS",
    "describe",
    "discard_stdout",
    "flush",
    "prepare_streams",
    "print_json",
    "stdout_failed",
]
