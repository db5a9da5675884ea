"""How unlikely a picture is by the prior: the density, what is hidden, and the term in the loop."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from gouache.engine import Session, resume_session, save_session
from gouache.generators import load_generator
from gouache.priors import loading
from gouache.priors.likelihood import GROUPS, VARIANCE, PriorLoss, hidden_cells, surprise
from gouache.priors.loading import Proposer
from gouache.protocols import CodebookGenerator, LossContext, with_codebook
from priors.tiny_prior import random
from tiny import TinyPerceptor, tiny_config

SQUARE, WIDE = (32, 32), (48, 32)  # on the prior's own grid, and not


# ---- the density


def test_surprise_is_the_density_of_a_mixture_around_the_codes() -> None:
    cells, logits, codes = random(7, 3), random(7, 20, seed=1), random(20, 3, seed=2)
    around = Independent(Normal(codes, VARIANCE**0.5), 1)
    mixture = MixtureSameFamily(Categorical(logits=logits), around)  # type: ignore[abstract]
    apart = surprise(cells, logits, codes) + mixture.log_prob(cells)
    torch.testing.assert_close(apart, apart[:1].expand(7), atol=1e-5, rtol=1e-5)
    certain = torch.full((1, 20), -1e4).index_fill(1, torch.tensor([4]), 0.0)
    assert float(surprise(codes[4:5], certain, codes)) == pytest.approx(0, abs=1e-5)


def test_its_gradient_leads_to_what_is_near_and_expected() -> None:
    codes = 3 * random(20, 3)
    cells = random(5, 3, seed=1).requires_grad_()
    logits = random(5, 20, seed=2)
    (gradient,) = torch.autograd.grad(surprise(cells, logits, codes).sum(), cells)
    apart = torch.cdist(cells.detach(), codes).square()
    share = (logits.log_softmax(1) - apart / (2 * VARIANCE)).softmax(1)
    expected = (cells.detach() - share @ codes) / VARIANCE
    torch.testing.assert_close(gradient, expected, atol=1e-4, rtol=1e-4)


# ---- what is hidden


@pytest.mark.parametrize(("grid", "patch"), [(16, 2), (4, 2), (8, 1)])
def test_each_cell_is_hidden_once_in_a_turn_with_its_whole_patch(grid: int, patch: int) -> None:
    turns = [hidden_cells(grid, patch, step) for step in range(2 * GROUPS)]
    assert torch.equal(sum(t.int() for t in turns[:GROUPS]), torch.ones(grid, grid).int())
    assert all(map(torch.equal, turns[:GROUPS], turns[GROUPS:]))
    for turn in turns:
        patches = turn.view(grid // patch, patch, grid // patch, patch).movedim(1, 2).flatten(2)
        assert torch.equal(patches.all(2), patches.any(2))
        assert int(turn.sum()) == grid**2 // GROUPS


def test_hidden_cells_are_not_seen_and_all_else_is(files: Path) -> None:
    proposer, hidden = Proposer(), hidden_cells(4, 2, 1)
    latent = random(3, 4, 4)
    found = proposer.expected("a cat", latent, hidden)
    assert found.shape == (4, 20)
    other = torch.where(hidden, random(3, 4, 4, seed=1), latent)
    assert torch.equal(found, proposer.expected("a cat", other, hidden))
    seen = torch.where(hidden, latent, random(3, 4, 4, seed=1))
    assert not torch.equal(found, proposer.expected("a cat", seen, hidden))
    assert not torch.equal(found, proposer.expected("a blue boat", latent, hidden))


def test_pictures_travel_back_to_what_they_were_proposed_from(files: Path) -> None:
    proposer = Proposer()
    picture = random(1, 3, 32, 32).sigmoid()
    expected = proposer.generator.encode(picture)
    assert torch.equal(proposer.read(picture), expected)
    wide = torch.cat([torch.zeros(1, 3, 32, 9), picture, torch.ones(1, 3, 32, 9)], 3)
    assert torch.equal(proposer.read(wide), expected)
    assert torch.equal(proposer.read(wide.mT), proposer.generator.encode(picture.mT))
    assert proposer.read(random(2, 3, 64, 80)).shape == (2, 3, 4, 4)


# ---- the term


def context(image: Tensor, latent: Tensor, step: int = 0) -> LossContext:
    none = torch.zeros(0)
    return LossContext(image, latent, none, none, step, 10)


@pytest.mark.parametrize("direct", [True, False])
def test_a_picture_does_not_depend_on_its_neighbours(files: Path, direct: bool) -> None:
    texts, image, latent = (
        ["a cat", "", "a large red boat"],
        random(3, 3, 40, 48),
        random(3, 3, 4, 4),
    )
    image, latent = image.requires_grad_(), latent.requires_grad_()
    values = PriorLoss(0.5, texts, Proposer(), direct)(context(image, latent, 2))
    (gradients,) = torch.autograd.grad(values.sum(), latent if direct else image)
    assert values[1].detach() == 0
    assert not gradients[1].any()
    for number in (0, 2):
        one, own = (x[number : number + 1].detach().requires_grad_() for x in (image, latent))
        value = PriorLoss(1.0, texts[number : number + 1], Proposer(), direct)(context(one, own, 2))
        (gradient,) = torch.autograd.grad(value, own if direct else one)
        torch.testing.assert_close(values[number], 0.5 * value[0])
        torch.testing.assert_close(gradients[number], 0.5 * gradient[0])
        assert gradient.any()


def test_without_words_nothing_is_said(files: Path) -> None:
    values = PriorLoss(1.0, ["", ""], Proposer(), True)(context(random(2, 3, 9, 9), random(0)))
    assert torch.equal(values, torch.zeros(2))


# ---- in the loop


def generator(files: Path) -> CodebookGenerator:
    found = with_codebook(load_generator(str(files / "generator.safetensors")))
    assert found is not None
    return found


def session(files: Path, **settings: Any) -> Session:
    config = tiny_config(**{"size": SQUARE, "prior_weight": 0.2, **settings})
    return Session.build(config, generator=generator(files), perceptor=TinyPerceptor())


def painted(session: Session) -> Tensor:
    for _ in session:
        pass
    return session.picture()


@pytest.mark.parametrize("size", [SQUARE, WIDE])
@pytest.mark.parametrize("latent", ["quantized", "multiscale"])
def test_what_is_painted_is_more_likely_with_it(
    files: Path, size: tuple[int, int], latent: str
) -> None:
    def unlikely(weight: float) -> float:
        """The term's mean over a turn, at the end."""
        made = session(files, size=size, latent=latent, prior_weight=weight, steps=24)
        painted(made)
        proposer = Proposer(made.models.generator)
        term = PriorLoss(1.0, ["a red apple"], proposer, size == SQUARE)
        seen = [context(made.picture(), made.latent(), step) for step in range(GROUPS)]
        return float(torch.cat([term(one) for one in seen]).mean())

    assert unlikely(30.0) < unlikely(0.0) - 0.01


