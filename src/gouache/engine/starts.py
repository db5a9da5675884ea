"""Where painting starts when there is no init image: chance, noise, or what the prior proposes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache import halting
from gouache.engine.objective import score
from gouache.engine.targets import StagePlan, asked_for, encode_parts
from gouache.engine.tries import Tries
from gouache.networks.canvas import Canvas
from gouache.networks.models import Guide, Models
from gouache.networks.pool import shared_drawing, shared_perceptor
from gouache.ops.images import noise_image
from gouache.protocols import Drawable, with_codebook
from gouache.settings.config import PaintConfig
from gouache.settings.presets import NOBODY
from gouache.watching import tell

Rehearse = Callable[[Tensor, list[torch.Generator], Canvas], Tensor]
"""(starts, rngs, canvas) -> their latents after a few steps from there, each with its own rng."""

_JUDGED = 2.0  # times a judge's opinion counts as much as the guides', which tries were painted for


@torch.no_grad()
def choose_start(
    config: PaintConfig,
    models: Models,
    canvas: Canvas,
    stage: StagePlan,
    rngs: Sequence[torch.Generator],
    rehearse: Rehearse,
    together: int,
    asked: Tries | None = None,
) -> tuple[Tensor, dict[str, int]]:
    """The start of every picture, (B,code_dim,h,w): the best of `start_tries`, or a chosen one; and
    the settings that make it again, where somebody chose meanwhile.

    Each try is painted for `start_steps` steps at `start_scale` of the size, and scored by the
    guides, and by `start_judge`, against the picture's prompts of the first stage. What is small is
    enlarged and encoded: large shapes are found faster in small pictures. A picture's tries depend
    on its own rng and prompts alone, so it is the same in any batch. At most `together` tries are
    painted at once.
    """
    tries, scale = config.latents.start_tries, config.latents.start_scale
    small = canvas
    if scale < 1.0:
        width, height = (max(canvas.cell, round(scale * s)) for s in (canvas.width, canvas.height))
        small = Canvas(width, height, canvas.cell)
    asked = asked or Tries(config)
    tell("looking for a start")
    drawn = _Draws(models, small, stage, rngs, tries).of_kind(config.latents.start)
    if asked.watched:
        asked.show(torch.cat([models.decode(models.rounded(one), small) for one in drawn]))
    found = dict(enumerate(drawn))
    if config.latents.start_steps:
        found = _rehearsed(drawn, rngs, small, rehearse, together, asked)
    asked.ask()  # the last time
    if asked.choice:
        found = {asked.choice - 1: found[asked.choice - 1]}
    if len(found) == 1 and small == canvas:
        ((number, start),) = found.items()
        return start, asked.changes(number)
    codes, scores = [], []
    judge = _Judge.of(config, models, stage) if len(found) > 1 else None
    for start in found.values():
        halting.check()
        codes.append(models.rounded(start))
        if len(found) > 1:
            picture = models.decode(codes[-1], small)
            own = score(config, models, stage, picture)
            scores.append(own if judge is None else own + _JUDGED * judge(picture))
    every = torch.arange(len(rngs))
    best = torch.stack(scores).argmax(0) if scores else torch.zeros_like(every)
    changes = asked.changes(list(found)[int(best[0])])
    if small == canvas:
        return torch.stack(list(found.values()))[best, every], changes
    chosen = torch.stack(codes)[best, every]
    return models.encode(enlarged(models, chosen, small, canvas), canvas), changes


def enlarged(models: Models, codes: Tensor, small: Canvas, canvas: Canvas) -> Tensor:
    """The pictures (B,3,H,W) of codes (B,code_dim,h,w) for a smaller canvas, at the canvas's size.

    Drawn by the generator's drawing decoder, which keeps edges; without one, bicubic.
    """
    size, generator = (canvas.height, canvas.width), models.generator
    if isinstance(generator, Drawable) and generator.drawing and canvas.width > small.width:
        network = shared_drawing(generator)
        drawn = [models.draw(network, one[None], small) for one in codes]
        large = F.interpolate(torch.cat(drawn), size, mode="bicubic", antialias=True)
    else:
        large = F.interpolate(models.decode(codes, small), size, mode="bicubic")
    return large.clamp(0, 1)


@dataclass(frozen=True)
class _Judge:
    """A perceptor that guides nothing, asked how well whole tries show the words."""

    config: PaintConfig
    models: Models  # whose only guide it is
    stage: StagePlan

    @classmethod
    def of(cls, config: PaintConfig, models: Models, stage: StagePlan) -> _Judge | None:
        """By the setting `start_judge`; None where nobody judges, or nothing is asked in words."""
        name = config.latents.start_judge
        asked = [[t.prompt for t in own if t.prompt.kind == "text"] for own in stage.columns]
        if name == NOBODY or not any(asked):
            return None
        perceptor = shared_perceptor(name, models.device, models.dtype or torch.float32)
        judging = replace(models, guides=(Guide(perceptor),), compiled={})
        rows = encode_parts(asked, config, judging)
        whole = config.updated(combine="loss", whole_share=1.0)
        return cls(whole, judging, StagePlan(stage.steps, rows))

    def __call__(self, picture: Tensor) -> Tensor:
        """Of pictures (B,3,H,W): (B,), as `objective.score`."""
        return score(self.config, self.models, self.stage, picture)


def _rehearsed(
    starts: Sequence[Tensor],
    rngs: Sequence[torch.Generator],
    canvas: Canvas,
    rehearse: Rehearse,
    together: int,
    tries: Tries,
) -> dict[int, Tensor]:
    """By number (from 0) those that were painted: all, where none is chosen."""
    own = [[_child(rng) for rng in rngs] for _ in starts]
    painted: dict[int, Tensor] = {}
    for first in range(0, len(starts), together):
        group = starts[first : first + together]
        if tries.begin(first, len(group)):
            rng = [one for each in own[first : first + together] for one in each]
            found = rehearse(torch.cat(list(group)), rng, canvas).chunk(len(group))
            painted |= enumerate(found, first)
    return painted


@dataclass(frozen=True)
class _Draws:
    """What starts are drawn for; each method gives `tries` starts of the whole batch."""

    models: Models
    canvas: Canvas
    stage: StagePlan
    rngs: Sequence[torch.Generator]
    tries: int

    def of_kind(self, kind: str) -> list[Tensor]:
        """By the setting `start`."""
        if kind == "prior":
            return self._proposed_or_random()
        if kind == "random":
            return self._random(self.rngs)
        return [self._noise(kind, self.rngs) for _ in range(self.tries)]

    def _noise(self, kind: str, rngs: Sequence[torch.Generator]) -> Tensor:
        size = (self.canvas.width, self.canvas.height)
        return self.models.encode(noise_image(kind, size, len(rngs), rngs), self.canvas)

    def _random(self, rngs: Sequence[torch.Generator]) -> list[Tensor]:
        """Codes drawn as often as they occur in real pictures; without a codebook, noise."""
        generator = with_codebook(self.models.generator)
        if generator is None:
            return [self._noise("pixels", rngs) for _ in range(self.tries)]
        height, width = self.canvas.grid
        prior, codes = generator.code_prior.detach().float().cpu(), generator.codebook.detach()
        found = []
        for _ in range(self.tries):
            draws = [torch.multinomial(prior, height * width, True, generator=r) for r in rngs]
            indices = torch.stack(draws).view(-1, height, width).to(self.models.device)
            found.append(codes.float()[indices].movedim(-1, 1).contiguous())
        return found

    def _proposed_or_random(self) -> list[Tensor]:
        """Each picture by its own words; by chance where there is nothing in words to propose
        from."""
        rngs = self.rngs
        texts = [asked_for(self.stage.of(picture)) for picture in range(len(rngs))]
        told = [picture for picture, text in enumerate(texts) if text]
        untold = [picture for picture, text in enumerate(texts) if not text]
        found: dict[int, Sequence[Tensor]] = {}
        if told:
            proposed = self._proposals([texts[k] for k in told], [rngs[k] for k in told])
            found |= zip(told, zip(*proposed, strict=True), strict=True)
        if untold:
            drawn = self._random([rngs[k] for k in untold])
            found |= zip(untold, zip(*drawn, strict=True), strict=True)
        return [torch.stack([found[k][n] for k in range(len(rngs))]) for n in range(self.tries)]

    def _proposals(self, texts: list[str], rngs: list[torch.Generator]) -> list[Tensor]:
        """One text and one rng per picture."""
        from gouache.priors.loading import Proposer

        proposer = Proposer(self.models.generator, self.models.device)
        codes = proposer.codes(texts * self.tries, rngs * self.tries)
        if proposer.generator is not self.models.generator or codes.shape[-2:] != self.canvas.grid:
            with self.models.autocast():  # its weights may be in half precision
                pictures = proposer.pictures(codes, (self.canvas.height, self.canvas.width))
            codes = self.models.encode(pictures, self.canvas)
        return list(codes.chunk(self.tries))


def _child(rng: torch.Generator) -> torch.Generator:
    seed = int(torch.randint(2**62, (), generator=rng))
    return torch.Generator().manual_seed(seed)


__all__ = ["Rehearse", "choose_start", "enlarged"]
