"""Whoever watches sees a start being found, and changes nothing by it."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch

from gouache.apps.fetching import BarWatch
from gouache.apps.preview import Preview
from gouache.apps.progress import Bar
from gouache.protocols import Step
from gouache.watching import watcher, watching
from tiny import tiny_session

TRIES: dict[str, Any] = {"start_tries": 3, "start_steps": 2, "start_scale": 0.5}


@pytest.mark.parametrize("count", [1, 2])
def test_one_try_is_shown_at_the_size_of_the_run(count: int) -> None:
    seen: list[Step] = []
    with watching(seen.append):
        watched = tiny_session(count=count, **TRIES)
    assert watcher() is None
    assert [(step.index, step.num_steps) for step in seen] == [(0, 2), (1, 2)]
    for step in seen:
        assert step.image.shape == (count, 3, 24, 32)
        assert all(len(values) == count for values in step.losses.values())
    assert torch.equal(watched.latent(), tiny_session(count=count, **TRIES).latent())


def test_nobody_is_shown_the_steps_of_the_run() -> None:
    seen: list[Step] = []
    with watching(seen.append):
        session = tiny_session()
        list(session)
    assert seen == []


def test_a_preview_draws_sketches_and_then_steps_in_their_place() -> None:
    stream = io.StringIO()
    with Preview(stream, {"TERM": "xterm-kitty"}, (80, 24)) as preview:
        with watching(preview.sketch):
            session = tiny_session(**TRIES)
        assert "sketch 1/2" in stream.getvalue()
        begin = stream.tell()
        preview.show(next(session))
    assert "\x1b[" in stream.getvalue()[begin:][:4]
    assert "step 1/6" in stream.getvalue()


def test_a_preview_that_drew_nothing_writes_nothing() -> None:
    stream = io.StringIO()
    with Preview(stream, {"TERM": "xterm"}, (80, 24)):
        pass
    assert stream.getvalue() == ""


def test_the_bar_counts_sketches_apart_from_steps() -> None:
    with Bar() as bar:
        with watching(bar.sketch):
            session = tiny_session(**TRIES)
        (sketching,) = bar._bar.tasks
        assert (sketching.description, sketching.completed, sketching.total) == ("sketching", 2, 2)
        bar.show(next(session))
        (painting,) = bar._bar.tasks
        assert (painting.description, painting.completed, painting.total) == ("painting", 1, 6)


def test_a_download_has_a_row_per_file() -> None:
    with BarWatch() as bar:
        bar.progress("a", 0, 10)
        bar.progress("b", 1, None)
        bar.progress("a", 7, 10)
        found = [(task.description, task.completed, task.total) for task in bar._bar.tasks]
    assert found == [("a", 7, 10), ("b", 1, None)]
