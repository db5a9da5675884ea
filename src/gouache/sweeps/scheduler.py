"""Deals work out to an executor as its workers get free, and again where a worker is lost."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Future
from queue import SimpleQueue
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")
LOSSES = 3  # of workers, by the same task: then it is the task


def scheduled(
    tasks: Iterable[Task],
    begin: Callable[[Task], Future[Result]],
    width: int,
    stop: Callable[[], bool] = lambda: False,
    lost: Callable[[Task], object] = lambda task: None,
) -> Iterator[tuple[Task, Future[Result]]]:
    """Each task with its result, as they are finished; futures that are given are done.

    Tasks are taken from `tasks` when there is room for them: `width` at once, and a few that wait,
    so that no worker does. A task whose worker ended (`BrokenExecutor`) is begun again, after
    `lost` was told; its third loss is its result. Once `stop()` is true nothing new is begun, and
    what is being done is waited for.
    """
    waiting = iter(tasks)
    again: deque[Task] = deque()
    losses: Counter[int] = Counter()
    flying: dict[Future[Result], Task] = {}
    done: SimpleQueue[Future[Result]] = SimpleQueue()
    most = width + (width + 7) // 8 if width > 1 else 1
    stopped = False
    while True:
        while len(flying) < most and not stop():
            if again:
                task = again.popleft()
            else:
                try:
                    task = next(waiting)
                except StopIteration:
                    break
            future = begin(task)
            flying[future] = task
            future.add_done_callback(done.put)
        if not flying:
            return
        if stop() and not stopped:
            stopped = True
            for future in list(flying):
                future.cancel()  # those that nobody has begun
        future = done.get()
        task = flying.pop(future)
        if future.cancelled():
            continue
        if isinstance(future.exception(), BrokenExecutor):
            losses[id(task)] += 1
            if losses[id(task)] < LOSSES:
                lost(task)
                again.append(task)
                continue
        losses.pop(id(task), None)
        yield task, future


__all__ = ["LOSSES", "scheduled"]
