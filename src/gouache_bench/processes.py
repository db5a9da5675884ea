"""Whole commands as a user starts them. Nothing large is imported here, nor by who measures: peak
memory is inherited by processes that are started."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping


def measure(
    *arguments: str, env: Mapping[str, str] | None = None, quiet: bool = False
) -> tuple[float, int]:
    """Wall seconds and peak resident bytes of `python ARGUMENTS`; `SystemExit` where it fails."""
    begun = time.perf_counter()
    out = subprocess.DEVNULL if quiet else None
    process = subprocess.Popen([sys.executable, *arguments], env=env, stdout=out)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(arguments)} failed with status {status}")
    scale = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there, in kB elsewhere
    return time.perf_counter() - begun, usage.ru_maxrss * scale
