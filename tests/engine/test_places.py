"""Prompts with places: what they are asked of, and that all laws of prompts hold for them."""

from __future__ import annotations

import warnings
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gouache.cutouts import sample
from gouache.editing.relative import check_relative
from gouache.engine import Guide, Session, resume_session, save_session
from gouache.engine.objective import count_places
from gouache.engine.targets import UnknownPlaceWarning
from gouache.errors import PromptError
from gouache.placing import PLACES
from gouache.settings.config import CutoutConfig
from tiny import TinyGenerator, TinyPerceptor, tiny_config, tiny_session

PLACED = (
    "a red apple @left | rain:-0.5 @top right",
    "a blue boat | a cup:2:0.9 @0.1,0.5,0.6,0.9",
    "a tree",
    "a dog @right",
)


def several(prompts: tuple[str, ...] = PLACED, **settings: Any) -> Session:
    settings = {"count": len(prompts), "bank_size": 30, "num_cutouts": 8, **settings}
    return tiny_session(prompt="", prompts=prompts, **settings)


def alone(picture: int, seed: int, **settings: Any) -> Session:
    settings = {"bank_size": 30, "num_cutouts": 8, **settings}
    return tiny_session(prompt=PLACED[picture], seed=seed + picture, **settings)


def final(session: Session) -> Tensor:
    for _ in session:
        pass
    return session.picture()


