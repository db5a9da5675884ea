"""Trains the pocket perceptor on composed pictures and their captions.

Two terms: contrast within the batch (as CLIP) and classification against one caption of every
concept (the bank), which gives each picture thousands of rivals where a batch has a hundred.

Adversarial training: later batches are perturbed by a step along the loss's gradient. Encoders
trained so have gradients that look like the thing meant, which is what painting by gradient lives
on (Santurkar et al. 2019; CLIPAG, Ganz and Elad 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.generators.vqgan import VQGAN
from gouache.perceptors.pocket import PocketPerceptor
from gouache.perceptors.tokenizer import PocketTokenizer
from gouache.perceptors.towers import PocketConfig
from gouache_training.compose import Batch, Composer
from gouache_training.dataset import PictureSet, name_bank
from gouache_training.focus import focused
from gouache_training.loop import (
    Average,
    Budget,
    Meter,
    Trainer,
    descend,
    on_device,
    parameter_groups,
    pick_device,
    rng_text,
    set_rate,
    set_rng_text,
)
from gouache_training.muon import Muon
from gouache_training.token_table import prepare


@dataclass(frozen=True)
class PerceptorTraining:
    """Settings of a perceptor's training."""

    batch: int = 256
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    epsilon: float = 1.5  # L2 size of the perturbation of a 64-pixel picture; 0 is off
    ramp: tuple[float, float] = (0.3, 0.5)  # shares of the budget between which epsilon grows
    max_scale: float = 50.0  # cap of the inverse temperature
    # The inverse temperature against the bank is fixed: the learned one serves a hundred rivals and
    # is too soft to tell thousands apart.
    bank_scale: float = 25.0
    bank_every: int = 40  # steps between refreshes of the bank's text embeddings
    bank_weight: float = 0.35  # concepts of less weight in sum are no class of the bank
    save_every: int = 500
    # (share of the budget, side of the pictures from there on): small pictures teach what is what
    # several times faster. The tower takes any size; the last one should be its own.
    sizes: tuple[tuple[float, int], ...] = ((0.0, 32), (0.35, 48))
    # Share of the pictures that are shown as the generator would paint them, where one is given.
    repainted: float = 0.12
    channels: tuple[int, ...] = (32, 64, 128, 256)
    blocks: tuple[int, ...] = (1, 1, 2, 2)
    seed: int = 0


REFEREE = PerceptorTraining(
    epsilon=0.3,
    sizes=((0.0, 32), (0.5, 48)),
    channels=(40, 80, 160, 224),
    blocks=(1, 1, 1, 2),
    seed=7,
)
"""Another architecture, seed and amount of perturbation: a judge that never guides."""


def rivals_mask(batch: Batch) -> Tensor:
    """(n,n), true where picture i and caption j must not count as a wrong pair.

    Those are pairs of one concept, unless both captions name a colour and the colours differ, or
    both name a style and the styles differ. The diagonal is false.
    """

    def differ(values: Tensor) -> Tensor:
        known = values >= 0
        return (values[:, None] != values) & known[:, None] & known

    same = (batch.concepts[:, None] == batch.concepts) & (batch.concepts >= 0)
    mask = same & ~differ(batch.colors) & ~differ(batch.styles)
    mask.fill_diagonal_(False)
    return mask


def roughen(image: Tensor, rng: torch.Generator) -> Tensor:
    """What painting does to pictures: blur, noise, wrong exposure, flat patches. Same shape, [0,1].

    A half-painted picture is soft and noisy; an encoder that never saw such pictures gives them
    gradients that lead nowhere.
    """
    n, _, height, width = image.shape

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=rng)

    soft = F.avg_pool2d(F.pad(image, (2, 2, 2, 2), mode="replicate"), 5, 1)
    blur = uniform(-1.5, 1.0, 1, 1, 1).clamp(min=0.0)
    image = image + blur * (soft - image)
    contrast = uniform(0.8, 1.15, 1, 1, 1)
    mean = image.mean((1, 2, 3), keepdim=True)
    image = (image - mean) * contrast + mean + uniform(-0.06, 0.06, 3, 1, 1)
    coarse = torch.randn(n, 3, height // 8, width // 8, generator=rng)
    blotches = F.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)
    image = image + uniform(-0.06, 0.06, 1, 1, 1).clamp(min=0.0) * blotches
    noise = torch.randn(image.shape, generator=rng)
    return (image + uniform(-0.03, 0.08, 1, 1, 1).clamp(min=0.0) * noise).clamp(0.0, 1.0)


