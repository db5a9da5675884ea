"""Laws of drawing cutouts: one rng per picture, whole views, and each augmentation alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor

from gouache.cutouts import CutoutParams, sample
from gouache.errors import ConfigError, StateError
from gouache.settings.config import AUGMENTATIONS, CutoutConfig

# Many cutouts of every size, whatever the defaults are.
cutout_config = partial(CutoutConfig, num_cutouts=24, whole_share=0.35, cut_min=0.45)

PLAIN = cutout_config(num_cutouts=400, augment=(), whole_share=0.1)
SIZES = [(128, 128), (96, 160), (192, 64)]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """The tensors here are tiny; on a busy machine waiting for a second thread takes far longer."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def rngs(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def draw(config: CutoutConfig, size: tuple[int, int] = (128, 128), seed: int = 0) -> CutoutParams:
    return sample(config, 1, size, rngs(seed))


def only(name: str, **changes: float) -> CutoutConfig:
    return replace(PLAIN, augment=(name,), **changes)


def extra(with_: CutoutParams, without: CutoutParams) -> Tensor:
    """(N,3,3): what the augmentation multiplies onto the crop, float64."""
    crop = without.homographies[:, 0].double()
    change = torch.linalg.inv(crop) @ with_.homographies[:, 0].double()
    return change / change[:, 2:, 2:]


