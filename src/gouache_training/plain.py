"""Pictures of the data set without any composing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gouache_training.colors import IntArray
from gouache_training.pack import PictureSet


def plain(pictures: PictureSet, indices: Sequence[int] | Tensor | IntArray, size: int) -> Tensor:
    """Pictures as they are, centred on white; one-colour icons in black.

    Args:
        pictures: the data set.
        indices: numbers into it.
        size: side in pixels.

    Returns:
        (len(indices),3,size,size) in [0,1].
    """
    index = np.asarray(indices, np.int64)
    count = len(index)
    x = torch.from_numpy(np.ascontiguousarray(pictures.pixels[index])).float() / 255
    mono = torch.tensor([pictures.entries[i].kind == "mono" for i in index]).view(-1, 1, 1, 1)
    x[:, :3] = torch.where(mono, torch.zeros(()), x[:, :3])
    inner = max(1, round(0.92 * size))
    x = F.interpolate(x, size=(inner, inner), mode="bilinear", antialias=True)
    out = torch.ones(count, 3, size, size)
    edge = (size - inner) // 2
    part = out[:, :, edge : edge + inner, edge : edge + inner]
    part.copy_(x[:, :3] + (1 - x[:, 3:]))
    return out.clamp_(0, 1)
