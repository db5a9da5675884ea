"""z-quantise: a free latent, rounded to the nearest codes on its way to the decoder.

The gradient passes the rounding as if it were not there (straight-through; van den Oord et al.
2017, arXiv 1711.00937). VQGAN-CLIP, section 2 and appendix G.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from gouache.config import LatentConfig
from gouache.errors import StateError
from gouache.ops.codes import straight_through
from gouache.protocols import Generator


class QuantizedLatent:
    """A `gouache.protocols.Latent`: one leaf tensor z, (B,code_dim,h,w), float32.

    `start` is copied as it is. After each optimiser step z is clamped to the smallest and largest
    value that the codebook has in each channel: beyond them no code is nearer, so z would only
    wander off and answer late when the gradient turns. With `config.latent_average` d > 0 the
    finished picture comes from the moving average of z with decay d, kept free of the start's bias
    as in Adam (Kingma and Ba 2015, section 3).
    """

    def __init__(self, generator: Generator, start: Tensor, config: LatentConfig) -> None:
        self._generator = generator
        codebook = generator.codebook.detach().float()
        self._low = codebook.amin(0).view(1, -1, 1, 1)
        self._high = codebook.amax(0).view(1, -1, 1, 1)
        self._z = start.detach().to(codebook.device, torch.float32).clone().requires_grad_()
        self._decay = config.latent_average
        self._average = self._z.detach().clone() if self._decay else None
        self._averaged = 0  # steps in the average

    def parameters(self) -> Iterator[Tensor]:
        """The one leaf tensor."""
        yield self._z

    def __call__(self) -> Tensor:
        """Nearest codes, (B,code_dim,h,w); their gradient goes to z unchanged."""
        latent = self.continuous()
        quantized, _ = self._generator.quantize(latent.detach())
        return straight_through(latent, quantized)

    def continuous(self) -> Tensor:
        """z itself, with gradient."""
        return self._z

    @torch.no_grad()
    def after_step(self) -> None:
        """Clamps z to the codebook's bounds and adds it to the average."""
        self._place(self.continuous().clamp(self._low, self._high))
        if self._average is not None:
            self._averaged += 1
            # weight of the newest value in the bias-free average; 1 at the first step
            newest = (1 - self._decay) / (1 - self._decay**self._averaged)
            self._average.lerp_(self.continuous(), newest)

    @torch.no_grad()
    def final(self) -> Tensor:
        """Nearest codes of the moving average, or of z where none is kept: (B,code_dim,h,w)."""
        latent = self.continuous().detach() if self._average is None else self._average
        return self._generator.quantize(latent)[0]

    @torch.no_grad()
    def set_latent(self, latent: Tensor, changed: Tensor | None = None) -> None:
        """Replaces z and its average, where `changed` (B,1,h,w) is true, by (B,code_dim,h,w)."""
        latent = latent.to(self._z)
        for kept, put in ((self.continuous(), self._place), (self._average, self._set_average)):
            if kept is not None:
                put(latent if changed is None else torch.where(changed, latent, kept))
        if changed is None:
            self._averaged = 0

    def _place(self, latent: Tensor) -> None:
        """Changes the parameters so that the latent is this one."""
        self._z.copy_(latent)

    def _set_average(self, latent: Tensor) -> None:
        assert self._average is not None
        self._average.copy_(latent)

    def state_dict(self) -> dict[str, Tensor]:
        """Copies of z and, where it is kept, of the average and its length."""
        state = {"z": self._z.detach().clone()}
        if self._average is not None:
            state["average"] = self._average.clone()
            state["averaged"] = torch.tensor(self._averaged)
        return state

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Reads back what `state_dict` gave. Another shape or missing parts raise `StateError`."""
        expected = self.state_dict()
        for name, mine in expected.items():
            if name not in state:
                raise StateError(
                    f"the saved latent has no {name!r}; was it saved with these settings?"
                )
            if state[name].shape != mine.shape:
                raise StateError(
                    f"the saved latent's {name} has shape {tuple(state[name].shape)}; "
                    f"these settings need {tuple(mine.shape)}"
                )
        self._z.copy_(state["z"])
        if self._average is not None:
            self._average.copy_(state["average"])
            self._averaged = int(state["averaged"])


__all__ = ["QuantizedLatent"]
