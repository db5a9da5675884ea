"""Losses by name: a setting asks for them, also for those of other packages."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from gouache.engine import Session, resume_session, save_session
from gouache.errors import ConfigError
from gouache.losses import losses
from gouache.protocols import LossContext
from gouache.runs.painting import paint
from gouache.settings.config import PaintConfig
from tiny import TinyGenerator, TinyPerceptor, tiny_config, tiny_session


class Darkness:
    """Pulls all pixels down."""

    scope: ClassVar[str] = "picture"
    name = "darkness"

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def __call__(self, context: LossContext) -> Tensor:
        return self.weight * context.image.flatten(1).mean(1)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a package with an entry point for `Darkness` were installed."""

    class Point:
        name, value = "darkness", f"{__name__}:Darkness"

    def points(group: str) -> list[Any]:
        return [Point()] if group == "gouache.losses" else []

    monkeypatch.setattr("gouache.registry.entry_points", points)
    monkeypatch.setattr(losses, "_references", dict(losses._references))
    monkeypatch.setattr(losses, "_scanned", False)


def final(session: Session) -> Tensor:
    return [step.image for step in session][-1]


@pytest.mark.usefixtures("installed")
def test_a_loss_of_another_package_is_asked_for_by_a_setting() -> None:
    named = tiny_session(losses=("darkness:5",))
    given = Session.build(
        tiny_config(),
        generator=TinyGenerator(),
        perceptor=TinyPerceptor(),
        losses=[Darkness(5.0)],
    )
    assert "darkness" in next(tiny_session(losses=("darkness",))).losses
    pictures = final(named)
    assert torch.equal(pictures, final(given))
    assert pictures.mean() < final(tiny_session()).mean()


@pytest.mark.usefixtures("installed")
def test_one_call_takes_names_and_objects() -> None:
    config = tiny_config()
    settings = {"size": config.size, "steps": 2, "start": "random", "start_tries": 1}
    models = {"generator": TinyGenerator(), "perceptor": TinyPerceptor(), "preset": "pocket"}
    for asked in ("darkness:2", ["darkness:2"], [Darkness(2.0)]):
        painting = paint("a", losses=asked, **models, **settings, start_steps=0, device="cpu")
        assert painting.losses["darkness"].shape == (2, 1)
        named = () if isinstance(asked[0], Darkness) else ("darkness:2",)
        assert painting.settings.guidance.losses == named


@pytest.mark.usefixtures("installed")
def test_a_resumed_run_has_it_again(tmp_path: Path) -> None:
    session = tiny_session(losses=("darkness:5",))
    next(session)
    save_session(session, tmp_path / "state")
    again = resume_session(tmp_path / "state", generator=TinyGenerator(), perceptor=TinyPerceptor())
    assert torch.equal(final(again), final(session))


def test_the_total_variation_by_name_is_the_one_of_its_weight() -> None:
    by_name, by_weight = tiny_session(losses=("tv:0.5",)), tiny_session(tv_weight=0.5)
    assert torch.equal(final(by_name), final(by_weight))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("tw", "no loss is called 'tw'; did you mean tv"),
        ("tv:-1", "the weight of the loss 'tv' is -1; expected a positive number"),
        ("", "the loss is ''; expected NAME or NAME:WEIGHT"),
    ],
)
def test_mistakes_are_told_before_anything_is_loaded(asked: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Session.build(PaintConfig().updated(prompt="a", generator="nothing", losses=(asked,)))
