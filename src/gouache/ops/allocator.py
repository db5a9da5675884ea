"""Keeping freed memory in the process while painting on a CPU.

Every step frees what it allocated. glibc hands blocks of that size back to the system and gets them
again as fresh pages, each of which is cleared and mapped when it is first touched: with full-size
networks in float32 a quarter of a step. The setting is the process's own and reversible in effect:
`give_back` returns what is not in use.
"""

from __future__ import annotations

import ctypes
import sys
from functools import lru_cache

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # the numbers of malloc.h


def keep_freed() -> bool:
    """Makes the process keep what it frees, for the next step; whether that is possible here."""
    libc = _glibc()
    if libc is None:
        return False
    # No blocks of their own for large requests, and no limit to what is kept.
    return bool(libc.mallopt(_MMAP_MAX, 0)) and bool(libc.mallopt(_TRIM_THRESHOLD, -1))


def give_back() -> None:
    """Returns to the system what is not in use. Costs the next step what it saved."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


@lru_cache(maxsize=1)
def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    # Other C libraries have no such name; other allocators in its place may lack the rest.
    names = ("gnu_get_libc_version", "mallopt", "malloc_trim")
    return libc if all(hasattr(libc, name) for name in names) else None


__all__ = ["give_back", "keep_freed"]
