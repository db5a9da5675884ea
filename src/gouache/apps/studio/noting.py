"""Notes of a run: warnings of the work on it, which are kept with it, and what kind each is."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gouache.apps.studio.runs import Run

_noting: ContextVar[Run | None] = ContextVar("noting", default=None)


@dataclass(frozen=True)
class Note:
    """What was not done as asked, or otherwise.

    `text` is one line for who knows the settings. `kind` and `details` are for those who word it
    themselves: `kind` is "unknown-words" for an `UnknownWordsWarning`, `details` what that warning
    has in an attribute of this name.
    """

    kind: str
    text: str
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, message: Warning | str, category: type[Warning]) -> Note:
        """The note that a warning is."""
        words = re.findall("[A-Z][a-z]*", re.sub("(Warning|Note)$", "", category.__name__))
        details = getattr(message, "details", {})
        return cls("-".join(words).lower(), str(message), dict(details))


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


__all__ = ["Note", "listening"]
