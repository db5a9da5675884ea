"""Cutouts that look at places, and what share of a place each one shows."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from gouache.cutouts import CutoutParams, inside, sample
from gouache.placing import PLACES, Place
from gouache.settings.config import AUGMENTATIONS, CutoutConfig

LEFT, TOP_RIGHT = PLACES["left"], PLACES["top right"]
EVERYWHERE: Place = (0.0, 0.0, 1.0, 1.0)
SIZES = [(128, 128), (96, 160), (192, 64)]
MANY = CutoutConfig(num_cutouts=200, whole_share=0.5, cut_min=0.45, augment=())


def draw(
    *places: Place | None, size: tuple[int, int] = (128, 128), config: CutoutConfig = MANY
) -> CutoutParams:
    return sample(config, 1, size, [torch.Generator().manual_seed(0)], [places])


def test_nothing_changes_where_no_place_is_named() -> None:
    rng = torch.Generator().manual_seed(0)
    plain = sample(MANY, 1, (128, 128), [rng])
    for places in ((), ((),), ((None,),)):
        again = torch.Generator().manual_seed(0)
        found = sample(MANY, 1, (128, 128), [again], places)
        assert torch.equal(found.homographies, plain.homographies)
        assert torch.equal(again.get_state(), rng.get_state())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("place", [*PLACES.values(), (0.1, 0.5, 0.4, 0.9)])
def test_cutouts_look_at_their_place(place: Place, size: tuple[int, int]) -> None:
    found = inside(draw(place, size=size), place)[:, 0]
    there = inside(draw(size=size), place)[:, 0]
    assert found.min() > 0
    assert found.mean() > 1.5 * there.mean()


def test_cutouts_within_a_large_place_show_nothing_else() -> None:
    assert bool((inside(draw(LEFT, size=(512, 512)), LEFT)[100:] == 1).all())


def test_cutouts_are_dealt_out_in_equal_shares() -> None:
    params = draw(LEFT, TOP_RIGHT, None)
    plain = draw()
    for first in (0, 100):  # whole views, then details
        block = slice(first, first + 34)
        assert bool((inside(params, LEFT)[block] > 0.3).all())
        block = slice(first + 34, first + 67)
        assert bool((inside(params, TOP_RIGHT)[block] > 0.3).all())
        block = slice(first + 67, first + 100)
        assert torch.equal(params.homographies[block], plain.homographies[block])
    some = params.at_most(6)
    assert bool((inside(some, LEFT) > 0.3).any())
    assert bool((inside(some, TOP_RIGHT) > 0.3).any())


def test_each_picture_of_a_batch_looks_where_it_would_alone() -> None:
    config = replace(MANY, augment=AUGMENTATIONS)

    def rng(seed: int) -> torch.Generator:
        return torch.Generator().manual_seed(seed)

    looks = [(LEFT,), (None,), (TOP_RIGHT, None)]
    both = sample(config, 3, (96, 160), [rng(k) for k in range(3)], looks)
    for k, own in enumerate(looks):
        alone = sample(config, 1, (96, 160), [rng(k)], [own])
        assert torch.equal(both.homographies[:, k], alone.homographies[:, 0])


def test_the_share_is_that_of_where_points_lie_in_the_picture() -> None:
    params = draw(config=replace(MANY, num_cutouts=1))  # the whole picture
    assert float(inside(params, LEFT)) == 0.5
    assert float(inside(params, EVERYWHERE)) == 1
    corner = params.homographies.clone()
    corner[..., 0, 0] = corner[..., 1, 1] = 0.5
    corner[..., 0, 2] = corner[..., 1, 2] = -0.5
    corner = replace(params, homographies=corner).homographies  # the top left quarter
    for turn in (
        torch.diag(torch.tensor([-1.0, 1.0, 1.0])),  # mirrored
        torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]),  # turned
    ):
        turned = replace(params, homographies=corner @ turn)
        assert float(inside(turned, LEFT)) == 1
        assert float(inside(turned, PLACES["right"])) == 0
    beside = corner.clone()
    beside[..., 0, 2] = -1  # half of it is beside the picture
    assert float(inside(replace(params, homographies=beside), LEFT)) == 0.5
