"""A camera over a picture: what moves between two frames, composed, and one resampling for it all.

A move is a homography (3,3), float64 on the CPU: it takes pixels of the frame before to those of
the next, counted from what stays in place (`center_x`, `center_y`), x to the right and y down. The
way from a key picture to a frame is their product, so a frame is resampled once from its key
picture, however many frames lie between them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.errors import ConfigError
from gouache.films.config import MOTIONS

PLANE = 200.0  # how far the camera is from the picture, in the units of translation_z
_NEAREST = 1e-3  # of what lies behind the camera nothing is seen
_ZOOMS = 1e-3, 1e3  # from frame to frame
_FARTHEST = 1e6  # pixels that it is shifted by
_BEFORE = 0.01  # of its distance the picture has to be before the camera after a move
_PADDING = {
    **dict.fromkeys(("mirror", "reflect", "fresh"), "reflection"),
    **dict.fromkeys(("replicate", "wrap"), "border"),
}


@dataclass(frozen=True)
class Window:
    """What a camera looks at: pictures of `size` (H,W), and the pixel (x,y) that stays in place."""

    size: tuple[int, int]
    center: tuple[float, float]


def still() -> Tensor:
    """No move."""
    return torch.eye(3, dtype=torch.float64)


def is_still(move: Tensor) -> bool:
    """Whether nothing moves: the frame is its key picture to the bit."""
    return torch.equal(move, still())


def move(motion: Mapping[str, float], height: int, fov: float = 40.0) -> Tensor:
    """One frame's move, from the numbers of `MOTIONS` (0 where missing, 1 for zoom).

    As in Deforum: shift, then turn and zoom, then the camera in space before a plane that is
    `PLANE` away and fills `fov` degrees upright at a picture of `height` pixels.
    """
    zoom, angle, x, y, z, *turns = (motion.get(name, float(name == "zoom")) for name in MOTIONS)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    shift = torch.tensor([[1, 0, x], [0, 1, y], [0, 0, 1]], dtype=torch.float64)
    turn = torch.tensor(
        [[zoom * cos, zoom * sin, 0], [-zoom * sin, zoom * cos, 0], [0, 0, 1]], dtype=torch.float64
    )
    flat = turn @ shift
    if not z and not any(turns):
        return flat
    focal = height / 2 / math.tan(math.radians(fov) / 2)
    in_space = _turned(*map(math.radians, turns))
    in_space[2, 2] -= z / PLANE  # the plane is at 1 in all of this
    lens = torch.diag(torch.tensor([focal, focal, 1.0], dtype=torch.float64))
    return lens @ in_space @ lens.inverse() @ flat


def check_motion(motion: Mapping[str, float], frame: int) -> None:
    """Raises `ConfigError` where a frame's numbers of `MOTIONS` leave nothing to see."""
    low, high = _ZOOMS
    if not low <= motion["zoom"] <= high:
        raise ConfigError(
            f"zoom is {motion['zoom']:g} in frame {frame}; expected {low:g} to {high:g} (1 is no "
            "zoom)"
        )
    for name in ("translation_x", "translation_y", "translation_z"):
        if abs(motion[name]) > _FARTHEST:
            raise ConfigError(
                f"{name} is {motion[name]:g} in frame {frame}; expected at most {_FARTHEST:,.0f}"
            )
    tilted, panned = (math.radians(motion[f"rotation_3d_{axis}"]) for axis in "xy")
    if math.cos(tilted) * math.cos(panned) - motion["translation_z"] / PLANE < _BEFORE:
        raise ConfigError(
            f"in frame {frame} the picture is not before the camera any more: lower translation_z "
            f"(it is {PLANE:g} away) or rotation_3d_x or -y (at 90 it is seen from its edge)"
        )


