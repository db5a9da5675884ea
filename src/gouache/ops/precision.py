"""Keeping frozen weights in the precision that they are used in."""

from __future__ import annotations

import torch
from torch import nn


def cast_products(module: nn.Module, dtype: torch.dtype) -> None:
    """Puts the weights of all convolutions and linear layers in `module` into `dtype`, in place.

    Autocast would do the same to the same numbers at every step: frozen weights are not cached.
    What normalises keeps its precision.
    """
    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.Linear)):
            part.to(dtype)


__all__ = ["cast_products"]
