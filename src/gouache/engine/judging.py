"""What a perceptor says of a finished picture, whoever painted it."""

from __future__ import annotations

import torch
from PIL.Image import Image

from gouache import cutouts
from gouache.engine.words import embed_prompt
from gouache.networks.devices import in_precision
from gouache.ops.images import to_tensor
from gouache.protocols import Perceptor
from gouache.settings.config import CutoutConfig

WHOLE = CutoutConfig(num_cutouts=1, whole_share=1.0, augment=())


@torch.no_grad()
def similarity(
    perceptor: Perceptor,
    picture: Image,
    text: str,
    device: torch.device,
    dtype: torch.dtype | None = None,
) -> float:
    """Cosine of the whole picture, its aspect kept, with a prompt: in [-1,1], higher fits better.

    Of a prompt of several parts, with what they add up to (`gouache.engine.words.embed_prompt`).

    `dtype` is the half precision that the perceptor was prepared for, if it was.
    """
    pixels = to_tensor(picture).to(device)
    rng = torch.Generator().manual_seed(0)
    params = cutouts.sample(WHOLE, 1, (pixels.shape[2], pixels.shape[3]), [rng])
    views = cutouts.apply(pixels, params, perceptor.image_size)
    with in_precision(device, dtype):
        seen = perceptor.embed_image(views)
    told = embed_prompt(text, perceptor).to(seen.device)
    return float((seen.float() * told).sum())


__all__ = ["similarity"]
