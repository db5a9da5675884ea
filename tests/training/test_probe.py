"""The probe: sixty prompts told apart by a judge's features."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gouache.errors import TrainingError
from gouache_training import probe as probing
from gouache_training.class_prompts import CLASS_PROMPTS
from gouache_training.exam import QUESTIONS
from gouache_training.pack import PictureSet
from gouache_training.probe import (
    ProbeExaminer,
    ProbeTraining,
    fit,
    load_probe,
    train_probe,
    unseen,
)
from training.test_exam import asked
from training.test_judge import random_pictures, tiny_judge

TINY = ProbeTraining(sheets=2, held_sheets=1, size=32, iterations=3)


def test_the_layer_tells_apart_what_can_be_told_apart() -> None:
    torch.manual_seed(0)
    centres = 30 + 5 * torch.randn(60, 40)  # far from nought, as features behind a ReLU are
    learnt = torch.cat([centres + torch.randn(60, 40) for _ in range(4)])
    layer = fit(learnt, ProbeTraining(iterations=100))
    new = torch.cat([centres + torch.randn(60, 40) for _ in range(3)])
    right = layer(new).argmax(1) == torch.arange(180) % 60
    assert right.float().mean() > 0.9


@pytest.mark.parametrize("held", ["", "held_picture"])
def test_what_it_is_measured_with_it_has_not_learnt(held: str) -> None:
    pictures = asked(held)
    learnt, kept = unseen(pictures)
    for name in learnt:
        assert learnt[name]
        assert kept[name]
        assert not set(learnt[name]) & set(kept[name])
        assert not any(pictures.entries[i].split != "train" for i in learnt[name])


def test_a_single_picture_stands_on_both_sides() -> None:
    pictures = asked()
    first = replace(pictures, entries=pictures.entries[::2], pixels=pictures.pixels[::2])
    learnt, kept = unseen(first)
    assert all(len(rows) == 1 for rows in learnt.values())
    assert learnt == kept


def test_a_fourth_is_kept_back() -> None:
    pictures = asked()
    many = replace(pictures, entries=list(pictures.entries) * 4, pixels=pictures.pixels)
    learnt, kept = unseen(many)
    assert {(len(learnt[name]), len(kept[name])) for name in learnt} == {(6, 2)}


def test_a_probe_marks_the_sixty_and_nothing_else() -> None:
    probe = train_probe(tiny_judge(), asked(), TINY)
    assert (probe.total, 0 <= probe.accuracy <= 1) == (60, True)
    pictures = random_pictures(60)
    told = probe.log_probabilities(pictures)
    assert told.shape == (60, 60)
    torch.testing.assert_close(told.exp().sum(-1), torch.ones(60))
    marks = ProbeExaminer(probe).marks(pictures, QUESTIONS)
    assert torch.equal(marks.ranks == 0, told.argmax(1) == torch.arange(60))
    assert marks.log_probabilities is not None
    with pytest.raises(TrainingError, match="sixty prompts only"):
        ProbeExaminer(probe).marks(pictures, CLASS_PROMPTS)


def test_a_probe_is_kept_by_its_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, cache = tmp_path / "set.gpack", tmp_path / "cache"
    data.write_bytes(b"pictures")
    monkeypatch.setattr(PictureSet, "load", lambda path: asked())
    trained: list[ProbeTraining] = []

    def train(judge, pictures, settings):  # type: ignore[no-untyped-def]
        trained.append(settings)
        return train_probe(judge, pictures, settings)

    monkeypatch.setattr(probing, "train_probe", train)
    judge = tiny_judge()
    first = load_probe(judge, data, cache, TINY)
    again = load_probe(judge, data, cache, TINY)
    assert len(trained) == 1
    assert torch.equal(first.layer.weight, again.layer.weight)
    assert (again.accuracy, again.total) == (first.accuracy, first.total)
    load_probe(judge, data, cache, replace(TINY, seed=6))  # another recipe
    data.write_bytes(b"other pictures")
    load_probe(judge, data, cache, TINY)
    assert len(trained) == 3
    assert len(list(cache.iterdir())) == 3


def test_a_damaged_probe_is_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "set.gpack"
    data.write_bytes(b"pictures")
    monkeypatch.setattr(PictureSet, "load", lambda path: asked())
    first = load_probe(tiny_judge(), data, tmp_path / "cache", TINY)
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(kept.read_bytes()[:200])
    again = load_probe(tiny_judge(), data, tmp_path / "cache", TINY)
    assert torch.equal(first.layer.weight, again.layer.weight)
    assert "cannot be used" in capsys.readouterr().err
