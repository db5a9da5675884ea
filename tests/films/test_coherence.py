"""What stays from frame to frame: mean colour and sharpness."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from gouache.films.coherence import TOLERANCE, Look, energy, from_lab, mean_color, to_lab


def picture(seed=0):
    rough = torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(seed))
    return 0.2 + 0.6 * F.interpolate(rough, (48, 64), mode="bicubic").clamp(0, 1)


def test_colours_are_those_of_the_standard():
    # White, red and a grey of sRGB in CIELAB (D65), as tables have them.
    colors = torch.tensor([[1.0, 1, 1], [1, 0, 0], [0.5, 0.5, 0.5]]).view(3, 3, 1, 1)
    wanted = torch.tensor([[100, 0, 0], [53.24, 80.09, 67.20], [53.39, 0, 0]])
    assert torch.allclose(mean_color(colors).float(), wanted, atol=0.02)
    assert torch.allclose(from_lab(to_lab(picture())).float(), picture(), atol=1e-6)


def test_a_look_is_given_back():
    look = Look.of(picture())
    worn = F.avg_pool2d(picture(), 3, 1, 1, count_include_pad=False) * 0.85 + 0.02
    assert energy(worn) < 0.8 * look.energy
    found = look.given(worn)
    assert torch.allclose(mean_color(found), look.color, atol=0.05)
    assert abs(energy(found) / look.energy - 1) < TOLERANCE + 0.01
    assert found.min() >= 0
    assert found.max() <= 1


def test_what_is_too_sharp_is_softened():
    look = Look.of(picture())
    sharp = (
        picture() + 0.03 * torch.randn(1, 3, 48, 64, generator=torch.Generator().manual_seed(1))
    ).clamp(0, 1)
    assert abs(energy(look.given(sharp)) / look.energy - 1) < TOLERANCE + 0.01


def test_each_can_be_left_alone():
    look, worn = Look.of(picture()), picture() * 0.8
    assert torch.equal(look.given(worn, color=False, detail=False), worn)
    assert torch.allclose(energy(look.given(worn, color=False)), look.energy, rtol=0.05)
    assert not torch.allclose(mean_color(look.given(worn, color=False)), look.color, atol=1)


def test_colours_may_go_a_part_of_the_way():
    look, worn = Look.of(picture()), picture() * 0.8
    middle = (mean_color(worn) + look.color) / 2
    assert torch.allclose(mean_color(look.given(worn, color=0.5)), middle, atol=0.05)


def test_a_picture_that_fits_stays_as_it_is():
    assert torch.allclose(Look.of(picture()).given(picture()), picture(), atol=1e-6)
