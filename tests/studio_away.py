"""What workers of a studio paint with in tests: the tiny models, as slowly as the words want it.

Where this is imported in a worker, runs go on with the tiny models, too.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from gouache.apps.studio.filming import FilmPainter
from gouache.apps.studio.orders import Order
from gouache.apps.studio.painter import Painter
from gouache.engine import Session, resume_session
from gouache.errors import ConfigError
from gouache.films.film import Film
from gouache.output.run_folder import RunFolder
from gouache.runs.executors import Executor
from studio_client import tiny_build, tiny_reopened
from tiny import TinyGenerator, TinyPerceptor

T = TypeVar("T")


def away_build(order: Order) -> Session | Film:
    """Paints with the tiny models; "slow" words take 0.02 s a step, "deadly" ones end the process,
    "impossible" ones are refused."""
    words = order.config.title
    if "deadly" in words:
        os._exit(1)
    if "impossible" in words:
        raise ConfigError("this is impossible")
    return slow(tiny_build(order)) if "slow" in words else tiny_build(order)


def slow(session: Any) -> Any:
    advance = session._try_step

    def patient() -> Any:
        time.sleep(0.02)
        return advance()

    session._try_step = patient
    return session


def reopened(painter: object, folder: RunFolder) -> Session:
    """In the place of `Painter._reopened`."""
    models = {"generator": TinyGenerator(), "perceptor": TinyPerceptor()}
    session = resume_session(folder.state_path, **models)
    return slow(session) if "slow" in session.config.title else session


class Kept(Executor):
    """A worker that outlives its studio, for the next test; processes take long to begin."""

    def __init__(self, executor: Any) -> None:
        self.executor = executor

    def call(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        found: Future[T] = self.executor.call(function, *arguments)
        return found

    @property
    def pids(self) -> list[int]:
        return list(self.executor.pids)


def is_worker() -> bool:
    ray = Path(sys.argv[0] if sys.argv else "").name == "default_worker.py"
    return ray or multiprocessing.parent_process() is not None


if is_worker():
    Painter._reopened = reopened  # type: ignore[method-assign,assignment]
    FilmPainter._reopened = tiny_reopened  # type: ignore[method-assign,assignment]
