"""What a step minimises: the losses of each stage, and how they are evaluated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from gouache import cutouts, halting
from gouache.cutouts import CutoutParams
from gouache.engine.held import Held
from gouache.engine.hook import Hook
from gouache.engine.targets import StagePlan
from gouache.engine.terms import (
    can_be_pulled,
    guide_terms,
    picture_terms,
    prior_terms,
    style_terms,
)
from gouache.errors import ConfigError, DivergedError
from gouache.losses import DecayingLoss, SteppedLoss, TotalVariationLoss
from gouache.networks.canvas import Canvas
from gouache.networks.models import Guide, Models
from gouache.placing import Place
from gouache.protocols import Latent, Loss, LossContext, OfSome, Scoped, SourceViews
from gouache.settings.config import PaintConfig
from gouache.settings.schedule import Schedule, numbers_at

SHARPNESS = 4  # of a half share a sixteenth is left
_FADING = (DecayingLoss, SteppedLoss, TotalVariationLoss)  # what nobody guides fades by these


@dataclass(frozen=True)
class Evaluation:
    """One step's picture and losses.

    image: (B,3,H,W) in [0,1], with gradient.
    losses: (B,) each, for showing: they may have no gradient.
    pulls: tensors and the gradient at each, of all losses together: what to go back from.
    """

    image: Tensor = field(repr=False)
    losses: dict[str, Tensor]
    pulls: list[tuple[Tensor, Tensor]] = field(repr=False)

    def gradients(self, parameters: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Of the sum of all losses, at `parameters`. Once only: the graph is used up."""
        outputs, gradients = zip(*self.pulls, strict=True)
        return torch.autograd.grad(outputs, parameters, gradients)