@pytest.mark.parametrize("size", [SQUARE, WIDE])
def test_a_resumed_run_is_the_same(files: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    settings: dict[str, Any] = {"size": size, "prompt": "a cat ^ a boat", "steps": (3, 3)}
    expected = painted(session(files, **settings))
    begun = session(files, **settings)
    list(islice(begun, 2))
    save_session(begun, tmp_path / "state")
    again = resume_session(
        tmp_path / "state", generator=generator(files), perceptor=TinyPerceptor()
    )
    assert torch.equal(painted(again), expected)


@pytest.mark.parametrize("size", [SQUARE, WIDE])
def test_each_picture_of_a_batch_is_the_one_painted_alone(
    files: Path, size: tuple[int, int]
) -> None:
    texts = ("a cat", "a large blue boat")
    batch = painted(session(files, size=size, prompt=texts, count=3, seed=5))
    for number in range(3):
        alone = session(files, size=size, prompt=texts[number % 2], seed=5 + number)
        torch.testing.assert_close(batch[number], painted(alone)[0], atol=1e-4, rtol=1e-4)


def test_it_follows_the_words_of_the_stage_and_of_the_hand(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    plain = Proposer.expected

    def expected(self: Proposer, text: str, *rest: Tensor) -> Tensor:
        heard.append(text)
        return plain(self, text, *rest)

    monkeypatch.setattr(Proposer, "expected", expected)
    made = session(files, prompt="a cup:0.5 | a cat | rain:-1 ^ a boat", steps=(1, 2))
    next(made)
    next(made)
    made.set_prompt("a tree")
    step = next(made)
    assert heard == ["a cat, a cup", "a boat", "a tree"]
    assert "prior" in step.losses


def test_where_it_is_off_nobody_asks_the_prior(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("loaded")

    expected = painted(session(files, prior_weight="0:(0), 9:(0)"))
    monkeypatch.setattr(loading, "Proposer", refuse)
    made = session(files, prior_weight=0.0)
    assert torch.equal(painted(made), expected)
    silent: dict[str, Any] = {"prompt": "", "noise_prompts": ("3:1",)}
    one, other = (painted(session(files, prior_weight=w, **silent)) for w in (0.0, 0.2))
    assert torch.equal(one, other)


def test_a_weight_over_the_steps(files: Path) -> None:
    losses: Sequence[float] = [
        float(step.losses["prior"]) for step in session(files, prior_weight="linear(0, 1)", steps=4)
    ]
    assert losses[0] == 0
    assert min(losses[1:]) > 0
