"""Hand edits: what has changed in a picture that comes back from somebody's hands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gouache.errors import ImageError
from gouache.networks.canvas import Canvas
from gouache.ops.images import to_pil
from gouache.ops.masks import read_mask
from gouache.ops.sums import object_sum

if TYPE_CHECKING:
    from gouache.engine.session import Session

# Saving with 8 bits moves a value by half of 1/255; less than this is nobody's brush stroke.
TOLERANCE = 2 / 255


def read_edit(
    image: Tensor | Image.Image,
    changed: Tensor | Image.Image | None,
    index: int | None,
    shown: Sequence[Tensor],
    canvas: Canvas,
) -> tuple[Tensor, Tensor, Tensor]:
    """An edit as it comes -> the picture (B,3,H,W) in [0,1], the cells (B,1,h,w) and the pixels
    (B,1,H,W) that changed.

    `shown` are pictures (B,3,H,W) that the edit may start from. Arguments as for
    `Session.set_image`.
    """
    count, device = len(shown[0]), shown[0].device
    edited = canvas.read(image).to(device)
    if len(edited) not in (1, count) or (index is not None and not 0 <= index < count):
        raise ImageError(
            f"got {len(edited)} pictures and index {index}; this session paints {count} pictures"
        )
    edited = edited.expand(count, -1, -1, -1)
    if changed is None:
        mask = changed_pixels(edited, shown)
    else:
        mask = (read_mask(changed, (canvas.width, canvas.height)) > 0.5).to(device)
        if len(mask) not in (1, count):
            raise ImageError(f"got {len(mask)} masks; this session paints {count} pictures")
    mask = mask.expand(count, -1, -1, -1).clone()
    if index is not None:
        mask[torch.arange(count, device=device) != index] = False
    return edited, canvas.cells(mask), mask


def over(below: Image.Image, strokes: Image.Image) -> Image.Image:
    """Strokes (RGBA, of any size) over a picture, RGBA at the picture's size."""
    return Image.alpha_composite(below.convert("RGBA"), _sized(strokes, below))


def _sized(strokes: Image.Image, below: Image.Image) -> Image.Image:
    """Strokes at a picture's size."""
    return strokes.resize(below.size, Image.Resampling.LANCZOS)


def lay_strokes(
    session: Session, strokes: Image.Image, name: str, near: float = 0.0
) -> Image.Image:
    """Lays strokes (RGBA, of any size) over a session's one picture, RGB; painting goes on from it.

    `near` (0 to 1) says how near to them their colours stay, and less so where they are thin. The
    record of the change holds it, `name`, of a file, and the sum of the strokes: laid again at the
    same step they make the same picture.
    """
    below = to_pil(session.picture()[0])
    layer = _sized(strokes, below)
    above = over(below, layer).convert("RGB")
    before = len(session.edits)
    alpha = layer.getchannel("A")
    how = near * torch.from_numpy(np.array(alpha)).float() / 255 if near else 0.0
    session.set_image(above, alpha.point(lambda value: 255 * (value > 8)), near=how)
    for edit in session.edits[before:]:
        edit |= {"strokes": name, "sha256": object_sum(strokes)[1]}
        if near:
            edit["near"] = near
    return above


def changed_pixels(edited: Tensor, shown: Sequence[Tensor]) -> Tensor:
    """Where `edited` (B,3,H,W) differs from each of the pictures `shown` (B,3,H,W): (B,1,H,W).

    A session has shown two pictures: the one that its last step scored, and the one after that
    step. Somebody edited one of them, so the one that differs in fewer places is compared with, per
    picture.
    """
    masks = torch.stack([((edited - one).abs() > TOLERANCE).any(1, keepdim=True) for one in shown])
    fewest = masks.flatten(2).sum(2).argmin(0)  # (B,)
    return masks[fewest, torch.arange(masks.shape[1], device=masks.device)]


__all__ = ["TOLERANCE", "changed_pixels", "lay_strokes", "over", "read_edit"]
