"""Composed pictures that our own loop has painted over, and as they were before.

A painting has no right drawing to learn from. But one that begins at a composed picture, and is
painted for some steps with that picture's own caption, has its edges where the picture had them,
smeared as in any painting. Colours move meanwhile, so the picture is given the painting's, place by
place: that is what a smear should have become (`recolored`). Where the painting shows something
else by now, nothing is learned.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.engine.loop import steps
from gouache.engine.session import Session
from gouache.generators.drawing import SCALE
from gouache.prompts import Prompt
from gouache.settings.config import PaintConfig
from gouache_training.compose import Composer, Shares
from gouache_training.pack import PictureSet
from gouache_training.painted import config_of, draw_settings, untold

__all__ = ["Overpainter", "overpaint", "recolored"]

SHARES = Shares(pair=0.1, count=0.05, style=0.1, hue=0.15, tint=0.12, shape=0.05, calm=0.4)
FEWEST, MOST = 3, 45  # steps
_LOOKS = 3  # times that a batch is looked at on its way: so many kinds of pictures it gives
_STEADY = 1e-3  # variance of colours below which nothing is fitted
_CALM = 0.15  # of the trust, where a clean picture explains nothing of the painting
_PHOTO = 0.6  # share of batches that `photo` guides, too


class Overpainter:
    """Draws what is painted over, and how.

    Args:
        pictures: large renderings (`renderings.load_renderings`).
        native: side of the generator's own pictures in pixels; the clean ones are `SCALE` times
            as wide.
    """

    def __init__(self, pictures: PictureSet, native: int = 128) -> None:
        self._source = torch.Generator()
        self._composer = Composer(pictures, self._source, SHARES)
        self._wanted = SCALE * native

    def attempt(
        self, count: int, seeds: list[int], device: str, side: int
    ) -> tuple[PaintConfig, dict[str, Tensor]]:
        """Settings, and what `paint_many` keeps: `latents` (B,code_dim,h,w) float16; `wanted`
        (B,3,H,W) uint8, the clean pictures recoloured; `trust` (B,1,side,side) uint8, how far they
        and the painting are alike. Raises `DivergedError`."""
        rng = np.random.default_rng(seeds)
        self._source.manual_seed(int(rng.integers(2**62)))
        batch = self._composer.batch(count, self._wanted)
        prompts = [str(Prompt(text=caption)) for caption in batch.captions]
        config = config_of(_settings(rng), prompts, rng, device, side)
        small = F.avg_pool2d(batch.image, self._wanted // side)
        last = int(rng.integers(FEWEST, MOST + 1))
        marks = sorted({max(1, last * look // _LOOKS) for look in range(1, _LOOKS + 1)})
        latents, painted = overpaint(config, small, marks)
        clean = batch.image.to(painted.device)
        wanted, trust = recolored(clean, painted)
        bytes_of = {"wanted": wanted, "trust": trust}
        levels = {k: v.mul(255).round().to(torch.uint8).cpu() for k, v in bytes_of.items()}
        return config, {"latents": latents} | levels


def overpaint(config: PaintConfig, pictures: Tensor, marks: list[int]) -> tuple[Tensor, Tensor]:
    """Paints over pictures (B,3,H,W) in [0,1] for as many steps as one of `marks` says, in turns.

    Returns:
        Latents (B,code_dim,h,w), float16, on the CPU, and the pictures that they show (B,3,H,W).
    """
    with untold():
        session = Session.build(config)
        session.set_image(pictures)
        found, shown = session.latent().clone(), session.picture().clone()
        for number, mark in enumerate(marks):
            for _ in steps(session, mark - session.step_index):
                pass
            mine = slice(number, None, len(marks))
            found[mine], shown[mine] = session.latent()[mine], session.picture()[mine]
    return found.half().cpu(), shown


def recolored(clean: Tensor, painted: Tensor, radius: int = 10) -> tuple[Tensor, Tensor]:
    """Clean pictures in the colours of what was painted over them, place by place.

    Around each pixel the painting is fitted by a linear function of the clean colours (a guided
    filter, He et al. 2010, arXiv 1505.00996 for its small coefficients), which the clean picture at
    its full size is put into.

    Args:
        clean: (B,3,t*H,t*W) in [0,1].
        painted: (B,3,H,W) in [0,1].
        radius: of the surroundings, in pixels of `painted`.

    Returns:
        (B,3,t*H,t*W) in [0,1], and the share of the painting's variance that the fit explains,
        (B,1,H,W) in [0,1].
    """
    guide = F.avg_pool2d(clean, clean.shape[-1] // painted.shape[-1]).double()
    aim = painted.double()

    def around(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2 * radius + 1, 1, radius, count_include_pad=False)

    def products(x: Tensor, y: Tensor) -> Tensor:
        """Covariances (B,3,3,H,W) around each pixel."""
        both = around((x[:, :, None] * y[:, None]).flatten(1, 2))
        return matrices(both) - around(x)[:, :, None] * around(y)[:, None]

    def matrices(x: Tensor) -> Tensor:  # (B,9,H,W) -> (B,3,3,H,W)
        return x.view(len(x), 3, 3, *x.shape[2:])

    spread = products(guide, guide).movedim((1, 2), (-2, -1))
    shared = products(guide, aim).movedim((1, 2), (-2, -1))
    steadied = spread + _STEADY * torch.eye(3, dtype=spread.dtype, device=spread.device)
    slopes = torch.linalg.solve(steadied, shared)  # (B,H,W,3,3): of clean, of painted channels
    told = (slopes * shared).sum((-2, -1))
    total = products(aim, aim).diagonal(dim1=1, dim2=2).sum(-1)
    alike = ((told + _STEADY) / (total + _STEADY)).clamp(0, 1)[:, None]
    slopes = around(slopes.flatten(3).movedim(3, 1)).float()
    level = around(aim).float() - (matrices(slopes) * around(guide).float()[:, :, None]).sum(1)
    size = clean.shape[-2:]
    slopes, level = (F.interpolate(x, size, mode="bilinear") for x in (slopes, level))
    wanted = (matrices(slopes) * clean[:, :, None]).sum(1) + level
    # A little everywhere: what is restless on even ground should rather be calm.
    return wanted.clamp(0, 1), (_CALM + (1 - _CALM) * around(alike)).float()


def _settings(rng: np.random.Generator) -> dict[str, Any]:
    """Those of `painted`, more often with `photo`, and of nothing to begin from."""
    told = draw_settings(rng) | {
        "perceptor": ("pocket", "photo") if rng.random() < _PHOTO else ("pocket",),
        "steps": (max(MOST, int(rng.integers(45, 81))),),
    }
    return told | {"start": "random", "start_tries": 1, "start_steps": 0, "start_scale": 1.0}