@pytest.mark.parametrize(
    "settings",
    [{}, {"start_tries": 3, "start_steps": 2, "start_scale": 0.5}, {"clip_grad": 0.05}],
    ids=["plain", "tries", "clipped"],
)
def test_each_picture_is_the_one_painted_alone(settings: dict[str, Any]) -> None:
    together = several(seed=10, **settings)
    batch = final(together)
    for k in range(len(PLACED)):
        one = alone(k, 10, **settings)
        torch.testing.assert_close(batch[k], final(one)[0], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(together.scores()[k], one.scores()[0], atol=1e-4, rtol=1e-4)


def test_a_picture_without_places_keeps_its_pixels_beside_others() -> None:
    plain = several(("a tree", "a dog"))
    beside = several(("a tree", "a dog @left"))
    assert torch.equal(final(plain)[0], final(beside)[0])
    assert not torch.equal(plain.picture()[1], beside.picture()[1])


def test_chunks_of_cutouts_pull_as_all_at_once() -> None:
    found = []
    for chunk in (1, 5, 10_000):
        session = several()
        session.models.memory.chunk = chunk
        step = next(session)
        found.append((step.total, session.latent()))
    for total, latent in found[1:]:
        torch.testing.assert_close(total, found[0][0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(latent, found[0][1], atol=1e-4, rtol=1e-4)


def test_what_is_asked_at_the_left_is_painted_at_the_left() -> None:
    size = {"size": (64, 64), "start_tries": 1, "num_cutouts": 16}
    settings: dict[str, Any] = {**size, "steps": (1,), "latent_weight": 0, "augment": "none"}
    moved = []
    for place in ("", " @left", " @right"):
        session = tiny_session(prompt=f"a red apple{place}", **settings)
        before = session.latent()
        next(session)
        change = (session.latent() - before).abs().sum(1)[0]
        half = change.shape[1] // 2
        moved.append(float(change[:, :half].sum() / change[:, half:].sum()))
    assert moved[1] > 1.1 * moved[0]
    assert moved[2] < moved[0] / 1.1


def test_the_score_of_a_place_is_that_of_what_is_there() -> None:
    grey = torch.full((1, 3, 64, 64), 0.7)  # 0.5 has no direction for the tiny guide
    there, beside = grey.clone(), grey.clone()
    there[..., :16] = beside[..., 48:] = 0
    score = several(("a red apple @left",), size=(64, 64))._objective.scores
    plain = float(score(grey, 0))
    assert float(score(beside, 0)) == pytest.approx(plain, abs=1e-6)
    assert abs(float(score(there, 0)) - plain) > 1e-4


def test_cutouts_count_by_the_share_that_shows_the_place() -> None:
    left = PLACES["left"]
    config = CutoutConfig(num_cutouts=4, whole_share=0.5, augment=())
    params = sample(config, 1, (512, 512), [torch.Generator().manual_seed(0)], [(None, left)])
    everywhere, there = count_places(params, [left], torch.device("cpu"))[..., 0]
    assert bool((everywhere == 1).all())
    assert float(there.mean()) == pytest.approx(1)
    assert float(there[0] / there[3]) == pytest.approx(1 / 16)  # the whole picture, a detail


@pytest.mark.parametrize("at", [1, 4])
def test_resumed_runs_end_in_the_same_pixels(at: int, tmp_path: Path) -> None:
    prompts = tuple(f"{prompt} ^ a ruin @bottom" for prompt in PLACED)
    whole = final(several(prompts, steps=(3, 3)))
    session = several(prompts, steps=(3, 3))
    list(islice(session, at))
    save_session(session, tmp_path / "state")
    again = resume_session(
        tmp_path / "state", generator=TinyGenerator(), perceptor=TinyPerceptor(30)
    )
    assert again.prompts == session.prompts
    assert torch.equal(final(again), whole)
    assert again.record({}, 0)["prompt"] == prompts[0]


def test_other_words_may_have_places_and_records_tell(tmp_path: Path) -> None:
    session = tiny_session(bank_size=30, steps=(4,))
    next(session)
    session.set_prompt("a blue boat:2 @top left")
    (asked,) = session.prompts
    assert (asked.place, str(asked)) == (PLACES["top left"], "a blue boat:2 @top left")
    (edit,) = session.record({}, 0)["edits"]
    assert list(edit["prompts"][0]["prompt"]["place"]) == [0.0, 0.0, 0.5, 0.5]
    save_session(session, tmp_path / "state")
    expected = final(session)
    again = resume_session(
        tmp_path / "state", generator=TinyGenerator(), perceptor=TinyPerceptor(30)
    )
    assert torch.equal(final(again), expected)


def test_several_guides_see_their_share_of_a_place() -> None:
    guides = [Guide(TinyPerceptor(30)), Guide(TinyPerceptor(30, seed=8), 0.5)]
    both = Session.build(
        tiny_config(prompt=PLACED[0], num_cutouts=8), generator=TinyGenerator(), perceptor=guides
    )
    parts = [
        Session.build(
            tiny_config(prompt=PLACED[0], num_cutouts=8),
            generator=TinyGenerator(),
            perceptor=[guide],
        )
        for guide in guides
    ]
    losses = [next(session).losses for session in (both, *parts)]
    for name in ("prompt/0", "prompt/1", "contrast/0"):
        torch.testing.assert_close(losses[0][name], losses[1][name] + losses[2][name])


def test_sums_of_prompts_have_no_places() -> None:
    with pytest.raises(PromptError, match=r"'b @left' has a place.*set combine to loss"):
        tiny_session(prompt="a | b @left", combine="embedding")
    lone = tiny_session(prompt="x:0 @top | a @left", combine="embedding", steps=(2,))
    assert torch.equal(final(lone), final(tiny_session(prompt="a @left", steps=(2,))))


def test_what_is_nearly_a_place_is_told_and_painted_as_words() -> None:
    with pytest.warns(UnknownPlaceWarning, match="@lefft .is it @left.*painted as words"):
        session = tiny_session(prompt="a boat @lefft")
    assert session.prompts[0].text == "a boat @lefft"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tiny_session(prompt="mail @bob | a boat @left")


def test_edits_from_one_phrase_to_another_know_no_place() -> None:
    with pytest.raises(PromptError, match="knows no place; leave it out"):
        check_relative("a green apple @left")


def test_unwanted_things_of_a_place_are_no_rivals_elsewhere() -> None:
    session = several(("a tree @right | a tree:-1 @left",))
    losses = next(session).losses
    assert set(losses) == {"prompt/0", "prompt/1", "contrast/0", "latent"}
    terms = session._objective._of_guides[0][0]
    (contrast,) = [term for term in terms if term.name == "contrast/0"]
    tree = session.stages[0].targets[0].embeddings[0]
    assert not bool((contrast.rivals @ tree.T > 0.99).any())  # type: ignore[attr-defined]
