"""The picture that is edited: its cutouts beside the painted ones, and what may be repainted."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from gouache import cutouts
from gouache.networks.models import Models
from gouache.protocols import Loss, Perceptor, SourceViews
from gouache.settings.config import CutoutConfig

_MASK_VIEW = 16  # side of the cutouts in which the mask's share is measured


@dataclass(frozen=True)
class Source:
    """What an edit starts from, and the rules that it adds to a session.

    image: (1,3,H,W) in [0,1], the source at the canvas's size.
    losses: for each guide those that compare with the source.
    mask: (1,1,H,W) in {0,1}, what may be repainted; None for all.
    cells: (1,1,h,w) bool, the latent's cells that may change; all others keep the source's latent.
    focus: centre x, centre y and side in pixels of a square that cutouts are drawn from.
    focus_share: the share of cutouts that are drawn from there.
    only: the losses stand in the place of the prompts' own.
    identity: what else decides the edit, as JSON: sums of source and mask, the edit's settings. A
    run goes on with the source that it was begun with, or not at all.
    """

    image: Tensor = field(repr=False)
    losses: tuple[tuple[Loss, ...], ...]
    mask: Tensor | None = field(default=None, repr=False)
    cells: Tensor | None = field(default=None, repr=False)
    focus: tuple[float, float, float] | None = None
    focus_share: float = 0.0
    only: bool = False
    identity: Mapping[str, Any] = field(default_factory=dict)

    def draw(
        self, config: CutoutConfig, size: tuple[int, int], rngs: Sequence[torch.Generator]
    ) -> cutouts.CutoutParams:
        """Like `cutouts.sample` for a picture of `size` (H,W), some of them from the focus only."""
        batch, num = len(rngs), config.num_cutouts
        near = round(self.focus_share * num) if self.focus is not None else 0
        if self.focus is None or not near:
            return cutouts.sample(config, batch, size, rngs)
        x, y, side = self.focus
        square = max(1, round(side))
        changed = dataclasses.replace(config, num_cutouts=near)
        params = cutouts.sample(changed, batch, (square, square), rngs)
        # The draw sees the square as a picture of its own: from its coordinates to the picture's.
        height, width = size
        to_picture = torch.tensor(
            [
                [side / width, 0, 2 * x / width - 1],
                [0, side / height, 2 * y / height - 1],
                [0, 0, 1],
            ]
        )
        params = dataclasses.replace(
            params,
            homographies=to_picture @ params.homographies,
            picture_size=torch.tensor(size),
        )
        if near == num:
            return params
        rest = dataclasses.replace(config, num_cutouts=num - near)
        others = cutouts.sample(rest, batch, size, rngs)
        joined = {
            name: torch.cat([getattr(params, name), getattr(others, name)])
            for name in ("homographies", "mean_outside", "color", "erase", "noise_scale")
        }
        return dataclasses.replace(params, **joined)

    @torch.no_grad()
    def views(
        self, models: Models, perceptor: Perceptor, params: cutouts.CutoutParams
    ) -> SourceViews:
        """The same cutouts of the source, recoloured and with the same noise as the painted."""
        batch = params.batch
        image = self.image.to(models.device).expand(batch, -1, -1, -1)
        seen = cutouts.apply(image, params, perceptor.image_size)
        embeddings = models.embed(perceptor, seen, batch)
        if self.mask is None:
            return SourceViews(embeddings, embeddings.new_ones(embeddings.shape[:2]))
        plain = dataclasses.replace(
            params,
            color=torch.eye(3, 4).expand_as(params.color),
            erase=torch.zeros_like(params.erase),
            noise_scale=torch.zeros_like(params.noise_scale),
        )
        mask = self.mask.to(models.device).float().expand(batch, 3, -1, -1)
        inside = cutouts.apply(mask, plain, _MASK_VIEW).flatten(1).mean(1).view(-1, batch)
        return SourceViews(embeddings, inside.clamp(0, 1).to(embeddings.device))


__all__ = ["Source"]
