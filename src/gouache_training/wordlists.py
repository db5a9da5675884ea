"""Lists of words kept beside the code in `words.txt`."""

from __future__ import annotations

from functools import cache
from importlib import resources

__all__ = ["words"]


@cache
def words(section: str) -> frozenset[str]:
    """The words under `[section]`.

    Raises:
        KeyError: there is no such section.
    """
    return _sections()[section]


@cache
def _sections() -> dict[str, frozenset[str]]:
    text = resources.files(__package__).joinpath("words.txt").read_text(encoding="utf-8")
    found: dict[str, set[str]] = {}
    current: set[str] = set()
    for line in text.splitlines():
        line = line.split("#")[0].strip()
        if line.startswith("["):
            current = found.setdefault(line.strip("[]"), set())
        else:
            current.update(line.split())
    return {section: frozenset(listed) for section, listed in found.items()}
