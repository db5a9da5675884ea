"""Clips that are painted over: each frame goes on from the one before, carried along by the flow.

What moved is carried from the frame that was painted before, resampled once (`flow`). What came in
sight begins as the clip has it. Then a few steps: towards the words, with the structure of the
clip's frame (the losses of edits) and the look of what was carried (after Ruder et al. 2016, arXiv
1604.08610, section 4).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.editing.config import DEFAULTS, EditConfig
from gouache.editing.editor import LONGEST
from gouache.editing.source import Source
from gouache.errors import ConfigError, MediaError
from gouache.films.clips import Clip
from gouache.films.config import MAX_FPS, MIN_FPS, MOTIONS, FilmConfig
from gouache.films.flow import Flow
from gouache.films.guide import Begun
from gouache.films.morph import rest
from gouache.inputs import Input
from gouache.networks.canvas import Canvas
from gouache.networks.models import Models
from gouache.ops.images import to_pil
from gouache.prompts import one_line
from gouache.protocols import Loss, LossContext
from gouache.settings.config import PaintConfig

KEY_EVERY = 8  # frames are carried from every n-th one, so that none is resampled many times
LAYOUT = 30.0  # weight of the clip's layout, where structure_weight and strength are 1
AFAR = 6  # pixels that are seen as one
KEPT = 0.7  # of what the latent cannot hold of a carried picture: all of it would gather dirt


@dataclass(frozen=True)
class KeptLoss:
    """`weight` * mean square distance to what was carried, where that was seen before."""

    scope: ClassVar[str] = "picture"

    weight: float
    carried: Tensor = field(repr=False)  # (1,3,H,W) in [0,1]
    seen: Tensor = field(repr=False)  # (1,1,H,W) in [0,1]
    name: str = "kept"

    def __call__(self, context: LossContext) -> Tensor:
        """(B,)."""
        apart = (context.image - self.carried).square() * self.seen
        return self.weight * apart.flatten(1).mean(1)


@dataclass(frozen=True)
class LayoutLoss:
    """`weight` * mean square distance to the clip's frame, both seen from afar: shapes stay where
    they are, and what they are painted with is free."""

    scope: ClassVar[str] = "picture"

    weight: float
    source: Tensor = field(repr=False)  # (1,3,H,W) in [0,1]
    name: str = "layout"

    def __call__(self, context: LossContext) -> Tensor:
        """(B,)."""
        apart = _from_afar(context.image) - _from_afar(self.source)
        return self.weight * apart.square().flatten(1).mean(1)


def _from_afar(picture: Tensor) -> Tensor:
    height, width = picture.shape[2:]
    size = max(1, round(height / AFAR)), max(1, round(width / AFAR))
    return F.adaptive_avg_pool2d(picture, size)


class SourceFrame(Source):
    """The hook of one frame: an edit of the clip's frame that keeps its layout, and also what was
    carried."""

    kind = "restyle"

    def __init__(
        self,
        source: Tensor,
        config: EditConfig,
        models: Models,
        canvas: Canvas,
        own: Sequence[Loss],
    ) -> None:
        grid = torch.zeros(1, models.generator.code_dim, *canvas.grid)
        super().__init__(to_pil(source[0]), config, None, grid, models, canvas)
        self._own = tuple(own)

    def losses(self, guide: int, own: Sequence[Loss]) -> list[Loss]:
        return [*super().losses(guide, own), *(() if guide else self._own)]


class Restyle:
    """A `gouache.films.guide.Guide` that follows a clip.

    film: says with which strength, structure_weight and keep_weight.
    """

    def __init__(self, clip: Clip, film: FilmConfig) -> None:
        self.clip = clip
        self._keep_weight = film.keep_weight
        self._layout_weight = LAYOUT * film.structure_weight / film.strength
        self._edit = EditConfig().updated(
            strength=film.strength, structure_weight=film.structure_weight
        )
        self._frames: Iterator[Tensor] = iter(())
        self._next = -2  # number of the frame that comes next from `_frames`
        self._known: dict[int, Tensor] = {}  # the last two
        self._flows: dict[tuple[int, int], Flow] = {}  # from which frame to which
        self._inputs: tuple[Input, ...] = ()

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The clip, its sum taken when it is first asked for."""
        self._inputs = self._inputs or (Input.of_file("source", self.clip.path),)
        return self._inputs

    @property
    def num_frames(self) -> int:
        return self.clip.num_frames

    def source(self, frame: int) -> Tensor:
        """(1,3,H,W) in [0,1]. Frames in their order cost least."""
        while frame not in self._known:
            if not frame - 1 <= self._next <= frame:
                self._next = max(0, frame - 1)
                self._frames = self.clip.frames(self._next)
            found = next(self._frames, None)
            if found is None:
                raise MediaError(
                    f"{one_line(self.clip.path)} has no frame {frame}; it was changed: give the "
                    "clip that the film began with"
                )
            self._known = {n: known for n, known in self._known.items() if n == self._next - 1}
            self._known[self._next] = found[None]
            self._next += 1
        return self._known[frame]

    def flow(self, frame: int, before: int | None = None) -> Flow:
        """From `frame` back to an earlier one by way of all between; the one before by default."""
        before = frame - 1 if before is None else before
        if (frame, before) not in self._flows:
            if before == frame - 1:
                found = Flow.between(self.source(before)[0], self.source(frame)[0])
            else:
                earlier = self.flow(frame - 1, before)
                found = self.flow(frame).after(earlier)
            kept = {pair: flow for pair, flow in self._flows.items() if pair[0] >= frame - 1}
            self._flows = kept | {(frame, before): found}
        return self._flows[frame, before]

    def wants(self, frame: int) -> tuple[int, ...]:
        if frame == 0:
            return ()
        return tuple(dict.fromkeys((_key(frame), frame - 1)))

    def carried(self, frame: int, painted: Mapping[int, Tensor]) -> tuple[Tensor, Tensor]:
        """What was painted, moved on to `frame`, and where it is to be trusted: (1,3,H,W) in [0,1]
        and (1,1,H,W) in {0,1}.

        From the key frame, resampled once; where that does not show it, from the frame before.
        """
        key = _key(frame)
        last = self.flow(frame)
        near = last.carry(painted[frame - 1][0].float().cpu())
        seen = last.seen
        if key < frame - 1:
            way = self.flow(frame, key)
            sure = way.seen * seen
            near = torch.lerp(near, way.carry(painted[key][0].float().cpu()), sure)
        return near[None], seen[None]

    def afresh(self, frame: int, models: Models, canvas: Canvas) -> Begun:
        """A frame that goes on from none: an edit of the clip's."""
        source = self.source(frame).to(models.device)
        return Begun(models.encode(source, canvas), None, self._hook(source, models, canvas))

    def _hook(
        self, source: Tensor, models: Models, canvas: Canvas, kept: KeptLoss | None = None
    ) -> SourceFrame:
        own: list[Loss] = [] if kept is None else [kept]
        if self._layout_weight:
            own.append(LayoutLoss(self._layout_weight, source))
        return SourceFrame(source, self._edit, models, canvas, own)

    @torch.no_grad()
    def begin(
        self, frame: int, painted: Mapping[int, Tensor], models: Models, canvas: Canvas
    ) -> Begun:
        if frame == 0:
            return self.afresh(frame, models, canvas)
        source = self.source(frame).to(models.device)
        carried, seen = (one.to(models.device) for one in self.carried(frame, painted))
        whole = torch.lerp(source, carried, seen)
        latent = models.encode(whole, canvas)
        lacking = KEPT * canvas.pad(seen) * rest(whole, latent, models, canvas)
        kept = KeptLoss(self._keep_weight, carried, seen) if self._keep_weight else None
        return Begun(latent, lacking, self._hook(source, models, canvas, kept))


