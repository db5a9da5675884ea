"""Runs the loops in turns and sums up."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

import torch

from gouache.bench.naive import NaiveLoop
from gouache.bench.networks import networks
from gouache.bench.stages import count_flops, product_rate, timed_step
from gouache.config import PaintConfig, make_config
from gouache.engine import Session
from gouache.engine.models import Guide, prepare

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass
class Measured:
    """Seconds of every step of one loop; of ours also of every stage (medians), and the floor."""

    name: str
    seconds: list[float] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=dict)
    floor: float = 0.0

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def settings(kind: str, size: int, num_cutouts: int, precision: str) -> PaintConfig:
    """What both loops are asked for; ours without trying starts, which is not a step."""
    preset = "pocket" if kind == "pocket" else "paper"
    return make_config(
        preset,
        prompt="a red apple",
        size=(size, size),
        num_cutouts=num_cutouts,
        precision=precision,
        steps=(100_000,),
        start="random",
        start_tries=1,
        start_steps=0,
    )


def session_of(kind: str, size: int, num_cutouts: int, precision: str) -> Session:
    """Our loop, with networks of its own."""
    generator, perceptor = networks(kind)
    for model in (generator, perceptor):
        prepare(model, DTYPES[precision])
    config = settings(kind, size, num_cutouts, precision)
    return Session.build(config, generator=generator, perceptor=[Guide(perceptor)])


def compare(
    kind: str, size: int, num_cutouts: int, precisions: list[str], rounds: int, *, naive: bool
) -> list[Measured]:
    """`rounds` steps of each loop, in turns so that a busy machine treats all alike."""
    found: list[Measured] = []
    steps: list[Callable[[], object]] = []
    if naive:
        loop = NaiveLoop(*networks(kind), (size, size), num_cutouts)
        found.append(Measured("naive, fp32"))
        steps.append(loop.step)
    sessions = {}
    for precision in precisions:
        session = session_of(kind, size, num_cutouts, precision)
        found.append(Measured(f"gouache, {precision}"))
        steps.append(session.__next__)
        sessions[found[-1].name] = session, precision
    for step in steps:
        step()  # the first one allocates
    for measured, step in islice(cycle(zip(found, steps, strict=True)), rounds * len(steps)):
        begun = time.perf_counter()
        step()
        measured.seconds.append(time.perf_counter() - begun)
    for measured in found:
        if measured.name in sessions:
            session, precision = sessions[measured.name]
            laps = [timed_step(session) for _ in range(max(3, rounds // 2))]
            measured.stages = {k: statistics.median(lap[k] for lap in laps) for k in laps[0]}
            flops = count_flops(session.__next__)
            measured.floor = flops / product_rate(DTYPES[precision])
    return found


def peak_memory(kind: str, size: int, num_cutouts: int, loop: str) -> float:
    """GB that a process of its own took for two steps: called in that process."""
    if loop == "naive":
        naive = NaiveLoop(*networks(kind), (size, size), num_cutouts)
        naive.step(), naive.step()
    else:
        session = session_of(kind, size, num_cutouts, loop)
        next(session), next(session)
    return peak_resident()


def peak_resident() -> float:
    try:
        # Linux hands `ru_maxrss` down to children, so it may be the parent's; this is our own.
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return float(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024**2
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1024**3 if sys.platform == "darwin" else 1024**2)


__all__ = ["Measured", "compare", "peak_memory", "peak_resident", "session_of", "settings"]
