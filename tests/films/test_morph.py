"""From one picture to another."""

from __future__ import annotations

import pytest
import torch

from gouache.errors import ConfigError
from gouache.films.config import FilmConfig
from gouache.films.film import Film
from gouache.films.morph import room, way
from gouache.ops.images import to_pil
from tiny import TinyGenerator, TinyPerceptor, tiny_config

MODELS = {"generator": TinyGenerator(), "perceptor": TinyPerceptor()}


@pytest.fixture
def ends(tmp_path):
    found = []
    for seed, name in enumerate(("a.png", "b.png")):
        picture = torch.rand(3, 24, 32, generator=torch.Generator().manual_seed(seed))
        to_pil(picture).save(tmp_path / name)
        found.append((tmp_path / name, picture))
    return found


def morph(ends, *, config=None, **film):
    names = {"init_image": str(ends[0][0]), "cross_image": str(ends[1][0])}
    settings = tiny_config(**{"steps": 1, **names, **(config or {})})
    told = FilmConfig(morph=True, frames=9, steps_per_frame=2).updated(**film)
    return Film.build(settings, told, **MODELS)


def frames(film):
    return [film.picture() for _ in film if film.frame_done]


def test_it_ends_in_the_other_picture(ends):
    found = frames(morph(ends, config={"learning_rate": 1e-9}))
    gaps = [[float((one[0] - picture).abs().mean()) for one in found] for _, picture in ends]
    assert gaps[1][-1] < 0.01
    assert gaps[0] == sorted(gaps[0]), "further and further from the first"
    assert gaps[1][1:] == sorted(gaps[1][1:], reverse=True), "and nearer to the second"


def test_it_is_painted_on(ends):
    still, painted = (
        frames(morph(ends, config={"learning_rate": r}, frame_lr=0.3)) for r in (1e-9, 0.3)
    )
    assert float((still[4] - painted[4]).abs().mean()) > 0.02


def test_there_and_back_again():
    assert [way(k, 4, back=True) for k in range(4)] == [0, 0.5, 1, 0.5]
    assert [way(k, 5, back=False) for k in range(5)] == [0, 0.25, 0.5, 0.75, 1]
    assert (room(0), room(0.5), room(1)) == (0, 1, 0)


def test_its_state_needs_no_picture(ends):
    film = morph(ends)
    states, painted = [], []
    for _ in film:
        if film.frame_done:
            painted.append(film.picture())
            states.append(film.state_dict())
    for path, _ in ends:
        path.unlink()
    again = frames(Film.from_state(states[3], **MODELS))
    assert all(map(torch.equal, again, painted[4:]))
    assert len(again) == 5
    assert [one.setting for one in film.inputs] == ["init_image", "cross_image"]


def test_what_does_not_go_together(ends):
    with pytest.raises(ConfigError, match="no camera"):
        morph(ends, zoom="1.1")
    with pytest.raises(ConfigError, match="both pictures"):
        morph(ends, config={"cross_image": ""})
