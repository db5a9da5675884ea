"""Encoder and decoder of the VQGAN (Esser, Rombach and Ommer 2021, arXiv 2012.09841).

Module names follow the published checkpoints of taming-transformers, so that their keys load
unchanged. All feature maps are (B,C,H,W). Attention sits where the *nominal* side, the one the
network was trained at, is in `attn_resolutions`; the side of the picture at hand plays no role.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gouache.ops.attention import attend
from gouache.ops.frozen import conv
from gouache.ops.norm import norm_silu

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": F.silu,
    "gelu": F.gelu,
    "relu": F.relu,
    "mish": F.mish,
}


def norm_act(norm: nn.GroupNorm, x: Tensor, activation: str) -> Tensor:
    """The normalised x through one of `ACTIVATIONS`."""
    return norm_silu(norm, x) if activation == "silu" else ACTIVATIONS[activation](norm(x))


def _norm(channels: int, groups: int) -> nn.GroupNorm:
    return nn.GroupNorm(groups, channels, eps=1e-6)


class ResBlock(nn.Module):
    """norm, swish, conv, twice, plus the input: (B,in_channels,H,W) -> (B,out_channels,H,W).

    Another activation than swish (which is SiLU) is set after construction.
    """

    activation = "silu"

    def __init__(self, in_channels: int, out_channels: int, groups: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = _norm(in_channels, groups)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm2 = _norm(out_channels, groups)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.nin_shortcut = (
            nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else None
        )

    def forward(self, x: Tensor) -> Tensor:
        hidden = conv(self.conv1, norm_act(self.norm1, x, self.activation))
        hidden = conv(self.conv2, self.dropout(norm_act(self.norm2, hidden, self.activation)))
        return hidden + (x if self.nin_shortcut is None else conv(self.nin_shortcut, x))


class Attention(nn.Module):
    """One head of self-attention over all positions, plus the input: (B,C,H,W) -> (B,C,H,W)."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = _norm(channels, groups)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm(x)
        # (B,C,H,W) -> (B,1,H*W,C), contiguous for free in channels_last
        query, key, value = (
            conv(layer, normed).flatten(2).transpose(1, 2).unsqueeze(1)
            for layer in (self.q, self.k, self.v)
        )
        mixed = attend(query, key, value)
        mixed = mixed.squeeze(1).transpose(1, 2).reshape(x.shape)
        return x + conv(self.proj_out, mixed)


