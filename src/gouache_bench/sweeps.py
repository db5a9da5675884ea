"""What dealing out cells costs, and writes the table in docs/sweeps.md.

    python -m gouache_bench.sweeps [--out docs/sweeps.md] [--cells 100000] [--devices 1000]
    python -m gouache_bench.sweeps --executors processes,ray [--workers 2] [--runs 40] [--seconds 1]

The first line simulates: 1,000 devices that take no time, of which one call in a hundred loses its
worker. What is left is the driver's own work for a cell. The second compares executors with cells
that wait for so many seconds and give back a picture of 512x512.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Future
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import torch

from gouache.ops.images import to_pil
from gouache.output.pictures import save_picture
from gouache.runs.cluster import Cluster
from gouache.runs.executors import Executor, Processes
from gouache.sweeps.cells import Asked, Cell, make_cells
from gouache.sweeps.folder import SweepFolder, opened
from gouache.sweeps.painting import KEY, Batch, Files, Manner, Painted
from gouache.sweeps.running import run_sweep, work_of
from gouache.sweeps.scheduler import scheduled
from gouache_bench.report import machine

T = TypeVar("T")
HEADING = "## Measured"
KEPT = 100  # files that are written and read again


class Simulated(Executor):
    """Devices that do calls in any order and in no time; now and then one is lost."""

    def __init__(self, number: int, lost: float = 0.01) -> None:
        self.width, self._lost = number, lost
        self._calls: SimpleQueue[Any] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def call(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        future: Future[T] = Future()
        self._calls.put((future, function, arguments))
        return future

    def _work(self) -> None:
        rng = random.Random(0)
        flying: list[Any] = []
        while (one := self._calls.get()) is not None:
            flying.append(one)
            if len(flying) < self.width // 2 and not self._calls.empty():
                continue
            while flying:
                place = rng.randrange(len(flying))
                flying[place], flying[-1] = flying[-1], flying[place]
                future, function, arguments = flying.pop()
                if not future.set_running_or_notify_cancel():
                    continue
                if rng.random() < self._lost:
                    future.set_exception(BrokenExecutor("lost"))
                else:
                    future.set_result(function(*arguments))
                if not self._calls.empty():
                    break

    def __exit__(self, *exception: Any) -> None:
        self._calls.put(None)
        self._thread.join()


def wait_and_paint(
    batches: Sequence[Batch], manner: Manner, files: Files | None = None
) -> list[Painted]:
    """A cell that waits for `GOUACHE_BENCH_SECONDS` and gives back a picture of 512x512."""
    (cell,) = batches[0]
    begun = time.perf_counter()
    time.sleep(float(os.environ.get("GOUACHE_BENCH_SECONDS", "0")))
    found = painted(cell)
    return [replace(found, told={**found.told, "seconds": time.perf_counter() - begun})]


def painted(cell: Cell) -> Painted:
    """A picture as a worker gives it back: noise that is as large as a painted one, 400 kB."""
    told: dict[str, Any] = {"cell": cell.name, "varies": dict(cell.varies), "seconds": 0.0}
    record = {
        "prompt": cell.prompt,
        "seed": cell.config.seed,
        "config": cell.config.to_dict(),
        "num_steps": 60,
        "perceptors": [],
        KEY: told,
    }
    noise = torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(cell.config.seed))
    picture = to_pil((noise * 0.1 + 0.4)[0])
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "cell.png"
        save_picture(picture, place, record, cell.prompt)
        data = place.read_bytes()
    return Painted(cell.name, data, told | {"prompt": cell.prompt, "seed": cell.config.seed})


def cells_for(number: int) -> list[Cell]:
    return make_cells(Asked(["a castle", "a ship"], seeds=range(number // 2)))


def memory() -> float:
    """Most that this process had, MB."""
    scale = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def simulate(number: int, devices: int) -> list[str]:
    """The table of the driver's own work."""
    before, begun = memory(), time.process_time()
    cells = cells_for(number)
    making = (time.process_time() - begun) / number
    cells_memory = memory() - before
    begun, lost, done = time.process_time(), 0, 0

    def lose(_: object) -> None:
        nonlocal lost
        lost += 1

    with Simulated(devices) as executor:
        for _ in scheduled(cells, lambda c: executor.call(_name, c), executor.width, lost=lose):
            done += 1
    assert done == number
    dealing = (time.process_time() - begun) / number
    memory_of_all = memory() - before
    with tempfile.TemporaryDirectory() as place:
        kept = [painted(cell) for cell in cells[:KEPT]]
        with opened(Path(place)) as folder:
            begun = time.process_time()
            for one, cell in zip(kept, cells, strict=False):
                folder.keep(one, work_of(cell.config))
            keeping = (time.process_time() - begun) / KEPT
        folder = SweepFolder(Path(place))
        begun = time.process_time()
        folder.find()
        finding = (time.process_time() - begun) / KEPT
        assert len(folder.rows) == KEPT
    driver = dealing + keeping
    return [
        f"The driver's own work, {number:,} cells dealt out to {devices:,} simulated devices that "
        f"take no time, one call in a hundred lost ({lost:,} given out again): processor time, on "
        f"{_machine()}.",
        "",
        "| what | for a cell | for all |",
        "| --- | --- | --- |",
        f"| settings and name | {1e3 * making:.2f} ms | {making * number:.0f} s, "
        f"{cells_memory:.0f} MB |",
        f"| dealing out, taking back | {1e3 * dealing:.3f} ms | {dealing * number:.1f} s, "
        f"{memory_of_all - cells_memory:.0f} MB more |",
        f"| writing a file of 512x512 | {1e3 * keeping:.2f} ms | {keeping * number:.0f} s |",
        f"| finding it in a second call | {1e3 * finding:.2f} ms | {finding * number:.0f} s |",
        "",
        f"One driver hands out a cell and keeps its picture in {1e3 * driver:.2f} ms: it feeds "
        f"{10 / driver:,.0f} devices with cells of 10 s each, {1 / driver:,.0f} with cells of 1 s. "
        f"A thousand cards with cells of 10 s take {100 * 1000 * driver / 10:.0f} % of its time.",
    ]


