"""The next code from its logits: temperature, the k most likely, the smallest share p."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gouache.errors import ConfigError


@dataclass(frozen=True)
class Choosing:
    """How codes are drawn.

    Attributes:
        temperature: logits are divided by it; above 0.
        top_k: only the k most likely codes are drawn; 0 for all.
        top_p: only the fewest most likely codes that are together at least as likely as this, in
            (0,1]; 1 for all (nucleus sampling, Holtzman et al. 2020, arXiv 1904.09751).
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf or self.top_k < 0 or not 0 < self.top_p <= 1:
            raise ConfigError(
                f"temperature is {self.temperature}, top_k {self.top_k}, top_p {self.top_p}; "
                "expected a temperature above 0, k from 0, and p above 0 up to 1"
            )

    def probabilities(self, logits: Tensor) -> Tensor:
        """(B,V) -> (B,V), float32; what may not be drawn has 0."""
        logits = logits.float() / self.temperature
        if 0 < self.top_k < logits.shape[-1]:
            least = logits.topk(self.top_k, -1).values[..., -1:]
            logits = logits.masked_fill(logits < least, -math.inf)
        chances = logits.softmax(-1)
        if self.top_p < 1:
            ordered, order = chances.sort(-1, descending=True)
            # A code is left out where those before it reach p without it.
            late = ordered.cumsum(-1) - ordered >= self.top_p
            kept = torch.zeros_like(chances).scatter(-1, order, ordered.masked_fill(late, 0.0))
            chances = kept / kept.sum(-1, keepdim=True)
        return chances

    def draw(self, logits: Tensor, rng: torch.Generator) -> Tensor:
        """(B,V) -> (B,), drawn on the CPU, so that a seed is the same code on every device."""
        return torch.multinomial(self.probabilities(logits).cpu(), 1, generator=rng)[:, 0].to(
            logits.device
        )


__all__ = ["Choosing"]
