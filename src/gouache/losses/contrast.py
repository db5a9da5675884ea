"""A prompt must fit better than other captions do.

A small perceptor's embeddings lie close together: a picture can come nearer to a prompt and nearer
to everything else at once. Asking which of many captions fits best, the perceptor's own training
task (CLIP, Radford et al. 2021, section 2.3), removes what they have in common.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from gouache.losses.prompt import columns, for_batch, now, over_cutouts, spherical_distance, stopped
from gouache.protocols import LossContext
from gouache.settings.schedule import Number

SYNONYM = 0.9  # cosine from which a caption counts as another way to say the prompt


def rivals(bank: Tensor, wanted: Tensor, unwanted: Tensor, synonym: float = SYNONYM) -> Tensor:
    """Captions that a picture should not fit: (K,D), (P,D), (Q,D) unit vectors -> (R,D).

    Entries of `bank` that resemble any of the `wanted` embeddings (prompts of positive weight) are
    left out, or a synonym would be pushed away with the rest. `unwanted` embeddings (text prompts
    of negative weight) join as rivals even so: that they are near is why they were named.
    """
    return torch.cat([bank[~_synonyms(bank, wanted, synonym)], unwanted])


def shared_rivals(
    bank: Tensor, asked: Sequence[tuple[Tensor, Tensor]], synonym: float = SYNONYM
) -> tuple[Tensor, Tensor | None]:
    """The rivals of several pictures in one table, as the bank is large: (R,D) and absent (G,R).

    `asked` holds the wanted (P,D) and unwanted (Q,D) embeddings of each of G pictures, as for
    `rivals`. True in `absent` are the rows that are not among a picture's own rivals; None where
    all pictures have all of them.
    """
    if len(asked) == 1:
        return rivals(bank, *asked[0], synonym), None
    table = torch.cat([bank, *(unwanted for _, unwanted in asked)])
    owners = torch.tensor([n for n, (_, own) in enumerate(asked) for _ in own], device=bank.device)
    numbers = torch.arange(len(asked), device=bank.device)
    near = torch.stack([_synonyms(bank, wanted, synonym) for wanted, _ in asked])
    absent = torch.cat([near, owners != numbers[:, None]], 1)
    used = ~absent.all(0)
    table, absent = table[used], absent[:, used]
    return table, absent if bool(absent.any()) else None


def _synonyms(bank: Tensor, wanted: Tensor, synonym: float) -> Tensor:  # (K,)
    return (bank @ wanted.T >= synonym).any(1)


@dataclass(frozen=True)
class ContrastLoss:
    """`weight * mean(-log softmax(scale * [e.embedding, e.rivals]))` of the first, over cutouts e.

    `rivals` is (R,D); embedding, weight, stop, pictures and place are as for `PromptLoss`. Cutouts
    for which the prompt's own loss has reached `stop` give no gradient here either, or the stop
    would not hold. `absent` (P,R), or (B,R) without `pictures`, is true for the rows of `rivals`
    that are rivals of other pictures only. `factor` multiplies the weight of all, at each step.
    """

    scope: ClassVar[str] = "cutouts"

    name: str
    embedding: Tensor = field(repr=False)
    rivals: Tensor = field(repr=False)
    weight: float | Tensor = 1.0
    scale: Number = 20.0
    stop: float | Tensor = -math.inf
    pictures: Tensor | None = field(default=None, repr=False)
    absent: Tensor | None = field(default=None, repr=False)
    factor: Number = 1.0
    place: Tensor | None = field(default=None, repr=False)

    def __call__(self, context: LossContext) -> Tensor:
        """(B,)."""
        seen = columns(context.embeddings, self.pictures)
        target = (seen * self.embedding).sum(-1, keepdim=True)  # (N,P,1)
        others = seen @ self.rivals.T  # (N,P,R)
        if self.absent is not None:
            others = others.masked_fill(self.absent, -math.inf)
        scores = now(self.scale, context) * torch.cat([target, others], -1)
        surprise = torch.logsumexp(scores, -1) - scores[..., 0]  # (N,P)
        if isinstance(self.stop, Tensor) or self.stop > -math.inf:
            with torch.no_grad():
                reached = spherical_distance(seen, self.embedding) <= self.stop
            surprise = stopped(surprise, reached)
        surprise = over_cutouts(surprise, self.place, self.pictures, context)
        value = now(self.factor, context) * self.weight * surprise
        return for_batch(value, self.pictures, context.embeddings.shape[1])


__all__ = ["SYNONYM", "ContrastLoss", "rivals", "shared_rivals"]
