"""Which losses a stage has: from its table to the terms that a step adds up."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from gouache.engine.targets import StagePlan, Target, asked_for
from gouache.latents import latents
from gouache.losses import (
    ContrastLoss,
    DecayingLoss,
    PromptLoss,
    SteppedLoss,
    StyleLoss,
    losses,
    shared_rivals,
)
from gouache.networks.canvas import Canvas
from gouache.networks.models import Guide, Models
from gouache.placing import Place
from gouache.protocols import Loss, Pulled
from gouache.settings.codec import parse_weighted
from gouache.settings.config import GuidanceConfig, PaintConfig
from gouache.settings.schedule import Schedule


def guide_terms(stage: StagePlan, guides: Sequence[Guide], config: PaintConfig) -> list[list[Loss]]:
    """The losses of each guide: one per row, and the contrasts where it ships other captions."""
    aims = stage.added_up() if config.guidance.combine == "embedding" else stage
    return [
        [
            *_prompt_losses(
                aims,
                number,
                guide.weight * aims.confidences(number) * aims.weights,
                stage.places,
            ),
            *_contrasts(stage, aims, number, guide, config.guidance),
        ]
        for number, guide in enumerate(guides)
    ]


def picture_terms(config: PaintConfig, pull_target: Tensor | None) -> list[Loss]:
    """The losses that are not about prompts: the pull on the latent, the total variation, and what
    the setting `losses` asks for.

    Latents that are no points to be pulled (codebook sampling; paper, appendix G.1) are not.
    """
    terms: list[Loss] = []
    chosen = config.latents
    rule = chosen.latent_rule if chosen.latent_weight and can_be_pulled(config) else "off"
    if rule == "decay":
        # A schedule of the weight is taken as it is.
        decay = 0.0 if isinstance(chosen.latent_weight, Schedule) else chosen.latent_decay
        terms.append(DecayingLoss(chosen.latent_weight, decay))
    if rule == "stepwise":
        terms.append(
            SteppedLoss(
                chosen.latent_weight, chosen.latent_drop, chosen.latent_drop_every, pull_target
            )
        )
    asked = [("tv", config.guidance.tv_weight)] if config.guidance.tv_weight else []
    asked += [parse_weighted(text, "loss") for text in config.guidance.losses]
    return [*terms, *(losses.get(name)(weight) for name, weight in asked)]


def can_be_pulled(config: PaintConfig) -> bool:
    """Whether the latent is a point that can be pulled."""
    builder = latents.get(config.latents.latent)
    return builder.can_be_pulled if isinstance(builder, Pulled) else True


def prior_terms(
    stage: StagePlan, models: Models, canvas: Canvas, guidance: GuidanceConfig
) -> list[Loss]:
    """How likely each picture is by the prior; nothing where that is off or no words are wished."""
    if not guidance.prior_weight or not stage.rows:
        return []
    texts = [asked_for(stage.of(picture)) for picture in range(len(stage.columns))]
    if not any(texts):
        return []
    from gouache.priors.likelihood import PriorLoss
    from gouache.priors.loading import Proposer

    proposer = Proposer(models.generator, models.device)
    own = proposer.generator is models.generator and canvas.grid == (proposer.grid, proposer.grid)
    return [PriorLoss(guidance.prior_weight, texts, proposer, own)]


def style_terms(
    guidance: GuidanceConfig, styled: Sequence[bool], begun: Tensor | None
) -> list[Loss]:
    """What holds the pictures that were begun in a style near their beginning, (B,code_dim,h,w)."""
    if begun is None or not any(styled) or not guidance.style_weight:
        return []
    pictures = torch.tensor([k for k, one in enumerate(styled) if one], device=begun.device)
    return [StyleLoss(guidance.style_weight, begun.index_select(0, pictures), pictures)]


def _prompt_losses(
    aims: StagePlan, number: int, weights: Tensor, places: Sequence[Place]
) -> Iterator[PromptLoss]:
    """One for each row of weights (T,B), about the pictures whose weight is not 0; `places` are
    those of the context."""
    embeddings = aims.embeddings(number) if aims.rows else weights
    device = embeddings.device
    rows = zip(aims.rows, embeddings, weights, aims.stops, aims.place_numbers(places), strict=True)
    for name, embedding, weight, stop, place in rows:
        pictures = weight.nonzero()[:, 0]
        if not len(pictures):
            continue
        embedding, weight, stop = embedding[pictures.to(device)], weight[pictures], stop[pictures]
        yield PromptLoss(
            name,
            embedding,
            weight.float().to(device),
            stop.float().to(device) if bool((stop > -math.inf).any()) else -math.inf,
            None if len(pictures) == aims.weights.shape[1] else pictures.to(device),
            place[pictures].to(device) if bool(place.any()) else None,
        )


def _contrasts(
    stage: StagePlan, aims: StagePlan, number: int, guide: Guide, guidance: GuidanceConfig
) -> Iterator[Loss]:
    """Rivals are each picture's own: what one is asked may be what another must not become."""
    if guide.perceptor.bank is None or not guidance.contrast_weight or not aims.rows:
        return
    wished = aims.numbers(lambda t: max(t.prompt.weight, 0.0) if t.prompt.kind == "text" else 0.0)
    weight, factor = guidance.contrast_weight, 1.0
    if isinstance(weight, Schedule):
        weight, factor = 1.0, weight
    weights = guide.weight * aims.confidences(number) * weight * wished
    asked = list(zip(stage.columns, aims.columns, strict=True))
    # Pictures that are asked the same have the same rivals: looked for once.
    kinds = {both: kind for kind, both in enumerate(dict.fromkeys(asked))}
    bank = guide.perceptor.bank.detach().float().to(aims.targets[0].embeddings[number].device)
    rivals, absent = shared_rivals(bank, [_wishes(*both, number, bank) for both in kinds])
    if absent is not None:
        absent = absent[[kinds[both] for both in asked]]  # (B,R)
    for term in _prompt_losses(aims, number, weights, stage.places) if len(rivals) else ():
        yield ContrastLoss(
            term.name.replace("prompt", "contrast"),
            term.embedding,
            rivals,
            term.weight,
            guidance.contrast_scale,
            term.stop,
            term.pictures,
            absent if absent is None or term.pictures is None else absent[term.pictures],
            factor,
            term.place,
        )


def _wishes(
    asked: Sequence[Target], aims: Sequence[Target], number: int, bank: Tensor
) -> tuple[Tensor, Tensor]:
    """Embeddings that a picture is to fit, (P,D), and not to fit, (Q,D).

    What is unwanted in one place may be wanted in another: it is no rival.
    """
    wanted = [t for t in (*asked, *aims) if t.prompt.weight > 0]
    unwanted = [
        t
        for t in asked
        if t.prompt.weight < 0 and t.prompt.kind == "text" and t.prompt.place is None
    ]
    return (
        torch.cat([bank[:0], *(target.embeddings[number] for target in wanted)]),
        torch.cat([bank[:0], *(target.embeddings[number] for target in unwanted)]),
    )


__all__ = ["can_be_pulled", "guide_terms", "picture_terms", "prior_terms", "style_terms"]