class Objective:
    """The losses of a run. Immutable: a change of prompts makes another one.

    `pull_target` (B,code_dim,h,w) is where the stepwise pull on the latent leads, None for zero;
    `extra` are losses besides those that the settings ask for; `edit` takes part where a picture is
    edited; `settling` (B,) are the pictures that only settle in the first stage (see `alone`), and
    `styled` those that are held near `pull_target` in it (see `styled`), none where it is empty;
    `held` is what was drawn by hand and stays near to it.
    """

    def __init__(
        self,
        config: PaintConfig,
        models: Models,
        canvas: Canvas,
        stages: Sequence[StagePlan],
        pull_target: Tensor | None,
        extra: Sequence[Loss],
        edit: Hook | None = None,
        settling: Tensor | None = None,
        styled: Sequence[bool] = (),
        held: Held | None = None,
    ) -> None:
        self.stages = tuple(stages)
        self.pull_target = pull_target
        self._config = config
        self._models = models
        self._canvas = canvas
        self._settling = settling
        drawn = [] if held is None else held.terms(can_be_pulled(config))
        self._of_picture = [*picture_terms(config, pull_target), *drawn, *extra]
        self._of_stage = [prior_terms(stage, models, canvas, config.guidance) for stage in stages]
        if self._of_stage:
            self._of_stage[0] += style_terms(config.guidance, styled, pull_target)
        self._edit = edit
        self._of_guides = [guide_terms(stage, models.guides, config) for stage in stages]
        if edit is not None:
            self._of_guides = [
                [edit.losses(number, terms) for number, terms in enumerate(guides)]
                for guides in self._of_guides
            ]
        if not extra and not all(any(terms) for terms in self._of_guides):
            if all(bool(stage.weights.any()) for stage in stages):
                names = " and ".join(guide.perceptor.name for guide in models.guides)
                raise ConfigError(
                    f"{names} does not know anything of what is asked; ask for other things, or "
                    "let pocket guide too: --perceptor pocket"
                )
            raise ConfigError("every prompt has weight 0, so there is nothing to paint; raise one")
        for stage in stages if not extra else ():
            busy = [any(target.prompt.weight for target in own) for own in stage.columns]
            if any(busy) and not all(busy):
                raise ConfigError(
                    f"every prompt of picture {busy.index(False) + 1} has weight 0, so there is "
                    "nothing to paint; raise one"
                )

    def evaluate(
        self,
        latent: Latent,
        rngs: Sequence[torch.Generator],
        step: int,
        num_steps: int,
        stage: int,
        scale: float = 1.0,
    ) -> Evaluation:
        """The latent's picture, its losses, and `scale` times their gradients."""
        halting.check()
        canvas, models = self._canvas, self._models
        now = numbers_at(self._config.cutouts, step, num_steps)
        latent.draw(rngs, step / num_steps)
        image = models.decode(latent(), canvas)
        halting.check()
        batch = len(image)
        size = (canvas.height, canvas.width)
        if self._edit is None:
            params = cutouts.sample(now, batch, size, rngs, self.stages[stage].looks)
        else:
            params = self._edit.draw(now, size, rngs)
        settling, places = self.settling(stage), self.stages[stage].places
        found: list[tuple[str, Tensor]] = []
        direct: list[Tensor] = []
        pulls: list[tuple[Tensor, Tensor]] = []
        for number, guide in enumerate(models.guides):
            terms = [*self._of_guides[stage][number]]
            if number == 0:
                # they ask no guide, so once is enough
                terms += [*self._of_picture, *self._of_stage[stage]]
            if not terms:
                continue  # a guide that knows nothing of what is asked
            shown = params.at_most(guide.most_cutouts)
            views = cutouts.apply(image, shown, guide.perceptor.image_size)
            context = LossContext(
                image=image,
                latent=latent.unrounded(),
                cutouts=views,
                embeddings=views.new_empty(0),
                step=step,
                num_steps=num_steps,
                source=None
                if self._edit is None
                else self._edit.views(models, guide.perceptor, shown),
                places=count_places(shown, places, views.device) if places else None,
            )
            scopes = [t.scope if isinstance(t, Scoped) else "everything" for t in terms]
            if "everything" in scopes:
                embeddings = models.embed(guide.perceptor, views, batch)
                context = replace(context, embeddings=embeddings)
            else:
                apart = [t for t, scope in zip(terms, scopes, strict=True) if scope == "cutouts"]
                terms = [t for t, scope in zip(terms, scopes, strict=True) if scope != "cutouts"]
                values, gradient = in_chunks(models, guide, context, apart, scale)
                found += values
                pulls.append((views, gradient))
            for term in terms:
                value = term(context)
                if settling is not None and isinstance(term, _FADING):
                    value = value.where(~settling, 0.0)  # what is found would fade
                direct.append(value)
                found.append((term.name, value))
        if direct:
            total = torch.stack(direct).sum()
            pulls.append((total, torch.full_like(total, scale)))
        losses: dict[str, Tensor] = {}
        for name, value in found:
            losses[name] = losses[name] + value if name in losses else value
        return Evaluation(image, losses, pulls)

    def own_losses(self, losses: Mapping[str, Tensor], stage: int) -> dict[str, Tensor]:
        """Losses (B,) of a step, NaN for pictures that have no such loss: no prompt in its place.

        In the sum of a step these are 0.
        """
        found = dict(losses)
        for name, value in losses.items():
            of = [
                term.pictures if isinstance(term, OfSome) else None
                for terms in (*self._of_guides[stage], self._of_picture, self._of_stage[stage])
                for term in terms
                if term.name == name
            ]
            some = [pictures for pictures in of if pictures is not None]
            if some and len(some) == len(of):
                has = torch.zeros(len(value), dtype=torch.bool, device=value.device)
                has[torch.cat(some)] = True
                found[name] = value.where(has, torch.nan)
        return found

    def settling(self, stage: int) -> Tensor | None:
        """The pictures (B,) that only settle in a stage, None for none."""
        return self._settling if stage == 0 else None

    def restarts_at(self, step: int) -> bool:
        """Whether the optimiser starts anew at `step`, as the stepwise pull is lowered."""
        return any(
            isinstance(term, SteppedLoss) and term.drops_at(step) for term in self._of_picture
        )

    @torch.no_grad()
    def scores(self, picture: Tensor, stage: int) -> Tensor:
        """Mean cosine of pictures (B,3,H,W) with the prompts, by their weights: (B,) in [-1,1].

        The cutouts are the same for all pictures and calls. 0 where nothing is asked.
        """
        return score(self._config, self._models, self.stages[stage], picture)

    def require_finite(
        self,
        losses: Mapping[str, Tensor],
        gradients: Sequence[Tensor],
        step: int,
        last_good: Tensor,
    ) -> None:
        """Raises `DivergedError`, with advice, if a loss or a gradient is NaN or infinite."""
        # One number decides, so that a graphics card is waited for once per step.
        checks = [torch.isfinite(value).all() for value in (*losses.values(), *gradients)]
        if bool(torch.stack(checks).all()):
            return
        bad = [name for name, value in losses.items() if not bool(torch.isfinite(value).all())]
        what = f"the loss {' + '.join(bad[:3])}" if bad else "the gradient"
        optimization = self._config.optimization
        advice = f"lower learning_rate (it is {_told(optimization.learning_rate)})"
        if bad:
            advice += " or the weight of that loss"
        elif not optimization.clip_grad:
            advice += " or set clip_grad, for example to 1"
        if self._models.dtype is not None:
            advice += ", or set precision to fp32"
        raise DivergedError(
            f"{what} is not a finite number at step {step}; {advice}",
            last_good.detach().nan_to_num(0.5, 1.0, 0.0).clamp(0, 1),
            step,
        )


