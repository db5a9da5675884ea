"""The trainer of pocket-ar: a few steps, a checkpoint that goes on exactly, what is left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gouache.systems.pocket_ar import WordsToCodes
from gouache_training.autoregressive import AutoregressiveTrainer, AutoregressiveTraining
from gouache_training.loop import Budget, save_checkpoint
from training.dataset_samples import pictures
from training.test_prior_training import GRID, save_generator, table

__all__ = ["table"]  # a fixture that is used by itself

SETTINGS = AutoregressiveTraining(
    batch=16, layers=1, width=32, heads=2, pool=300, fill=100, fresh=4, learning_rate=6.0e-3
)


def trainer(tmp_path: Path, steps: int, **settings: Any) -> AutoregressiveTrainer:
    generator = save_generator(tmp_path / "generator.pt")
    chosen = replace(SETTINGS, **settings)
    return AutoregressiveTrainer(
        pictures(), tmp_path, generator, chosen, Budget(steps=steps), "cpu"
    )


def test_it_learns(tmp_path: Path) -> None:
    work = trainer(tmp_path, 120)
    work.step()
    first = work.meter.values["loss"]
    assert first == pytest.approx(torch.tensor(24.0).log().item(), abs=0.2)
    assert work.pool.added == SETTINGS.fill + SETTINGS.fresh
    work.run(tmp_path / "ar.pt")
    assert work.budget.step == 120
    assert work.meter.values["loss"] < first - 0.5
    assert 0 <= work.meter.values["right"] <= 1
    assert all(torch.isfinite(value).all() for value in work.model.state_dict().values())


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    path, whole = tmp_path / "ar.pt", trainer(tmp_path, 6)
    for _ in range(3):
        whole.step()
    save_checkpoint(path, whole.state())
    again = trainer(tmp_path, 6)
    again.restore(path)
    for work in (whole, again):
        work.run(tmp_path / "later.pt")
    for one, other in (
        (whole.model.state_dict(), again.model.state_dict()),
        (whole.average.state, again.average.state),
    ):
        assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert whole.pool.added == again.pool.added == SETTINGS.fill + 6 * SETTINGS.fresh


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_captions_are_left_out(
    share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = trainer(tmp_path, 1, silent_share=share)
    forward, heard = WordsToCodes.forward, []

    def spy(self: WordsToCodes, words: Tensor, present: Tensor, codes: Tensor) -> Tensor:
        heard.append((present, codes))
        return forward(self, words, present, codes)

    monkeypatch.setattr(WordsToCodes, "forward", spy)
    work.step()
    ((present, codes),) = heard
    assert present.any(1).all() if share == 0 else not present.any()
    assert codes.shape == (16, GRID * GRID)
