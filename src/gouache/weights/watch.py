"""How fetching tells what it does, and the one error that means "try the next source"."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Protocol

from gouache.errors import ModelError


class Watch(Protocol):
    """Told about a download as it happens; the command line shows a bar."""

    def note(self, message: str) -> None:
        """One line that the user should see."""
        ...

    def progress(self, label: str, done: int, total: int | None) -> None:
        """`done` of `total` bytes of the file `label` are there; first called before any is."""
        ...


class Warnings:
    """What painting from Python shows: a warning before anything large is fetched."""

    def note(self, message: str) -> None:
        warnings.warn(message, UserWarning, stacklevel=2)

    def progress(self, label: str, done: int, total: int | None) -> None:
        return None


@contextmanager
def held_back() -> Iterator[None]:
    """Warnings from inside are shown at the end, and not at all where an error says more."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for each in caught:
        warnings.warn(each.message, stacklevel=4)


class SourceError(Exception):
    """This source does not give the file, for the reason in the message; another one may."""


def offline() -> bool:
    """Whether the user forbade network access, by the variable that Hugging Face's tools heed."""
    return os.environ.get("HF_HUB_OFFLINE", "").strip().upper() in ("1", "ON", "YES", "TRUE")


def human_size(size: int | None) -> str:
    """Bytes as people read them: 980092370 -> "980 MB"."""
    if size is None:
        return "unknown size"
    value, units = float(size), ["GB", "MB", "kB", "B"]
    while value >= 999.5 and len(units) > 1:
        value /= 1000
        units.pop()
    return f"{value:.{1 if value < 10 and units[-1] != 'B' else 0}f} {units[-1]}"


def need(module: str, purpose: str) -> Any:
    """The optional package `module`, imported; where it is missing, a `ModelError` that says how
    to install it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise ModelError(
            f"{purpose} needs the package {error.name}; run: pip install 'gouache[models]'"
        ) from None


__all__ = ["SourceError", "Warnings", "Watch", "held_back", "human_size", "need", "offline"]
