"""The command line's sweeps: who paints, progress over cells, Ctrl-C."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from gouache.apps.progress import LINES, TerminalBar
from gouache.apps.runner import Stop
from gouache.errors import ConfigError
from gouache.networks.devices import resolve_device
from gouache.networks.memory import free_memory
from gouache.registry import nearest
from gouache.runs.executors import Executor, Inline, Processes, Threads
from gouache.settings.config import PaintConfig
from gouache.sweeps.running import Report

EXECUTORS = ("inline", "threads", "processes", "ray", "slurm")
MEMORY = 2 << 30  # bytes that a process on the processor takes at most at the usual size


def workers_for(name: str, config: PaintConfig, threads: int, wanted: int | None) -> int:
    """How many paint at once on this machine, unless it is said; 0: the cluster decides."""
    if name == "inline":
        return 1
    if wanted is not None or name in ("ray", "slurm"):
        return wanted or 0
    device = resolve_device(config.device)
    if device.type == "cuda":
        return len(cards(config)) if name == "processes" else 1
    if device.type != "cpu":
        return 1
    free = free_memory(device)
    fitting = os.cpu_count() or 1 if free is None else int(free // MEMORY)
    return max(1, min(_processors() // threads, fitting))


def cards(config: PaintConfig) -> list[str]:
    """Values of `CUDA_VISIBLE_DEVICES` for one process each; none where no card is to paint."""
    device = resolve_device(config.device)
    if device.type != "cuda" or device.index is not None:
        return []
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    number = torch.cuda.device_count()
    return visible.split(",")[:number] if visible else [str(k) for k in range(number)]


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def executor_for(
    name: str, config: PaintConfig, workers: int, threads: int, address: str, out: Path
) -> Callable[[], Executor]:
    """What makes the executor of that name; what it needs is looked for now: `ConfigError`."""
    if name not in EXECUTORS:
        raise ConfigError(f"no executor is called {name!r:.40}; {nearest(name, list(EXECUTORS))}")
    if address and name != "ray":
        raise ConfigError(f"address is {address!r:.60}, which is for --executor ray; leave it out")
    if name == "threads":
        return lambda: Threads(workers)
    if name == "processes":
        devices = cards(config)
        return lambda: Processes(workers, devices)
    return Inline


class CellProgress:
    """Cells on a terminal as a bar with the time that is left; elsewhere a line now and then."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: TerminalBar | None = None
        self._begun = time.monotonic()
        self._told = -1

    def __enter__(self) -> CellProgress:
        if not self._quiet and sys.stderr.isatty():
            from rich.progress import MofNCompleteColumn

            self._bar = TerminalBar(MofNCompleteColumn(), "{task.fields[left]}")
            self._bar.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.__exit__(*exception)

    def show(self, report: Report) -> None:
        here = report.painted + report.failed
        done, left = report.found + here, ""
        if here:
            seconds = report.left * (time.monotonic() - self._begun) / here
            left = f"{clock(seconds)} left"
        if self._bar is not None:
            self._bar.count("cells", done, report.cells, left=left)
            return
        lines = max(1, report.cells // LINES)
        if self._quiet or (here and done // lines == self._told and report.left):
            return
        self._told = done // lines
        failed = f", {report.failed} failed" if report.failed else ""
        print(f"cell {done}/{report.cells}{failed}  {left}".rstrip(), file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """ "40 s", "12 min", "3 h 20 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60:,} h {minutes % 60} min"


class Finishing(Stop):
    """Ctrl-C ends a sweep when the cells that are being painted are finished, and says so."""

    def _note(self, number: int, frame: FrameType | None) -> None:
        if not self.wanted:
            line = "gouache: finishing the cells that are being painted; again to end at once\n"
            os.write(2, line.encode())
        super()._note(number, frame)


__all__ = [
    "EXECUTORS",
    "CellProgress",
    "Finishing",
    "cards",
    "clock",
    "executor_for",
    "workers_for",
]
