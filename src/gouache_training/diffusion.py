"""Trains pocket-diffusion: to take noise out of pictures' latents, given their captions.

Two networks in one go (`gouache.systems.latent_diffusion`): the denoiser, the text left out now and
then for classifier-free guidance, and a perceptor of noised latents, taught by the shipped one to
see what that sees in the clean picture (as GLIDE's noised CLIP, Nichol et al. 2021).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.generators.vqgan import VQGAN
from gouache.perceptors.pocket import PocketPerceptor
from gouache.systems.latent_diffusion import (
    STEPS,
    LatentDiffusion,
    LatentDiffusionConfig,
    kept_shares,
    noised,
)
from gouache_training.codes import CodesTraining
from gouache_training.compose import Composer, Shares
from gouache_training.feed import Feed, next_pictures
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


@dataclass(frozen=True)
class DiffusionTraining:
    """Settings of a training of pocket-diffusion."""

    batch: int = 64
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.02
    channels: int = 96
    width: int = 256
    layers: int = 5
    guide_channels: tuple[int, ...] = (64, 128, 160)
    pool: int = 32_768  # pictures whose latents are kept
    fill: int = 2_000  # of which so many are there before the first step
    fresh: int = 8  # new ones per step
    gather_every: int = 4  # steps for which new ones come together
    silent_share: float = 0.12  # captions left out
    contrast_weight: float = 0.1  # of telling a picture's caption from the others'
    contrast_scale: float = 25.0  # inverse temperature of that
    save_every: int = 4_000  # with the pool a checkpoint is large
    shares: Shares = field(default_factory=lambda: CodesTraining().shares)  # as the prior
    seed: int = 11


class Pool:
    """Latents of the latest pictures, token ids of their captions, and what the perceptor makes of
    both, in a ring on the device that learns from them."""

    def __init__(
        self, size: int, latent: tuple[int, ...], context: int, dim: int, device: torch.device
    ) -> None:
        def table(*shape: int, dtype: torch.dtype = torch.float16) -> Tensor:
            return torch.zeros(size, *shape, dtype=dtype, device=device)

        self.rows = {
            "latents": table(*latent),
            "tokens": table(context, dtype=torch.int32),
            "seen": table(dim),
            "told": table(dim),
        }
        self.size, self.added = size, 0

    def add(self, **values: Tensor) -> None:
        """(n,...) of each; tokens (n,L), L at most the context."""
        count = len(values["tokens"])
        device = self.rows["tokens"].device
        places = (self.added + torch.arange(count, device=device)) % self.size
        missing = self.rows["tokens"].shape[1] - values["tokens"].shape[1]
        values = values | {"tokens": F.pad(values["tokens"], (0, missing))}
        for name, table in self.rows.items():
            table[places] = values[name].to(table)
        self.added += count

    def draw(self, n: int, rng: torch.Generator) -> dict[str, Tensor]:
        """`n` rows at random."""
        taken = min(self.added, self.size)
        device = self.rows["tokens"].device
        places = torch.randint(taken, (n,), generator=rng, device=device)
        return {name: table[places] for name, table in self.rows.items()}

    def state(self) -> dict[str, Any]:
        """Of the rows that are taken."""
        taken = min(self.added, self.size)
        rows = {name: table[:taken].clone().cpu() for name, table in self.rows.items()}
        return rows | {"added": self.added}

    def restore(self, state: dict[str, Any]) -> None:
        """What `state` gave; of a pool of another size, nothing: it fills anew."""
        taken = len(state["tokens"])
        if taken == min(state["added"], self.size):
            for name, table in self.rows.items():
                table[:taken] = state[name].to(table)
            self.added = state["added"]


class DiffusionTrainer(Trainer[LatentDiffusion, DiffusionTraining]):
    """Trains both networks. Of the pool a checkpoint holds all, as it takes minutes to fill."""

    def __init__(
        self,
        pictures: PictureSet,
        generator: VQGAN,
        perceptor: PocketPerceptor,
        settings: DiffusionTraining,
        budget: Budget,
        device: str = "auto",
        feed: Feed | None = None,
    ) -> None:
        self.settings, self.budget, self.feed = settings, budget, feed
        self.device = pick_device(device)
        self.generator, self.perceptor = generator.to(self.device), perceptor.to(self.device)
        self.shape = LatentDiffusionConfig(
            code_dim=generator.code_dim,
            grid=generator.native_size // generator.downsampling,
            channels=settings.channels,
            width=settings.width,
            layers=settings.layers,
            table_dim=perceptor.config.table_dim,
            context=perceptor.config.context,
            guide_channels=settings.guide_channels,
            embed_dim=perceptor.embed_dim,
        )
        torch.manual_seed(settings.seed)  # initial weights; a trainer owns its process
        self.model = LatentDiffusion(self.shape).to(self.device)
        # What latents are made of: codes, each as often as pictures have it.
        codes, often = generator.codebook, generator.code_prior[:, None]
        self.model.mean.copy_((often * codes).sum(0))
        self.model.deviation.copy_((often * (codes - self.model.mean) ** 2).sum(0).sqrt())
        self.rng = torch.Generator().manual_seed(settings.seed)  # of the composer
        self.chance = torch.Generator(self.device).manual_seed(settings.seed)  # of what is learnt
        self.composer = Composer(focused(pictures), self.rng, settings.shares)
        shape = self.shape
        latent = (shape.code_dim, shape.grid, shape.grid)
        self.pool = Pool(settings.pool, latent, shape.context, shape.embed_dim, self.device)
        self.kept = torch.from_numpy(kept_shares()).float().to(self.device)
        groups = parameter_groups(self.model.parameters(), settings.weight_decay)
        self.optimizer = Muon(groups, lr=settings.learning_rate)
        self.average = Average(self.model)
        self.meter = Meter()

    @torch.no_grad()
    def gather(self, n: int) -> None:
        """Encodes `n` new pictures into the pool; a feed gives as many as it does at a time."""
        size = self.generator.native_size
        image, captions = next_pictures(self.feed, self.composer, n, size, self.device)
        tokens = self.perceptor.tokenizer(captions, warn=False).to(self.device)
        side = self.perceptor.image_size
        small = F.interpolate(image, (side, side), mode="bicubic", antialias=True).clamp(0, 1)
        with self.autocast():
            latent = self.generator.encode_features(
                image.contiguous(memory_format=torch.channels_last)
            )
            seen = self.perceptor.embed_image(small)
            told = self.perceptor.text_tower(tokens)
        self.pool.add(
            latents=self.model.normalised(latent.float()), tokens=tokens, seen=seen, told=told
        )

    def step(self) -> None:
        settings, budget = self.settings, self.budget
        while self.pool.added < settings.fill:
            self.gather(min(100, settings.pool))
        if budget.step % settings.gather_every == 0:
            self.gather(settings.fresh * settings.gather_every)
        set_rate(self.optimizer, budget.learning_rate(settings.learning_rate))
        drawn, n = self.pool.draw(settings.batch, self.chance), settings.batch
        clean, tokens = drawn["latents"].float(), drawn["tokens"].long()
        draws = torch.rand(2, n, generator=self.chance, device=self.device)
        # One step of each of n equal parts: no batch has all easy ones.
        places = (torch.arange(n, device=self.device) + draws[0]) / n
        steps = (places * STEPS).long().clamp(max=STEPS - 1)
        noise = torch.randn(clean.shape, generator=self.chance, device=self.device)
        latents, velocity = noised(clean, noise, self.kept[steps])
        words = self.perceptor.text_tower.vectors(tokens)
        present = (tokens != 0) & (draws[1] >= settings.silent_share)[:, None]
        with self.autocast():
            told = self.model.denoiser(latents, steps, words, present)
            seen = self.model.guide(latents, steps)
        denoising = F.mse_loss(told, velocity)
        distilled, named, right = self._guided(seen, drawn)
        loss = denoising + distilled + settings.contrast_weight * named
        descend(loss, self.model, self.optimizer)
        self.average.update(self.model, budget.step)
        self.meter.update(loss=denoising, guide=distilled, named=named, right=right)
        budget.step += 1

    def _guided(self, seen: Tensor, drawn: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """How far embeddings (N,D) are from those of the clean pictures, the loss of telling their
        captions from the others', and how many are told. 0-d each."""
        distilled = 1 - (seen * drawn["seen"].float()).sum(1).mean()
        tokens = drawn["tokens"]
        logits = self.settings.contrast_scale * seen @ drawn["told"].float().T
        own = torch.arange(len(seen), device=self.device)
        same = (tokens[:, None] == tokens).all(2) & (own[:, None] != own)
        logits = logits.masked_fill(same, -1e4)
        right = (logits.argmax(1) == own).float().mean()
        return distilled, F.cross_entropy(logits, own), right

    @property
    def config(self) -> dict[str, Any]:
        """The networks' shape, and whose captions and pictures they know."""
        return asdict(self.shape) | {"perceptor": self.perceptor.fingerprint}

    def state(self) -> dict[str, Any]:
        return super().state() | {
            "config": self.config,
            "codebook": self.generator.codebook,
            "pool": self.pool.state(),
            "chance": (self.device.type, self.chance.get_state()),
        }

    def bring_back(self, content: dict[str, Any]) -> None:
        super().bring_back(content)
        device, chance = content["chance"]
        if device == self.device.type:  # those of other devices are of another kind
            self.chance.set_state(chance)
        if "pool" in content:
            self.pool.restore(content["pool"])

    def also(self) -> dict[str, float]:
        return {"pool": self.pool.added}
