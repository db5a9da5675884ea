"""A picture drawn in a style, whatever its size and whatever stands in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.styles.asking import NAMES
from gouache.styles.banks import banks
from gouache.styles.filters import STYLES, stylize
from gouache.styles.weather import ASKED_BY, WEATHER

_SIDE = 512  # pictures are drawn in this size: lines and tiles are as wide as `pocket` learned them
_PIXELS = (16,)  # of pixel art a side: two cells of the latent grid each
_FINER = 1.2  # tiles and strokes: pictures hold more than the icons of `banks` do
_RIM = 1 / 32  # of the side: what lies there is taken for the ground
_SMOOTH = 1 / 28  # of the side


def known_styles() -> tuple[str, ...]:
    """Names of the styles that are found in prompts and drawn."""
    return tuple(style.name for style in STYLES if style.name in NAMES)


def examples() -> dict[str, str]:
    """Every style and weather by name, each with a prompt that asks for it."""
    found = {
        style.name: style.templates[0].format(a="a house", n="house")
        for style in STYLES
        if style.name in NAMES
    }
    return found | {name: f"a house {how}" for name, how in ASKED_BY.items()}


def draw_in(style: str, image: Tensor, seed: int) -> Tensor:
    """The picture in a style.

    Args:
        style: one of `known_styles()`, or a name of `WEATHER`.
        image: (1,3,H,W) in [0,1].
        seed: of the tiles' places, the paper's grain and the like.

    Returns:
        (1,3,H,W) in [0,1].
    """
    height, width = image.shape[-2:]
    side = max(height, width)
    square = F.pad(image.float().cpu(), (0, side - width, 0, side - height), "replicate")
    large = F.interpolate(square, (_SIDE, _SIDE), mode="bicubic", antialias=True).clamp(0, 1)
    maps = replace(banks(_SIDE, 1, seed, _FINER), pixels=_PIXELS)
    rng, alpha = np.random.default_rng(seed), thing(large)
    if style in WEATHER:
        drawn = WEATHER[style](large, alpha, maps, rng).clamp(0, 1)
    else:
        number = [one.name for one in STYLES].index(style)
        drawn = stylize(large, alpha, number, rng, maps)
    drawn = F.interpolate(drawn, (side, side), mode="bicubic", antialias=True).clamp(0, 1)
    return drawn[..., :height, :width].to(image)


def thing(image: Tensor) -> Tensor:
    """How much each pixel of (B,3,S,S) belongs to what stands on the ground: (B,1,S,S) in [0,1].

    The ground is what has the colours of the picture's rim.
    """
    side = image.shape[-1]
    rim = max(1, round(side * _RIM))
    edges = (image[..., :rim, :], image[..., -rim:, :], image[..., :rim], image[..., -rim:])
    ring = torch.cat([edge.flatten(2) for edge in edges], 2)
    mean, spread = ring.mean(2)[..., None, None], ring.std(2)[..., None, None]
    away = ((image - mean) / (spread + 0.1)).square().sum(1, keepdim=True).sqrt()
    wide = 2 * round(side * _SMOOTH / 2) + 1
    away = F.avg_pool2d(away, wide, 1, wide // 2, count_include_pad=False)
    few = F.avg_pool2d(away, max(1, side // 64)).flatten(1)
    low, high = few.quantile(0.2, 1), few.quantile(0.85, 1)
    share = (away - low.view(-1, 1, 1, 1)) / (high - low + 1e-3).view(-1, 1, 1, 1)
    return ((share - 0.5) * 9).sigmoid()


__all__ = ["draw_in", "examples", "known_styles", "thing"]