def _name(cell: Cell) -> str:
    return cell.name


def _machine() -> str:
    return machine(torch.device("cpu"))


def compare(names: Sequence[str], workers: int, runs: int, seconds: float) -> list[str]:
    """The table of executors: what a cell costs beside its own time."""
    os.environ["GOUACHE_BENCH_SECONDS"] = str(seconds)
    lines = [
        f"Executors with {workers} workers, {runs} cells that wait for {seconds:g} s and give back "
        f"a picture of 512x512, on {_machine()}; beginning and ending the workers is not counted:",
        "",
        "| executor | begun in | cells a minute | beside its own time, for a cell | of 10 s |",
        "| --- | --- | --- | --- | --- |",
    ]
    rates = {}
    for name in names:
        begun = time.perf_counter()
        executor = Cluster(workers, cpus=1, gpus=0) if name == "ray" else Processes(workers)
        with executor, tempfile.TemporaryDirectory() as place:
            for ticket in [executor.call(_warm) for _ in range(workers)]:
                ticket.result()
            starting = time.perf_counter() - begun
            took, own_time = _timed(executor, Path(place) / "out", cells_for(2 * (runs // 2)))
        rates[name] = runs / took
        own = took * workers / runs - own_time
        lines.append(
            f"| {name} | {starting:.0f} s | {60 * runs / took:.0f} | {1e3 * own:.0f} ms | "
            f"{100 * own / 10:.1f} % |"
        )
        print(lines[-1], flush=True)
    if {"ray", "processes"} <= rates.keys():
        ratio = rates["ray"] / rates["processes"]
        lines += ["", f"Ray paints {ratio:.2f} times as many cells in a time as processes do."]
    return lines


def _warm() -> None:
    time.sleep(0.5)  # so that each worker gets one


def _timed(executor: Executor, out: Path, cells: Sequence[Cell]) -> tuple[float, float]:
    """Seconds of the sweep, and of a cell in its worker."""
    begun = time.perf_counter()
    own: list[float] = []

    run_sweep(cells, out, lambda: _Kept(executor, own), Manner(), paint=wait_and_paint)
    return time.perf_counter() - begun, sum(own) / len(own)


class _Kept(Executor):
    """An executor that outlives the sweep, and what its cells took in their workers."""

    def __init__(self, executor: Executor, own: list[float]) -> None:
        self.width, self._executor, self._own = executor.width, executor, own

    def call(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        future = self._executor.call(function, *arguments)
        future.add_done_callback(self._note)
        return future

    def _note(self, future: Future[Any]) -> None:
        self._own += [one.told["seconds"] for one in future.result()]


def _write(out: Path, begins: str, lines: Sequence[str]) -> None:
    """Puts the lines in the place of the part that begins alike, below `HEADING`."""
    old = out.read_text(encoding="utf-8") if out.exists() else "# Sweeps\n"
    before, _, measured = old.partition(f"\n{HEADING}\n")
    parts = [part.strip() for part in measured.split("\n### ") if part.strip()]
    parts = [part for part in parts if not part.startswith(begins)]
    parts.append(f"{begins}\n\n" + "\n".join(lines))
    text = "\n\n".join(f"### {part}" for part in sorted(parts))
    out.write_text(f"{before.rstrip()}\n\n{HEADING}\n\n{text}\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/sweeps.md"))
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--executors", default="")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=1.0)
    given = parser.parse_args()
    if given.executors:
        names = given.executors.split(",")
        lines = compare(names, given.workers, given.runs, given.seconds)
        _write(given.out, "Executors", lines)
    else:
        lines = simulate(given.cells, given.devices)
        _write(given.out, "A thousand devices, simulated", lines)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
