"""Where jobs are done: here, in a thread, in a process of their own. The same pixels everywhere.

with Processes(2) as executor:
    tickets = [executor.submit(job, [Saving(folder)]) for job in jobs]
    pictures = [ticket.result().pictures for ticket in tickets]

Listeners go where the job is done; in a process that means a copy of each, which has to be
picklable at the top of a module. What other machines will need is the same: `submit` and tickets.
"""

from __future__ import annotations

import multiprocessing
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import Executor as Pool
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias

from PIL.Image import Image

from gouache.runs.drive import Listener, drive
from gouache.runs.job import Job


@dataclass(frozen=True)
class Outcome:
    """What became of a job: finished pictures, and what the file of each carries."""

    pictures: tuple[Image, ...] = field(repr=False)
    records: tuple[dict[str, Any], ...] = field(repr=False)
    scores: tuple[float, ...]
    losses: dict[str, list[float]]  # of the last step, one per picture


Ticket: TypeAlias = "Future[Outcome]"
"""A job that is being done: `result()` waits for it, and raises what went wrong in it."""


class Executor(ABC):
    """Does jobs; leaving it (`with`) waits for all of them."""

    @abstractmethod
    def submit(self, job: Job, listeners: Sequence[Listener] = ()) -> Ticket: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: Any) -> None:
        return None


def do(job: Job, listeners: Sequence[Listener] = ()) -> Outcome:
    """Paints a job to its end, here and now."""
    run = drive(job.begin(), listeners)
    pictures = tuple(run.pictures())
    return Outcome(
        pictures,
        tuple(run.record(number) for number in range(len(pictures))),
        tuple(run.scores()),
        {name: values.tolist() for name, values in run.losses.items()},
    )


class Inline(Executor):
    """Does each job when it is submitted."""

    def submit(self, job: Job, listeners: Sequence[Listener] = ()) -> Ticket:
        future: Ticket = Future()
        try:
            future.set_result(do(job, listeners))
        except Exception as error:
            future.set_exception(error)
        return future


class _Pooled(Executor):
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def submit(self, job: Job, listeners: Sequence[Listener] = ()) -> Ticket:
        return self._pool.submit(do, job, tuple(listeners))

    def __exit__(self, *exception: Any) -> None:
        self._pool.shutdown(cancel_futures=exception[0] is not None)


class Threads(_Pooled):
    """Does jobs in `number` threads of this process; they share loaded models."""

    def __init__(self, number: int = 1) -> None:
        super().__init__(ThreadPoolExecutor(number, "gouache-run"))


class Processes(_Pooled):
    """Does jobs in `number` processes that begin with nothing: no global state is shared."""

    def __init__(self, number: int = 1) -> None:
        super().__init__(ProcessPoolExecutor(number, multiprocessing.get_context("spawn")))


__all__ = ["Executor", "Inline", "Outcome", "Processes", "Threads", "Ticket", "do"]
