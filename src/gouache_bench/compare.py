"""Runs the loops in turns and sums up."""

from __future__ import annotations

import contextlib
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from gouache.engine import Session
from gouache.engine.loop import steps
from gouache.networks.models import Guide
from gouache.networks.pool import prepare
from gouache.ops.allocator import give_back, keep_freed
from gouache.settings.config import PaintConfig, make_config
from gouache_bench.naive import NaiveLoop
from gouache_bench.networks import as_published, networks
from gouache_bench.stages import count_flops, product_rate, timed_step, wait_for
from gouache_bench.workers import Worker

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass
class Measured:
    """Seconds of every step of one loop, and GB at the peak of its process, networks included.

    Of ours also the seconds of every stage (medians), and the floor.
    """

    name: str
    seconds: list[float] = field(default_factory=list)
    memory: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    floor: float = 0.0

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def settings(
    kind: str, size: int, num_cutouts: int, precision: str, device: str = "cpu"
) -> PaintConfig:
    """What both loops are asked for; ours without trying starts, which is not a step."""
    preset = "pocket" if kind == "pocket" else "paper"
    return make_config(
        preset,
        prompt="a red apple",
        size=(size, size),
        num_cutouts=num_cutouts,
        precision=precision,
        device=device,
        steps=(100_000,),
        start="random",
        start_tries=1,
        start_steps=0,
    )


def session_of(
    kind: str, size: int, num_cutouts: int, precision: str, device: str = "cpu"
) -> Session:
    """Our loop, with networks of its own."""
    generator, perceptor = networks(kind, device)
    for model in (generator, perceptor):
        prepare(model, DTYPES[precision])
    config = settings(kind, size, num_cutouts, precision, device)
    return Session.build(config, generator=generator, perceptor=[Guide(perceptor)])


class Ours:
    """Our loop in a process of its own."""

    def __init__(self, kind: str, size: int, num_cutouts: int, precision: str, device: str) -> None:
        self._device = torch.device(device)
        self._session = session_of(kind, size, num_cutouts, precision, device)

    def steps(self, number: int) -> list[float]:
        """Seconds of each."""
        one = steps(self._session, number)
        return [_timed(lambda: next(one), self._device) for _ in range(number)]

    def memory(self) -> float:
        return peak(self._device)

    def stages(self) -> dict[str, float]:
        return timed_step(self._session)

    def flops(self) -> int:
        return count_flops(lambda: next(steps(self._session, 1)))


class Published:
    """The published loop in a process of its own, with its own operations unless `shared`."""

    def __init__(self, kind: str, size: int, num_cutouts: int, shared: bool, device: str) -> None:
        self._device = torch.device(device)
        found = networks(kind, device)
        if shared:
            keep_freed()
        else:
            found = as_published(*found)
        give_back()  # what loading left behind, as ours does
        self._loop = NaiveLoop(*found, (size, size), num_cutouts)

    def steps(self, number: int) -> list[float]:
        """Seconds of each."""
        return [_timed(self._loop.step, self._device) for _ in range(number)]

    def memory(self) -> float:
        return peak(self._device)


TURN = 0.5  # seconds, roughly
NAIVE = "naive, fp32"
SHARED = "naive, our networks"


def compare(
    kind: str,
    size: int,
    num_cutouts: int,
    precisions: list[str],
    rounds: int,
    *,
    naive: bool,
    device: str = "cpu",
) -> list[Measured]:
    """`rounds` turns of each loop, one after the other so that a busy machine treats all alike."""
    shape = kind, size, num_cutouts
    with contextlib.ExitStack() as stack:
        loops: list[tuple[Measured, Worker]] = []
        for name, shared in ((NAIVE, False), (SHARED, True)) if naive else ():
            worker = stack.enter_context(Worker(Published, *shape, shared, device))
            loops.append((Measured(name), worker))
        for precision in precisions:
            worker = stack.enter_context(Worker(Ours, *shape, precision, device))
            loops.append((Measured(f"gouache, {precision}"), worker))
        # The first step allocates. A turn of several short ones is not spent on filling caches.
        last = [worker.call("steps", 2)[-1] for _, worker in loops]
        turn = max(1, round(TURN / max(last)))
        for _ in range(rounds):
            for measured, worker in loops:
                measured.seconds += worker.call("steps", turn)
        for measured, worker in loops:
            measured.memory = worker.call("memory")
            if measured.name in (NAIVE, SHARED):
                continue
            laps = [worker.call("stages") for _ in range(max(3, rounds // 2))]
            measured.stages = {k: statistics.median(lap[k] for lap in laps) for k in laps[0]}
            rate = product_rate(DTYPES[measured.name.rpartition(" ")[2]], device)
            measured.floor = worker.call("flops") / rate
    return [measured for measured, _ in loops]


def _timed(step: Callable[[], object], device: torch.device) -> float:
    begun = time.perf_counter()
    step()
    wait_for(device)
    return time.perf_counter() - begun


def peak(device: torch.device) -> float:
    """GB at the most so far: of the card where there is one, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1024**3
    return peak_resident()


def peak_resident() -> float:
    """GB that this process had in memory at most."""
    try:
        # Linux hands `ru_maxrss` down to children, so it may be the parent's; this is our own.
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return float(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024**2
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1024**3 if sys.platform == "darwin" else 1024**2)


__all__ = [
    "Measured",
    "Ours",
    "Published",
    "compare",
    "peak",
    "peak_resident",
    "session_of",
    "settings",
]
