"""A pull on the latent that weakens over the run (VQGAN-CLIP, section 2.4 and appendix G.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from gouache.losses.prompt import now
from gouache.protocols import LossContext
from gouache.settings.schedule import Number, Schedule


@dataclass(frozen=True)
class DecayingLoss:
    """`weight * (1 - decay)^step * mean(z^2)`: strong while shapes form, weak when details do."""

    scope: ClassVar[str] = "picture"

    weight: Number
    decay: float
    name: str = "latent"

    def __call__(self, context: LossContext) -> Tensor:
        """(B,)."""
        weight = now(self.weight, context) * (1 - self.decay) ** context.step
        return weight * context.latent.square().flatten(1).mean(1)


@dataclass(frozen=True)
class SteppedLoss:
    """`w/2 * mean((z - target)^2)`, w lowered by `drop` every `every` steps until it is 0.

    A weight that is a schedule is taken as it is.

    `target` (B,code_dim,h,w) is the init image's latent, so that an init image is not forgotten;
    without one it is None, meaning 0. The variant of the public notebooks.
    """

    scope: ClassVar[str] = "picture"

    weight: Number
    drop: float
    every: int
    target: Tensor | None = field(default=None, repr=False)
    name: str = "latent"

    def _lowered(self, step: int) -> float:
        return max(0.0, self.weight - self.drop * (step // self.every))

    def drops_at(self, step: int) -> bool:
        """Whether w at `step` was lowered since the step before."""
        if step == 0 or isinstance(self.weight, Schedule):
            return False
        return self._lowered(step) < self._lowered(step - 1)

    def __call__(self, context: LossContext) -> Tensor:
        """(B,)."""
        apart = context.latent if self.target is None else context.latent - self.target
        scheduled = isinstance(self.weight, Schedule)
        weight = now(self.weight, context) if scheduled else self._lowered(context.step)
        return weight / 2 * apart.square().flatten(1).mean(1)


__all__ = ["DecayingLoss", "SteppedLoss"]
