"""What was drawn on a half-done picture and stays near to how it was drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.errors import ImageError, StateError
from gouache.losses import HeldColours, HeldShapes
from gouache.networks.canvas import Canvas
from gouache.protocols import Loss

# Weights at near = 1, and how they grow with it; measured, see docs/studio.md. That of shapes grows
# as the pull towards a picture does that a run starts from.
COLOURS, COLOURS_POWER = 100.0, 2.0
SHAPES, SHAPES_POWER = 200.0, 4.0


@dataclass(frozen=True)
class Held:
    """Drawn pixels, and how near to them the painting stays, from the step on at which they came.

    image: (B,3,H,W) uint8. near: (B,1,H,W) in [0,1], 0 where nothing was drawn or all is free.
    latent: (B,code_dim,h,w), the image encoded where it was drawn. cells: (B,1,h,w), the greatest
    `near` in each.
    """

    image: Tensor = field(repr=False)
    near: Tensor = field(repr=False)
    latent: Tensor = field(repr=False)
    cells: Tensor = field(repr=False)

    def terms(self, pulled: bool) -> list[Loss]:
        """The losses that hold them; `pulled` is whether the latent is one that can be."""
        colours = HeldColours(self.image.float() / 255, COLOURS * self.near**COLOURS_POWER)
        if not pulled:
            return [colours]
        return [colours, HeldShapes(self.latent, SHAPES * self.cells**SHAPES_POWER)]

    def tensors(self) -> dict[str, Tensor]:
        """What a state keeps; `Held.of` reads it back."""
        return {name: value.clone() for name, value in vars(self).items()}

    @classmethod
    def of(
        cls, tensors: Mapping[str, Tensor], like: Tensor, canvas: Canvas, device: torch.device
    ) -> Held | None:
        """Those of `tensors`, for latents like `like`; damage raises `StateError`."""
        if not tensors:
            return None
        sides = canvas.height, canvas.width
        wanted = {
            "image": ((len(like), 3, *sides), torch.uint8),
            "near": ((len(like), 1, *sides), torch.float32),
            "latent": (tuple(like.shape), torch.float32),
            "cells": ((len(like), 1, *canvas.grid), torch.float32),
        }
        for name, expected in wanted.items():
            one = tensors[name]
            if (tuple(one.shape), one.dtype) != expected:
                raise StateError(f"what was drawn is saved as {one.dtype} {tuple(one.shape)}")
        if not all(bool(((tensors[k] >= 0) & (tensors[k] <= 1)).all()) for k in ("near", "cells")):
            raise StateError("what was drawn is saved with numbers outside [0,1]")
        return cls(**{name: tensors[name].to(device).clone() for name in wanted})


@dataclass(frozen=True)
class Drawn:
    """Pixels `changed` (B,1,H,W) that became those of `image` (B,3,H,W) in [0,1], and cells
    (B,1,h,w) that became those of `latent` (B,code_dim,h,w)."""

    image: Tensor
    changed: Tensor
    latent: Tensor
    cells: Tensor


def drawn_over(
    held: Held | None, drawn: Drawn, near: float | Tensor, canvas: Canvas
) -> Held | None:
    """What is held after something was drawn; None where nothing is.

    `near` in [0,1] is one number for all, or (H,W) or (B,1,H,W); anything else raises `ImageError`.
    What lies under it is held no longer.
    """
    changed = drawn.changed
    everywhere = _as_map(near, changed)
    if held is None and not bool((everywhere * changed).any()):
        return None
    # As bytes: a run that goes on from its file has the very same colours.
    image, latent = (drawn.image * 255).round().to(torch.uint8), drawn.latent
    if held is None:
        everywhere = everywhere * changed
    else:
        image = torch.where(changed, image, held.image)
        everywhere = torch.where(changed, everywhere, held.near)
        latent = torch.where(drawn.cells, latent, held.latent)
    if not bool(everywhere.any()):
        return None
    return Held(image, everywhere, latent, F.max_pool2d(canvas.pad(everywhere), canvas.cell))


def _as_map(near: float | Tensor, changed: Tensor) -> Tensor:
    """(B,1,H,W)."""
    found = torch.as_tensor(near, dtype=torch.float32, device=changed.device)
    try:
        found = found.expand_as(changed).contiguous()
    except RuntimeError:
        raise ImageError(
            f"near has shape {tuple(found.shape)}; expected a number or {tuple(changed.shape)}"
        ) from None
    if not bool(((found >= 0) & (found <= 1)).all()):
        raise ImageError("near is outside [0,1]; give 0 (free) to 1")
    return found


__all__ = ["Drawn", "Held", "drawn_over"]
