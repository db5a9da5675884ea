"""A picture that was begun in a style stays near what was drawn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from gouache.losses.prompt import for_batch, now
from gouache.protocols import LossContext
from gouache.settings.schedule import Number


@dataclass(frozen=True)
class StyleLoss:
    """`weight / 2 * mean((z - target)^2)` of the `pictures` (P,), indices into the batch.

    `target` is (P,code_dim,h,w). The pull of the public notebooks towards an init image
    (`latent.SteppedLoss`), never lowered: what the guides know least of is what would go first.
    """

    scope: ClassVar[str] = "picture"

    weight: Number
    target: Tensor = field(repr=False)
    pictures: Tensor = field(repr=False)
    name: str = "style"

    def __call__(self, context: LossContext) -> Tensor:
        """(B,)."""
        apart = context.latent.index_select(0, self.pictures) - self.target
        value = now(self.weight, context) / 2 * apart.square().flatten(1).mean(1)
        return for_batch(value, self.pictures, len(context.latent))


__all__ = ["StyleLoss"]
