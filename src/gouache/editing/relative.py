"""Edits from one phrase to another: the direction between two prompts (Open-Edit)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gouache.engine.build import Parts
from gouache.engine.targets import StagePlan, encode_prompts
from gouache.engine.words import CANCELS, SILENT
from gouache.errors import PromptError
from gouache.prompts import one_line, parse_prompts

FAINT = 0.1  # a direction shorter than this share of another guide's says nothing


def directions(phrase: str, parts: Parts) -> list[Tensor | None]:
    """For each guide (1,D): all that is wished for less all that `phrase` says, by the weights.

    Both are prompts of one stage, encoded as the settings say. None for a guide that sees no
    difference, or hardly any beside what another sees, or does not know what is said;
    `PromptError` where that is so for all of them.
    """
    config, models = parts.config, parts.models
    old = StagePlan(1, encode_prompts([parse_prompts(phrase)[0]], config, models)).targets
    found: list[Tensor | None] = []
    for number in range(len(models.guides)):
        signed = [
            *((target.prompt.weight, target) for target in parts.stages[0].targets),
            *((-target.prompt.weight, target) for target in old),
        ]
        total = torch.stack([weight * t.embeddings[number] for weight, t in signed]).sum(0)
        known = min(target.confidence(number) for _, target in signed) >= SILENT
        found.append(total if known and float(total.norm()) >= CANCELS else None)
    # One that sees hardly a difference would only hold the picture where it is.
    most = max((float(way.norm()) for way in found if way is not None), default=0.0)
    found = [w if w is not None and float(w.norm()) >= FAINT * most else None for w in found]
    if all(direction is None for direction in found):
        raise PromptError(
            f"{one_line(repr(phrase), 60)} and {one_line(repr(config.title), 60)} are the "
            "same, so nothing would change; say what it should become"
        )
    return found


def check_relative(text: str) -> None:
    """Raises `PromptError` for a prompt of more stages, with a stop or a place, or of weight 0
    only."""
    stages = parse_prompts(text)
    if len(stages) > 1:
        raise PromptError("an edit from one phrase to another has one stage; leave '^' out", text)
    if any(prompt.stop > -math.inf for prompt in stages[0]):
        raise PromptError("an edit from one phrase to another knows no stop; leave it out", text)
    if any(prompt.place is not None for prompt in stages[0]):
        raise PromptError("an edit from one phrase to another knows no place; leave it out", text)
    if not any(prompt.weight for prompt in stages[0]):
        raise PromptError("every part of the phrase has weight 0; raise one", text)


__all__ = ["check_relative", "directions"]
