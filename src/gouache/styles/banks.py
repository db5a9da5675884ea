"""Fixed random maps that composing draws from: making them anew for every picture would be slow."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Banks", "Cells", "banks", "pen"]

_COUNT = 16
_LARGEST = 256  # larger maps are those of a smaller size, enlarged
_FINE = 128
_FEW = 4  # partitions of large maps: they take time and memory
_SEED = 7919
_AT_ONCE = 256 * 64  # pixels whose distances to all seeds are found at once


@dataclass(frozen=True, eq=False)
class Cells:
    """Partitions of the square into Voronoi cells around points, found when first looked at.

    Attributes:
        size: side of the square in pixels.
        across: side of the square in cells.
        stretch: length of a cell over its width, each in a direction of its own.
        line: width of the borders in pixels at 64 pixels of size.
        points: (count, num_cells, 2) where cells are, in cells.
        angles: (count, num_cells) their directions.
    """

    size: int
    across: int
    stretch: float
    line: float
    points: Tensor = field(repr=False)
    angles: Tensor = field(repr=False)

    @property
    def num_cells(self) -> int:
        """Cells per partition."""
        return self.points.shape[1]

    @property
    def labels(self) -> Tensor:
        """(count, size*size) cell of each pixel."""
        return self._found[0]

    @property
    def border(self) -> Tensor:
        """(count, 1, size, size) 1 on the lines between cells, else 0."""
        return self._found[1]

    @cached_property
    def _found(self) -> tuple[Tensor, Tensor]:
        size, across = self.size, self.across
        axis = (torch.arange(size) + 0.5) / size * across
        rows, columns = torch.meshgrid(axis, axis, indexing="ij")
        places = torch.split(torch.stack([rows, columns], -1).view(-1, 1, 2), _AT_ONCE)
        labels = []
        borders = []
        for seeds, angle in zip(self.points, self.angles, strict=True):
            found, gaps = [], []
            for place in places:
                away = place - seeds
                along = away[..., 0] * angle.cos() + away[..., 1] * angle.sin()
                aside = away[..., 1] * angle.cos() - away[..., 0] * angle.sin()
                distance = ((along / self.stretch) ** 2 + aside**2).sqrt()
                nearest, index = distance.min(dim=1)
                found.append(index)
                # Two minima are several times faster than topk(2).
                distance.scatter_(1, index[:, None], torch.inf)
                gaps.append((distance.amin(dim=1) - nearest) / across * 64)
            labels.append(torch.cat(found))
            borders.append((torch.cat(gaps) < self.line).float().view(1, size, size))
        return torch.stack(labels), torch.stack(borders)


@dataclass(frozen=True)
class Banks:
    """Maps for one picture size; everything is float32 in the stated range.

    Attributes:
        smooth: (count,1,size,size) soft noise, about N(0,1).
        grain: (count,1,size,size) pixel noise, N(0,1).
        stars: (count,1,size,size) few bright points, [0,1].
        ramps: (count,1,size,size) straight and round gradients, [0,1].
        warp: (count,size,size,2) smooth displacements, about N(0,1).
        tiles, glass, shards, strokes: partitions for mosaics, stained glass, facets, brush strokes.
        pixels: how many large pixels a side of pixel art may have.
    """

    smooth: Tensor
    grain: Tensor
    stars: Tensor
    ramps: Tensor
    warp: Tensor
    tiles: Cells
    glass: Cells
    shards: Cells
    strokes: Cells
    pixels: tuple[int, ...] = (12, 14, 16, 20)


def pen(size: int) -> int:
    """Width in pixels of the lines that filters draw in pictures of this size."""
    return size // _FINE if size > _LARGEST else 1


@lru_cache(maxsize=16)
def banks(size: int, count: int = _COUNT, seed: int = 0, finer: float = 1.0) -> Banks:
    """The maps for a size, made once per process, always the same for a seed.

    Maps of more than 256 pixels show what those of 128 show, larger, and stars become discs; there
    are fewer partitions, with borders as sharp as the size allows. Partitions have `finer` times as
    many cells a side.
    """
    if size > _LARGEST:
        return _enlarged(banks(_FINE, count, seed), size, count, seed, finer)
    rng = torch.Generator().manual_seed(_SEED + seed)

    def smooth(channels: int, cells: int) -> Tensor:
        coarse = torch.randn(count, channels, cells, cells, generator=rng)
        fine = F.interpolate(coarse, size=size, mode="bicubic", align_corners=False)
        return fine / fine.std(dim=(1, 2, 3), keepdim=True)

    soft = (smooth(1, 4) + smooth(1, 8) + 0.5 * smooth(1, 16)) / 1.5
    grain = torch.randn(count, 1, size, size, generator=rng)
    points = torch.rand(count, 1, size, size, generator=rng)
    stars = ((points - 0.985) / 0.015).clamp(0, 1)
    line = (torch.arange(size) + 0.5) / size
    rows, columns = torch.meshgrid(line, line, indexing="ij")
    angle = torch.rand(count, 1, 1, generator=rng) * 2 * torch.pi
    ramps = (rows - 0.5) * angle.cos() + (columns - 0.5) * angle.sin() + 0.5
    ramps[: count // 3] = rows  # light from above is what pictures have most
    round_ones = ((rows - 0.5) ** 2 + (columns - 0.5) ** 2).sqrt() * 1.4
    ramps[-count // 4 :] = round_ones
    warp = smooth(2, 8).permute(0, 2, 3, 1).contiguous()
    return Banks(
        soft,
        grain,
        stars,
        ramps.clamp(0, 1)[:, None],
        warp,
        *_partitions(size, rng, count, finer),
    )


def _enlarged(fine: Banks, size: int, count: int, seed: int, finer: float) -> Banks:
    def soft(maps: Tensor) -> Tensor:
        return F.interpolate(maps, size=(size, size), mode="bicubic", align_corners=False)

    rng = torch.Generator().manual_seed(_SEED + seed)
    lights = F.interpolate(F.max_pool2d(fine.stars, 3, 1, 1), size=(size, size), mode="nearest")
    discs = ((soft((fine.stars > 0).float()) - 0.4) * 6).clamp(0, 1)
    return Banks(
        soft(fine.smooth),
        soft(fine.grain),
        discs * lights,
        soft(fine.ramps).clamp(0, 1),
        soft(fine.warp.permute(0, 3, 1, 2)).permute(0, 2, 3, 1).contiguous(),
        *_partitions(size, rng, min(_FEW, count), finer),
    )


# Cells across, disorder, stretch and line of tiles, glass, shards and strokes, see `_cells`.
_PARTITIONS = ((13, 0.3, 1.0, 0.75), (8, 0.9, 1.0, 0.9), (11, 1.2, 1.3, 0.0), (17, 1.0, 2.6, 0.0))


def _partitions(
    size: int, rng: torch.Generator, count: int, finer: float
) -> tuple[Cells, Cells, Cells, Cells]:
    tiles, glass, shards, strokes = _PARTITIONS
    return (
        _cells(size, *tiles, rng, count, finer),
        _cells(size, *glass, rng, count, finer),
        _cells(size, *shards, rng, count, finer),
        _cells(size, *strokes, rng, count, finer),
    )


def _cells(
    size: int,
    across: int,
    disorder: float,
    stretch: float,
    line: float,
    rng: torch.Generator,
    count: int,
    finer: float,
) -> Cells:
    """Cells around a disturbed grid; `disorder` is how far they leave it, in cells."""
    across = round(finer * across)
    grid = torch.cartesian_prod(torch.arange(across), torch.arange(across)) + 0.5
    points, angles = [], []
    for _ in range(count):
        points.append(grid + (torch.rand(len(grid), 2, generator=rng) - 0.5) * disorder)
        angles.append(torch.rand(len(grid), generator=rng) * torch.pi)
    return Cells(size, across, stretch, line, torch.stack(points), torch.stack(angles))
