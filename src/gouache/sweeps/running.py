"""Runs a sweep: paints what is missing of it, on any executor, and keeps each picture at once."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from gouache.runs.executors import Executor
from gouache.settings.config import PaintConfig
from gouache.sweeps.cells import Cell, batches
from gouache.sweeps.folder import SweepFolder, opened
from gouache.sweeps.painting import Batch, Files, Manner, Painted, files_for, paint_cells
from gouache.sweeps.scheduler import scheduled

# Seconds a step takes at 256x256 with the default guides and one thread, with its part of what is
# found before: a picture of 30 takes 20 of them. Before the first cell is painted.
USUAL_RATE = 0.65 / 256**2
# Between two writings of results.csv: seconds at least, and times as long as one takes.
WRITE_EVERY, WRITE_SHARE = 10.0, 50
Paint: TypeAlias = Callable[[Sequence[Batch], Manner, Files | None], list[Painted]]


@dataclass
class Report:
    """What a sweep came to. `painted` are of this time, `found` were finished before."""

    out: Path
    cells: int
    found: int = 0
    painted: int = 0
    failed: int = 0
    lost: int = 0  # workers
    first_error: str = ""
    seconds: float = 0.0

    @property
    def left(self) -> int:
        return self.cells - self.found - self.painted - self.failed


@dataclass(frozen=True)
class Estimate:
    """How long what is missing takes, as far as that is known; `basis` says from what."""

    cells: int
    found: int
    seconds: float | None
    basis: str


def estimate(cells: Sequence[Cell], out: Path, workers: int) -> Estimate:
    """What painting the rest of `cells` would take; touches nothing."""
    folder = SweepFolder(out)
    folder.find()
    missing = [cell for cell in cells if cell.name not in folder.rows]
    rates = [row.seconds / row.work for row in folder.rows.values() if row.seconds and row.work]
    found = len(cells) - len(missing)
    works = [work_of(cell.config) for cell in missing]
    total = max(sum(works) / max(workers, 1), *works, 0.0)  # nobody shares a cell
    if rates:
        told = f"by the {len(rates)} cells that are painted in {out}"
        return Estimate(len(cells), found, statistics.median(rates) * total, told)
    if not _on_processor(cells):
        return Estimate(
            len(cells),
            found,
            None,
            "no cell is painted yet, and the rate of this device is unknown",
        )
    told = "by the usual rate of one thread of a processor; the first cells tell better"
    return Estimate(len(cells), found, USUAL_RATE * total, told)


def work_of(config: PaintConfig) -> float:
    """Steps times pixels: what the time of a cell goes with."""
    steps = config.steps if len(config.steps) > 1 else config.steps * len(config.stages)
    return float(sum(steps) * config.size[0] * config.size[1])


def _on_processor(cells: Sequence[Cell]) -> bool:
    from gouache.networks.devices import resolve_device

    return all(
        resolve_device(device).type == "cpu" for device in {cell.config.device for cell in cells}
    )


def run_sweep(
    cells: Sequence[Cell],
    out: Path,
    executor: Callable[[], Executor],
    manner: Manner,
    *,
    batch: int = 1,
    per_call: int = 1,
    carry_files: bool = False,
    paint: Paint = paint_cells,
    stop: Callable[[], bool] = lambda: False,
    tell: Callable[[Report], object] = lambda report: None,
) -> Report:
    """Paints the cells that are not finished in the folder `out`; each is there as soon as it is.

    Args:
        executor: where they are painted; made only where something is missing.
        batch: cells that are painted together at most (`cells.batches`).
        per_call: batches that a worker is given at once.
        carry_files: pictures that settings name go with the work: no disk is shared.
        paint: what a worker does; it is sent there by its name.
        stop: once true nothing new is begun, and what is being painted is finished.
        tell: called with the report as it is, before the first cell and after each.

    What painting raises for a cell is noted in results.csv; other errors end the sweep. Raises
    `OutputError` where the folder cannot be written or belongs to another process.
    """
    begun = time.monotonic()
    with opened(out) as folder:
        folder.order(cells)
        missing = [cell for cell in cells if cell.name not in folder.rows]
        report = Report(out, len(cells), len(cells) - len(missing))
        folder.write_results()
        tell(report)
        if missing:
            with _written_at_the_end(folder), executor() as workers:
                files = None
                if carry_files:
                    files = workers.share(files_for([cell.config for cell in missing]))

                def lose(_: object) -> None:
                    report.lost += 1

                next_writing = time.monotonic() + WRITE_EVERY
                tasks = batches(missing, batch)
                for todo, ticket in scheduled(
                    [tasks[k : k + per_call] for k in range(0, len(tasks), per_call)],
                    lambda todo: workers.call(paint, todo, manner, files),
                    workers.width,
                    stop,
                    lose,
                ):
                    them = [cell for together in todo for cell in together]
                    try:
                        painted = ticket.result()
                    except BrokenExecutor as error:
                        report.lost += 1
                        _fail(folder, report, them, f"its worker ended each time: {error}")
                    else:
                        for cell, one in zip(them, painted, strict=True):
                            for kind, text in one.notes:
                                warnings.warn(text, kind, stacklevel=2)
                            if one.error:
                                _fail(folder, report, [cell], one.error)
                                continue
                            folder.keep(one, work_of(cell.config))
                            report.painted += 1
                    report.seconds = time.monotonic() - begun
                    tell(report)
                    if (now := time.monotonic()) > next_writing:
                        folder.write_results()
                        took = time.monotonic() - now
                        next_writing = now + max(WRITE_EVERY, WRITE_SHARE * took)
    report.seconds = time.monotonic() - begun
    return report


@contextmanager
def _written_at_the_end(folder: SweepFolder) -> Iterator[None]:
    """results.csv tells of all that was finished, whatever ended the sweep."""
    try:
        yield
    finally:
        folder.write_results()


def _fail(folder: SweepFolder, report: Report, todo: Sequence[Cell], error: str) -> None:
    for cell in todo:
        folder.fail(cell, error)
    report.failed += len(todo)
    report.first_error = report.first_error or error


__all__ = ["Estimate", "Report", "estimate", "run_sweep", "work_of"]
