"""Trains pocket-ar: to write the codes of pictures one after the other, from the caption.

Cross-entropy of every code given those before it, as in minDALL-E (Kakao Brain 2021), with the text
left out now and then for classifier-free guidance. It sees what the token prior sees.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F

from gouache.systems.pocket_ar import WordsToCodes, WordsToCodesConfig
from gouache_training.codes import CONTEXT, CodesTrainer, CodesTraining
from gouache_training.loop import descend


@dataclass(frozen=True)
class AutoregressiveTraining(CodesTraining):
    """Settings of its training."""

    layers: int = 8
    width: int = 256
    heads: int = 4
    seed: int = 6


class AutoregressiveTrainer(CodesTrainer[WordsToCodes, AutoregressiveTraining]):
    """Trains the transformer."""

    config: WordsToCodesConfig

    def build(self, grid: int, codes: int, table: tuple[int, int]) -> WordsToCodes:
        self.config = WordsToCodesConfig(
            width=self.settings.width,
            layers=self.settings.layers,
            heads=self.settings.heads,
            text_length=CONTEXT,
            image_length=grid**2,
            text_vocabulary=table[0],
            image_vocabulary=codes,
            table_dim=table[1],
        )
        return WordsToCodes(self.config)

    def step(self) -> None:
        codes, tokens = self.begin()
        present = self.heard(tokens).to(self.device)
        codes, words = codes.to(self.device), self.table[tokens.to(self.device)]
        with self.autocast():
            logits = self.model(words, present, codes)
        logits, target = logits.float().flatten(0, 1), codes.flatten()
        loss = F.cross_entropy(logits, target)
        descend(loss, self.model, self.optimizer)
        self.average.update(self.model, self.budget.step)
        self.meter.update(loss=loss, right=(logits.argmax(-1) == target).float().mean())
        self.budget.step += 1


__all__ = ["AutoregressiveTrainer", "AutoregressiveTraining"]
