"""Calm pictures and given grounds: what a first sketch looks like, and real pictures of scenes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from gouache_training.colors import COLOR_NAMES
from gouache_training.compose import Composer, Shares
from gouache_training.grounds import SCENES, choose_grounds, paint_grounds, scene_grounds
from gouache_training.layouts import ONE, draw_layout
from training.dataset_samples import pictures

SIZE = 32
WHITE = COLOR_NAMES.index("white")
NOTHING = {"pair": 0.0, "count": 0.0, "style": 0.0, "hue": 0.0, "tint": 0.0, "shape": 0.0}


def corners(image: Tensor) -> Tensor:
    return image[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]


def on_white(image: Tensor) -> float:
    """Share of pictures with a white ground."""
    return float((corners(image).flatten(1).amin(1) > 0.9).float().mean())


def test_calm_things_are_large_upright_and_in_the_middle() -> None:
    layout = draw_layout(400, 0.3, 0.3, np.random.default_rng(0))
    calm = (layout.kind == ONE) & (np.arange(400) % 2 == 0)
    done = layout.calmed(calm, np.random.default_rng(1))
    still = calm[layout.owner]
    assert still.sum() > 50
    assert (done.side[still] >= 0.85).all()
    assert (done.side[still] <= 0.97).all()
    assert np.abs(done.center[still]).max() <= 0.03
    assert not done.angle[still].any()
    for name in ("side", "center", "angle", "flip"):
        before, after = getattr(layout, name), getattr(done, name)
        assert after.dtype == before.dtype
        assert after.shape == before.shape
        np.testing.assert_array_equal(after[~still], before[~still])
    for name in ("kind", "detail", "thing", "owner", "owner_of_thing", "flip"):
        np.testing.assert_array_equal(getattr(done, name), getattr(layout, name))


def test_calm_pictures_fill_the_middle_and_half_stand_on_white() -> None:
    def batch(calm: float) -> Tensor:
        shares = Shares(**NOTHING, calm=calm)
        return Composer(pictures(), np.random.default_rng(0), shares).batch(300, SIZE).image

    # Half are put there; of the rest as many as ever, and things that clash with white leave it.
    usual, calm = on_white(batch(0.0)), on_white(batch(1.0))
    assert usual < 0.45
    assert usual + 0.15 < calm < 0.85


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_marked_things_stand_on_white(share: float) -> None:
    thing = np.full((400, 1, 3), 0.3, np.float32)
    white = np.arange(400) < 400 * share
    grounds = choose_grounds(thing, np.random.default_rng(0), white=white)
    if not share:
        plain = choose_grounds(thing, np.random.default_rng(0))
        np.testing.assert_array_equal(grounds.upper, plain.upper)
        return
    assert (grounds.color == WHITE).all()
    assert (grounds.scene == -1).all()
    image = paint_grounds(grounds, SIZE)
    assert image.min() > 0.93
    assert image.flatten(2).std(-1).max() < 1e-3


def test_unmarked_things_stand_anywhere() -> None:
    thing = np.full((400, 1, 3), 0.3, np.float32)
    white = np.arange(400) < 200
    grounds = choose_grounds(thing, np.random.default_rng(0), white=white)
    assert (grounds.color[:200] == WHITE).all()
    assert 0.1 < (grounds.color[200:] == WHITE).mean() < 0.7
    assert (grounds.scene[200:] >= 0).any()


def test_white_things_are_not_put_on_white() -> None:
    thing = np.full((200, 1, 3), 0.97, np.float32)
    grounds = choose_grounds(thing, np.random.default_rng(0), white=np.ones(200, np.bool_))
    away = np.sqrt(((grounds.mean() - 0.97) ** 2).sum(1))
    assert (away > 0.25).mean() > 0.95


def test_scenes_that_are_asked_for() -> None:
    scene = np.array([-1, *range(len(SCENES))])
    grounds = scene_grounds(scene, np.random.default_rng(0))
    np.testing.assert_array_equal(grounds.scene, scene)
    assert grounds.color.tolist() == [WHITE] + [-1] * len(SCENES)
    image = paint_grounds(grounds, SIZE)
    assert image.shape == (len(scene), 3, SIZE, SIZE)
    assert image[0].min() > 0.93
    assert image[0].flatten(1).std(-1).max() < 1e-3
    for number, each in enumerate(SCENES, start=1):
        sky = torch.tensor(each.sky[0]) / 255
        found = image[number, :, 0].mean(-1)
        assert (found - sky).abs().max() < 0.25, each.words


def test_plain_batches_are_train_pictures_on_white() -> None:
    composer = Composer(pictures(), np.random.default_rng(0))
    image = composer.plain_batch(40, SIZE)
    every = composer.plain(pictures().indices("train"), SIZE)
    assert image.shape == (40, 3, SIZE, SIZE)
    assert corners(image).min() == 1
    away = (image[:, None] - every).abs().flatten(2).amax(2)
    assert away.amin(1).max() < 1e-6
    assert not torch.equal(image, composer.plain_batch(40, SIZE))
    again = Composer(pictures(), np.random.default_rng(0))
    assert torch.equal(image, again.plain_batch(40, SIZE))


def test_plain_batches_follow_a_torch_generator() -> None:
    def batch(seed: int) -> Tensor:
        composer = Composer(pictures(), torch.Generator().manual_seed(seed))
        return composer.plain_batch(20, SIZE)

    assert torch.equal(batch(1), batch(1))
    assert not torch.equal(batch(1), batch(2))
