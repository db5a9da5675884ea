"""What perceptors that are modules of ours have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from gouache.weights.fingerprint import identity
from gouache.weights.safe import load_state


class OwnPerceptor(nn.Module):
    """The plain part of the `gouache.protocols.Perceptor` contract; `config` is its shape."""

    def __init__(self, config: Any, name: str) -> None:
        super().__init__()
        self.config = config
        self.name = name
        self.fingerprint = ""

    @property
    def image_size(self) -> int:
        """Side of the square pictures it sees, in pixels."""
        return int(self.config.image_size)

    @property
    def embed_dim(self) -> int:
        """D, the length of its unit vectors."""
        return int(self.config.embed_dim)

    @property
    def bank(self) -> Tensor | None:
        """None: no captions to contrast with."""
        return None

    def filled(
        self, state: dict[str, Tensor], path: Path, device: torch.device | str, name: str
    ) -> Self:
        """Itself with the weights of the file `path`, which are taken out of `state`: frozen, in
        evaluation mode. `ModelError` where they do not fit."""
        load_state(self, state, path, take=True)
        self.name, self.fingerprint = name or str(path), identity(path)
        return self.to(device).eval().requires_grad_(False)


__all__ = ["OwnPerceptor"]