@torch.no_grad()
def repaint(generator: VQGAN, image: Tensor, rng: torch.Generator) -> Tensor:
    """Pictures (N,3,H,W) as the generator paints them, some of their codes wrong. Same shape.

    A picture on its way through painting is made of codes, and not all of them are right yet.
    """
    with torch.autocast(image.device.type, dtype=torch.bfloat16):
        latent = generator.encode(image.contiguous(memory_format=torch.channels_last)).float()
    strength = 0.7 * torch.rand(len(image), 1, 1, 1, generator=rng) ** 2
    noise = torch.randn(latent.shape, generator=rng) * strength
    codes, _ = generator.quantize(latent + noise.to(latent.device) * latent.std())
    with torch.autocast(image.device.type, dtype=torch.bfloat16):
        painted: Tensor = generator.decode(codes).float()
    result: Tensor = painted.clamp(0.0, 1.0)
    return result


def _norm(x: Tensor) -> Tensor:
    """Euclidean length of each picture, (N,1,1,1)."""
    lengths: Tensor = torch.linalg.vector_norm(x, dim=(1, 2, 3), keepdim=True)
    return lengths.clamp(min=1e-12)


class PerceptorTrainer(Trainer[PocketPerceptor, PerceptorTraining]):
    """Trains the perceptor, or a referee."""

    log_every = 50

    def __init__(
        self,
        pictures: PictureSet,
        cache: Path,
        settings: PerceptorTraining,
        budget: Budget,
        device: str = "auto",
        generator: VQGAN | None = None,
    ) -> None:
        self.settings, self.budget = settings, budget
        self.device = pick_device(device)
        table, self.tokenizer_path = prepare(cache)
        self.config = PocketConfig(
            image_size=settings.sizes[-1][1], channels=settings.channels, blocks=settings.blocks
        )
        torch.manual_seed(settings.seed)  # initial weights; a trainer owns its process
        self.rng = torch.Generator().manual_seed(settings.seed)
        tokenizer = PocketTokenizer(self.tokenizer_path, self.config.context)
        self.model = PocketPerceptor(self.config, tokenizer)
        self.model.text_tower.set_table(table)
        on_device(self.model, self.device)
        self.pictures = pictures
        self.composer = Composer(focused(pictures), np.random.default_rng(settings.seed))
        self.bank_names, self.bank_concepts = name_bank(pictures, settings.bank_weight)
        self.bank: Tensor | None = None
        self.bank_row = torch.full((len(pictures.concepts),), -1)
        self.bank_row[self.bank_concepts] = torch.arange(len(self.bank_concepts))
        groups = parameter_groups(self.model.parameters(), settings.weight_decay)
        self.optimizer = Muon(groups, lr=settings.learning_rate)
        self.average = Average(self.model)
        self.meter = Meter()
        self.generator = None if generator is None else on_device(generator, self.device)

    def tokens(self, texts: Sequence[str]) -> Tensor:
        return self.model.tokenizer(texts, warn=False).to(self.device)

    @torch.no_grad()
    def refresh_bank(self) -> None:
        """Embeds one caption of every concept with the present text tower."""
        chunks = [self.bank_names[i : i + 512] for i in range(0, len(self.bank_names), 512)]
        with self.autocast():
            self.bank = torch.cat([self.model.text_tower(self.tokens(chunk)) for chunk in chunks])

    def losses(
        self, images: Tensor, texts: Tensor, mask: Tensor, rows: Tensor
    ) -> tuple[Tensor, Tensor, float]:
        """In-batch contrast, bank classification and the latter's accuracy."""
        assert self.bank is not None
        scale = self.model.log_scale.exp().clamp(max=self.settings.max_scale)
        logits = (scale * images @ texts.T).masked_fill(mask, -1e4)
        target = torch.arange(len(images), device=self.device)
        pairs = 0.5 * (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target))
        known = rows >= 0
        against = self.settings.bank_scale * images[known] @ self.bank.T
        named = F.cross_entropy(against, rows[known], label_smoothing=0.02)
        accuracy = (against.argmax(1) == rows[known]).float().mean()
        return pairs, named, float(accuracy)

    def step(self) -> None:
        """One batch, perturbed against the tower as it is, once the ramp has begun."""
        settings, budget = self.settings, self.budget
        if self.bank is None or budget.step % settings.bank_every == 0:
            self.refresh_bank()
        side = max(side for start, side in settings.sizes if budget.progress() >= start)
        batch = self.composer.batch(settings.batch, size=side)
        clean = batch.image.to(self.device)
        count = round(settings.repainted * settings.batch)
        # Of pictures of a few cells nothing is left. Rows are in random order: the first will do.
        if self.generator is not None and count and side >= 6 * self.generator.downsampling:
            clean[:count] = repaint(self.generator, clean[:count], self.rng)
        clean = roughen(clean.cpu(), self.rng).to(self.device)
        tokens = self.tokens(batch.captions)
        mask = rivals_mask(batch).to(self.device)
        # Pictures of two things have no concept (-1) and no row.
        rows = torch.where(batch.concepts >= 0, self.bank_row[batch.concepts], -1).to(self.device)
        # An encoder that knows nothing yet learns nothing from perturbed pictures: start clean.
        clean_until, full_from = settings.ramp
        ramp = (budget.progress() - clean_until) / (full_from - clean_until)
        epsilon = settings.epsilon * min(1.0, max(0.0, ramp))
        set_rate(self.optimizer, budget.learning_rate(settings.learning_rate))
        with self.autocast():
            texts = self.model.text_tower(tokens)
        image = clean
        if epsilon > 0:
            image = self.perturbed(clean, texts.detach(), mask, rows, epsilon * side)
        with self.autocast():
            pictures = self.model.embed_image(image)
        pairs, named, accuracy = self.losses(pictures, texts, mask, rows)
        descend(pairs + named, self.model, self.optimizer)
        self.average.update(self.model, budget.step)
        self.meter.update(pairs=pairs, named=named, acc=accuracy)
        budget.step += 1

    def perturbed(
        self, clean: Tensor, texts: Tensor, mask: Tensor, rows: Tensor, size: float
    ) -> Tensor:
        """Pictures moved a step towards being mistaken; `size` is for one as large as the tower's.

        One step from a random point (Wong et al. 2020, arXiv 2001.03994), of length 0.25 to
        1.5 times `size`. The networks' own gradients are not computed.
        """
        n = len(clean)
        draw = torch.rand(2, n, 1, 1, 1, generator=self.rng).to(self.device)
        length = size / self.config.image_size * (0.25 + 1.25 * draw[0])
        noise = torch.randn(clean.shape, generator=self.rng).to(self.device)
        delta = (length * draw[1] * noise / _norm(noise)).requires_grad_()
        self.model.image_tower.requires_grad_(False)
        with self.autocast():
            pictures = self.model.embed_image(clean + delta)
        pairs, named, accuracy = self.losses(pictures, texts, mask, rows)
        (slope,) = torch.autograd.grad(pairs + named, delta)
        self.model.image_tower.requires_grad_(True)
        self.meter.update(acc_before=accuracy)
        moved = delta.detach() + length * slope / _norm(slope)
        return clean + moved * (length / _norm(moved)).clamp(max=1.0)

    def state(self) -> dict[str, Any]:
        return super().state() | {
            "composer": rng_text(self.composer.rng),
            "bank": self.bank,
            "config": asdict(self.config),
        }

    def bring_back(self, content: dict[str, Any]) -> None:
        super().bring_back(content)
        set_rng_text(self.composer.rng, content["composer"])
        bank = content.get("bank")
        self.bank = None if bank is None else bank.to(self.device)

    def averaged(self) -> PocketPerceptor:
        """A copy with the averaged weights, for evaluation and shipping."""
        model = PocketPerceptor(self.config, self.model.tokenizer)
        model.load_state_dict(self.average.state)
        return model.to(self.device).eval().requires_grad_(False)
