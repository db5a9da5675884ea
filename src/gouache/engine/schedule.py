"""What changes over a run, computed from the step alone so that a resumed run agrees exactly."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from gouache.errors import ConfigError
from gouache.settings.config import OptimizerConfig, PaintConfig
from gouache.settings.schedule import Schedule


def learning_rate(config: OptimizerConfig, step: int, num_steps: int) -> float:
    """Learning rate at `step` (0-based) of a run of `num_steps`, all stages together.

    Rises in equal parts over `lr_warmup` steps, then goes from `learning_rate` to its share
    `lr_final` at the last step, along a half cosine (Loshchilov and Hutter 2017) or a line. A
    learning rate that is itself a schedule says all: those three are not used.
    """
    if isinstance(config.learning_rate, Schedule):
        return config.learning_rate.at(step, num_steps)
    warmup = min(config.lr_warmup, num_steps)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    if config.lr_schedule == "constant":
        return config.learning_rate
    done = min(1.0, (step - warmup) / max(1, num_steps - 1 - warmup))
    if config.lr_schedule == "cosine":
        done = (1 - math.cos(math.pi * done)) / 2
    return config.learning_rate * (1 - done * (1 - config.lr_final))


def steps_per_stage(steps: Sequence[int], num_stages: int) -> tuple[int, ...]:
    """One number for every stage, or one per stage; other counts raise `ConfigError`."""
    if len(steps) == 1:
        return (steps[0],) * num_stages
    if len(steps) != num_stages:
        raise ConfigError(
            f"steps has {len(steps)} numbers and the prompt {num_stages} stage"
            f"{'s' if num_stages > 1 else ''}; "
            "write one number, or one per stage ('^' separates stages)"
        )
    return tuple(steps)


def stage_at(step: int, stage_steps: Sequence[int]) -> int:
    """The stage that `step` falls in; the last one from the end of the run on."""
    return min(bisect_right(list(accumulate(stage_steps)), step), len(stage_steps) - 1)


def steps_of_run(config: PaintConfig) -> int:
    """Steps of all stages together; counts that do not match raise `ConfigError`."""
    return sum(steps_per_stage(config.steps, len(config.stages)))


__all__ = ["learning_rate", "stage_at", "steps_of_run", "steps_per_stage"]
