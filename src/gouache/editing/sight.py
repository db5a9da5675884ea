"""Where several guides see a phrase in a picture: one map of all that they see.

Beliefs of different guides are no common scale: a classifier's is nearly all or nothing, one among
thousands of captions is small even where it is sure. So maps are added, each brought to [0,1], and
not beliefs, which measured worse (docs/editing.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.editing import crops, shapes
from gouache.engine.words import SILENT, confidence, embed_texts
from gouache.networks.models import Guide
from gouache.protocols import Classifying, Perceptor, SelfAware

_SECOND = 0.5  # what another guide's map counts beside the leading one's
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

    The first one that knows the phrase leads. The others second it: their maps count half of its
    own, by their weight, by how much they know of the phrase, and by how surely they see it
    anywhere. One that does not know it is not asked: then the others decide alone, exactly as
    without it. Nor is one that has nothing to compare a phrase with, unless it leads. By the
    threshold "paper" cosines count instead of beliefs.
    """
    sure = [confidence(phrase, guide.perceptor, templates=True) for guide in guides]
    asked = [n for n, known in enumerate(sure) if known >= SILENT] or list(range(len(guides)))
    grey, most = _look(image, phrase, guides[asked[0]].perceptor, threshold, dtype)
    size = (grey.shape[0], grey.shape[1])
    share = _SECOND / guides[asked[0]].weight
    for n in asked[1:]:
        if not _compares(guides[n].perceptor):
            continue
        pixels, seen = _look(image, phrase, guides[n].perceptor, threshold, dtype)
        second = _resized(pixels, size)
        grey = grey + share * guides[n].weight * sure[n] * seen * second
    return Sight(shapes.normalized(grey), most)


def _compares(perceptor: Perceptor) -> bool:
    """Has it captions or classes that the phrase can be weighed against?"""
    return isinstance(perceptor, Classifying) or perceptor.bank is not None


def _look(
    image: Tensor, phrase: str, perceptor: Perceptor, threshold: str, dtype: torch.dtype | None
) -> tuple[Tensor, float]:  # (H,W) in [0,1], and the greatest belief
    height, width = image.shape[2:]
    scale = min(1.0, _WORK * perceptor.image_size / min(width, height))
    if scale < 1:
        small = (max(1, round(height * scale)), max(1, round(width * scale)))
        image = F.interpolate(image, small, mode="bilinear", antialias=True, align_corners=False)
    large = isinstance(perceptor, SelfAware)  # it says that it need not see much
    stride = crops.COARSE if large else crops.STRIDE
    seen = crops.embed_crops(image, perceptor, crops.SCALES[large:], dtype, stride)
    wanted = embed_texts([phrase], perceptor, templates=True).cpu()
    if isinstance(perceptor, Classifying):
        likely = crops.shares(seen, wanted, perceptor.kinds.detach().float().cpu())
    else:
        likely = crops.likelihoods(seen, wanted, perceptor.bank)
    most = float(likely.max()) if _compares(perceptor) else 1.0
    scores = crops.cosines(seen, wanted) if threshold == "paper" else likely
    return shapes.normalized(crops.to_pixels(seen, scores)), most


def _resized(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """(H,W) at another size."""
    grey = pixels[None, None]
    return F.interpolate(grey, size, mode="bilinear", antialias=True, align_corners=False)[0, 0]


__all__ = ["Sight", "look"]
