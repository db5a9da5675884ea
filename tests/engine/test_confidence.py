"""Guides that know how much they know, and that are shown fewer cutouts than there are."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

import gouache.engine.objective as objective
from gouache.cutouts import sample
from gouache.engine import Session, save_session
from gouache.engine.checkpoint import resume_session
from gouache.engine.targets import UnknownPromptWarning
from gouache.errors import ConfigError
from gouache.networks.models import Guide
from gouache.perceptors import perceptors
from tiny import TinyGenerator, TinyPerceptor, tiny_config


class Doubting(TinyPerceptor):
    """Knows of each text what `known` says, and everything of all others."""

    name = "doubting"
    fingerprint = "e" * 64
    most_cutouts = 100

    def __init__(self, seed: int = 8, known: dict[str, float] | None = None) -> None:
        super().__init__(seed=seed)
        self.known = known or {}

    def confidence(self, texts: Sequence[str]) -> Tensor:
        return torch.tensor([self.known.get(text, 1.0) for text in texts])


def session(doubting: Any, prompt: str = "x", weight: float = 0.5, **settings: Any) -> Session:
    given = [Guide(TinyPerceptor()), Guide(doubting, weight)]
    config = tiny_config(prompt=prompt, perceptor=["tiny", f"doubting:{weight}"], **settings)
    return Session.build(config, generator=TinyGenerator(), perceptor=given)


def last(run: Session) -> Tensor:
    return [step.image for step in run][-1]


def test_confidence_multiplies_the_weight() -> None:
    """Half sure at weight 1 is as good as sure at weight 0.5."""
    half = session(Doubting(known={"x": 0.5}), weight=1.0)
    sure = session(Doubting(), weight=0.5)
    for one, other in zip(half, sure, strict=True):
        assert torch.equal(one.image, other.image)
        assert torch.equal(one.losses["prompt/0"], other.losses["prompt/0"])


def test_one_that_knows_nothing_is_as_if_it_were_not_there() -> None:
    silent = Doubting(known={"x": 0.0})
    seen: list[int] = []
    silent.embed_image = lambda image: seen.append(len(image))  # type: ignore
    with pytest.warns(UnknownPromptWarning, match="doubting does not know 'x'; tiny guides"):
        with_silent = session(silent)
    assert not seen  # nor does it cost anything
    alone = Session.build(
        tiny_config(prompt="x"), generator=TinyGenerator(), perceptor=TinyPerceptor()
    )
    for one, other in zip(with_silent, alone, strict=True):
        assert torch.equal(one.image, other.image)


def test_it_is_silent_on_one_prompt_and_speaks_of_another() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        both = session(Doubting(known={"x": 0.0}), "x | y")
    assert [str(w.message).count("'x'") for w in caught] == [1]
    step = next(both)
    alone = next(
        Session.build(
            tiny_config(prompt="x | y"), generator=TinyGenerator(), perceptor=TinyPerceptor()
        )
    )
    assert torch.equal(step.losses["prompt/0"], alone.losses["prompt/0"])
    assert not torch.equal(step.losses["prompt/1"], alone.losses["prompt/1"])


def test_a_batch_gives_each_picture_its_own_confidence() -> None:
    known = {"x": 0.25, "y": 1.0}
    together = session(Doubting(known=known), "", prompts=["x", "y"], count=2)
    apart = [
        session(Doubting(known=known), text, seed=seed) for seed, text in enumerate(("x", "y"))
    ]
    pictures = last(together)
    for k, run in enumerate(apart):
        torch.testing.assert_close(pictures[k], last(run)[0], atol=1e-5, rtol=0)


def test_scores_leave_out_who_knows_nothing() -> None:
    silent = session(Doubting(known={"x": 0.0}))
    alone = Session.build(
        tiny_config(prompt="x"), generator=TinyGenerator(), perceptor=TinyPerceptor()
    )
    torch.testing.assert_close(silent.scores(), alone.scores())


def test_nobody_knows_the_only_prompt() -> None:
    with pytest.raises(ConfigError, match="does not know"):
        Session.build(
            tiny_config(prompt="x"),
            generator=TinyGenerator(),
            perceptor=Doubting(known={"x": 0.0}),
        )


def test_confidence_is_part_of_the_state(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The resumed run does not ask the guide again; it ends in the same pixels."""
    first = session(Doubting(known={"x": 0.3}), steps=4)
    next(first)
    next(first)
    save_session(first, tmp_path / "state.safetensors")
    expected = list(first)
    forgetful = Doubting()  # would say that it knows all
    known: dict[str, Any] = {"tiny": lambda d: TinyPerceptor(), "doubting": lambda d: forgetful}
    perceptors.names()
    monkeypatch.setattr(perceptors, "_references", {**perceptors._references, **known})
    resumed = resume_session(tmp_path / "state.safetensors", generator=TinyGenerator())
    for one, other in zip(resumed, expected, strict=True):
        assert torch.equal(one.image, other.image)
        assert torch.equal(one.losses["prompt/0"], other.losses["prompt/0"])


