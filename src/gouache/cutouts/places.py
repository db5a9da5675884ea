"""How much of what a cutout shows lies in a place."""

from __future__ import annotations

import torch
from torch import Tensor

from gouache.cutouts.sampler import CutoutParams
from gouache.placing import Place

POINTS = 16  # along a side of a cutout: shares are counted in their squares


def inside(params: CutoutParams, place: Place) -> Tensor:
    """Of each cutout the share that shows `place`, (N,B) float32 in [0,1].

    By where its points lie in the picture, however it is mirrored, turned or bent; what lies beside
    the picture is in no place.
    """
    along = (torch.arange(POINTS) + 0.5) * 2 / POINTS - 1
    y, x = torch.meshgrid(along, along, indexing="ij")
    points = torch.stack((x, y, torch.ones_like(x))).flatten(1)  # (3,POINTS*POINTS)
    there = params.homographies.float() @ points  # (N,B,3,P)
    x, y = (there[..., axis, :] / there[..., 2, :] / 2 + 0.5 for axis in (0, 1))
    left, top, right, bottom = place
    return ((x >= left) & (x < right) & (y >= top) & (y < bottom)).float().mean(-1)


__all__ = ["inside"]
