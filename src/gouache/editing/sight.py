"""Where several guides see a phrase in a picture: one map of all that they see.

A classifier's scores of a crop say little of where in it a thing is, and its belief is at once
nearly all or nothing. So beliefs are not added up; measured on scenes of known regions, masks were
worse for it (docs/editing.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.editing import crops, shapes
from gouache.engine.models import Guide
from gouache.engine.targets import SILENT
from gouache.protocols import Classifying, Perceptor, SelfAware

_UNSEEN = 0.3  # what is left of a belief where another guide sees nothing of it
_WORK = 8 / 3  # short side that is searched, in sides of what the perceptor sees


@dataclass(frozen=True)
class Sight:
    """`grey` (H,W) in [0,1] is the lighter the likelier the phrase is there; `most` in [0,1] is the
    greatest belief of the leading guide in any crop, 1 where it has nothing to compare with."""

    grey: Tensor = field(repr=False)
    most: float


def look(
    image: Tensor,
    phrase: str,
    guides: Sequence[Guide],
    threshold: str = "auto",
    dtype: torch.dtype | None = None,
) -> Sight:
    """What guides see of a phrase in a picture (1,3,H,W), at the size that the first one looks at.

    The first one that knows the phrase says where it is. The others second it: where they see
    nothing its belief counts less, by their weight, by how much they know of the phrase, and by
    how much of it they see anywhere. One that does not know it is not asked: then the others
    decide alone, exactly as without it. By the threshold "paper" cosines count instead of beliefs.
    """
    sure = [confidence(phrase, guide.perceptor) for guide in guides]
    asked = [n for n, known in enumerate(sure) if known >= SILENT] or list(range(len(guides)))
    first, *others = (
        (_look(image, phrase, guides[n].perceptor, threshold, dtype), guides[n].weight * sure[n])
        for n in asked
    )
    grey, most = shapes.normalized(first[0][0]), first[0][1]
    for (pixels, seen), weight in others:
        second = _resized(shapes.normalized(pixels), (grey.shape[0], grey.shape[1]))
        grey = grey * (_UNSEEN + (1 - _UNSEEN) * second.clamp(0, 1)) ** (weight * seen)
    return Sight(shapes.normalized(grey), most)


def confidence(phrase: str, perceptor: Perceptor) -> float:
    """How much a perceptor knows of a phrase, as of a prompt: in [0,1]."""
    if not isinstance(perceptor, SelfAware):
        return 1.0
    with torch.no_grad():
        return float(perceptor.confidence(crops.phrasings(phrase)).float().mean())


def _look(
    image: Tensor, phrase: str, perceptor: Perceptor, threshold: str, dtype: torch.dtype | None
) -> tuple[Tensor, float]:  # (H,W), and the greatest belief
    height, width = image.shape[2:]
    scale = min(1.0, _WORK * perceptor.image_size / min(width, height))
    if scale < 1:
        small = (max(1, round(height * scale)), max(1, round(width * scale)))
        image = F.interpolate(image, small, mode="bilinear", antialias=True, align_corners=False)
    stride = crops.COARSE if isinstance(perceptor, SelfAware) else crops.STRIDE
    seen = crops.embed_crops(image, perceptor, dtype=dtype, stride=stride)
    wanted = crops.embed_phrase(phrase, perceptor)
    if isinstance(perceptor, Classifying):
        likely = crops.shares(seen, wanted, perceptor.kinds.detach().float().cpu())
    else:
        likely = crops.likelihoods(seen, wanted, perceptor.bank)
    told_apart = isinstance(perceptor, Classifying) or perceptor.bank is not None
    most = float(likely.max()) if told_apart else 1.0
    if threshold == "paper":
        return shapes.normalized(crops.to_pixels(seen, crops.cosines(seen, wanted))), most
    return crops.to_pixels(seen, likely), most


def _resized(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """(H,W) at another size."""
    grey = pixels[None, None]
    return F.interpolate(grey, size, mode="bilinear", antialias=True, align_corners=False)[0, 0]


__all__ = ["Sight", "confidence", "look"]
