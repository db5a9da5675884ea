"""A studio whose pictures are painted by processes: the same pixels, and none is lost with one."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gouache.apps.studio import remote
from gouache.apps.studio.crew import Crew
from gouache.apps.studio.film_orders import read_any_order
from gouache.apps.studio.orders import Limits, Order
from gouache.apps.studio.painter import Painter
from gouache.apps.studio.runs import Run
from gouache.apps.studio.worker import Studio
from gouache.output.pictures import read_metadata
from gouache.runs.cluster import Cluster, join
from gouache.runs.executors import Processes
from studio_away import Kept, away_build, reopened
from studio_client import SMALL, tiny_build
from studio_tiny import order, reaches, strokes, until


@pytest.fixture(scope="module")
def processes() -> Iterator[list[Processes]]:
    """Two workers for all tests here: each takes seconds to begin."""
    made = [Processes(1), Processes(1)]
    for begun in [one.call(remote.prepare, 1, False) for one in made]:
        begun.result()
    yield made
    for one in made:
        one.__exit__(None)


Hire = Callable[..., Studio]


@pytest.fixture
def hire(tmp_path: Path, processes: list[Processes]) -> Iterator[Hire]:
    """`hire(2)`: a studio with so many workers, in the same folder each time; closed in the end."""
    studios: list[Studio] = []

    def make(number: int = 2) -> Studio:
        kept = [Kept(one) for one in processes[:number]]
        studio = Studio(tmp_path / "runs", build=away_build, workers=kept, threads=1)
        studios.append(studio)
        return studio

    yield make
    for studio in studios:
        studio.close()


@pytest.fixture
def single(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    """One that paints by itself."""
    monkeypatch.setattr(Painter, "_reopened", reopened)
    studio = Studio(tmp_path / "single", build=tiny_build)
    yield studio
    studio.close()


def pixels(run: Run) -> bytes:
    with Image.open(run.picture_path) as picture:
        return picture.convert("RGB").tobytes()


def told(run: Run) -> dict[str, Any]:
    """What the picture's file tells, but for the run that it is of."""
    return {name: v for name, v in read_metadata(run.picture_path).items() if name != "studio"}


