"""Named choices: one table for built-ins and third parties.

`registry.add(name, "module:attribute")` stores a reference, not the object, so that listing the
names imports nothing heavy. Packages of others join through the registry's entry-point group.
"""

from __future__ import annotations

import difflib
import importlib
import re
from importlib.metadata import entry_points
from typing import Generic, TypeVar, cast

from gouache.errors import ConfigError, GouacheError

T = TypeVar("T")
_PARTS = re.compile(r"[a-z]+|[0-9]+")


def nearest(name: str, names: list[str]) -> str:
    """A sentence that offers the names closest to `name`, or all of them when none is close.

    Capitals and separators do not count: "ViT-B/32" is close to "clip-vit-b-32".
    """
    wanted, parts = name.lower(), set(_PARTS.findall(name.lower()))
    alike = [one for one in names if parts and parts <= set(_PARTS.findall(one.lower()))]
    lower = {one.lower(): one for one in names}
    alike.sort(
        key=lambda one: difflib.SequenceMatcher(None, wanted, one.lower()).ratio(), reverse=True
    )
    found = [lower[one] for one in difflib.get_close_matches(wanted, list(lower), n=3, cutoff=0.5)]
    close = list(dict.fromkeys([*found, *alike]))[:3]
    return f"did you mean {' or '.join(close)}?" if close else f"choose from {', '.join(names)}"


class Registry(Generic[T]):
    """A table from names to builders of `T`, filled by `add` and by installed entry points.

    `kind` is used in error messages ("generator"); `group` is the entry-point group.
    """

    def __init__(self, kind: str, group: str, error: type[GouacheError] = ConfigError) -> None:
        self.kind = kind
        self.group = group
        self._error = error
        self._references: dict[str, str | T] = {}
        self._scanned = False

    def add(self, name: str, builder: str | T) -> None:
        """Registers `builder`, an object or a lazy "module:attribute" reference."""
        if name in self._references:
            raise self._error(f"{self.kind} {name!r} is already registered; pick another name")
        self._references[name] = builder

    def names(self) -> list[str]:
        """All registered names, in alphabetical order."""
        self._scan()
        return sorted(self._references)

    def get(self, name: str) -> T:
        """The builder called `name`; an unknown name raises an error with the nearest ones."""
        self._scan()
        if name not in self._references:
            hint = nearest(name, self.names())
            raise self._error(f"no {self.kind} is called {name!r}; {hint}")
        reference = self._references[name]
        if isinstance(reference, str):
            module, _, attribute = reference.partition(":")
            reference = cast(T, getattr(importlib.import_module(module), attribute))
            self._references[name] = reference
        return reference

    def _scan(self) -> None:
        if self._scanned:
            return
        self._scanned = True
        for point in entry_points(group=self.group):
            # A third party never shadows a built-in name: a command keeps its meaning.
            self._references.setdefault(point.name, point.value)
