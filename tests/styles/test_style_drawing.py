"""Pictures drawn in styles and weather."""

from __future__ import annotations

import pytest
import torch

from gouache.styles import draw_in, known_styles
from gouache.styles.drawing import thing
from gouache.styles.weather import WEATHER


def disc(height: int = 48, width: int = 48) -> torch.Tensor:
    """A red disc on light blue."""
    y = torch.linspace(-1, 1, height).view(-1, 1)
    x = torch.linspace(-1, 1, width).view(1, -1)
    inside = ((x * width / height).square() + y.square() < 0.3)[None]
    red, blue = torch.tensor([0.9, 0.1, 0.1]), torch.tensor([0.6, 0.8, 1.0])
    return torch.where(inside, red.view(3, 1, 1), blue.view(3, 1, 1))[None]


@pytest.mark.parametrize("name", [*known_styles(), *WEATHER])
def test_each_draws_another_picture_of_the_same_size(name: str) -> None:
    image = disc(40, 56)
    drawn = draw_in(name, image, seed=1)
    assert drawn.shape == image.shape
    assert drawn.dtype == torch.float32
    assert 0 <= float(drawn.min()) <= float(drawn.max()) <= 1
    assert float((drawn - image).abs().mean()) > 0.01
    assert torch.equal(drawn, draw_in(name, image, seed=1))


def test_seeds_lay_other_tiles() -> None:
    image = disc()
    assert not torch.equal(draw_in("mosaic", image, 0), draw_in("mosaic", image, 1))


def test_what_stands_on_the_ground_is_found() -> None:
    image = disc(64, 64)
    found = thing(image)[0, 0]
    red = image[0, 0] > image[0, 2]
    assert float(found[red].mean()) > 0.9
    assert float(found[~red].mean()) < 0.1


def test_a_silhouette_is_dark_on_light_and_pixels_are_squares() -> None:
    image = disc(64, 64)
    red = image[0, 0] > image[0, 2]
    shadow = draw_in("silhouette", image, 0)[0].mean(0)
    assert float(shadow[red].mean()) < 0.25 < 0.6 < float(shadow[~red].mean())
    square = draw_in("pixel art", image, 0)[0, :, ::2, ::2]
    assert len(square.round(decimals=2).flatten(1).unique(dim=1).T) < 60
