"""What the perceptor is shown of one picture: its cutouts, with each augmentation alone and all."""

from __future__ import annotations

from dataclasses import replace

import torch
from PIL.Image import Image

from gouache import cutouts
from gouache.figures.sheet import sheet
from gouache.ops.images import to_pil, to_tensor
from gouache.settings.config import AUGMENTATIONS, CutoutConfig
from gouache.settings.schedule import numbers_at

SHOWN = 96  # pixels of a cutout on the strip


def strip(picture: Image, config: CutoutConfig, seed: int = 0) -> Image:
    """One row without augmentation, one for each alone, one with those of `config`.

    All rows are one draw, so that a column shows the same cutout in every row; whole views come
    first. Where the settings switch an augmentation off, its row shows what that leaves.
    """
    pixels = to_tensor(picture)
    kinds = {"none": (), **{name: (name,) for name in AUGMENTATIONS}}
    kinds["all" if set(config.augment) == set(AUGMENTATIONS) else "as set"] = config.augment
    config, rows = numbers_at(config, 0, 1), []
    for names in kinds.values():
        rng = torch.Generator().manual_seed(seed)
        params = cutouts.sample(
            replace(config, augment=names), 1, (pixels.shape[2], pixels.shape[3]), [rng]
        )
        views = cutouts.apply(pixels, params, SHOWN)
        rows.append([to_pil(view) for view in views])
    whole = min(config.num_cutouts, max(1, round(config.whole_share * config.num_cutouts)))
    heads = [
        f"whole {k + 1}" if k < whole else f"part {k + 1 - whole}"
        for k in range(config.num_cutouts)
    ]
    return sheet(rows, list(kinds), heads, title="Cutouts of one picture, by augmentation")


__all__ = ["strip"]
