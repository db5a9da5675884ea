"""Times cutouts taken in one pass against a plain loop of crops, forward and backward.

    python -m gouache_bench.cutouts

The plain loop crops and resizes with `F.interpolate(antialias=True)`, one cutout at a time, without
any augmentation: the least that any implementation must do. Ours is timed for the same crops and
with every augmentation, and taken apart. Below the times: errors on a zone plate and on pink noise
against the ideal filter (eightfold supersampling), beside naive sampling and a trilinear mip map.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.cutouts import CutoutParams, apply, sample
from gouache.ops.warp import warp
from gouache.settings.config import CutoutConfig

CASES = ((128, 64, 24), (256, 224, 32))  # side of the picture, of a cutout, number of cutouts
REPEATS = 15


def milliseconds(step: Callable[[], object]) -> float:
    """Least of `REPEATS` runs after two to warm up: what others do on the machine only adds."""
    step(), step()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def plain_loop(image: Tensor, params: CutoutParams, size: int) -> Tensor:
    """Crops at whole pixels, resized one by one."""
    side = image.shape[-1]
    cutouts = []
    for homography in params.homographies[:, 0]:
        length = round(float(homography[0, 0]) * side)
        left, top = (
            round((float(homography[axis, 2]) + 1) / 2 * side - length / 2) for axis in (0, 1)
        )
        crop = image[..., top : top + length, left : left + length]
        cutouts.append(F.interpolate(crop, (size, size), mode="bilinear", antialias=True))
    return torch.cat(cutouts)


def warp_only(image: Tensor, params: CutoutParams, size: int) -> Tensor:
    squares = warp(
        image, params.homographies, size, mean_outside=params.mean_outside, erase=params.erase
    )
    return squares.flatten(0, 1)


def times() -> None:
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, ms\n")
    print(f"{'picture -> cutouts':<22}{'':<34}{'forward':>9}{'with backward':>15}")
    for side, size, num in CASES:
        image = torch.rand(1, 3, side, side, requires_grad=True)
        rng = torch.Generator().manual_seed(0)
        config = CutoutConfig(num_cutouts=num)
        plain = sample(replace(config, augment=()), 1, (side, side), [rng])
        full = sample(config, 1, (side, side), [rng])
        weights = torch.randn(num, 3, size, size)
        rows: list[tuple[str, Callable[[], Tensor]]] = [
            ("plain loop, crop and resize only", partial(plain_loop, image, plain, size)),
            ("ours, crop and resize only", partial(apply, image, plain, size)),
            ("ours, every augmentation", partial(apply, image, full, size)),
            ("  of which the warp", partial(warp_only, image, full, size)),
        ]
        label = f"{side} -> {num} of {size}"
        for name, step in rows:

            def backward(step: Callable[[], Tensor] = step, weights: Tensor = weights) -> None:
                torch.autograd.backward(step(), weights)

            print(f"{label:<22}{name:<34}{milliseconds(step):9.2f}{milliseconds(backward):15.2f}")
            label = ""
        drawing = milliseconds(partial(sample, config, 1, (side, side), [rng]))
        print(f"{'':<22}{'ours, drawing the parameters':<34}{drawing:9.2f}\n")


def zone_plate(side: int) -> Tensor:
    at = torch.arange(side) - (side - 1) / 2
    rings: Tensor = 0.5 + 0.5 * torch.cos(math.pi * (at[:, None] ** 2 + at[None] ** 2) / side)
    return rings.expand(1, 3, side, side).contiguous()


def pink_noise(side: int) -> Tensor:
    """Noise with the spectrum of photographs."""
    rng = torch.Generator().manual_seed(0)
    waves = torch.randn(3, side, side // 2 + 1, dtype=torch.complex64, generator=rng)
    rows, columns = torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)[None]
    pink: Tensor = torch.fft.irfft2(
        waves / torch.hypot(rows, columns).clamp_min(1 / side), s=(side, side)
    )
    return ((pink - pink.mean()) / pink.std() * 0.2 + 0.5)[None]


def read(image: Tensor, homography: Tensor, size: int, mode: str = "bilinear") -> Tensor:
    """Naive sampling of one cutout."""
    centres = (torch.arange(size) * 2 + 1) / size - 1
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    at = torch.stack((x, y, torch.ones_like(x)), -1) @ homography.T
    grid = (at[..., :2] / at[..., 2:])[None]
    return F.grid_sample(image, grid, mode=mode, padding_mode="border", align_corners=False)


def trilinear(image: Tensor, homography: Tensor, size: int) -> Tensor:
    """The textbook: two octaves of a mip map, blended."""
    side = image.shape[-1]
    jacobian = homography[:2, :2].double() * side / size
    level = max(0.0, math.log2(float(jacobian.square().sum() / 2)) / 2)
    below = math.floor(level)
    levels = []
    for shrink in (2**below, 2 ** (below + 1)):
        smaller = (side // shrink, side // shrink)
        mip = F.interpolate(image, smaller, mode="bilinear", antialias=True)
        levels.append(read(mip, homography, size))
    return torch.lerp(levels[0], levels[1], level - below)


def errors(side: int = 256, size: int = 64) -> None:
    print(f"root mean square error against the ideal filter, {side} -> {size}\n")
    print(f"{'':<14}{'ours':>9}{'mip map':>9}{'naive':>9}")
    config = CutoutConfig(
        num_cutouts=16, whole_share=0.0, augment=("flip", "affine", "perspective")
    )
    maps = sample(config, 1, (side, side), [torch.Generator().manual_seed(0)]).homographies
    for name, image in (("zone plate", zone_plate(side)), ("pink noise", pink_noise(side))):
        dense = torch.cat(
            [read(image, homography, 8 * size, "bicubic") for homography in maps[:, 0]]
        )
        ideal = F.interpolate(dense, (size, size), mode="bilinear", antialias=True)
        candidates = (
            warp(image, maps, size)[:, 0],
            torch.cat([trilinear(image, homography, size) for homography in maps[:, 0]]),
            torch.cat([read(image, homography, size) for homography in maps[:, 0]]),
        )
        row = "".join(f"{float((c - ideal).square().mean().sqrt()):9.4f}" for c in candidates)
        print(f"{name:<14}{row}")


if __name__ == "__main__":
    times()
    errors()
