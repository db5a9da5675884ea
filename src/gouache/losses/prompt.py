"""How far the cutouts are from a prompt (VQGAN-CLIP, section 2 and appendix H.1)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from gouache.protocols import LossContext
from gouache.settings.schedule import Number, Schedule


def spherical_distance(x: Tensor, y: Tensor) -> Tensor:
    """Half the squared angle between unit vectors: (...,D), (...,D) -> (...), in [0, pi^2/2].

    Equals `2 * arcsin(|x - y| / 2) ** 2`, as public implementations write it, but is computed from
    tan(angle/2) = |x - y| / |x + y|: arcsin has no finite slope at antipodes and loses half of its
    digits near them, whereas this gradient is finite everywhere and zero where x equals y.
    """
    apart = torch.linalg.vector_norm(x - y, dim=-1)
    together = torch.linalg.vector_norm(x + y, dim=-1)
    return 2 * torch.atan2(apart, together).square()


def stopped(values: Tensor, reached: Tensor) -> Tensor:
    """`values` unchanged, but without gradient where the boolean `reached` is true."""
    return torch.where(reached, values.detach(), values)


def now(number: Number, context: LossContext) -> float:
    """A setting that may be a schedule, at the context's step."""
    if isinstance(number, Schedule):
        return number.at(context.step, context.num_steps)
    return number


def columns(embeddings: Tensor, pictures: Tensor | None) -> Tensor:
    """The pictures that a loss is about: (N,B,D), indices (P,) -> (N,P,D); None for all."""
    return embeddings if pictures is None else embeddings.index_select(1, pictures)


def over_cutouts(
    values: Tensor, place: Tensor | None, pictures: Tensor | None, context: LossContext
) -> Tensor:
    """The mean of values (N,P) over the cutouts, (P,), by how much each counts for a `place`."""
    if place is None or context.places is None:
        return values.mean(0)
    counted = columns(context.places.movedim(0, -1), pictures)  # (N,P,L)
    own = counted.gather(-1, place.expand(len(values), -1)[..., None])[..., 0]
    return (own * values).mean(0)


def for_batch(values: Tensor, pictures: Tensor | None, batch: int) -> Tensor:
    """Values (P,) of `pictures` (P,) -> (B,), 0 for all others; as they are for None."""
    return values if pictures is None else values.new_zeros(batch).index_add(0, pictures, values)


@dataclass(frozen=True)
class PromptLoss:
    """`|weight| * mean(d * sign(weight))` over the cutouts; d is the distance to `embedding`.

    A negative weight pushes the picture away. The gradient is that of `max(d * sign(weight), stop)`
    for each cutout, so one that is near enough (or, with a negative weight, far enough) rests.
    `embedding` is (1,D), or (B,D) with a prompt of its own for each picture; weight and stop are
    numbers for all of them, or (B,). With `pictures`, the indices (P,) of those of the batch that
    are asked this, these are (1,D) or (P,D), and (P,); the value of all other pictures is 0.
    `place`, (P,) or (B,), is the number of each one's place in the context: what lies there counts.
    """

    scope: ClassVar[str] = "cutouts"

    name: str
    embedding: Tensor = field(repr=False)
    weight: float | Tensor = 1.0
    stop: float | Tensor = -math.inf
    pictures: Tensor | None = field(default=None, repr=False)
    place: Tensor | None = field(default=None, repr=False)

    def __call__(self, context: LossContext) -> Tensor:
        """(B,)."""
        seen = columns(context.embeddings, self.pictures)
        signed = spherical_distance(seen, self.embedding)  # (N,P)
        weight = torch.as_tensor(self.weight, device=signed.device)
        signed = torch.where(weight < 0, -signed, signed)
        value = weight.abs() * over_cutouts(
            stopped(signed, signed <= self.stop), self.place, self.pictures, context
        )
        return for_batch(value, self.pictures, context.embeddings.shape[1])


__all__ = [
    "PromptLoss",
    "columns",
    "for_batch",
    "now",
    "over_cutouts",
    "spherical_distance",
    "stopped",
]
