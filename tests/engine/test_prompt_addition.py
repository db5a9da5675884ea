"""Several prompts as one direction: `combine=embedding`."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from gouache.engine import resume_session, save_session
from gouache.engine.session import Session
from gouache.engine.targets import Target, add_up
from gouache.errors import PromptError
from gouache.losses import ContrastLoss, PromptLoss
from gouache.networks.models import Guide
from gouache.prompts import Prompt
from gouache.settings.config import PaintConfig
from tiny import TinyGenerator, TinyPerceptor, tiny_config, tiny_session

A, B, C = F.normalize(torch.randn(3, 1, 12, generator=torch.Generator().manual_seed(0)), dim=-1)


def target(embedding: torch.Tensor, weight: float = 1.0, stop: float = -math.inf) -> Target:
    return Target("prompt/0", Prompt(text="x", weight=weight, stop=stop), (embedding,))


def test_the_sum_points_to_the_weighted_mean() -> None:
    (found,) = add_up([target(A), target(B, 3.0)])
    torch.testing.assert_close(found.embeddings[0], F.normalize(A + 3 * B, dim=-1))
    assert found.prompt.weight == 4.0
    assert found.prompt.stop == -math.inf
    assert found.name == "prompt/sum"


def test_negative_weights_subtract_and_do_not_add_weight() -> None:
    (found,) = add_up([target(A, 2.0), target(B, -0.5, stop=-9.0)])
    torch.testing.assert_close(found.embeddings[0], F.normalize(2 * A - 0.5 * B, dim=-1))
    assert found.prompt.weight == 2.0


def test_when_nothing_is_wished_for_the_mean_is_pushed_away() -> None:
    (found,) = add_up([target(A, -1.0), target(B, -2.0)])
    torch.testing.assert_close(found.embeddings[0], F.normalize(A + 2 * B, dim=-1))
    assert found.prompt.weight == -3.0


def test_stops_are_averaged_and_one_without_means_none() -> None:
    (found,) = add_up([target(A, 1.0, 0.2), target(B, 3.0, 0.6)])
    assert found.prompt.stop == pytest.approx(0.5)
    (found,) = add_up([target(A, 1.0, 0.2), target(B)])
    assert found.prompt.stop == -math.inf


def test_lone_and_weightless_prompts_stay_what_they_are() -> None:
    lone = target(A)
    assert add_up([lone, target(B, 0.0)]) == (lone,)
    assert add_up([]) == ()


def test_directions_that_cancel_are_an_error() -> None:
    with pytest.raises(PromptError, match="cancel each other"):
        add_up([target(A), target(A, -1.0)])


def test_one_loss_one_contrast_and_the_score_of_the_sum() -> None:
    session = tiny_session(bank_size=30, prompt="apple | pear:2", combine="embedding")
    assert [str(prompt) for prompt in session.prompts] == ["apple", "pear:2"]
    assert set(next(session).losses) == {"prompt/sum", "contrast/sum", "latent"}
    loss = tiny_session(bank_size=30, prompt="apple | pear:2")
    assert {"prompt/0", "prompt/1"} <= set(next(loss).losses)
    apple, pear = TinyPerceptor().embed_text(["apple", "pear"])
    summed = F.normalize(apple + 2 * pear, dim=-1)
    views = session.models.embed_calm(
        session.models.guides[0].perceptor, session.picture(), session.config.cutouts
    )
    expected = (views @ summed).mean(0)
    torch.testing.assert_close(session.scores(), expected)


def test_each_guide_has_its_own_sum() -> None:
    guides = [Guide(TinyPerceptor(), 1.0), Guide(TinyPerceptor(seed=8), 0.5)]
    config = tiny_config(prompt="apple | pear", combine="embedding", contrast_weight=0.0)
    session = Session.build(config, generator=TinyGenerator(), perceptor=guides)
    weights = [
        [float(term.weight) for term in terms if isinstance(term, PromptLoss)]
        for terms in session._objective._of_guides[0]
    ]
    assert weights == [[2.0], [1.0]]


def test_synonyms_of_the_parts_and_of_the_sum_are_no_rivals() -> None:
    perceptor = TinyPerceptor(3)
    apple, pear = perceptor.embed_text(["apple", "pear"])
    perceptor.bank = torch.stack([apple, F.normalize(apple + pear, dim=-1), -apple])
    config = tiny_config(prompt="apple | pear", combine="embedding")
    session = Session.build(config, generator=TinyGenerator(), perceptor=perceptor)
    (contrast,) = [t for t in session._objective._of_guides[0][0] if isinstance(t, ContrastLoss)]
    torch.testing.assert_close(contrast.rivals, -apple[None])


def test_prompts_may_change_and_runs_resume(tmp_path: Path) -> None:
    session = tiny_session(prompt="apple | pear", combine="embedding", noise_prompts=("7:0.3",))
    next(session)
    session.set_prompt("plum | fig")
    assert [prompt.kind for prompt in session.prompts] == ["text", "text", "noise"]
    next(session)
    save_session(session, tmp_path / "state")
    again = resume_session(tmp_path / "state", generator=TinyGenerator(), perceptor=TinyPerceptor())
    for mine, other in zip(session, again, strict=True):
        assert torch.equal(mine.image, other.image)
    assert torch.equal(session.picture(), again.picture())


def test_it_is_a_setting() -> None:
    assert PaintConfig().guidance.combine == "loss"
