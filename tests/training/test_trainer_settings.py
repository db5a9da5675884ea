"""What the trainers do with their newer settings: growing pictures, dead codes, other networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gouache.generators.vqgan import VQGAN
from gouache.weights.shipped import TOKENIZER
from gouache_training import perceptor
from gouache_training.codebook import MovingCodebook
from gouache_training.compose import Batch
from gouache_training.generator import GeneratorTrainer, GeneratorTraining
from gouache_training.loop import Budget
from gouache_training.perceptor import (
    REFEREE,
    PerceptorTrainer,
    PerceptorTraining,
    repaint,
    rivals_mask,
)
from tiny import TINY_VQGAN
from training.dataset_samples import pictures

GENERATOR = GeneratorTraining(
    batch=4, size=32, ch=16, ch_mult=(1, 1), codebook_size=16, code_dim=8, adversarial_from=0.3
)


def generator_trainer(steps: int = 3, **settings: object) -> GeneratorTrainer:
    chosen = replace(GENERATOR, **settings)  # type: ignore[arg-type]
    return GeneratorTrainer(pictures(), chosen, Budget(steps=steps), "cpu", None)


def perceptor_trainer(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    steps: int = 4,
    generator: VQGAN | None = None,
    **settings: Any,
) -> PerceptorTrainer:
    """A trainer of a tiny perceptor with a random token table."""
    rows = torch.randn(30522, 256, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(perceptor, "prepare", lambda cache: (rows, TOKENIZER))
    chosen = PerceptorTraining(
        **{
            "batch": 6,
            "epsilon": 0.0,
            "sizes": ((0.0, 32),),
            "channels": (8, 8, 8, 16),
            "blocks": (0, 0, 0, 1),
            "bank_weight": 0.0,
            **settings,
        }
    )
    return PerceptorTrainer(pictures(), tmp_path, chosen, Budget(steps=steps), "cpu", generator)


def test_pictures_grow_with_the_budget(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sizes = ((0.0, 16), (0.5, 24), (0.75, 32))
    trainer = perceptor_trainer(monkeypatch, tmp_path, sizes=sizes)
    assert trainer.config.image_size == 32  # the last size is the perceptor's own
    sides: list[int] = []
    compose = trainer.composer.batch

    def batch(n: int, size: int) -> Batch:
        sides.append(size)
        return compose(n, size=size)

    monkeypatch.setattr(trainer.composer, "batch", batch)
    trainer.run(tmp_path / "p.pt")
    assert sides == [16, 16, 24, 32]


def test_the_referee_is_another_network() -> None:
    guide = PerceptorTraining()
    for name in ("channels", "blocks", "seed", "epsilon", "sizes"):
        assert getattr(REFEREE, name) != getattr(guide, name)
    assert 0 < REFEREE.epsilon < guide.epsilon  # a painter must not fool both alike
    for settings in (REFEREE, guide):
        starts = [start for start, _ in settings.sizes]
        assert starts == sorted(starts)
        assert starts[0] == 0
        assert [side for _, side in settings.sizes] == sorted(side for _, side in settings.sizes)


@pytest.mark.parametrize(("rare", "revived"), [(0.0, 0), (0.15, 1), (0.6, 2), (1.1, 3)])
def test_codes_rarer_than_their_share_are_moved(rare: float, revived: int) -> None:
    codes = torch.tensor([[0.0], [10.0], [20.0], [30.0]])
    moving = MovingCodebook(codes, decay=0.0, rare=rare)
    # even share 25: chosen 1, 14, 25 and 60 times
    indices = torch.tensor([0] * 1 + [1] * 14 + [2] * 25 + [3] * 60)
    vectors = codes[indices].clone()
    rng = torch.Generator().manual_seed(0)
    assert moving.update(vectors, indices, rng) == revived
    assert torch.equal(codes[revived:], torch.tensor([[0.0], [10.0], [20.0], [30.0]])[revived:])
    assert (moving.counts[:revived] == 25).all()


def test_starting_from_a_checkpoint_takes_networks_and_codes_only(tmp_path: Path) -> None:
    path = tmp_path / "g.pt"
    old = generator_trainer(3)
    old.run(path)
    new = generator_trainer(50, seed=8)
    new.start_from(path)
    trained = old.average.state
    for name, value in new.model.state_dict().items():
        assert torch.equal(value, trained[name]), name
        assert torch.equal(new.average.state[name], trained[name])
    assert torch.equal(new.codes.sums, old.codes.sums)
    assert torch.equal(new.codes.counts, old.codes.counts)
    assert new.codes.started  # else the first step would throw the codes away
    critic = old.critic.state_dict()
    assert all(torch.equal(value, critic[name]) for name, value in new.critic.state_dict().items())
    assert new.budget.step == 0
    assert new.budget.progress() == 0
    assert not new.optimizer.state
    assert new.settings.seed == 8
    new.step()
    assert new.budget.step == 1
    assert all(torch.isfinite(value).all() for value in new.model.state_dict().values())
    # what the new training does, the old one does not feel
    assert not torch.equal(new.codes.sums, old.codes.sums)


@pytest.mark.parametrize(("share", "white"), [(0.0, False), (1.0, True)])
def test_a_share_of_batches_shows_single_things_on_white(share: float, white: bool) -> None:
    trainer = generator_trainer(plain_share=share, crop_share=0.0, batch=24)
    image = trainer.pictures_batch()
    assert image.shape == (24, 3, 32, 32)
    corners = image[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert bool((corners == 1).all()) is white


def test_crops_have_the_size_of_whole_pictures() -> None:
    for plain in (0.0, 1.0):
        trainer = generator_trainer(plain_share=plain, crop_share=1.0)
        assert trainer.pictures_batch().shape == (4, 3, 32, 32)


def small_vqgan() -> VQGAN:
    torch.manual_seed(0)
    shape = replace(TINY_VQGAN, ch_mult=(1, 1))
    model = VQGAN(shape).eval().requires_grad_(False)
    model.codebook.copy_(torch.randn(24, 4))
    return model


def test_repainted_pictures_are_what_codes_can_show() -> None:
    def painted(seed: int) -> Tensor:
        return repaint(small_vqgan(), image, torch.Generator().manual_seed(seed))

    image = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    one = painted(0)
    assert one.shape == image.shape
    assert one.dtype == torch.float32
    assert one.min() >= 0
    assert one.max() <= 1
    assert not one.requires_grad
    assert torch.equal(one, painted(0))
    assert not torch.equal(one, painted(1))  # other codes are wrong
    assert not torch.equal(one, image)


@pytest.mark.parametrize(("side", "share", "count"), [(32, 0.5, 3), (16, 0.5, 0), (32, 0.0, 0)])
def test_a_share_of_large_enough_pictures_is_repainted(
    side: int, share: float, count: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[tuple[int, ...]] = []

    def spy(generator: VQGAN, image: Tensor, rng: torch.Generator) -> Tensor:
        seen.append(tuple(image.shape))
        return image

    monkeypatch.setattr(perceptor, "repaint", spy)
    trainer = perceptor_trainer(
        monkeypatch, tmp_path, sizes=((0.0, side),), repainted=share, generator=small_vqgan()
    )
    trainer.step()
    assert seen == ([(count, 3, side, side)] if count else [])


def test_perturbations_are_as_long_as_asked_and_harm(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trainer = perceptor_trainer(monkeypatch, tmp_path, batch=24)
    for _ in range(30):
        trainer.step()
    trainer.model.eval()  # the same statistics for both looks
    batch = trainer.composer.batch(24, size=32)
    mask, rows = rivals_mask(batch), trainer.bank_row[batch.concepts.clamp(min=0)]
    rows = torch.where(batch.concepts >= 0, rows, -1)
    with torch.no_grad():
        texts = trainer.model.text_tower(trainer.tokens(batch.captions))
    moved = trainer.perturbed(batch.image, texts, mask, rows, 2.0 * 32)
    assert not moved.requires_grad
    lengths = (moved - batch.image).flatten(1).norm(dim=1)
    assert lengths.max() <= 1.5 * 2.0 + 1e-4
    assert lengths.min() > 0.1 * 2.0
    assert all(parameter.grad is not None for parameter in trainer.model.image_tower.parameters())
    assert all(parameter.requires_grad for parameter in trainer.model.image_tower.parameters())

    def loss(images: Tensor) -> float:
        with torch.no_grad():
            pairs, named, _ = trainer.losses(trainer.model.embed_image(images), texts, mask, rows)
        return float(pairs + named)

    noise = torch.randn(batch.image.shape, generator=torch.Generator().manual_seed(0))
    noise *= (lengths / noise.flatten(1).norm(dim=1)).view(-1, 1, 1, 1)
    assert loss(moved) > loss(batch.image + noise) + 0.05
    assert loss(moved) > loss(batch.image) + 0.05
