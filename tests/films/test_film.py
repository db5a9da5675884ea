"""The painter of a film: nothing blurs, drifts or jumps, and it goes on where it was."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from gouache.errors import ConfigError, StateError
from gouache.films import camera
from gouache.films import film as painter
from gouache.films.coherence import energy, mean_color
from gouache.films.config import FilmConfig, FilmWarning
from gouache.films.film import Film
from gouache.films.key import FADE, mirrored
from gouache.ops.images import to_pil
from tiny import TinyGenerator, TinyPerceptor, tiny_config, tiny_session


class Counting(TinyGenerator):
    """Counts how often a picture is encoded."""

    encodes = 0

    def encode(self, image: Tensor) -> Tensor:
        self.encodes += 1
        return super().encode(image)


class Pixels:
    """A generator whose latent is the picture: nothing is lost by it."""

    name, fingerprint = "pixels", "a" * 64
    downsampling, code_dim, native_size = 1, 3, 32
    device, codebook = torch.device("cpu"), None

    def encode(self, image: Tensor) -> Tensor:
        return image

    def decode(self, latent: Tensor) -> Tensor:
        return latent


class Cells(Pixels):
    """The same in cells of 4 x 4 pixels."""

    downsampling, code_dim = 4, 48

    def encode(self, image: Tensor) -> Tensor:
        return torch.pixel_unshuffle(image, 4)

    def decode(self, latent: Tensor) -> Tensor:
        return torch.pixel_shuffle(latent, 4)


def build(generator: Any = None, config: dict[str, Any] | None = None, **film: Any) -> Film:
    return Film.build(
        tiny_config(**{"steps": 3, **(config or {})}),
        FilmConfig(steps_per_frame=2).updated(**film),
        generator=generator or TinyGenerator(),
        perceptor=TinyPerceptor(),
    )


def frames(film: Film) -> list[Tensor]:
    return [film.picture() for _ in film if film.frame_done]


def test_the_first_frame_is_the_picture_of_the_same_settings():
    session = tiny_session(steps=3)
    for _ in session:
        pass
    found = frames(build(frames=2, zoom="1.05"))
    assert len(found) == 2
    assert torch.equal(found[0], session.picture())


def test_steps_are_counted_over_all_frames():
    film = build(frames=4)
    told = [(step.index, step.stage, film.frame_done) for step in film]
    assert [index for index, _, _ in told] == list(range(3 + 3 * 2)) == list(range(film.num_steps))
    assert [frame for _, frame, _ in told] == [0, 0, 0, 1, 1, 2, 2, 3, 3]
    assert [done for _, _, done in told] == [False, False, True, *[False, True] * 3]


def test_nothing_is_encoded_while_the_way_is_short():
    still, moving = Counting(), Counting()
    frames(build(still, frames=12))
    assert still.encodes == 0
    film = build(moving, frames=16, zoom="1.01")
    keys = [film._shot.key.number for _ in film if film.frame_done]
    assert keys[:8] == [0] * 8
    assert moving.encodes == len(set(keys)) - 1 == 2


def test_a_frame_and_the_begin_of_the_next_are_decoded_once(monkeypatch):
    def painted() -> tuple[list[Tensor], list[int]]:
        generator = TinyGenerator()
        film, found, counts = build(generator, frames=5, zoom="1.01"), [], []
        for _ in film:
            if film.frame_done:
                found.append(film.picture())
                counts.append(generator.decodes)
        return found, [after - before for before, after in pairwise(counts)]

    found, counts = painted()
    assert counts == [3, 2, 2, 2]
    monkeypatch.setattr(painter, "Decoder", lambda generator: generator.decode)
    plain, counts = painted()
    assert counts == [3, 3, 3, 3]
    assert all(torch.equal(a, b) for a, b in zip(found, plain, strict=True))


def test_between_keys_a_frame_is_the_key_picture_resampled_once():
    film = build(
        config={"learning_rate": 1e-9},
        frames=7,
        zoom="1.01",
        detail_coherence=False,
        color_coherence=False,
    )
    first, *others = frames(film)
    window = camera.Window((24, 32), (16.0, 12.0))
    way = camera.still()
    for frame in others:
        way = camera.move({"zoom": 1.01}, 24) @ way
        assert torch.allclose(
            frame,
            camera.sample(first, camera.places(way, window), "reflect").clamp(0, 1),
            atol=1e-5,
        )


def test_a_new_key_picture_does_not_jump():
    film = build(
        config={"learning_rate": 1e-9},
        frames=10,
        zoom="1.01",
        detail_coherence=False,
        color_coherence=False,
    )
    found = frames(film)
    assert film._shot.key.number == 7
    generator, key = TinyGenerator(), found[7]
    lost = key - generator.decode(generator.quantize(generator.encode(key))[0]).clamp(0, 1)
    steps = [float((a - b).abs().mean()) for a, b in pairwise(found)]
    assert steps[7] < max(steps[:7]) + 1.3 * float(lost.abs().mean()) / FADE
    assert max(steps[:7]) < float(lost.abs().mean()) / FADE, "what is lost would be seen"


def test_a_pan_keeps_what_stays_in_sight():
    off = {"detail_coherence": False, "color_coherence": False}
    film = build(config={"learning_rate": 1e-9}, frames=9, translation_x=1.5, **off)
    found = frames(film)
    assert film._shot.key.number > 3
    window = camera.Window((24, 32), (16.0, 12.0))
    for frame, picture in enumerate(found):
        way = camera.move({"translation_x": 1.5 * frame}, 24)
        once = camera.sample(found[0], camera.places(way, window), "reflect").clamp(0, 1)
        shown = int(1.5 * frame) + 6  # a cell, and what its neighbours know of it
        assert torch.allclose(picture[..., shown:-2], once[..., shown:-2], atol=1e-4), frame


def test_of_a_key_picture_only_the_latent_is_left_in_the_end():
    film = build(frames=24, zoom="0:(1.12), 3:(1)")
    strengths = [film._shot.key.strength(film.frame) for _ in film if film.frame_done]
    number = film._shot.key.number
    assert number > 0
    assert strengths[number + 1 : number + FADE + 1] == [1 - k / FADE for k in range(1, FADE + 1)]


@pytest.mark.parametrize("zoom", ["1.03", "0.97"])
@pytest.mark.parametrize(
    ("generator", "size"), [(Pixels(), (40, 30)), (Cells(), (37, 26)), (Cells(), (38, 27))]
)
def test_a_centred_mark_stays_centred(tmp_path, generator, size, zoom):
    width, height = size
    x, y = torch.arange(width) - (width - 1) / 2, torch.arange(height) - (height - 1) / 2
    near = torch.minimum(x.abs()[None], y.abs()[:, None])
    mark = torch.exp(-((near / 1.5) ** 2)).mul(0.6).add(0.2)  # a cross, which is one at any size
    to_pil(mark.expand(3, -1, -1)).save(tmp_path / "mark.png")
    config = {
        **{"size": size, "init_image": str(tmp_path / "mark.png"), "latent": "continuous"},
        **{"learning_rate": 1e-9, "steps": 1, "latent_weight": 0.0},
    }
    film = build(generator, config, frames=60, zoom=zoom, steps_per_frame=1, border="replicate")
    for number, frame in enumerate(frames(film)):
        light = frame[0].mean(0).double()
        for along, places in ((light.sum(0), x), (light.sum(1), y)):
            bar = along - along.min()
            assert abs(float((bar * places).sum() / bar.sum())) < 0.25, number


def test_a_long_zoom_stays_as_sharp_and_keeps_its_colours():
    found = frames(build(frames=90, zoom="1.01", steps_per_frame=1))
    early, late = found[30], found[-1]
    assert abs(float(energy(late) / energy(early)) - 1) < 0.1
    assert torch.allclose(mean_color(late), mean_color(early), atol=1.0)


@pytest.mark.parametrize("name", ["color_coherence", "detail_coherence"])
def test_coherence_can_be_switched_off(name):
    found = frames(build(frames=40, zoom="1.01", steps_per_frame=1, **{name: False}))
    energies, colors = ([of(p) for p in (found[0], found[-1])] for of in (energy, mean_color))
    kept_color = torch.allclose(*colors, atol=1.0)
    kept_energy = abs(float(energies[1] / energies[0]) - 1) < 0.1
    assert (kept_color, kept_energy) == (name != "color_coherence", name != "detail_coherence")


def test_the_optimisers_memory_moves_along():
    film = build(frames=3, translation_x=4)  # a cell; two are moved at once
    for _ in range(5):
        next(film)
    assert film._shot.key.number == 0
    before, film._next = film._shot.session.memory().moments, film._following()
    assert film._next.key.number == 1
    after = film._next.session.memory().moments
    for name in ("0/exp_avg", "0/exp_avg_sq"):
        assert before[name].abs().max() > 0
        assert torch.allclose(after[name][..., 2:], before[name][..., :-2], rtol=1e-4, atol=1e-7)
    assert after["0/step"] == before["0/step"]


def test_each_state_goes_on_to_the_same_pixels():
    film = build(frames=14, zoom="1.02", translation_x="1.5", loop=True, crossfade=4)
    states, painted = [film.state_dict()], []
    for _ in film:
        if film.frame_done:
            painted.append(film.picture())
            states.append(film.state_dict())
    assert states[-1].tensors == {}
    for number in (0, 1, 8, 12):
        models = {"generator": TinyGenerator(), "perceptor": TinyPerceptor()}
        again = frames(Film.from_state(states[number], **models))
        assert len(again) == 14 - number
        assert all(map(torch.equal, again, painted[number:])), number


def test_a_state_within_a_frame_is_refused():
    film = build(frames=2)
    next(film)
    with pytest.raises(StateError, match="between two frames"):
        film.state_dict()


def test_damaged_states_are_one_line():
    film = build(frames=3)
    models = {"generator": TinyGenerator(), "perceptor": TinyPerceptor()}
    state = film.state_dict()
    for name, value in (("frame", 3), ("frame", None), ("film", {"zoom": "x y"}), ("key", "a")):
        with pytest.raises(StateError) as caught:
            Film.from_state(state._replace(meta={**state.meta, name: value}), **models)
        assert "\n" not in str(caught.value)
    for name in ("way", "rng", "latent/z"):
        tensors = {key: value for key, value in state.tensors.items() if key != name}
        with pytest.raises(StateError):
            Film.from_state(state._replace(tensors=tensors), **models)


def test_fresh_borders_are_other_than_reflected_ones_and_the_same_each_time():
    found = {
        border: frames(build(frames=6, translation_x=4, frame_lr=0.3, border=border))[-1]
        for border in ("fresh", "reflect", "wrap", "mirror")
    }
    again = frames(build(frames=6, translation_x=4, frame_lr=0.3, border="fresh"))[-1]
    assert torch.equal(found["fresh"], again)
    apart = (found["fresh"] - found["reflect"]).abs().mean(1)[0]
    assert apart[:, :12].mean() > 3 * apart[:, -8:].mean(), "where it came in"
    assert not torch.equal(found["wrap"], found["reflect"])


def moved(film: Film) -> Tensor:
    """How far the last frame's steps moved each cell of its latent, (h,w)."""
    last = film.num_frames - 1
    while not film.finished:
        if film.frame_done and film.frame == last - 1:
            before = film._following().session.latent()
        next(film)
    return (film._shot.session.latent() - before).abs().mean((0, 1))


