"""The prior's trainer: its pool of codes, a few steps, a checkpoint, and what is exported."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gouache.errors import TrainingError
from gouache.generators import load_generator
from gouache.generators.vqgan import VQGAN, VQGANConfig
from gouache.perceptors import load_perceptor
from gouache.perceptors.loading import TABLE
from gouache.perceptors.pocket import PocketPerceptor
from gouache.perceptors.tokenizer import PocketTokenizer
from gouache.perceptors.towers import PocketConfig
from gouache.priors.token_prior import TokenPrior, TokenPriorConfig
from gouache.weights.gz import unpack
from gouache.weights.safe import load_state, read_checkpoint, read_model
from gouache.weights.shipped import TOKENIZER
from gouache_training import codes, export
from gouache_training.codes import Pool
from gouache_training.export import load_generator_checkpoint
from gouache_training.loop import Budget, load_checkpoint, save_checkpoint
from gouache_training.pack import PictureSet
from gouache_training.prior import PriorTrainer, PriorTraining
from tiny import TINY_VQGAN
from training.dataset_samples import pictures

SETTINGS = PriorTraining(
    batch=16, layers=1, width=16, pool=300, fill=100, fresh=4, scored_share=1.0
)
GRID = 4


def random_table() -> Tensor:
    rows = torch.randn(30522, 8, generator=torch.Generator().manual_seed(0))
    rows[0] = 0
    return rows


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    """A random token table instead of the distilled one, whose encoder is a large download."""
    monkeypatch.setattr(codes, "prepare", lambda cache: (random_table(), TOKENIZER))


def save_generator(path: Path, seed: int = 0, codes: int = 24) -> VQGAN:
    """A random VQGAN's checkpoint, and the VQGAN as painting would load it."""
    torch.manual_seed(seed)
    model = VQGAN(VQGANConfig.from_dict({**TINY_VQGAN.to_dict(), "n_embed": codes}))
    sums = torch.randn(codes, 4, generator=torch.Generator().manual_seed(seed))
    moving = {"counts": torch.full((codes,), 2.0), "sums": sums}
    config = model.config.to_dict()
    save_checkpoint(path, {"config": config, "average": model.state_dict(), "codes": moving})
    return load_generator_checkpoint(path)


def trainer(tmp_path: Path, steps: int, **settings: Any) -> PriorTrainer:
    generator = save_generator(tmp_path / "generator.pt")
    chosen = PriorTraining(**{**asdict_shallow(SETTINGS), **settings})
    return PriorTrainer(pictures(), tmp_path, generator, chosen, Budget(steps=steps), "cpu")


def asdict_shallow(settings: PriorTraining) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in PriorTraining.__dataclass_fields__}


def rows(first: int, n: int, length: int = 3) -> tuple[Tensor, Tensor]:
    """Pictures numbered from `first`: all their codes and tokens are their number."""
    numbers = torch.arange(first, first + n)
    return numbers.view(-1, 1, 1).expand(-1, 2, 2), numbers.view(-1, 1).expand(-1, length)


def numbers(values: Tensor) -> list[int]:
    return sorted(set(values.flatten().tolist()))


def test_the_pool_gives_what_it_was_given() -> None:
    pool = Pool(10, cells=4, context=5)
    pool.add(*rows(1, 3))
    codes, tokens = pool.draw(200, torch.Generator().manual_seed(0))
    assert codes.shape == (200, 4)
    assert tokens.shape == (200, 3)  # no longer than the longest
    assert codes.dtype == tokens.dtype == torch.long
    assert numbers(codes) == [1, 2, 3]  # none of the empty places
    assert torch.equal(codes[:, :1].expand(-1, 3), tokens)


def test_the_pool_keeps_the_latest() -> None:
    pool = Pool(10, cells=4, context=5)
    for first in (1, 5, 9):
        pool.add(*rows(first, 4))
    assert pool.added == 12
    codes, tokens = pool.draw(500, torch.Generator().manual_seed(0))
    assert numbers(codes) == list(range(3, 13))
    assert torch.equal(codes[:, :1].expand(-1, 3), tokens)


def test_nothing_of_a_longer_caption_stays_behind() -> None:
    pool = Pool(2, cells=4, context=5)
    pool.add(*rows(1, 2, length=5))
    pool.add(*rows(7, 2, length=2))
    _, tokens = pool.draw(20, torch.Generator().manual_seed(0))
    assert tokens.shape == (20, 2)
    assert numbers(tokens) == [7, 8]


