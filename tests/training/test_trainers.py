"""Both trainers end to end on a tiny picture set, and what they export."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gouache.errors import TrainingError
from gouache.generators import load_generator
from gouache.perceptors import load_perceptor
from gouache.runs.painting import paint
from gouache.weights.gz import unpack
from gouache.weights.shipped import TOKENIZER
from gouache_training import export, perceptor
from gouache_training.codebook import MovingCodebook, psnr
from gouache_training.compose import Batch
from gouache_training.evaluate import reconstruct, retrieval
from gouache_training.focus import focused
from gouache_training.generator import GeneratorTrainer, GeneratorTraining
from gouache_training.loop import Average, Budget, load_checkpoint
from gouache_training.perceptor import PerceptorTrainer, PerceptorTraining, rivals_mask, roughen
from training.dataset_samples import pictures

PERCEPTOR = PerceptorTraining(
    batch=8,
    channels=(8, 16, 16, 32),
    blocks=(0, 0, 1, 1),
    sizes=((0.0, 32), (0.7, 48)),
    bank_weight=0.0,
    ramp=(0, 0.1),
)
GENERATOR = GeneratorTraining(
    batch=4, size=32, ch=16, ch_mult=(1, 1), codebook_size=16, code_dim=8, adversarial_from=0.3
)


@pytest.fixture
def table(monkeypatch):
    """A random token table instead of the distilled one, whose encoder is a large download."""
    rows = torch.randn(30522, 256, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(perceptor, "prepare", lambda cache: (rows, TOKENIZER))


def train_perceptor(path: Path, steps: int, resume: bool = False) -> PerceptorTrainer:
    trainer = PerceptorTrainer(pictures(), path.parent, PERCEPTOR, Budget(steps=steps), "cpu")
    if resume:
        trainer.restore(path)
    trainer.run(path)
    return trainer


def train_generator(
    path: Path, until: int, of: int, resume: bool = False, seen: Path | None = None
) -> GeneratorTrainer:
    trainer = GeneratorTrainer(pictures(), GENERATOR, Budget(steps=of), "cpu", seen)
    if resume:
        trainer.restore(path)
    budget = trainer.budget
    budget.progress = lambda: 1.0 if budget.step >= until else budget.step / of  # type: ignore
    trainer.run(path)
    return trainer


def test_perceptor_learns_and_exports(table, tmp_path):
    path = tmp_path / "perceptor.pt"
    trainer = train_perceptor(path, 4)
    first = dict(trainer.meter.values)
    assert {"pairs", "named", "acc_before"} <= set(first)
    again = train_perceptor(path, 40, resume=True)
    assert again.budget.step == 40
    # pictures of the last steps are seen before they are perturbed
    assert again.meter.values["acc_before"] > 3 * first["acc_before"]


def test_generator_learns(tmp_path):
    trainer = GeneratorTrainer(
        pictures(), replace(GENERATOR, learning_rate=6e-3), Budget(steps=80), "cpu", None
    )
    images = trainer.composer.plain(pictures().indices("train")[:16], 32)

    def fidelity() -> float:
        return float(psnr(reconstruct(trainer.averaged(), images)[0], images).mean())

    before = fidelity()
    trainer.run(tmp_path / "g.pt")
    assert fidelity() > before + 1


@pytest.mark.parametrize("seen", [False, True])
def test_a_resumed_generator_equals_an_uninterrupted_one(seen, table, tmp_path):
    eyes = tmp_path / "p.pt" if seen else None
    if seen:
        train_perceptor(tmp_path / "p.pt", 1)
    whole = train_generator(tmp_path / "whole.pt", 4, 4, seen=eyes)
    train_generator(tmp_path / "part.pt", 2, 4, seen=eyes)
    resumed = train_generator(tmp_path / "part.pt", 4, 4, resume=True, seen=eyes)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_a_resumed_perceptor_equals_an_uninterrupted_one(table, tmp_path):
    whole = PerceptorTrainer(pictures(), tmp_path, PERCEPTOR, Budget(steps=4), "cpu")
    whole.step()
    whole.step()
    torch.save(whole.state(), tmp_path / "half.pt")
    whole.run(tmp_path / "whole.pt")
    resumed = PerceptorTrainer(pictures(), tmp_path, PERCEPTOR, Budget(steps=4), "cpu")
    resumed.restore(tmp_path / "half.pt")
    resumed.run(tmp_path / "half.pt")
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_export_paints(table, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "tokenizer.json").write_bytes(unpack(TOKENIZER))
    train_perceptor(tmp_path / "p.pt", 2)
    trainer = train_generator(tmp_path / "g.pt", 2, 2, seen=tmp_path / "p.pt")
    assert "seen" in trainer.meter.values
    monkeypatch.setattr(export.PictureSet, "load", lambda path: pictures())
    out = tmp_path / "models"
    export.export_models(out, tmp_path, cache, tmp_path / "g.pt", tmp_path / "p.pt")
    guide = load_perceptor(str(out / "perceptor.safetensors.gz"))
    painter = load_generator(str(out / "generator.safetensors.gz"))
    assert guide.bank is not None
    torch.testing.assert_close(
        guide.bank.norm(dim=1), torch.ones(len(guide.bank)), atol=1e-3, rtol=0
    )
    assert torch.allclose(painter.code_prior.sum(), torch.ones(()))
    picture = paint(
        "an apple", generator=painter, perceptor=guide, size="32x32", steps=2, num_cutouts=2
    )
    assert picture.image.size == (32, 32)
    index = pictures().indices("train")
    assert 0 <= retrieval(guide, pictures(), index) <= 1
    assert retrieval(guide, pictures(), index, top=10_000) == 1
    images, perplexity = reconstruct(painter, torch.rand(3, 3, 32, 32))
    assert images.shape == (3, 3, 32, 32)
    assert 1 <= perplexity <= 16


def test_pairs_that_are_no_rivals():
    batch = Batch(
        torch.zeros(5, 3, 4, 4),
        [""] * 5,
        concepts=torch.tensor([3, 3, 3, -1, -1]),
        colors=torch.tensor([1, 2, -1, -1, -1]),
        styles=torch.full((5,), -1),
    )
    mask = rivals_mask(batch)
    assert not mask.diagonal().any()
    assert not mask[0, 1]  # a red and a blue apple are told apart by their captions
    assert mask[0, 2]  # "a red apple" and "an apple" are not
    assert mask[2, 1]
    assert not mask[3, 4]  # two different scenes of two things


def test_roughen_keeps_range_and_shape():
    image = torch.rand(6, 3, 48, 48)
    rough = roughen(image, torch.Generator().manual_seed(0))
    assert rough.shape == image.shape
    assert rough.min() >= 0
    assert rough.max() <= 1
    assert not torch.equal(rough, image)
    assert torch.equal(rough, roughen(image, torch.Generator().manual_seed(0)))


def test_dead_codes_are_revived():
    rng = torch.Generator().manual_seed(0)
    codes = torch.randn(8, 2, generator=rng)
    moving = MovingCodebook(codes, decay=0.5)
    vectors = torch.randn(64, 2, generator=rng) + 50  # far from every code: one takes them all
    for _ in range(40):
        indices = torch.cdist(vectors, codes).argmin(1)
        moving.update(vectors, indices, rng)
    assert moving.perplexity() > 4
    assert len(torch.cdist(vectors, codes).argmin(1).unique()) > 4
    assert torch.allclose(moving.prior().sum(), torch.ones(()))


def test_psnr():
    assert psnr(torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 0.1)).item() == pytest.approx(20)


def test_average_follows():
    layer = torch.nn.Linear(2, 2)
    average = Average(layer, decay=0.5)
    with torch.no_grad():
        layer.weight += 1
    before = average.state["weight"].clone()
    average.update(layer, 10_000)
    torch.testing.assert_close(average.state["weight"], before + 0.5)


def test_focus_prefers_common_concepts():
    sharp = focused(pictures(), power=1.0, mono=0.5)
    for old, new in zip(pictures().entries, sharp.entries, strict=True):
        assert (new.weight == old.weight) == (old.split != "train") or new.weight != old.weight
        assert (new.name, new.split, new.concept) == (old.name, old.split, old.concept)
    assert len(np.unique([entry.weight for entry in sharp.entries])) > 1


def test_errors(tmp_path):
    with pytest.raises(TrainingError, match="how long"):
        Budget()
    with pytest.raises(TrainingError, match="no checkpoint"):
        load_checkpoint(tmp_path / "none.pt")
    (tmp_path / "bad.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(TrainingError, match="cannot be read"):
        load_checkpoint(tmp_path / "bad.pt")
