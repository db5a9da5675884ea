"""From one picture to another: the way between their latents, painted on at every frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gouache.networks.canvas import Canvas
from gouache.networks.models import Models


@dataclass(frozen=True)
class Morph:
    """latents: (2,code_dim,h,w) of both pictures; rests: (2,3,h*f,w*f), what these cannot hold."""

    latents: Tensor
    rests: Tensor

    @classmethod
    @torch.no_grad()
    def between(cls, pictures: Sequence[Tensor], models: Models, canvas: Canvas) -> Morph:
        """Of two pictures (1,3,H,W) in [0,1]."""
        latents = [models.encode(picture, canvas) for picture in pictures]
        pairs = zip(pictures, latents, strict=True)
        return cls(torch.cat(latents), torch.cat([rest(*both, models, canvas) for both in pairs]))

    def at(self, share: float, added: Tensor) -> tuple[Tensor, Tensor]:
        """Latent and rest (1,...) at a share of the way; `added` is what was painted before."""
        latent, kept = (torch.lerp(two[:1], two[1:], share) for two in (self.latents, self.rests))
        return latent + added, kept

    def tensors(self) -> dict[str, Tensor]:
        return {"latents": self.latents, "rests": self.rests}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], device: torch.device) -> Morph:
        """What `tensors` gave."""
        return cls(tensors["latents"].to(device), tensors["rests"].to(device))


def way(frame: int, num_frames: int, *, back: bool) -> float:
    """The share of the way at a frame; with `back` there and back again, so that it may repeat."""
    if back:
        return 1 - abs(1 - 2 * frame / num_frames)
    return frame / max(1, num_frames - 1)


def room(share: float) -> float:
    """How much of what was painted may be there: nothing at either picture."""
    return 4 * share * (1 - share)


@torch.no_grad()
def rest(picture: Tensor, latent: Tensor, models: Models, canvas: Canvas) -> Tensor:
    """What a latent (1,code_dim,h,w) cannot hold of its picture (1,3,H,W): (1,3,h*f,w*f)."""
    with models.autocast():
        held = models.generator.decode(models.rounded(latent)).float().clamp(0, 1)
    return canvas.pad(picture.to(held)) - held


__all__ = ["Morph", "rest", "room", "way"]
