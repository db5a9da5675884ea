"""The picture that is edited: all that an edit does differently from a painting.

It answers what a session asks of a `gouache.engine.hook.Hook`, and saves and restores itself with
the session: a state holds the picture and its mask, and needs no file beside it.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from PIL.Image import Image as Picture
from torch import Tensor

from gouache import cutouts
from gouache.editing import shapes
from gouache.editing.composite import Composite
from gouache.editing.config import EditConfig
from gouache.editing.mask import Mask
from gouache.errors import StateError
from gouache.losses import DirectionLoss, StructureLoss
from gouache.networks.canvas import Canvas
from gouache.networks.models import Models
from gouache.ops.images import encode, read_picture
from gouache.ops.masks import fit_mask
from gouache.ops.profiles import flat
from gouache.ops.sums import pixels_sha256
from gouache.protocols import Latent, Loss, Perceptor, SourceViews
from gouache.settings.config import CutoutConfig

_MASK_VIEW = 16  # side of the cutouts in which the mask's share is measured


class Source:
    """A `gouache.engine.hook.Hook`: a picture, what of it may change, and where cutouts look.

    base: the picture, RGB or RGBA, with a profile in its `info` or without: what a composite keeps.
    mask: what may be repainted, at the picture's size; None for all.
    old: what the prompt is relative to ("" for nothing), and `directions` where that leads each
    guide: (1,D), None for a guide that sees no difference.
    latent: (1,code_dim,h,w), the picture encoded: what the cells outside the mask keep.
    """

    kind = "edit"

    def __init__(
        self,
        base: Picture,
        config: EditConfig,
        mask: Mask | None,
        latent: Tensor,
        models: Models,
        canvas: Canvas,
        old: str = "",
        directions: Sequence[Tensor | None] = (),
    ) -> None:
        self.base, self.config, self.mask, self.old = base, config, mask, old
        self.picture = flat(base, "")  # RGB in sRGB: what is painted from
        self.directions = tuple(directions)
        self.latent = latent.detach().float().to(models.device)
        self.image = canvas.read(self.picture)  # (1,3,H,W) in [0,1]
        self.inside: Tensor | None = None  # (1,1,H,W) in {0,1}, the mask on the canvas
        self.cells: Tensor | None = None  # (1,1,h,w) bool, those that may change
        # Centre x, centre y and side, in pixels, of a square that cutouts are drawn from.
        self.focus: tuple[float, float, float] | None = None
        if mask is not None:
            self._look_at(mask, models, canvas)
        self._losses = [self._losses_of(number, models) for number in range(len(models.guides))]
        self._identity = self._told()  # once: sums of large pictures take a while
        self._kept: dict[str, Tensor] | None = None

    def _look_at(self, mask: Mask, models: Models, canvas: Canvas) -> None:
        share = fit_mask(_as_grey(mask), (canvas.width, canvas.height))
        pixels = share > 0.5
        if not bool(pixels.any()):  # thinner than a pixel of the canvas
            pixels = share > 0
        left, top, right, bottom = shapes.bounding_box(pixels[0, 0])
        around = self.config.focus_margin * max(right - left, bottom - top, canvas.cell * 2)
        side = min(max(canvas.width, canvas.height), around)
        self.focus = (left + right) / 2, (top + bottom) / 2, side
        self.inside = pixels.float()
        self.cells = canvas.cells(pixels).to(models.device)

    def _losses_of(self, number: int, models: Models) -> list[Loss]:
        guide, edit = models.guides[number], self.config
        if self.old:
            direction = self.directions[number]
            if direction is None:
                return []  # it sees no difference between the two
            there = direction.to(guide.perceptor.device)
            return [DirectionLoss(there, edit.strength, guide.weight)]
        if not edit.structure_weight:
            return []
        masked = self.mask is not None
        return [StructureLoss(guide.weight, masked, edit.structure_weight, edit.strength)]

    def draw(
        self, config: CutoutConfig, size: tuple[int, int], rngs: Sequence[torch.Generator]
    ) -> cutouts.CutoutParams:
        """Some of the cutouts (`focus_share`) are drawn from the focus only."""
        batch, num = len(rngs), config.num_cutouts
        near = round(self.config.focus_share * num) if self.focus is not None else 0
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
        if self.inside is None:
            return SourceViews(embeddings, embeddings.new_ones(embeddings.shape[:2]))
        plain = dataclasses.replace(
            params,
            color=torch.eye(3, 4).expand_as(params.color),
            erase=torch.zeros_like(params.erase),
            noise_scale=torch.zeros_like(params.noise_scale),
        )
        mask = self.inside.to(models.device).expand(batch, 3, -1, -1)
        inside = cutouts.apply(mask, plain, _MASK_VIEW).flatten(1).mean(1).view(-1, batch)
        return SourceViews(embeddings, inside.clamp(0, 1).to(embeddings.device))

    def losses(self, guide: int, own: Sequence[Loss]) -> list[Loss]:
        """Besides those of the prompts the distance to the source; in a relative edit that alone,
        moved in the direction of the words."""
        return self._losses[guide] if self.old else [*own, *self._losses[guide]]

    @property
    def follows_prompts(self) -> bool:
        """Not where it goes from one phrase to another: the way was found when it began."""
        return not self.old

    def pin_gradient(self, gradient: Tensor) -> Tensor:
        """Coarse levels of a latent keep all of theirs: what they move is put back afterwards."""
        if self.cells is None or gradient.shape[2:] != self.cells.shape[2:]:
            return gradient
        return gradient * self.cells

    def pin_latent(self, latent: Latent) -> None:
        """Clamping and coarse levels move cells that have no gradient of their own."""
        if self.cells is not None:
            latent.set_latent(self.latent, ~self.cells)

    @property
    def finishing(self) -> tuple[Composite, ...]:
        """Nothing, or it is laid over the source."""
        if not self.config.composite or self.mask is None:
            return ()
        return (Composite(self.base, self.mask, self.image.shape[3]),)

    def identity(self) -> dict[str, Any]:
        """Sums of the picture and the mask, and the settings that steps depend on."""
        return dict(self._identity)

    def _told(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "source_sha256": pixels_sha256(self.picture),
            "mask_sha256": None,
            "from": self.old,
        }
        names = ["strength", "structure_weight"]
        if self.mask is not None:
            # As it was found: a kept mask is the same, however it was asked for.
            told["mask_sha256"] = pixels_sha256(_as_grey(self.mask))
            names += ["focus_share", "focus_margin"]
        settings = self.config.to_dict()
        return told | {name: settings[name] for name in names}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The pictures as bytes of PNG files, and the rest. What was encoded is encoded once."""
        if self._kept is None:
            self._kept = {"picture": _packed(self.base), "latent": self.latent}
            if self.mask is not None:
                self._kept["mask"] = _packed(_as_grey(self.mask))
            for number, direction in enumerate(self.directions):
                if direction is not None:
                    self._kept[f"direction/{number}"] = direction
        meta: dict[str, Any] = {"from": self.old, "settings": self.config.to_dict()}
        if (mask := self.mask) is not None:
            names = ("phrase", "threshold", "seen", "given")
            meta["mask"] = {name: getattr(mask, name) for name in names}
        return dict(self._kept), meta


