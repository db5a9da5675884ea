"""A masked transformer over VQGAN codes given a text (MaskGIT, Chang et al. 2022; Muse, 2023).

It proposes where painting starts from: a rough picture in a fraction of a second.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gouache.perceptors.towers import TextBlock
from gouache.weights.saving import PlainConfig


@dataclass(frozen=True)
class TokenPriorConfig(PlainConfig):
    """Shape of a token prior.

    `grid` x `grid` codes are grouped into patches of `patch` x `patch`, one position of the
    transformer each: attention then sees (grid/patch)^2 positions, while every single code can
    still be hidden or known by itself.
    """

    codebook_size: int = 1024
    grid: int = 16
    patch: int = 2
    code_width: int = 64
    width: int = 256
    layers: int = 4
    heads: int = 4
    vocabulary: int = 30522
    table_dim: int = 256
    context: int = 24


class Layer(TextBlock):
    """A pre-norm transformer layer; `mask` (N,1,1,L) is true where there is something to see."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads, widening=4)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.mlp[2].weight)  # type: ignore[arg-type]

    def mix(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        # Written out: for so few positions torch's fused kernel is slower on the CPU, and its
        # gradient several times so.
        scores = (query @ key.transpose(-1, -2)) * query.shape[-1] ** -0.5
        mixed: Tensor = scores.masked_fill(~mask, -1e4).softmax(-1).to(value.dtype) @ value
        return mixed


class TokenPrior(nn.Module):
    """Codes (N,grid,grid), some hidden, and a text -> logits of every code.

    The vectors of the text's tokens come from the perceptor's frozen table, which is handed in:
    the prior holds no copy of it. A text without tokens stands for "anything".
    """

    def __init__(self, config: TokenPriorConfig) -> None:
        super().__init__()
        self.config = config
        per_patch = config.patch**2 * config.code_width
        self.mask_token = config.codebook_size  # the index that stands for a masked code
        self.codes = nn.Embedding(config.codebook_size + 1, config.code_width)
        nn.init.normal_(self.codes.weight, std=0.2)
        self.into = nn.Linear(per_patch, config.width)
        side = config.grid // config.patch
        self.position = nn.Parameter(torch.empty(side * side, config.width))
        nn.init.normal_(self.position, std=0.02)
        self.word = nn.Linear(config.table_dim, config.width)
        self.word_position = nn.Parameter(torch.empty(config.context + 1, config.width))
        nn.init.normal_(self.word_position, std=0.02)
        self.layers = nn.ModuleList(Layer(config.width, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.out = nn.Linear(config.width, per_patch)
        self.bias = nn.Parameter(torch.zeros(config.codebook_size))

    def forward(self, codes: Tensor, words: Tensor, present: Tensor) -> Tensor:
        """Logits of what stands in every cell, (N,grid,grid,codebook_size) float32.

        The arguments are those of `features`.
        """
        return self.logits(self.features(codes, words, present))

    def logits(self, features: Tensor) -> Tensor:
        """(...,code_width) -> (...,codebook_size) float32."""
        weight = self.codes.weight[:-1].to(features.dtype)
        return (features @ weight.T).float() + self.bias

    def features(self, codes: Tensor, words: Tensor, present: Tensor) -> Tensor:
        """What the transformer makes of every cell.

        Args:
            codes: (N,grid,grid) indices; `mask_token` where masked.
            words: (N,L,table_dim) vectors of the text's tokens, L at most `context`.
            present: (N,L) true where there is a token.

        Returns:
            (N,grid,grid,code_width).
        """
        config = self.config
        n, grid, patch = len(codes), config.grid, config.patch
        side, length = grid // patch, words.shape[1]
        cells = self.codes(codes).view(n, side, patch, side, patch, -1).transpose(2, 3)
        image = self.into(cells.reshape(n, side * side, -1)) + self.position
        # The last position is always there, so that a text without tokens can be attended to.
        text = F.pad(self.word(words) * present.unsqueeze(-1), (0, 0, 1, 0))
        text = text + self.word_position[: length + 1]
        x = torch.cat([image, text], 1)
        seen = torch.cat([present.new_ones(n, side * side + 1), present], 1)[:, None, None]
        for layer in self.layers:
            x = layer(x, seen)
        x = self.out(self.norm(x[:, : side * side]))
        cells = x.view(n, side, side, patch, patch, -1).transpose(2, 3)
        merged: Tensor = cells.reshape(n, grid, grid, -1)
        return merged


__all__ = ["TokenPrior", "TokenPriorConfig"]
