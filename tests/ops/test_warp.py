"""Laws of the one-pass warp: exactness, antialiasing, adjointness, agreement with plain loops."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from gouache.errors import ImageError
from gouache.ops.warp import choose_rungs, warp


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """The tensors here are tiny; on a busy machine waiting for a second thread takes far longer."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def picture(batch: int, height: int, width: int, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(batch, 3, height, width, generator=rng)


def zone_plate(side: int) -> Tensor:
    """Rings whose frequency grows linearly from 0 to Nyquist at the inscribed circle."""
    at = torch.arange(side) - (side - 1) / 2
    radius_squared = at[:, None] ** 2 + at[None] ** 2
    rings = 0.5 + 0.5 * torch.cos(math.pi * radius_squared / side)
    return rings.expand(1, 3, side, side).contiguous()


def whole_view(height: int, width: int, *, mirrored: bool = False) -> Tensor:
    longest = max(height, width)
    return torch.diag(
        torch.tensor([(-1.0 if mirrored else 1.0) * longest / width, longest / height, 1.0])
    )


def turned(angle: float, scale: float, x: float = 0.0, y: float = 0.0) -> Tensor:
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    return torch.tensor([[cos, -sin, x], [sin, cos, y], [0.0, 0.0, 1.0]])


def several(num: int, batch: int, seed: int = 0, *, perspective: float = 0.1) -> Tensor:
    """(N,B,3,3) of mild projective maps, some of which lean out of the picture."""
    rng = torch.Generator().manual_seed(seed)
    drawn = torch.rand(num, batch, 6, generator=rng) * 2 - 1
    maps = torch.stack([turned(0.4 * a, 0.7 + 0.25 * s) for a, s in drawn[..., :2].reshape(-1, 2)])
    maps = maps.view(num, batch, 3, 3).clone()
    maps[..., :2, 2] = 0.3 * drawn[..., 2:4]
    maps[..., 2, :2] = perspective * drawn[..., 4:]
    return maps


def points(homography: Tensor, size: int) -> Tensor:
    """(1,S,S,2): where one homography reads the picture, by the definition."""
    centres = (torch.arange(size, dtype=torch.float64) * 2 + 1) / size - 1
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    mapped = torch.stack((x, y, torch.ones_like(x)), -1) @ homography.double().T
    return (mapped[..., :2] / mapped[..., 2:])[None]


def slow_warp(image: Tensor, homographies: Tensor, size: int) -> Tensor:
    """A plain loop: each cutout from its own resized picture, border continued."""
    rungs = choose_rungs(homographies.double(), (image.shape[2], image.shape[3]), size)
    cutouts = []
    for cutout, row in enumerate(homographies):
        for b, homography in enumerate(row):
            rung = rungs.sizes[int(rungs.index[cutout, b])]
            source = image[b : b + 1].double()
            if rung != source.shape[2:]:
                source = F.interpolate(source, rung, mode="bilinear", antialias=True)
            read = points(homography, size)
            cutouts.append(
                F.grid_sample(source, read, padding_mode="border", align_corners=False)[0]
            )
    return torch.stack(cutouts).view(*homographies.shape[:2], 3, size, size).float()


def exact_warp(image: Tensor, homography: Tensor, size: int, times: int = 8) -> Tensor:
    """The ideal for one cutout: sampled far more densely, then reduced by a triangle filter."""
    read = points(homography, size * times).float()
    dense = F.grid_sample(image, read, mode="bicubic", padding_mode="border", align_corners=False)
    return F.interpolate(dense, (size, size), mode="bilinear", antialias=True)


@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize("side", [64, 96, 256])
def test_identity_copies_the_picture(batch: int, side: int) -> None:
    image = picture(batch, side, side)
    # Company that looks on from afar, so that the atlas holds more than the picture.
    maps = several(5, batch) * torch.tensor([2.5, 2.5, 1.0])[:, None]
    maps[2] = torch.eye(3)
    out = warp(image, maps, side)
    assert out.shape == (5, batch, 3, side, side)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out[2], image, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(64, 96), (96, 32)])
def test_identity_of_a_picture_that_is_not_square_has_mean_bars(height: int, width: int) -> None:
    image = picture(2, height, width)
    side = max(height, width)
    maps = whole_view(height, width).expand(1, 2, 3, 3)
    out = warp(image, maps, side, mean_outside=torch.ones(1, 2, dtype=torch.bool))[0]
    top, left = (side - height) // 2, (side - width) // 2
    inside = (..., slice(top, top + height), slice(left, left + width))
    torch.testing.assert_close(out[inside], image, atol=1e-5, rtol=0)
    bars = torch.ones(side, side, dtype=torch.bool)
    bars[inside] = False
    mean = image.mean((2, 3))[..., None].expand(-1, -1, int(bars.sum()))
    torch.testing.assert_close(out[..., bars], mean, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("height", "width", "size"), [(128, 128, 64), (256, 256, 128), (96, 96, 71), (96, 32, 48)]
)
def test_whole_view_equals_antialiased_resize(height: int, width: int, size: int) -> None:
    image = picture(1, height, width)
    maps = torch.cat((several(3, 1), whole_view(height, width)[None, None]))
    flags = torch.tensor([[False], [False], [False], [True]])
    out = warp(image, maps, size, mean_outside=flags)[3]
    shrink = max(height, width) / size
    h, w = round(height / shrink), round(width / shrink)
    expected = F.interpolate(image, (h, w), mode="bilinear", antialias=True)
    top, left = (size - h) // 2, (size - w) // 2
    torch.testing.assert_close(
        out[..., top : top + h, left : left + w], expected, atol=1e-5, rtol=0
    )


