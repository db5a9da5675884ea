"""The picture's size and the grid of latent cells under it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL.Image import Image
from torch import Tensor

from gouache.errors import ImageError
from gouache.ops.images import as_rgb, fit, to_tensor


@dataclass(frozen=True)
class Canvas:
    """A picture of exactly `width` x `height` pixels, painted on whole cells of `cell` pixels.

    A side that is no multiple of the cell is rounded up for painting, and the surplus is cut off
    evenly on both sides before anything is scored: people get the size they asked for, and what is
    cut off plays no role.
    """

    width: int
    height: int
    cell: int

    @property
    def grid(self) -> tuple[int, int]:
        """(h, w) of the latent."""
        return -(-self.height // self.cell), -(-self.width // self.cell)

    @property
    def margins(self) -> tuple[int, int, int, int]:
        """Pixels cut off at the left, right, top and bottom."""
        height, width = (side * self.cell for side in self.grid)
        left, top = (width - self.width) // 2, (height - self.height) // 2
        return left, width - self.width - left, top, height - self.height - top

    def crop(self, whole: Tensor, times: int = 1) -> Tensor:
        """(B,C,h*cell,w*cell) -> the picture, (B,C,H,W); both `times` as large on each side."""
        left, _, top, _ = (times * margin for margin in self.margins)
        height, width = times * self.height, times * self.width
        return whole[..., top : top + height, left : left + width]

    def pad(self, image: Tensor) -> Tensor:
        """(B,C,H,W) -> (B,C,h*cell,w*cell), its border repeated outwards; `crop` undoes it."""
        return F.pad(image, self.margins, mode="replicate")

    def read(self, picture: Image | Tensor) -> Tensor:
        """A PIL image of any size, or a tensor (3,H,W) or (B,3,H,W) in [0,1] -> (B,3,H,W) float32.

        A PIL image is turned upright, put into sRGB and fitted to the canvas; a tensor of another
        size or range raises `ImageError`.
        """
        if not isinstance(picture, Tensor):
            return to_tensor(fit(as_rgb(picture), (self.width, self.height)))
        image = picture.detach().float()
        image = image if image.ndim == 4 else image[None]
        if image.ndim != 4 or image.shape[1:] != (3, self.height, self.width):
            raise ImageError(
                f"the picture has shape {tuple(picture.shape)}; "
                f"expected (B,3,{self.height},{self.width}) or (3,{self.height},{self.width})"
            )
        if not (torch.isfinite(image).all() and image.min() >= -0.01 and image.max() <= 1.01):
            raise ImageError("the picture has values outside [0,1]; divide 8-bit values by 255")
        return image.clamp(0, 1)

    def cells(self, mask: Tensor) -> Tensor:
        """Pixels (B,1,H,W), boolean -> the cells that hold any of them, (B,1,h,w)."""
        return F.max_pool2d(self.pad(mask.float()), self.cell) > 0


__all__ = ["Canvas"]
