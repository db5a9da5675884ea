"""What all latents share: one free tensor, a moving average of it, and their state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from gouache.errors import ConfigError, StateError
from gouache.protocols import Generator
from gouache.settings.config import LatentConfig


class FreeLatent(ABC):
    """A leaf tensor `z` (B,?,h,w), float32, that the optimiser is free to move.

    With `config.latent_average` d > 0 the finished picture comes from the moving average of z with
    decay d, kept free of the start's bias as in Adam (Kingma and Ba 2015, section 3).
    """

    can_be_pulled = True
    """Whether a pull on `unrounded` (VQGAN-CLIP, section 2.4) means something here."""
    needs_codebook = False
    """Whether a generator without one is refused, with a `ConfigError`."""

    def __init__(self, generator: Generator, start: Tensor, config: LatentConfig) -> None:
        self._generator = generator
        codebook = generator.codebook
        if codebook is None and self.needs_codebook:
            raise ConfigError(
                f"latent is {config.latent}, and the generator {generator.name:.80} has no "
                "codebook; set latent to continuous or multiscale"
            )
        self._bounds: tuple[Tensor, Tensor] | None = None
        if codebook is not None:
            codes = codebook.detach().float()
            self._bounds = codes.amin(0).view(1, -1, 1, 1), codes.amax(0).view(1, -1, 1, 1)
        start = start.detach().to(generator.device, torch.float32)
        self._z = self._read(start).clone().requires_grad_()
        self._decay = config.latent_average
        self._average = self._z.detach().clone() if self._decay else None
        self._averaged = 0  # steps in the average

    @abstractmethod
    def __call__(self) -> Tensor:
        """What is decoded, (B,code_dim,h,w), with gradient to the parameters."""

    @abstractmethod
    def unrounded(self) -> Tensor:
        """The latent before quantisation, (B,code_dim,h,w), with gradient."""

    @abstractmethod
    def final(self) -> Tensor:
        """What the finished picture is decoded from, (B,code_dim,h,w)."""

    def parameters(self) -> Iterator[Tensor]:
        """The one leaf tensor."""
        yield self._z

    def draw(self, rngs: Sequence[torch.Generator], progress: float) -> None:  # noqa: B027
        """Nothing is left to chance here."""

    @torch.no_grad()
    def after_step(self) -> None:
        """Clamps what was moved and adds it to the average."""
        self._place(self._bounded(self._whole()))
        if self._average is not None:
            self._averaged += 1
            # weight of the newest value in the bias-free average; 1 at the first step
            newest = (1 - self._decay) / (1 - self._decay**self._averaged)
            self._average.lerp_(self._whole(), newest)

    @torch.no_grad()
    def set_latent(self, latent: Tensor, changed: Tensor | None = None) -> None:
        """Replaces z and its average, where `changed` (B,1,h,w) is true, by (B,code_dim,h,w)."""
        value = self._read(latent.to(self._z))
        for kept, put in ((self._whole(), self._place), (self._average, self._set_average)):
            if kept is not None:
                put(value if changed is None else torch.where(changed, value, kept))
        if changed is None:
            self._averaged = 0

    def _read(self, latent: Tensor) -> Tensor:
        """A latent (B,code_dim,h,w) as what is moved."""
        return latent

    def _whole(self) -> Tensor:
        """What is moved, as one tensor."""
        return self._z

    def _bounded(self, whole: Tensor) -> Tensor:
        """Within the codebook's bounds per channel: beyond them no code is nearer, so z would only
        wander off and answer late when the gradient turns."""
        return whole if self._bounds is None else whole.clamp(*self._bounds)

    def _place(self, whole: Tensor) -> None:
        """Changes the parameters so that they amount to this."""
        self._z.copy_(whole)

    def _set_average(self, whole: Tensor) -> None:
        assert self._average is not None
        self._average.copy_(whole)

    def _finished(self) -> Tensor:
        """The moving average, or what is moved itself where none is kept. No gradient."""
        return self._whole().detach() if self._average is None else self._average

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


__all__ = ["FreeLatent"]
