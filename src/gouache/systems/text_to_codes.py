"""Transformers that read a text and write a picture's codes, one after the other.

The layout of minDALL-E (Kakao Brain 2021): one sequence of text and image tokens, causal attention,
two tables and two heads; modules are called as its checkpoint calls them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gouache.errors import ModelError
from gouache.systems.pace import paced

MAX_VALUE = 1 << 20  # far beyond any published model: what exceeds it comes from a damaged file
MAX_LAYERS = 1 << 10


@dataclass(frozen=True)
class TransformerConfig:
    """Shape of the transformer. Impossible ones raise `ModelError`."""

    width: int
    layers: int
    heads: int
    text_length: int
    image_length: int
    text_vocabulary: int
    image_vocabulary: int
    attention_bias: bool = True
    mlp_bias: bool = True
    approximate_gelu: bool = False  # x * sigmoid(1.702 x)

    def __post_init__(self) -> None:
        self._check("layers", MAX_LAYERS)  # before any other: each is modules to be made
        for name in ("width", "heads", "text_length", "image_length"):
            self._check(name)
        self._check("text_vocabulary")
        self._check("image_vocabulary")
        if self.width % self.heads:
            raise ModelError(
                f"a width of {self.width} cannot be split into {self.heads} heads; "
                "the configuration is damaged"
            )

    def _check(self, name: str, most: int = MAX_VALUE) -> None:
        value = getattr(self, name)
        if type(value) is not int or not 0 < value <= most:
            raise ModelError(f"{name} is {value!r:.40}; expected a whole number above 0, to {most}")


@dataclass
class Memory:
    """Keys and values of all layers for the positions that were read, so none is read twice.

    `keys` and `values`: per layer (B,heads,length,width/heads), of which `read` positions count.
    """

    keys: list[Tensor] = field(repr=False)
    values: list[Tensor] = field(repr=False)
    read: int = 0

    @classmethod
    def empty(cls, model: CodeWriter, batch: int) -> Memory:
        """Room for a text and its codes."""
        config, like = model.config, model.tok_emb_img.weight
        length = config.text_length + config.image_length
        shape = (batch, config.heads, length, config.width // config.heads)
        keys, values = ([like.new_empty(shape) for _ in range(config.layers)] for _ in "kv")
        return cls(keys, values)


class Attention(nn.Module):
    """Causal attention over what was read before and what is read now, or over this alone."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width, bias = config.width, config.attention_bias
        self.heads = config.heads
        self.key = nn.Linear(width, width, bias=bias)
        self.query = nn.Linear(width, width, bias=bias)
        self.value = nn.Linear(width, width, bias=bias)
        self.proj = nn.Linear(width, width, bias=bias)

    def forward(self, x: Tensor, memory: Memory | None, layer: int) -> Tensor:
        """(B,T,C) -> (B,T,C)."""
        query, key, value = (
            project(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        )
        if memory is not None:
            begun, length = memory.read, memory.read + x.shape[1]
            keys, values = memory.keys[layer], memory.values[layer]
            keys[:, :, begun:length], values[:, :, begun:length] = key, value
            key, value = keys[:, :, :length], values[:, :, :length]
        # One position sees all before it; several see so many each (only from the beginning).
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=x.shape[1] > 1)
        out: Tensor = self.proj(seen.transpose(1, 2).flatten(2))
        return out


class Gelu(nn.Module):
    def __init__(self, approximate: bool) -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x) if self.approximate else F.gelu(x)


class Block(nn.Module):
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width, bias = config.width, config.mlp_bias
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = Attention(config)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width, bias=bias),
            Gelu(config.approximate_gelu),
            nn.Linear(4 * width, width, bias=bias),
        )

    def forward(self, x: Tensor, memory: Memory | None, layer: int) -> Tensor:
        x = x + self.attn(self.ln1(x), memory, layer)
        out: Tensor = x + self.mlp(self.ln2(x))
        return out


class CodeWriter(nn.Module):
    """What was read first, vectors (B,text_length,width), and the codes so far -> logits of the
    next code."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.tok_emb_img = nn.Embedding(config.image_vocabulary, width)
        self.pos_emb_img = nn.Embedding(config.image_length, width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.ln_f = nn.LayerNorm(width)
        self.head_img = nn.Linear(width, config.image_vocabulary, bias=False)

    def _read(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        """What is at each of the next positions, (B,T,width); without a memory, of the first."""
        for number, block in enumerate(self.blocks):
            x = block(x, memory, number)
        if memory is not None:
            memory.read += x.shape[1]
        out: Tensor = self.ln_f(x)
        return out

    def read_first(self, text: Tensor, memory: Memory) -> Tensor:
        """(B,text_length,width) -> logits of the first code, (B,image_vocabulary)."""
        logits: Tensor = self.head_img(self._read(text, memory)[:, -1])
        return logits

    def read_code(self, code: Tensor, memory: Memory) -> Tensor:
        """The code (B,) that was chosen last -> logits of the next, (B,image_vocabulary)."""
        place = memory.read - self.config.text_length
        x = self.tok_emb_img(code) + self.pos_emb_img.weight[place]
        logits: Tensor = self.head_img(self._read(x[:, None], memory)[:, -1])
        return logits

    def write(self, logits: Tensor, memory: Memory, choose: Callable[[Tensor], Tensor]) -> Tensor:
        """One code after the other, with what was read kept; `halting` ends it between two.

        Args:
            logits: of the first code, (B,image_vocabulary).
            memory: of what was read.
            choose: logits to codes (B,).

        Returns:
            (B,image_length).
        """
        codes = [choose(logits)]
        for _ in paced(self.config.image_length - 1):
            codes.append(choose(self.read_code(codes[-1], memory)))
        return torch.stack(codes, 1)

    def place_codes(self, codes: Tensor) -> Tensor:
        """(B,N) -> (B,N,width), as they are read."""
        placed: Tensor = self.tok_emb_img(codes) + self.pos_emb_img.weight[: codes.shape[1]]
        return placed


class TextToCodes(CodeWriter):
    """Text ids (B,text_length) and the codes so far -> logits of the next code."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        width = config.width
        self.tok_emb_txt = nn.Embedding(config.text_vocabulary, width)
        self.pos_emb_txt = nn.Embedding(config.text_length, width)
        self.head_txt = nn.Linear(width, config.text_vocabulary, bias=False)

    def place_text(self, ids: Tensor) -> Tensor:
        """(B,text_length) -> (B,text_length,width), as they are read."""
        placed: Tensor = self.tok_emb_txt(ids) + self.pos_emb_txt.weight[: ids.shape[1]]
        return placed

    def read_text(self, ids: Tensor, memory: Memory) -> Tensor:
        """(B,text_length) -> logits of the first code, (B,image_vocabulary)."""
        return self.read_first(self.place_text(ids), memory)

    def forward(self, ids: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of every token from those before it.

        Args:
            ids: (B,text_length).
            codes: (B,N) of the picture.

        Returns:
            Of the codes, (B,N,image_vocabulary), and of the text from its second token on,
            (B,text_length-1,text_vocabulary).
        """
        x = self._read(torch.cat([self.place_text(ids), self.place_codes(codes)], 1))
        before = ids.shape[1] - 1
        return self.head_img(x[:, before:-1]), self.head_txt(x[:, :before])


__all__ = ["CodeWriter", "Memory", "TextToCodes", "TransformerConfig"]
