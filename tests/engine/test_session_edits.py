"""What may be changed between two steps."""

from itertools import islice

import pytest
import torch
from PIL import Image
from torch import Tensor

from gouache.engine import Session
from gouache.engine.edits import changed_pixels
from gouache.errors import ImageError, PromptError
from gouache.networks.canvas import Canvas
from gouache.ops.images import to_pil
from gouache.ops.masks import read_mask
from gouache.prompts import Prompt
from tiny import CELL, TinyGenerator, TinyPerceptor, tiny_config, tiny_session


def cells_of(image_mask: Tensor) -> Tensor:  # (H,W) -> (1,1,h,w)
    return torch.nn.functional.max_pool2d(image_mask[None, None].float(), CELL) > 0


def started(**settings: object) -> Session:
    session = tiny_session(steps=8, **settings)
    list(islice(session, 4))
    return session


def test_a_new_prompt_acts_from_the_next_step_on() -> None:
    session, same = started(noise_prompts=("1:0.1",)), started(noise_prompts=("1:0.1",))
    session.set_prompt("a boat | a cup:0.5")
    assert [str(prompt) for prompt in session.prompts] == ["a boat", "a cup:0.5", "1:0.1"]
    assert torch.equal(next(session).image, next(same).image)
    step = next(session)
    assert set(step.losses) == {"prompt/0", "prompt/1", "noise/0", "latent"}
    assert not torch.equal(step.image, next(same).image)
    assert session.edits[0]["step"] == 4


def test_prompts_that_cannot_be_set_leave_the_old_ones() -> None:
    session = started()
    with pytest.raises(PromptError, match="one stage") as error:
        session.set_prompt("a ^ b")
    assert error.value.position == 2
    with pytest.raises(PromptError):
        session.set_prompt(" ")
    assert [prompt.text for prompt in session.prompts] == ["a red apple"]
    assert not session.edits


def test_a_new_prompt_leaves_later_stages() -> None:
    session = tiny_session(prompt="a ^ b", steps=2)
    session.set_prompts([Prompt(text="c")])
    assert [stage.targets[0].prompt.text for stage in session.stages] == ["c", "b"]


def test_an_edit_replaces_only_the_cells_it_touches() -> None:
    session = started()
    before = session.state_dict().tensors
    edited = session.picture().clone()
    edited[..., 5:7, 9:14] = 0.0  # rows of cell 1, columns of cells 2 and 3
    session.set_image(edited)
    after = session.state_dict().tensors
    touched = torch.zeros(24, 32, dtype=torch.bool)
    touched[5:7, 9:14] = True
    cells = cells_of(touched).expand_as(before["latent/z"])
    assert int(cells[0, 0].sum()) == 2
    z, encoded = after["latent/z"], TinyGenerator().encode(edited)
    assert torch.equal(z[~cells], before["latent/z"][~cells])
    assert torch.equal(z[cells], encoded[cells])
    moment = after["optimizer/0/exp_avg"]
    assert torch.equal(moment[~cells], before["optimizer/0/exp_avg"][~cells])
    assert before["optimizer/0/exp_avg"][cells].all()
    assert not moment[cells].any()
    # the scale of the gradient is kept, or the next updates would be several times too large
    assert torch.equal(after["optimizer/0/exp_avg_sq"], before["optimizer/0/exp_avg_sq"])
    assert session.edits == [{"step": 4, "edit": "image", "cells": 2}]


@pytest.mark.parametrize("from_step", [True, False])
def test_an_edit_of_either_shown_picture_in_8_bits_is_found(from_step: bool) -> None:
    session = tiny_session(steps=8, count=2, learning_rate=0.5)
    *_, last = islice(session, 4)
    shown = last.image[1] if from_step else session.picture()[1]
    before = session.picture()
    picture = to_pil(shown)
    picture.paste((255, 0, 255), (0, 0, 4, 4))
    session.set_image(picture, index=1)
    assert session.edits[0]["cells"] == 1
    assert torch.equal(session.picture()[0], before[0])


def test_an_edit_of_one_picture_leaves_the_others() -> None:
    session = started(count=2)
    before = session.state_dict().tensors["latent/z"]
    session.set_image(Image.new("RGB", (32, 24), "red"), index=1)
    after = session.state_dict().tensors["latent/z"]
    assert torch.equal(after[0], before[0])
    assert not torch.equal(after[1], before[1])


