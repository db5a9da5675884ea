"""The key picture of a frame: what is painted lies in it, and the camera's way leads from it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gouache.films import camera
from gouache.films.camera import Window
from gouache.films.depth import places_in_depth

FADE = 8  # frames until only the latent is left of a key picture, and what came in is not new


@dataclass(frozen=True)
class Key:
    """The key picture of a frame, and the way from it.

    way: homography from the key picture's pixels to the frame's.
    rest: (B,3,h*f,w*f), or None: see `View`.
    number: of the frame that it was.
    far: the way of what is infinitely far, and distances (h*f,w*f) of the key picture; None where
        that is flat.
    young: (1,1,h,w) in [0,1], or None for 0 everywhere: 1 where its cells have just come in at the
        borders, and are to be painted rather than kept.
    seam: pixels (x,y) that the picture went along since what comes in began to mirror it; see
        `mirrored`.
    """

    number: int
    way: Tensor
    rest: Tensor | None = None
    far: Tensor | None = None
    distances: Tensor | None = None
    young: Tensor | None = None
    seam: tuple[int, int] = (0, 0)

    def moved(self, motion: Tensor, far: Tensor) -> Key:
        """One frame on."""
        return replace(
            self, way=motion @ self.way, far=None if self.far is None else far @ self.far
        )

    def places(self, window: Window) -> Tensor | None:
        """As `camera.places`; None where nothing moves."""
        if self.far is None or self.distances is None:
            return None if camera.is_still(self.way) else camera.places(self.way, window)
        if camera.is_still(self.way) and camera.is_still(self.far):
            return None
        return places_in_depth(self.way, self.far, self.distances, window)

    def strength(self, frame: int) -> float:
        """How much of the rest is still there."""
        return max(0.0, 1 - (frame - self.number) / FADE)

    def youth(self, frame: int) -> Tensor | None:
        """`young` as it is in a later frame; None for 0 everywhere."""
        if self.young is None:
            return None
        left = (self.young - (frame - self.number) / FADE).clamp_min(0)
        return left if bool(left.any()) else None

    def pace(self, frame: int, share: float, border_lr: float) -> Tensor | None:
        """(1,1,h,w): how many times the learning rate, which is a `share` of the picture's, is that
        of cells which came in; None for 1 everywhere."""
        young = self.youth(frame)
        if young is None or border_lr <= share:
            return None
        return 1 + (border_lr / share - 1) * young


def mirrored(picture: Tensor, shift: int, gone: int, dim: int) -> tuple[Tensor, int]:
    """A picture (1,3,h,w) that was shifted by pixels along a dimension, with what came in there as
    the mirror image of what lies before the *seam*, where it began to come in; and how far the
    picture has gone from it, where it had `gone` so far.

    A mirror at the border itself would show the same few pixels again and again. When half of the
    picture is a mirror image, or where the picture turns back, there is a new seam.
    """
    side = picture.shape[dim]
    new = min(abs(shift), side)
    if not new:
        return picture, gone
    gone = shift + (gone if gone * shift > 0 and abs(gone) + new <= side // 2 else 0)
    forth = picture.flip(dim) if shift > 0 else picture  # as if it came in at the end
    first = max(0, side - 2 * min(abs(gone), side // 2))
    came = forth.narrow(dim, min(first, side - new), new).flip(dim)
    found = torch.cat([forth.narrow(dim, 0, side - new), came], dim)
    return (found.flip(dim) if shift > 0 else found), gone


__all__ = ["FADE", "Key", "mirrored"]