@pytest.mark.parametrize(
    ("motion", "came"),
    [({"translation_x": "4"}, (slice(None), slice(0, 2))), ({"zoom": "0.9"}, (0, slice(None)))],
)
def test_what_came_in_is_painted_before_it_is_kept(motion, came):
    config = {"size": (48, 48), "latent_weight": 0.0}
    plain, hasty = (
        moved(build(config=config, frames=4, border_lr=rate, **motion)) for rate in (0.1, 2.0)
    )
    assert hasty[came].mean() > 3 * plain[came].mean()
    inner = slice(5, 7), slice(5, 7)
    assert hasty[inner].mean() < 1.5 * plain[inner].mean()


@pytest.mark.parametrize("way", [-1, 1])
def test_what_comes_in_mirrors_what_lies_before_the_seam(way):
    picture = torch.rand(1, 3, 4, 24)
    wide = torch.cat([picture.flip(3), picture, picture.flip(3)], 3)
    shown, gone = picture, 0
    for number in range(1, 4):  # to half of its width
        shown, gone = mirrored(shown.roll(4 * way, 3), 4 * way, gone, 3)
        assert gone == 4 * way * number
        assert torch.equal(shown, wide[..., 24 - gone : 48 - gone])
    again, gone = mirrored(shown.roll(4 * way, 3), 4 * way, gone, 3)
    assert gone == 4 * way, "a new seam"
    gone = mirrored(again.roll(-4 * way, 3), -4 * way, gone, 3)[1]
    assert gone == -4 * way, "it turns back"
    down, _ = mirrored(picture.mT.roll(4 * way, 2), 4 * way, 0, 2)
    assert torch.equal(down.mT, mirrored(picture.roll(4 * way, 3), 4 * way, 0, 3)[0])
    assert mirrored(picture, 0, 8, 3)[1] == 8, "it goes along the other dimension"
    assert mirrored(picture, 100, 0, 3)[0].shape == picture.shape


