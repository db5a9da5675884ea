"""What was drawn on a half-done picture and stays near to how it was drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gouache.errors import ImageError, StateError
from gouache.losses import HeldColours

# Of the squared distance of mean colours, at near = 1; measured, see docs/studio.md.
WEIGHT, POWER = 100.0, 2.0


@dataclass(frozen=True)
class Held:
    """Drawn pixels, and how near to them the painting stays, from the step on at which they came.

    image: (B,3,H,W) uint8. near: (B,1,H,W) in [0,1], 0 where nothing was drawn or all is free.
    """

    image: Tensor = field(repr=False)
    near: Tensor = field(repr=False)

    @property
    def term(self) -> HeldColours:
        """The loss that holds them."""
        return HeldColours(self.image.float() / 255, WEIGHT * self.near**POWER)

    def tensors(self) -> dict[str, Tensor]:
        """What a state keeps; `Held.of` reads it back."""
        return {"image": self.image.clone(), "near": self.near.clone()}

    @classmethod
    def of(
        cls, tensors: Mapping[str, Tensor], size: tuple[int, int, int], device: torch.device
    ) -> Held | None:
        """Those of `tensors`, for pictures of `size` (B,H,W); damage raises `StateError`."""
        if not tensors:
            return None
        count, *sides = size
        image, near = tensors["image"], tensors["near"].float()
        shapes = tuple(image.shape), tuple(near.shape)
        if shapes != ((count, 3, *sides), (count, 1, *sides)) or image.dtype != torch.uint8:
            raise StateError(f"what was drawn is saved with the shapes {shapes}")
        if not bool(((near >= 0) & (near <= 1)).all()):
            raise StateError("what was drawn is saved with numbers outside [0,1]")
        return cls(image.to(device).clone(), near.to(device).clone())


def drawn_over(
    held: Held | None, image: Tensor, changed: Tensor, near: float | Tensor
) -> Held | None:
    """What is held after pixels `changed` (B,1,H,W) became those of `image` (B,3,H,W) in [0,1].

    `near` in [0,1] is one number for all, or (H,W) or (B,1,H,W); anything else raises `ImageError`.
    What lies under them is held no longer. None where nothing is.
    """
    map_ = _as_map(near, changed)
    if held is None and not bool((map_ * changed).any()):
        return None
    # As bytes: a run that goes on from its file has the very same colours.
    now = (image * 255).round().to(torch.uint8)
    if held is None:
        return Held(now, map_ * changed)
    found = Held(torch.where(changed, now, held.image), torch.where(changed, map_, held.near))
    return found if bool(found.near.any()) else None


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


__all__ = ["Held", "drawn_over"]