def _told(number: float | Schedule) -> str:
    return str(number) if isinstance(number, Schedule) else f"{number:g}"


def in_chunks(
    models: Models, guide: Guide, context: LossContext, terms: Sequence[Loss], scale: float
) -> tuple[list[tuple[str, Tensor]], Tensor]:
    """Losses that are means over cutouts: names and values (B,), `scale` times their gradient.

    The gradient is that of their sum, at the cutouts (N*B,3,S,S). Each chunk of cutouts is embedded
    and gone back from before the next: one chunk at a time is in memory, and nothing is computed
    twice.
    """
    views, batch = context.cutouts, len(context.image)
    gradients: list[Tensor] = []
    sums = [torch.zeros(batch, device=views.device) for _ in terms]
    first = 0
    for part, share in chunks(models, views, batch) if terms else ():
        halting.check()
        embeddings = models.embed(guide.perceptor, part, batch)
        source, last = context.source, first + len(embeddings)
        if source is not None:
            source = SourceViews(source.embeddings[first:last], source.inside[first:last])
        places = None if context.places is None else context.places[:, first:last]
        seen = replace(context, cutouts=part, embeddings=embeddings, source=source, places=places)
        values = torch.stack([term(seen) for term in terms]) * share
        gradients += torch.autograd.grad(values.sum() * scale, part)
        for total, value in zip(sums, values.detach(), strict=True):
            total += value
        first = last
    names = [term.name for term in terms]
    gradient = torch.cat(gradients) if gradients else torch.zeros_like(views)
    return list(zip(names, sums, strict=True)), gradient


def chunks(models: Models, views: Tensor, batch: int) -> Iterator[tuple[Tensor, float]]:
    """Cutouts (N*B,3,S,S) in leaves of whole cutouts that fit, each with its share of the N."""
    each = models.memory.at_once(len(views) // batch, batch)
    for part in torch.split(views.detach(), each * batch):
        yield part.requires_grad_(), len(part) / len(views)


@torch.no_grad()
def score(config: PaintConfig, models: Models, stage: StagePlan, picture: Tensor) -> Tensor:
    """Mean cosine of pictures (B,3,H,W) with their prompts, by weight: (B,) in [-1,1].

    The cutouts are the same for all pictures and calls. 0 where nothing is asked. Prompts that are
    added up as embeddings are one prompt here too. Of what a guide does not know, the others'
    opinion counts alone.
    """
    aims = stage.added_up() if config.guidance.combine == "embedding" else stage
    total = torch.zeros(len(picture), device=picture.device)
    if not aims.weights.any():
        return total
    known = [guide.weight * aims.confidences(k) for k, guide in enumerate(models.guides)]
    params = models.calm(picture, config.cutouts, aims.looks)
    counted = count_places(params, aims.places, picture.device)  # (L,N,B)
    placed = aims.place_numbers(aims.places)
    for number, guide in enumerate(models.guides):
        views = models.embed_calm(guide.perceptor, picture, config.cutouts, params)
        shares = known[number] / sum(known) * aims.weights / aims.weights.abs().sum(0)  # (T,B)
        factors = shares.nan_to_num().float().to(picture.device)
        rows = zip(factors, aims.embeddings(number), placed, strict=True)
        for factor, embedding, place in rows:
            fits = (views * embedding).sum(-1)  # (N,B)
            if aims.places:
                fits = fits * counted[place, :, torch.arange(len(picture))].T
            total += factor * fits.mean(0)
    return total


def count_places(params: CutoutParams, places: Sequence[Place], device: torch.device) -> Tensor:
    """How much each cutout counts for each place: (1+len(places),N,B), 1 in the mean over cutouts.

    The first is everywhere, and all count the same. Elsewhere by the share that shows the place,
    sharpened, as what half shows it would put half of the thing beside it.
    """
    found = [torch.ones(params.num_cutouts, params.batch)]
    for place in places:
        share = cutouts.inside(params, place) ** SHARPNESS
        found.append((share / share.mean(0)).nan_to_num())
    return torch.stack(found).to(device)


__all__ = ["Evaluation", "Objective", "score"]
