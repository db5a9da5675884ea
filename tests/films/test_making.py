"""Films by one call in Python."""

from __future__ import annotations

import pytest
from PIL import Image

import gouache
from gouache.errors import ConfigError
from gouache.films.config import asked_film
from gouache.output.video import read_any_metadata
from tiny import TinyGenerator, TinyPerceptor

SMALL = {
    "size": (32, 24),
    "steps": 3,
    "num_cutouts": 4,
    "steps_per_frame": 2,
    "start": "random",
    "start_tries": 1,
    "start_steps": 0,
    "precision": "fp32",
    "device": "cpu",
}


def asked(**more):
    return {**SMALL, "generator": TinyGenerator(), "perceptor": TinyPerceptor(), **more}


def test_a_film_by_one_call(tmp_path):
    film = gouache.make_film("a fish ^ a bird", **asked(frames=4, zoom="1.05"))
    told = [film.frame for _ in film if film.frame_done]
    assert told == [0, 1, 2, 3]
    painted = gouache.film("a fish ^ a bird", **asked(frames=4, zoom="1.05"))
    assert [frame.size for frame in painted.frames] == [(32, 24)] * 4
    document = read_any_metadata(painted.save(tmp_path / "x.gif"))
    assert (document["film"]["zoom"], document["config"]["steps"]) == ("1.05", [3])
    assert painted._repr_png_().startswith(b"\x89PNG")


def test_a_morph_by_one_call(tmp_path):
    ends = [tmp_path / "a.png", tmp_path / "b.png"]
    for path, color in zip(ends, ("red", "blue"), strict=True):
        Image.new("RGB", (32, 24), color).save(path)
    painted = gouache.film("a fish", morph=ends, **asked(frames=3))
    assert painted.film.morph
    with pytest.raises(ConfigError, match="two"):
        gouache.film(morph=ends[:1], **asked(frames=3))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"zoom": "1+"}, "zoom"),
        ({"frames": 3, "seconds": 2}, "frames"),
        ({"nothing": 1}, "nothing"),
        ({"zoom": "1+beat"}, "sound"),
        ({"count": 2}, "one picture"),
    ],
)
def test_mistakes_are_one_line(given, told):
    with pytest.raises(gouache.GouacheError, match=told) as error:
        gouache.film("a fish", **asked(**given))
    assert "\n" not in str(error.value).strip() or "^" in str(error.value)


@pytest.mark.parametrize(
    ("values", "preset", "rate"),
    [
        ({}, "auto", 0.15),
        ({}, "photo", 0.15),
        ({"perceptor": ["pocket", "photo:0.5"]}, "auto", 0.15),
        ({"perceptor": ["pocket"]}, "auto", 0.2),
        ({}, "pocket", 0.2),
        ({"latent": "codebook-sampling"}, "auto", 0.2),
        ({"learning_rate": 0.3}, "auto", 0.3),
    ],
)
def test_frames_change_less_boldly_than_pictures(
    values: dict[str, object], preset: str, rate: float
) -> None:
    """The presets and latents that have rates of their own keep them."""
    config, _ = asked_film({"prompt": "x", **values}, preset)
    assert config.optimization.learning_rate == rate
    assert (config.scale, config.guidance.layout, config.guidance.style_weight) == (1, "off", 0.0)


def test_a_latent_that_is_no_name_is_one_line() -> None:
    with pytest.raises(ConfigError, match="latent"):
        asked_film({"prompt": "x", "latent": ["quantized"]})
