"""The camera: moves are composed, and a picture is resampled once however long the way is."""

from __future__ import annotations

import math

import pytest
import torch

from gouache.films import camera
from gouache.films.camera import Window, magnified, move, places, sample, still

SIZE = (40, 56)
WINDOW = Window(SIZE, (28.0, 20.0))


def noise(size=SIZE):
    return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))


def moved(picture, border="wrap", window=WINDOW, **motion):
    return sample(picture, places(move(motion, window.size[0]), window), border)


@pytest.mark.parametrize("border", ["reflect", "replicate", "wrap", "fresh"])
def test_without_a_move_a_picture_stays_as_it_is(border):
    assert camera.is_still(move({}, 40))
    assert torch.allclose(sample(noise(), places(still(), WINDOW), border), noise(), atol=2e-5)


def test_a_shift_moves_to_the_right_and_down():
    found = moved(noise(), translation_x=3, translation_y=2)
    assert torch.allclose(found, noise().roll((2, 3), (2, 3)), atol=2e-5)


def test_a_positive_angle_turns_counter_clockwise():
    window = Window((40, 40), (20.0, 20.0))
    found = moved(noise((40, 40)), window=window, angle=90)
    assert torch.allclose(found, noise((40, 40)).rot90(1, (2, 3)), atol=2e-5)
    rolled = moved(noise((40, 40)), window=window, rotation_3d_z=90)
    assert torch.allclose(rolled, found, atol=1e-4)


def at(way, x, y):
    a, b, c = way @ torch.tensor([x, y, 1.0], dtype=torch.float64)
    return float(a / c), float(b / c)


def test_the_camera_goes_in_turns_right_and_tilts_up():
    assert magnified(move({"translation_z": 10}, 128)) == pytest.approx(1 / 0.95)
    assert at(move({"translation_z": 10}, 128), 19, 0) == pytest.approx((20, 0))
    assert at(move({"rotation_3d_y": 2}, 128), 0, 0)[0] < -1, "what is seen moves to the left"
    assert at(move({"rotation_3d_x": 2}, 128), 0, 0)[1] > 1, "and down"
    focal = 64 / math.tan(math.radians(20))
    shift = focal * math.tan(math.radians(5))
    assert at(move({"rotation_3d_y": 5}, 128, 40.0), 0, 0)[0] == pytest.approx(-shift)


def test_moves_are_composed():
    way = still()
    for _ in range(300):
        way = move({"zoom": 1.01}, 40) @ way
    assert magnified(way) == pytest.approx(1.01**300)
    there = move({"zoom": 1.2, "angle": 20, "translation_x": 5, "rotation_3d_y": 3}, 40)
    assert torch.allclose(there.inverse() @ there, still())


def test_magnified_is_the_size_of_the_middle():
    way = move({"zoom": 1.1, "angle": 30, "rotation_3d_y": 20}, 100)
    h = 1e-4
    (x0, y0), (x1, y1), (x2, y2) = at(way, 0, 0), at(way, h, 0), at(way, 0, h)
    area = ((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)) / h**2
    assert magnified(way) == pytest.approx(math.sqrt(area), rel=1e-3)


def test_what_is_beyond_the_borders_is_known():
    beyond = camera.outside(places(move({"translation_x": 7}, 40), WINDOW))
    assert beyond[:, :7].all()
    assert not beyond[:, 7:].any()


def test_cells_move_with_the_picture_and_stay_positive():
    cells = torch.zeros(1, 2, 10, 14)
    cells[:, :, 5, 6] = 1.0
    found = camera.move_cells(
        cells, move({"translation_x": 8, "translation_y": -4}, 40), WINDOW, "reflect"
    )
    assert found[0, 0].argmax() == 4 * 14 + 8
    assert (found >= 0).all()