def test_draws_are_those_of_the_chance_given() -> None:
    pool = Pool(50, cells=4, context=5)
    pool.add(*rows(1, 50))
    one, two, other = (pool.draw(20, torch.Generator().manual_seed(s))[0] for s in (0, 0, 1))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_gathering_puts_codes_of_composed_pictures_beside_their_captions(tmp_path: Path) -> None:
    work = trainer(tmp_path, 1)
    work.gather(12)
    assert work.pool.added == 12
    assert work.pool.codes.shape == (300, GRID * GRID)
    assert int(work.pool.codes[:12].min()) >= 0
    assert int(work.pool.codes[:12].max()) < 24
    assert len(numbers(work.pool.codes[:12])) > 1
    words = (work.pool.tokens[:12] != 0).sum(1)
    assert (words >= 1).all()


def test_it_learns(tmp_path: Path) -> None:
    work = trainer(tmp_path, 120)
    work.step()
    first = work.meter.values["loss"]
    assert first == pytest.approx(torch.tensor(24.0).log().item(), abs=1.0)
    assert work.pool.added == SETTINGS.fill + SETTINGS.fresh
    work.run(tmp_path / "prior.pt")
    assert work.budget.step == 120
    assert work.meter.values["loss"] < first - 0.5
    assert 0 <= work.meter.values["right"] <= 1
    assert all(torch.isfinite(value).all() for value in work.model.state_dict().values())


def same(one: PriorTrainer, two: PriorTrainer) -> bool:
    other = two.model.state_dict()
    return all(torch.equal(value, other[name]) for name, value in one.model.state_dict().items())


def test_a_resumed_prior_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    """The pool, too, comes back."""
    path, whole = tmp_path / "prior.pt", trainer(tmp_path, 6)
    for _ in range(3):
        whole.step()
    save_checkpoint(path, whole.state())
    again = trainer(tmp_path, 6)
    again.restore(path)
    assert again.budget.step == 3
    assert same(again, whole)
    assert again.pool.added == whole.pool.added == SETTINGS.fill + 3 * SETTINGS.fresh
    for work in (whole, again):
        work.run(tmp_path / "later.pt")
    assert same(again, whole)
    state = whole.average.state
    assert all(torch.equal(value, state[k]) for k, value in again.average.state.items())
    assert again.pool.added == SETTINGS.fill + 6 * SETTINGS.fresh
    assert load_checkpoint(tmp_path / "later.pt")["step"] == 6


def test_a_full_pool_goes_on_where_it_was() -> None:
    old, new = Pool(6, cells=4, context=5), Pool(6, cells=4, context=5)
    old.add(*rows(1, 4))
    old.add(*rows(5, 4))
    new.restore(old.state())
    for pool in (old, new):
        pool.add(*rows(9, 1))
    assert torch.equal(new.codes, old.codes)
    assert torch.equal(new.tokens, old.tokens)
    other = Pool(5, cells=4, context=5)
    other.restore(old.state())
    assert other.added == 0  # of another size: fills anew


def test_a_prior_of_other_codes_does_not_go_on(tmp_path: Path) -> None:
    path = tmp_path / "prior.pt"
    trainer(tmp_path, 1).run(path)
    other = trainer(tmp_path, 2)
    with torch.no_grad():
        other.generator.codebook.add_(1)
    with pytest.raises(TrainingError, match="other codes"):
        other.restore(path)
    with pytest.raises(TrainingError, match="another shape: width is 16"):
        trainer(tmp_path, 2, width=32).restore(path)
    save_checkpoint(path, {"model": {}})
    with pytest.raises(TrainingError, match="no checkpoint of this trainer"):
        trainer(tmp_path, 2).restore(path)


def test_equal_seeds_train_equal_priors(tmp_path: Path) -> None:
    found = []
    for seed in (3, 3, 4):
        work = trainer(tmp_path, 2, seed=seed)
        work.run(tmp_path / "prior.pt")
        found.append(work)
    assert same(found[0], found[1])
    assert not same(found[0], found[2])


def test_silent_captions_are_not_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = trainer(tmp_path, 1, silent_share=1.0)
    features, heard = TokenPrior.features, []

    def spy(self: TokenPrior, codes: Tensor, words: Tensor, present: Tensor) -> Tensor:
        heard.append((codes, present))
        return features(self, codes, words, present)

    monkeypatch.setattr(TokenPrior, "features", spy)
    work.step()
    ((codes, present),) = heard
    assert not present.any()
    assert codes.shape == (16, GRID, GRID)
    hidden = (codes == work.model.mask_token).flatten(1).float().mean(1)
    assert hidden.min() < 0.5 < hidden.max()  # from nearly nothing to nearly all


