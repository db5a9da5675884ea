"""The identity of a file of weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

from gouache.errors import ModelError


def fingerprint(path: str | Path) -> str:
    """SHA-256 of the file, 64 hexadecimal digits; read in pieces, so that size does not matter.

    A file that cannot be read raises `ModelError`.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None


__all__ = ["fingerprint"]
