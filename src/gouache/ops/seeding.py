"""One random stream per picture, so that a picture does not depend on its neighbours in a batch.

The streams live on the CPU: a seed then means the same on every device. Torch's global random state
is neither read nor changed by any part of the engine.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gouache.errors import StateError


def picture_rngs(seed: int, count: int) -> list[torch.Generator]:
    """Streams for `count` pictures; picture k gets the one that `seed + k` alone would get."""
    return [torch.Generator().manual_seed(seed + number) for number in range(count)]


def rng_states(rngs: Sequence[torch.Generator]) -> Tensor:
    """States of all streams, (count,bytes) uint8."""
    return torch.stack([rng.get_state() for rng in rngs])


def set_rng_states(rngs: Sequence[torch.Generator], states: Tensor) -> None:
    """Reads back what `rng_states` gave; states of another number or size raise `StateError`."""
    mine = rng_states(rngs)
    if states.shape != mine.shape or states.dtype != mine.dtype:
        raise StateError(
            f"the saved random streams have shape {tuple(states.shape)}; "
            f"this run needs {tuple(mine.shape)}; was it saved with another count or torch version?"
        )
    try:
        for rng, state in zip(rngs, states.cpu(), strict=True):
            rng.set_state(state.clone())
    except RuntimeError as error:
        raise StateError(f"the saved random streams are damaged: {error!s:.100}") from None


__all__ = ["picture_rngs", "rng_states", "set_rng_states"]
