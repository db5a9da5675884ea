"""Pictures from pictures: disturbed and crossed latents, each picture's own, the same again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from gouache.engine import resume_session, save_session
from gouache.engine.variation import crossed, disturbed
from gouache.errors import ConfigError
from gouache.ops.seeding import picture_rngs
from tiny import TinyGenerator, TinyPerceptor, tiny_session


def latent(count: int = 1, shape: tuple[int, int] = (6, 8)) -> Tensor:
    rng = torch.Generator().manual_seed(9)
    return torch.randn(count, 6, *shape, generator=rng).cumsum(2).cumsum(3)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    Image.effect_noise((32, 24), 90).convert("RGB").save(tmp_path / "a.png")
    Image.linear_gradient("L").resize((40, 24)).convert("RGB").save(tmp_path / "b.png")
    return {"init_image": str(tmp_path / "a.png"), "cross_image": str(tmp_path / "b.png")}


@pytest.mark.parametrize("shape", [(6, 8), (1, 1), (1, 9), (16, 16)])
def test_more_strength_is_farther_away(shape: tuple[int, int]) -> None:
    start = latent(shape=shape)
    found = [disturbed(start, strength, picture_rngs(3, 1)) for strength in (0.0, 0.2, 0.6, 1.0)]
    assert torch.allclose(found[0], start, atol=1e-5)
    apart = [float((one - start).square().mean()) for one in found]
    if shape != (1, 1):
        assert apart == sorted(apart)
        assert apart[1] < apart[2]
    assert all(one.isfinite().all() for one in found)


def test_parts_move_and_do_not_only_get_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise alone is painted away again; farther is what more strength moves."""
    silent = "gouache.engine.variation._noise"
    monkeypatch.setattr(silent, lambda shape, rng: torch.zeros(1, *shape))
    start = latent(shape=(16, 16))
    mean, apart = start.mean((2, 3), keepdim=True), []
    for strength in (0.1, 0.3, 0.6):
        paled = mean + (1 - strength) * (start - mean)
        moved = disturbed(start, strength, picture_rngs(3, 1)) - paled
        apart.append(float(moved.square().mean().sqrt()) / (1 - strength))
    assert 0.01 < apart[0] < apart[1] < apart[2]


def test_noise_is_on_the_scale_of_the_latent() -> None:
    start = latent(shape=(32, 32)) * 3 + 7
    noise = disturbed(start, 1.0, picture_rngs(3, 1))
    assert (noise.mean((2, 3)) - start.mean((2, 3))).abs().max() < start.std() / 2
    ratio = noise.std((2, 3)) / start.std((2, 3))
    assert ((ratio > 0.5) & (ratio < 2)).all()


@pytest.mark.parametrize("shape", [(6, 8), (16, 16), (1, 9), (2, 2)])
def test_each_cell_comes_from_one_of_two(shape: tuple[int, int]) -> None:
    first, second = torch.zeros(1, 6, *shape), torch.ones(1, 6, *shape)
    found = crossed(first, second, picture_rngs(3, 1))
    assert set(found.unique().tolist()) == {0.0, 1.0}
    assert (found == found[:, :1]).all()
    assert 0.3 <= found.mean() <= 0.6
    other = crossed(first, second, picture_rngs(4, 1))
    assert shape[0] * shape[1] < 8 or not torch.equal(found, other)


@pytest.mark.parametrize("how", ["disturbed", "crossed"])
def test_a_picture_is_the_same_in_a_batch(files: dict[str, str], how: str) -> None:
    settings: dict[str, Any] = dict(files)
    if how == "disturbed":
        settings = {"init_image": files["init_image"], "init_disturb": 0.5}
    batch = tiny_session(count=3, seed=5, **settings).latent()
    alone = tiny_session(seed=6, **settings).latent()
    assert torch.equal(batch[1], alone[0])
    assert not torch.equal(batch[0], batch[1])
    plain = tiny_session(init_image=files["init_image"]).latent()
    assert not torch.equal(plain[0], batch[0])


def test_it_goes_on_from_its_file(files: dict[str, str], tmp_path: Path) -> None:
    session = tiny_session(**files, init_disturb=0.3)
    record = session.record({}, 0)
    assert record["config"]["cross_image"] == "b.png"
    assert [one["setting"] for one in record["inputs"]] == ["init_image", "cross_image"]
    next(session)
    save_session(session, tmp_path / "state")
    again = resume_session(tmp_path / "state", generator=TinyGenerator(), perceptor=TinyPerceptor())
    assert torch.equal(next(session).image, next(again).image)
    assert again.record({}, 0)["lineage"] == record["lineage"]
    assert record["lineage"]["how"] == "evolve"
    assert [one["name"] for one in record["lineage"]["parents"]] == ["a.png", "b.png"]


@pytest.mark.parametrize("settings", [{"init_disturb": 0.5}, {"cross_image": "b.png"}])
def test_there_has_to_be_a_picture(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="without an init image; give init_image"):
        tiny_session(**settings)