def _turned(x: float, y: float, z: float) -> Tensor:
    """Points as the camera sees them after it tilted up, panned to the right and rolled."""

    def rotation(angle: float, a: int, b: int) -> Tensor:
        found = still()
        found[a, a] = found[b, b] = math.cos(angle)
        found[a, b], found[b, a] = -math.sin(angle), math.sin(angle)
        return found

    # Deforum's, whose points are rows.
    rows = rotation(x, 1, 2) @ rotation(y, 2, 0) @ rotation(z, 0, 1)
    return rows.T.clone()


def places(way: Tensor, window: Window) -> Tensor:
    """Where each pixel of a frame lies in its key picture: (H,W,2), from -1 to 1 between the outer
    edges, as `grid_sample` counts; outside of that beyond the borders. float64 on the CPU."""
    height, width = window.size
    x = torch.arange(width, dtype=torch.float64) + 0.5 - window.center[0]
    y = torch.arange(height, dtype=torch.float64) + 0.5 - window.center[1]
    ones = torch.ones(height, width, dtype=torch.float64)
    pixels = torch.stack([x.expand(height, width), y[:, None].expand(height, width), ones], -1)
    found = pixels @ way.inverse().T
    depth = found[..., 2:].clamp_min(_NEAREST)
    center, size = torch.tensor(window.center), torch.tensor([width, height])
    return (found[..., :2] / depth + center) * 2 / size - 1


def outside(grid: Tensor) -> Tensor:
    """(H,W) bool: which pixels of a frame the key picture does not have."""
    return (grid.abs() > 1).any(-1)


def magnified(way: Tensor) -> float:
    """How many times longer the picture's middle gets on a way."""
    a, b = way[:2, :2] / way[2, 2] - way[:2, 2:] @ way[2:, :2] / way[2, 2] ** 2
    return float((a[0] * b[1] - a[1] * b[0]).abs().sqrt())


def shift_of(way: Tensor) -> tuple[float, float] | None:
    """Pixels (x,y) that a way only shifts a picture by; None where it does anything else."""
    shift = still()
    shift[:2, 2] = way[:2, 2]
    if not torch.allclose(way, shift, rtol=0, atol=1e-9):
        return None
    return float(way[0, 2]), float(way[1, 2])


def sample(picture: Tensor, grid: Tensor, border: str, mode: str = "bicubic") -> Tensor:
    """(B,C,H,W) at the `places` of a frame, continued beyond the borders. Differentiable."""
    grid = grid.to(picture.device, torch.float32)
    if border == "wrap":
        picture, grid = _wrapped(picture, grid)
    grid = grid.expand(len(picture), -1, -1, -1)
    return F.grid_sample(picture, grid, mode, _PADDING[border], align_corners=False)


def _wrapped(picture: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
    """The picture with a rim of its other side, and places within it."""
    rim = min(2, *picture.shape[-2:])  # what bicubic taps reach
    height, width = picture.shape[-2:]
    inner = grid.new_tensor([width / (width + 2 * rim), height / (height + 2 * rim)])
    padded = F.pad(picture, (rim, rim, rim, rim), mode="circular")
    return padded, (torch.remainder(grid + 1, 2) - 1) * inner


def move_cells(cells: Tensor, way: Tensor, window: Window, border: str) -> Tensor:
    """What is known of cells (B,C,h,w) that cover the window, moved along: bilinear, so that what
    was not negative stays so."""
    height, width = cells.shape[-2:]
    across, down = width / window.size[1], height / window.size[0]
    scale = torch.diag(torch.tensor([across, down, 1.0], dtype=torch.float64))
    center = window.center[0] * across, window.center[1] * down
    grid = places(scale @ way @ scale.inverse(), Window((height, width), center))
    return sample(cells, grid, border, "bilinear")


__all__ = [
    "PLANE",
    "Window",
    "check_motion",
    "is_still",
    "magnified",
    "move",
    "move_cells",
    "outside",
    "places",
    "sample",
    "shift_of",
    "still",
]