def test_no_change_is_no_edit() -> None:
    session, same = started(), started()
    session.set_image(to_pil(session.picture()[0]))
    assert not session.edits
    assert torch.equal(next(session).image, next(same).image)


def test_a_whole_new_picture_starts_the_optimiser_anew() -> None:
    session = started()
    session.set_image(torch.full((3, 24, 32), 0.5), torch.ones(24, 32))
    assert not any(name.startswith("optimizer/") for name in session.state_dict().tensors)
    encoded = TinyGenerator().encode(torch.full((1, 3, 24, 32), 0.5))
    assert torch.equal(session.state_dict().tensors["latent/z"], encoded)
    next(session)


def test_a_mask_says_what_counts() -> None:
    session = started()
    before = session.state_dict().tensors["latent/z"]
    mask = Image.new("L", (16, 12), 0)
    mask.paste(255, (0, 0, 2, 2))  # half the size: one cell of the picture
    session.set_image(torch.zeros(3, 24, 32), mask)
    after = session.state_dict().tensors["latent/z"]
    assert session.edits[0]["cells"] == 1
    assert torch.equal(after[..., 1:], before[..., 1:])


def test_a_mask_is_fitted_like_the_picture_that_it_was_drawn_over() -> None:
    session = started()
    before = session.state_dict().tensors["latent/z"]
    mask = Image.new("L", (64, 24), 0)  # the canvas shows the middle half of it
    mask.paste(255, (16, 0, 20, 4))
    session.set_image(Image.new("RGB", (64, 24), "red"), mask)
    after = session.state_dict().tensors["latent/z"]
    assert session.edits[0]["cells"] == 1
    assert torch.equal(after[..., 1:], before[..., 1:])
    assert not torch.equal(after[..., 0], before[..., 0])


def test_the_pull_follows_a_hand_edit() -> None:
    session = Session.build(
        tiny_config(latent_rule="stepwise", latent_weight=1.0),
        generator=TinyGenerator(),
        perceptor=TinyPerceptor(),
        init_image=Image.new("RGB", (32, 24), "blue"),
    )
    session.set_image(Image.new("RGB", (32, 24), "red"))
    target = session.state_dict().tensors["pull_target"]
    assert torch.equal(target, session.state_dict().tensors["latent/z"])
    assert not next(session).losses["latent"].any()


@pytest.mark.parametrize(
    ("image", "changed"),
    [
        (torch.zeros(3, 24, 31), None),
        (torch.zeros(24, 32), None),
        (torch.zeros(3, 3, 24, 32), None),
        (torch.full((3, 24, 32), 255.0), None),
        (torch.full((3, 24, 32), torch.nan), None),
        (torch.zeros(3, 24, 32), torch.zeros(24, 31)),
        (torch.zeros(3, 24, 32), torch.zeros(3, 1, 24, 32)),
    ],
)
def test_edits_that_do_not_fit(image: Tensor, changed: Tensor | None) -> None:
    session = started(count=2)
    with pytest.raises(ImageError) as error:
        session.set_image(image, changed)
    assert "\n" not in str(error.value)
    assert not session.edits


def test_canvas_crops_what_it_pads() -> None:
    canvas = Canvas(30, 21, 8)
    assert canvas.grid == (3, 4)
    image = torch.rand(1, 3, 21, 30, generator=torch.Generator().manual_seed(0))
    padded = canvas.pad(image)
    assert padded.shape == (1, 3, 24, 32)
    assert torch.equal(canvas.crop(padded), image)
    assert canvas.margins == (1, 1, 1, 2)
    assert Canvas(1, 1, 8).pad(torch.zeros(1, 3, 1, 1)).shape == (1, 3, 8, 8)


def test_changes_are_found_against_the_nearer_picture() -> None:
    one, two = torch.zeros(2, 3, 4, 4), torch.full((2, 3, 4, 4), 0.5)
    edited = torch.stack([one[0], two[1]])
    edited[:, :, 1, 2] = 1.0
    mask = changed_pixels(edited, [one, two])
    assert mask.flatten(1).sum(1).tolist() == [1, 1]
    assert mask[:, 0, 1, 2].all()


def test_masks_of_all_shapes() -> None:
    flat = torch.zeros(2, 3)
    flat[0, 1] = 1
    for mask in (flat, flat[None], flat[None, None], flat.bool()):
        assert torch.equal(read_mask(mask, (3, 2)), flat[None, None])
    with pytest.raises(ImageError):
        read_mask(torch.zeros(1, 2, 2, 3), (3, 2))
