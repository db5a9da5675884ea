"""Gaussian diffusion: how much noise each step has, and the way back from noise to pictures.

Ho et al. 2020 (arXiv 2006.11239), with the cosine schedule, learned variances and fewer steps of
Nichol and Dhariwal 2021 (arXiv 2102.09672), and the deterministic way of Song et al. 2020
(arXiv 2010.02502).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from gouache.errors import ConfigError, ModelError

Denoiser: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Noised pictures (B,C,H,W) and their steps (B,), of all -> what `Predicted` says and variance
(B,2C,H,W); or without variance, (B,C,H,W): then that is the least there can be."""
Pull: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Noised pictures and steps -> the gradient (B,C,H,W) of what is wished for."""
Hold: TypeAlias = Callable[[Tensor], Tensor]
"""Pictures as they are guessed, (B,C,H,W) -> the same with what of them is known already."""
Sampler: TypeAlias = Literal["ancestral", "ddim"]
"""How a step is taken: with new noise, or without."""
Predicted: TypeAlias = Literal["noise", "velocity"]
"""What a denoiser tells: the noise e in x = a p + b e, or a e - b p (Salimans and Ho 2022,
arXiv 2202.00512), which tells as much of a picture p at the noisiest steps as elsewhere."""


def noise_schedule(name: str, steps: int) -> np.ndarray:
    """The share of noise that each of `steps` adds, (steps,) float64: "linear" or
    "squaredcos_cap_v2"."""
    if name == "linear":
        scale = 1000 / steps
        return np.linspace(scale * 0.0001, scale * 0.02, steps, dtype=np.float64)
    if name == "squaredcos_cap_v2":

        def kept(t: float) -> float:
            return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

        shares = [1 - kept((k + 1) / steps) / kept(k / steps) for k in range(steps)]
        return np.minimum(np.array(shares, dtype=np.float64), 0.999)
    raise ModelError(f"no schedule of noise is called {name!r:.40}; linear or squaredcos_cap_v2")


def spaced_steps(steps: int, respacing: str) -> list[int]:
    """Which of `steps` are taken, rising.

    `respacing` is a number (evenly spaced, both ends included), "ddimN" (every so many from the
    first), numbers by commas (one for each of as many equal parts), or "fast27" (many late steps,
    few early ones).
    """
    if respacing == "fast27":
        taken = set(spaced_steps(steps, "10,10,3,2,2"))
        return sorted(taken - {steps - 1} | {steps - 3})  # the noisiest step leaves marks
    try:
        if respacing.startswith("ddim"):
            count = int(respacing.removeprefix("ddim"))
            for stride in range(1, steps + 1):
                if len(range(0, steps, stride)) == count:
                    return list(range(0, steps, stride))
            raise ValueError
        counts = [int(part) for part in respacing.split(",")]
        size, extra = divmod(steps, len(counts))
        taken, start = set(), 0
        for number, count in enumerate(counts):
            length = size + (number < extra)
            if not 1 <= count <= length:
                raise ValueError
            apart = (length - 1) / (count - 1) if count > 1 else 1.0
            place = 0.0
            for _ in range(count):  # added up, as whoever trained these models did
                taken.add(start + round(place))
                place += apart
            start += length
    except ValueError:
        raise ConfigError(
            f"{respacing!r:.40} is no choice among {steps} steps; expected a number such as 100, "
            "ddim50, parts such as 10,10,3,2,2, or fast27"
        ) from None
    return sorted(taken)


@dataclass(frozen=True)
class Guess:
    """What a denoiser thinks of noised pictures (B,C,H,W): the picture, and the step before."""

    picture: Tensor
    mean: Tensor
    log_variance: Tensor


class Diffusion:
    """The steps that are taken, the first being the least noised.

    Attributes:
        steps: of all, as the denoiser knows them; (N,) int64.
        kept: how much of the picture is left after each, squared; (N,) float64.
        predicts: what denoisers tell.
        limit: no value of a picture is further from 0.
    """

    def __init__(
        self,
        schedule: str,
        steps: int,
        respacing: str,
        predicts: Predicted = "noise",
        limit: float = 1.0,
    ) -> None:
        self.predicts, self.limit = predicts, limit
        taken = spaced_steps(steps, respacing)
        self.steps = torch.tensor(taken)
        self.kept = np.cumprod(1.0 - noise_schedule(schedule, steps))[taken]
        self._before = np.append(1.0, self.kept[:-1])
        shares = 1 - self.kept / self._before
        variance = shares * (1 - self._before) / (1 - self.kept)
        # The first has none; its logarithm is that of the second.
        second = variance[1] if len(variance) > 1 else shares[0]
        self._least = np.log(np.append(second, variance[1:]))
        self._most = np.log(shares)
        self._of_picture = shares * np.sqrt(self._before) / (1 - self.kept)
        self._of_noised = (1 - self._before) * np.sqrt(1 - shares) / (1 - self.kept)

    def __len__(self) -> int:
        return len(self.steps)

    def guess(
        self, denoiser: Denoiser, noised: Tensor, step: int, hold: Hold | None = None
    ) -> Guess:
        """At step `step` of those that are taken; the picture is clamped to `limit`."""
        told = denoiser(noised, self._at(step, len(noised), noised.device))
        channels = noised.shape[1]
        share = (told[:, channels:] + 1) / 2 if told.shape[1] > channels else noised.new_zeros(())
        picture = self._picture(told[:, :channels], noised, float(self.kept[step]))
        picture = (picture if hold is None else hold(picture)).clamp(-self.limit, self.limit)
        log_variance = share * float(self._most[step]) + (1 - share) * float(self._least[step])
        mean = float(self._of_picture[step]) * picture + float(self._of_noised[step]) * noised
        return Guess(picture, mean, log_variance)

    def _picture(self, told: Tensor, noised: Tensor, kept: float) -> Tensor:
        if self.predicts == "velocity":
            return noised * math.sqrt(kept) - told * math.sqrt(1 - kept)
        return noised * math.sqrt(1 / kept) - told * math.sqrt(1 / kept - 1)

    def ancestral(
        self,
        denoiser: Denoiser,
        noised: Tensor,
        step: int,
        noise: Tensor,
        pull: Pull | None = None,
        hold: Hold | None = None,
    ) -> Tensor:
        """One step towards the picture, with new noise (B,C,H,W); `pull` moves its mean."""
        found = self.guess(denoiser, noised, step, hold)
        mean = found.mean
        if pull is not None:
            at = self._at(step, len(noised), noised.device)
            mean = mean + found.log_variance.exp() * pull(noised, at)
        return mean if step == 0 else mean + (0.5 * found.log_variance).exp() * noise

    def deterministic(
        self,
        denoiser: Denoiser,
        noised: Tensor,
        step: int,
        pull: Pull | None = None,
        hold: Hold | None = None,
    ) -> Tensor:
        """One step towards the picture without new noise (DDIM, eta 0); `pull` moves the noise that
        is seen (Dhariwal and Nichol 2021, arXiv 2105.05233, algorithm 2)."""
        picture = self.guess(denoiser, noised, step, hold).picture
        kept, before = self.kept[step], self._before[step]
        noise = (noised * float(np.sqrt(1 / kept)) - picture) / float(np.sqrt(1 / kept - 1))
        if pull is not None:
            at = self._at(step, len(noised), noised.device)
            noise = noise - float(np.sqrt(1 - kept)) * pull(noised, at)
            picture = noised * float(np.sqrt(1 / kept)) - noise * float(np.sqrt(1 / kept - 1))
        return picture * float(np.sqrt(before)) + float(np.sqrt(1 - before)) * noise

    def step(
        self,
        denoiser: Denoiser,
        noised: Tensor,
        step: int,
        draw: Callable[[], Tensor],
        sampler: Sampler,
        pull: Pull | None = None,
        hold: Hold | None = None,
    ) -> Tensor:
        """One step towards the picture; `draw()` gives noise (B,C,H,W), where it is wanted."""
        if sampler == "ddim":
            return self.deterministic(denoiser, noised, step, pull, hold)
        return self.ancestral(denoiser, noised, step, draw(), pull, hold)

    def _at(self, step: int, count: int, device: torch.device) -> Tensor:
        return self.steps[step].expand(count).to(device)


__all__ = [
    "Denoiser",
    "Diffusion",
    "Guess",
    "Hold",
    "Predicted",
    "Pull",
    "Sampler",
    "noise_schedule",
    "spaced_steps",
]
