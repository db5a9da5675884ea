"""How far away what a picture shows is, for cameras that move into it.

A distance of 1 is that of the plane on which a camera without depth sees the whole picture
(`camera.PLANE`): what is nearer moves more, what is farther less.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.errors import ModelError
from gouache.films.camera import Window, places, sample
from gouache.prompts import one_line
from gouache.registry import nearest
from gouache.weights import catalogue
from gouache.weights.cache import obtain
from gouache.weights.watch import need

NEAR, FAR = 0.5, 2.5  # distances of what is nearest and farthest; networks tell no unit
_EXTREMES = 0.02  # share of pixels that may be nearer or farther: single ones decide nothing
_SIDE, _PATCH = 518, 14  # of Depth Anything
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PLANE = "plane"
_ROUNDS = 8


class Depth(Protocol):
    """Says how far away things are."""

    def __call__(self, picture: Tensor) -> Tensor:
        """(3,H,W) in [0,1] -> distances (H,W), float32, above 0; the same picture, the same."""
        ...


class Plane:
    """Everything is as far away."""

    def __call__(self, picture: Tensor) -> Tensor:
        return torch.ones(picture.shape[1:])


class DepthAnything:
    """Depth Anything V2 (Yang et al. 2024, arXiv 2406.09414), by transformers.

    network: a `DepthAnythingForDepthEstimation`, frozen.
    """

    def __init__(self, network: Any) -> None:
        self._network = network

    @torch.no_grad()
    def __call__(self, picture: Tensor) -> Tensor:
        height, width = picture.shape[1:]
        scale = _SIDE / min(height, width)
        size = [max(1, round(side * scale / _PATCH)) * _PATCH for side in (height, width)]
        image = picture[None].float().to(self._network.device)
        image = F.interpolate(image, size, mode="bicubic", antialias=True).clamp(0, 1)
        mean, std = (image.new_tensor(values).view(3, 1, 1) for values in (_MEAN, _STD))
        found = self._network(pixel_values=(image - mean) / std).predicted_depth
        near = F.interpolate(found[None].float(), (height, width), mode="bilinear")[0, 0]
        return _distances(near.cpu())


def _distances(nearness: Tensor) -> Tensor:
    """What grows with one over the distance, in no unit -> distances from `NEAR` to `FAR`."""
    low, high = torch.quantile(nearness.flatten(), torch.tensor([_EXTREMES, 1 - _EXTREMES]))
    share = ((nearness - low) / (high - low).clamp_min(1e-6)).clamp(0, 1)
    return 1 / torch.lerp(torch.tensor(1 / FAR), torch.tensor(1 / NEAR), share)


def places_in_depth(way: Tensor, far: Tensor, distances: Tensor, window: Window) -> Tensor:
    """As `camera.places`, for a key picture that is not flat: (H,W,2) float64.

    way, far: where the key picture's pixels go that are at a distance of 1, and infinitely far
        (the moves without their translation_z), homographies (3,3) float64.
    distances: (H,W) of the key picture, as `Depth` tells them.

    Which pixel is seen depends on how far away it is, which depends on the pixel: found in a few
    rounds. Where something nearer moved away what was behind it is its surroundings, stretched.
    """
    height, width = window.size
    x = torch.arange(width, dtype=torch.float64) + 0.5 - window.center[0]
    y = torch.arange(height, dtype=torch.float64) + 0.5 - window.center[1]
    target = torch.stack(
        [x.expand(height, width), y[:, None].expand(height, width), torch.ones(height, width)], -1
    )
    nearness, grid = 1 / distances.double(), places(way, window)
    center, size = torch.tensor(window.center), torch.tensor([width, height])
    for _ in range(_ROUNDS):
        here = sample(nearness[None, None].float(), grid[None], "replicate", "bilinear")[0, 0]
        homographies = far + (way - far) * here.double()[..., None, None]
        found = _solved(homographies, target)
        depth = found[..., 2:].clamp_min(1e-3)
        grid = (found[..., :2] / depth + center) * 2 / size - 1
    return grid


def _solved(matrices: Tensor, vectors: Tensor) -> Tensor:
    """(...,3,3) and (...,3): what each matrix takes to a positive multiple of its vector."""
    a, b, c = matrices.unbind(-1)
    across = (torch.linalg.cross(b, c), torch.linalg.cross(c, a), torch.linalg.cross(a, b))
    found = torch.stack([(row * vectors).sum(-1) for row in across], -1)
    signed: Tensor = found * (a * across[0]).sum(-1, keepdim=True).sign()
    return signed


def load_depth(name: str, device: torch.device | str = "cpu") -> Depth:
    """`plane`, a model of depth of the catalogue, or the folder of one. Raises `ModelError`."""
    if name == PLANE:
        return Plane()
    entry = catalogue.find(name)
    if entry is not None and entry.kind == "depth":
        return _load_folder(obtain(entry), device, entry.name)
    if Path(name).is_dir():
        return _load_folder(Path(name), device, one_line(name))
    known = [PLANE, *catalogue.names("depth")]
    raise ModelError(f"no depth is called {one_line(name, 80)}; {nearest(name, known)}")


def _load_folder(folder: Path, device: torch.device | str, name: str) -> DepthAnything:
    """Reads tensors only: no code in the folder is run, nothing is fetched."""
    transformers = need("transformers", f"the depth of {name}")
    try:
        network, told = transformers.DepthAnythingForDepthEstimation.from_pretrained(
            str(folder),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except Exception as error:  # transformers raises whatever it likes
        reason = one_line((str(error) or type(error).__name__).strip().splitlines()[0], 100)
        raise ModelError(f"{name} cannot be loaded by transformers ({reason})") from None
    if lacking := sorted(told["missing_keys"]) or sorted(map(str, told["mismatched_keys"])):
        raise ModelError(
            f"{name} lacks {len(lacking)} tensors of a Depth Anything, first "
            f"{one_line(lacking[0], 80)}; it is incomplete"
        )
    return DepthAnything(network.float().to(device).eval().requires_grad_(False))


__all__ = [
    "FAR",
    "NEAR",
    "PLANE",
    "Depth",
    "DepthAnything",
    "Plane",
    "load_depth",
    "places_in_depth",
]
