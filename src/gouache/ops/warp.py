"""Antialiased projective warping of a picture into many small squares, in one sampling pass.

A cutout of a picture is crop, resize, flip, rotation, shear, shift and perspective: together one
homography per cutout. Sampling the picture there with four taps aliases wherever the cutout is
smaller than what it shows; a guide then steers detail that no viewer sees. So the picture is first
resampled with an exact antialiasing filter to the few sizes that this call needs (a ladder of two
rungs an octave instead of the usual mip map's one), the rungs are stacked into one atlas, and each
cutout reads the one rung that fits its scale, all cutouts in one `grid_sample`. With rungs this
close, four taps come as near to the ideal filter as the eight of a trilinear mip map; four rungs an
octave gain two hundredths of the remaining error and cost more than they gain.

The atlas also holds constants, so what lies outside the picture and what is erased costs no pass
of its own: a margin of the picture's mean colour around each rung, and a ramp of greys.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.errors import ImageError

RUNGS_PER_OCTAVE = 2
# Four taps blur by about a pixel of the rung they read, so reading a rung half an octave finer than
# the cutout gives the least error against the ideal filter (of 0, 1/4, 1/2, 3/4 and 1, measured).
FINER = 0.5
_RAMP_ROWS = 2  # equal rows of greys; sampled between them, where rounding cannot reach others
_MAX_VIEWS = 8


def warp(
    image: Tensor,
    homographies: Tensor,
    size: int,
    *,
    mean_outside: Tensor | None = None,
    erase: Tensor | None = None,
) -> Tensor:
    """Warps each picture into N squares, antialiased: (B,3,H,W) -> (N,B,3,size,size), float32.

    image: any range, which the output keeps: every output pixel is a weighted mean, weights >= 0.
    homographies: (N,B,3,3) on the CPU. Each takes output coordinates (x, y, 1) to the picture's;
        both run from -1 to 1 between the outer edges of the border pixels, x to the right and y
        down. The third coordinate must be positive throughout the output.
    mean_outside: (N,B) bool on the CPU. What lies outside the picture is its mean colour where
        true (a constant: no gradient flows through it), else the nearest border pixel (default).
    erase: (N,B,5) on the CPU: top, bottom, left, right as shares of the output, and a grey in
        [0,1]. That rectangle becomes that grey; an empty one (bottom <= top) erases nothing.

    Differentiable in `image` only. The identity at the picture's own size copies the picture (up
    to float32 coordinates: 1e-5 of a pixel or so); the whole picture at a smaller size, letterboxed
    where it is not square, equals `F.interpolate(antialias=True)`. Deterministic on the CPU. The
    result may be a strided view. Raises `ImageError` on shapes that do not fit.
    """
    if image.ndim != 4 or image.shape[1] != 3 or 0 in image.shape:
        raise ImageError(f"the picture is {tuple(image.shape)}; expected (B,3,H,W)")
    batch, _, height, width = image.shape
    num = len(homographies)
    if homographies.shape != (num, batch, 3, 3) or num == 0:
        raise ImageError(f"homographies are {tuple(homographies.shape)}; expected (N,{batch},3,3)")
    if size < 1:
        raise ImageError(f"the cutout size is {size}; expected at least 1 pixel")
    matrices = homographies.detach().to("cpu", torch.float64)
    rungs = choose_rungs(matrices, (height, width), size)
    margin = int(mean_outside is not None and bool(mean_outside.any()))
    atlas, layout = _atlas(image.float(), rungs.sizes, margin, ramp=erase is not None)
    grid = _grid(matrices, rungs, layout, size, mean_outside, erase, image.device)
    return _sample(atlas, grid)


@dataclass(frozen=True)
class Rungs:
    """The sizes (H,W) that one call needs, largest first, and which of them each cutout reads."""

    sizes: list[tuple[int, int]]
    index: Tensor  # (N,B) int64


def choose_rungs(homographies: Tensor, picture: tuple[int, int], size: int) -> Rungs:
    """Picks a rung for each of the (N,B,3,3) float64 homographies of a picture (H,W).

    The ladder is anchored at the rung that shows the whole picture, so that those cutouts, whose
    pixels coincide with the rung's, are exact.
    """
    height, width = picture
    whole = max(picture) / size  # picture pixels per output pixel
    steps = RUNGS_PER_OCTAVE * (torch.log2(whole / _footprint(homographies, picture, size)) + FINER)
    # From this step on a rung would hardly differ from the picture itself, which then stands in.
    original = max(int(whole > 1), math.ceil(RUNGS_PER_OCTAVE * math.log2(max(whole, 1.0)) - 0.5))
    step = steps.round().clamp(max=original)
    fits = all(round(side / whole) % 2 == size % 2 for side in picture)  # letterbox in whole pixels
    if fits and whole > 1:
        step[_is_whole(homographies, picture)] = 0
    used, index = torch.unique(step, return_inverse=True)
    used, index = used.flip(0), len(used) - 1 - index  # finest first
    sizes = []
    for value in used.tolist():
        finer = 2 ** (value / RUNGS_PER_OCTAVE)
        shrink = 1.0 if value == original else max(1.0, whole / finer)
        sizes.append((max(1, round(height / shrink)), max(1, round(width / shrink))))
    return Rungs(sizes, index)


def _footprint(homographies: Tensor, picture: tuple[int, int], size: int) -> Tensor:
    """(N,B): picture pixels per output pixel, averaged over directions and a few places."""
    height, width = picture
    to_pixels = torch.tensor([width / size, height / size], dtype=torch.float64)
    logs = []
    for x, y in ((0.0, 0.0), (-0.6, -0.6), (0.6, -0.6), (-0.6, 0.6), (0.6, 0.6)):
        at = homographies @ torch.tensor([x, y, 1.0], dtype=torch.float64)  # (N,B,3)
        weight = at[..., 2:]
        place = at[..., :2] / weight
        # Quotient rule: the 2x2 Jacobian of the projection at this place.
        jacobian = homographies[..., :2, :2] - place[..., None] * homographies[..., 2:, :2]
        jacobian = jacobian / weight[..., None] * to_pixels[:, None]
        logs.append(torch.log2(jacobian.square().sum((-2, -1)) / 2) / 2)
    return torch.stack(logs).mean(0).exp2()


def _is_whole(homographies: Tensor, picture: tuple[int, int]) -> Tensor:
    """(N,B) bool: exactly the whole picture, aspect kept, perhaps mirrored."""
    height, width = picture
    longest = max(picture)
    expected = torch.diag(torch.tensor([longest / width, longest / height, 1.0])).double()
    return ((homographies.abs() - expected).abs() < 1e-6).flatten(-2).all(-1)


@dataclass(frozen=True)
class _Layout:
    shape: tuple[int, int]  # of the atlas, (H,W)
    margin: int  # pixels of mean colour around each rung: 0 or 1
    tops: list[int]  # first row of each rung
    ramp_top: int


def _atlas(
    image: Tensor, sizes: list[tuple[int, int]], margin: int, *, ramp: bool
) -> tuple[Tensor, _Layout]:
    """Stacks the picture at all `sizes` in one column, (B,3,Ha,Wa), margins in its mean colour."""
    mean = image.mean((2, 3), keepdim=True).detach()
    width = max(w for _, w in sizes) + 2 * margin
    tops, rows, parts = [], 0, []
    for h, w in sizes:
        rung = image - mean  # so that padding with zeros pads with the mean
        if (h, w) != image.shape[2:]:
            rung = F.interpolate(rung, (h, w), mode="bilinear", antialias=True, align_corners=False)
        parts.append(F.pad(rung, (margin, width - w - margin, margin, margin)))
        tops.append(rows + margin)
        rows += h + 2 * margin
    # With a power of two every row centre is a float32 number, which keeps the identity exact.
    height = 1 << (rows + _RAMP_ROWS * ramp - 1).bit_length()
    parts[-1] = F.pad(parts[-1], (0, 0, 0, height - rows))
    atlas = torch.cat(parts, 2) + mean
    if ramp:
        atlas[:, :, rows : rows + _RAMP_ROWS] = torch.linspace(0, 1, width, device=image.device)
    return atlas, _Layout((height, width), margin, tops, rows)


def _grid(
    homographies: Tensor,
    rungs: Rungs,
    layout: _Layout,
    size: int,
    mean_outside: Tensor | None,
    erase: Tensor | None,
    device: torch.device,
) -> Tensor:
    """Where to read the atlas: (B,2,N,S,S) float32, x then y, as `grid_sample` counts."""
    full = torch.tensor(layout.shape[::-1], dtype=torch.float64)  # x, y from here on
    extent = torch.tensor(rungs.sizes, dtype=torch.float64).flip(1)[rungs.index]  # (N,B,2)
    tops = torch.tensor(layout.tops, dtype=torch.float64)[rungs.index]
    first = torch.stack((torch.full_like(tops, layout.margin), tops), -1)
    # The rung's place in the atlas goes into the homography: numerators only, then one division.
    gain = extent / full
    shift = (extent + 2 * first) / full - 1
    rows = homographies[..., :2, :] * gain[..., None] + shift[..., None] * homographies[..., 2:, :]
    placed = torch.cat((rows, homographies[..., 2:, :]), -2).transpose(0, 1)  # (B,N,3,3)
    # A homography is linear in x plus linear in y; the constant joins x for the first row and y for
    # the others, so that an unrotated cutout's coordinates are rounded once only.
    centres = (torch.arange(size, dtype=torch.float64) * 2 + 1) / size - 1
    along_x = placed[..., 0, None] * centres
    along_y = placed[..., 1, None] * centres
    along_x[:, :, 0] += placed[:, :, 0, 2, None]
    along_y[:, :, 1:] += placed[:, :, 1:, 2, None]
    across = along_x.float().transpose(1, 2).contiguous().to(device)[..., None, :]  # (B,3,N,1,S)
    down = along_y.float().transpose(1, 2).contiguous().to(device)[..., :, None]  # (B,3,N,S,1)
    grid = (across[:, :2] + down[:, :2]).div_(across[:, 2:] + down[:, 2:])
    reach = torch.zeros_like(first) if mean_outside is None else mean_outside.cpu()[..., None] * 1.0
    low = (2 * (first - reach) + 1) / full - 1
    high = (2 * (first + extent - 1 + reach) + 1) / full - 1
    low, high = (edge.float().permute(1, 2, 0).to(device)[..., None, None] for edge in (low, high))
    grid = torch.clamp(grid, low, high)
    if erase is not None:
        _point_at_ramp(grid, erase.cpu(), layout)
    return grid


def _point_at_ramp(grid: Tensor, erase: Tensor, layout: _Layout) -> None:
    """Sends the pixels of each rectangle to its grey on the atlas's ramp, in place."""
    size = grid.shape[-1]
    height, width = layout.shape
    y = 2 * (layout.ramp_top + _RAMP_ROWS / 2) / height - 1
    bounds = (erase[..., :4] * size).round().long()  # (N,B,4)
    kept = (bounds[..., 1] > bounds[..., 0]) & (bounds[..., 3] > bounds[..., 2])
    for cutout, picture in kept.nonzero().tolist():
        top, bottom, left, right = bounds[cutout, picture].tolist()
        grey = float(erase[cutout, picture, 4].clamp(0, 1))
        area = grid[picture, :, cutout, top:bottom, left:right]
        area[0] = (2 * grey * (width - 1) + 1) / width - 1
        area[1] = y


def _sample(atlas: Tensor, grid: Tensor) -> Tensor:
    """(B,3,Ha,Wa), (B,2,N,S,S) -> (N,B,3,S,S)."""
    batch, _, num, size, _ = grid.shape
    rows = num * size
    if batch == 1 and atlas.device.type == "cpu":
        # The CPU kernel is parallel over the batch only: views of one atlas share out the cutouts.
        threads = min(torch.get_num_threads(), _MAX_VIEWS)
        views = max(k for k in range(1, threads + 1) if num % k == 0)
        points = grid.view(2, views, rows // views, size).permute(1, 2, 3, 0)
        out = _read(atlas.expand(views, -1, -1, -1), points).view(views, 3, -1, size, size)
        return out.transpose(1, 2).reshape(num, 1, 3, size, size)
    points = grid.view(batch, 2, rows, size).permute(0, 2, 3, 1)
    return _read(atlas, points).view(batch, 3, num, size, size).permute(2, 0, 1, 3, 4)


def _read(atlas: Tensor, points: Tensor) -> Tensor:
    return F.grid_sample(atlas, points, mode="bilinear", padding_mode="zeros", align_corners=False)


__all__ = ["Rungs", "choose_rungs", "warp"]
