"""Edits from one phrase to another: both are prompts, and encoded as the settings say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from gouache.editing.config import EditConfig
from gouache.editing.editor import EditPlan, start
from gouache.editing.mask import check_phrase
from gouache.editing.relative import directions
from gouache.engine.build import prepare
from gouache.engine.targets import UnknownPromptWarning
from gouache.errors import PromptError
from gouache.networks.models import Guide
from tiny import TinyGenerator, TinyPerceptor, tiny_config

SOURCE = Image.new("RGB", (32, 24), (200, 30, 40))


def direction(old: str, new: str, **settings: Any) -> Tensor:
    """(1,D), of the second of two guides."""
    guides = (Guide(TinyPerceptor()), Guide(TinyPerceptor(seed=7), 0.5))
    config = tiny_config(prompt=new, **settings)
    parts = prepare(config, generator=TinyGenerator(), perceptor=guides)
    found = directions(old, parts)[1]
    assert found is not None
    return found


def unit(text: str) -> Tensor:
    return TinyPerceptor(seed=7).embed_text([text])


def test_phrases_are_added_and_subtracted_by_their_weights() -> None:
    plain = unit("a green apple") - unit("a red apple")
    assert torch.allclose(direction("a red apple", "a green apple"), plain)
    found = direction("a red apple:0.5 | rain", "a green apple:2 | a pear:-1")
    expected = 2 * unit("a green apple") - unit("a pear") - 0.5 * unit("a red apple") - unit("rain")
    assert torch.allclose(found, expected, atol=1e-6)
    assert torch.allclose(direction("a red apple", r"12\:30"), unit("12:30") - unit("a red apple"))


def test_templates_are_those_of_the_settings() -> None:
    off, on = (direction("a", "b", templates=value) for value in (False, True))
    assert torch.allclose(off, unit("b") - unit("a"))
    assert not torch.allclose(on, off, atol=1e-3)


def test_other_prompts_count_too_and_so_does_a_batch() -> None:
    plain = direction("a", "b")
    assert torch.equal(direction("a", "b", count=3), plain)
    assert not torch.allclose(direction("a", "b", noise_prompts=("3:2",)), plain, atol=1e-3)


@pytest.mark.parametrize(
    ("old", "message"),
    [
        ("a red apple ^ a pear", "has one stage; leave '\\^' out"),
        ("a red apple:1:0.5", "knows no stop; leave it out"),
        ("a red apple:0", "every part of the phrase has weight 0"),
        ("a red apple:nan", "the weight is 'nan'"),
        ("a | ", "a part of the prompt is empty"),
    ],
)
def test_what_has_no_meaning_is_refused(old: str, message: str) -> None:
    with pytest.raises(PromptError, match=message):
        EditPlan(SOURCE, EditConfig(), old=old)


def test_the_same_words_are_no_edit() -> None:
    with pytest.raises(PromptError, match="'a' and 'a' are the same, so nothing would change"):
        direction("a", "a")


@pytest.mark.parametrize("phrase", ["a:2", "a | b", "a ^ b", "a:1:0.5", "at 12:30", "a:nan", " "])
def test_what_to_look_for_is_one_phrase(phrase: str) -> None:
    with pytest.raises(PromptError):
        check_phrase(phrase)


def test_escapes_of_what_to_look_for_are_resolved() -> None:
    assert check_phrase(r" at  12\:30") == "at 12:30"


class Colourblind(TinyPerceptor):
    """Knows apples, and nothing of their colour."""

    most_cutouts = 4

    faintly = 0.0  # it sees colours

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        blind = super().embed_text([text.replace("green", "red") for text in texts])
        return F.normalize(blind + self.faintly * super().embed_text(texts), dim=-1)

    def confidence(self, texts: Sequence[str]) -> Tensor:
        return torch.tensor([float("apple" in text) for text in texts])


@pytest.mark.parametrize("faintly", [0.0, 0.02])
def test_a_guide_that_sees_no_difference_keeps_out(faintly: float) -> None:
    guides = (Guide(TinyPerceptor()), Guide(Colourblind(seed=7), 0.5))
    guides[1].perceptor.faintly = faintly  # type: ignore[attr-defined]

    def found(old: str, new: str) -> list[Tensor | None]:
        parts = prepare(tiny_config(prompt=new), generator=TinyGenerator(), perceptor=guides)
        return directions(old, parts)

    seen = found("a red apple", "a green apple")
    assert seen[0] is not None
    assert seen[1] is None
    with pytest.warns(UnknownPromptWarning):
        assert found("a red apple", "a red pear")[1] is None  # which it does not know
    assert found("a red apple", "an old apple")[1] is not None
    plan = EditPlan(SOURCE, EditConfig(), old="a red apple")
    config = tiny_config(prompt="a green apple", count=1)
    session = start(plan, config, sized=True, generator=TinyGenerator(), perceptor=guides)
    assert set(next(session).losses) >= {"direction"}


def test_one_alone_moves_by_any_difference() -> None:
    faint = Colourblind()
    faint.faintly = 0.02
    config = tiny_config(prompt="a green apple")
    parts = prepare(config, generator=TinyGenerator(), perceptor=faint)
    assert directions("a red apple", parts)[0] is not None


def test_other_prompts_change_nothing_and_that_is_said() -> None:
    """The way from one phrase to the other was found when the edit began."""

    def begun() -> Any:
        plan = EditPlan(SOURCE, EditConfig(), old="a red apple")
        models = {"generator": TinyGenerator(), "perceptor": TinyPerceptor()}
        return start(plan, tiny_config(prompt="a green apple"), sized=True, **models)

    session, other = begun(), begun()
    with pytest.warns(UserWarning, match="other prompts do not change it"):
        session.set_prompt("a boat")
    for _ in range(3):
        assert torch.equal(next(session).image, next(other).image)
