"""Diffusion of a VQGAN's latents: a small denoiser that reads words, a perceptor of noised ones.

The road of GLIDE (Nichol et al. 2021, arXiv 2112.10741) where latent diffusion goes it (Rombach et
al. 2021, arXiv 2112.10752). Convolutions see every cell and, around them, a transformer sees half
the side and the words (Hoogeboom et al. 2023, arXiv 2301.11093).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gouache.errors import ModelError
from gouache.ops.attention import attend
from gouache.systems.diffusion import Diffusion, noise_schedule
from gouache.systems.unet import GROUPS, Norm, ResBlock, step_embedding
from gouache.weights.saving import PlainConfig

SCHEDULE, STEPS = "squaredcos_cap_v2", 1000
MAX_VALUE, MAX_LAYERS = 1 << 14, 64  # far beyond what is trained
WAVES = 128  # numbers that tell the step


@dataclass(frozen=True)
class LatentDiffusionConfig(PlainConfig):
    """Shape of both networks. Impossible ones raise `ModelError`.

    `code_dim` and `grid` are the latent's, `channels` those of the convolutions, `width`, `layers`
    and `heads` the transformer's, `table_dim` and `context` the text's. `guide_channels` are those
    of the perceptor, whose side halves from one to the next; its vectors have length `embed_dim`.
    """

    code_dim: int = 16
    grid: int = 16
    channels: int = 96
    width: int = 256
    layers: int = 5
    heads: int = 4
    table_dim: int = 256
    context: int = 24
    guide_channels: tuple[int, ...] = (64, 128, 160)
    guide_width: int = 128
    embed_dim: int = 256

    def __post_init__(self) -> None:
        numbers = {item.name: getattr(self, item.name) for item in fields(self)}
        steps = numbers.pop("guide_channels")
        for name, value in [*numbers.items(), *(("guide_channels", value) for value in steps)]:
            if type(value) is not int or not 0 < value <= MAX_VALUE:
                raise ModelError(f"{name} is {value!r:.40}; expected a whole number above 0")
        if self.layers > MAX_LAYERS or not 0 < len(steps) <= 6 or self.grid % (1 << len(steps) - 1):
            raise ModelError(
                f"{self.layers} layers and a grid of {self.grid} halved {len(steps) - 1} times; "
                "the file is damaged"
            )
        if self.grid % 2 or self.width % self.heads:
            raise ModelError("the grid is odd or the width no multiple of heads; it is damaged")
        if odd := [value for value in (self.channels, *steps) if value % GROUPS]:
            raise ModelError(f"{odd[0]} channels cannot be split into {GROUPS} groups")


class _Layer(nn.Module):
    """A transformer layer whose norms are set by the step (Peebles and Xie 2022, arXiv 2212.09748;
    one projection for all layers, Chen et al. 2023, arXiv 2310.00426)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 3 * width), nn.GELU(), nn.Linear(3 * width, width)
        )
        self.own = nn.Parameter(torch.zeros(6, width))

    def forward(self, x: Tensor, setting: Tensor) -> Tensor:  # (B,L,W), (B,6,W) -> (B,L,W)
        shift, scale, gate, shift2, scale2, gate2 = (setting + self.own).unsqueeze(2).unbind(1)
        inside = self.qkv(self.norm(x) * (1 + scale) + shift)
        query, key, value = inside.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = attend(query, key, value).transpose(1, 2).flatten(2)
        x = x + gate * self.project(mixed)
        out: Tensor = x + gate2 * self.mlp(self.norm(x) * (1 + scale2) + shift2)
        return out