def under(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def slow(number: int, steps: int = 60) -> Order:
    return order(f"slow {number}", seed=number, steps=[steps])


def test_pictures_of_two_visitors_are_painted_at_once(hire: Hire, single: Studio) -> None:
    studio = hire()
    runs = [studio.submit(slow(0), "ada"), studio.submit(slow(1), "bob")]
    until(lambda: all(run.status == "painting" for run in runs))
    assert studio.hands() == ["painting", "painting"]
    for number, run in enumerate(runs):
        reaches(run, "done")
        reaches(alone := single.submit(slow(number), "ada"), "done")
        assert pixels(run) == pixels(alone)
        assert told(run) == told(alone)
        until(lambda run=run: studio.settled(run))  # type: ignore[misc]
        until(lambda alone=alone: single.settled(alone))  # type: ignore[misc]
        assert under(run.path) == under(alone.path)
        assert run.totals == alone.totals
        assert [node["kind"] for node in run.nodes] == ["start", "end"]
        assert run.frame is not None


def test_a_killed_worker_loses_no_picture(
    hire: Hire, single: Studio, processes: list[Processes]
) -> None:
    studio = hire(1)
    run, after = studio.submit(slow(3, 80), "ada"), studio.submit(order("after"), "bob")
    until(lambda: run.step >= 25)
    [pid] = processes[0].pids
    os.kill(pid, signal.SIGKILL)
    reaches(run, "queued")
    assert run.step >= 25
    assert len(list(run.path.glob("steps/*.png"))) >= 2  # what was saved is here
    reaches(run, "done")
    reaches(after, "done")
    assert studio.tally.counts()["losses"] == 1
    assert processes[0].pids != [pid]
    reaches(alone := single.submit(slow(3, 80), "ada"), "done")
    assert pixels(run) == pixels(alone)
    assert run.totals == pytest.approx(alone.totals, abs=1e-4)


def test_what_ends_its_workers_again_and_again_waits_for_its_visitor(
    hire: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gouache.apps.studio.worker.LOSSES", 2)  # each takes a worker's beginning
    studio = hire(1)
    run = studio.submit(order("deadly"), "ada")
    reaches(run, "interrupted")
    assert run.error.startswith("what painted this ended 2 times (")
    assert run.error.endswith("; continue to try again")
    assert "\n" not in run.error
    reaches(studio.submit(order("good"), "bob"), "done")
    assert studio.tally.counts()["losses"] == 2


def test_a_mistake_is_told_in_one_line(hire: Hire) -> None:
    studio = hire(1)
    run = studio.submit(order("impossible"), "ada")
    reaches(run, "failed")
    assert run.error == "this is impossible"


def test_wishes_reach_a_worker(hire: Hire) -> None:
    """Pause, strokes in the pause and while it paints, other words, an end by hand."""
    studio = hire(1)
    run = studio.submit(slow(5, 2000), "ada")
    until(lambda: run.step > 0)
    studio.draw(run, strokes())
    until(lambda: [node["kind"] for node in run.nodes] == ["start", "drawn"])
    until(lambda: not run.drawings)
    assert not list(run.path.glob("drawings/*"))
    studio.pause(run)
    reaches(run, "paused")
    studio.draw(run, strokes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gouache.apps.studio.worker.check_words", lambda run, text: None)
        studio.go_on(run, "slow and blue")
    until(lambda: [node["kind"] for node in run.nodes] == ["start", "drawn", "drawn", "prompt"])
    assert run.config.title == "slow and blue"
    assert run.prompt is None
    step = run.step
    until(lambda: run.step > step)
    studio.stop(run)
    reaches(run, "stopped")
    assert run.picture_path.exists()
    assert sorted(path.name for path in (run.path / "strokes").iterdir()) == ["1.png", "2.png"]


def test_a_paused_picture_is_stopped_between_two_parts_of_another(hire: Hire) -> None:
    studio = hire(1)
    run = studio.submit(slow(6, 2000), "ada")
    until(lambda: run.step > 0)
    studio.pause(run)
    reaches(run, "paused")
    other = studio.submit(slow(7, 2000), "bob")
    until(lambda: other.step > 0)
    studio.stop(run)
    reaches(run, "stopped")
    assert other.status == "painting"
    studio.stop(other)
    reaches(other, "stopped")


def test_four_of_one_order_are_shared_by_idle_workers(hire: Hire, single: Studio) -> None:
    studio = hire()
    until(lambda: all(post.waiting for post in studio._posts))
    runs = studio.submit_all(Order(slow(8, 2000).config, count=4), "ada")
    until(lambda: all(run in studio._at_work for run in runs))
    hands = [studio._at_work[run] for run in runs]
    assert [hands.count(post) for post in studio._posts] == [2, 2]
    for run in runs:
        studio.stop(run)
        reaches(run, "stopped", "cancelled")
    few = studio.submit_all(Order(order().config, count=2), "ada")
    for run in few:
        reaches(run, "done")
    reaches(alone := single.submit(order(seed=1), "ada"), "done")
    assert pixels(few[1]) == pixels(alone)


def test_draining_workers_keep_pictures_for_the_next_ones(hire: Hire, single: Studio) -> None:
    studio = hire(1)
    run = studio.submit(slow(9), "ada")
    until(lambda: run.step > 3)
    studio.drain()
    assert run.status == "queued"
    assert 3 < run.step < 60
    later = hire(2)
    found = later.runs[run.id]
    reaches(found, "done")
    reaches(alone := single.submit(slow(9), "ada"), "done")
    assert pixels(found) == pixels(alone)


def test_a_film_is_painted_by_a_worker(hire: Hire, single: Studio) -> None:
    document = {
        "prompt": "a fish",
        "settings": {**SMALL, "steps": [3]},
        "film": {"frames": 4, "zoom": "1.1"},
    }
    models = {"generator": ["pocket"], "perceptor": ["pocket", "photo"], "latent": ["quantized"]}
    asked = read_any_order(document, Limits(), lambda name: Path(name), models)
    runs = [one.submit(asked, "ada") for one in (hire(1), single)]
    for run in runs:
        reaches(run, "done")
        assert run.painted == 4
    frames = [[run.frame_path(k).read_bytes() for k in range(4)] for run in runs]
    assert pixels(runs[0]) == pixels(runs[1])
    assert len(set(frames[0])) == 4
    assert [len(data) for data in frames[0]] == [len(data) for data in frames[1]]


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
def test_a_ray_cluster_paints_and_a_killed_actor_loses_no_picture(
    tmp_path: Path, single: Studio
) -> None:
    join("", 2)  # as `ray start` would
    workers = [Cluster(1, gpus=0) for _ in range(2)]
    pids = [one.call(os.getpid).result(180) for one in workers]
    assert len(set(pids)) == 2
    studio = Studio(tmp_path / "runs", build=away_build, workers=workers, threads=1)
    until(lambda: studio.hands() == ["idle", "idle"])
    runs = [studio.submit(slow(3, 80), "ada"), studio.submit(slow(4, 80), "bob")]
    until(lambda: all(run.step >= 15 for run in runs))
    os.kill(pids[0], signal.SIGKILL)
    for run in runs:
        reaches(run, "done")
    assert studio.tally.counts()["losses"] == 1
    studio.close()
    for run, seed in zip(runs, (3, 4), strict=True):
        reaches(alone := single.submit(slow(seed, 80), "ada"), "done")
        assert pixels(run) == pixels(alone)


def test_each_worker_has_its_share_of_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gouache.apps.studio.crew.processors", lambda: 8)
    assert [Crew(number).threads for number in (1, 2, 3, 16)] == [8, 4, 2, 1]
    assert (Crew(4, each=3).threads, Crew(cluster="auto").threads) == (3, 1)
    monkeypatch.setattr("gouache.apps.studio.crew.cards", lambda device: ["4", "7"])
    workers = Crew(3).hire()
    assert [one._workers[0]._device for one in workers] == ["4", "7", "4"]  # type: ignore[attr-defined]
