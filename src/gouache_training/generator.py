"""Trains the shipped VQGAN on composed pictures (Esser et al. 2021, arXiv 2012.09841).

Losses: absolute and edge differences, a perceptual term from our own perceptor's features (nothing
here is trained by others), commitment to the codes and, late, a patch discriminator.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gouache.generators.vqgan import VQGAN, VQGANConfig
from gouache.perceptors.towers import ImageTower, PocketConfig
from gouache_training.codebook import (
    MovingCodebook,
    feature_difference,
    gradient_difference,
    psnr,
)
from gouache_training.compose import Composer
from gouache_training.dataset import PictureSet
from gouache_training.focus import focused
from gouache_training.loop import (
    Average,
    Budget,
    M,
    Meter,
    Paced,
    Trainer,
    descend,
    load_checkpoint,
    on_device,
    parameter_groups,
    pick_device,
    rng_text,
    set_rate,
    set_rng_text,
)
from gouache_training.muon import Muon


@dataclass(frozen=True)
class GeneratorTraining:
    """Settings of a generator's training."""

    batch: int = 32
    size: int = 64  # side of the squares it trains on
    learning_rate: float = 1.0e-3
    weight_decay: float = 0.01
    perceptual_weight: float = 0.15
    commitment: float = 0.5
    adversarial_weight: float = 0.03
    adversarial_from: float = 0.5  # share of the budget after which the discriminator joins
    crop_share: float = 0.6  # share of batches that are crops of pictures twice as large
    plain_share: float = 0.4  # share of batches of single things on white
    ch: int = 48
    ch_mult: tuple[int, ...] = (1, 2, 3)
    codebook_size: int = 1024
    code_dim: int = 16
    save_every: int = 500
    seed: int = 1


class PatchDiscriminator(nn.Module):
    """(B,3,H,W) -> scores of overlapping patches (B,1,H/2^k,W/2^k) (Isola et al. 2017).

    Args:
        width: channels after the first halving.
        halvings: k, at least 1; a patch is 26 pixels wide with two, 54 with three.
    """

    def __init__(self, width: int = 48, halvings: int = 2) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]

        def add(outer: int, kernel: int) -> None:
            inner = layers[-3].out_channels if len(layers) > 2 else width
            stride = 2 if kernel == 4 else 1
            layers.append(nn.Conv2d(inner, outer, kernel, stride=stride, padding=1))  # type: ignore
            layers.extend([nn.GroupNorm(8, outer), nn.LeakyReLU(0.2)])

        for number in range(1, halvings):
            add((number + 1) * width, 4)
        add((halvings + 1) * width, 3)
        layers.append(nn.Conv2d((halvings + 1) * width, 1, 3, padding=1))
        self.net = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        return self.net(2 * image - 1)  # type: ignore[no-any-return]


def perceptual_distance(tower: ImageTower, painted: Tensor, real: Tensor) -> Tensor:
    """Squared differences of all stages' features, each over its own variance. 0-d."""
    with torch.no_grad():
        targets = tower.features(real)
    return feature_difference(tower.features(painted), targets)


S = TypeVar("S", bound=Paced)


class AdversarialTrainer(Trainer[M, S]):
    """A trainer with a discriminator beside, which learns by the hinge loss."""

    critic: PatchDiscriminator
    critic_optimizer: torch.optim.Optimizer

    def train_critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """One step of the discriminator; its loss. 0-d."""
        with self.autocast():
            truth, lie = self.critic(real).float(), self.critic(fake).float()
        loss = F.relu(1 - truth).mean() + F.relu(1 + lie).mean()
        self.critic_optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.critic_optimizer.step()
        return loss.detach()

    def state(self) -> dict[str, Any]:
        return super().state() | {
            "critic": self.critic.state_dict(),
            "critic_optimizer": self.critic_optimizer.state_dict(),
        }

    def bring_back(self, content: dict[str, Any]) -> None:
        super().bring_back(content)
        self.critic.load_state_dict(content["critic"])
        self.critic_optimizer.load_state_dict(content["critic_optimizer"])


