"""The sums of files of weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

from gouache.errors import ModelError
from gouache.weights.gz import is_packed, unpack


def fingerprint(path: str | Path) -> str:
    """SHA-256 of the file, 64 hexadecimal digits; read in pieces, so that size does not matter.

    A file that cannot be read raises `ModelError`.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None


def identity(path: str | Path) -> str:
    """SHA-256 of a model: of its file, or of what that unpacks to where gzip packed it, so that
    packing makes no other model of it. `ModelError` for a file that cannot be read."""
    return hashlib.sha256(unpack(path)).hexdigest() if is_packed(path) else fingerprint(path)


__all__ = ["fingerprint", "identity"]
