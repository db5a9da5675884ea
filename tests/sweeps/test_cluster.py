"""Sweeps elsewhere: on Ray, whose workers and driver are killed, and as jobs by submitit."""

from __future__ import annotations

import importlib.util
import io
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from gouache.errors import ConfigError
from gouache.ops.images import load_image
from gouache.output.pictures import read_metadata
from gouache.runs.cluster import Cluster
from gouache.runs.executors import Inline, Processes
from gouache.sweeps.cells import Asked, make_cells
from gouache.sweeps.painting import Manner, files_for, paint_cells
from sweep_painter import (
    begun,
    finished,
    program,
    right_pixels,
    rows,
    runs,
    some_cells,
    sweep,
    wait_for,
)

ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
slurm = pytest.mark.skipif(
    importlib.util.find_spec("submitit") is None, reason="submitit is not installed"
)


@ray
def test_ray_driver_and_worker_killed_nothing_finished_is_painted_again(
    tmp_path: Path, log: Path
) -> None:
    """64 cells; a worker is killed after 10, the driver after 30. The rest is painted here."""
    out = tmp_path / "out"
    process = program(out, "ray", log, 0.1)
    wait_for(log, 10, process)
    worker = int(random.choice(log.read_text().splitlines()).split()[1])
    os.kill(worker, signal.SIGKILL)
    wait_for(log, 30, process)
    process.kill()
    process.wait()
    workers = {int(line.split()[1]) for line in log.read_text().splitlines()}
    before, first = finished(out), Counter(begun(log))
    assert 10 < len(before) < 64
    assert sum(first.values()) - len(first) <= 1, "only the lost worker's cell was begun twice"
    while any(map(runs, workers)):  # they end with the driver
        time.sleep(0.02)
    log.write_text("")
    report = sweep(out, Inline())
    assert (report.found, report.painted) == (len(before), 64 - len(before))
    after = finished(out)
    assert len(after) == len(rows(out)) == 64
    assert {name: after[name] for name in before} == before, "not one was written again"
    assert not set(begun(log)) & before.keys()
    assert all(right_pixels(path) for path in (out / "cells").glob("*.png"))


@ray
def test_ray_that_does_not_start_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine it gives up, by an exception of no kind."""
    import ray as module

    def init(**how: object) -> None:
        raise Exception("The current node timed out\nduring startup.")

    monkeypatch.setattr(module, "init", init)
    with pytest.raises(ConfigError, match=r"timed out.during startup") as error:
        Cluster(2)
    assert "\n" not in str(error.value)


@slurm
def test_jobs_of_submitit_write_the_pictures_themselves(tmp_path: Path, log: Path) -> None:
    from gouache.runs.slurm import Slurm

    cells = some_cells(8)
    out = tmp_path / "out"
    manner = Manner(into=str(out / "cells"))
    executor = Slurm(2, tmp_path / "jobs", cluster="local", look_every=0.05)
    report = sweep(out, executor, cells, manner=manner, per_call=4)
    assert (report.painted, report.failed) == (8, 0)
    assert len(begun(log)) == 8
    assert len({line.split()[1] for line in log.read_text().splitlines()}) == 2, "two jobs"
    assert all(right_pixels(path) for path in (out / "cells").glob("*.png"))
    assert len(rows(out)) == 8


@slurm
def test_slurm_that_is_not_there_is_said_in_a_line(tmp_path: Path) -> None:
    from gouache.runs.slurm import Slurm

    for how in ({"cluster": "pbs"}, {"cluster": "local", "parameters": {"slurm_colour": 3}}):
        with pytest.raises(ConfigError):
            Slurm(1, tmp_path, **how)  # type: ignore[arg-type]


def test_pictures_go_with_the_work_where_no_disk_is_shared(tmp_path: Path) -> None:
    """The same file from the same settings, whether they lie there or were sent."""
    picture = tmp_path / "start.png"
    Image.radial_gradient("L").resize((32, 32)).save(picture)
    base = {"size": "32x32", "steps": 2, "perceptor": ["pocket"], "num_cutouts": 2}
    given = {"init_image": str(picture), "image_prompts": [f"{picture}:0.5"]}
    (cell,) = make_cells(Asked(["a star"], seeds=[3], base=base | given))
    (here,) = paint_cells([[cell]], Manner())
    files = files_for([cell.config])
    assert list(files) == [str(picture)]
    picture.unlink()
    (there,) = paint_cells([[cell]], Manner(), files)
    assert not here.error
    told = []
    for painted in (here, there):
        place = tmp_path / "found.png"
        place.write_bytes(painted.data)
        record = read_metadata(place)
        del record["sweep"]
        told.append((load_image(place).tobytes(), record))
    assert told[0] == told[1]
    (gone,) = paint_cells([[cell]], Manner())
    assert "start.png" in gone.error


def test_all_executors_paint_the_same_pixels() -> None:
    base = {"size": "32x32", "steps": 2, "perceptor": ["pocket"], "num_cutouts": 2}
    cells = make_cells(Asked(["a star"], seeds=[3, 4], base=base))
    (here, _) = paint_cells([[cell] for cell in cells], Manner())
    with Processes(1) as executor:
        (there,) = executor.call(paint_cells, [[cells[0]]], Manner()).result()
    assert pixels(here.data) == pixels(there.data)


def pixels(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as picture:
        return picture.tobytes()