def same(first: CutoutParams, second: CutoutParams) -> bool:
    pairs = zip(first.state().values(), second.state().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_shapes_and_types(size: tuple[int, int], batch: int) -> None:
    params = sample(cutout_config(num_cutouts=7), batch, size, rngs(*range(batch)))
    assert (params.num_cutouts, params.batch) == (7, batch)
    shapes = {name: (tuple(value.shape), value.dtype) for name, value in params.state().items()}
    assert shapes == {
        "homographies": ((7, batch, 3, 3), torch.float32),
        "mean_outside": ((7, batch), torch.bool),
        "color": ((7, batch, 3, 4), torch.float32),
        "erase": ((7, batch, 5), torch.float32),
        "noise_scale": ((7, batch), torch.float32),
        "noise_seed": ((batch,), torch.int64),
        "picture_size": ((2,), torch.int64),
    }
    assert all(value.is_contiguous() for value in params.state().values())


def test_same_rng_same_draw_and_next_draw_differs() -> None:
    config = cutout_config()
    (rng,) = rngs(5)
    first, second = (sample(config, 1, (96, 128), [rng]) for _ in range(2))
    assert same(first, draw(config, (96, 128), seed=5))
    assert not same(first, second)
    assert first.noise_seed != second.noise_seed


def test_picture_of_a_batch_is_drawn_as_when_alone() -> None:
    config = cutout_config()
    together = sample(config, 2, (96, 128), rngs(3, 8))
    for b, seed in enumerate((3, 8)):
        alone = draw(config, (96, 128), seed)
        for name, value in together.state().items():
            if name != "picture_size":
                along = 0 if name == "noise_seed" else 1
                mine = value.narrow(along, b, 1)
                assert torch.equal(mine, getattr(alone, name)), name


def test_switching_one_augmentation_leaves_the_others() -> None:
    full = draw(cutout_config())
    for name in AUGMENTATIONS:
        kept = tuple(other for other in AUGMENTATIONS if other != name)
        rest = draw(cutout_config(augment=kept))
        geometry = name in ("flip", "affine", "perspective")
        assert torch.equal(rest.homographies, full.homographies) != geometry
        assert torch.equal(rest.color, full.color) == (name != "color")
        assert torch.equal(rest.erase, full.erase) == (name != "erasing")
        assert torch.equal(rest.noise_scale, full.noise_scale) == (name != "noise")
        assert torch.equal(rest.noise_seed, full.noise_seed)


@pytest.mark.parametrize("size", SIZES)
def test_plain_crops_lie_inside_and_have_the_sides_asked_for(size: tuple[int, int]) -> None:
    config = replace(PLAIN, cut_min=0.6)
    height, width = size
    params = draw(config, size)
    maps = params.homographies[40:, 0]
    side_x, side_y = maps[:, 0, 0] * width, maps[:, 1, 1] * height
    torch.testing.assert_close(side_x, side_y)  # squares in the picture's pixels
    short = min(size)
    assert side_x.min() >= 0.6 * short - 1e-3
    assert side_x.min() < 0.65 * short
    assert side_x.max() <= short + 1e-3
    assert side_x.max() > 0.97 * short
    for axis in (0, 1):
        assert (maps[:, axis, 2].abs() + maps[:, axis, axis]).max() <= 1 + 1e-5
    off_diagonal = maps * (1 - torch.eye(3))
    off_diagonal[:, :2, 2] = 0
    assert not off_diagonal.any()


def test_position_is_uniform() -> None:
    maps = draw(replace(PLAIN, num_cutouts=1000), (96, 160)).homographies[100:, 0]
    room = maps[:, 0, 2] / (1 - maps[:, 0, 0])  # -1 to 1 whatever the side
    assert abs(room.mean()) < 0.06
    assert abs(room.var() - 1 / 3) < 0.03


@pytest.mark.parametrize("cut_pow", [0.5, 1.0, 3.0])
def test_cut_pow_shapes_the_sides(cut_pow: float) -> None:
    maps = draw(replace(PLAIN, cut_pow=cut_pow, cut_min=0.25)).homographies[40:, 0]
    share = (maps[:, 0, 0] - 0.25) / 0.75  # of U**cut_pow
    assert abs(share.mean() - 1 / (1 + cut_pow)) < 0.05


def test_sides_have_a_floor_in_pixels() -> None:
    maps = draw(replace(PLAIN, cut_min=0.01, cut_pow=10.0), (64, 64)).homographies[40:, 0]
    assert maps[:, 0, 0].min() * 64 >= 32 - 1e-3
    tiny = draw(replace(PLAIN, cut_min=0.5), (20, 30)).homographies[40:, 0]
    torch.testing.assert_close(tiny[:, 1, 1], torch.ones(360))  # the floor exceeds the short side


@pytest.mark.parametrize(
    ("num", "share", "expected"), [(24, 0.35, 8), (24, 0.0, 1), (1, 0.0, 1), (1, 1.0, 1), (5, 1, 5)]
)
def test_number_of_whole_views(num: int, share: float, expected: int) -> None:
    config = replace(PLAIN, num_cutouts=num, whole_share=float(share))
    params = draw(config, (64, 192))
    view = torch.diag(torch.tensor([1.0, 3.0, 1.0]))
    is_whole = (params.homographies[:, 0] == view).flatten(1).all(1)
    assert is_whole.tolist() == [True] * expected + [False] * (num - expected)
    assert params.mean_outside[:, 0].tolist() == is_whole.tolist()
    assert not draw(config, (64, 64)).mean_outside.any()  # no bars around a square


@pytest.mark.parametrize("size", SIZES)
def test_first_cutout_is_exactly_the_whole_picture(size: tuple[int, int]) -> None:
    for seed in range(20):
        params = draw(cutout_config(erase_probability=1.0), size, seed)
        first = params.homographies[0, 0]
        view = torch.diag(torch.tensor([max(size) / size[1], max(size) / size[0], 1.0]))
        assert torch.equal(first.abs(), view)
        assert first[1, 1] > 0  # mirrored at most, never upside down
        assert not params.erase[:8].any()


def test_whole_views_bend_mildly() -> None:
    params, crops = (
        draw(cutout_config(augment=("affine", "perspective"))),
        draw(cutout_config(augment=())),
    )
    change = (extra(params, crops) - torch.eye(3).double()).abs().amax((1, 2))
    assert change[0] == 0
    assert 0 < change[1:8].max() < 0.2  # sine of 4 degrees and of the shear, a shift of 0.027 sides
    assert change[8:].max() > 0.2


def test_flip_alone() -> None:
    plain, params = draw(PLAIN), draw(only("flip", flip_probability=0.3))
    change = extra(params, plain)
    mirrored = change[:, 0, 0] < 0
    assert abs(mirrored.double().mean() - 0.3) < 0.07
    mirror = torch.diag(torch.tensor([-1.0, 1.0, 1.0])).double()
    torch.testing.assert_close(change[mirrored], mirror.expand(int(mirrored.sum()), 3, 3))
    assert torch.equal(params.homographies[~mirrored], plain.homographies[~mirrored])


def affine_alone(**changes: float) -> Tensor:
    settings = {"affine_degrees": 0.0, "affine_translate": 0.0, "affine_shear": 0.0}
    config = only("affine", affine_probability=0.75, **{**settings, **changes})
    return extra(draw(config), draw(replace(PLAIN)))[40:]


def share_changed(change: Tensor) -> float:
    return float(((change - torch.eye(3)).abs().amax((1, 2)) > 1e-6).double().mean())


def test_rotation_alone() -> None:
    change = affine_alone(affine_degrees=30.0)
    linear = change[:, :2, :2]
    identity = torch.eye(2).double().expand_as(linear)
    torch.testing.assert_close(linear @ linear.transpose(1, 2), identity, atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(linear), torch.ones(360).double())
    degrees = torch.rad2deg(torch.atan2(linear[:, 1, 0], linear[:, 0, 0]))
    assert degrees.abs().max() <= 30.001
    assert degrees.min() < -27
    assert degrees.max() > 27
    assert abs(share_changed(change) - 0.75) < 0.07
    torch.testing.assert_close(change[:, :2, 2].abs().max().item(), 0.0, atol=1e-6, rtol=0)


def test_translation_alone() -> None:
    change = affine_alone(affine_translate=0.1)
    torch.testing.assert_close(
        change[:, :2, :2], torch.eye(2).double().expand(360, 2, 2), atol=1e-6, rtol=0
    )
    shift = change[:, :2, 2] / 2  # as a share of the cutout
    assert shift.abs().max() <= 0.1 + 1e-6
    assert shift.abs().amax(0).min() > 0.09
    assert abs(share_changed(change) - 0.75) < 0.07


def test_shear_alone() -> None:
    change = affine_alone(affine_shear=20.0)
    linear = change[:, :2, :2]
    torch.testing.assert_close(
        torch.linalg.det(linear), torch.ones(360).double(), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(linear[:, 0, 0], torch.ones(360).double(), atol=1e-6, rtol=0)
    for entry in (linear[:, 0, 1], linear[:, 1, 0]):
        degrees = torch.rad2deg(entry.atan())
        assert degrees.abs().max() <= 20.001
        assert degrees.abs().max() > 18
    assert abs(share_changed(change) - 0.75) < 0.07


@pytest.mark.parametrize("scale", [0.2, 0.9])
def test_perspective_alone(scale: float) -> None:
    config = only("perspective", perspective_scale=scale, perspective_probability=0.6)
    change = extra(draw(config), draw(PLAIN))[40:]
    assert abs(share_changed(change) - 0.6) < 0.08
    corners = torch.tensor([[-1.0, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]]).double()
    mapped = change @ corners.T  # (N,3,4)
    assert mapped[:, 2].min() > 0  # in front of the viewer, even where corners move most
    moved = (mapped[:, :2] / mapped[:, 2:]).transpose(1, 2) - corners[:, :2]
    assert moved.abs().max() <= scale / 2 + 1e-4
    assert moved.flatten(0, 1).amax(0).min() > 0.45 * scale
    assert moved.flatten(0, 1).amin(0).max() < -0.45 * scale
    assert moved.mean().abs() < 0.02 * scale  # no zoom, no drift


def test_color_alone() -> None:
    params = draw(only("color", color_strength=0.2, color_probability=0.7))
    color = params.color[:, 0].double()
    changed = (color - torch.eye(3, 4)).abs().amax((1, 2)) > 1e-6
    assert abs(changed.double().mean() - 0.7) < 0.07
    contrast = 1 - 2 * color[:, 0, 3]
    brightness = color[:, 0, :3].sum(1) / contrast
    saturation = (color[:, 0, 0] - color[:, 1, 0]) / (brightness * contrast)
    for factor in (contrast, brightness, saturation):
        assert 0.8 - 1e-5 <= factor.min() < 0.83
        assert 1.17 < factor.max() <= 1.2 + 1e-5
    # The three operations one after another on one colour.
    rgb = torch.tensor([0.9, 0.3, 0.1]).double()
    luma = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]
    expected = saturation[:, None] * rgb + (1 - saturation[:, None]) * luma
    expected = (expected * brightness[:, None] - 0.5) * contrast[:, None] + 0.5
    torch.testing.assert_close(color[:, :, :3] @ rgb + color[:, :, 3], expected, atol=1e-5, rtol=0)
    grey = color[:, :, :3].sum(2)
    torch.testing.assert_close(grey, grey[:, :1].expand(-1, 3), atol=1e-6, rtol=0)


@pytest.mark.parametrize("scale", [0.01, 0.3, 0.9])
def test_erasing_alone(scale: float) -> None:
    params = draw(only("erasing", erase_scale=scale, erase_probability=0.5))
    erase = params.erase[:, 0]
    assert not erase[:40].any()  # whole views stay whole
    top, bottom, left, right, grey = erase[40:].unbind(1)
    erased = bottom > top
    assert abs(erased.double().mean() - 0.5) < 0.08
    assert not erase[40:][~erased].any()
    for low, high in ((top, bottom), (left, right)):
        assert low.min() >= 0
        assert high.max() <= 1 + 1e-6
    area = ((bottom - top) * (right - left))[erased]
    assert area.max() <= scale + 1e-5
    assert area.max() > 0.9 * min(scale, 0.5)
    assert area.min() >= min(0.02, scale) * 0.999
    assert grey.min() >= 0
    assert grey[erased].std() > 0.2


def test_noise_alone() -> None:
    params = draw(only("noise", noise_strength=0.2))
    scale = params.noise_scale
    assert scale.min() >= 0
    assert 0.19 < scale.max() <= 0.2
    assert abs(scale.mean() - 0.1) < 0.01
    others = draw(PLAIN)
    for name in ("homographies", "color", "erase"):
        assert torch.equal(getattr(params, name), getattr(others, name))


def test_no_augmentation_is_crop_and_resize_only() -> None:
    params = draw(PLAIN)
    assert not params.erase.any()
    assert not params.noise_scale.any()
    assert torch.equal(params.color, torch.eye(3, 4).expand(400, 1, 3, 4))


def test_strengths_of_zero_change_nothing() -> None:
    still = replace(
        PLAIN,
        augment=AUGMENTATIONS,
        **{"flip_probability": 0.0, "affine_degrees": 0.0, "affine_translate": 0.0},
        **{"affine_shear": 0.0, "perspective_scale": 0.0, "color_strength": 0.0},
        **{"erase_scale": 0.0, "noise_strength": 0.0},
    )
    with_, without = draw(still).state(), draw(PLAIN).state()
    for name in with_:
        torch.testing.assert_close(with_[name], without[name], atol=1e-7, rtol=0)


def test_state_round_trips() -> None:
    params = sample(cutout_config(), 2, (96, 64), rngs(1, 2))
    assert same(CutoutParams.from_state(params.state()), params)
    state = params.state()
    del state["erase"]
    with pytest.raises(StateError, match="expected"):
        CutoutParams.from_state(state)


def test_wrong_arguments_say_what_was_expected() -> None:
    with pytest.raises(ConfigError, match="1 rngs for 2 pictures"):
        sample(cutout_config(), 2, (64, 64), rngs(0))
    with pytest.raises(ConfigError, match="64x0"):
        sample(cutout_config(), 1, (0, 64), rngs(0))


def test_angles_follow_the_declared_unit() -> None:
    """Half a turn really is half a turn: degrees, not radians."""
    change = affine_alone(affine_degrees=180.0)
    angle = torch.atan2(change[:, 1, 0], change[:, 0, 0]).abs()
    assert math.pi * 0.95 < angle.max() <= math.pi + 1e-6
