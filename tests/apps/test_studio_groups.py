"""Several pictures of one order: seeds in a row, painted in turn, each its own run."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient

from gouache.apps.studio.http import make_app
from gouache.apps.studio.orders import Limits, Order
from gouache.apps.studio.runs import load_runs
from gouache.apps.studio.worker import Studio
from gouache.engine import Session
from gouache.errors import ConfigError
from gouache.halting import check
from gouache.perceptors.truncation import TruncationWarning
from gouache.protocols import Step
from gouache.watching import watcher
from studio_client import SMALL, submit, tiny_build, wait
from studio_tiny import Gate, gated, order, reaches, until


@pytest.fixture
def studio(tmp_path: Path, gate: Gate) -> Iterator[Studio]:
    with gated(tmp_path / "runs", gate, Limits(queue_each=5)) as studio:
        yield studio


def pixels(path: Path) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(path))


def test_each_of_four_has_the_pixels_of_its_seed_alone(tmp_path: Path) -> None:
    with TestClient(make_app(Studio(tmp_path / "runs", build=tiny_build), local=True)) as client:
        asked = {"prompt": "a red apple", "settings": {**SMALL, "seed": 5}, "count": 3}
        told = client.post("/api/runs", json=asked).json()
        assert [run["seed"] for run in told["runs"]] == [5, 6, 7]
        assert told["id"] == told["runs"][0]["id"]
        assert len({run["group"] for run in told["runs"]} | {told["group"]}) == 1
        assert told["group"]
        alone = submit(client, settings={"seed": 6})
        for run in (*(run["id"] for run in told["runs"]), alone):
            wait(client, run, "done")
        assert client.get(f"/api/runs/{alone}").json()["group"] == ""
        folder = tmp_path / "runs" / "runs"
        second = folder / told["runs"][1]["id"] / "picture.png"
        assert (pixels(second) == pixels(folder / alone / "picture.png")).all()
        assert {run.group for run in load_runs(tmp_path / "runs")} == {told["group"], ""}


@pytest.mark.parametrize("count", [0, 5, -1, True, 2.0, "2", None])
def test_more_than_four_are_refused(tmp_path: Path, count: Any) -> None:
    with TestClient(make_app(Studio(tmp_path / "runs", build=tiny_build), local=True)) as client:
        answer = client.post("/api/runs", json={"prompt": "x", "settings": SMALL, "count": count})
        assert answer.status_code == 400
        assert "1 to 4" in answer.json()["error"]


def test_all_form_together_and_each_stops_by_itself(studio: Studio, gate: Gate) -> None:
    steps: list[int] = []
    gate.open.set()
    build = studio._painter._build

    def watched(asked: Order) -> Session:
        session = build(asked)
        advance = session._try_step

        def told() -> Any:
            steps.append(session.config.seed)
            if session.config.seed == 1 and steps.count(1) == 3:
                studio.pause(runs[1])
            return advance()

        session._try_step = told  # type: ignore[method-assign]
        return session

    studio._painter._build = watched
    runs: list[Any] = []
    with studio._news:  # so that `runs` is there before anything is painted
        runs += studio.submit_all(Order(order().config, count=3), "ada")
    reaches(runs[0], "done")
    reaches(runs[2], "done")
    assert steps[:6] == [0, 1, 2, 0, 1, 2]
    reaches(runs[1], "paused")
    assert runs[1].step < 4
    studio.delete(runs[0])
    studio.go_on(runs[1])
    reaches(runs[1], "done")
    assert runs[1].step == 6


def test_who_goes_on_joins_the_others(studio: Studio, gate: Gate) -> None:
    runs = studio.submit_all(Order(order().config, count=2), "ada")
    other = studio.submit(order("another"), "bob")
    reaches(runs[0], "painting")
    studio.pause(runs[1])
    gate.open.set()
    reaches(runs[1], "paused")
    assert other.status in ("queued", "starting", "painting", "done")
    studio.go_on(runs[1])
    for run in (*runs, other):
        reaches(run, "done")


def test_a_group_waits_and_is_admitted_as_a_whole(studio: Studio, gate: Gate) -> None:
    first = studio.submit(order("first"), "ada")
    reaches(first, "painting")
    group = studio.submit_all(Order(order().config, count=4), "ada")
    with pytest.raises(Exception, match="4 pictures of yours are waiting"):
        studio.submit_all(Order(order().config, count=2), "ada")
    assert [studio.position(run) for run in group] == [1, 2, 3, 4]
    assert len(studio.runs) == 5
    assert len(list((studio.root / "runs").glob("*"))) == 5
    studio.stop(group[2])
    assert group[2].status == "cancelled"
    gate.open.set()
    for run in (group[0], group[1], group[3]):
        reaches(run, "done")


def test_one_that_fails_leaves_the_others(studio: Studio, gate: Gate) -> None:
    gate.open.set()
    build = studio._painter._build

    def failing(asked: Order) -> Session:
        session = build(asked)
        if asked.config.seed == 1:
            session._try_step = None  # type: ignore[assignment,method-assign]
        return session

    studio._painter._build = failing
    runs = studio.submit_all(Order(order().config, count=3), "ada")
    until(lambda: all(run.ended for run in runs))
    assert [run.status for run in runs] == ["done", "failed", "done"]


def test_starts_are_found_in_turn_and_told_apart(studio: Studio, gate: Gate) -> None:
    gate.open.set()
    seen: list[int] = []

    def build(asked: Order) -> Session:
        for number in range(3):
            seen.append(asked.config.seed)
            show = watcher()
            assert show is not None
            show(Step(number, 3, 0, torch.rand(1, 3, 24, 32), {}))
        warnings.warn(f"seed {asked.config.seed}", TruncationWarning, stacklevel=1)
        return tiny_build(asked)

    studio._painter._build = build
    runs = studio.submit_all(Order(order().config, count=2), "ada")
    for run in runs:
        reaches(run, "done")
    assert seen == [0, 1, 0, 1, 0, 1]
    assert [[note.text for note in run.notes.values()] for run in runs] == [["seed 0"], ["seed 1"]]


def test_one_is_stopped_while_starts_are_found(studio: Studio, gate: Gate) -> None:
    gate.open.set()

    def build(asked: Order) -> Session:
        show = watcher()
        assert show is not None
        for number in range(4):
            check()
            if (asked.config.seed, number) == (1, 2):
                studio.stop(runs[1])
            show(Step(number, 3, 0, torch.rand(1, 3, 24, 32), {}))
        if asked.config.seed == 2:
            raise ConfigError("not this one")
        return tiny_build(asked)

    studio._painter._build = build
    runs: list[Any] = []
    with studio._news:
        runs += studio.submit_all(Order(order().config, count=3), "ada")
    reaches(runs[0], "done")
    assert [run.status for run in runs] == ["done", "cancelled", "failed"]
    assert runs[2].error == "not this one"
    assert not [one for one in threading.enumerate() if one.name == "start"]
