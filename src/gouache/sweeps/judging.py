"""What perceptors that did not guide say of a sweep's pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from gouache.engine.judging import look
from gouache.engine.words import embed_prompt
from gouache.errors import ConfigError
from gouache.networks.devices import resolve_device
from gouache.networks.pool import shared_perceptor
from gouache.ops.images import load_image
from gouache.prompts import one_line
from gouache.sweeps.folder import Row


class Judge:
    """A perceptor's view of pictures: how well each fits its prompt, and how far they are apart.

    Raises `ConfigError` where it guided one of `rows`: it likes what it has made.
    """

    def __init__(self, name: str, rows: Sequence[Row], device: str = "auto") -> None:
        self.name = name
        self._device = resolve_device(device)
        self._perceptor = shared_perceptor(name, self._device)
        if any(self._perceptor.fingerprint in row.guides for row in rows):
            raise ConfigError(
                f"{name} guided these pictures and cannot judge them; choose another --judge, for "
                "example referee"
            )
        self._seen: dict[str, Tensor] = {}
        self._told: dict[str, Tensor] = {}

    def see(
        self, folder: Path, rows: Sequence[Row], tell: Callable[[int], object] = lambda k: None
    ) -> None:
        """Looks at the pictures of `rows`, which lie below `folder`."""
        for number, row in enumerate(rows, 1):
            picture = load_image(folder / row.picture)
            self._seen[row.name] = look(self._perceptor, picture, self._device)[0].cpu()
            tell(number)

    def score(self, row: Row) -> float:
        """Cosine of the picture with its own prompt, in [-1,1]."""
        return self.fit(row, row.prompt)

    def fit(self, row: Row, prompt: str) -> float:
        """Cosine of the picture with any prompt."""
        if prompt not in self._told:
            told = embed_prompt(prompt, self._perceptor)
            self._told[prompt] = told[0].cpu()
        return float(self._seen[row.name] @ self._told[prompt])

    def recognises(self, row: Row, prompts: Sequence[str]) -> bool:
        """Whether the picture fits its own prompt better than any other one."""
        own = self.score(row)
        return all(own > self.fit(row, other) for other in prompts if other != row.prompt)

    def distance(self, rows: Sequence[Row]) -> list[float]:
        """1 - cosine of each pair of pictures, in [0,2]."""
        if len(rows) < 2:
            return []
        seen = torch.stack([self._seen[row.name] for row in rows])
        pairs = torch.triu_indices(len(rows), len(rows), 1)
        return [float(value) for value in 1 - (seen @ seen.T)[pairs[0], pairs[1]]]


def with_words(rows: Sequence[Row]) -> list[Row]:
    """Those that have a prompt; `ConfigError` where none has: nothing can be compared."""
    found = [row for row in rows if row.prompt.strip() and row.picture]
    if not found:
        told = one_line(rows[0].name, 40) if rows else "none"
        raise ConfigError(f"no picture has a prompt (the first cell is {told}); nothing is judged")
    return found


__all__ = ["Judge", "with_words"]
