"""Two things in one prompt are asked for in their halves of the picture."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch

from gouache.editing.config import painting_config
from gouache.engine import Session, resume_session, save_session
from gouache.engine.targets import LaidOutWarning
from gouache.placing import PLACES, two_things
from gouache.settings.config import PaintConfig, make_config
from tiny import TinyGenerator, TinyPerceptor, tiny_session

PLAIN = "a cat and a dog"
PLACED = "a cat @left | a dog @right"


def final(session: Session) -> torch.Tensor:
    for _ in session:
        pass
    return session.picture()


def placed(text: str) -> str | None:
    found = two_things(text)
    names = {place: name for name, place in PLACES.items()}
    return found and " | ".join(f"{thing} @{names[place]}" for thing, place in found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PLAIN, PLACED),
        ("The Sun ABOVE  a red house", "The Sun @top | a red house @bottom"),
        ("a fish below a boat", "a fish @bottom | a boat @top"),
        ("a knife to the right of the fork", "a knife @right | the fork @left"),
        ("one tree next to an old stone castle", "one tree @left | an old stone castle @right"),
        ("a bird on a branch", None),
        ("a black and white photograph of a tree", None),
        ("an oil painting of a cat and a dog", None),
        ("a cat and a dog in the snow", None),
        ("a cat, a dog and a bird", None),
        ("a cat and a dog and a bird", None),
        ("a mother and child", None),
        ("sweet and sour", None),
        ("a man and a very long old winding grey road", None),
        ("and", None),
        ("", None),
    ],
)
def test_what_two_things_are_and_where(text: str, expected: str | None) -> None:
    assert placed(text) == expected


def test_by_default_each_has_its_half_and_a_line_says_so() -> None:
    with pytest.warns(LaidOutWarning, match=r"a cat @left \| a dog @right; layout off") as told:
        auto = tiny_session(prompt=PLAIN, layout="auto", seed=3)
    assert len(told) == 1
    with warnings.catch_warnings():  # nothing is said of what nobody lays out
        warnings.simplefilter("error")
        tiny_session(prompt=f"a tree | {PLAIN}:-1", layout="auto")
        by_hand = tiny_session(prompt=PLACED, seed=3)
        whole = tiny_session(prompt=PLAIN, layout="off", seed=3)
    assert torch.equal(final(auto), final(by_hand))
    assert not torch.equal(auto.picture(), final(whole))
    assert auto.config.prompt == (PLAIN,)  # as it was written


def test_other_parts_stages_and_pictures_stay() -> None:
    config = make_config(prompt=(f"{PLAIN}:2:0.5 | fog:-1 ^ a tree",))
    first, second = config.stages
    assert [str(part) for part in first[0]] == ["a cat:2:0.5 @left", "a dog:2:0.5 @right", "fog:-1"]
    assert [str(part) for part in second[0]] == ["a tree"]
    unwanted = make_config(prompt=(f"a tree | {PLAIN}:-1", PLAIN + " @left"))
    assert [len(own) for own in unwanted.stages[0]] == [2, 1]


def test_where_words_are_taken_as_a_whole() -> None:
    """Sums have no places; old presets, records and edits keep their pictures."""
    assert len(make_config(prompt=(PLAIN,)).stages[0][0]) == 2
    for config in (
        make_config(prompt=(PLAIN,), layout="off"),
        make_config(prompt=(PLAIN,), combine="embedding"),
        make_config("pocket", prompt=(PLAIN,)),
        make_config("paper", prompt=(PLAIN,)),
        painting_config("auto", {"prompt": PLAIN}),
    ):
        assert len(config.stages[0][0]) == 1
    record = make_config(prompt=(PLAIN,)).to_dict()
    assert len(PaintConfig.from_dict(record).stages[0][0]) == 2
    del record["guidance"]["layout"]  # of an earlier version
    assert len(PaintConfig.from_dict(record).stages[0][0]) == 1


def test_words_said_during_a_run_are_laid_out_too_and_resumed(tmp_path: Path) -> None:
    models = {"generator": TinyGenerator(), "perceptor": TinyPerceptor()}
    session, other = (tiny_session(prompt="a tree", layout="auto", seed=1) for _ in range(2))
    for one, text in ((session, PLAIN), (other, PLACED)):
        next(one)
        one.set_prompt(text)
        next(one)
    assert [str(prompt) for prompt in session.prompts] == ["a cat @left", "a dog @right"]
    save_session(session, tmp_path / "state.pt")
    again = resume_session(tmp_path / "state.pt", **models)  # type: ignore[arg-type]
    assert torch.equal(final(again), final(other))
    assert torch.equal(final(session), other.picture())