def test_mirrored_view_is_the_mirror_image() -> None:
    image = picture(2, 96, 64)
    flags = torch.ones(1, 2, dtype=torch.bool)
    plain = warp(image, whole_view(96, 64).expand(1, 2, 3, 3), 48, mean_outside=flags)
    mirrored = warp(
        image, whole_view(96, 64, mirrored=True).expand(1, 2, 3, 3), 48, mean_outside=flags
    )
    torch.testing.assert_close(mirrored, plain.flip(-1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize(("height", "width", "size"), [(40, 56, 64), (120, 90, 40)])
def test_agrees_with_a_plain_loop(batch: int, height: int, width: int, size: int) -> None:
    image = picture(batch, height, width) / 2  # coordinates are good to 2e-5 pixels
    maps = several(6, batch)
    torch.testing.assert_close(
        warp(image, maps, size), slow_warp(image, maps, size), atol=1e-5, rtol=0
    )


def test_agrees_with_pillow_perspective() -> None:
    size, height, width = 64, 50, 70
    smooth = F.interpolate(picture(1, 5, 7), (height, width), mode="bicubic")
    maps = several(4, 1, seed=3) * torch.tensor([0.6, 0.6, 1.0])[:, None]  # all inside
    maps[..., :2, 2] *= 0.3
    out = warp(smooth, maps, size)
    edges = torch.tensor([[2 / size, 0, -1], [0, 2 / size, -1], [0, 0, 1]], dtype=torch.float64)
    pixels = torch.tensor(
        [[width / 2, 0, width / 2], [0, height / 2, height / 2], [0, 0, 1]], dtype=torch.float64
    )
    for cutout in range(len(maps)):
        matrix = pixels @ maps[cutout, 0].double() @ edges
        coefficients = (matrix / matrix[2, 2]).flatten()[:8].tolist()
        for channel in range(3):
            plane = Image.fromarray(smooth[0, channel].numpy(), mode="F")
            expected = plane.transform(
                (size, size),
                Image.Transform.PERSPECTIVE,
                coefficients,
                Image.Resampling.BILINEAR,
            )
            torch.testing.assert_close(
                out[cutout, 0, channel], torch.from_numpy(np.array(expected)), atol=1e-5, rtol=0
            )


# Variance where no ring may be left; the rings themselves have 0.125. Measured 0.0001 to 0.0013
# (the ideal filter: 0.0001 to 0.0009), and 0.034 to 0.13 for four taps into the picture itself.
ALIASING_BOUND, NAIVE_ALIASING = 0.002, 0.03
# Root mean square distance to the ideal filter; measured 0.002 to 0.058, and 0.15 to 0.31.
ERROR_BOUND, NAIVE_ERROR = 0.065, 0.13


@pytest.mark.parametrize("scale", [1.0, 0.75])
@pytest.mark.parametrize("angle", [0.0, 0.2])
@pytest.mark.parametrize("perspective", [0.0, 0.15])
def test_zone_plate_does_not_alias(scale: float, angle: float, perspective: float) -> None:
    side, size = 256, 64
    image = zone_plate(side)
    homography = turned(angle, scale)
    homography[2, 0] = perspective
    read = points(homography, size)
    # Rings beyond 1.4 times what the output's pixels can carry, yet below the picture's own limit.
    radius = read[0].norm(dim=-1) * side / 2
    limit = side / 2 / (scale * side / size)
    must_vanish = (radius > 1.4 * limit) & (radius < 0.95 * side / 2)
    must_vanish &= read[0].abs().amax(-1) < 0.95
    assert must_vanish.sum() > 500

    def aliasing(cutout: Tensor) -> float:
        return float((cutout[0, 0][must_vanish] - 0.5).square().mean())

    naive = F.grid_sample(image, read.float(), padding_mode="border", align_corners=False)
    ours = warp(image, homography[None, None], size)[0]
    ideal = exact_warp(image, homography, size)
    assert aliasing(ideal) < ALIASING_BOUND
    assert aliasing(naive) > NAIVE_ALIASING
    assert aliasing(ours) < ALIASING_BOUND
    assert float((naive - ideal).square().mean().sqrt()) > NAIVE_ERROR
    assert float((ours - ideal).square().mean().sqrt()) < ERROR_BOUND


@pytest.mark.parametrize("filter", [Image.Resampling.BOX, Image.Resampling.LANCZOS])
def test_whole_zone_plate_is_as_clean_as_pillow(filter: Image.Resampling) -> None:
    side, size = 256, 64
    image = zone_plate(side)
    ours = warp(image, torch.eye(3)[None, None], size)[0, 0, 0]
    plane = Image.fromarray(image[0, 0].numpy(), mode="F")
    pillow = torch.from_numpy(np.array(plane.resize((size, size), filter)))
    at = (torch.arange(size) * 2 + 1) / size - 1
    radius = (at[:, None] ** 2 + at[None] ** 2).sqrt() * size / 2
    beyond = (radius > 1.4 * size / 8) & (radius < size / 2)
    slack = 1e-4
    assert (ours[beyond] - 0.5).square().mean() < (pillow[beyond] - 0.5).square().mean() + slack


@pytest.mark.parametrize("batch", [1, 2])
def test_gradient_is_the_adjoint(batch: int) -> None:
    image = picture(batch, 72, 60).requires_grad_()
    maps = several(6, batch)
    out = warp(image, maps, 40)
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad((out * weights).sum(), image)
    other = picture(batch, 72, 60, seed=9)
    forward = (warp(other, maps, 40) * weights).sum()
    torch.testing.assert_close((gradient * other).sum(), forward, rtol=1e-4, atol=1e-3)


def test_keeps_constants_and_range() -> None:
    maps = several(8, 1)
    flat = warp(torch.full((1, 3, 90, 60), 0.3), maps, 32)
    torch.testing.assert_close(flat, torch.full_like(flat, 0.3), atol=1e-5, rtol=0)
    out = warp(picture(1, 90, 60).round(), maps, 32)  # blacks and whites only
    assert out.min() >= -1e-6
    assert out.max() <= 1 + 1e-6


def test_outside_is_border_or_mean() -> None:
    image = picture(1, 64, 64).requires_grad_()
    away = torch.eye(3)
    away[0, 2] = 2.5  # wholly to the right of the picture
    maps = away.expand(2, 1, 3, 3)
    out = warp(image, maps, 64, mean_outside=torch.tensor([[False], [True]]))
    border = image[..., -1:].expand(-1, -1, -1, 64)
    torch.testing.assert_close(out[0], border, atol=2e-5, rtol=0)
    mean = image.mean((2, 3), keepdim=True).expand_as(out[1])
    torch.testing.assert_close(out[1], mean, atol=1e-5, rtol=0)
    (gradient,) = torch.autograd.grad(out[1].sum(), image)
    assert gradient.abs().max() < 1e-3  # a constant: the guide cannot paint the bars


@pytest.mark.parametrize("batch", [1, 3])
def test_erased_rectangle_is_grey_and_has_no_gradient(batch: int) -> None:
    image = picture(batch, 50, 70).requires_grad_()
    maps = several(4, batch)
    erase = torch.zeros(4, batch, 5)
    erase[1, -1] = torch.tensor([0.25, 0.75, 0.5, 1.0, 0.62])
    erase[3, 0] = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0])
    plain = warp(image, maps, 32)
    out = warp(image, maps, 32, erase=erase)
    expected = plain.detach().clone()
    expected[1, -1, :, 8:24, 16:32] = 0.62
    expected[3, 0] = 0.0
    torch.testing.assert_close(out, expected, atol=2e-5, rtol=0)
    (gradient,) = torch.autograd.grad(out[3, 0].sum(), image)
    assert not gradient.any()


