"""Warnings of the work on one run, which are kept with it: words that are unknown or cut off."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from gouache.apps.studio.runs import Run

_noting: ContextVar[Run | None] = ContextVar("noting", default=None)


@contextlib.contextmanager
def listening(run: Run) -> Iterator[None]:
    """Notes the warnings of this work: what others are told in their threads is not this run's."""

    def note(*told: Any, **more: Any) -> None:
        if _noting.get() is run:
            run.noted(*told, **more)

    _noting.set(run)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = note
        yield


__all__ = ["listening"]
