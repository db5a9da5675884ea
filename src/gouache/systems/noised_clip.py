"""The CLIP that GLIDE is guided by: it sees noised pictures, and knows how noised they are.

Nichol et al. 2021 (arXiv 2112.10741), section 3.2. Modules are called as the published checkpoints
call them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gouache.errors import ModelError

MEANS = (122.77093945, 116.74601272, 104.09373519)  # of the pictures it was trained on, in [0,255]
DEVIATIONS = (68.50053285, 66.63215831, 70.32316309)
MAX_VALUE = 1 << 17


@dataclass(frozen=True)
class NoisedClipConfig:
    """Shape of both towers; names are those of the published options. Impossible ones raise
    `ModelError`."""

    image_size: int = 64
    patch_size: int = 4
    n_embd: int = 512
    n_timesteps: int = 1000
    n_vocab: int = 65536
    max_text_len: int = 77
    n_xf_blocks_image: int = 12
    n_head_image: int = 8
    n_head_state_image: int = 64
    n_xf_blocks_text: int = 12
    n_head_text: int = 8
    n_head_state_text: int = 64
    logit_scale: float = 100.0

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            whole = item.name == "logit_scale" or type(value) is int
            if type(value) not in (int, float) or not whole or not 0 < value <= MAX_VALUE:
                raise ModelError(f"{item.name} is {value!r:.40}; expected a number above 0")

    @classmethod
    def from_options(cls, values: Mapping[str, Any]) -> NoisedClipConfig:
        """What is published besides (`beta_schedule`) is left out."""
        names = {item.name for item in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in names})


class _Norm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.g, self.b = nn.Parameter(torch.empty(width)), nn.Parameter(torch.empty(width))

    def forward(self, x: Tensor) -> Tensor:
        out = F.layer_norm(x.float(), self.g.shape, self.g.float(), self.b.float(), 1e-5)
        return out.to(x.dtype)


class _Affine(nn.Module):
    def __init__(self, inner: int, outer: int, bias: bool = True) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.empty(outer, inner))
        self.b = nn.Parameter(torch.empty(outer)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.w, self.b)


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int, state: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.ln = _Norm(width)
        self.f_q = _Affine(width, heads * state)
        self.f_k = _Affine(width, heads * state, bias=False)
        self.f_v = _Affine(width, heads * state)
        self.f_c = _Affine(heads * state, width)

    def forward(self, x: Tensor) -> Tensor:
        inside = self.ln(x)
        query, key, value = (
            project(inside).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project in (self.f_q, self.f_k, self.f_v)
        )
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        out: Tensor = x + self.f_c(seen.transpose(1, 2).flatten(2))
        return out


class _MLP(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.ln = _Norm(width)
        self.f_1, self.f_2 = _Affine(width, 4 * width), _Affine(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.f_2(F.gelu(self.f_1(self.ln(x))))
        return out


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, state: int, causal: bool) -> None:
        super().__init__()
        self.f_attn, self.f_mlp = _Attention(width, heads, state, causal), _MLP(width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.f_mlp(self.f_attn(x))
        return out


class _Output(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.ln, self.f = _Norm(width), _Affine(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.f(self.ln(x))
        return out


class _TextInput(nn.Module):
    def __init__(self, config: NoisedClipConfig) -> None:
        super().__init__()
        self.w_voc = nn.Parameter(torch.empty(config.n_vocab, config.n_embd))
        self.w_pos = nn.Parameter(torch.empty(config.max_text_len, config.n_embd))

    def forward(self, tokens: Tensor) -> Tensor:
        return F.embedding(tokens, self.w_voc) + self.w_pos


class _ImageInput(nn.Module):
    def __init__(self, config: NoisedClipConfig) -> None:
        super().__init__()
        width, side = config.n_embd, config.patch_size
        self.w_t = nn.Parameter(torch.empty(config.n_timesteps, width))
        self.patch_proj = nn.Parameter(torch.empty(width, 3, side, side))
        cells = (config.image_size // side) ** 2
        self.w_pos = nn.Parameter(torch.empty(1 + cells, width))
        self.ln = _Norm(width)

    def forward(self, image: Tensor, steps: Tensor) -> Tensor:
        means = image.new_tensor(MEANS).view(1, 3, 1, 1)
        pixels = (image - means) / image.new_tensor(DEVIATIONS).view(1, 3, 1, 1)
        weight = self.patch_proj
        patches = F.conv2d(pixels.to(weight.dtype), weight, stride=weight.shape[-1])
        first = F.embedding(steps, self.w_t)[:, None]
        x: Tensor = self.ln(torch.cat([first, patches.flatten(2).transpose(1, 2)], 1) + self.w_pos)
        return x


class Tower(nn.Module):
    """Blocks between an input and an output of its own."""

    def __init__(
        self, entry: nn.Module, width: int, count: int, heads: int, state: int, causal: bool
    ) -> None:
        super().__init__()
        inner = {f"block_{k}": _Block(width, heads, state, causal) for k in range(count)}
        self.blocks = nn.ModuleDict({"input": entry, **inner, "output": _Output(width)})
        self.count = count

    def through(self, x: Tensor) -> Tensor:
        """All tokens after the blocks, before the output."""
        for number in range(self.count):
            x = self.blocks[f"block_{number}"](x)
        return x


class NoisedClip(nn.Module):
    """Both towers."""

    def __init__(self, config: NoisedClipConfig) -> None:
        super().__init__()
        self.config = config
        self.text = Tower(
            _TextInput(config), config.n_embd, config.n_xf_blocks_text,
            config.n_head_text, config.n_head_state_text, causal=True,
        )  # fmt: skip
        self.image = Tower(
            _ImageInput(config), config.n_embd, config.n_xf_blocks_image,
            config.n_head_image, config.n_head_state_image, causal=False,
        )  # fmt: skip

    def embed_text(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Token ids (B,max_text_len) and how many count, (B,) -> (B,n_embd), unit length."""
        x = self.text.through(self.text.blocks["input"](tokens))
        last = x[torch.arange(len(x), device=x.device), lengths - 1]
        return F.normalize(self.text.blocks["output"](last).float(), dim=-1)

    def embed_image(self, noised: Tensor, steps: Tensor) -> Tensor:
        """Pictures (B,3,H,W) in [-1,1] and their steps (B,), of all -> (B,n_embd), unit length."""
        x = self.image.through(self.image.blocks["input"]((noised + 1) * 127.5, steps))
        return F.normalize(self.image.blocks["output"](x[:, 0]).float(), dim=-1)

    def pull(self, wanted: Tensor, noised: Tensor, steps: Tensor) -> Tensor:
        """The gradient (B,3,H,W) of how well pictures fit the embedding `wanted`."""
        with torch.enable_grad():
            leaf = noised.detach().requires_grad_()
            fit = (wanted * self.embed_image(leaf, steps)).sum() * self.config.logit_scale
            return torch.autograd.grad(fit, leaf)[0]


__all__ = ["NoisedClip", "NoisedClipConfig", "Tower"]
