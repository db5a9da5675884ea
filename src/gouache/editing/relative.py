"""Edits from one phrase to another: the direction between two prompts (Open-Edit)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gouache.engine.build import Parts
from gouache.engine.targets import CANCELS, encode_prompts, plan_stages
from gouache.errors import PromptError
from gouache.prompts import one_line, parse_prompts


def directions(phrase: str, parts: Parts) -> list[Tensor]:
    """For each guide (1,D): all that is wished for less all that `phrase` says, by the weights.

    Both are prompts of one stage, encoded as the settings say. `PromptError` where they say the
    same.
    """
    config, models = parts.config, parts.models
    stages = parts.stages or plan_stages(config, models)  # none yet where a state is to be loaded
    old = encode_prompts([parse_prompts(phrase)[0]] * config.count, config, models)
    found = []
    for number in range(len(models.guides)):
        signed = [
            *((target.prompt.weight, target) for target in stages[0].targets),
            *((-target.prompt.weight, target) for target in old),
        ]
        total = torch.stack([weight * t.embeddings[number] for weight, t in signed]).sum(0)
        if float(total.norm()) < CANCELS:
            raise PromptError(
                f"{one_line(repr(phrase), 60)} and {one_line(repr(config.prompt), 60)} are the "
                "same, so nothing would change; say what it should become"
            )
        found.append(total)
    return found


def check_relative(text: str) -> None:
    """Raises `PromptError` for a prompt of more stages, with a stop, or of weight 0 only."""
    stages = parse_prompts(text)
    if len(stages) > 1:
        raise PromptError("an edit from one phrase to another has one stage; leave '^' out", text)
    if any(prompt.stop > -math.inf for prompt in stages[0]):
        raise PromptError("an edit from one phrase to another knows no stop; leave it out", text)
    if not any(prompt.weight for prompt in stages[0]):
        raise PromptError("every part of the phrase has weight 0; raise one", text)


__all__ = ["check_relative", "directions"]
