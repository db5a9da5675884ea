"""Pictures of any size as the models' own preprocessing hands them over."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gouache.errors import ModelError
from gouache.ops.images import to_tensor
from gouache.perceptors.preprocessing import Preprocessing

SIDE = 24
PLAIN: dict[str, Any] = {"size": SIDE, "mean": (0.0,) * 3, "std": (1.0,) * 3}
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


def noise(width: int, height: int) -> Image.Image:
    """Without extremes: Pillow clips between its two passes, which differs where it enlarges."""
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(70, 186, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("size", [(200, 150), (61, 97), (24, 24), (10, 17)])
@pytest.mark.parametrize("resample", ["bilinear", "bicubic"])
def test_resized_and_cropped_as_pillow_does(size: tuple[int, int], resample: Any) -> None:
    image = noise(*size)
    found = Preprocessing(**PLAIN, resample=resample)(to_tensor(image))[0]
    width, height = (SIDE if side == min(size) else int(SIDE * side / min(size)) for side in size)
    small = image.resize((width, height), FILTERS[resample])
    left, top = (width - SIDE) // 2, (height - SIDE) // 2
    wanted = to_tensor(small.crop((left, top, left + SIDE, top + SIDE)))[0]
    # Pillow rounds to 8 bits after each direction.
    assert (found - wanted).abs().max() < 2.5 / 255


def test_squashed_and_cut_out_of_something_larger() -> None:
    image = noise(80, 50)
    squashed = Preprocessing(**PLAIN, fit="squash")(to_tensor(image))[0]
    wanted = to_tensor(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC))[0]
    assert (squashed - wanted).abs().max() < 2.5 / 255
    cropped = Preprocessing(**PLAIN, short_side=32)(to_tensor(noise(32, 32)))[0]
    assert torch.equal(cropped, to_tensor(noise(32, 32).crop((4, 4, 28, 28)))[0])


def test_cutouts_are_only_normalised() -> None:
    image = 2 * torch.rand(2, 3, SIDE, SIDE) - 0.5  # a little outside [0,1], as cutouts may be
    found = Preprocessing(SIDE, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))(image)
    torch.testing.assert_close(found[:, 1], (image[:, 1] - 0.2) / 0.6)
    assert found.dtype == torch.float32


def test_the_gradient_passes_through_resizing_and_saturation() -> None:
    image = (torch.rand(1, 3, 50, 30) > 0.5).float().requires_grad_()
    Preprocessing(**PLAIN)(image).sum().backward()
    assert image.grad is not None
    assert (image.grad.sum(1) != 0).float().mean() > 0.5


def test_round_trip() -> None:
    one = Preprocessing(SIDE, resample="bilinear", fit="squash", short_side=30)
    values = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(one).items()}
    assert Preprocessing.from_dict(values) == one


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 0}, {"size": 9000}, {"size": "24"}, {"short_side": 20}, {"mean": (0.5,)},
        {"std": (1.0, 0.0, 1.0)}, {"resample": "lanczos"}, {"fit": "pad"},
    ],
)  # fmt: skip
def test_wrong_values_are_one_line(wrong: dict[str, Any]) -> None:
    with pytest.raises(ModelError) as error:
        Preprocessing(**{**PLAIN, **wrong})
    assert "\n" not in str(error.value)
