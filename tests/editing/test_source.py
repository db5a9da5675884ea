"""An edit's source is part of its session: what it keeps stays, and a state alone goes on with it.

The law that keeps an edit's picture from being lost: a state of an edit is opened with its source
and mask, or not at all; nothing outside the mask is ever painted.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import icc
from gouache.editing import EditConfig
from gouache.editing.editor import edit_of, finish_edit, make_plan, start
from gouache.engine import Session, SessionState, resume_session, save_session
from gouache.errors import StateError
from gouache.ops.profiles import ProfileWarning
from gouache.output.state import load_state, save_state
from tiny import TinyGenerator, TinyPerceptor, tiny_config

SIZE = (64, 48)  # twice the canvas
INSIDE = np.zeros((48, 64), bool)
INSIDE[13:37, 20:45] = True
MASK = Image.fromarray(INSIDE.astype(np.uint8) * 255)
NOISE = np.random.default_rng(0).integers(0, 256, (48, 64, 4), np.uint8)
KINDS: dict[str, dict[str, Any]] = {
    "whole": {},
    "scheduled": {"strength": "0:(1), 4:(3) step", "structure_weight": "linear(2, 0)"},
    "relative": {"old": "a red apple"},
    "mask": {"mask": MASK, "invert": True, "grow": 2},
    "composite": {"mask": MASK, "composite": True, "feather": 3},
    "phrase": {"replace": "a cat", "min_score": 0.0, "threshold": "paper", "deviations": -0.5},
}


def models() -> dict[str, Any]:
    return {"generator": TinyGenerator(), "perceptor": TinyPerceptor()}


def begun(picture: Image.Image | Path, kind: str, **settings: Any) -> Session:
    given = {"mask", "replace", "old"}
    asked = {name: value for name, value in KINDS[kind].items() if name in given}
    own = {name: value for name, value in KINDS[kind].items() if name not in given}
    plan = make_plan(picture, EditConfig().updated(**own), **asked)
    config = tiny_config(prompt="a dog", **settings)
    return start(plan, config, sized=True, **models())


def saved(session: Session, folder: Path) -> Path:
    save_session(session, folder / "state")
    return folder / "state"


@pytest.mark.parametrize("name", ["strength", "structure_weight"])
@pytest.mark.parametrize("kind", ["whole", "relative"])
def test_how_strong_an_edit_is_may_change(name: str, kind: str, monkeypatch: Any) -> None:
    """A constant is the number; another number from a step on changes what that step leads to."""

    def latents(value: Any) -> list[torch.Tensor]:
        monkeypatch.setitem(KINDS, "this", {**KINDS[kind], name: value})
        session = begun(Image.fromarray(NOISE[..., :3]), "this")
        return [session.latent() for _ in session]

    plain, kept = latents(2.0), latents("constant(2)")
    assert all(map(torch.equal, plain, kept))
    changed = latents("0:(2), 3:(0.5) step")
    assert all(map(torch.equal, plain[:3], changed[:3]))
    counts = name == "strength" or kind == "whole"  # nothing but the way, from phrase to phrase
    assert torch.equal(plain[3], changed[3]) is not counts


@pytest.mark.parametrize("latent", ["quantized", "multiscale"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_state_alone_goes_on_with_the_edit(tmp_path: Path, kind: str, latent: str) -> None:
    Image.fromarray(NOISE, "RGBA").save(tmp_path / "source.png", icc_profile=icc.swapped())
    with pytest.warns(ProfileWarning):
        session = begun(tmp_path / "source.png", kind, latent=latent, count=2)
    list(islice(session, 3))
    state = saved(session, tmp_path)
    (tmp_path / "source.png").unlink()
    again = resume_session(state, **models())
    one, two = finish_edit(session), finish_edit(again)
    assert [p.tobytes() for p in one.images] == [p.tobytes() for p in two.images]
    assert [p.info.get("icc_profile") for p in one.images] == [
        p.info.get("icc_profile") for p in two.images
    ]
    assert one.records == two.records
    assert (one.mask is None) == (two.mask is None) == (kind in ("whole", "scheduled", "relative"))
    if one.mask is not None and two.mask is not None:
        assert torch.equal(one.mask.selected, two.mask.selected)
        assert one.overlay().tobytes() == two.overlay().tobytes()
    if kind == "composite":
        away = np.ones((48, 64), bool)
        away[9:41, 16:49] = False
        assert (np.asarray(two.image)[away] == NOISE[away]).all()


@pytest.mark.parametrize("latent", ["quantized", "multiscale"])
@pytest.mark.parametrize("resumed", [False, True])
def test_nothing_outside_the_mask_is_painted(tmp_path: Path, latent: str, resumed: bool) -> None:
    session = begun(Image.fromarray(NOISE, "RGBA"), "composite", latent=latent, latent_average=0.5)
    before, cells = session.latent(), edit_of(session).cells
    assert cells is not None
    outside = ~cells.expand_as(before)
    assert bool(outside.any())
    list(islice(session, 2))
    if resumed:
        session = resume_session(saved(session, tmp_path), **models())
    list(session)
    torch.testing.assert_close(session.latent()[outside], before[outside], rtol=0, atol=1e-5)
    assert not torch.equal(session.latent()[~outside], before[~outside])
    # The optimiser has no wish there either, or clipping and its moments would tell of it.
    assert not session.state_dict().tensors["optimizer/0/exp_avg"][outside].any()


def test_a_state_is_saved_again_as_it_was(tmp_path: Path) -> None:
    session = begun(Image.fromarray(NOISE, "RGBA"), "composite")
    tensors, meta = load_state(saved(session, tmp_path))
    again, told = resume_session(tmp_path / "state", **models()).state_dict()
    assert told == meta
    assert tensors.keys() == again.keys()
    assert all(torch.equal(tensors[name], again[name]) for name in tensors)


@pytest.mark.parametrize(
    "lost", ["edit/mask", "edit/latent", "edit/picture", "meta", "mask", "kind"]
)
def test_a_state_that_lost_a_part_of_its_edit_is_refused(tmp_path: Path, lost: str) -> None:
    state = saved(begun(Image.fromarray(NOISE, "RGBA"), "composite"), tmp_path)
    tensors, meta = load_state(state)
    if lost in tensors:
        del tensors[lost]
    elif lost == "meta":
        del meta["edit"]
    elif lost == "mask":
        del meta["edit"]["mask"]
    else:
        meta["edit"]["kind"] = "other"
    save_state(state, tensors, meta)
    with pytest.raises(StateError) as error:
        resume_session(state, **models())
    assert "\n" not in str(error.value)


def test_a_painting_does_not_go_on_with_an_edit() -> None:
    session = begun(Image.fromarray(NOISE, "RGBA"), "mask")
    state = session.state_dict()
    painting = Session.build(session.config, **models())
    before = painting.latent()
    with pytest.raises(StateError, match="is an edit of a picture, and this is a painting"):
        painting.load_state_dict(SessionState(state.tensors, state.meta))
    assert torch.equal(painting.latent(), before)
