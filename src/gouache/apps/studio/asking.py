"""Whether words can be painted, told before a run waits for its turn with them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, cast

import torch

from gouache.apps.studio.runs import Run
from gouache.engine import Session
from gouache.engine.targets import StagePlan, encode_prompts
from gouache.engine.terms import guide_terms
from gouache.errors import ConfigError, PromptError
from gouache.networks.devices import autocast_dtype, resolve_device
from gouache.networks.models import Models, load_guides
from gouache.prompts import Prompt, format_prompts, parse_noise_prompt, parse_prompts, parse_stage
from gouache.settings.config import PaintConfig

_NOTHING = "every prompt has weight 0, so there is nothing to paint; raise one"


def check_asked(config: PaintConfig) -> None:
    """Raises the error that painting `config` would, as far as its words tell without models."""
    for stage in config.stages:
        for own in stage:
            _require_weight(own)


def check_words(run: Run, text: str) -> None:
    """Raises the error that going on with other words would raise; the run stays as it is.

    Asks the session of a run that is in memory, else the run's perceptors.
    """
    if run.film is not None:
        raise ConfigError("the words of a film stay as they are; ask for another one")
    words = parse_stage(text)
    session = cast("Session | None", run.session)
    if session is not None:
        _try(session, text)
        return
    config = run.config
    asked = [*words, *map(parse_noise_prompt, config.noise_prompts)]
    if run.kind == "paint" and not config.image_prompts:
        _require_weight(asked)
    device = resolve_device(config.device)
    dtype = autocast_dtype(config.precision, device)
    guides = load_guides(config.guides, device, dtype or torch.float32)  # those that paint it
    models = Models(cast(Any, None), guides, device, None)  # words ask no generator
    rows = encode_prompts([asked], config, models)
    guide_terms(StagePlan(1, rows), guides, config)


def with_words(prompt: str, stage: int, words: str) -> str:
    """A run's prompt after one of its stages was given other words."""
    try:
        stages = parse_prompts(prompt)
    except PromptError:  # a run from pictures has none
        return words
    if len(stages) == 1:
        return words
    changed = [*stages[:stage], *parse_prompts(words), *stages[stage + 1 :]]
    return format_prompts(changed)


def _try(session: Session, text: str) -> None:
    """The very thing on a copy: it replaces what it changes and never writes into it."""
    trial = copy.copy(session)
    trial.edits = []
    trial.set_prompt(text)


def _require_weight(prompts: Sequence[Prompt]) -> None:
    if not any(prompt.weight for prompt in prompts):
        raise ConfigError(_NOTHING)


__all__ = ["check_asked", "check_words", "with_words"]
