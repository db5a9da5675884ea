"""The two towers of the pocket perceptor: pictures and texts to unit vectors of one space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gouache.ops.frozen import conv
from gouache.weights.saving import PlainConfig


@dataclass(frozen=True)
class PocketConfig(PlainConfig):
    """Shape of a pocket perceptor."""

    image_size: int = 64
    channels: tuple[int, ...] = (32, 64, 128, 256)
    blocks: tuple[int, ...] = (1, 2, 2, 2)
    embed_dim: int = 256
    vocabulary: int = 30522
    table_dim: int = 256
    text_width: int = 256
    text_layers: int = 2
    text_heads: int = 4
    context: int = 24


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with pre-activation BatchNorm and GELU; starts as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        h = conv(self.conv1, F.gelu(self.norm1(x)))
        return x + conv(self.conv2, F.gelu(self.norm2(h)))


class ImageTower(nn.Module):
    """(N,3,S,S) in [0,1] -> (N,D) unit vectors.

    Every downsampling is a 4x4 convolution of stride 2: its windows overlap, so that the gradient
    that reaches the picture has no checkerboard, which a painted picture would reproduce.
    """

    def __init__(self, config: PocketConfig) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        previous = 3
        for width, count in zip(config.channels, config.blocks, strict=True):
            layers: list[nn.Module] = []
            if previous != 3:
                layers.append(nn.BatchNorm2d(previous))
            layers.append(nn.Conv2d(previous, width, 4, stride=2, padding=1))
            layers += [ResidualBlock(width) for _ in range(count)]
            stages.append(nn.Sequential(*layers))
            previous = width
        self.stages = nn.ModuleList(stages)
        self.norm = nn.BatchNorm2d(previous)
        self.attend = nn.Linear(previous, 1)
        self.head = nn.Sequential(
            nn.Linear(previous, 2 * previous), nn.GELU(), nn.Linear(2 * previous, config.embed_dim)
        )

    def features(self, image: Tensor) -> list[Tensor]:
        """The output of every stage, (N,C_k,S/2^k,S/2^k): the perceptual loss compares these."""
        x = ((image - 0.5) * 3.0).to(self.attend.weight.dtype)
        outputs = []
        for stage in self.stages:
            for part in cast(nn.Sequential, stage):
                x = conv(part, x) if isinstance(part, nn.Conv2d) else part(x)
            outputs.append(x)
        return outputs

    def forward(self, image: Tensor) -> Tensor:
        cells = F.gelu(self.norm(self.features(image)[-1])).flatten(2).transpose(1, 2)
        weights = self.attend(cells).softmax(1)
        pooled = 0.5 * ((cells * weights).sum(1) + cells.mean(1))
        return F.normalize(self.head(pooled).float(), dim=-1)


class TextBlock(nn.Module):
    """A pre-norm transformer layer; `mask` (N,1,1,L) is true where tokens are."""

    def __init__(self, width: int, heads: int, widening: int = 3) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, widening * width), nn.GELU(), nn.Linear(widening * width, width)
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        n, length, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(n, length, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mixed = self.mix(query, key, value, mask)
        x = x + self.project(mixed.transpose(1, 2).reshape(n, length, width))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]

    def mix(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        """Attention: (N,heads,L,width/heads) each, and so is the result."""
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


class WordTower(nn.Module):
    """Token ids (N,L), 0 is padding -> what layers make of them.

    The token table is frozen: it was distilled from a sentence encoder, so words that no caption of
    ours contains still lie near their synonyms. It is kept in 8 bits with one scale per token.
    """

    table: Tensor
    table_scale: Tensor

    def __init__(
        self, vocabulary: int, table_dim: int, context: int, width: int, layers: int, heads: int
    ) -> None:
        super().__init__()
        shape = (vocabulary, table_dim)
        self.register_buffer("table", torch.zeros(shape, dtype=torch.int8))
        self.register_buffer("table_scale", torch.ones(vocabulary))
        self.into = nn.Linear(table_dim, width)
        self.position = nn.Parameter(torch.empty(context, width))
        nn.init.normal_(self.position, std=0.02)
        self.layers = nn.ModuleList(TextBlock(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def vectors(self, tokens: Tensor) -> Tensor:
        """Token ids (N,L) -> their rows of the table (N,L,table_dim), float32."""
        return self.table[tokens].float() * self.table_scale[tokens].unsqueeze(-1)

    def read(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N,L,width); the tokens' vectors (N,L,table_dim); where there are any, (N,L) bool."""
        present, vectors = tokens != 0, self.vectors(tokens)
        x = self.into(vectors) + self.position[: tokens.shape[1]]
        for layer in self.layers:
            x = layer(x, present[:, None, None, :])
        return self.norm(x), vectors, present


class TextTower(WordTower):
    """Token ids (N,L), 0 is padding -> (N,D) unit vectors."""

    def __init__(self, config: PocketConfig) -> None:
        width = config.text_width
        super().__init__(
            config.vocabulary, config.table_dim, config.context,
            width, config.text_layers, config.text_heads,
        )  # fmt: skip
        self.head = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, config.embed_dim)
        )
        self.skip = nn.Linear(config.table_dim, config.embed_dim)

    def set_table(self, table: Tensor) -> None:
        """Stores a float table (vocabulary, table_dim) in 8 bits; row 0, the padding, is zero."""
        scale = table.abs().amax(1).clamp(min=1e-8) / 127.0
        self.table.copy_((table / scale[:, None]).round().to(torch.int8))
        self.table_scale.copy_(scale)
        self.table[0] = 0

    def forward(self, tokens: Tensor) -> Tensor:
        x, vectors, present = self.read(tokens)
        share = present.float() / present.sum(1, keepdim=True).clamp(min=1)
        pooled = (x * share.unsqueeze(-1)).sum(1)
        words = (vectors * share.unsqueeze(-1)).sum(1)
        return F.normalize((self.head(pooled) + self.skip(words)).float(), dim=-1)