def restore(
    tensors: Mapping[str, Tensor], meta: Mapping[str, Any], models: Models, canvas: Canvas
) -> Source:
    """The source that `Source.state` told of. Damage raises `StateError` or another exception.

    Of the mask what it selects is known, and not how sure each place was.
    """
    config = EditConfig().updated(**meta["settings"])
    base = read_picture(_unpacked(tensors["picture"]))
    mask = None
    if (told := meta.get("mask")) is not None:
        selected = torch.from_numpy(np.array(_unpacked(tensors["mask"]).convert("L")) > 127)
        if selected.shape != (base.height, base.width):
            raise StateError(f"the saved mask has shape {tuple(selected.shape)}")
        mask = Mask(
            phrase=str(told["phrase"]),
            scores=selected.float(),
            selected=selected,
            threshold=float(told["threshold"]),
            config=config,
            seen=float(told["seen"]),
            given=bool(told["given"]),
        )
    latent = tensors["latent"]
    if latent.shape != (1, models.generator.code_dim, *canvas.grid):
        raise StateError(
            f"the saved source was encoded by another generator ({tuple(latent.shape)}); install "
            "the same weights to go on"
        )
    old = str(meta["from"])
    directions = [tensors.get(f"direction/{k}") for k in range(len(models.guides))] if old else []
    return Source(base, config, mask, latent, models, canvas, old, directions)


def _as_grey(mask: Mask) -> Picture:
    """White where it selects (mode L), without its feather."""
    return Image.fromarray(mask.selected.byte().mul(255).numpy())


def _packed(picture: Picture) -> Tensor:
    """The bytes of its PNG file, quickly written: (n,) uint8."""
    data = encode(picture, compress_level=1)
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def _unpacked(data: Tensor) -> Picture:
    return Image.open(io.BytesIO(data.numpy().tobytes()), formats=["PNG"])


__all__ = ["Source", "restore"]
