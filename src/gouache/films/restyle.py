"""Clips that are painted over: each frame goes on from the one before, carried along by the flow.

What moved is carried from the frame that was painted before, resampled once (`flow`). What came in
sight begins as the clip has it. Then a few steps: towards the words, with the structure of the
clip's frame (the losses of edits) and the look of what was carried (after Ruder et al. 2016, arXiv
1604.08610, section 4).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from gouache.editing.config import EditConfig
from gouache.editing.source import Source
from gouache.engine.hook import Hook
from gouache.errors import MediaError
from gouache.films.clips import Clip
from gouache.films.flow import Flow
from gouache.networks.canvas import Canvas
from gouache.networks.models import Models
from gouache.ops.images import to_pil
from gouache.prompts import one_line
from gouache.protocols import Loss, LossContext

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


class SourceFrame(Source):
    """The hook of one frame: an edit of the clip's frame that also keeps what was carried."""

    kind = "restyle"

    def __init__(
        self,
        source: Tensor,
        config: EditConfig,
        models: Models,
        canvas: Canvas,
        kept: KeptLoss | None,
    ) -> None:
        grid = torch.zeros(1, models.generator.code_dim, *canvas.grid)
        super().__init__(to_pil(source[0]), config, None, grid, models, canvas)
        self._kept_loss = kept

    def losses(self, guide: int, own: Sequence[Loss]) -> list[Loss]:
        kept = [self._kept_loss] if self._kept_loss is not None and guide == 0 else []
        return [*super().losses(guide, own), *kept]


@dataclass(frozen=True)
class Begun:
    """How a frame begins.

    latent: (1,code_dim,h,w).
    rest: (1,3,h*f,w*f), what the latent cannot hold of what was carried; None for nothing.
    """

    latent: Tensor
    rest: Tensor | None
    hook: Hook


class Restyle:
    """A `gouache.films.guide.Guide` that follows a clip.

    strength, structure_weight: as of edits. keep_weight: of the pixels that were carried.
    """

    def __init__(
        self,
        clip: Clip,
        *,
        strength: float = 1.0,
        structure_weight: float = 1.0,
        keep_weight: float = 30.0,
    ) -> None:
        self.clip = clip
        self.keep_weight = keep_weight
        self._edit = EditConfig().updated(strength=strength, structure_weight=structure_weight)
        self._frames: Iterator[Tensor] = iter(())
        self._next = -1  # number of the frame that comes next from `_frames`
        self._known: dict[int, Tensor] = {}  # the last two

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

    def flow(self, frame: int) -> Flow:
        """From `frame` back to the one before."""
        before = self.source(frame - 1)
        return Flow.between(before[0], self.source(frame)[0])

    def carried(self, previous: Tensor, frame: int) -> tuple[Tensor, Tensor]:
        flow = self.flow(frame)
        moved = flow.carry(previous[0].float().cpu())[None]
        return moved.to(previous.device), (1 - flow.seen)[None].to(previous.device)

    @torch.no_grad()
    def begin(self, frame: int, previous: Tensor | None, models: Models, canvas: Canvas) -> Begun:
        """What `frame` begins from. previous: the frame before, painted; None for none."""
        source = self.source(frame).to(models.device)
        if previous is None:
            hook = SourceFrame(source, self._edit, models, canvas, None)
            return Begun(models.encode(source, canvas), None, hook)
        carried, hidden = self.carried(previous, frame)
        whole = torch.lerp(carried, source, hidden)
        latent = models.encode(whole, canvas)
        with models.autocast():
            held = models.generator.decode(models.rounded(latent)).float().clamp(0, 1)
        rest = KEPT * canvas.pad(1 - hidden) * (canvas.pad(whole) - held)
        kept = KeptLoss(self.keep_weight, carried, 1 - hidden) if self.keep_weight else None
        return Begun(latent, rest, SourceFrame(source, self._edit, models, canvas, kept))


__all__ = ["Begun", "KeptLoss", "Restyle", "SourceFrame"]