def test_pictures_of_a_batch_do_not_meet() -> None:
    image, maps = picture(3, 80, 60), several(7, 3)
    together = warp(image, maps, 32)
    for b in range(3):
        alone = warp(image[b : b + 1], maps[:, b : b + 1], 32)
        torch.testing.assert_close(together[:, b], alone[:, 0], atol=1e-5, rtol=0)


def test_is_deterministic() -> None:
    maps = several(8, 1)

    def run() -> tuple[Tensor, Tensor]:
        image = picture(1, 96, 96).requires_grad_()
        out = warp(image, maps, 48)
        return out, torch.autograd.grad(out.square().sum(), image)[0]

    for first, second in zip(run(), run(), strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize("num", [6, 7])
def test_number_of_threads_does_not_show(num: int) -> None:
    maps = several(num, 1)
    outs, gradients = [], []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        image = picture(1, 64, 64).requires_grad_()
        outs.append(warp(image, maps, 32))
        gradients.append(torch.autograd.grad(outs[-1].square().sum(), image)[0])
    torch.set_num_threads(1)
    for out, gradient in zip(outs, gradients, strict=True):
        assert torch.equal(out, outs[0])
        torch.testing.assert_close(gradient, gradients[0], atol=1e-5, rtol=1e-5)


def test_wrong_shapes_say_what_was_expected() -> None:
    with pytest.raises(ImageError, match="expected \\(B,3,H,W\\)"):
        warp(torch.rand(3, 8, 8), torch.eye(3)[None, None], 8)
    with pytest.raises(ImageError, match="expected \\(N,2,3,3\\)"):
        warp(torch.rand(2, 3, 8, 8), torch.eye(3)[None, None], 8)
    with pytest.raises(ImageError, match="size is 0"):
        warp(torch.rand(1, 3, 8, 8), torch.eye(3)[None, None], 0)
