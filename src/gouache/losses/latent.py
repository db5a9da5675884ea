"""A pull on the latent that weakens over the run (VQGAN-CLIP, section 2.4 and appendix G.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from gouache.protocols import LossContext


@dataclass(frozen=True)
class DecayingLoss:
    """`weight * (1 - decay)^step * mean(z^2)`: strong while shapes form, weak when details do."""

    scope: ClassVar[str] = "picture"

    weight: float
    decay: float
    name: str = "latent"

    def __call__(self, context: LossContext) -> Tensor:
        """(B,)."""
        weight = self.weight * (1 - self.decay) ** context.step
        return weight * context.latent.square().flatten(1).mean(1)


@dataclass(frozen=True)
class SteppedLoss:
    """`w/2 * mean((z - target)^2)`, w lowered by `drop` every `every` steps until it is 0.

    `target` (B,code_dim,h,w) is the init image's latent, so that an init image is not forgotten;
    without one it is None, meaning 0. The variant of the public notebooks.
    """

    scope: ClassVar[str] = "picture"

    weight: float
    drop: float
    every: int
    target: Tensor | None = field(default=None, repr=False)
    name: str = "latent"

    def weight_at(self, step: int) -> float:
        """w at a step of the whole run."""
        return max(0.0, self.weight - self.drop * (step // self.every))

    def drops_at(self, step: int) -> bool:
        """Whether w at `step` is lower than it was one step before."""
        return step > 0 and self.weight_at(step) < self.weight_at(step - 1)

    def __call__(self, context: LossContext) -> Tensor:
        """(B,)."""
        apart = context.latent if self.target is None else context.latent - self.target
        return self.weight_at(context.step) / 2 * apart.square().flatten(1).mean(1)


__all__ = ["DecayingLoss", "SteppedLoss"]
