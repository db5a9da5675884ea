"""Decoding pictures beyond memory in strips, without seams.

Strips that are normalised one by one differ at their borders, as group normalisation looks at the
whole picture. So the statistics of every normalisation are found first, layer by layer in a pass
without gradients that holds three feature maps; given them, each output row depends on a few rows
around it only. Then strips with that margin are decoded one after the other, and computed again
going back.

The picture is that of the untiled decode up to rounding. The gradient treats the statistics as
given: it lacks a pixel's part in the mean and deviation of the whole picture (docs/performance.md
says how much that is).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gouache.generators.vqgan_blocks import ACTIVATIONS, Decoder, Level, ResBlock
from gouache.ops.frozen import conv

STRIP = 64  # rows at the tail's input that are decoded at once
WHOLE = 512  # levels whose shorter side is at most this many rows are not cut
_STREAM = 128  # rows of one piece of the pass that finds statistics


@dataclass(frozen=True)
class Affine:
    """A normalisation with its statistics given: scale and shift, (B,C,1,1)."""

    scale: Tensor
    shift: Tensor

    def silu(self, x: Tensor) -> Tensor:
        return self.act(x, "silu")

    def act(self, x: Tensor, activation: str) -> Tensor:
        """Normalised, and through one of `ACTIVATIONS`."""
        normed = torch.addcmul(self.shift.to(x.dtype), x, self.scale.to(x.dtype))
        return ACTIVATIONS[activation](normed)


def decode_tiled(decoder: Decoder, x: Tensor, strip: int = STRIP, whole: int = WHOLE) -> Tensor:
    """As `decoder(x)` for (B,z_channels,h,w), the upper levels in strips of `strip` rows."""
    head, tail = split(decoder, x.shape[-2], whole)
    x = decoder.begin(x, head, recompute=True)
    if not tail:
        return decoder.finish(x)
    with torch.no_grad():
        norms = statistics(decoder, tail, x)
    margin = margin_of(tail)
    scale = 2 ** sum(level.upsample is not None for level in tail)

    def piece(rows: Tensor) -> Tensor:
        return _run_tail(decoder, tail, rows, norms)

    parts = []
    height = x.shape[2]
    for top in range(0, height, strip):
        bottom = min(top + strip, height)
        above, below = max(0, top - margin), min(height, bottom + margin)
        rows = x[:, :, above:below]
        if rows.requires_grad and torch.is_grad_enabled():
            out = checkpoint(piece, rows, use_reentrant=False, preserve_rng_state=False)
        else:
            out = piece(rows)
        assert isinstance(out, Tensor)
        parts.append(out[:, :, (top - above) * scale : (bottom - above) * scale])
    return torch.cat(parts, 2)


def split(decoder: Decoder, rows: int, whole: int) -> tuple[list[Level], list[Level]]:
    """Levels that are run whole and those in strips, lowest first; attention is never cut."""
    levels: list[Level] = list(reversed(decoder.up))  # type: ignore[arg-type]
    first = 0
    for number, level in enumerate(levels):
        if rows <= whole or len(level.attn):
            first = number + 1
        rows *= 2 if level.upsample is not None else 1
    return levels[:first], levels[first:]


def margin_of(tail: list[Level]) -> int:
    """Rows of the tail's input that an output row depends on, above and below it."""
    rows, scale = 0.0, 1.0
    for level in tail:
        rows += 2 * len(level.block) * scale
        if level.upsample is not None:
            scale /= 2
            rows += scale
    return int(rows + scale) + 2


def statistics(decoder: Decoder, tail: list[Level], x: Tensor) -> list[Affine]:
    """All normalisations of the tail in order, for the whole picture `x`."""
    found: list[Affine] = []
    for level in tail:
        for block in level.block:
            assert isinstance(block, ResBlock)
            first = affine(block.norm1, x)
            hidden = _stream(partial(_inner, block, first), x)
            second = affine(block.norm2, hidden)
            x = _stream(partial(_joined, block, second), hidden, x)
            found += [first, second]
            del hidden
        if level.upsample is not None:
            x = _stream(level.upsample, x)
    return [*found, affine(decoder.norm_out, x)]


def affine(norm: nn.GroupNorm, x: Tensor) -> Affine:
    """The normalisation of `x` (B,C,H,W) as scale and shift, added up in float32 piece by piece."""
    batch, channels, height, width = x.shape
    centre = x[:, :, :: max(1, height // 16)].float().mean((2, 3), keepdim=True)
    total = torch.zeros(batch, channels, dtype=torch.float64, device=_exact(x.device))
    square = torch.zeros_like(total)
    for rows in _pieces(height):
        part = x[:, :, rows].float() - centre  # so that squares do not cancel
        total += part.sum((2, 3)).to(total)
        square += part.square().sum((2, 3)).to(total)
    count = height * width
    middle = centre.flatten(1).to(total) + total / count
    spread = square / count - (total / count).square()
    grouped = middle.view(batch, norm.num_groups, -1)
    mean = grouped.mean(2, keepdim=True)
    inner = spread.view_as(grouped).mean(2, keepdim=True)
    rstd = (inner + (grouped - mean).square().mean(2, keepdim=True) + norm.eps).rsqrt()
    each = (rstd.expand_as(grouped).reshape(batch, -1), mean.expand_as(grouped).reshape(batch, -1))
    scale = each[0] * norm.weight.to(total)
    shift = norm.bias.to(total) - each[1] * scale
    return Affine(*(one.float().to(x.device)[..., None, None] for one in (scale, shift)))


def _exact(device: torch.device) -> torch.device:
    return torch.device("cpu") if device.type == "mps" else device  # which has no float64


def _run_tail(decoder: Decoder, tail: list[Level], x: Tensor, norms: list[Affine]) -> Tensor:
    left = iter(norms)
    for level in tail:
        for block in level.block:
            assert isinstance(block, ResBlock)
            hidden = _inner(block, next(left), x)
            x = _joined(block, next(left), hidden, x)
        if level.upsample is not None:
            x = level.upsample(x)
    return conv(decoder.conv_out, next(left).silu(x))


def _joined(block: ResBlock, norm: Affine, hidden: Tensor, x: Tensor) -> Tensor:
    short = x if block.nin_shortcut is None else conv(block.nin_shortcut, x)
    return conv(block.conv2, norm.act(hidden, block.activation)) + short


def _inner(block: ResBlock, norm: Affine, x: Tensor) -> Tensor:
    return conv(block.conv1, norm.act(x, block.activation))


def _stream(part: Callable[..., Tensor], *maps: Tensor) -> Tensor:
    """`part(*maps)` for something that looks one row up and down, in pieces of few rows."""
    height = maps[0].shape[2]
    out: Tensor | None = None
    for rows in _pieces(height):
        above, below = max(0, rows.start - 1), min(height, rows.stop + 1)
        piece = part(*(one[:, :, above:below] for one in maps))
        grows = piece.shape[2] // (below - above)
        if out is None:
            shape = (*piece.shape[:2], height * grows, piece.shape[3])
            out = piece.new_empty(shape).to(memory_format=torch.channels_last)
        kept = slice((rows.start - above) * grows, (rows.stop - above) * grows)
        out[:, :, rows.start * grows : rows.stop * grows] = piece[:, :, kept]
    assert out is not None
    return out


def _pieces(height: int) -> Iterator[slice]:
    for top in range(0, height, _STREAM):
        yield slice(top, min(top + _STREAM, height))


__all__ = ["Affine", "decode_tiled", "margin_of", "split", "statistics"]
