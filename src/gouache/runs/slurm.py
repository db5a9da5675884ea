"""Jobs on a SLURM cluster, by submitit: each call is a job of its queue. The disk is shared."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, Future
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from gouache.errors import ConfigError
from gouache.prompts import one_line
from gouache.runs.executors import Executor

T = TypeVar("T")
MISSING = (
    "submitit is not installed; run: pip install 'gouache[cluster]', or use --executor processes"
)
JOBS = 16  # in the queue at once, unless it is said
LOOK_EVERY = 2.0  # seconds between two questions whether jobs are done


def check_slurm(cluster: str = "slurm") -> None:
    """Raises `ConfigError` where submitit is not installed, or this machine knows no SLURM."""
    if find_spec("submitit") is None:
        raise ConfigError(MISSING)
    if cluster not in ("slurm", "local"):
        raise ConfigError(f"the cluster is {cluster!r:.40}; expected slurm or local")
    if cluster == "slurm" and shutil.which("sbatch") is None:
        raise ConfigError("this machine has no sbatch, so no SLURM; use --executor processes")


class Slurm(Executor):
    """Does calls as jobs of SLURM.

    Args:
        number: jobs in the queue at once.
        folder: for submitit's files; on the disk that all machines see.
        threads: processors of each job.
        parameters: of submitit, "slurm_partition" and the like.
        cluster: "slurm"; "local" does jobs in processes of this machine, for a trial.
    """

    def __init__(
        self,
        number: int,
        folder: Path,
        threads: int = 1,
        parameters: Mapping[str, Any] | None = None,
        cluster: str = "slurm",
        look_every: float = LOOK_EVERY,
    ) -> None:
        check_slurm(cluster)
        import submitit

        self.width = number
        self._submitit: Any = submitit
        self._executor: Any = submitit.AutoExecutor(folder=folder, cluster=cluster)
        try:
            self._executor.update_parameters(
                name="gouache", cpus_per_task=threads, **(parameters or {})
            )
        except (NameError, TypeError, ValueError) as error:
            raise ConfigError(f"SLURM cannot be asked for that: {one_line(error, 200)}") from None
        self._jobs: dict[Future[Any], Any] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._look, args=(look_every,), daemon=True)
        self._watch.start()

    def call(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # SLURM has it from now on
        job = self._executor.submit(function, *arguments)
        with self._lock:
            self._jobs[future] = job
        return future

    def _look(self, look_every: float) -> None:
        while not self._ended.wait(look_every):
            with self._lock:
                done = [(future, job) for future, job in self._jobs.items() if job.done()]
                for future, _ in done:
                    del self._jobs[future]
            for future, job in done:
                self._finish(future, job)

    def _finish(self, future: Future[Any], job: Any) -> None:
        try:
            future.set_result(job.result())
        except self._submitit.core.utils.FailedJobError as error:  # the function raised
            future.set_exception(RuntimeError(str(error)))
        except Exception as error:  # killed, out of time or memory, its machine is gone
            future.set_exception(BrokenExecutor(one_line(error, 200)))

    def __exit__(self, *exception: Any) -> None:
        self._ended.set()
        self._watch.join()
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:  # where it was ended early: nobody waits for them any more
            job.cancel()


__all__ = ["JOBS", "Slurm", "check_slurm"]
