"""Keeping freed memory in the process while painting on a CPU.

Every step frees what it allocated. glibc hands blocks of that size back to the system and gets them
again as fresh pages, each of which is cleared and mapped when it is first touched: with full-size
networks in float32 a tenth of a step. The setting is the whole process's. It is for small pictures:
large blocks leave large holes, so that with pictures beyond memory it would cost memory instead.
"""

from __future__ import annotations

import ctypes
import sys
from functools import lru_cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # the numbers of malloc.h
_KEPT = {_MMAP_MAX: 0, _TRIM_THRESHOLD: -1}  # no blocks of their own, no limit to what is kept
# Where glibc arrives by itself in a process that frees large blocks.
_USUAL = {_MMAP_MAX: 1 << 16, _MMAP_THRESHOLD: 32 << 20, _TRIM_THRESHOLD: 64 << 20}


def keep_freed(wanted: bool = True) -> bool:
    """Makes the process keep what it frees, for the next step, or not any longer.

    Returns whether what is wanted is so: other C libraries than glibc cannot be told.
    """
    libc = _glibc()
    if libc is None:
        return not wanted
    values = _KEPT if wanted else _USUAL
    done = [libc.mallopt(name, value) for name, value in values.items()]
    return all(done)


def forget_large_blocks() -> None:
    """Large blocks are again the system's own, as in a new process.

    Whoever frees one makes glibc keep all of up to that size from then on: the holes that a small
    model's file leaves would be the larger peak of the large model that is loaded next. Painting
    decides anew (`keep_freed`).
    """
    libc = _glibc()
    if libc is not None:
        libc.mallopt(_MMAP_THRESHOLD, 128 << 10)


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


__all__ = ["forget_large_blocks", "give_back", "keep_freed"]
