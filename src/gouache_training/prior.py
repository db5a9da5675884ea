"""Trains the token prior: to guess masked codes of pictures from the others and the caption.

Masked modelling as in MaskGIT (Chang et al. 2022), with the text left out now and then for
classifier-free guidance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from gouache.priors.token_prior import TokenPrior, TokenPriorConfig
from gouache_training.codes import CodesTrainer, CodesTraining
from gouache_training.loop import descend


@dataclass(frozen=True)
class PriorTraining(CodesTraining):
    """Settings of a prior's training."""

    layers: int = 4
    width: int = 256
    scored_share: float = 0.4  # of the masked codes


class PriorTrainer(CodesTrainer[TokenPrior, PriorTraining]):
    """Trains the prior."""

    config: TokenPriorConfig

    def build(self, grid: int, codes: int, table: tuple[int, int]) -> TokenPrior:
        self.config = TokenPriorConfig(
            codebook_size=codes,
            grid=grid,
            width=self.settings.width,
            layers=self.settings.layers,
            vocabulary=table[0],
            table_dim=table[1],
        )
        return TokenPrior(self.config)

    def step(self) -> None:
        settings, budget = self.settings, self.budget
        codes, tokens = self.begin()
        # The share of masked codes follows the cosine schedule of decoding.
        draw = torch.rand(len(codes), 1, generator=self.rng)
        share = torch.cos(0.5 * math.pi * draw).clamp(min=0.02)
        hide = torch.rand(codes.shape, generator=self.rng) < share
        present = self.heard(tokens)
        # Scoring some of them teaches nearly as much; over a thousand codes each is not cheap.
        scored = hide & (torch.rand(codes.shape, generator=self.rng) < settings.scored_share)
        codes, hide, scored = (x.to(self.device) for x in (codes, hide, scored))
        words = self.table[tokens.to(self.device)]
        given = torch.where(hide, self.model.mask_token, codes)
        grid = self.config.grid
        with self.autocast():
            cells = self.model.features(given.view(-1, grid, grid), words, present.to(self.device))
            logits = self.model.logits(cells.flatten(1, 2)[scored])
        loss = F.cross_entropy(logits, codes[scored])
        descend(loss, self.model, self.optimizer)
        self.average.update(self.model, budget.step)
        right = (logits.argmax(-1) == codes[scored]).float().mean()
        self.meter.update(loss=loss, right=right)
        budget.step += 1
