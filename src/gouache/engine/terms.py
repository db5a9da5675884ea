"""Which losses a stage has."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gouache.config import PaintConfig
from gouache.engine.models import Guide
from gouache.engine.targets import Target, add_up
from gouache.latents import latents
from gouache.losses import (
    ContrastLoss,
    DecayingLoss,
    PromptLoss,
    SteppedLoss,
    TotalVariationLoss,
    rivals,
)
from gouache.protocols import Loss


def guide_terms(
    targets: Sequence[Target], guides: Sequence[Guide], config: PaintConfig
) -> list[list[Loss]]:
    """The losses of each guide: one per prompt, and the contrasts where it ships other captions."""
    return [_terms(targets, number, guide, config) for number, guide in enumerate(guides)]


def picture_terms(config: PaintConfig, pull_target: Tensor | None) -> list[Loss]:
    """The losses that ask no guide: the pull on the latent and the total variation.

    Latents that are no points to be pulled (codebook sampling; paper, appendix G.1) are not.
    """
    terms: list[Loss] = []
    chosen = config.latents
    can_be_pulled = getattr(latents.get(chosen.latent), "can_be_pulled", True)
    rule = chosen.latent_rule if chosen.latent_weight and can_be_pulled else "off"
    if rule == "decay":
        terms.append(DecayingLoss(chosen.latent_weight, chosen.latent_decay))
    if rule == "stepwise":
        terms.append(
            SteppedLoss(
                chosen.latent_weight, chosen.latent_drop, chosen.latent_drop_every, pull_target
            )
        )
    if config.guidance.tv_weight:
        terms.append(TotalVariationLoss(config.guidance.tv_weight))
    return terms


def _terms(targets: Sequence[Target], number: int, guide: Guide, config: PaintConfig) -> list[Loss]:
    aims = add_up(targets) if config.guidance.combine == "embedding" else targets
    terms: list[Loss] = [
        PromptLoss(t.name, t.embeddings[number], guide.weight * t.prompt.weight, t.prompt.stop)
        for t in aims
        if t.prompt.weight
    ]
    wanted = [t for t in (*targets, *aims) if t.prompt.weight > 0]
    asked = [t for t in aims if t.prompt.weight > 0 and t.prompt.kind == "text"]
    bank = guide.perceptor.bank
    if bank is None or not asked or not config.guidance.contrast_weight:
        return terms
    unwanted = [
        t.embeddings[number] for t in targets if t.prompt.weight < 0 and t.prompt.kind == "text"
    ]
    device = asked[0].embeddings[number].device
    others = rivals(
        bank.detach().float().to(device),
        torch.cat([t.embeddings[number] for t in wanted]),
        torch.cat(unwanted) if unwanted else bank.new_zeros((0, bank.shape[1])).float().to(device),
    )
    if len(others):
        terms += [
            ContrastLoss(
                t.name.replace("prompt", "contrast"),
                t.embeddings[number],
                others,
                guide.weight * config.guidance.contrast_weight * t.prompt.weight,
                config.guidance.contrast_scale,
                t.prompt.stop,
            )
            for t in asked
        ]
    return terms


__all__ = ["guide_terms", "picture_terms"]
