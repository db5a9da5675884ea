"""The workers of a studio: processes of this machine, or actors of Ray; each has its executor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gouache.errors import ConfigError
from gouache.networks.devices import cards, processors, resolve_device
from gouache.runs.cluster import Cluster, check_ray, room
from gouache.runs.executors import Executor, Processes


@dataclass(frozen=True)
class Crew:
    """Who paints, as it is asked for.

    `number` is 0 for as many as the cluster has room for; `cluster` is the address of a Ray
    cluster, "" for processes of this machine. `each` is how many threads of the processor a worker
    has; 0 for its share.
    """

    number: int = 0
    cluster: str = ""
    each: int = 0

    def check(self) -> None:
        """Raises `ConfigError` where there cannot be such workers."""
        if not (self.number or self.cluster):
            raise ConfigError("--threads is for --workers and --cluster; set OMP_NUM_THREADS")
        if self.cluster:
            check_ray("paint on this machine alone: --workers N")

    @property
    def threads(self) -> int:
        """Of the processor, for each."""
        share = 1 if self.cluster else processors() // max(self.number, 1)
        return self.each or max(1, share)

    def hire(self) -> Sequence[Executor]:
        """An executor for each worker; `ConfigError` where no cluster is reached."""
        if self.cluster:
            number = self.number or room(self.cluster, self.threads)
            return [Cluster(1, self.cluster, self.threads) for _ in range(number)]
        found = cards(resolve_device("auto"))
        devices = [found[k % len(found) :][:1] for k in range(self.number)] if found else []
        return [Processes(1, devices[k] if devices else ()) for k in range(self.number)]


__all__ = ["Crew"]
