"""The command line's sweeps: who paints, progress over cells, Ctrl-C."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from gouache.apps.progress import LINES, TerminalBar
from gouache.apps.runner import Stop
from gouache.errors import ConfigError
from gouache.networks.devices import cards, processors, resolve_device
from gouache.networks.memory import free_memory
from gouache.prompts import one_line
from gouache.registry import nearest
from gouache.runs.cluster import Cluster, check_ray
from gouache.runs.executors import Executor, Inline, Processes, Threads
from gouache.runs.slurm import JOBS, Slurm, check_slurm
from gouache.settings.config import PaintConfig
from gouache.sweeps.folder import CELLS
from gouache.sweeps.painting import Manner
from gouache.sweeps.running import Report

EXECUTORS = ("inline", "threads", "processes", "ray", "slurm")
MEMORY = 2 << 30  # bytes that a process on the processor takes at most at the usual size


@dataclass(frozen=True)
class Workers:
    """Who paints, as it is asked for. `number` is None where nobody says how many.

    `per_device` are workers that share a card; `address` is a Ray cluster's; `slurm` are texts
    NAME=VALUE for submitit.
    """

    executor: str = "processes"
    number: int | None = None
    threads: int = 1
    per_device: int = 1
    address: str = ""
    slurm: tuple[str, ...] = ()

    def check(self) -> None:
        """Raises `ConfigError` where that cannot be done here."""
        if self.executor not in EXECUTORS:
            hint = nearest(self.executor, list(EXECUTORS))
            raise ConfigError(f"no executor is called {self.executor!r:.40}; {hint}")
        if self.address and self.executor != "ray":
            raise ConfigError(
                f"address is {one_line(self.address, 60)}, which is for --executor ray only"
            )
        if self.slurm and self.executor != "slurm":
            raise ConfigError("--slurm is for --executor slurm; leave it out")
        if self.executor == "inline" and (self.number or 1) > 1:
            raise ConfigError(f"workers is {self.number}, and inline is one; use processes")
        if self.executor == "ray":
            check_ray()
        if self.executor == "slurm":
            check_slurm(self._cluster())

    def count(self, config: PaintConfig) -> int | None:
        """How many paint at once; None where the cluster decides, which nobody has asked yet."""
        if self.executor == "inline":
            return 1
        if self.number is not None or self.executor == "ray":
            return self.number
        if self.executor == "slurm":
            return JOBS
        device = resolve_device(config.device)
        if device.type == "cuda" and self.executor == "processes":
            return max(1, len(cards(device))) * self.per_device
        if device.type != "cpu":
            return 1
        free = free_memory(device)
        fitting = int(free // MEMORY) if free is not None else processors()
        return max(1, min(processors() // self.threads, fitting))

    def make(self, config: PaintConfig, out: Path) -> Executor:
        """The executor, begun."""
        number = self.count(config) or None
        match self.executor:
            case "threads":
                return Threads(number or 1)
            case "processes":
                return Processes(number or 1, cards(resolve_device(config.device)))
            case "ray":
                share = 1 / self.per_device if _may_be_card(config) else 0.0
                return Cluster(number, self.address, self.threads, share)
            case "slurm":
                told = self._slurm()
                cluster = told.pop("cluster", "slurm")
                return Slurm(number or JOBS, out / ".slurm", self.threads, told, cluster)
        return Inline()

    def manner(self, out: Path) -> Manner:
        """How its workers paint."""
        collect = self.executor not in ("inline", "threads")
        into = str((out / CELLS).absolute()) if self.executor == "slurm" else ""
        return Manner(self.threads, collect, into)

    def _slurm(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for text in self.slurm:
            name, equals, value = text.partition("=")
            if not equals or not name.isidentifier() or not value:
                raise ConfigError(
                    f"slurm is {one_line(repr(text), 60)}; write NAME=VALUE: partition=gpu"
                )
            name = name if name == "cluster" else f"slurm_{name.removeprefix('slurm_')}"
            found[name] = int(value) if value.isdigit() else value
        return found

    def _cluster(self) -> str:
        return str(self._slurm().get("cluster", "slurm"))


def _may_be_card(config: PaintConfig) -> bool:
    """Whether a card may be meant: a cluster's machines have others than this one."""
    return config.device.partition(":")[0] in ("auto", "cuda")


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


class Looking:
    """A bar for each judge on a terminal; elsewhere nothing, as it does not take long."""

    def __init__(self, quiet: bool) -> None:
        self._bar: TerminalBar | None = None
        if not quiet and sys.stderr.isatty():
            from rich.progress import MofNCompleteColumn

            self._bar = TerminalBar(MofNCompleteColumn())

    def __enter__(self) -> Looking:
        if self._bar is not None:
            self._bar.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.__exit__(*exception)

    def show(self, judge: str, total: int, done: int) -> None:
        if self._bar is not None:
            self._bar.count(judge, done, total)


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


__all__ = ["EXECUTORS", "CellProgress", "Finishing", "Looking", "Workers", "clock"]
