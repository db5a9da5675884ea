"""The trainer of pocket-diffusion: its pool, a few steps, a checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gouache.errors import TrainingError
from gouache.generators.vqgan import VQGAN
from gouache.perceptors.pocket import PocketPerceptor
from gouache.perceptors.tokenizer import PocketTokenizer
from gouache.perceptors.towers import PocketConfig
from gouache.systems.latent_diffusion import Denoiser
from gouache.weights.shipped import TOKENIZER
from gouache_training.diffusion import DiffusionTrainer, DiffusionTraining, Pool
from gouache_training.loop import Budget, load_checkpoint, save_checkpoint
from tiny import TINY_VQGAN
from training.dataset_samples import pictures

SETTINGS = DiffusionTraining(
    batch=16,
    channels=32,
    width=16,
    layers=1,
    guide_channels=(32, 32),
    pool=300,
    fill=100,
    fresh=2,
    gather_every=2,
)


def tiny_generator() -> VQGAN:
    torch.manual_seed(0)
    model = VQGAN(TINY_VQGAN)
    model.codebook.data.copy_(torch.randn(24, 4))
    return model.eval().requires_grad_(False)


def tiny_perceptor() -> PocketPerceptor:
    torch.manual_seed(1)
    config = PocketConfig(image_size=16, channels=(8, 8), blocks=(0, 1), table_dim=8)
    model = PocketPerceptor(config, PocketTokenizer(TOKENIZER, config.context))
    model.text_tower.set_table(torch.randn(30522, 8))
    with torch.no_grad():  # running means that a fresh network does not have
        for _ in range(3):
            model.embed_image(torch.rand(8, 3, 16, 16))
    return model.eval().requires_grad_(False)


def trainer(steps: int, **settings: Any) -> DiffusionTrainer:
    chosen = replace(SETTINGS, **settings)
    parts = tiny_generator(), tiny_perceptor()
    return DiffusionTrainer(pictures(), *parts, chosen, Budget(steps=steps), "cpu")


def rows(first: int, n: int, length: int = 3) -> dict[str, Tensor]:
    """Pictures numbered from `first`: all that is known of them is their number."""
    numbers = torch.arange(first, first + n)
    shapes = {"latents": (4, 2, 2), "tokens": (length,), "seen": (6,), "told": (6,)}
    return {
        name: numbers.view(-1, *[1] * len(shape)).expand(-1, *shape)
        for name, shape in shapes.items()
    }


def pool(size: int) -> Pool:
    return Pool(size, (4, 2, 2), 5, 6, torch.device("cpu"))


def test_the_pool_keeps_the_latest_together() -> None:
    ring = pool(10)
    for first in (1, 5, 9):
        ring.add(**rows(first, 4, length=5 if first == 1 else 2))
    assert ring.added == 12
    drawn = ring.draw(500, torch.Generator().manual_seed(0))
    numbers = drawn["tokens"][:, 0]
    assert sorted(set(numbers.tolist())) == list(range(3, 13))
    for values in drawn.values():
        assert torch.equal(values.flatten(1)[:, 0].int(), numbers)
    short = numbers > 4  # nothing of a longer caption stays behind
    assert not drawn["tokens"][short, 2:].any()


def test_a_pool_goes_on_where_it_was() -> None:
    old, new = pool(6), pool(6)
    for first in (1, 5):
        old.add(**rows(first, 4))
    new.restore(old.state())
    for ring in (old, new):
        ring.add(**rows(9, 1))
    assert all(torch.equal(table, old.rows[name]) for name, table in new.rows.items())
    other = pool(5)
    other.restore(old.state())
    assert other.added == 0  # of another size: fills anew


def test_a_state_is_no_larger_than_what_was_added() -> None:
    ring = pool(1000)
    ring.add(**rows(1, 3))
    latents = ring.state()["latents"]
    assert latents.untyped_storage().nbytes() == 3 * 16 * 2


def test_latents_are_normalised_by_the_codes_as_they_occur() -> None:
    work = trainer(1)
    work.generator.code_prior.copy_(torch.zeros(24).index_fill_(0, torch.tensor([3, 5]), 0.5))
    again = DiffusionTrainer(
        pictures(), work.generator, work.perceptor, SETTINGS, Budget(steps=1), "cpu"
    )
    codes = work.generator.codebook[[3, 5]]
    assert torch.allclose(again.model.mean, codes.mean(0), atol=1e-6)
    assert torch.allclose(again.model.deviation, codes.std(0, unbiased=False), atol=1e-6)
    latent = codes.T.reshape(1, 4, 1, 2)
    assert torch.allclose(again.model.normalised(latent).abs(), torch.ones(1, 4, 1, 2), atol=1e-5)
    assert torch.allclose(again.model.latent(again.model.normalised(latent)), latent, atol=1e-5)


def test_gathering_keeps_what_the_models_make_of_pictures_and_captions() -> None:
    work = trainer(1)
    work.gather(12)
    assert work.pool.added == 12
    found = {name: table[:12].float() for name, table in work.pool.rows.items()}
    assert found["latents"].shape == (12, 4, 4, 4)
    assert found["latents"].flatten(1).std(1).min() > 0
    assert (found["tokens"] != 0).any(1).all()
    told = work.perceptor.text_tower(found["tokens"].long())
    assert ((told * found["told"]).sum(1) > 0.99).all()
    assert torch.allclose(found["seen"].norm(dim=1), torch.ones(12), atol=1e-2)


def test_it_learns() -> None:
    work = trainer(120, learning_rate=6e-3, fresh=1)
    work.step()
    first = dict(work.meter.values)
    assert first["guide"] == pytest.approx(1.0, abs=0.3)
    assert work.pool.added == SETTINGS.fill + 2  # of two steps
    while work.budget.step < 120:
        work.step()
    assert work.meter.values["loss"] < 0.8 * first["loss"]
    assert work.meter.values["guide"] < 0.5 * first["guide"]
    assert all(torch.isfinite(value).all() for value in work.model.state_dict().values())


def same(one: DiffusionTrainer, two: DiffusionTrainer) -> bool:
    other = two.model.state_dict()
    return all(torch.equal(value, other[name]) for name, value in one.model.state_dict().items())


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    path, whole = tmp_path / "diffusion.pt", trainer(6)
    for _ in range(3):
        whole.step()
    save_checkpoint(path, whole.state())
    again = trainer(6)
    again.restore(path)
    assert again.budget.step == 3
    assert same(again, whole)
    for work in (whole, again):
        work.run(tmp_path / "later.pt")
    assert same(again, whole)
    state = whole.average.state
    assert all(torch.equal(value, state[name]) for name, value in again.average.state.items())
    assert again.pool.added == SETTINGS.fill + 3 * 4
    assert load_checkpoint(tmp_path / "later.pt")["step"] == 6
    with pytest.raises(TrainingError, match="another shape: width is 16"):
        trainer(8, width=32).restore(path)
    other = trainer(8)
    other.generator.codebook.add_(1)
    with pytest.raises(TrainingError, match="other codes"):
        other.restore(path)


def test_silent_captions_are_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    forward, heard = Denoiser.forward, []

    def spy(self: Denoiser, noised: Tensor, steps: Tensor, *text: Tensor) -> Tensor:
        heard.append((steps, *text))
        return forward(self, noised, steps, *text)

    monkeypatch.setattr(Denoiser, "forward", spy)
    for share in (0.0, 1.0):
        trainer(1, silent_share=share).step()
    (steps, _, all_present), (_, words, present) = heard
    assert all_present.any(1).all()
    assert not present.any()
    assert words.any()
    parts = torch.arange(16) * 1000 / 16  # one step of each part
    assert ((steps >= parts.floor()) & (steps <= parts + 1000 / 16)).all()
