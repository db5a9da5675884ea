"""A run that was saved and resumed ends in the same pixels as one that was not."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from gouache.engine import Session, SessionState, resume_session, save_session
from gouache.errors import StateError
from tiny import TinyGenerator, TinyPerceptor, tiny_config, tiny_session

BUSY: dict[str, Any] = {
    "prompt": "a red apple:1:0.1 | rain:-0.5 ^ a blue boat",
    "steps": (3, 3),
    "count": 2,
    "noise_prompts": ("7:0.2",),
    "latent_average": 0.8,
    "clip_grad": 0.5,
}


def finish(session: Session) -> Tensor:
    for _ in session:
        pass
    return session.picture()


def resumed(path: Path) -> Session:
    return resume_session(path, generator=TinyGenerator(), perceptor=TinyPerceptor(4))


@pytest.mark.parametrize("at", range(7))
def test_resumed_at_any_step_is_the_same(at: int, tmp_path: Path) -> None:
    whole = tiny_session(bank_size=4, **BUSY)
    expected = [step.image for step in whole]
    session = tiny_session(bank_size=4, **BUSY)
    list(islice(session, at))
    save_session(session, tmp_path / "state")
    again = resumed(tmp_path / "state")
    assert again.step_index == at
    found = [step.image for step in again]
    assert all(map(torch.equal, expected[at:], found))
    assert torch.equal(whole.picture(), again.picture())


@pytest.mark.parametrize("optimizer", ["SGD", "NAdam", "RMSprop", "Rprop", "ASGD", "Adagrad"])
def test_other_optimisers_resume_exactly(optimizer: str, tmp_path: Path) -> None:
    settings = {"optimizer": optimizer, "learning_rate": 0.05, "steps": 4}
    session = tiny_session(bank_size=4, **settings)
    list(islice(session, 2))
    save_session(session, tmp_path / "state")
    expected = finish(session)
    assert torch.equal(finish(resumed(tmp_path / "state")), expected)


def test_resuming_needs_neither_picture_files_nor_the_changes_again(tmp_path: Path) -> None:
    sea, sky = tmp_path / "sea.png", tmp_path / "sky.png"
    Image.new("RGB", (40, 40), (10, 80, 200)).save(sea)
    Image.new("RGB", (40, 40), (190, 200, 250)).save(sky)
    session = tiny_session(
        bank_size=4,
        image_prompts=(str(sky),),
        init_image=str(sea),
        latent_rule="stepwise",
        latent_weight=1.0,
        latent_drop_every=2,
    )
    list(islice(session, 2))
    session.set_prompt("a green frog:0.7:0.01")
    edited = session.picture().clone()
    edited[..., :8, :8] = 0
    session.set_image(edited)
    save_session(session, tmp_path / "state")
    sea.unlink()
    sky.unlink()
    again = resumed(tmp_path / "state")
    assert again.prompts == session.prompts
    assert again.edits == session.edits
    assert torch.equal(finish(again), finish(session))


def test_state_is_a_copy_that_json_can_hold() -> None:
    session = tiny_session(**BUSY)
    list(islice(session, 2))
    state = session.state_dict()
    assert json.loads(json.dumps(state.meta, allow_nan=False)) == state.meta
    before = {name: value.clone() for name, value in state.tensors.items()}
    finish(session)
    assert all(torch.equal(value, before[name]) for name, value in state.tensors.items())


def test_an_interrupted_step_is_done_again() -> None:
    """Ctrl-C may come anywhere, also between the optimiser's update and the end of the step."""
    expected = finish(tiny_session(count=2))
    session = tiny_session(count=2)
    list(islice(session, 2))
    clamp = session._latent.after_step

    def interrupted() -> None:
        session._latent.after_step = clamp  # type: ignore[method-assign]
        raise KeyboardInterrupt

    session._latent.after_step = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        next(session)
    assert session.step_index == 2
    assert torch.equal(finish(session), expected)


def test_a_step_whose_result_was_lost_is_done_again() -> None:
    expected = [step.image for step in tiny_session()]
    session = tiny_session()
    list(islice(session, 2))
    advance = session._advance

    def interrupted() -> None:
        session._advance = advance  # type: ignore[method-assign]
        advance()
        raise KeyboardInterrupt

    session._advance = interrupted  # type: ignore[assignment,method-assign]
    with pytest.raises(KeyboardInterrupt):
        next(session)
    assert session.step_index == 2
    assert all(map(torch.equal, expected[2:], [step.image for step in session]))


def saved() -> SessionState:
    session = tiny_session()
    next(session)
    return session.state_dict()


@pytest.mark.parametrize("setting", ["init_image", "image_prompts"])
def test_other_pictures_of_the_same_name_are_refused(setting: str, tmp_path: Path) -> None:
    def begun(color: str) -> Session:
        place = tmp_path / color / "a.png"
        place.parent.mkdir(exist_ok=True)
        Image.new("RGB", (32, 24), color).save(place)
        return tiny_session(**{setting: str(place) if setting == "init_image" else (str(place),)})

    saved = begun("red").state_dict()
    begun("red").load_state_dict(saved)
    with pytest.raises(StateError, match=r"saved with a.png .* as .*; give the same picture"):
        begun("blue").load_state_dict(saved)


def test_other_settings_are_refused() -> None:
    with pytest.raises(StateError, match=r"num_cutouts was 4 and is 5"):
        tiny_session(num_cutouts=5).load_state_dict(saved())


@pytest.mark.parametrize("kind", ["generator", "perceptor"])
def test_other_weights_are_refused(kind: str) -> None:
    models: dict[str, Any] = {"generator": TinyGenerator(), "perceptor": TinyPerceptor()}
    models[kind].fingerprint = "0123456789abcdef"
    session = Session.build(tiny_config(), **models)
    with pytest.raises(StateError, match=rf"with the {kind} tiny .* is tiny \(0123456789ab\)"):
        session.load_state_dict(saved())


@pytest.mark.parametrize("part", ["rng", "latent/z", "optimizer/0/exp_avg", "stage/0/prompt/0/0"])
def test_damaged_parts_are_refused_and_nothing_changes(part: str) -> None:
    session = tiny_session()
    before = session.state_dict()
    state = saved()
    state.tensors[part] = state.tensors[part][..., :1].clone()
    with pytest.raises(StateError) as error:
        session.load_state_dict(state)
    assert "\n" not in str(error.value)
    after = session.state_dict()
    assert after.meta == before.meta
    assert all(torch.equal(value, after.tensors[name]) for name, value in before.tensors.items())


@pytest.mark.parametrize("key", ["config", "step", "stages", "optimizer", "generator", "format"])
@pytest.mark.parametrize("value", [None, "x", -1, [{}]])
def test_damaged_meta_is_refused(key: str, value: object) -> None:
    state = saved()
    state.meta[key] = value
    with pytest.raises(StateError):
        tiny_session().load_state_dict(state)
    del state.meta[key]
    with pytest.raises(StateError):
        tiny_session().load_state_dict(state)


def test_files_that_are_no_states(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    with pytest.raises(StateError):
        resumed(path)
    save_session(tiny_session(), path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(StateError):
        resumed(path)