def test_changed_words_are_asked_about() -> None:
    run = session(Doubting(known={"x": 1.0, "y": 0.0}))
    next(run)
    with pytest.warns(UnknownPromptWarning):
        run.set_prompt("y")
    assert run.stages[0].targets[0].confidences == (1.0, 0.0)


def test_large_networks_are_shown_some_of_the_cutouts(monkeypatch: pytest.MonkeyPatch) -> None:
    few = Doubting()
    few.most_cutouts = 2
    run = session(few, num_cutouts=5, augment="flip,affine,noise")
    shown: list[tuple[int, Any]] = []
    apply = objective.cutouts.apply

    def applied(image: Tensor, params: Any, size: int) -> Tensor:
        shown.append((params.num_cutouts, params))
        return apply(image, params, size)

    monkeypatch.setattr(objective.cutouts, "apply", applied)
    next(run)
    assert [number for number, _ in shown] == [5, 2]
    all_of_them, some = (params for _, params in shown)
    assert torch.equal(some.homographies, all_of_them.homographies[[0, 4]])


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many cutouts each guide was shown, step after step."""
    counts: list[int] = []
    apply = objective.cutouts.apply

    def applied(image: Tensor, params: Any, size: int) -> Tensor:
        counts.append(params.num_cutouts)
        return apply(image, params, size)

    monkeypatch.setattr(objective.cutouts, "apply", applied)
    return counts


def test_tries_of_a_start_are_shown_fewer(shown: list[int]) -> None:
    """A quarter of the area, a quarter of the cutouts; guides without a limit see all."""
    few = Doubting()
    few.most_cutouts = 8
    settings = {"start_tries": 2, "start_steps": 1, "start_scale": 0.5}
    run = session(few, num_cutouts=9, **settings)
    assert shown[:2] == [9, 2]
    next(run)
    assert shown[-2:] == [9, 8]


@pytest.mark.parametrize(
    ("prompt", "most", "tried"),
    [("x @left | y @right", 4, 2), ("x @left | y @right | z", 4, 3), ("x @left | y @right", 1, 1)],
)
def test_tries_are_shown_one_cutout_of_each_place(
    shown: list[int], prompt: str, most: int, tried: int
) -> None:
    """A quarter of the cutouts would not look at all that is asked; never more than the limit."""
    few = Doubting()
    few.most_cutouts = most
    settings = {"start_tries": 2, "start_steps": 1, "start_scale": 0.5}
    run = session(few, prompt, num_cutouts=9, **settings)
    assert shown[:2] == [9, tried]
    next(run)
    assert shown[-2:] == [9, most]


def test_at_most_keeps_what_each_cutout_is() -> None:
    config = tiny_config(num_cutouts=7, augment="flip,affine,perspective,color,erasing,noise")
    rngs = [torch.Generator().manual_seed(seed) for seed in range(2)]
    params = sample(config.cutouts, 2, (16, 16), rngs)
    assert params.at_most(None) is params
    assert params.at_most(9) is params
    part = params.at_most(3)
    assert part.num_cutouts == 3
    for name in ("homographies", "mean_outside", "color", "erase", "noise_scale"):
        assert torch.equal(getattr(part, name), getattr(params, name)[[0, 3, 6]])
    assert torch.equal(part.noise_seed, params.noise_seed)


def test_pictures_that_are_asked_nothing_new_keep_their_confidence() -> None:
    known = {"x": 0.25, "y": 0.5}
    run = session(Doubting(known=known), "", prompts=["x", "y"], count=2)
    next(run)
    run.set_prompt("z", index=0)
    found = {t.prompt.text: t.confidences for t in run.stages[0].targets}
    assert found == {"z": (1.0, 1.0), "y": (1.0, 0.5)}