class Downsample(nn.Module):
    """(B,C,H,W) -> (B,C,H/2,W/2); zeros are added below and to the right only."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)))
        return out


class Upsample(nn.Module):
    """(B,C,H,W) -> (B,C,2H,2W): nearest neighbour, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return conv(self.conv, F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Middle(nn.Module):
    """Residual block, attention (optional), residual block at the lowest resolution."""

    def __init__(self, channels: int, groups: int, dropout: float, attention: bool) -> None:
        super().__init__()
        self.block_1 = ResBlock(channels, channels, groups, dropout)
        self.attn_1 = Attention(channels, groups) if attention else nn.Identity()
        self.block_2 = ResBlock(channels, channels, groups, dropout)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.block_2(self.attn_1(self.block_1(x)))
        return out


class Level(nn.Module):
    """The blocks of one resolution, attention after each where asked, then a change of resolution.

    `blocks` holds (in_channels, out_channels) of each residual block.
    """

    def __init__(
        self,
        blocks: Sequence[tuple[int, int]],
        groups: int,
        dropout: float,
        attention: bool,
        downsample: bool = False,
        upsample: bool = False,
    ) -> None:
        super().__init__()
        width = blocks[-1][1]
        self.block = nn.ModuleList(ResBlock(*pair, groups, dropout) for pair in blocks)
        self.attn = nn.ModuleList(Attention(out, groups) for _, out in blocks if attention)
        self.downsample = Downsample(width) if downsample else None
        self.upsample = Upsample(width) if upsample else None

    def forward(self, x: Tensor, recompute: bool = False) -> Tensor:
        for number, block in enumerate(self.block):
            x = _run(block, x, recompute)
            if self.attn:
                x = _run(self.attn[number], x, recompute)
        if self.downsample is not None:
            x = self.downsample(x)
        return x if self.upsample is None else _run(self.upsample, x, recompute)


@dataclass(frozen=True)
class Shape:
    """What encoder and decoder have in common.

    `channels` are the widths of the levels, highest resolution first; `resolution` is the nominal
    side at the first level.
    """

    channels: Sequence[int]
    num_res_blocks: int
    resolution: int
    attn_resolutions: Sequence[int]
    z_channels: int
    groups: int
    dropout: float
    mid_attention: bool


class Encoder(nn.Module):
    """(B,in_channels,H,W) -> (B,z_channels,H/2^n,W/2^n) with n = len(channels) - 1."""

    def __init__(self, shape: Shape, in_channels: int, stem_channels: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(in_channels, stem_channels, 3, padding=1)
        self.down = nn.ModuleList()
        previous, last = stem_channels, len(shape.channels) - 1
        for number, width in enumerate(shape.channels):
            self.down.append(
                Level(
                    [(previous, width)] + [(width, width)] * (shape.num_res_blocks - 1),
                    shape.groups,
                    shape.dropout,
                    shape.resolution >> number in shape.attn_resolutions,
                    downsample=number < last,
                )
            )
            previous = width
        self.mid = Middle(previous, shape.groups, shape.dropout, shape.mid_attention)
        self.norm_out = _norm(previous, shape.groups)
        self.conv_out = nn.Conv2d(previous, shape.z_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for level in self.down:
            x = level(x)
        out: Tensor = self.conv_out(norm_silu(self.norm_out, self.mid(x)))
        return out


class Decoder(nn.Module):
    """(B,z_channels,h,w) -> (B,out_channels,h*2^n,w*2^n) with n = len(channels) - 1.

    Arguments as for `Encoder`. Every level has one residual block more than the encoder's. As in
    the checkpoints `up[0]` is the highest resolution, so the levels run in reverse.
    """

    def __init__(self, shape: Shape, out_channels: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(shape.z_channels, shape.channels[-1], 3, padding=1)
        self.mid = Middle(shape.channels[-1], shape.groups, shape.dropout, shape.mid_attention)
        self.up = nn.ModuleList()
        for number, width in enumerate(shape.channels):
            below = shape.channels[min(number + 1, len(shape.channels) - 1)]
            self.up.append(
                Level(
                    [(below, width)] + [(width, width)] * shape.num_res_blocks,
                    shape.groups,
                    shape.dropout,
                    shape.resolution >> number in shape.attn_resolutions,
                    upsample=number > 0,
                )
            )
        self.norm_out = _norm(shape.channels[0], shape.groups)
        self.conv_out = nn.Conv2d(shape.channels[0], out_channels, 3, padding=1)

    def forward(self, x: Tensor, recompute: bool = False) -> Tensor:
        levels: list[Level] = list(reversed(self.up))  # type: ignore[arg-type]
        return _run(self.finish, self.begin(x, levels, recompute), recompute)

    def begin(self, x: Tensor, levels: Sequence[Level], recompute: bool) -> Tensor:
        """The middle and the first levels."""
        x = _run(self.mid, conv(self.conv_in, x), recompute)
        for level in levels:
            x = level(x, recompute)
        return x

    def finish(self, x: Tensor) -> Tensor:
        """What comes after the last level."""
        return conv(self.conv_out, norm_silu(self.norm_out, x))


def _run(part: Callable[[Tensor], Tensor], x: Tensor, recompute: bool) -> Tensor:
    """`part(x)`; with `recompute` only x is kept, and the rest made again in the backward pass."""
    if not (recompute and x.requires_grad and torch.is_grad_enabled()):
        return part(x)
    out: Tensor = checkpoint(part, x, use_reentrant=False, preserve_rng_state=False)
    return out


__all__ = ["ACTIVATIONS", "Decoder", "Encoder", "ResBlock", "Shape"]
