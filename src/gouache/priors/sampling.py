"""Parallel decoding: from nothing known to all codes in a dozen steps (MaskGIT, section 3.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gouache.priors.token_prior import TokenPrior

STEPS = 12
GUIDANCE = 3.0  # how far beyond the text-free answer to go (classifier-free guidance)
TEMPERATURE = 1.0
CHOICE_TEMPERATURE = 4.5  # of the first round, as in MaskGIT


@torch.no_grad()
def sample(
    prior: TokenPrior,
    words: Tensor,
    present: Tensor,
    rngs: Sequence[torch.Generator],
    *,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    temperature: float = TEMPERATURE,
    choice_temperature: float = CHOICE_TEMPERATURE,
) -> Tensor:
    """Draws codes for texts.

    Args:
        prior: the model.
        words: (N,L,table_dim) vectors of each text's tokens.
        present: (N,L) true where there is a token.
        rngs: one per text, on the CPU: a picture's codes do not depend on its neighbours.
        steps: how many rounds; each settles more codes than the one before.
        guidance: 1 follows the text as trained, more follows it more closely.
        temperature: of the draws; lower is tidier and less varied.
        choice_temperature: of Gumbel noise beside the confidence that chooses which codes settle.

    Returns:
        (N,grid,grid) indices.
    """
    config, device = prior.config, words.device
    n, cells = len(words), config.grid**2
    codes = torch.full((n, cells), prior.mask_token, device=device)
    nothing = torch.zeros_like(present)
    for step in range(steps):
        grid = codes.view(n, config.grid, config.grid)
        if guidance == 1.0:
            logits = prior(grid, words, present)
        else:
            both = prior(
                torch.cat([grid, grid]),
                torch.cat([words, words]),
                torch.cat([present, nothing]),
            )
            told, free = both.chunk(2)
            # Guidance grows with what is settled: full from the start it makes all pictures alike.
            strength = 1.0 + (guidance - 1.0) * min(1.0, 0.35 + (step + 1) / steps)
            logits = free + strength * (told - free)
        share = (logits.view(n, cells, -1) / temperature).softmax(-1)
        drawn = draw(share, torch.stack([torch.rand(cells, generator=rng) for rng in rngs]))
        hidden = codes == prior.mask_token
        drawn = torch.where(hidden, drawn, codes)
        remaining = math.floor(cells * math.cos(0.5 * math.pi * (step + 1) / steps))
        if step == steps - 1 or remaining < 1:
            codes = drawn
            break
        gumbel = torch.stack([-torch.rand(cells, generator=rng).log().neg().log() for rng in rngs])
        confidence = share.gather(-1, drawn.unsqueeze(-1))[..., 0].clamp(min=1e-9).log()
        confidence = confidence + choice_temperature * (1 - (step + 1) / steps) * gumbel.to(device)
        confidence[~hidden] = math.inf
        unsure = confidence.topk(remaining, largest=False).indices
        codes = drawn.scatter(1, unsure, prior.mask_token)
    return codes.view(n, config.grid, config.grid)


def draw(share: Tensor, uniform: Tensor) -> Tensor:
    """Draws from (N,cells,K) probabilities by numbers (N,cells) in [0,1): (N,cells) indices.

    Where the running sum passes the number: one for each draw. `torch.multinomial` takes one for
    each of the K, which cost more time than a third of the transformer.
    """
    passed = share.cumsum(-1)
    marks = uniform.to(share.device).unsqueeze(-1) * passed[..., -1:]
    found = torch.searchsorted(passed, marks, right=True)[..., 0]
    return found.clamp(max=share.shape[-1] - 1)  # where rounding meets the very end


__all__ = ["draw", "sample"]
