"""A token prior small enough to sample in milliseconds, random everywhere."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gouache.priors.token_prior import TokenPrior, TokenPriorConfig
from gouache.weights.saving import save_model
from tiny import TINY_VQGAN

TINY = TokenPriorConfig(
    codebook_size=20,
    grid=4,
    patch=2,
    code_width=8,
    width=16,
    layers=2,
    heads=2,
    vocabulary=50,
    table_dim=6,
    context=5,
)

# Of the generator that the small prior goes with, and of the prior that is saved for it.
SHAPE = replace(TINY_VQGAN, embed_dim=3, n_embed=20)
CONFIG = replace(TINY, vocabulary=30522, context=6)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def tiny(config: TokenPriorConfig = TINY, **changes: int) -> TokenPrior:
    """Random everywhere: a fresh prior's layers start as the identity and look at nothing."""
    prior = TokenPrior(replace(config, **changes))
    with torch.no_grad():
        for number, parameter in enumerate(prior.parameters()):
            parameter.copy_(0.5 * random(*parameter.shape, seed=number))
    return prior.eval().requires_grad_(False)


def codes(n: int = 3, seed: int = 0) -> Tensor:
    """(n,4,4) indices."""
    return torch.randint(20, (n, 4, 4), generator=torch.Generator().manual_seed(seed))


def text(n: int = 3, length: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Token vectors (n,length,6), all of them present."""
    return random(n, length, 6, seed=seed), torch.ones(n, length, dtype=torch.bool)


def rngs(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def save_prior(path: Path, fingerprint: str, **changes: Any) -> None:
    config = {**asdict(CONFIG), "generator": fingerprint, **changes}
    save_model(path, tiny(CONFIG).state_dict(), config, packed=True)