# ---- export


def save_perceptor(path: Path, seed: int) -> PocketPerceptor:
    torch.manual_seed(seed)
    config = PocketConfig(image_size=16, channels=(8, 8), blocks=(0, 1), table_dim=8)
    model = PocketPerceptor(config, PocketTokenizer(TOKENIZER, config.context))
    model.text_tower.set_table(random_table())
    with torch.no_grad():  # running means that a fresh network does not have
        for _ in range(3):
            model.embed_image(torch.rand(8, 3, 16, 16))
    save_checkpoint(path, {"config": asdict(config), "average": model.state_dict()})
    return model.eval().requires_grad_(False)


def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **paths: Path) -> Path:
    """The folder of what `export_models` writes from random checkpoints."""
    (tmp_path / "tokenizer.json").write_bytes(unpack(TOKENIZER))
    monkeypatch.setattr(PictureSet, "load", lambda path: pictures())
    export.export_models(
        tmp_path / "models",
        tmp_path,
        tmp_path,
        tmp_path / "generator.pt",
        tmp_path / "perceptor.pt",
        **paths,
    )
    return tmp_path / "models"


def test_all_models_are_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = trainer(tmp_path, 2)
    work.run(tmp_path / "prior.pt")
    save_perceptor(tmp_path / "perceptor.pt", 1)
    judge = save_perceptor(tmp_path / "referee.pt", 2)
    checkpoints = {name: tmp_path / f"{name}.pt" for name in ("prior", "referee")}
    out = exported(tmp_path, monkeypatch, **checkpoints)
    parts = ["perceptor", "prior", "referee"]
    names = [
        "generator.safetensors.gz",
        *(f"{part}.safetensors.gz" for part in parts),
        "tokenizer.json.gz",
    ]
    assert sorted(path.name for path in out.iterdir()) == names

    tokenizer = out / "tokenizer.json.gz"
    assert unpack(tokenizer) == unpack(TOKENIZER)
    assert tokenizer.stat().st_size < 0.5 * len(unpack(TOKENIZER))

    tensors, values = read_model(out / "prior.safetensors.gz")
    assert values.pop("generator") == load_generator(str(out / names[0])).fingerprint
    assert TokenPriorConfig.from_dict(values) == work.config
    load_state(TokenPrior(work.config), tensors, "prior")
    for name, value in work.average.state.items():
        largest = value.abs().max().clamp(min=1e-9)
        assert ((tensors[name] - value).abs() <= 0.01 * largest).all(), name

    assert not set(TABLE) & set(read_checkpoint(out / "referee.safetensors.gz").tensors)
    guide = load_perceptor(str(out / "perceptor.safetensors.gz"))
    referee = load_perceptor(str(out / "referee.safetensors.gz"))
    assert guide.bank is not None
    assert referee.bank is None
    images = torch.rand(6, 3, 16, 16)
    assert ((referee.embed_image(images) * judge.embed_image(images)).sum(1) > 0.99).all()
    texts = ["a cat", "a red apple"]
    assert ((referee.embed_text(texts) * judge.embed_text(texts)).sum(1) > 0.99).all()
    assert not torch.allclose(referee.embed_text(texts), guide.embed_text(texts), atol=0.05)


def test_what_was_not_trained_is_not_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_generator(tmp_path / "generator.pt")
    save_perceptor(tmp_path / "perceptor.pt", 1)
    out = exported(tmp_path, monkeypatch, prior=tmp_path / "none", referee=tmp_path / "none")
    names = ["generator.safetensors.gz", "perceptor.safetensors.gz", "tokenizer.json.gz"]
    assert sorted(path.name for path in out.iterdir()) == names


@pytest.mark.parametrize("codes", [24, 32])
def test_a_prior_of_other_codes_is_not_exported(
    codes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer(tmp_path, 1).run(tmp_path / "prior.pt")
    save_perceptor(tmp_path / "perceptor.pt", 1)
    save_generator(tmp_path / "generator.pt", seed=5, codes=codes)
    with pytest.raises(TrainingError, match="trained on other codes"):
        exported(tmp_path, monkeypatch, prior=tmp_path / "prior.pt")