def test_what_comes_in_of_a_pan_does_not_become_a_smear(tmp_path):
    noise = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    to_pil(noise).save(tmp_path / "noise.png")
    config = {"size": (32, 32), "init_image": str(tmp_path / "noise.png"), "latent": "continuous"}
    config |= {"learning_rate": 1e-9, "steps": 1, "latent_weight": 0.0}

    window = camera.Window((32, 32), (16.0, 16.0))
    way = camera.places(camera.move({"translation_x": -15}, 32), window)

    def off(border: str) -> Tensor:
        """How far the columns that came in lie from a mirror image of the whole picture."""
        still = {"detail_coherence": False, "color_coherence": False, "steps_per_frame": 1}
        film = build(
            Cells(), config, frames=26, translation_x="0:(-1), 16:(0) step", border=border, **still
        )
        found = frames(film)
        wanted = camera.sample(found[0], way, "reflect").clamp(0, 1)
        return (found[-1] - wanted).abs().mean((0, 1, 2))

    assert off("mirror")[:28].max() < 1e-4, "what lay over it is gone after 8 frames"
    assert off("reflect")[21:28].mean() > 0.2, "the same few columns again and again"


def test_what_came_in_is_soon_like_all_else():
    film = build(frames=FADE + 8, translation_x="0:(4), 3:(0) step", border_lr=1.0)
    paces = [film._shot.session._pace for _ in film if film.frame_done]
    number = next(n for n, pace in enumerate(paces) if pace is not None)
    assert paces[number].max() == pytest.approx(1 + 9 * (1 - 1 / FADE))
    assert float(paces[number][..., -2:].max()) == 1.0
    assert paces[-1] is None
    still = build(frames=4, zoom="1.02", border_lr=1.0)
    assert all(still._shot.session._pace is None for _ in still)


