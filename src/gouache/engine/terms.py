"""Which losses a stage has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from gouache.engine.targets import Target, add_up, groups
from gouache.latents import latents
from gouache.losses import (
    ContrastLoss,
    DecayingLoss,
    PromptLoss,
    SteppedLoss,
    TotalVariationLoss,
    shared_rivals,
)
from gouache.networks.models import Guide
from gouache.protocols import Loss
from gouache.settings.config import PaintConfig


def guide_terms(
    targets: Sequence[Target], guides: Sequence[Guide], config: PaintConfig
) -> list[list[Loss]]:
    """The losses of each guide: one per prompt, and the contrasts where it ships other captions.

    Prompts of different pictures that have the same name, weight and stop share a loss.
    """
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
    added = config.guidance.combine == "embedding"
    asked = [
        _Asked(whose, own, add_up(own) if added else own)
        for whose, own in groups(targets, config.count)
    ]
    aims = targets
    if added:
        aims = [replace(aim, pictures=each.pictures) for each in asked for aim in each.aims]
    terms: list[Loss] = []
    aims = [aim for aim in aims if aim.confidence(number) > 0]
    for alike in _alike([aim for aim in aims if aim.prompt.weight], number):
        name, prompt = alike[0].name, alike[0].prompt
        embedding, whose = _rows(alike, number, config.count)
        weight = guide.weight * alike[0].confidence(number) * prompt.weight
        terms.append(PromptLoss(name, embedding, weight, prompt.stop, whose))
    wished = [aim for aim in aims if aim.prompt.weight > 0 and aim.prompt.kind == "text"]
    if guide.perceptor.bank is None or not config.guidance.contrast_weight:
        return terms
    return [*terms, *_contrasts(wished, asked, number, guide, config)]


class _Asked(NamedTuple):
    """Pictures that are asked the same (None: all), and what: targets, and what losses lead to."""

    pictures: tuple[int, ...] | None
    targets: tuple[Target, ...]
    aims: tuple[Target, ...]

    def wishes(self, number: int, bank: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings that the pictures are to fit, (P,D), and not to fit, (Q,D)."""
        wanted = [t for t in (*self.targets, *self.aims) if t.prompt.weight > 0]
        unwanted = [t for t in self.targets if t.prompt.weight < 0 and t.prompt.kind == "text"]
        return (
            torch.cat([target.embeddings[number] for target in wanted]),
            torch.cat([bank[:0], *(target.embeddings[number] for target in unwanted)]),
        )


def _contrasts(
    wished: Sequence[Target],
    asked: Sequence[_Asked],
    number: int,
    guide: Guide,
    config: PaintConfig,
) -> Iterator[Loss]:
    """Rivals are each picture's own: what one is asked may be what another must not become."""
    guidance, every = config.guidance, range(config.count)
    group_of = {k: n for n, each in enumerate(asked) for k in each.pictures or every}
    # The wishes of the same pictures have the same rivals: looked for once, not for each wish.
    found: dict[tuple[int, ...], tuple[Tensor, Tensor | None]] = {}
    for alike in _alike(wished, number):
        name, prompt = alike[0].name, alike[0].prompt
        embedding, whose = _rows(alike, number, config.count)
        assert guide.perceptor.bank is not None
        bank = guide.perceptor.bank.detach().float().to(embedding.device)
        numbers = [group_of[k] for k in (every if whose is None else whose.tolist())]
        members = tuple(sorted(set(numbers)))
        if members not in found:
            wishes = [asked[n].wishes(number, bank) for n in members]
            found[members] = shared_rivals(bank, wishes)
        others, absent = found[members]
        if absent is not None:
            absent = absent[[members.index(n) for n in numbers]]
        if len(others):
            yield ContrastLoss(
                name.replace("prompt", "contrast"),
                embedding,
                others,
                guide.weight
                * alike[0].confidence(number)
                * guidance.contrast_weight
                * prompt.weight,
                guidance.contrast_scale,
                prompt.stop,
                whose,
                absent,
            )


def _alike(aims: Sequence[Target], number: int) -> list[list[Target]]:
    """Targets of different pictures that one loss can hold, so that many cost as little as one."""
    found: dict[tuple[str, float, float, float], list[Target]] = {}
    for aim in aims:
        key = aim.name, aim.prompt.weight, aim.prompt.stop, aim.confidence(number)
        found.setdefault(key, []).append(aim)
    return list(found.values())


def _rows(alike: Sequence[Target], number: int, count: int) -> tuple[Tensor, Tensor | None]:
    """Their embeddings, (1,D) for all pictures or a row for each of (P,) pictures; None for all."""
    if alike[0].pictures is None:
        return alike[0].embeddings[number], None
    rows = {k: target.embeddings[number] for target in alike for k in target.pictures or ()}
    pictures = sorted(rows)
    embedding = torch.cat([rows[k] for k in pictures])
    if len(pictures) == count:
        return embedding, None
    return embedding, torch.tensor(pictures, device=embedding.device)


__all__ = ["guide_terms", "picture_terms"]
