"""Laws of applying cutouts: replay, whole views, gradients everywhere, slow loops agree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.cutouts import CutoutParams, apply, sample
from gouache.errors import ImageError
from gouache.settings.config import AUGMENTATIONS, CutoutConfig

# Many cutouts of every size, whatever the defaults are.
cutout_config = partial(CutoutConfig, num_cutouts=24, whole_share=0.35, cut_min=0.45)

SIZES = [(64, 64), (48, 144), (144, 48)]  # square and 3:1 either way
GEOMETRY = ("flip", "affine", "perspective")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """The tensors here are tiny; on a busy machine waiting for a second thread takes far longer."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def rngs(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def picture(batch: int, height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(seed))


def draw(
    config: CutoutConfig, batch: int = 1, size: tuple[int, int] = (64, 64), seed: int = 0
) -> CutoutParams:
    return sample(config, batch, size, rngs(*range(seed, seed + batch)))


def slow_apply(image: Tensor, params: CutoutParams, size: int) -> Tensor:
    """One cutout after another and one operation after another, for cutouts that magnify."""
    batch, _, height, width = image.shape
    centres = (torch.arange(size, dtype=torch.float64) * 2 + 1) / size - 1
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    cutouts = []
    noise = [
        torch.randn(
            params.num_cutouts, 3, size * size, generator=torch.Generator().manual_seed(int(seed))
        ).view(-1, 3, size, size)
        for seed in params.noise_seed
    ]
    for cutout in range(params.num_cutouts):
        for b in range(batch):
            source = image[b].double()
            mapped = torch.stack((x, y, torch.ones_like(x)), -1)
            mapped = mapped @ params.homographies[cutout, b].double().T
            read = mapped[..., :2] / mapped[..., 2:]
            if params.mean_outside[cutout, b]:  # on a wide mount of the mean colour
                mount = 2 * max(height, width)
                canvas = source.mean((1, 2))[:, None, None].repeat(
                    1, height + 2 * mount, width + 2 * mount
                )
                canvas[:, mount : mount + height, mount : mount + width] = source
                read = read * torch.tensor([width, height]).double()
                read = read / torch.tensor([width + 2 * mount, height + 2 * mount])
                source = canvas
            out = F.grid_sample(
                source[None], read[None], padding_mode="border", align_corners=False
            )[0].float()
            *sides, grey = params.erase[cutout, b].tolist()
            top, bottom, left, right = (round(side * size) for side in sides)
            out[:, top:bottom, left:right] = grey
            matrix = params.color[cutout, b]
            out = torch.einsum("rc,chw->rhw", matrix[:, :3], out) + matrix[:, 3, None, None]
            cutouts.append(out + params.noise_scale[cutout, b] * noise[b][cutout])
    return torch.stack(cutouts)


@pytest.mark.parametrize(("batch", "size"), [(1, (40, 40)), (2, (24, 40)), (3, (40, 24))])
@pytest.mark.parametrize("augment", [(), *[(name,) for name in AUGMENTATIONS], AUGMENTATIONS])
def test_agrees_with_a_slow_loop(
    batch: int, size: tuple[int, int], augment: tuple[str, ...]
) -> None:
    config = cutout_config(num_cutouts=6, augment=augment, erase_probability=0.7)
    image = picture(batch, *size)
    params = draw(config, batch, size)
    out = apply(image, params, 48)
    assert out.shape == (6 * batch, 3, 48, 48)
    assert out.dtype == torch.float32
    assert out.is_contiguous()
    torch.testing.assert_close(out, slow_apply(image, params, 48), atol=1e-5, rtol=0)


def test_identity_when_nothing_is_asked() -> None:
    image = picture(2, 64, 64)
    params = draw(cutout_config(num_cutouts=1, augment=()), 2)
    torch.testing.assert_close(apply(image, params, 64), image, atol=1e-5, rtol=0)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("size", [24, 32])
def test_replayed_params_give_equal_cutouts(batch: int, size: int) -> None:
    image = picture(batch, 64, 96)
    params = draw(cutout_config(), batch, (64, 96))
    first = apply(image, params, size)
    torch.manual_seed(99)  # the global rng has no part in it
    again = apply(image, CutoutParams.from_state(params.state()), size)
    assert torch.equal(first, again)


def test_same_params_show_the_same_places_at_any_size() -> None:
    smooth = F.interpolate(picture(1, 6, 6), (96, 96), mode="bicubic")
    params = draw(cutout_config(augment=GEOMETRY), 1, (96, 96))
    small, large = apply(smooth, params, 32), apply(smooth, params, 64)
    reduced = F.interpolate(large, (32, 32), mode="area")
    assert (small - reduced).abs().max() < 0.02
    doubled = F.interpolate(smooth, (192, 192), mode="bilinear", antialias=True)
    assert (apply(doubled, params, 32) - small).abs().max() < 0.02


def test_noise_does_not_depend_on_the_picture() -> None:
    params = draw(cutout_config(augment=("noise",)))
    silent = replace(params, noise_scale=torch.zeros_like(params.noise_scale))
    differences = [
        apply(image, params, 32) - apply(image, silent, 32)
        for image in (picture(1, 64, 64), picture(1, 64, 64, seed=4))
    ]
    torch.testing.assert_close(*differences, atol=1e-6, rtol=0)
    measured = differences[0].flatten(1).std(1)
    torch.testing.assert_close(measured, params.noise_scale[:, 0], rtol=0.06, atol=1e-4)
    apart = differences[0].flatten(1)
    correlation = torch.corrcoef(apart)[~torch.eye(24, dtype=torch.bool)]
    assert correlation.abs().max() < 0.1  # each cutout has its own