def test_a_state_goes_on_where_something_is_new():
    film, painted = build(frames=9, translation_x="3", zoom="0.98", border_lr=1.0), []
    states = []
    for _ in film:
        if film.frame_done:
            painted.append(film.picture())
            states.append(film.state_dict())
    assert any("young" in state.tensors for state in states)
    models = {"generator": TinyGenerator(), "perceptor": TinyPerceptor()}
    for number in (2, 4, 7):
        again = frames(Film.from_state(states[number], **models))
        assert all(map(torch.equal, again, painted[number + 1 :])), number


def test_more_steps_where_prompts_change_are_told_and_done():
    with pytest.warns(FilmWarning, match="up to 4 steps, others 2") as told:
        film = build(config={"prompt": "one ^ two"}, frames=4, crossfade=1)
    assert "\n" not in str(told[0].message)
    steps = [step.stage for step in film]
    assert len(steps) == film.num_steps == film.step_index
    assert [steps.count(frame) for frame in range(4)] == [3, 2, 4, 4]


def test_a_loop_ends_where_it_begins():
    def gap(**film: Any) -> float:
        found = frames(build(frames=20, zoom="1.02", **film))
        steps = [float((a - b).abs().mean()) for a, b in pairwise(found)]
        return float((found[-1] - found[0]).abs().mean()) / (sum(steps[:8]) / 8)

    assert gap(loop=True, crossfade=8) < 2.5 < gap()


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"count": 2}, "one picture"),
        ({"steps": (3, 4)}, "steps_per_frame"),
    ],
)
def test_what_films_cannot_have_is_told(config, told):
    with pytest.raises(ConfigError, match=told):
        build(config=config)


def test_colours_are_let_go_bit_by_bit_where_prompts_change():
    film = build(
        config={"prompt": "one ^ two", "learning_rate": 1e-9}, frames=12, crossfade=3, zoom="1.001"
    )
    dark, shades = None, []
    for _ in film:
        if film.frame_done:
            if film.frame == 1:  # as if the pictures had become brighter since
                assert film._look is not None
                dark = film._look.color - 10
                film._look = replace(film._look, color=dark)
            shades.append(mean_color(film.picture())[0, 0])
    assert dark is not None
    apart = [float(shade - dark[0, 0]) for shade in shades[5:10]]
    assert apart == pytest.approx([0, 2.5, 5, 7.5, 10], abs=0.6)


def test_the_look_of_a_pan_does_not_come_back_into_it():
    asked = {"learning_rate": 1e-9, "latent": "continuous"}

    def painted(**more: Any) -> list[Tensor]:
        film = build(Cells(), asked, frames=12, translation_x="-3", **more)
        return [film._shot.session.picture() for _ in film if film.frame_done]

    plain = painted(color_coherence=False, detail_coherence=False)
    assert all(torch.equal(a, b) for a, b in zip(painted(), plain, strict=True))
