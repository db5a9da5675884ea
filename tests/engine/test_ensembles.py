"""Several perceptors by name: each sees the same cutouts at its own size."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import gouache.engine.objective as objective
from gouache.engine import Session
from gouache.errors import ConfigError, ModelError
from gouache.networks.models import Guide, Models
from gouache.perceptors import perceptors
from gouache.runs.painting import paint
from gouache.settings.config import PaintConfig
from tiny import TinyGenerator, TinyPerceptor, tiny_config


class LargePerceptor(TinyPerceptor):
    """Sees 20 x 20 pixels, each as the mean of a block."""

    name = "large"
    fingerprint = "d" * 64
    image_size = 20

    def embed_image(self, image: Tensor) -> Tensor:
        assert image.shape[-2:] == (20, 20)
        return super().embed_image(F.interpolate(image, (8, 8), mode="area"))


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[str, Any] = {
        "test-small": lambda device: TinyPerceptor(),
        "test-large": lambda device: LargePerceptor(seed=8),
    }
    perceptors.names()  # entry points are looked for once
    monkeypatch.setattr(perceptors, "_references", {**perceptors._references, **known})


def session(*names: str) -> Session:
    return Session.build(tiny_config(perceptor=names), generator=TinyGenerator())


def test_names_and_weights_become_guides() -> None:
    config = PaintConfig().updated(perceptor=["test-small", "test-large:0.5"])
    models = Models.load(config, generator=TinyGenerator())
    assert [guide.perceptor.name for guide in models.guides] == ["tiny", "large"]
    assert [guide.weight for guide in models.guides] == [1.0, 0.5]


def test_each_sees_the_same_cutouts_at_its_own_size(monkeypatch: pytest.MonkeyPatch) -> None:
    draws: list[Any] = []
    views: list[tuple[Any, int, Tensor]] = []
    sample, apply = objective.cutouts.sample, objective.cutouts.apply

    def sampled(*arguments: Any) -> Any:
        draws.append(sample(*arguments))
        return draws[-1]

    def applied(image: Tensor, params: Any, size: int) -> Tensor:
        found = apply(image, params, size)
        views.append((params, size, found.detach()))
        return found

    both = Session.build(
        tiny_config(perceptor=["test-small", "test-large"], augment="flip,affine,perspective"),
        generator=TinyGenerator(),
    )
    monkeypatch.setattr(objective.cutouts, "sample", sampled)
    monkeypatch.setattr(objective.cutouts, "apply", applied)
    next(both)
    assert len(draws) == 1
    assert [size for _, size, _ in views] == [8, 20]
    assert all(params is draws[0] for params, _, _ in views)
    # The same places: reduced to the smaller size, the larger cutouts are nearly the smaller ones.
    small = views[0][2]
    reduced = F.interpolate(views[1][2], (8, 8), mode="bilinear", antialias=True)
    assert (small - reduced).abs().mean() < 0.2 * (small - small.roll(1, 0)).abs().mean()


def test_losses_add_up_with_their_weights() -> None:
    alone = [next(session(name)) for name in ("test-small", "test-large")]
    both = next(session("test-small", "test-large:0.5"))
    expected = alone[0].losses["prompt/0"] + 0.5 * alone[1].losses["prompt/0"]
    torch.testing.assert_close(both.losses["prompt/0"], expected)
    assert torch.equal(both.losses["latent"], alone[0].losses["latent"])  # asked once


@pytest.mark.parametrize("combine", ["loss", "embedding"])
def test_a_prompt_counts_by_its_weight_and_its_guides(combine: str) -> None:
    """The same start and cutouts: only the factors differ."""

    def losses(words: str, weight: float) -> dict[str, Tensor]:
        guides = [Guide(TinyPerceptor(20), weight)]
        config = tiny_config(prompt=words, combine=combine, latent_rule="off", tv_weight=0.0)
        session = Session.build(config, generator=TinyGenerator(), perceptor=guides)
        return dict(next(session).losses)

    plain, heavy = losses("a cup:1 | rain:-0.5", 1.0), losses("a cup:3 | rain:-1.5", 0.25)
    assert plain.keys() == heavy.keys() > set()
    for name, value in plain.items():
        torch.testing.assert_close(heavy[name], 0.75 * value, msg=name)


def test_the_score_is_the_mean_of_the_guides_by_their_weights() -> None:
    def scores(*weights: float) -> Tensor:
        both = TinyPerceptor(), LargePerceptor(seed=8)
        guides = [Guide(one, w) for one, w in zip(both, weights, strict=True) if w]
        return Session.build(tiny_config(), generator=TinyGenerator(), perceptor=guides).scores()

    expected = (scores(1.0, 0.0) + 3 * scores(0.0, 1.0)) / 4
    torch.testing.assert_close(scores(0.5, 1.5), expected)
    assert not torch.allclose(scores(1.0, 0.0), scores(0.0, 1.0))


def test_names_and_objects_paint_the_same_picture() -> None:
    by_name = session("test-small", "test-large:0.5")
    given = [Guide(TinyPerceptor()), Guide(LargePerceptor(seed=8), 0.5)]
    by_object = Session.build(
        tiny_config(perceptor=["test-small", "test-large:0.5"]),
        generator=TinyGenerator(),
        perceptor=given,
    )
    for one, other in zip(by_name, by_object, strict=True):
        assert torch.equal(one.image, other.image)


def test_one_call_takes_lists_of_names_or_of_guides() -> None:
    settings: dict[str, Any] = {
        "size": "16x16", "steps": 1, "num_cutouts": 2, "device": "cpu", "templates": False,
    }  # fmt: skip
    names = ["test-small", "test-large:0.5"]
    painted = paint("x", generator=TinyGenerator(), perceptor=names, **settings)
    assert painted.settings.perceptor == tuple(names)
    assert [entry["weight"] for entry in painted.records[0]["perceptors"]] == [1.0, 0.5]
    guides = [Guide(TinyPerceptor(), 2.0)]
    painted = paint("x", generator=TinyGenerator(), perceptor=guides, **settings)
    assert [entry["weight"] for entry in painted.records[0]["perceptors"]] == [2.0]
    mixed: Any = [*guides, "test-large"]
    with pytest.raises(ConfigError, match="names only, or Guide objects only"):
        paint("x", generator=TinyGenerator(), perceptor=mixed, **settings)


def test_an_unknown_one_among_several_is_named() -> None:
    with pytest.raises(ModelError, match="'test-lagre'; did you mean test-large"):
        session("test-small", "test-lagre:0.5")
