"""Codebook sampling: each cell of the grid has a distribution over codes, and a code is drawn.

The method that z-quantise replaced (VQGAN-CLIP, appendix G.1). What is optimised are logits; every
step draws a code per cell from softmax(logits / temperature), decodes what was drawn, and sends the
gradient to the probabilities as if their mean had been decoded (straight-through; Bengio et al.
2013, arXiv 1308.3432). With `gumbel` noise it goes to the relaxed draw instead (Jang et al. 2017,
arXiv 1611.01144).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.latents.free import FreeLatent
from gouache.ops.codes import squared_norms, straight_through
from gouache.protocols import Generator
from gouache.settings.config import LatentConfig


class SamplingLatent(FreeLatent):
    """A `gouache.protocols.Latent`, called "codebook-sampling": logits (B,codes,h,w), float32.

    A latent becomes logits by its squared distances to the codes, negative and scaled per cell to
    mean 0 and standard deviation `config.sampling_spread`: with 1 nearly every code is possible at
    first, as with the original's N(0,1) logits; the larger, the more of a start, an init image or
    an edit is kept. The temperature goes from `sampling_temperature` to
    `sampling_temperature_final` over the run, by equal factors. The moving average is one of
    logits.

    No pull on the latent applies: the grid commits to codes early, before a pull could say anything
    (appendix G.1), and logits have no zero to be pulled to.
    """

    can_be_pulled = False
    needs_codebook = True

    def __init__(self, generator: Generator, start: Tensor, config: LatentConfig) -> None:
        self._config = config
        self._noise: Tensor | None = None  # of the step under way, from `draw`
        self._temperature = config.sampling_temperature
        if generator.codebook is not None:  # or else it is refused
            self._codebook = generator.codebook.detach().float()  # (K,D)
            self._norms = squared_norms(self._codebook)
        super().__init__(generator, start, config)

    def draw(self, rngs: Sequence[torch.Generator], progress: float) -> None:
        """Draws what the next call needs, picture b's from `rngs[b]`; `progress` is in [0,1)."""
        num_codes, (height, width) = len(self._codebook), self._z.shape[-2:]
        first, last = self._config.sampling_temperature, self._config.sampling_temperature_final
        self._temperature = first * (last / first) ** progress
        # One number per cell is enough to draw a code; Gumbel noise needs one per code.
        channels = num_codes if self._config.sampling_noise == "gumbel" else 1
        shape = (channels, height, width)
        uniform = torch.stack([torch.rand(shape, generator=rng) for rng in rngs])
        self._noise = uniform.to(self._z.device)

    def __call__(self) -> Tensor:
        """Codes as drawn, (B,code_dim,h,w); without a draw before it, the most likely ones."""
        logits = self._z / self._temperature
        if self._noise is None:
            return self._decoded(logits.softmax(1), logits.argmax(1))
        if self._config.sampling_noise == "gumbel":
            # Uniform numbers may be 0; the smallest normal number keeps the logarithms finite.
            tiny = torch.finfo(torch.float32).tiny
            gumbel = -(-self._noise.clamp_min(tiny).log()).clamp_min(tiny).log()
            noisy = logits + gumbel
            return self._decoded(noisy.softmax(1), noisy.argmax(1))
        probabilities = logits.softmax(1)
        # Inverse of the cumulative distribution. Float sums may end below 1: the last code is then
        # meant, not one beyond.
        reached = probabilities.detach().cumsum(1) <= self._noise
        return self._decoded(probabilities, reached.sum(1).clamp_max(len(self._codebook) - 1))

    def unrounded(self) -> Tensor:
        """Most likely codes, (B,code_dim,h,w); the gradient goes to the probabilities."""
        return self._decoded(self._z.softmax(1), self._z.argmax(1))

    @torch.no_grad()
    def final(self) -> Tensor:
        """Most likely codes, of the average where one is kept: (B,code_dim,h,w)."""
        return self._codes(self._finished().argmax(1))

    def _decoded(self, probabilities: Tensor, indices: Tensor) -> Tensor:
        """The codes of `indices` (B,h,w), with the gradient of the mean under (B,K,h,w)."""
        mean = torch.einsum("bkhw,kd->bdhw", probabilities, self._codebook)
        return straight_through(mean, self._codes(indices))

    def _codes(self, indices: Tensor) -> Tensor:
        return F.embedding(indices, self._codebook).movedim(-1, 1).contiguous()

    def _read(self, latent: Tensor) -> Tensor:
        near = 2 * torch.einsum("bdhw,kd->bkhw", latent, self._codebook)
        near = near - self._norms.view(1, -1, 1, 1)
        near = near - near.mean(1, keepdim=True)
        spread = near.std(1, keepdim=True, correction=0).clamp_min(1e-6)
        return self._config.sampling_spread * near / spread

    def _bounded(self, whole: Tensor) -> Tensor:
        return whole  # no logit is too large


__all__ = ["SamplingLatent"]
