"""GLIDE's denoiser: a U-Net that reads words (Nichol et al. 2021, arXiv 2112.10741).

The network of Dhariwal and Nichol 2021 (arXiv 2105.05233), with a transformer for the text, whose
last token joins the step and whose tokens are attended to. Modules are called as the published
checkpoints call them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gouache.errors import ModelError

GROUPS = 32
MAX_VALUE = 1 << 17  # far beyond any published model


@dataclass(frozen=True)
class UNetConfig:
    """Shape of a denoiser; names are those of the published options. Impossible ones raise
    `ModelError`.

    `image_size` is the side in pixels it was trained at, `attention_resolutions` are sides of maps.
    """

    image_size: int = 64
    num_channels: int = 192
    num_res_blocks: int = 3
    channel_mult: tuple[int, ...] = (1, 2, 3, 4)
    num_head_channels: int = 64
    attention_resolutions: tuple[int, ...] = (32, 16, 8)
    text_ctx: int = 128
    xf_width: int = 512
    xf_layers: int = 16
    xf_heads: int = 8
    n_vocab: int = 50257
    super_res: bool = False
    inpaint: bool = False

    def __post_init__(self) -> None:
        numbers = [value for value in vars(self).values() if not isinstance(value, bool | tuple)]
        numbers += [*self.channel_mult, *self.attention_resolutions]
        if not all(type(value) is int and 0 < value <= MAX_VALUE for value in numbers):
            raise ModelError("a number of the denoiser's options is not above 0; it is damaged")
        widths = [self.num_channels * factor for factor in self.channel_mult]
        if any(width % GROUPS or width % self.num_head_channels for width in widths):
            raise ModelError(
                f"{widths} channels cannot be split into {GROUPS} groups and heads of "
                f"{self.num_head_channels}; the denoiser's options are damaged"
            )
        if self.xf_width % self.xf_heads:
            raise ModelError("the text's width is no multiple of its heads; the file is damaged")

    @classmethod
    def from_options(cls, values: Mapping[str, Any], vocabulary: int) -> UNetConfig:
        """Of options as they are published, where lists are texts ("1,2,2")."""
        fixed = {"use_scale_shift_norm": True, "resblock_updown": True, "xf_final_ln": True}
        fixed["xf_padding"] = True
        for name, value in fixed.items():
            if bool(values.get(name, value)) != value:
                raise ModelError(f"{name} is {values[name]!r:.40}; no published GLIDE has that")
        names = set(cls.__dataclass_fields__) - {"n_vocab"}
        found = {name: value for name, value in values.items() if name in names}
        try:
            for name in ("channel_mult", "attention_resolutions"):
                if isinstance(found.get(name), str):
                    found[name] = tuple(int(part) for part in found[name].split(",") if part)
                elif name in found:
                    found[name] = tuple(found[name])
        except (TypeError, ValueError):
            raise ModelError("channel_mult or attention_resolutions are no numbers") from None
        return cls(**found, n_vocab=vocabulary)

    @property
    def in_channels(self) -> int:
        """The noised picture, the picture to enlarge, a picture to keep and its mask."""
        return 3 + 3 * self.super_res + 4 * self.inpaint


class Norm(nn.GroupNorm):
    """In single precision, whatever comes in."""

    def __init__(self, channels: int) -> None:
        super().__init__(GROUPS, channels)

    def forward(self, x: Tensor) -> Tensor:
        out = F.group_norm(
            x.float(), GROUPS, self.weight.float(), self.bias.float(), self.eps
        )  # fmt: skip
        return out.to(x.dtype)


class ResBlock(nn.Module):
    """Two convolutions, scaled and shifted by the step; `resize` 2 doubles the side, -2 halves."""

    def __init__(self, inner: int, embedding: int, outer: int, resize: int = 1) -> None:
        super().__init__()
        self.resize = resize
        self.in_layers = nn.Sequential(
            Norm(inner), nn.SiLU(), nn.Conv2d(inner, outer, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, 2 * outer))
        self.out_layers = nn.Sequential(
            Norm(outer), nn.SiLU(), nn.Identity(), nn.Conv2d(outer, outer, 3, padding=1)
        )
        same = inner == outer
        self.skip_connection = nn.Identity() if same else nn.Conv2d(inner, outer, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = self.in_layers[:-1](x)
        h, x = self._resized(h), self._resized(x)
        h = self.in_layers[-1](h)
        scale, shift = self.emb_layers(embedding)[:, :, None, None].chunk(2, 1)
        h = self.out_layers[0](h) * (1 + scale) + shift
        out: Tensor = self.skip_connection(x) + self.out_layers[1:](h)
        return out

    def _resized(self, x: Tensor) -> Tensor:
        if self.resize == 2:
            return F.interpolate(x, scale_factor=2.0, mode="nearest")
        return F.avg_pool2d(x, 2) if self.resize == -2 else x


class TextAttention(nn.Module):
    """Attention of a map to itself and to the words."""

    def __init__(self, channels: int, head_channels: int, words: int) -> None:
        super().__init__()
        self.heads = channels // head_channels
        self.norm = Norm(channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.encoder_kv = nn.Conv1d(words, 2 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor, words: Tensor) -> Tensor:  # (B,C,H,W), (B,W,L) -> (B,C,H,W)
        flat = x.flatten(2)
        both = self._heads(self.qkv(self.norm(flat)), 3)
        text = self._heads(self.encoder_kv(words), 2)
        query, key, value = both
        key, value = torch.cat([text[0], key], 2), torch.cat([text[1], value], 2)
        seen = F.scaled_dot_product_attention(query, key, value)  # (B,heads,L,C/heads)
        out: Tensor = x + self.proj_out(seen.transpose(2, 3).reshape(flat.shape)).view(x.shape)
        return out

    def _heads(self, x: Tensor, parts: int) -> tuple[Tensor, ...]:
        """(B,parts*C,L), the parts of a head together -> `parts` times (B,heads,L,C/heads)."""
        batch, channels, length = x.shape
        apart = x.view(batch, self.heads, parts, channels // self.heads // parts, length)
        return apart.transpose(-1, -2).unbind(2)


class Level(nn.ModuleList):
    """Layers that take what they know."""

    def forward(self, x: Tensor, embedding: Tensor, words: Tensor) -> Tensor:
        for layer in self:
            if isinstance(layer, ResBlock):
                x = layer(x, embedding)
            elif isinstance(layer, TextAttention):
                x = layer(x, words)
            else:
                x = layer(x)
        return x


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.c_qkv = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        # The three of a head lie together.
        parts = self.c_qkv(x).unflatten(-1, (self.heads, -1)).transpose(1, 2).chunk(3, -1)
        seen = F.scaled_dot_product_attention(*parts)
        out: Tensor = self.c_proj(seen.transpose(1, 2).flatten(2))
        return out


class _MLP(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc, self.c_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.c_proj(F.gelu(self.c_fc(x)))
        return out


class _TextBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn, self.mlp = _Attention(width, heads), _MLP(width)
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        out: Tensor = x + self.mlp(self.ln_2(x))
        return out


class _Blocks(nn.Module):
    def __init__(self, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.resblocks = nn.Sequential(*(_TextBlock(width, heads) for _ in range(layers)))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.resblocks(x)
        return out


@dataclass(frozen=True)
class Words:
    """A read text: what joins the step, (B,E), and what is attended to, (B,width,length)."""

    whole: Tensor
    tokens: Tensor


class UNet(nn.Module):
    """Noised pictures, steps and words -> noise and how free its variance is, (B,6,H,W)."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        width, text = config.num_channels, config.xf_width
        self.embedding_width = 4 * width
        self.token_embedding = nn.Embedding(config.n_vocab, text)
        self.positional_embedding = nn.Parameter(torch.empty(config.text_ctx, text))
        self.padding_embedding = nn.Parameter(torch.empty(config.text_ctx, text))
        self.transformer = _Blocks(text, config.xf_layers, config.xf_heads)
        self.final_ln = nn.LayerNorm(text)
        self.transformer_proj = nn.Linear(text, self.embedding_width)
        self.time_embed = nn.Sequential(
            nn.Linear(width, self.embedding_width),
            nn.SiLU(),
            nn.Linear(self.embedding_width, self.embedding_width),
        )
        self._build()

    def _build(self) -> None:
        config, width, embedding = self.config, self.config.num_channels, self.embedding_width
        attended = {config.image_size // side for side in config.attention_resolutions}
        channels, scale = width * config.channel_mult[0], 1

        def level(inner: int, outer: int) -> list[nn.Module]:
            layers: list[nn.Module] = [ResBlock(inner, embedding, outer)]
            if scale in attended:
                layers.append(TextAttention(outer, config.num_head_channels, config.xf_width))
            return layers

        self.input_blocks = nn.ModuleList(
            [Level([nn.Conv2d(config.in_channels, channels, 3, padding=1)])]
        )
        kept = [channels]
        last = len(config.channel_mult) - 1
        for number, factor in enumerate(config.channel_mult):
            for _ in range(config.num_res_blocks):
                self.input_blocks.append(Level(level(channels, factor * width)))
                channels = factor * width
                kept.append(channels)
            if number < last:
                self.input_blocks.append(Level([ResBlock(channels, embedding, channels, -2)]))
                kept.append(channels)
                scale *= 2
        self.middle_block = Level(
            [
                ResBlock(channels, embedding, channels),
                TextAttention(channels, config.num_head_channels, config.xf_width),
                ResBlock(channels, embedding, channels),
            ]
        )
        self.output_blocks = nn.ModuleList()
        for number, factor in reversed(list(enumerate(config.channel_mult))):
            for block in range(config.num_res_blocks + 1):
                layers = level(channels + kept.pop(), factor * width)
                channels = factor * width
                if number and block == config.num_res_blocks:
                    layers.append(ResBlock(channels, embedding, channels, 2))
                self.output_blocks.append(Level(layers))
            scale //= 2
        self.out = nn.Sequential(Norm(channels), nn.SiLU(), nn.Conv2d(channels, 6, 3, padding=1))

    @property
    def device(self) -> torch.device:
        return self.transformer_proj.weight.device

    def read(self, tokens: Tensor, mask: Tensor) -> Words:
        """Token ids (B,text_ctx), of which those count where the mask is true."""
        x = self.token_embedding(tokens) + self.positional_embedding
        x = torch.where(mask[..., None], x, self.padding_embedding)
        x = self.final_ln(self.transformer(x))
        return Words(self.transformer_proj(x[:, -1]), x.transpose(1, 2))

    def forward(self, noised: Tensor, steps: Tensor, words: Words, *beside: Tensor) -> Tensor:
        """`beside`: what the variant sees besides the noised picture, each (B,C,H,W); see
        `enlarged` and `kept`."""
        dtype = self.transformer_proj.weight.dtype
        embedding = self.time_embed(step_embedding(steps, self.config.num_channels).to(dtype))
        embedding = embedding + words.whole
        x = torch.cat([noised, *beside], 1).to(dtype)
        passed = []
        for level in self.input_blocks:
            x = level(x, embedding, words.tokens)
            passed.append(x)
        x = self.middle_block(x, embedding, words.tokens)
        for level in self.output_blocks:
            x = level(torch.cat([x, passed.pop()], 1), embedding, words.tokens)
        out: Tensor = self.out(x).float()
        return out


def enlarged(picture: Tensor, height: int, width: int) -> Tensor:
    """What an upsampler sees beside the noised picture: a small one in [-1,1], enlarged."""
    return F.interpolate(picture, (height, width), mode="bilinear", align_corners=False)


def kept(picture: Tensor, mask: Tensor) -> Tensor:
    """What an inpainter sees: a picture (B,3,H,W) in [-1,1], where the mask (B,1,H,W) is 1, and
    the mask; (B,4,H,W)."""
    return torch.cat([picture * mask, mask], 1)


def step_embedding(steps: Tensor, width: int) -> Tensor:
    """(B,) -> (B,width): waves of falling frequency, float32."""
    half = width // 2
    frequencies = torch.exp(-math.log(10000) * torch.arange(half, device=steps.device) / half)
    angles = steps[:, None].float() * frequencies
    return torch.cat([angles.cos(), angles.sin()], 1)


__all__ = ["Norm", "ResBlock", "UNet", "UNetConfig", "Words", "enlarged", "kept", "step_embedding"]
