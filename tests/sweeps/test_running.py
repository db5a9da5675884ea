"""The folder is the truth: killed anywhere, each finished cell is there once and stays as it is."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Future
from pathlib import Path

import pytest

from gouache.errors import OutputError
from gouache.runs.executors import Inline, Processes, Threads
from gouache.sweeps.axes import make_axis
from gouache.sweeps.cells import Asked, make_cells
from gouache.sweeps.folder import SweepFolder, read
from gouache.sweeps.running import estimate
from gouache.sweeps.scheduler import LOSSES, scheduled
from sweep_painter import (
    begun,
    finished,
    paint,
    program,
    right_pixels,
    rows,
    runs,
    some_cells,
    sweep,
    wait_for,
)


def test_each_cell_is_painted_once_and_has_a_row(tmp_path: Path, log: Path) -> None:
    out, cells = tmp_path / "out", some_cells(16)
    report = sweep(out, Inline(), cells)
    assert (report.found, report.painted, report.left) == (0, 16, 0)
    assert sorted(begun(log)) == sorted(cell.name for cell in cells)
    found = rows(out)
    assert [row["cell"] for row in found] == [cell.name for cell in cells]
    first = found[0]
    assert list(first)[:4] == ["cell", "prompt", "seed", "learning_rate"]
    assert (first["prompt"], first["seed"], first["learning_rate"]) == ("a star", "0", "0.1")
    assert (first["score"], first["seconds"], first["error"]) == ("0.25", "2.0", "")
    assert all(right_pixels(out / row["picture"]) for row in found)
    again = sweep(out, Inline(), cells)
    assert (again.found, again.painted) == (16, 0)
    assert len(begun(log)) == 16


def test_more_seeds_later_paint_only_those(tmp_path: Path, log: Path) -> None:
    sweep(tmp_path / "out", Inline(), some_cells(8))
    report = sweep(tmp_path / "out", Inline(), some_cells(16))
    assert (report.found, report.painted) == (8, 8)
    assert [row["cell"] for row in rows(tmp_path / "out")] == [c.name for c in some_cells(16)]


def test_calls_that_vary_other_settings_share_a_folder(tmp_path: Path) -> None:
    """Each row tells what decides it: what its own call did not vary is as the picture says."""

    def call(steps: str, *rates: str) -> None:
        axes = [make_axis("learning_rate", rates)] if rates else []
        cells = make_cells(Asked(["a star"], axes, (1, 2), {"size": "32x32", "steps": steps}))
        sweep(tmp_path / "out", Inline(), cells)

    call("10")
    assert "steps" not in rows(tmp_path / "out")[0], "nothing varies yet"
    call("20")
    call("20", "0.1", "0.3")  # of which 0.3 is what both had before
    told = [(row["steps"], row["learning_rate"], row["seed"]) for row in rows(tmp_path / "out")]
    pairs = [("20", "0.1"), ("20", "0.3"), ("10", "0.3")]
    assert sorted(told) == sorted((*pair, seed) for pair in pairs for seed in "12")
    (tmp_path / "out" / "sweep.json").write_text("{")
    folder = read(tmp_path / "out")
    assert set(folder.axes()) == {"steps", "learning_rate"}
    cells = make_cells(Asked(["impossible"], (), (), {"size": "32x32", "steps": "10"}))
    sweep(tmp_path / "out", Inline(), cells)
    (failed,) = (row for row in rows(tmp_path / "out") if row["error"])
    assert (failed["steps"], failed["learning_rate"]) == ("10", "0.3")


def test_what_is_no_whole_picture_of_the_cell_is_painted_again(tmp_path: Path) -> None:
    out, cells = tmp_path / "out", some_cells(8)
    sweep(out, Inline(), cells)
    cut, swapped, other = (out / "cells" / f"{cell.name}.png" for cell in cells[:3])
    cut.write_bytes(cut.read_bytes()[:-20])
    swapped.write_bytes(other.read_bytes())
    leftover = out / "cells" / ".gouache-123.png"
    leftover.touch()
    report = sweep(out, Inline(), cells)
    assert (report.found, report.painted) == (6, 2)
    assert right_pixels(cut)
    assert right_pixels(swapped)
    assert not leftover.exists()


def test_a_cell_that_cannot_be_painted_stops_no_other(tmp_path: Path) -> None:
    cells = some_cells(8, ["impossible", "a star"])
    report = sweep(tmp_path, Inline(), cells)
    assert (report.painted, report.failed, report.first_error) == (4, 4, "it cannot be painted")
    assert [bool(row["error"]) for row in rows(tmp_path)] == [True] * 4 + [False] * 4
    assert all(not row["picture"] for row in rows(tmp_path)[:4])
    assert sweep(tmp_path, Inline(), cells).failed == 4, "it is tried again"


def test_a_cell_that_ends_its_worker_fails_alone(tmp_path: Path, log: Path) -> None:
    deadly, *others = [some_cells(2, ["deadly"])[0], *some_cells(8)]
    report = sweep(tmp_path, Processes(2), [deadly, *others])
    assert (report.painted, report.failed, report.lost) == (8, 1, LOSSES)
    counted = Counter(begun(log))
    assert counted[deadly.name] == LOSSES
    assert all(counted[cell.name] == 1 for cell in others)


def test_two_do_not_write_into_one_folder(tmp_path: Path) -> None:
    def other(_: object) -> None:
        with pytest.raises(OutputError, match="another process"):
            sweep(tmp_path, Inline())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path, Inline(), tell=other)
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "mine.txt").touch()
    with pytest.raises(OutputError, match="something else"):
        sweep(tmp_path / "else", Inline())


def test_stopping_finishes_what_is_being_painted(tmp_path: Path, log: Path) -> None:
    for executor in (Inline(), Threads(2), Processes(2)):
        out = tmp_path / type(executor).__name__
        log.write_text("")
        report = sweep(out, executor, stop=lambda: len(begun(log)) >= 5)
        assert 5 <= report.painted == len(begun(log)) == len(finished(out)) < 64
        assert report.left == 64 - report.painted
        assert len(rows(out)) == report.painted


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_killed_anywhere_nothing_finished_is_painted_again(
    tmp_path: Path, executor: str, log: Path
) -> None:
    """64 cells; the driver is killed after 20, and of processes one worker before that."""
    out = tmp_path / "out"
    process = program(out, executor, log, 0.03)
    wait_for(log, 10, process)
    if executor == "processes":
        worker = int(random.choice(log.read_text().splitlines()).split()[1])
        os.kill(worker, signal.SIGKILL)
    wait_for(log, 20, process)
    process.kill()
    process.wait()
    workers = {int(line.split()[1]) for line in log.read_text().splitlines()}
    before, first = finished(out), Counter(begun(log))
    assert 0 < len(before) < 64
    while any(map(runs, workers)):  # they end with the driver
        time.sleep(0.02)
    later = tmp_path / "later.log"  # a worker that had just begun may still tell the other
    again = program(out, executor, later, 0)
    told, _ = again.communicate()
    assert again.returncode == 0
    assert told.split() == [str(len(before)), str(64 - len(before)), "0"]
    after = finished(out)
    assert len(after) == len(rows(out)) == 64
    assert {name: after[name] for name in before} == before, "not one was written again"
    assert not set(begun(later)) & before.keys()
    assert set(Counter(begun(later)).values()) == {1}
    assert sum(first.values()) - len(first) <= 1, "only the lost worker's cell was begun twice"
    assert all(right_pixels(path) for path in (out / "cells").glob("*.png"))


def test_the_estimate_goes_by_what_is_painted(tmp_path: Path) -> None:
    cells = some_cells(16)
    unknown = estimate(cells, tmp_path / "out", 1)
    assert (unknown.cells, unknown.found) == (16, 0)
    assert "usual rate" in unknown.basis
    assert not (tmp_path / "out").exists()
    sweep(tmp_path / "out", Inline(), cells[:12])
    known = estimate(cells, tmp_path / "out", 2)
    assert (known.found, known.seconds) == (12, pytest.approx(4.0))  # 4 cells of 2 s, 2 workers
    assert "12 cells" in known.basis


def test_one_cell_takes_as_long_however_many_workers_there_are(tmp_path: Path) -> None:
    (cell, *_) = cells = some_cells(8)
    told = [estimate([cell], tmp_path, workers).seconds for workers in (1, 4)]
    assert told[0] == told[1] == estimate(cells, tmp_path, 8).seconds
    assert estimate([], tmp_path, 2).seconds == 0


def test_a_damaged_order_is_no_hindrance(tmp_path: Path) -> None:
    sweep(tmp_path, Inline(), some_cells(8))
    (tmp_path / "sweep.json").write_text("{")
    folder = SweepFolder(tmp_path)
    folder.find()
    assert len(folder.sorted_rows()) == 8


class Flaky(Inline):
    """Loses the worker of each call the first so many times."""

    def __init__(self, times: int) -> None:
        self.times, self.seen = times, Counter[object]()

    def call(self, function, *arguments):  # type: ignore[no-untyped-def]
        self.seen[arguments] += 1
        if self.seen[arguments] <= self.times:
            future: Future[object] = Future()
            future.set_exception(BrokenExecutor("gone"))
            return future
        return super().call(function, *arguments)


@pytest.mark.parametrize("times", [0, 1, LOSSES - 1, LOSSES])
def test_lost_work_is_given_out_again(times: int) -> None:
    executor, lost = Flaky(times), list[int]()
    tasks = [100 + k for k in range(10)]
    found = dict(scheduled(tasks, lambda task: executor.call(str, task), 3, lost=lost.append))
    assert set(found) == set(tasks)
    failed = [task for task, future in found.items() if future.exception()]
    assert failed == ([] if times < LOSSES else tasks)
    assert len(lost) == 10 * min(times, LOSSES - 1)


def test_tasks_are_taken_as_there_is_room() -> None:
    taken: list[int] = []
    gate = threading.Event()

    def tasks() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    def work(number: int) -> int:
        gate.wait()
        return number

    with Threads(4) as executor:
        found = scheduled(tasks(), lambda task: executor.call(work, task), 4)
        threading.Timer(0.05, gate.set).start()
        next(found)
        assert len(taken) < 12
        assert sum(1 for _ in found) == 999


def test_a_worker_can_be_sent_the_painter() -> None:
    with Processes(1) as executor:
        assert executor.call(paint, [], None).result() == []
