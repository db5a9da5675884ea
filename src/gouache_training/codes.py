"""What trainers of networks over codes share: a pool of the codes of composed pictures.

Encoding pictures costs as much as learning from them, so codes are kept in a pool that a few new
pictures enter at every step.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from gouache.generators.vqgan import VQGAN
from gouache.perceptors.tokenizer import PocketTokenizer
from gouache_training.compose import Composer, Shares
from gouache_training.feed import Feed, next_pictures
from gouache_training.focus import focused
from gouache_training.loop import (
    Average,
    Budget,
    Meter,
    Trainer,
    parameter_groups,
    pick_device,
    set_rate,
)
from gouache_training.muon import Muon
from gouache_training.pack import PictureSet
from gouache_training.token_table import prepare

CONTEXT = 24  # tokens of a caption


@dataclass(frozen=True)
class CodesTraining:
    """Settings of every training on codes."""

    batch: int = 80
    learning_rate: float = 2.0e-3
    weight_decay: float = 0.02
    pool: int = 60_000  # pictures whose codes are kept
    fill: int = 2_000  # of which so many are there before the first step
    fresh: int = 10  # new ones per step
    silent_share: float = 0.1  # captions left out
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


M = TypeVar("M", bound=nn.Module)
S = TypeVar("S", bound=CodesTraining)


class CodesTrainer(Trainer[M, S]):
    """Trains on codes of the pool. A checkpoint holds the pool, too, which takes minutes to fill.

    Subclasses `build` their network, say what a `step` is, and begin it with `begin`.
    """

    config: Any

    def __init__(
        self,
        pictures: PictureSet,
        cache: Path,
        generator: VQGAN,
        settings: S,
        budget: Budget,
        device: str = "auto",
        feed: Feed | None = None,
    ) -> None:
        self.settings, self.budget, self.feed = settings, budget, feed
        self.device = pick_device(device)
        table, tokenizer = prepare(cache)
        self.table = table.to(self.device)
        self.generator = generator.to(self.device)
        torch.manual_seed(settings.seed)  # initial weights; a trainer owns its process
        self.rng = torch.Generator().manual_seed(settings.seed)
        grid = generator.native_size // generator.downsampling
        network = self.build(grid, len(generator.codebook), (len(table), table.shape[1]))
        self.model = network.to(self.device)
        self.tokenizer = PocketTokenizer(tokenizer, CONTEXT)
        self.composer = Composer(focused(pictures), self.rng, settings.shares)
        self.pool = Pool(settings.pool, grid**2, CONTEXT)
        groups = parameter_groups(self.model.parameters(), settings.weight_decay)
        self.optimizer = Muon(groups, lr=settings.learning_rate)
        self.average = Average(self.model)
        self.meter = Meter()

    @abstractmethod
    def build(self, grid: int, codes: int, table: tuple[int, int]) -> M:
        """The network over `grid` x `grid` of so many codes, which reads vectors of a table of that
        shape; sets `config`, a dataclass."""

    @torch.no_grad()
    def gather(self, n: int) -> None:
        """Encodes `n` new pictures into the pool; a feed gives as many as it does at a time."""
        size = self.generator.native_size
        image, captions = next_pictures(self.feed, self.composer, n, size, self.device)
        with self.autocast():
            latent = self.generator.encode_features(
                image.contiguous(memory_format=torch.channels_last)
            )
        _, codes = self.generator.quantize(latent.float())
        self.pool.add(codes, self.tokenizer(captions, warn=False))

    def begin(self) -> tuple[Tensor, Tensor]:
        """A step: new pictures, the rate. Codes and tokens to learn from, as `Pool.draw` gives."""
        settings = self.settings
        while self.pool.added < settings.fill:
            self.gather(min(100, settings.pool))
        self.gather(settings.fresh)
        rate = self.budget.learning_rate(settings.learning_rate, warmup=100)
        set_rate(self.optimizer, rate)
        return self.pool.draw(settings.batch, self.rng)

    def heard(self, tokens: Tensor) -> Tensor:
        """Where there is a token, (N,L); nowhere in the captions that are left out."""
        shape = (len(tokens), 1)
        silent = torch.rand(shape, generator=self.rng) < self.settings.silent_share
        return (tokens != 0) & ~silent

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


__all__ = ["CONTEXT", "CodesTrainer", "CodesTraining", "Pool"]
