"""Pictures of one batch with prompts of their own: each is the one painted alone."""

from __future__ import annotations

import json
import math
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from gouache.engine import (
    Guide,
    Session,
    resume_session,
    save_session,
    terms,
)
from gouache.engine.objective import score
from gouache.engine.targets import StagePlan, Target, plan_stages
from gouache.errors import ConfigError, PromptError, StateError
from gouache.losses import ContrastLoss, PromptLoss, shared_rivals
from gouache.networks.models import Models
from gouache.output.pictures import read_metadata
from gouache.prompts import Prompt
from gouache.runs.painting import paint
from gouache.settings.config import make_config
from tiny import TinyGenerator, TinyPerceptor, tiny_config, tiny_session

# First wishes that differ in weight only, or in stop only; "rain" in the same place of two of them.
THREE = ("a red apple:0.6 | rain:-0.5", "a blue boat:1:0.9", "a cup | rain:-0.5 | a tree:2")


def several(prompts: tuple[str, ...] = THREE, **settings: Any) -> Session:
    settings = {"count": len(prompts), "bank_size": 30, **settings}
    return tiny_session(prompt="", prompts=prompts, **settings)


def alone(
    picture: int, prompts: tuple[str, ...] = THREE, seed: int = 0, **settings: Any
) -> Session:
    own = prompts[picture % len(prompts)]
    return tiny_session(**{"bank_size": 30, **settings}, prompt=own, seed=seed + picture)


def asked_by(plan: StagePlan, target: Target) -> list[int]:
    """The pictures that are asked it."""
    return [picture for picture, own in enumerate(plan.columns) if target in own]


def final(session: Session) -> Tensor:
    for _ in session:
        pass
    return session.picture()


LAWS: dict[str, dict[str, Any]] = {
    "plain": {},
    "added": {"combine": "embedding"},
    "busy": {"clip_grad": 0.05, "latent_average": 0.5, "noise_prompts": ("7:0.2",)},
    "multiscale": {"latent": "multiscale"},
    "tries": {"start_tries": 3, "start_scale": 0.5},
    "rehearsed": {"start_tries": 3, "start_steps": 2, "start_scale": 0.5},
    "no bank": {"bank_size": 0},
}


