"""A prompt must fit better than other captions do.

A small perceptor's embeddings lie close together: a picture can come nearer to a prompt and nearer
to everything else at once. Asking which of many captions fits best, the perceptor's own training
task (CLIP, Radford et al. 2021, section 2.3), removes what they have in common.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from gouache.losses.prompt import spherical_distance, stopped
from gouache.protocols import LossContext

SYNONYM = 0.9  # cosine from which a caption counts as another way to say the prompt


def rivals(bank: Tensor, wanted: Tensor, unwanted: Tensor, synonym: float = SYNONYM) -> Tensor:
    """Captions that a picture should not fit: (K,D), (P,D), (Q,D) unit vectors -> (R,D).

    Entries of `bank` that resemble any of the `wanted` embeddings (prompts of positive weight) are
    left out, or a synonym would be pushed away with the rest. `unwanted` embeddings (text prompts
    of negative weight) join as rivals even so: that they are near is why they were named.
    """
    near = (bank @ wanted.T >= synonym).any(1)
    return torch.cat([bank[~near], unwanted])


@dataclass(frozen=True)
class ContrastLoss:
    """`weight * mean(-log softmax(scale * [e.embedding, e.rivals]))` of the first, over cutouts e.

    `embedding` is (1,D) or (B,D), `rivals` (R,D). Cutouts for which the prompt's own loss has
    reached `stop` give no gradient here either, or the stop would not hold.
    """

    scope: ClassVar[str] = "cutouts"

    name: str
    embedding: Tensor = field(repr=False)
    rivals: Tensor = field(repr=False)
    weight: float = 1.0
    scale: float = 20.0
    stop: float = -math.inf

    def __call__(self, context: LossContext) -> Tensor:
        """(B,)."""
        target = (context.embeddings * self.embedding).sum(-1, keepdim=True)  # (N,B,1)
        others = context.embeddings @ self.rivals.T  # (N,B,R)
        scores = self.scale * torch.cat([target, others], -1)
        surprise = torch.logsumexp(scores, -1) - scores[..., 0]  # (N,B)
        if self.stop > -math.inf:
            with torch.no_grad():
                reached = spherical_distance(context.embeddings, self.embedding) <= self.stop
            surprise = stopped(surprise, reached)
        return self.weight * surprise.mean(0)


__all__ = ["SYNONYM", "ContrastLoss", "rivals"]
