"""Trains the token prior: to guess masked codes of pictures from the others and the caption.

Masked modelling as in MaskGIT (Chang et al. 2022), with the text left out now and then for
classifier-free guidance. Encoding pictures costs as much as learning from them, so codes are kept
in a pool that a few new pictures enter at every step.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.generators.vqgan import VQGAN
from gouache.perceptors.tokenizer import PocketTokenizer
from gouache.priors.token_prior import TokenPrior, TokenPriorConfig
from gouache_training.compose import Composer, Shares
from gouache_training.feed import Feed
from gouache_training.focus import focused
from gouache_training.loop import (
    Average,
    Budget,
    Meter,
    Trainer,
    descend,
    parameter_groups,
    pick_device,
    set_rate,
)
from gouache_training.muon import Muon
from gouache_training.pack import PictureSet
from gouache_training.token_table import prepare


@dataclass(frozen=True)
class PriorTraining:
    """Settings of a prior's training."""

    batch: int = 80
    learning_rate: float = 2.0e-3
    weight_decay: float = 0.02
    layers: int = 4
    width: int = 256
    pool: int = 60_000  # pictures whose codes are kept
    fill: int = 2_000  # of which so many are there before the first step
    fresh: int = 10  # new ones per step
    silent_share: float = 0.1  # captions left out
    scored_share: float = 0.4  # of the masked codes
    save_every: int = 500
    # Things large and upright, many of them on white: what a first sketch should look like.
    shares: Shares = field(
        default_factory=lambda: Shares(
            pair=0.18,
            count=0.02,
            style=0.16,
            hue=0.06,
            tint=0.12,
            shape=0.01,
            calm=0.85,
            white=0.45,
            scene=0.4,
        )
    )
    seed: int = 3


class Pool:
    """Codes and token ids of the latest pictures, in a ring."""

    def __init__(self, size: int, cells: int, context: int) -> None:
        self.codes = torch.zeros(size, cells, dtype=torch.int16)
        self.tokens = torch.zeros(size, context, dtype=torch.int32)
        self.added = 0

    def add(self, codes: Tensor, tokens: Tensor) -> None:
        """`codes` (n,cells) and `tokens` (n,L), L at most the context."""
        rows = (self.added + torch.arange(len(codes))) % len(self.codes)
        self.codes[rows] = codes.flatten(1).to(torch.int16).cpu()
        self.tokens[rows] = 0
        self.tokens[rows, : tokens.shape[1]] = tokens.to(torch.int32)
        self.added += len(codes)

    def state(self) -> dict[str, Any]:
        """Of the rows that are taken."""
        rows = min(self.added, len(self.codes))
        taken = {"codes": self.codes[:rows].clone(), "tokens": self.tokens[:rows].clone()}
        return {**taken, "added": self.added}

    def restore(self, state: dict[str, Any]) -> None:
        """What `state` gave; of a pool of another size, nothing: it fills anew."""
        rows = len(state["codes"])
        if rows == min(state["added"], len(self.codes)):
            self.codes[:rows], self.tokens[:rows] = state["codes"], state["tokens"]
            self.added = state["added"]

    def draw(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """`n` rows at random: (n,cells) and (n,L) int64, L as long as the longest needs."""
        rows = torch.randint(min(self.added, len(self.codes)), (n,), generator=rng)
        tokens = self.tokens[rows].long()
        longest = max(1, int((tokens != 0).sum(1).max()))
        return self.codes[rows].long(), tokens[:, :longest]


class PriorTrainer(Trainer[TokenPrior, PriorTraining]):
    """Trains the prior. A checkpoint holds the pool, too, which takes minutes to fill."""

    def __init__(
        self,
        pictures: PictureSet,
        cache: Path,
        generator: VQGAN,
        settings: PriorTraining,
        budget: Budget,
        device: str = "auto",
        feed: Feed | None = None,
    ) -> None:
        self.settings, self.budget, self.feed = settings, budget, feed
        self.device = pick_device(device)
        table, tokenizer = prepare(cache)
        self.table = table.to(self.device)
        self.generator = generator.to(self.device)
        self.config = TokenPriorConfig(
            codebook_size=len(generator.codebook),
            grid=generator.native_size // generator.downsampling,
            width=settings.width,
            layers=settings.layers,
            table_dim=table.shape[1],
            vocabulary=len(table),
        )
        torch.manual_seed(settings.seed)  # initial weights; a trainer owns its process
        self.rng = torch.Generator().manual_seed(settings.seed)
        self.model = TokenPrior(self.config).to(self.device)
        self.tokenizer = PocketTokenizer(tokenizer, self.config.context)
        self.composer = Composer(focused(pictures), self.rng, settings.shares)
        self.pool = Pool(settings.pool, self.config.grid**2, self.config.context)
        groups = parameter_groups(self.model.parameters(), settings.weight_decay)
        self.optimizer = Muon(groups, lr=settings.learning_rate)
        self.average = Average(self.model)
        self.meter = Meter()

    @torch.no_grad()
    def gather(self, n: int) -> None:
        """Encodes `n` new pictures into the pool; a feed gives as many as it does at a time."""
        if self.feed is None:
            batch = self.composer.batch(n, size=self.generator.native_size)
            image, captions = batch.image.to(self.device), batch.captions
        else:
            levels, captions = self.feed.batch()
            image = levels.to(self.device, non_blocking=True).float().div_(255)
        with self.autocast():
            latent = self.generator.encode_features(
                image.contiguous(memory_format=torch.channels_last)
            )
        _, codes = self.generator.quantize(latent.float())
        self.pool.add(codes, self.tokenizer(captions, warn=False))

    def step(self) -> None:
        settings, budget = self.settings, self.budget
        while self.pool.added < settings.fill:
            self.gather(min(100, settings.pool))
        self.gather(settings.fresh)
        set_rate(self.optimizer, budget.learning_rate(settings.learning_rate, warmup=100))
        codes, tokens = self.pool.draw(settings.batch, self.rng)
        # The share of masked codes follows the cosine schedule of decoding.
        draw = torch.rand(len(codes), 1, generator=self.rng)
        share = torch.cos(0.5 * math.pi * draw).clamp(min=0.02)
        hide = torch.rand(codes.shape, generator=self.rng) < share
        silent = torch.rand(len(codes), 1, generator=self.rng) < settings.silent_share
        present = (tokens != 0) & ~silent
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

    def state(self) -> dict[str, Any]:
        return super().state() | {
            "config": asdict(self.config),
            "codebook": self.generator.codebook,
            "pool": self.pool.state(),
        }

    def bring_back(self, content: dict[str, Any]) -> None:
        super().bring_back(content)
        if "pool" in content:
            self.pool.restore(content["pool"])

    def also(self) -> dict[str, float]:
        return {"pool": self.pool.added}
