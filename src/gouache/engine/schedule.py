"""What changes over a run, computed from the step alone so that a resumed run agrees exactly."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from gouache.errors import ConfigError
from gouache.losses import ContrastLoss, DecayingLoss, SteppedLoss, TotalVariationLoss
from gouache.protocols import Loss, LossContext
from gouache.settings.config import OptimizerConfig, PaintConfig
from gouache.settings.schedule import Schedule, scheduled

if TYPE_CHECKING:
    from torch import Tensor


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


# The settings that multiply losses of these kinds.
_WEIGHTS: dict[str, tuple[type, ...]] = {
    "latent_weight": (DecayingLoss, SteppedLoss),
    "contrast_weight": (ContrastLoss,),
    "tv_weight": (TotalVariationLoss,),
}


@dataclass(frozen=True)
class ScheduledLoss:
    """A loss times a number that depends on the step."""

    loss: Loss
    factor: Schedule

    @property
    def name(self) -> str:
        return self.loss.name

    @property
    def scope(self) -> str:
        return str(getattr(self.loss, "scope", "everything"))

    @property
    def pictures(self) -> Tensor | None:
        """The pictures of the batch that it is about, None for all."""
        found: Tensor | None = getattr(self.loss, "pictures", None)
        return found

    def __call__(self, context: LossContext) -> Tensor:
        """(B,)."""
        return self.factor.at(context.step, context.num_steps) * self.loss(context)


def with_unit_weights(config: PaintConfig) -> PaintConfig:
    """The settings with 1 for every weight of a loss that is a schedule: `with_schedules` then
    multiplies by it. A pull on the latent that has a schedule is not lowered otherwise as well."""
    units = dict.fromkeys(_scheduled_weights(config), 1.0)
    if "latent_weight" in units:
        units |= {"latent_decay": 0.0, "latent_drop": 0.0}
    return config.updated(**units) if units else config


def with_schedules(losses: Sequence[Loss], config: PaintConfig) -> list[Loss]:
    """Losses made `with_unit_weights`, each times the schedule of its weight where it has one."""
    made = list(losses)
    for name, factor in _scheduled_weights(config).items():
        kinds = _WEIGHTS[name]
        made = [ScheduledLoss(one, factor) if isinstance(one, kinds) else one for one in made]
    return made


def _scheduled_weights(config: PaintConfig) -> dict[str, Schedule]:
    found = {**scheduled(config.latents), **scheduled(config.guidance)}
    return {name: found[name] for name in _WEIGHTS if name in found}


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


__all__ = [
    "ScheduledLoss",
    "learning_rate",
    "stage_at",
    "steps_per_stage",
    "with_schedules",
    "with_unit_weights",
]
