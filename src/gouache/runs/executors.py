"""Where jobs are done: here, in a thread, in a process of their own. The same pixels everywhere.

with Processes(2) as executor:
    tickets = [executor.submit(job, [Saving(folder)]) for job in jobs]
    pictures = [ticket.result().pictures for ticket in tickets]

Listeners go where the job is done; in a process that means a copy of each, which has to be
picklable at the top of a module. `runs/cluster.py` and `runs/slurm.py` do the same on other
machines. A worker that ends before its call is done (killed, out of memory, a machine that is
gone) fails that call, and no other, with `concurrent.futures.BrokenExecutor`.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from typing import Any, Self, TypeAlias, TypeVar

from PIL.Image import Image

from gouache.errors import GouacheError
from gouache.interrupts import children_wait
from gouache.runs.drive import Listener, drive
from gouache.runs.job import Job

T = TypeVar("T")


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
    """Does jobs, and calls of any function; leaving it (`with`) waits for all of them.

    Left by an exception, it waits for nothing: what is being done is given up where it can be.
    """

    width = 1  # calls that are done at once

    @abstractmethod
    def call(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """`function(*arguments)` where this executor does things; all of it can be pickled."""

    def submit(self, job: Job, listeners: Sequence[Listener] = ()) -> Ticket:
        return self.call(do, job, tuple(listeners))

    def share(self, value: T) -> T:
        """`value` to be given to many calls, as an argument by itself: it is sent there once."""
        return value

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
    """Does each call when it is made."""

    def call(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


class Threads(Executor):
    """Does calls in `number` threads of this process; they share loaded models."""

    def __init__(self, number: int = 1) -> None:
        self.width = number
        self._pool = ThreadPoolExecutor(number, "gouache-run")

    def call(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        return self._pool.submit(function, *arguments)

    def __exit__(self, *exception: Any) -> None:
        self._pool.shutdown(cancel_futures=exception[0] is not None)


class Processes(Executor):
    """Does calls in `number` processes that begin with nothing: no global state is shared.

    Each begins with its first call and keeps the models that it loads. `devices` are values of
    `CUDA_VISIBLE_DEVICES`, dealt out in turn: a process sees one of them. In the place of a process
    that ended another begins. None outlives this process, however it ends.
    """

    def __init__(self, number: int = 1, devices: Sequence[str] = ()) -> None:
        self.width = number
        self._pool = ThreadPoolExecutor(number, "gouache-process")
        self._workers = [
            _Worker(devices[k % len(devices)] if devices else "") for k in range(number)
        ]
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)

    @property
    def pids(self) -> list[int]:
        """Of the processes that are there now."""
        return [worker.pid for worker in self._workers if worker.pid is not None]

    def call(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        return self._pool.submit(self._call, function, arguments)

    def _call(self, function: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        worker = self._idle.get()
        try:
            found: T = worker.call(function, arguments)
            return found
        finally:
            self._idle.put(worker)

    def __exit__(self, *exception: Any) -> None:
        if exception[0] is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            for worker in self._workers:
                worker.end()  # which fails its call
        self._pool.shutdown()
        for worker in self._workers:
            worker.end()


class _Worker:
    """One process that does a call at a time."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._process: Any = None
        self._pipe: Any = None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else int(self._process.pid)

    def call(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        if self._process is None:
            self._start()
        try:
            self._pipe.send((function, arguments))
            failed, answer = self._pipe.recv()
        except (EOFError, OSError):
            self.end()
            raise BrokenExecutor("the process ended; is the memory full?") from None
        if failed:
            raise answer
        return answer

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._device), daemon=True)
        with children_wait():
            self._process.start()
        theirs.close()

    def end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()  # it holds nothing that could be lost
            process.join()


def _serve(pipe: Connection, device: str) -> None:
    if device:
        os.environ["CUDA_VISIBLE_DEVICES"] = device  # before anything asks for a card
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            function, arguments = pipe.recv()
            answer = False, function(*arguments)
        except EOFError:
            return
        except Exception as error:
            if not isinstance(error, GouacheError):
                error.add_note(traceback.format_exc())
            answer = True, error
        pipe.send(answer)


def _end_with_parent() -> None:
    """The parent may be killed while this process paints: nobody wants that picture any more."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


__all__ = ["Executor", "Inline", "Outcome", "Processes", "Threads", "Ticket", "do"]
