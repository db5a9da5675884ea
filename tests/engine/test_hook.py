"""Whatever takes part in a session is saved with it, and found again by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gouache import cutouts
from gouache.engine import Session, resume_session, save_session
from gouache.engine.build import prepare
from gouache.engine.hook import Hook, hooks
from gouache.errors import StateError
from gouache.losses import TotalVariationLoss
from gouache.protocols import Latent, Loss, SourceViews
from tiny import CODE_DIM, TinyGenerator, TinyPerceptor, tiny_config


class Frozen:
    """Keeps one row of cells, and turns its picture upside down."""

    kind = "frozen"

    def __init__(self, row: Tensor) -> None:
        self.row = row  # (code_dim,w)

    def draw(self, config: Any, size: Any, rngs: Sequence[torch.Generator]) -> Any:
        return cutouts.sample(config, len(rngs), size, rngs)

    def views(self, models: Any, perceptor: Any, params: Any) -> SourceViews:
        return SourceViews(torch.zeros(0), torch.zeros(0))

    def losses(self, guide: int, own: Sequence[Loss]) -> list[Loss]:
        return [*own, replace(TotalVariationLoss(1.0), name="smooth")]

    follows_prompts = True

    def pin_gradient(self, gradient: Tensor) -> Tensor:
        return gradient

    def pin_latent(self, latent: Latent) -> None:
        whole = latent.unrounded().detach().clone()
        whole[:, :, 0] = self.row
        latent.set_latent(whole)

    finishing = ()

    def identity(self) -> dict[str, Any]:
        return {"sum": float(self.row.sum())}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {"row": self.row}, {"width": self.row.shape[1]}


def restored(tensors: Mapping[str, Tensor], meta: Any, models: Any, canvas: Any) -> Hook:
    assert meta == {"width": canvas.grid[1]}
    return Frozen(tensors["row"])


def begun(row: Tensor) -> Session:
    parts = prepare(tiny_config(), generator=TinyGenerator(), perceptor=TinyPerceptor())
    return Session(replace(parts, edit=Frozen(row)))


def test_a_hook_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks.names()
    monkeypatch.setitem(hooks._references, "frozen", restored)
    session = begun(torch.full((CODE_DIM, 8), 0.25))
    assert "smooth" in next(session).losses
    save_session(session, tmp_path / "state")
    models = {"generator": TinyGenerator(), "perceptor": TinyPerceptor()}
    again = resume_session(tmp_path / "state", **models)
    for one in (session, again):
        list(one)
        assert bool((one.latent()[:, :, 0] == 0.25).all())
    assert torch.equal(session.picture(), again.picture())
    assert isinstance(again.edit, Frozen)
    with pytest.raises(StateError, match="another sum"):
        begun(torch.zeros(CODE_DIM, 8)).load_state_dict(session.state_dict())