def _key(frame: int) -> int:
    """The frame from which `frame` is carried."""
    return (frame - 1) // KEY_EVERY * KEY_EVERY


def follow(path: Path, film: FilmConfig, config: PaintConfig) -> Restyle:
    """What leads a film that `followed` made of a clip. Raises `MediaError` and `ConfigError`."""
    return Restyle(Clip.open(path, fps=film.fps, size=config.size), film)


def followed(
    path: Path, film: FilmConfig, config: PaintConfig, given: Collection[str]
) -> tuple[FilmConfig, PaintConfig]:
    """The settings of a film over the clip at `path`.

    Its rate, length and shape are the clip's, where those `given` do not say otherwise; a film is
    no longer than its clip. Raises `MediaError`; `ConfigError` where a camera is to move, too.
    """
    moving = [name for name in MOTIONS if getattr(film, name) != getattr(FilmConfig(), name)]
    if moving:
        raise ConfigError(f"{moving[0]} moves a camera, and a film over a clip follows the clip")
    clip = Clip.open(path, fps=film.fps if "fps" in given else None, every_nth=film.every_nth)
    if clip.fps > MAX_FPS:
        clip = Clip.open(path, fps=MAX_FPS)
    if clip.fps < MIN_FPS:
        raise ConfigError(
            f"every_nth is {film.every_nth}, which leaves {clip.fps:.2g} frames a second of "
            f"{one_line(path)}; at least {MIN_FPS:g} are possible: take more of them, or give fps"
        )
    film = film.updated(fps=clip.fps)
    wanted = film.num_frames if {"frames", "seconds"} & set(given) else clip.num_frames
    film = film.updated(frames=min(wanted, clip.num_frames))
    if "latent" not in given:  # as edits: coarse levels of a latent move what is to stay
        config = config.updated(latent=DEFAULTS["latent"])
    if "size" not in given:
        short = min(config.size)
        scale = min(short / min(clip.width, clip.height), LONGEST / max(clip.width, clip.height))
        width, height = (max(1, round(side * scale / 2)) * 2 for side in (clip.width, clip.height))
        config = config.updated(size=(width, height))
    return film, config


__all__ = ["KEPT", "KeptLoss", "Restyle", "SourceFrame", "follow", "followed"]
