"""Jobs on a Ray cluster, or on this machine by Ray: an actor for each card, or share of one.

Models are loaded once for each actor. What comes back is the value of the call, through Ray, so no
disk is shared; the same version of gouache has to be installed on each machine.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future
from importlib.util import find_spec
from typing import Any, TypeVar

from gouache.errors import ConfigError
from gouache.prompts import one_line
from gouache.runs.executors import Executor

T = TypeVar("T")
MOST_FAILED = 3  # starts for each actor
LOCAL_MEMORY = 512 << 20  # bytes for pictures on their way, where Ray is started here


def check_ray(instead: str = "use --executor processes") -> None:
    """Raises `ConfigError` where Ray is not installed; `instead` is what else there is."""
    if find_spec("ray") is None:
        raise ConfigError(
            f"Ray is not installed; run: pip install 'gouache[cluster]', or {instead}"
        )


def join(address: str, processors: float | None = None) -> Any:
    """Ray, which this process has joined, once however often it is asked: the cluster at `address`,
    or "" for one of this machine with so many processors. Raises `ConfigError`."""
    check_ray()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nothing is reported to anybody
    # Ray lets its workers wait for everybody else (15); those that paint are why it is here.
    os.environ.setdefault("RAY_worker_niceness", "0")
    import ray

    if ray.is_initialized():
        return ray
    how: dict[str, Any] = {"address": address}
    if not address:
        how = {"include_dashboard": False, "object_store_memory": LOCAL_MEMORY}
        if processors is not None:
            how["num_cpus"] = max(processors, 1)
    try:
        ray.init(log_to_driver=False, logging_level="ERROR", **how)
    except Exception as error:  # of no kind of its own where Ray does not start in time
        where = f" at {one_line(address, 60)}" if address else ""
        raise ConfigError(
            f"no Ray cluster can be reached{where}: {one_line(error, 120)}; start one with: "
            "ray start --head"
        ) from None
    return ray


def room(address: str, cpus: float = 1, gpus: float = 1) -> int:
    """How many actors the cluster has room for, 1 at least; `gpus` only where it has any."""
    there = join(address).cluster_resources()
    found = there.get("GPU", 0) / gpus if gpus and there.get("GPU") else there.get("CPU", 1) / cpus
    return max(1, int(found + 1e-6))


class Cluster(Executor):
    """Does calls in actors of Ray.

    Args:
        number: actors; None for as many as the cluster has room for when it is joined.
        address: of a cluster ("auto": the one that this machine belongs to); "" starts Ray here.
        cpus: processors that an actor takes.
        gpus: cards that it takes, or a share of one; none where the cluster has none.

    An actor that ends, or whose machine does, fails its call with `BrokenExecutor`; another one is
    begun, and gets calls once it is there. Several of one process are in the same cluster, and the
    first one that is left leaves it for all. Raises `ConfigError` without Ray or a cluster.
    """

    def __init__(
        self,
        number: int | None = None,
        address: str = "",
        cpus: float = 1,
        gpus: float = 1,
    ) -> None:
        ray = self._ray = join(address, None if number is None else number * cpus)
        gpus = gpus if ray.cluster_resources().get("GPU") else 0.0
        self.width = number or room(address, cpus, gpus)
        self._actor = ray.remote(_Actor).options(num_cpus=cpus, num_gpus=gpus, max_restarts=0)
        self._lock = threading.Lock()
        self._idle: deque[Any] = deque()
        self._waiting: deque[tuple[Callable[..., Any], tuple[Any, ...], Future[Any]]] = deque()
        self._open = True
        self._failed = 0  # actors in a row that were never there
        self._reason = ""  # why none can be
        for _ in range(self.width):
            self._begin_actor()

    def share(self, value: T) -> T:
        """A reference: each machine fetches the value once."""
        found: T = self._ray.put(value)
        return found

    def call(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        future: Future[T] = Future()
        if self._reason:
            future.set_exception(ConfigError(self._reason))
            return future
        with self._lock:
            self._waiting.append((function, arguments, future))
        self._deal()
        return future

    def pids(self) -> list[int]:
        """Of the actors that wait for a call."""
        with self._lock:
            idle = list(self._idle)
        return [int(pid) for pid in self._ray.get([actor.pid.remote() for actor in idle])]

    def _begin_actor(self) -> None:
        """It gets calls when it is there: until there is room for it, that may take long."""
        if not self._open:
            return
        actor = self._actor.remote()

        def ready(pid: Future[int]) -> None:
            if pid.exception() is None:
                self._failed = 0
                self._free(actor)
            elif self._open:
                self._failed += 1
                if self._failed < MOST_FAILED * self.width:
                    self._begin_actor()
                else:
                    self._give_up(one_line(pid.exception(), 200))

        actor.pid.remote().future().add_done_callback(ready)

    def _give_up(self, reason: str) -> None:
        """No actor can be begun: whoever waits for one is told."""
        self._reason = f"Ray begins no worker ({reason}); is gouache installed on its machines?"
        with self._lock:
            orphans, self._waiting = self._waiting, deque()
        for _, _, future in orphans:
            if future.set_running_or_notify_cancel():
                future.set_exception(ConfigError(self._reason))

    def _free(self, actor: Any) -> None:
        with self._lock:
            self._idle.append(actor)
        self._deal()

    def _deal(self) -> None:
        """Gives calls to actors that are free."""
        while True:
            with self._lock:
                if not (self._idle and self._waiting):
                    return
                function, arguments, future = self._waiting.popleft()
                if not future.set_running_or_notify_cancel():
                    continue
                actor = self._idle.popleft()
            result = actor.call.remote(function, *arguments).future()
            result.add_done_callback(lambda done, a=actor, f=future: self._done(a, f, done))

    def _done(self, actor: Any, future: Future[Any], result: Future[Any]) -> None:
        error = result.exception()
        if error is None:
            self._free(actor)
            future.set_result(result.result())
        elif isinstance(error, self._ray.exceptions.RayTaskError):
            self._free(actor)  # the function raised it
            future.set_exception(getattr(error, "cause", None) or error)
        else:
            self._begin_actor()
            future.set_exception(BrokenExecutor(one_line(error, 120)))

    def __exit__(self, *exception: Any) -> None:
        self._open = False
        with contextlib.suppress(Exception):
            self._ray.shutdown()


class _Actor:
    """Lives in a worker of Ray; what it loads stays."""

    def pid(self) -> int:
        return os.getpid()

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        return function(*arguments)


__all__ = ["Cluster", "check_ray"]