class GeneratorTrainer(AdversarialTrainer[VQGAN, GeneratorTraining]):
    """Trains the VQGAN."""

    def __init__(
        self,
        pictures: PictureSet,
        settings: GeneratorTraining,
        budget: Budget,
        device: str = "auto",
        perceptor_checkpoint: Path | None = None,
    ) -> None:
        self.settings, self.budget = settings, budget
        self.device = pick_device(device)
        torch.manual_seed(settings.seed)  # initial weights; a trainer owns its process
        self.rng = torch.Generator().manual_seed(settings.seed)
        self.composer = Composer(focused(pictures), np.random.default_rng(settings.seed))
        self.pictures = pictures
        self.config = VQGANConfig(
            ch=settings.ch,
            ch_mult=settings.ch_mult,
            num_res_blocks=1,
            attn_resolutions=(),
            resolution=128,
            z_channels=settings.ch * settings.ch_mult[-1],
            embed_dim=settings.code_dim,
            n_embed=settings.codebook_size,
            patch_size=2,
            norm_groups=16,
        )
        self.model = on_device(VQGAN(self.config), self.device)
        self.model.quantize.requires_grad_(False)
        self.codes = MovingCodebook(self.model.codebook.data)
        self.critic = PatchDiscriminator().to(self.device)
        trained = parameter_groups(self.model.parameters(), settings.weight_decay)
        rate = settings.learning_rate
        self.optimizer = Muon(trained, lr=rate, betas=(0.9, 0.99))
        self.critic_optimizer = torch.optim.AdamW(
            self.critic.parameters(), lr=5e-4, betas=(0.5, 0.9)
        )
        self.average = Average(self.model)
        self.meter = Meter()
        self.perceptor_checkpoint = perceptor_checkpoint
        self.tower: ImageTower | None = None

    def refresh_tower(self) -> None:
        """Takes the perceptor's averaged weights as they are now; it may still be in training."""
        path = self.perceptor_checkpoint
        if path is None or not path.exists():
            return
        content = load_checkpoint(path)
        tower = ImageTower(PocketConfig.from_dict(content["config"]))
        prefix = "image_tower."
        tower.load_state_dict(
            {
                k.removeprefix(prefix): v
                for k, v in content["average"].items()
                if k.startswith(prefix)
            }
        )
        self.tower = on_device(tower, self.device).eval().requires_grad_(False)

    def pictures_batch(self) -> Tensor:
        """(n,3,size,size): whole compositions, or crops of larger ones for finer detail."""
        settings = self.settings
        crop = float(torch.rand((), generator=self.rng)) < settings.crop_share
        side = settings.size * (2 if crop else 1)
        if float(torch.rand((), generator=self.rng)) < settings.plain_share:
            image = self.composer.plain_batch(settings.batch, side)
        else:
            image = self.composer.batch(settings.batch, size=side).image
        if crop:
            top, left = torch.randint(side - settings.size + 1, (2,), generator=self.rng).tolist()
            image = image[..., top : top + settings.size, left : left + settings.size]
        return image.to(self.device).contiguous(memory_format=torch.channels_last)

    def step(self) -> None:
        settings, budget = self.settings, self.budget
        if budget.step % 1000 == 0 or (self.tower is None and budget.step % 100 == 0):
            self.refresh_tower()
        set_rate(self.optimizer, budget.learning_rate(settings.learning_rate, warmup=100))
        image = self.pictures_batch()
        with self.autocast():
            latent = self.model.encode_features(image)
        latent = latent.float()
        vectors = latent.detach().movedim(1, -1).reshape(-1, settings.code_dim)
        if not self.codes.started:
            self.codes.start(vectors, self.rng)
        quantized, indices = self.model.quantize(latent.detach())
        revived = self.codes.update(vectors, indices.flatten(), self.rng)
        with self.autocast():
            painted = self.model.decode(latent + (quantized - latent).detach())
        painted = painted.float()
        difference = (painted - image).abs().mean() + 0.5 * (painted - image).square().mean().sqrt()
        edges = gradient_difference(painted, image)
        commitment = F.mse_loss(latent, quantized)
        loss = difference + 0.5 * edges + settings.commitment * commitment
        parts: dict[str, Tensor | float] = {"l1": difference, "edges": edges, "commit": commitment}
        if self.tower is not None:
            with self.autocast():
                seen = perceptual_distance(self.tower, painted, image)
            loss = loss + settings.perceptual_weight * seen
            parts["seen"] = seen
        joined = budget.progress() - settings.adversarial_from
        adversarial = settings.adversarial_weight > 0 and joined > 0
        if adversarial:
            with self.autocast():
                fooled = -self.critic(painted).float().mean()
            loss = loss + settings.adversarial_weight * min(1.0, 20 * joined) * fooled
        descend(loss, self.model, self.optimizer)
        if adversarial:
            parts["critic"] = self.train_critic(image, painted.detach())
        self.average.update(self.model, budget.step)
        parts |= {"psnr": psnr(painted.detach().clamp(0, 1), image).mean(), "revived": revived}
        self.meter.update(**parts)
        budget.step += 1

    def state(self) -> dict[str, Any]:
        return super().state() | {
            "codes": self.codes.state(),
            "composer": rng_text(self.composer.rng),
            "config": self.config.to_dict(),
        }

    def start_from(self, path: Path) -> None:
        """Takes networks and codes of a checkpoint, but neither its optimisers nor its budget."""
        content = load_checkpoint(path)
        self.model.load_state_dict(content["average"])
        self.average.state = {k: v.to(self.device) for k, v in content["average"].items()}
        self.critic.load_state_dict(content["critic"])
        self.codes.restore(content["codes"])

    def bring_back(self, content: dict[str, Any]) -> None:
        super().bring_back(content)
        self.codes.restore(content["codes"])
        set_rng_text(self.composer.rng, content["composer"])
        self.refresh_tower()

    def also(self) -> dict[str, float]:
        return {"perplexity": round(self.codes.perplexity(), 1)}

    def averaged(self) -> VQGAN:
        """A copy with averaged networks and the present codes, for evaluation and shipping."""
        model = VQGAN(self.config)
        model.load_state_dict(self.average.state)
        model.codebook.data.copy_(self.codes.codebook)
        model.code_prior.copy_(self.codes.prior())
        return model.to(self.device).eval().requires_grad_(False)