@pytest.mark.parametrize("settings", LAWS.values(), ids=LAWS.keys())
def test_each_picture_is_the_one_painted_alone_with_its_prompt(settings: dict[str, Any]) -> None:
    together = several(seed=10, **settings)
    batch = final(together)
    for number in range(3):
        one = alone(number, seed=10, **settings)
        torch.testing.assert_close(batch[number], final(one)[0], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(together.scores()[number], one.scores()[0], atol=1e-4, rtol=1e-4)


def test_losses_are_those_of_the_picture_alone() -> None:
    losses = next(several()).losses
    assert all(value.shape == (3,) for value in losses.values())
    for number in range(3):
        own = next(alone(number)).losses
        for name, value in losses.items():
            expected = own[name] if name in own else torch.zeros(1)
            torch.testing.assert_close(value[number : number + 1], expected)
        assert set(own) <= set(losses)


def test_pictures_take_the_prompts_in_turn() -> None:
    session = several(("a red apple", "a blue boat"), count=5)
    asked = [[str(prompt) for prompt in session.prompts_of(k)] for k in range(5)]
    assert asked == [["a red apple"], ["a blue boat"]] * 2 + [["a red apple"]]
    batch = final(session)
    for number in range(5):
        one = final(alone(number, ("a red apple", "a blue boat")))
        torch.testing.assert_close(batch[number], one[0], atol=1e-4, rtol=1e-4)


def test_stages_and_lasting_prompts(tmp_path: Path) -> None:
    path = tmp_path / "sea.png"
    Image.new("RGB", (50, 20), (10, 80, 200)).save(path)
    prompts = ("a red apple ^ a cup | rain:-1 | fog:-1", "a blue boat ^ a tree")
    settings = {"steps": (2, 4), "image_prompts": (f"{path}:0.5",), "noise_prompts": ("3:0.1",)}
    session = several(prompts, **settings)
    lasting = ["sea.png:0.5", "3:0.1"]
    wished = [(["a red apple"], ["a blue boat"]), (["a cup", "rain:-1", "fog:-1"], ["a tree"])]
    for plan, own in zip(session.stages, wished, strict=True):
        for number in range(2):
            asked = [str(target.prompt) for target in plan.of(number).targets]
            assert asked == [*own[number], *lasting]
        kinds = {target.prompt.kind for target in plan.targets if asked_by(plan, target) == [0, 1]}
        assert kinds == {"image", "noise"}
    batch = final(session)
    for number in range(2):
        one = final(alone(number, prompts, **settings))
        torch.testing.assert_close(batch[number], one[0], atol=1e-4, rtol=1e-4)


def test_several_guides() -> None:
    def build(**settings: Any) -> Session:
        guides = [Guide(TinyPerceptor(20), 0.5), Guide(TinyPerceptor(seed=8), 1.5)]
        config = tiny_config(**settings)
        return Session.build(config, generator=TinyGenerator(), perceptor=guides)

    batch = build(prompt="", prompts=THREE, count=3)
    pictures = final(batch)
    for number, prompt in enumerate(THREE):
        one = build(prompt=prompt, seed=number)
        torch.testing.assert_close(pictures[number], final(one)[0], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(batch.scores()[number], one.scores()[0], atol=1e-4, rtol=1e-4)


def test_equal_prompts_are_one_prompt_to_the_bit() -> None:
    one = tiny_session(count=3, bank_size=30, start_tries=2)
    same = several(("a red apple",) * 3, start_tries=2)
    assert len(same.stages[0].targets) == 1
    assert torch.equal(final(one), final(same))


def test_each_text_is_encoded_once() -> None:
    seen: list[str] = []

    class Counting(TinyPerceptor):
        def embed_text(self, texts: Any) -> Tensor:
            seen.extend(texts)
            return super().embed_text(texts)

    prompts = ("a cup | rain:-1", "a tree | rain:-1", "a cup | rain:-1")
    config = tiny_config(prompt="", prompts=prompts, count=6)
    session = Session.build(config, generator=TinyGenerator(), perceptor=Counting())
    assert sorted(seen) == ["a cup", "a tree", "rain"]
    (stage,) = session.stages
    found = [(target.prompt.text, asked_by(stage, target)) for target in stage.targets]
    assert found == [("a cup", [0, 2, 3, 5]), ("a tree", [1, 4]), ("rain", [0, 1, 2, 3, 4, 5])]


def test_prompts_of_many_pictures_are_few_losses() -> None:
    """What a step costs does not grow with the number of different prompts."""
    session = several(tuple(f"thing {k}" for k in range(20)))
    terms = session._objective._of_guides[0][0]
    assert [(type(term), term.name) for term in terms] == [
        (PromptLoss, "prompt/0"),
        (ContrastLoss, "contrast/0"),
    ]


def test_what_one_is_asked_may_be_what_another_must_not_become() -> None:
    """A synonym of one picture's prompt is left out of its own rivals only."""
    perceptor = TinyPerceptor(3)
    apple, boat, _ = perceptor.embed_text(["apple", "boat", "rain"])
    perceptor.bank = torch.stack([apple, boat, -apple])

    def build(**settings: Any) -> Session:
        return Session.build(
            tiny_config(**settings), generator=TinyGenerator(), perceptor=perceptor
        )

    prompts = ("apple", "boat | rain:-1")
    session = build(prompt="", prompts=prompts, count=2)
    (contrast,) = [
        term for term in session._objective._of_guides[0][0] if isinstance(term, ContrastLoss)
    ]
    assert len(contrast.rivals) == 4  # the bank and "rain"
    assert contrast.absent is not None
    assert contrast.absent.tolist() == [[True, False, False, True], [False, True, False, False]]
    both = next(session).losses["contrast/0"]
    for number, prompt in enumerate(prompts):
        own = next(build(prompt=prompt, seed=number)).losses["contrast/0"]
        torch.testing.assert_close(both[number : number + 1], own)


def test_a_contrast_weighs_what_its_prompt_weighs() -> None:
    """By prompt, by guide, and for each picture of a batch its own."""
    first = next(tiny_session(bank_size=30, prompt="a cup")).losses["contrast/0"]
    double = next(tiny_session(bank_size=30, prompt="a cup:2")).losses["contrast/0"]
    torch.testing.assert_close(double, 2 * first)
    batch = next(several(("a cup:2", "a cup:0.5"))).losses["contrast/0"]
    second = next(tiny_session(bank_size=30, prompt="a cup", seed=1)).losses["contrast/0"]
    torch.testing.assert_close(batch, torch.cat([2 * first, 0.5 * second]))
    guides = [Guide(TinyPerceptor(30), 3.0)]
    config = tiny_config(prompt="a cup:2")
    heavy = next(Session.build(config, generator=TinyGenerator(), perceptor=guides))
    torch.testing.assert_close(heavy.losses["contrast/0"], 6 * first)


def test_what_is_asked_with_different_weights_is_one_loss() -> None:
    """Rows of the table, not prompts, are what a step pays for."""
    session = several(THREE)
    (terms,) = session._objective._of_guides[0]
    assert [term.name for term in terms] == [
        *("prompt/0", "prompt/1", "prompt/2"),
        *("contrast/0", "contrast/2"),
    ]
    plan = session.stages[0]
    assert plan.weights.tolist() == [[0.6, 1.0, 1.0], [-0.5, 0.0, -0.5], [0.0, 0.0, 2.0]]
    assert plan.stops[0].tolist() == [-math.inf, 0.9, -math.inf]
    assert plan.confidences(0).tolist() == [[1, 1, 1], [1, 0, 1], [0, 0, 1]]
    assert plan.embeddings(0).shape == (3, 3, 12)
    assert plan.embeddings(0).norm(dim=-1).round().tolist() == plan.confidences(0).tolist()


def test_scores_are_each_pictures_own() -> None:
    config = tiny_config(prompt="", prompts=("a cup:2 | rain:-1", "a tree"), count=2)
    models = Models.load(config, TinyGenerator(), [Guide(TinyPerceptor())])
    (stage,) = plan_stages(config, models)
    picture = torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(1))
    found = score(config, models, stage, picture.expand(2, -1, -1, -1))
    for number in range(2):
        own = score(config, models, stage.of(number), picture)
        torch.testing.assert_close(found[number : number + 1], own)
    assert found[0] != found[1]


def test_a_plan_for_tries_repeats_the_pictures() -> None:
    embedding = (torch.zeros(1, 2),)
    shared = Target("noise/0", Prompt(kind="noise"), embedding)
    own = Target("prompt/0", Prompt(text="a"), embedding)
    plan = StagePlan.of_columns(3, [[own, shared], [shared], [own, shared]]).repeated(2)
    assert [asked_by(plan, target) for target in plan.targets] == [[0, 2, 3, 5], [0, 1, 2, 3, 4, 5]]
    assert plan.columns == ((own, shared), (shared,), (own, shared)) * 2


@pytest.mark.parametrize("at", [0, 2, 3, 5, 6])
def test_resumed_at_any_step_is_the_same(at: int, tmp_path: Path) -> None:
    prompts = ("a red apple | rain:-0.5 ^ a cup", "a boat:1:0.1 ^ a tree | fog", "a cup ^ a cup")

    def build() -> Session:
        return several(prompts, steps=(3, 3), count=4, noise_prompts=("7:0.2",), latent_average=0.8)

    whole = build()
    expected = [step.image for step in whole]
    session = build()
    list(islice(session, at))
    save_session(session, tmp_path / "state")
    again = resume_session(
        tmp_path / "state", generator=TinyGenerator(), perceptor=TinyPerceptor(30)
    )
    assert again.prompts == session.prompts
    assert [again.prompts_of(k) for k in range(4)] == [session.prompts_of(k) for k in range(4)]
    assert all(map(torch.equal, expected[at:], [step.image for step in again]))
    assert torch.equal(whole.picture(), again.picture())


def test_states_from_before_can_be_resumed() -> None:
    session = tiny_session(count=2)
    next(session)
    state = session.state_dict()
    assert "stage/0/prompt/0/0" in state.tensors
    assert state.meta["stages"][0]["targets"][0].keys() == {"name", "prompt"}
    state.meta["config"]["prompts"] = []  # which earlier versions write besides
    again = tiny_session(count=2)
    again.load_state_dict(state)
    assert torch.equal(final(again), final(session))


def test_states_are_json_and_hold_each_embedding_apart() -> None:
    state = several().state_dict()
    assert json.loads(json.dumps(state.meta, allow_nan=False)) == state.meta
    embeddings = [name for name in state.tensors if name.startswith("stage/")]
    assert len(embeddings) == sum(len(stage["targets"]) for stage in state.meta["stages"]) == 5


@pytest.mark.parametrize("pictures", [[3], [-1], [], [0, 0], "x", 1, [None]])
def test_states_with_prompts_for_no_picture_are_refused(pictures: object) -> None:
    session = several()
    state = session.state_dict()
    state.meta["stages"][0]["targets"][0]["pictures"] = pictures
    with pytest.raises(StateError) as error:
        session.load_state_dict(state)
    assert "\n" not in str(error.value)


def test_another_prompt_for_one_picture_leaves_the_others() -> None:
    session, same = several(noise_prompts=("1:0.1",)), several(noise_prompts=("1:0.1",))
    for each in (session, same):
        list(islice(each, 2))
    session.set_prompt("a boat | a cup:0.5", index=1)
    asked = [[str(prompt) for prompt in session.prompts_of(k)] for k in range(3)]
    assert asked[0] == ["a red apple:0.6", "rain:-0.5", "1:0.1"]
    assert asked[1] == ["a boat", "a cup:0.5", "1:0.1"]
    assert asked[2] == ["a cup", "rain:-0.5", "a tree:2", "1:0.1"]
    mine, others = final(session), final(same)
    torch.testing.assert_close(mine[[0, 2]], others[[0, 2]], atol=1e-4, rtol=1e-4)
    assert (mine[1] - others[1]).abs().max() > 0.01
    (edit,) = session.edits
    assert (edit["step"], edit["picture"]) == (2, 1)
    assert [one["name"] for one in edit["prompts"]] == ["prompt/0", "prompt/1", "noise/0"]
    edits = [session.record({}, k)["edits"] for k in range(3)]
    assert [len(each) for each in edits] == [0, 1, 0]


def test_another_prompt_for_one_picture_is_the_one_painted_alone() -> None:
    session, one = tiny_session(count=2, seed=4), tiny_session(seed=5)
    for each, index in ((session, 1), (one, 0)):
        list(islice(each, 2))
        each.set_prompt("a boat", index=index)
    torch.testing.assert_close(final(session)[1], final(one)[0], atol=1e-4, rtol=1e-4)


def test_another_prompt_for_one_picture_survives_a_save(tmp_path: Path) -> None:
    path = tmp_path / "sea.png"
    Image.new("RGB", (40, 40), (10, 80, 200)).save(path)
    session = tiny_session(count=2, image_prompts=(str(path),))
    next(session)
    path.unlink()  # what the others are asked is not read again, nor what stays
    session.set_prompt("a boat", index=1)
    save_session(session, tmp_path / "state")
    again = resume_session(tmp_path / "state", generator=TinyGenerator(), perceptor=TinyPerceptor())
    assert [str(prompt) for prompt in again.prompts] == ["a red apple", "a boat", "sea.png"]
    assert again.edits == session.edits
    assert torch.equal(final(again), final(session))


def test_one_prompt_for_all_again() -> None:
    session = several()
    next(session)
    session.set_prompt("a boat")
    assert [str(prompt) for prompt in session.prompts] == ["a boat"]
    assert "picture" not in session.edits[0]
    assert set(next(session).losses) == {"prompt/0", "contrast/0", "latent"}


def test_prompts_that_cannot_be_set_leave_the_old_ones() -> None:
    session = several()
    before = session.prompts
    for index in (-1, 3):
        with pytest.raises(PromptError, match=rf"index {index}; this session paints 3 pictures"):
            session.set_prompt("a boat", index=index)
    with pytest.raises(PromptError, match="one stage"):
        session.set_prompt("a ^ b", index=1)
    with pytest.raises(ConfigError, match="picture 2 has weight 0"):
        session.set_prompt("a boat:0", index=1)
    assert session.prompts == before
    assert not session.edits


def test_a_picture_that_is_asked_nothing_is_an_error() -> None:
    with pytest.raises(ConfigError, match="every prompt of picture 2 has weight 0"):
        several(("a cup", "a tree:0 | rain:0"))


def test_stages_must_be_as_many() -> None:
    with pytest.raises(PromptError, match="prompt 2 has 2 stages and prompt 1 has 1 stage"):
        several(("a", "b ^ c"))


def test_a_notebook_shows_who_is_asked_what() -> None:
    shown = several(("a red apple", "a blue boat"), count=3)._repr_html_()
    for part in ("picture 1, 3", "a red apple", "picture 2", "a blue boat"):
        assert part in shown
    assert "prompts" in tiny_session(count=3)._repr_html_()


def test_a_painting_of_several_prompts(tmp_path: Path) -> None:
    settings = {
        key: value for key, value in vars(tiny_config()).items() if key in ("size", "steps")
    }
    small = {**settings, "start": "random", "start_tries": 1, "start_steps": 0, "device": "cpu"}
    painting = paint(
        ["a red apple", "a blue boat | rain:-1"],
        generator=TinyGenerator(),
        perceptor=TinyPerceptor(),
        preset="pocket",
        precision="fp32",
        **small,
    )
    assert len(painting.images) == 2
    assert painting.losses["prompt/1"].isnan().tolist() == [[True, False]] * 6
    assert "a red apple / a blue boat | rain:-1" in painting._repr_html_()
    for number, path in enumerate(painting.save(tmp_path / "x.png")):
        record = read_metadata(path)
        assert record["prompt"] == painting.settings.prompt[number]
        assert Image.open(path).info["Description"] == record["prompt"]
        assert record["seed"] == number
        assert ("prompt/1" in record["losses"]) == bool(number)


def test_prompts_are_given_in_one_way() -> None:
    assert make_config(prompts=["a", "b"]) == make_config(prompts=("a", "b"), count=2)
    with pytest.raises(ConfigError, match="both prompt and prompts"):
        paint(["a", "b"], prompts=["c"])
    with pytest.raises(ConfigError, match="both prompt and prompts"):
        paint("a", prompts=["c"])
    with pytest.raises(PromptError, match="the prompt is empty"):
        paint([])
    with pytest.raises(ConfigError, match=r"prompt is .* expected a list of texts"):
        paint(["a", 3])  # type: ignore[list-item]


@pytest.mark.parametrize("count", [1, 3])
def test_rivals_are_looked_for_once_and_not_for_each_wish(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Else a prompt of many parts takes time by the square of their number."""
    asked: list[int] = []

    def counted(bank: Tensor, wishes: Any, *more: Any) -> Any:
        asked.append(sum(len(wanted) for wanted, _ in wishes))
        return shared_rivals(bank, wishes, *more)

    monkeypatch.setattr(terms, "shared_rivals", counted)
    parts = [f"thing {k}:{k + 1}" for k in range(20)]
    prompts = tuple(
        " | ".join(f"{part.replace('thing', name)}" for part in parts) for name in "xyz"
    )
    tiny_session(bank_size=30, prompt=" | ".join(parts))
    assert asked == [40]  # targets, and what the losses lead to: the same here
    asked.clear()
    several(prompts[:count])
    assert len(asked) == 1
