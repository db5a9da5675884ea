"""A worker that paints cells in no time: a colour that follows from the cell's name.

`SWEEP_LOG` names a file that gets a line for each cell that is begun; a cell takes `SWEEP_SECONDS`.
"""

from __future__ import annotations

import csv
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from gouache.atomic import write_bytes
from gouache.ops.images import load_image
from gouache.output.pictures import save_picture
from gouache.runs.executors import Executor, Inline, Processes
from gouache.sweeps.axes import make_axis
from gouache.sweeps.cells import Asked, Cell, make_cells
from gouache.sweeps.painting import KEY, Batch, Files, Manner, Painted
from gouache.sweeps.running import Report, run_sweep


def color_of(name: str) -> tuple[int, int, int]:
    red, green, blue, *_ = hashlib.sha256(name.encode()).digest()
    return red, green, blue


def paint(batches: Sequence[Batch], manner: Manner, files: Files | None = None) -> list[Painted]:
    return [_paint(cell, manner) for batch in batches for cell in batch]


def _paint(cell: Cell, manner: Manner) -> Painted:
    if log := os.environ.get("SWEEP_LOG"):
        with Path(log).open("a") as file:
            file.write(f"{cell.name} {os.getpid()}\n")
    time.sleep(float(os.environ.get("SWEEP_SECONDS", "0")))
    if cell.prompt == "deadly":
        os._exit(9)
    if cell.prompt == "impossible":
        return Painted(cell.name, error="it cannot be painted")
    told: dict[str, Any] = {
        "cell": cell.name,
        "varies": dict(cell.varies),
        "seconds": 2.0,
        "score": 0.25,
    }
    record = {
        "prompt": cell.prompt,
        "seed": cell.config.seed,
        "config": cell.config.to_dict(),
        "num_steps": sum(cell.config.steps),
        "perceptors": [{"name": "tiny", "fingerprint": "e" * 64}],
        KEY: told,
    }
    place = Path(os.environ.get("TMPDIR", "/tmp")) / f"{cell.name}-{os.getpid()}.png"
    save_picture(Image.new("RGB", (8, 8), color_of(cell.name)), place, record)
    data = place.read_bytes()
    place.unlink()
    told |= {"prompt": cell.prompt, "seed": cell.config.seed}
    if manner.into:
        write_bytes(Path(manner.into) / f"{cell.name}.png", data)
        return Painted(cell.name, told=told)
    return Painted(cell.name, data, told)


def some_cells(number: int = 64, prompts: Sequence[str] = ("a star", "a ship")) -> list[Cell]:
    """That many cells: two settings, and as many seeds as it takes."""
    axes = [make_axis("learning_rate", ["0.1", "0.2"])]
    seeds = range(number // (2 * len(prompts)))
    return make_cells(Asked(prompts, axes, seeds, {"size": "32x32"}))


def sweep(out: Path, executor: Executor, cells: Sequence[Cell] = (), **how: Any) -> Report:
    how = {"manner": Manner(), "paint": paint, **how}
    return run_sweep(cells or some_cells(), out, lambda: executor, **how)


def right_pixels(path: Path) -> bool:
    return load_image(path).getpixel((3, 3)) == color_of(path.stem)


def begun(log: Path) -> list[str]:
    return [line.split()[0] for line in log.read_text().splitlines()]


def finished(out: Path) -> dict[str, int]:
    """Cells that are there, and which file each is: another one has another number."""
    found = (out / "cells").glob("[!.]*.png")  # not what was being written
    return {path.stem: path.stat().st_ino for path in found}


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def program(out: Path, executor: str, log: Path, seconds: float) -> subprocess.Popen[str]:
    env = {**os.environ, "SWEEP_LOG": str(log), "SWEEP_SECONDS": str(seconds)}
    env["PYTHONPATH"] = os.pathsep.join(sys.path)
    return subprocess.Popen(
        [sys.executable, "-m", "sweep_painter", str(out), executor],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_for(log: Path, number: int, process: subprocess.Popen[str]) -> None:
    while len(begun(log)) < number:
        assert process.poll() is None, "it ended too early"
        time.sleep(0.02)


def runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def main(out: str, executor: str) -> None:
    """`python -m sweep_painter DIR EXECUTOR`: what the tests kill."""
    if executor == "ray":
        from gouache.runs.cluster import Cluster

        made: Executor = Cluster(2, cpus=1, gpus=0)
    else:
        made = Processes(2) if executor == "processes" else Inline()
    report = sweep(Path(out), made)
    print(report.found, report.painted, report.lost)


if __name__ == "__main__":
    main(*sys.argv[1:])
