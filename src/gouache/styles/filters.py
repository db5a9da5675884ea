"""Styles a picture can be turned into by classical filters, with the phrases that name them.

Every filter has the same signature: image (B,3,H,W) in [0,1] and the alpha of what is drawn on the
ground (B,1,H,W) in [0,1] to an image of the same shape and range.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.ops.slopes import contrast
from gouache.styles.banks import Banks, Cells, banks, pen

__all__ = ["STYLES", "Filter", "Style", "luma", "rgb", "stylize"]

_LUMA = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)

Filter = Callable[[Tensor, Tensor, Banks, np.random.Generator], Tensor]


@dataclass(frozen=True)
class Style:
    """A style: its filter and how people ask for it.

    Attributes:
        name: short name.
        templates: captions; `{a}` is the thing with its article, `{n}` without.
        keeps_color: whether colour words stay true.
        keeps_ground: whether words about the background stay true.
        coarse: whether small things are lost in it.
    """

    name: str
    apply: Filter
    templates: tuple[str, ...]
    keeps_color: bool = True
    keeps_ground: bool = True
    coarse: bool = False


def _pick(bank: Tensor, count: int, rng: np.random.Generator) -> Tensor:
    return bank[torch.from_numpy(rng.integers(len(bank), size=count))]


def luma(image: Tensor) -> Tensor:
    """Brightness, (B,3,H,W) -> (B,1,H,W)."""
    return (image * _LUMA).sum(1, keepdim=True)


def _vivid(image: Tensor, times: float) -> Tensor:
    """Colours so many times as far from gray, (B,3,H,W); not clamped."""
    gray = luma(image)
    return gray + times * (image - gray)


def _soft(image: Tensor, width: int = 3) -> Tensor:
    width = (width - 1) * pen(image.shape[-1]) + 1
    return F.avg_pool2d(image, width, 1, width // 2, count_include_pad=False)


def _edges(image: Tensor) -> Tensor:
    """Gradient magnitude, (B,C,H,W) -> (B,1,H,W); an edge becomes a line as wide as the pen."""
    return contrast(image, pen(image.shape[-1]))


def rgb(red: int, green: int, blue: int) -> Tensor:
    """A colour of 0 to 255 a channel, as (1,3,1,1) in [0,1]."""
    return torch.tensor([red, green, blue]).view(1, 3, 1, 1) / 255


def _lerp(low: Tensor, high: Tensor, share: Tensor) -> Tensor:
    return low * (1 - share) + high * share


def _cell_means(image: Tensor, cells: Cells, chosen: Tensor) -> Tensor:
    """Every pixel takes the mean colour of its cell."""
    count, channels, height, width = image.shape
    labels = cells.labels[chosen][:, None].expand(-1, channels, -1)
    sums = image.new_zeros(count, channels, cells.num_cells)
    sums.scatter_add_(2, labels, image.reshape(count, channels, -1))
    sizes = image.new_zeros(count, channels, cells.num_cells)
    sizes.scatter_add_(2, labels, torch.ones_like(labels, dtype=image.dtype))
    means = sums / sizes.clamp(min=1)
    return means.gather(2, labels).view(count, channels, height, width)


def _choose(cells: Cells, count: int, rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.integers(len(cells.labels), size=count))


def _pencil(image: Tensor, alpha: Tensor, bank: Banks, rng: np.random.Generator) -> Tensor:
    lines = (1.7 * _edges(image) + 0.5 * _edges(alpha)).clamp(0, 1)
    paper = 0.8 + 0.2 * luma(image) + 0.025 * _pick(bank.grain, len(image), rng)
    return ((1 - lines) * paper).expand(-1, 3, -1, -1)


def _charcoal(image: Tensor, alpha: Tensor, bank: Banks, rng: np.random.Generator) -> Tensor:
    lines = 2 * _edges(_soft(image)) + _edges(_soft(alpha))
    tone = 0.25 + 0.75 * (1.6 * (luma(image) - 0.3))
    return (tone - lines + 0.1 * _pick(bank.grain, len(image), rng)).expand(-1, 3, -1, -1)


def _monochrome(image: Tensor, alpha: Tensor, bank: Banks, rng: np.random.Generator) -> Tensor:
    return luma(image).expand(-1, 3, -1, -1)


def _sepia(image: Tensor, alpha: Tensor, bank: Banks, rng: np.random.Generator) -> Tensor:
    tone = (luma(image) + 0.05 * _pick(bank.smooth, len(image), rng)).clamp(0, 1)
    return _lerp(rgb(60, 35, 15), rgb(245, 225, 185), tone)


def _pixels(image: Tensor, alpha: Tensor, bank: Banks, rng: np.random.Generator) -> Tensor:
    cells = int(rng.choice(bank.pixels))
    small = F.adaptive_avg_pool2d(image, cells)
    return F.interpolate((small * 6).round() / 6, size=image.shape[-2:], mode="nearest")


def _mosaic(image: Tensor, alpha: Tensor, bank: Banks, rng: np.random.Generator) -> Tensor:
    chosen = _choose(bank.tiles, len(image), rng)
    vivid = _vivid(_cell_means(image, bank.tiles, chosen), 1.4)
    vivid = vivid + 0.03 * _pick(bank.smooth, len(image), rng)
    tiles = 0.6 * vivid + 0.4 * image  # an eye is smaller than a tile
    return _lerp(tiles, rgb(70, 70, 70), 0.85 * bank.tiles.border[chosen])


def _stained_glass(image: Tensor, alpha: Tensor, bank: Banks, rng: np.random.Generator) -> Tensor:
    chosen = _choose(bank.glass, len(image), rng)
    vivid = _vivid(_cell_means(image, bank.glass, chosen), 1.5)
    vivid = vivid + 0.04 * _pick(bank.smooth, len(image), rng)
    leads = (bank.glass.border[chosen] + 2.0 * (_edges(alpha) - 0.3).clamp(0, 1)).clamp(0, 1)
    return 0.5 * (vivid + _soft(image)) * (1 - leads)  # the thing shines through coarse cells


def _low_poly(image: Tensor, alpha: Tensor, bank: Banks, rng: np.random.Generator) -> Tensor:
    chosen = _choose(bank.shards, len(image), rng)
    return _cell_means(image, bank.shards, chosen) + 0.02 * _pick(bank.smooth, len(image), rng)


def _oil(image: Tensor, alpha: Tensor, bank: Banks, rng: np.random.Generator) -> Tensor:
    chosen = _choose(bank.strokes, len(image), rng)
    means = _cell_means(image, bank.strokes, chosen)
    relief = 0.06 * _pick(bank.grain, len(image), rng).flatten(1)
    # One brightness per stroke: the value of the grain at the stroke's own number, of which there
    # are more than pixels in the smallest pictures.
    own = bank.strokes.labels[chosen] % relief.shape[1]
    strokes = relief.gather(1, own).view_as(alpha)
    return means * 0.97 + strokes


def _watercolor(image: Tensor, alpha: Tensor, bank: Banks, rng: np.random.Generator) -> Tensor:
    size = image.shape[-1]
    identity = torch.eye(2, 3).expand(len(image), 2, 3)
    grid = F.affine_grid(identity, [len(image), 3, size, size], align_corners=False)
    grid = grid + 0.02 * _pick(bank.warp, len(image), rng)
    wet = F.grid_sample(image, grid, padding_mode="border", align_corners=False)
    pale = 0.15 + 0.85 * wet + 0.05 * _pick(bank.smooth, len(image), rng)
    return pale - _edges(wet).clamp(max=0.25)  # where a wash ends, its colour gathers


def _pastel(image: Tensor, alpha: Tensor, bank: Banks, rng: np.random.Generator) -> Tensor:
    chalky = 0.35 + 0.62 * _soft(image, 3)
    return chalky + 0.06 * _pick(bank.grain, len(image), rng)


def _neon(image: Tensor, alpha: Tensor, bank: Banks, rng: np.random.Generator) -> Tensor:
    lines = 3 * _edges(_soft(image)) * (0.25 + alpha) + 0.8 * _edges(_soft(alpha))
    hue = image / (image.amax(1, keepdim=True) + 0.05)
    glow = lines.clamp(0, 1) * (0.25 + 0.75 * hue)
    return glow + 0.8 * _soft(glow, 5) + 0.02


def _silhouette(image: Tensor, alpha: Tensor, bank: Banks, rng: np.random.Generator) -> Tensor:
    tints = torch.from_numpy(rng.uniform(0.65, 1, (len(image), 3, 1, 1)).astype(np.float32))
    white = torch.from_numpy(rng.random((len(image), 1, 1, 1)) < 0.5)
    ground = torch.where(white, torch.ones_like(tints), tints)
    return _lerp(ground.expand_as(image), torch.full_like(image, 0.03), alpha)


def _blueprint(image: Tensor, alpha: Tensor, bank: Banks, rng: np.random.Generator) -> Tensor:
    size = image.shape[-1]
    step = max(4, size // 8)
    paper = torch.zeros(1, 1, size, size)
    ruled = torch.arange(size) % step < pen(size)
    paper[..., ruled, :] = 0.13
    paper[..., :, ruled] = 0.13
    lines = (1.8 * _edges(image) * (0.15 + alpha) + 0.8 * _edges(alpha) + paper).clamp(0, 1)
    return _lerp(rgb(20, 62, 150), rgb(240, 246, 255), lines)


def _ink(image: Tensor, alpha: Tensor, bank: Banks, rng: np.random.Generator) -> Tensor:
    lines = (4 * (_edges(image) * (0.1 + alpha) + 0.5 * _edges(alpha)) - 0.35).clamp(0, 1)
    return (1 - lines).expand(-1, 3, -1, -1)


def _chalk(image: Tensor, alpha: Tensor, bank: Banks, rng: np.random.Generator) -> Tensor:
    lines = 2.2 * _edges(image) * (0.1 + alpha) + 0.9 * _edges(alpha) + 0.12 * alpha
    dust = (0.8 + 0.35 * _pick(bank.grain, len(image), rng)).clamp(0, 1)
    board = rgb(38, 60, 50) + 0.02 * _pick(bank.smooth, len(image), rng)
    return _lerp(board, torch.ones(1, 3, 1, 1) * 0.95, (lines * dust).clamp(0, 1))


def _woodcut(image: Tensor, alpha: Tensor, bank: Banks, rng: np.random.Generator) -> Tensor:
    size = image.shape[-1]
    tone = luma(image) + 0.6 * (luma(image) - _soft(luma(image), 7))
    hatch = 0.18 * torch.sin(torch.arange(size) * (2 * torch.pi / max(3, size // 16)))
    ink = ((tone + hatch.view(1, 1, -1, 1) - 0.5) * 8).sigmoid()
    lines = (3 * _edges(alpha)).clamp(0, 1)
    return _lerp(rgb(25, 20, 18), rgb(240, 230, 210), ink * (1 - lines))


def _pop_art(image: Tensor, alpha: Tensor, bank: Banks, rng: np.random.Generator) -> Tensor:
    size = image.shape[-1]
    vivid = (_vivid(image, 1.8) * 3).round() / 3
    axis = torch.arange(size) * (2 * torch.pi / max(4, size // 14))
    dots = (axis.sin()[:, None] * axis.sin()[None]).view(1, 1, size, size)
    shade = ((0.75 - luma(image)) * 2 + dots > 0.9).float() * 0.22
    lines = (2.5 * _edges(image) - 0.2).clamp(0, 1)
    return (vivid - shade) * (1 - lines)


def _points(image: Tensor, alpha: Tensor, bank: Banks, rng: np.random.Generator) -> Tensor:
    size = image.shape[-1]
    wide = pen(size)
    cells = size // (3 * wide)
    dots = F.adaptive_avg_pool2d(image, cells)
    dots = dots + 0.09 * torch.from_numpy(
        rng.standard_normal((len(image), 3, cells, cells), dtype=np.float32)
    )
    large = F.interpolate(dots, size=(size, size), mode="nearest")
    axis = torch.arange(size) % (3 * wide) < 2 * wide
    inside = (axis[:, None] | axis[None]).float().view(1, 1, size, size)
    return _lerp(_soft(image, 3) * 0.5 + 0.45, large, 0.85 * inside)


def _stitches(image: Tensor, alpha: Tensor, bank: Banks, rng: np.random.Generator) -> Tensor:
    size = image.shape[-1]
    step = max(3, size // 20)
    cells = size // step
    small = F.adaptive_avg_pool2d(image, cells)
    large = F.interpolate(small, size=(size, size), mode="nearest")
    axis = (torch.arange(size) * cells // size * step - torch.arange(size)).abs().float()
    rows, columns = axis[:, None], axis[None]
    away = torch.minimum((rows - columns).abs(), (rows + columns - (step - 1)).abs())
    cross = away < 0.8 * pen(size)
    shade = torch.where(cross, 1.0, 0.72).view(1, 1, size, size)
    return large * shade


def _blur(image: Tensor, alpha: Tensor, bank: Banks, rng: np.random.Generator) -> Tensor:
    return _soft(_soft(image, 7), 5)


STYLES: tuple[Style, ...] = (
    Style(
        "pencil sketch",
        _pencil,
        ("a pencil sketch of {a}", "{a}, pencil drawing", "a pencil drawing of {a}", "{n} sketch"),
        False,
        False,
    ),
    Style(
        "charcoal",
        _charcoal,
        ("a charcoal drawing of {a}", "{a} in charcoal", "{n}, charcoal"),
        False,
        False,
    ),
    Style(
        "black and white",
        _monochrome,
        ("a black and white picture of {a}", "{a} in black and white", "a grayscale {n}"),
        False,
        False,
    ),
    Style(
        "sepia",
        _sepia,
        ("an old photograph of {a}", "a sepia picture of {a}", "a vintage photo of {a}"),
        False,
        False,
    ),
    Style(
        "pixel art", _pixels, ("pixel art of {a}", "{a}, pixel art", "a pixelated {n}"), coarse=True
    ),
    Style(
        "mosaic",
        _mosaic,
        ("a mosaic of {a}", "{a}, mosaic", "{n} made of mosaic tiles"),
        coarse=True,
    ),
    Style(
        "stained glass",
        _stained_glass,
        ("a stained glass window of {a}", "{a} in stained glass", "{n}, stained glass"),
        coarse=True,
    ),
    Style(
        "low poly",
        _low_poly,
        ("low poly {n}", "a low poly picture of {a}", "{a}, polygons"),
        coarse=True,
    ),
    Style(
        "oil painting",
        _oil,
        ("an oil painting of {a}", "{a}, oil painting", "a painting of {a}", "{a}, oil on canvas"),
        coarse=True,
    ),
    Style(
        "watercolor",
        _watercolor,
        (
            "a watercolor painting of {a}",
            "a watercolour painting of {a}",
            "{a}, watercolour",
            "{a} in watercolor",
            "a watercolor of {a}",
        ),
        coarse=True,
    ),
    Style("pastel", _pastel, ("a pastel drawing of {a}", "{a} in pastel colors", "{n}, pastels")),
    Style(
        "neon",
        _neon,
        ("a neon sign of {a}", "{a} in neon lights", "a glowing neon {n}", "{n}, neon"),
        False,
        False,
    ),
    Style(
        "silhouette",
        _silhouette,
        ("a silhouette of {a}", "the silhouette of {a}", "{n} silhouette", "the shadow of {a}"),
        False,
        False,
    ),
    Style(
        "blueprint",
        _blueprint,
        ("a blueprint of {a}", "{a}, blueprint", "a technical drawing of {a}"),
        False,
        False,
    ),
    Style(
        "line drawing",
        _ink,
        (
            "a line drawing of {a}",
            "an ink drawing of {a}",
            "{a}, line art",
            "a coloring page of {a}",
        ),
        False,
        False,
    ),
    Style(
        "chalk",
        _chalk,
        ("a chalk drawing of {a}", "{a} drawn in chalk on a blackboard", "{n}, chalk"),
        False,
        False,
    ),
    Style(
        "woodcut",
        _woodcut,
        ("a woodcut of {a}", "a linocut print of {a}", "{a}, woodcut"),
        False,
        False,
    ),
    Style("pop art", _pop_art, ("pop art of {a}", "{a}, pop art", "a comic book {n}")),
    Style(
        "pointillism",
        _points,
        ("{a}, pointillism", "an impressionist painting of {a}", "{a} painted with dots"),
        coarse=True,
    ),
    Style(
        "cross stitch",
        _stitches,
        ("a cross stitch of {a}", "{a}, embroidery", "an embroidered {n}"),
        coarse=True,
    ),
    Style(
        "blurry",
        _blur,
        ("a blurry picture of {a}", "{a} out of focus", "a blurred {n}"),
        coarse=True,
    ),
)
"""Every style; `Batch.styles` holds indices into this."""


def stylize(
    image: Tensor, alpha: Tensor, style: int, rng: np.random.Generator, maps: Banks | None = None
) -> Tensor:
    """Turn pictures into a style.

    Args:
        image: (B,3,S,S) in [0,1], square.
        alpha: (B,1,S,S) in [0,1], what stands on the ground.
        style: index into `STYLES`.
        rng: source of chance.
        maps: random maps of this size; by default those of `banks`.

    Returns:
        (B,3,S,S) in [0,1].
    """
    done = STYLES[style].apply(image, alpha, maps or banks(image.shape[-1]), rng)
    return done.clamp(0, 1)
