"""How likely codes are by the prior, given the others and the words: a term of the loss.

A prior of codes as a prior of a free latent: each cell is a mixture of Gaussians around the codes,
their shares what the prior expects where it does not see the cell. The gradient leads each cell
from where it is towards the codes that are both near and expected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from gouache.losses.prompt import now
from gouache.ops.codes import squared_norms
from gouache.priors.loading import Proposer
from gouache.protocols import LossContext
from gouache.settings.schedule import Number

GROUPS = 4  # of patches: one is hidden at each step, and all are in as many steps
VARIANCE = 2.0  # of the mixture: codes lie about 4 apart, the nearest less than 1


def hidden_cells(grid: int, patch: int, step: int) -> Tensor:
    """(grid,grid) true in every second row of every second column of patches, by turns.

    Whole patches are hidden: of a single cell its neighbours alone tell enough, and nothing of what
    the picture shows.
    """
    places = torch.arange(grid) // patch
    down, across = divmod(step % GROUPS, 2)
    return (places[:, None] % 2 == down) & (places % 2 == across)


def surprise(latent: Tensor, logits: Tensor, codebook: Tensor) -> Tensor:
    """Cells (M,D), what is expected of them (M,K), codes (K,D) -> nats (M,), but for a constant.

    The negative logarithm of the mixture's density, with gradient to the cells.
    """
    codes = codebook.detach().float()
    apart = torch.addmm(squared_norms(codes), latent, codes.T, alpha=-2.0)
    apart = (apart + latent.square().sum(1, keepdim=True)) / (2 * VARIANCE)
    return -(logits.log_softmax(-1) - apart).logsumexp(-1)


@dataclass(frozen=True)
class PriorLoss:
    """`weight` times the mean surprise of a quarter of the cells, another one at each step.

    `texts` are each picture's words; one without any has the value 0. Where the latent is on the
    prior's own grid and codes (`direct`), it is looked at itself. Otherwise the prior sees what it
    proposes to: the square in the middle of the picture, at its own size, encoded.
    """

    scope: ClassVar[str] = "picture"

    weight: Number
    texts: Sequence[str]
    proposer: Proposer = field(repr=False)
    direct: bool
    name: str = "prior"

    def __call__(self, context: LossContext) -> Tensor:
        """(B,)."""
        told = [number for number, text in enumerate(self.texts) if text]
        values = context.image.new_zeros(len(self.texts))
        if not told:
            return values
        chosen = torch.tensor(told, device=values.device)
        if self.direct:
            latent = context.latent[chosen]
        else:
            latent = self.proposer.read(context.image[chosen])
        found = []
        # One at a time: a picture must not depend on its neighbours' words or number.
        for text, own in zip((self.texts[k] for k in told), latent, strict=True):
            found.append(self._of_one(text, own, context.step))
        weight = now(self.weight, context)
        return values.index_add(0, chosen, weight * torch.stack(found))

    def _of_one(self, text: str, latent: Tensor, step: int) -> Tensor:
        config = self.proposer.prior.config
        hidden = hidden_cells(config.grid, config.patch, step).to(latent.device)
        logits = self.proposer.expected(text, latent, hidden)
        cells = latent.float().movedim(0, -1)[hidden]
        return surprise(cells, logits, self.proposer.generator.codebook).mean()


__all__ = ["GROUPS", "PriorLoss", "hidden_cells", "surprise"]
