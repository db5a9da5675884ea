"""A codebook that follows the encoder by moving averages, with dead codes revived.

van den Oord et al. 2017 (appendix A.1) for the averages; codes that no vector chooses any more are
moved onto random vectors of the present batch, as in Jukebox (Dhariwal et al. 2020). Also how far
apart codebooks, pictures and features of pictures are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


class MovingCodebook:
    """Averages behind a codebook (K,D); `update` writes the new codes into it.

    A code chosen less often than `rare` times its even share is dead and moved.
    """

    def __init__(self, codebook: Tensor, decay: float = 0.98, rare: float = 0.35) -> None:
        self.codebook = codebook
        self.decay, self.rare = decay, rare
        self.counts = torch.ones(len(codebook), device=codebook.device)
        self.sums = codebook.detach().clone()
        self.started = False

    @torch.no_grad()
    def start(self, vectors: Tensor, rng: torch.Generator) -> None:
        """Places all codes on random vectors (M,D) of the first batch."""
        pick = torch.randint(len(vectors), (len(self.codebook),), generator=rng)
        self.sums.copy_(vectors[pick.to(vectors.device)])
        self.sums += (
            0.01
            * self.sums.std()
            * torch.randn(self.sums.shape, generator=rng).to(self.sums.device)
        )
        self.counts.fill_(1.0)
        self.codebook.copy_(self.sums)
        self.started = True

    @torch.no_grad()
    def update(self, vectors: Tensor, indices: Tensor, rng: torch.Generator) -> int:
        """One step with `vectors` (M,D) and their codes' `indices` (M,); returns codes revived."""
        size = len(self.codebook)
        hits = torch.bincount(indices, minlength=size).float()
        total = torch.zeros_like(self.sums).index_add_(0, indices, vectors)
        self.counts.mul_(self.decay).add_(hits, alpha=1 - self.decay)
        self.sums.mul_(self.decay).add_(total, alpha=1 - self.decay)
        dead = self.counts < self.rare * len(vectors) / size
        number = int(dead.sum())
        if number:
            pick = torch.randint(len(vectors), (number,), generator=rng).to(vectors.device)
            share = len(vectors) / size
            self.sums[dead] = vectors[pick] * share
            self.counts[dead] = share
        self.codebook.copy_(self.sums / self.counts.unsqueeze(1))
        return number

    def prior(self) -> Tensor:
        """(K,) how often each code is chosen."""
        return self.counts / self.counts.sum()

    def perplexity(self) -> float:
        """exp(entropy) of `prior`: the number of codes in effective use."""
        p = self.prior()
        return float((-(p * (p + 1e-12).log()).sum()).exp())

    def state(self) -> dict[str, Any]:
        return {"counts": self.counts, "sums": self.sums}

    def restore(self, state: dict[str, Any]) -> None:
        self.counts.copy_(state["counts"])
        self.sums.copy_(state["sums"])
        self.started = True


def gradient_difference(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring-pixel differences: keeps edges. 0-d."""
    d = a - b
    across = (d[..., 1:] - d[..., :-1]).abs().mean()
    down = (d[..., 1:, :] - d[..., :-1, :]).abs().mean()
    return across + down


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio per picture in dB, (B,), for pictures in [0,1]."""
    error = F.mse_loss(a, b, reduction="none").mean((1, 2, 3))
    return -10.0 * error.clamp(min=1e-10).log10()


def same_codes(a: Tensor, b: Tensor) -> bool:
    """Whether two codebooks (K,D) are one, but for what half precision leaves of it."""
    return a.shape == b.shape and torch.allclose(a, b, atol=1e-3)


def feature_difference(drawn: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Squared differences of a network's features of two batches, each over its variance in the
    real ones; the sum. 0-d."""
    total = drawn[0].new_zeros((), dtype=torch.float32)
    for feature, target in zip(drawn, real, strict=True):
        target = target.float()
        total = total + ((feature.float() - target) ** 2).mean() / (target.var() + 1e-4)
    return total
