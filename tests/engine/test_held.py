"""How near to strokes their colours stay: while it paints, in its state, in its record."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from gouache.engine import Session, SessionState
from gouache.engine.edits import lay_strokes
from gouache.engine.held import Drawn, drawn_over
from gouache.errors import ImageError, StateError
from gouache.losses import HeldColours, HeldShapes
from gouache.losses.held import BLOCK
from gouache.networks.canvas import Canvas
from gouache.protocols import LossContext
from tiny import tiny_session

HEIGHT, WIDTH = 24, 32
CANVAS = Canvas(4, 4, 2)
RED = (224, 16, 32)
HELD = {"held/colours", "held/shapes"}


def started(steps: int = 12, **settings: object) -> Session:
    session = tiny_session(steps=steps, **settings)
    list(islice(session, 4))
    return session


def strokes(color: tuple[int, int, int] = RED, alpha: int = 255) -> Image.Image:
    """The left half."""
    layer = Image.new("RGBA", (WIDTH, HEIGHT))
    layer.paste((*color, alpha), (0, 0, WIDTH // 2, HEIGHT))
    return layer


def apart(session: Session) -> float:
    """Of the left half's mean colour from what was drawn there."""
    mean = session.picture()[0, :, :, : WIDTH // 2].flatten(1).mean(1)
    return float((mean - torch.tensor(RED) / 255).norm())


def seen(image: Tensor, latent: Tensor | None = None) -> LossContext:
    empty = torch.empty(0)
    return LossContext(image, empty if latent is None else latent, empty, empty, 0, 1)


def drawn(image: Tensor, changed: Tensor) -> Drawn:
    """Of one channel of code, the picture's mean."""
    cells = torch.nn.functional.max_pool2d(changed.float(), 2) > 0
    return Drawn(image, changed, torch.nn.functional.avg_pool2d(image.mean(1, True), 2), cells)


def test_colours_stay_the_more_the_nearer() -> None:
    found = []
    for near in (0.0, 0.2, 0.6):
        session = started(40)
        lay_strokes(session, strokes(), "1.png", near)
        list(session)
        found.append(apart(session))
    assert found[0] > found[1] > found[2]
    assert found[2] < 0.2 * found[0]


def test_free_strokes_are_what_they_were_before() -> None:
    """Old records know no nearness."""
    session, other = started(), started()
    lay_strokes(session, strokes(), "1.png")
    lay_strokes(other, strokes(), "1.png", 0.0)
    assert set(next(session).losses) == {"prompt/0", "latent"}
    assert session.edits == other.edits
    assert "near" not in session.edits[0]
    assert not [name for name in session.state_dict().tensors if name.startswith("held")]


def test_the_record_says_how_near() -> None:
    session = started()
    lay_strokes(session, strokes(), "1.png", 0.6)
    assert session.edits[0]["near"] == 0.6
    assert set(next(session).losses) >= HELD
    session = started()
    session.set_image(torch.zeros(3, HEIGHT, WIDTH), torch.ones(HEIGHT, WIDTH), near=0.3)
    assert session.edits[0]["near"] == 0.3


def test_a_resumed_run_is_held_too() -> None:
    session = started()
    lay_strokes(session, strokes(), "1.png", 0.6)
    next(session)
    saved = session.state_dict()
    list(session)
    again = tiny_session(steps=12)
    again.load_state_dict(saved)
    list(again)
    assert torch.equal(again.picture(), session.picture())
    free = {k: v for k, v in saved.tensors.items() if not k.startswith("held")}
    again.load_state_dict(SessionState(free, saved.meta))
    list(again)
    assert not torch.equal(again.picture(), session.picture())


@pytest.mark.parametrize(
    "damage",
    [
        {"held/image": torch.zeros(1, 3, 8, 8, dtype=torch.uint8)},
        {"held/image": torch.zeros(1, 3, HEIGHT, WIDTH)},
        {"held/near": torch.full((1, 1, HEIGHT, WIDTH), 2.0)},
        {"held/near": torch.full((1, 1, HEIGHT, WIDTH), torch.nan)},
        {"held/latent": torch.zeros(1, 2, 3, 4)},
        {"held/cells": torch.ones(1, 1, 3, 4)},
    ],
)
def test_damage_is_told_and_changes_nothing(damage: Mapping[str, Tensor]) -> None:
    session = started()
    lay_strokes(session, strokes(), "1.png", 0.6)
    tensors, meta = session.state_dict()
    with pytest.raises(StateError):
        session.load_state_dict(SessionState({**tensors, **damage}, meta))
    assert set(next(session).losses) >= HELD


def test_what_is_painted_over_is_held_no_longer() -> None:
    session = started()
    lay_strokes(session, strokes(), "1.png", 0.6)
    lay_strokes(session, strokes((0, 0, 255)), "2.png", 0.0)
    assert not HELD & set(next(session).losses)


def test_of_several_strokes_the_later_lie_over_the_earlier() -> None:
    image, changed = torch.zeros(1, 3, 4, 4), torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    changed[..., :3] = True
    held = drawn_over(None, drawn(image, changed), 0.5, CANVAS)
    assert held is not None
    assert held.cells[0, 0, 0].tolist() == [0.5, 0.5]
    held = drawn_over(held, drawn(torch.ones(1, 3, 4, 4), changed.flip(3)), 1.0, CANVAS)
    assert held is not None
    assert held.near[0, 0, 0].tolist() == [0.5, 1.0, 1.0, 1.0]
    assert held.image[0, 0, 0].tolist() == [0, 255, 255, 255]
    assert held.cells[0, 0, 0].tolist() == [1.0, 1.0]
    last = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    last[..., 3] = True
    held = drawn_over(held, drawn(torch.zeros(1, 3, 4, 4), last), 0.0, CANVAS)
    assert held is not None
    assert held.near[0, 0, 0].tolist() == [0.5, 1.0, 1.0, 0.0]
    assert held.latent[0, 0, 0].tolist() == [1.0, 0.0]


def test_thin_strokes_are_held_less() -> None:
    losses = []
    for alpha in (255, 128):
        session = started()
        lay_strokes(session, strokes((0, 0, 0), alpha), "1.png", 1.0)
        held = session._held
        assert held is not None
        losses.append(float(held.near.max()))
    assert losses == [1.0, pytest.approx(128 / 255)]


def test_pictures_of_a_batch_are_held_each_by_itself() -> None:
    session = started(count=2)
    session.set_image(Image.new("RGB", (WIDTH, HEIGHT), RED), index=1, near=1.0)
    losses = next(session).losses["held/colours"]
    assert losses[0] == 0
    assert losses[1] > 0


@pytest.mark.parametrize("near", [-0.1, 1.5, float("nan"), torch.zeros(2, 2)])
def test_what_is_no_nearness_is_refused(near: Any) -> None:
    session = started()
    with pytest.raises(ImageError, match="near"):
        session.set_image(torch.zeros(3, HEIGHT, WIDTH), torch.ones(HEIGHT, WIDTH), near=near)
    assert not session.edits


def test_mean_colours_are_held_and_texture_is_free() -> None:
    target = torch.full((1, 3, 2 * BLOCK, BLOCK), 0.5)
    weight = torch.zeros(1, 1, 2 * BLOCK, BLOCK)
    weight[:, :, :BLOCK] = 2.0
    loss = HeldColours(target, weight)
    image = target.clone()
    image[:, :, :BLOCK:2] += 0.3  # stripes with the same mean
    image[:, :, 1:BLOCK:2] -= 0.3
    image[:, :, BLOCK:] = 0.9  # nobody drew there
    assert float(loss(seen(image))) == pytest.approx(0.0, abs=1e-10)
    image[:, 0, :BLOCK] += 0.1
    assert float(loss(seen(image))) == pytest.approx(0.5 * 2.0 * 0.1**2, rel=1e-4)


def test_a_pixel_is_held_as_strongly_alone_as_among_many() -> None:
    gradients = []
    for side in (2, BLOCK):
        weight = torch.zeros(1, 1, BLOCK, BLOCK)
        weight[..., :side, :side] = 1.0
        image = torch.full((1, 3, BLOCK, BLOCK), 0.6, requires_grad=True)
        HeldColours(torch.full_like(image, 0.5).detach(), weight)(seen(image)).sum().backward()
        assert image.grad is not None
        gradients.append(float(image.grad[0, 0, 0, 0]))
    assert gradients[0] == pytest.approx(gradients[1], rel=1e-4)


def test_cells_are_held_by_their_weight() -> None:
    weight = torch.tensor([2.0, 0.0]).view(1, 1, 1, 2)
    loss = HeldShapes(torch.zeros(1, 3, 1, 2), weight)
    assert float(loss(seen(torch.empty(0), torch.ones(1, 3, 1, 2)))) == pytest.approx(0.5)


def test_an_unheld_picture_has_no_term() -> None:
    one = drawn(torch.zeros(1, 3, 4, 4), torch.ones(1, 1, 4, 4, dtype=torch.bool))
    assert drawn_over(None, one, 0.0, CANVAS) is None
    assert drawn_over(drawn_over(None, one, 1.0, CANVAS), one, 0.0, CANVAS) is None


def test_logits_are_not_pulled() -> None:
    session = started(latent="codebook-sampling")
    lay_strokes(session, strokes(), "1.png", 0.6)
    assert HELD & set(next(session).losses) == {"held/colours"}
