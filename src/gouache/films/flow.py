"""Optical flow between frames: where everything was before, and what was not to be seen there.

Flow is found by DIS (Kroeger et al. 2016, arXiv 1603.03590) of OpenCV, which is imported only when
it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.errors import ConfigError

_LEAST = 64  # pixels of the shorter side, where flow is looked for: DIS needs room for its patches
_LARGE = 320  # above it flow at half the size is as good (measured on moved pictures) and quicker
# Forward and backward flow disagree where their sum is longer than this share of them, and this
# many pixels (squared; Sundaram et al. 2010, section 4).
_SHARE, _PIXELS = 0.01, 0.5


@dataclass(frozen=True)
class Flow:
    """Of a frame, where its pixels were in an earlier one.

    back: (2,H,W) float32; pixel (x, y) was at (x + back[0], y + back[1]).
    seen: (1,H,W) float32, 1 where it was to be seen there, 0 where it was hidden or outside.
    """

    back: Tensor
    seen: Tensor

    @classmethod
    def still(cls, height: int, width: int) -> Flow:
        """Nothing moves."""
        return cls(torch.zeros(2, height, width), torch.ones(1, height, width))

    @classmethod
    def between(cls, before: Tensor, now: Tensor) -> Flow:
        """The flow from frame `now` back to frame `before`, both (3,H,W) in [0,1].

        Deterministic on one machine, however many threads. Raises `ConfigError` where OpenCV is not
        installed.
        """
        back, forth = _dis(now, before), _dis(before, now)
        there = _sample(forth, back)  # where it would come back to
        apart = (back + there).square().sum(0, keepdim=True)
        long = back.square().sum(0, keepdim=True) + there.square().sum(0, keepdim=True)
        agree = apart <= _SHARE * long + _PIXELS
        return cls(back, (agree & _inside(back)).float())

    def after(self, earlier: Flow) -> Flow:
        """From this frame to where `earlier` leads, which is of the frame that this leads to."""
        back = self.back + _sample(earlier.back, self.back)
        seen = self.seen * (_sample(earlier.seen, self.back) > 0.5) * _inside(back)
        return Flow(back, seen)

    def carry(self, picture: Tensor) -> Tensor:
        """The earlier frame's picture (C,H,W) as it is now, resampled once (bicubic); in [0,1].

        What was outside is its nearest border; what was hidden is whatever hid it: see `seen`.
        """
        return _sample(picture, self.back, "bicubic").clamp(0, 1)


def _sample(field: Tensor, back: Tensor, mode: str = "bilinear") -> Tensor:
    """(C,H,W) read at the places that `back` (2,H,W) names."""
    height, width = back.shape[1:]
    x = torch.arange(width, dtype=torch.float32) + back[0]
    y = torch.arange(height, dtype=torch.float32)[:, None] + back[1]
    grid = torch.stack(((2 * x + 1) / width - 1, (2 * y + 1) / height - 1), -1)
    return F.grid_sample(
        field[None], grid[None], mode=mode, padding_mode="border", align_corners=False
    )[0]


def _inside(back: Tensor) -> Tensor:
    """(1,H,W) bool: it was in the picture, but for half a pixel."""
    height, width = back.shape[1:]
    x = torch.arange(width, dtype=torch.float32) + back[0]
    y = torch.arange(height, dtype=torch.float32)[:, None] + back[1]
    return ((x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5))[None]


def _dis(here: Tensor, there: Tensor) -> Tensor:
    """(2,H,W): for each pixel of `here` the way to its place in `there`."""
    cv2 = _opencv()
    height, width = here.shape[1:]
    finer = max(1.0, _LEAST / min(height, width))
    size = (round(height * finer), round(width * finer))
    greys = [_grey(frame, size) for frame in (here, there)]
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # the result depends on their number
    try:
        dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        dis.setFinestScale(int(min(size) > _LARGE))
        found = torch.from_numpy(dis.calc(*greys, None)).permute(2, 0, 1)[None]
    finally:
        cv2.setNumThreads(threads)
    if size != (height, width):
        found = F.interpolate(found, (height, width), mode="area")
    scale = torch.tensor([width / size[1], height / size[0]]).view(2, 1, 1)
    return found[0] * scale


def _grey(frame: Tensor, size: tuple[int, int]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    grey = (frame.detach().float().cpu() * weights).sum(0, keepdim=True)[None]
    if grey.shape[2:] != size:
        grey = F.interpolate(grey, size, mode="bicubic", align_corners=False)
    pixels: np.ndarray[Any, np.dtype[np.uint8]] = (
        grey[0, 0].clamp(0, 1).mul(255).round().byte().contiguous().numpy()
    )
    return pixels


def _opencv() -> Any:
    try:
        import cv2
    except ImportError:
        raise ConfigError(
            "following what moves in a film needs OpenCV; run pip install 'gouache[video]'"
        ) from None
    return cv2


__all__ = ["Flow"]