@pytest.mark.parametrize("size", SIZES)
def test_every_step_shows_the_whole_picture(size: tuple[int, int]) -> None:
    """Marked corners and borders are seen, in place, by one cutout of every draw."""
    height, width = size
    image = torch.full((1, 3, height, width), 0.5)
    image[..., :4, :] = image[..., -4:, :] = 1.0
    image[..., :, :4] = image[..., :, -4:] = 1.0
    for corner_y in (slice(0, 4), slice(-4, None)):
        for corner_x in (slice(0, 4), slice(-4, None)):
            image[..., corner_y, corner_x] = 0.0
    h, w = (side * 36 // max(size) for side in size)
    small = F.interpolate(image, (h, w), mode="bilinear", antialias=True)[0]
    inside = (..., slice((36 - h) // 2, (36 + h) // 2), slice((36 - w) // 2, (36 + w) // 2))
    config = cutout_config(augment=(*GEOMETRY, "erasing"), erase_probability=1.0, num_cutouts=6)
    for seed in range(10):
        cutouts = apply(image, draw(config, 1, size, seed), 36)
        furthest = (cutouts[inside] - small).abs().flatten(1).amax(1)
        assert furthest[0] < 1e-5
        assert furthest[2:].min() > 0.1  # a crop would not do


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("num", [1, 24])
def test_gradient_reaches_every_pixel_in_one_step(size: tuple[int, int], num: int) -> None:
    image = picture(1, *size).requires_grad_()
    out = apply(image, draw(cutout_config(num_cutouts=num), 1, size), 32)
    (gradient,) = torch.autograd.grad(out.sum(), image)
    # In a whole view all pixels count alike, but for the outermost: the antialiasing filter leans
    # over the edge there and gives them seven tenths, corners half. Recolouring takes a little.
    assert gradient.min() > 0.4 * (32 / max(size)) ** 2


def test_gradient_stays_spread_over_a_few_steps() -> None:
    """Crops weigh the middle more than the border, but leave no pixel to the whole views."""
    image = picture(1, 64, 64).requires_grad_()
    crops = cutout_config()
    total = torch.zeros(64, 64)
    for seed in range(8):
        out = apply(image, draw(crops, seed=seed), 32).view(24, 3, 32, 32)[8:]
        (gradient,) = torch.autograd.grad(out.sum(), image)
        total += gradient[0].mean(0)
    assert total.min() > 0.02 * total.mean()


def test_saturated_pixels_keep_their_gradient() -> None:
    image = torch.ones(1, 3, 64, 64, requires_grad=True)
    out = apply(image, draw(cutout_config()), 32)
    assert out.max() > 1  # not clamped
    (gradient,) = torch.autograd.grad(out.sum(), image)
    assert gradient.min() > 0


def test_range_without_color_and_noise_is_kept() -> None:
    image = picture(2, 64, 96).round()
    config = cutout_config(augment=(*GEOMETRY, "erasing"), erase_probability=1.0)
    out = apply(image, draw(config, 2, (64, 96)), 24)
    assert out.min() >= -1e-5
    assert out.max() <= 1 + 1e-5


def test_order_is_cutout_major() -> None:
    image = torch.stack([torch.full((3, 64, 64), value) for value in (0.1, 0.5, 0.9)])
    params = draw(cutout_config(num_cutouts=5, augment=GEOMETRY), 3)
    out = apply(image, params, 16).view(5, 3, 3, 16, 16)
    expected = torch.tensor([0.1, 0.5, 0.9])[None, :, None, None, None].expand_as(out)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=0)


def test_batch_of_two_equals_two_singles() -> None:
    image = picture(2, 64, 96)
    config = cutout_config()
    together = apply(image, sample(config, 2, (64, 96), rngs(3, 8)), 32).view(24, 2, 3, 32, 32)
    for b, seed in enumerate((3, 8)):
        alone = apply(image[b : b + 1], sample(config, 1, (64, 96), rngs(seed)), 32)
        torch.testing.assert_close(together[:, b], alone, atol=1e-5, rtol=0)


def test_stays_float32_inside_autocast_and_for_half_pictures() -> None:
    image = picture(1, 64, 64)
    params = draw(cutout_config())
    plain = apply(image, params, 32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = apply(image, params, 32)
    assert torch.equal(plain, inside)
    half = apply(image.bfloat16(), params, 32)
    assert half.dtype == torch.float32
    assert (half - plain).abs().max() < 0.01


def test_wrong_pictures_are_refused() -> None:
    params = draw(cutout_config(), 2, (64, 96))
    with pytest.raises(ImageError, match="drawn for \\(2,3,H,W\\)"):
        apply(picture(1, 64, 96), params, 32)
    with pytest.raises(ImageError, match="96x64"):
        apply(picture(2, 96, 64), params, 32)
    assert len(apply(picture(2, 33, 49), params, 32)) == 48  # the aspect of whole pixels
