"""What was drawn on a run and is not in its picture yet: names say how near to it that stays."""

from __future__ import annotations

import re
import secrets
import time
from pathlib import Path

_NEAR = re.compile(r"\.near(\d{1,3})\.")
_JOINED = ".joined.png"  # how the name of several drawings in one ends


def new_drawing(folder: Path, near: float) -> Path:
    """A name in the folder of a run, after all that are there; `near` is 0 (free) to 1."""
    kept = f".near{round(100 * near)}" if near else ""
    name = f"{time.time_ns():020d}-{secrets.token_hex(4)}{kept}.png"
    return folder / "drawings" / name


def joined_drawing(last: Path) -> Path:
    """The name of several drawings in one: they stay as near as the last of them."""
    return last.with_suffix(_JOINED)


def is_joined(path: Path) -> bool:
    return path.name.endswith(_JOINED)


def nearness(path: Path) -> float:
    """How near to a drawing its colours stay, in hundredths from 0 (free) to 1."""
    found = _NEAR.search(path.name)
    return min(int(found[1]), 100) / 100 if found else 0.0


__all__ = ["is_joined", "joined_drawing", "nearness", "new_drawing"]
