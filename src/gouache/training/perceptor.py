"""Trains the pocket perceptor on composed pictures and their captions.

Two terms: contrast within the batch (as CLIP) and classification against one caption of every
concept (the bank), which gives each picture thousands of rivals where a batch has a hundred.

Adversarial training "for free" (Shafahi et al. 2019): every batch is used twice, and the gradient
that the first use leaves at the picture becomes the perturbation of the second. Encoders trained so
have gradients that look like the thing meant, which is what painting by gradient lives on
(Santurkar et al. 2019; CLIPAG, Ganz and Elad 2023).
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

from gouache.perceptors.pocket import PocketPerceptor
from gouache.perceptors.tokenizer import PocketTokenizer
from gouache.perceptors.towers import PocketConfig
from gouache.training.compose import Batch, Composer
from gouache.training.dataset import PictureSet, name_bank
from gouache.training.focus import focused
from gouache.training.loop import (
    Average,
    Budget,
    Meter,
    load_checkpoint,
    log,
    on_device,
    parameter_groups,
    pick_device,
    rng_text,
    save_checkpoint,
    set_rng_text,
)
from gouache.training.token_table import prepare


@dataclass(frozen=True)
class PerceptorTraining:
    """Settings of a perceptor's training."""

    batch: int = 128
    learning_rate: float = 1.2e-3
    weight_decay: float = 0.05
    epsilon: float = 1.2  # L2 size of the perturbation of a 64-pixel picture; 0 is off
    ramp: tuple[float, float] = (0.2, 0.5)  # shares of the budget between which epsilon grows
    max_scale: float = 50.0  # cap of the inverse temperature
    # The inverse temperature against the bank is fixed: the learned one serves a hundred rivals and
    # is too soft to tell thousands apart.
    bank_scale: float = 25.0
    bank_every: int = 40  # steps between refreshes of the bank's text embeddings
    bank_weight: float = 0.35  # concepts of less weight in sum are no class of the bank
    save_every: int = 500
    small: int = 48  # side of the pictures until `grow_at` of the budget; then the full side
    grow_at: float = 0.7
    channels: tuple[int, ...] = (32, 64, 128, 256)
    blocks: tuple[int, ...] = (1, 1, 2, 2)
    seed: int = 0


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


class PerceptorTrainer:
    """Holds everything that a checkpoint must bring back."""

    def __init__(
        self,
        pictures: PictureSet,
        cache: Path,
        settings: PerceptorTraining,
        budget: Budget,
        device: str = "auto",
    ) -> None:
        self.settings, self.budget = settings, budget
        self.device = pick_device(device)
        table, self.tokenizer_path = prepare(cache)
        self.config = PocketConfig(channels=settings.channels, blocks=settings.blocks)
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
        self.optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98))
        self.average = Average(self.model)
        self.meter = Meter()

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def tokens(self, texts: Sequence[str]) -> Tensor:
        return self.model.tokenizer(texts, warn=False).to(self.device)

    @torch.no_grad()
    def refresh_bank(self) -> None:
        """Embeds one caption of every concept with the present text tower."""
        chunks = [self.bank_names[i : i + 512] for i in range(0, len(self.bank_names), 512)]
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
        """One batch, used once clean and once perturbed by the first use's own gradient."""
        settings, budget = self.settings, self.budget
        if self.bank is None or budget.step % settings.bank_every == 0:
            self.refresh_bank()
        side = self.config.image_size
        if budget.progress() < settings.grow_at:
            side = min(side, settings.small)  # the tower takes any size; small ones are cheap
        batch = self.composer.batch(settings.batch, size=side)
        clean = roughen(batch.image, self.rng).to(self.device)
        tokens = self.tokens(batch.captions)
        mask = rivals_mask(batch).to(self.device)
        # Pictures of two things have no concept (-1) and no row.
        rows = torch.where(batch.concepts >= 0, self.bank_row[batch.concepts], -1).to(self.device)
        # An encoder that knows nothing yet learns nothing from perturbed pictures: start clean.
        clean_until, full_from = settings.ramp
        ramp = (budget.progress() - clean_until) / (full_from - clean_until)
        epsilon = settings.epsilon * min(1.0, max(0.0, ramp))
        size = epsilon * (0.5 + torch.rand(settings.batch, 1, 1, 1, generator=self.rng))
        size = size.to(self.device) * side / self.config.image_size
        delta = torch.zeros_like(clean)
        for attack in range(2 if epsilon > 0 else 1):
            for group in self.optimizer.param_groups:
                group["lr"] = budget.learning_rate(settings.learning_rate)
            image = (clean + delta).requires_grad_(epsilon > 0 and attack == 0)
            with self.autocast():
                pictures = self.model.embed_image(image)
            texts = self.model.text_tower(tokens)
            pairs, named, accuracy = self.losses(pictures, texts, mask, rows)
            self.optimizer.zero_grad(set_to_none=True)
            (pairs + named).backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.average.update(self.model, budget.step)
            if image.grad is not None:
                norm = image.grad.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
                delta = size * image.grad / norm.clamp(min=1e-12)
            kind = "" if attack == 0 else "_adv"
            parts: dict[str, Tensor | float] = {"pairs": pairs, "named": named, "acc": accuracy}
            self.meter.update(**{name + kind: value for name, value in parts.items()})
            budget.step += 1

    def state(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "average": self.average.state,
            "optimizer": self.optimizer.state_dict(),
            "rng": self.rng.get_state(),
            "composer": rng_text(self.composer.rng),
            "step": self.budget.step,
            "seconds": self.budget.seconds,
            "config": asdict(self.config),
        }

    def restore(self, path: Path) -> None:
        content = load_checkpoint(path)
        self.model.load_state_dict(content["model"])
        self.average.state = {
            name: value.to(self.device) for name, value in content["average"].items()
        }
        self.optimizer.load_state_dict(content["optimizer"])
        self.rng.set_state(content["rng"])
        set_rng_text(self.composer.rng, content["composer"])
        self.budget.step = content["step"]
        self.budget.seconds_before = content["seconds"]

    def run(self, checkpoint: Path) -> None:
        """Trains until the budget is used up; saves on the way and at the end, also on Ctrl-C."""
        start = self.budget.step
        try:
            while self.budget.progress() < 1.0:
                before = self.budget.step
                self.step()
                if self.budget.step // 50 > before // 50:
                    log(
                        self.meter.line(
                            self.budget, (self.budget.step - start) * self.settings.batch
                        )
                    )
                if (
                    self.budget.step // self.settings.save_every
                    > before // self.settings.save_every
                ):
                    save_checkpoint(checkpoint, self.state())
        finally:
            save_checkpoint(checkpoint, self.state())

    def averaged(self) -> PocketPerceptor:
        """A copy with the averaged weights, for evaluation and shipping."""
        model = PocketPerceptor(self.config, self.model.tokenizer)
        model.load_state_dict(self.average.state)
        return model.to(self.device).eval().requires_grad_(False)
