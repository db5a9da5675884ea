"""The one place where something else takes part in a session: what an edit does differently.

Here is what a session asks of it. What answers is above (`gouache.editing.source`); it is part of
the saved state, and so is its name, by which a state that is opened finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from gouache.cutouts import CutoutParams
from gouache.errors import StateError
from gouache.networks.canvas import Canvas
from gouache.networks.models import Models
from gouache.protocols import FinishStep, Latent, Loss, Perceptor, SourceViews
from gouache.registry import Registry
from gouache.settings.config import CutoutConfig


class Hook(Protocol):
    """What takes part in a session. Nothing of it changes while the session paints."""

    @property
    def kind(self) -> str:
        """Its name in `hooks`."""
        ...

    def draw(
        self, config: CutoutConfig, size: tuple[int, int], rngs: Sequence[torch.Generator]
    ) -> CutoutParams:
        """Like `cutouts.sample` for pictures of `size` (H,W), one for each of `rngs`."""
        ...

    def views(self, models: Models, perceptor: Perceptor, params: CutoutParams) -> SourceViews:
        """What the same cutouts show of the source. No gradient."""
        ...

    def losses(self, guide: int, own: Sequence[Loss]) -> list[Loss]:
        """What the guide of that number minimises; `own` are the losses of its prompts."""
        ...

    @property
    def follows_prompts(self) -> bool:
        """Whether `losses` keeps those of the prompts, so that other prompts change the picture."""
        ...

    def pin_gradient(self, gradient: Tensor) -> Tensor:
        """A parameter's gradient (B,?,h,w) without the cells that stay, where it has such cells."""
        ...

    def pin_latent(self, latent: Latent) -> None:
        """Puts the cells that stay back, after each step."""
        ...

    @property
    def finishing(self) -> Sequence[FinishStep]:
        """What is done to a painted picture in the end."""
        ...

    def identity(self) -> dict[str, Any]:
        """What decides the pictures, as JSON: a state goes on with the same, or not at all."""
        ...

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that the builder in `hooks` makes the same of: named tensors, and JSON."""
        ...


Restore = Callable[["Mapping[str, Tensor]", Mapping[str, Any], Models, Canvas], Hook]

hooks: Registry[Restore] = Registry("edit", "gouache.edits", StateError)
# By name only, as nothing here may need what is above.
hooks.add("edit", "gouache.editing.source:restore")

__all__ = ["Hook", "Restore", "hooks"]