class Denoiser(nn.Module):
    """Noised latents, their steps and words -> velocity (see `diffusion.Predicted`)."""

    def __init__(self, config: LatentDiffusionConfig) -> None:
        super().__init__()
        self.config = config
        inner, width = config.channels, config.width
        self.time = _time(width)
        self.whole = nn.Linear(config.table_dim, width)
        self.stem = nn.Conv2d(config.code_dim, inner, 3, padding=1)
        self.down = nn.ModuleList(_block(inner, width, inner) for _ in range(2))
        self.into = nn.Conv2d(inner, width, 2, stride=2)
        self.position = nn.Parameter(0.02 * torch.randn((config.grid // 2) ** 2, width))
        self.word = nn.Linear(config.table_dim, width)
        self.word_position = nn.Parameter(0.02 * torch.randn(config.context, width))
        self.absent = nn.Parameter(0.02 * torch.randn(config.context, width))
        self.modulate = nn.Linear(width, 6 * width)
        self.layers = nn.ModuleList(_Layer(width, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.out_of = nn.Linear(width, 4 * inner)
        self.up = nn.ModuleList(_block(2 * inner, width, inner) for _ in range(2))
        self.out = nn.Sequential(
            Norm(inner), nn.SiLU(), nn.Conv2d(inner, config.code_dim, 3, padding=1)
        )
        _silence(self.modulate, self.out[-1])

    def forward(self, noised: Tensor, steps: Tensor, words: Tensor, present: Tensor) -> Tensor:
        """Velocity, float32, of the shape of `noised`.

        Args:
            noised: (B,code_dim,grid,grid), normalised.
            steps: (B,) of `STEPS`.
            words: (B,L,table_dim) vectors of the text's tokens, L at most `context`.
            present: (B,L) true where there is a token; none at all stands for any text.
        """
        config = self.config
        missing = config.context - words.shape[1]
        words, present = F.pad(words, (0, 0, 0, missing)), F.pad(present, (0, missing))
        seen = present.unsqueeze(-1)
        mean = (words * seen).sum(1) / seen.sum(1).clamp(min=1)
        time = self.time(step_embedding(steps, WAVES)) + self.whole(mean)
        setting = self.modulate(F.silu(time)).unflatten(1, (6, -1))
        text = torch.where(seen, self.word(words) + self.word_position, self.absent)

        x = self.stem(noised)
        passed = []
        for block in self.down:
            x = block(x, time)
            passed.append(x)
        cells = self.into(x).flatten(2).transpose(1, 2) + self.position
        both = torch.cat([cells, text.to(cells.dtype)], 1)
        for layer in self.layers:
            both = layer(both, setting)
        cells = self.out_of(self.norm(both[:, : len(self.position)]))
        side = config.grid // 2
        x = F.pixel_shuffle(cells.transpose(1, 2).unflatten(2, (side, side)), 2)
        for block in self.up:
            x = block(torch.cat([x, passed.pop().to(x.dtype)], 1), time)
        out: Tensor = self.out(x).float()
        return out


class NoisedPerceptor(nn.Module):
    """Noised latents and their steps -> what a perceptor would see in the clean picture.

    The other half of GLIDE's CLIP, that of texts, is the perceptor's own text tower.
    """

    def __init__(self, config: LatentDiffusionConfig) -> None:
        super().__init__()
        widths, embedding = config.guide_channels, config.guide_width
        self.time = _time(embedding)
        self.stem = nn.Conv2d(config.code_dim, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList([_block(widths[0], embedding, widths[0])])
        for inner, outer in itertools.pairwise(widths):
            self.blocks.append(_block(inner, embedding, outer, -2))
        last = widths[-1]
        self.blocks.append(_block(last, embedding, last))
        self.norm = Norm(last)
        self.attention = nn.Linear(last, 1)
        self.head = nn.Sequential(
            nn.Linear(last, 2 * last), nn.GELU(), nn.Linear(2 * last, config.embed_dim)
        )

    def forward(self, noised: Tensor, steps: Tensor) -> Tensor:
        """(B,code_dim,grid,grid), normalised, and (B,) -> (B,embed_dim), unit length, float32."""
        time = self.time(step_embedding(steps, WAVES))
        x = self.stem(noised)
        for block in self.blocks:
            x = block(x, time)
        cells = F.silu(self.norm(x)).flatten(2).transpose(1, 2)
        pooled = 0.5 * ((cells * self.attention(cells).softmax(1)).sum(1) + cells.mean(1))
        return F.normalize(self.head(pooled.to(cells.dtype)).float(), dim=-1)

    def pull(self, wanted: Tensor, noised: Tensor, steps: Tensor) -> Tensor:
        """The gradient, of the shape of `noised`, of the cosine with unit vectors `wanted`
        (B,embed_dim)."""
        with torch.enable_grad():
            leaf = noised.detach().requires_grad_()
            return torch.autograd.grad((wanted * self(leaf, steps)).sum(), leaf)[0]


class LatentDiffusion(nn.Module):
    """Both networks, and what latents are normalised by."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: LatentDiffusionConfig) -> None:
        super().__init__()
        self.config = config
        self.denoiser = Denoiser(config)
        self.guide = NoisedPerceptor(config)
        self.register_buffer("mean", torch.zeros(config.code_dim))
        self.register_buffer("deviation", torch.ones(config.code_dim))

    def normalised(self, latent: Tensor) -> Tensor:
        """Latents (B,code_dim,H,W) as the networks see them: of mean 0 and deviation 1."""
        return (latent - self.mean[:, None, None]) / self.deviation[:, None, None]

    def latent(self, normalised: Tensor) -> Tensor:
        """The reverse of `normalised`."""
        return normalised * self.deviation[:, None, None] + self.mean[:, None, None]


def kept_shares() -> np.ndarray:
    """How much of a latent is left at each of `STEPS`, squared; float64."""
    return np.cumprod(1.0 - noise_schedule(SCHEDULE, STEPS))


def noised(clean: Tensor, noise: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """Latents (B,...) of which shares `kept` (B,) are left, and their velocity."""
    kept = kept.view(-1, *[1] * (clean.ndim - 1))
    left, added = kept.sqrt(), (1 - kept).sqrt()
    return left * clean + added * noise, left * noise - added * clean


def diffusion(respacing: str, limit: float) -> Diffusion:
    """The way that these networks were trained on, in fewer steps."""
    return Diffusion(SCHEDULE, STEPS, respacing, "velocity", limit)


def _time(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(WAVES, width), nn.SiLU(), nn.Linear(width, width))


def _block(inner: int, embedding: int, outer: int, resize: int = 1) -> ResBlock:
    """Begins by passing on what it gets."""
    block = ResBlock(inner, embedding, outer, resize)
    _silence(block.out_layers[-1])
    return block


def _silence(*layers: nn.Module) -> None:
    for layer in layers:
        for parameter in layer.parameters():
            nn.init.zeros_(parameter)


__all__ = [
    "STEPS",
    "Denoiser",
    "LatentDiffusion",
    "LatentDiffusionConfig",
    "NoisedPerceptor",
    "diffusion",
    "kept_shares",
    "noised",
]
