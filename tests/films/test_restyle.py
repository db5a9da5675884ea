"""Clips painted over: carried along by the flow, exactly, with the sound of the clip."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from films.clip_samples import make_clip, packets, samples
from films.malformed import TEXTS
from films.moving import pan, thing
from gouache.apps.cli.main import run
from gouache.errors import ConfigError, MediaError, StateError
from gouache.films.clips import Clip
from gouache.films.config import FilmConfig
from gouache.films.film import Film
from gouache.films.flow import Flow
from gouache.films.guide import Begun
from gouache.films.keeping import KeepFilm
from gouache.films.restyle import KEPT, LayoutLoss, Restyle, follow, followed
from gouache.networks.canvas import Canvas
from gouache.output.video import read_film_metadata
from gouache.runs.drive import Event, Stepped
from gouache.runs.drive import Run as Driven
from tiny import TinyGenerator, TinyPerceptor, tiny_config

SIZE = (48, 40)


def as_pixels(frame: Tensor) -> np.ndarray:
    return (frame * 255).round().byte().permute(1, 2, 0).numpy()


def pan_clip(path: Path, num: int = 6, **options: Any) -> Path:
    """A view that goes to the right by 3 pixels a frame."""
    return make_clip(
        path,
        num,
        size=(96, 96),
        codec="libx264",
        draw=lambda k: as_pixels(pan(k, 3)),
        **options,
    )


def build(clip: Path, **settings: Any) -> Film:
    film, config = followed(
        clip,
        FilmConfig().updated(**{"steps_per_frame": 3, **settings}),
        tiny_config(size=SIZE, steps=(4,), seed=3),
        {"size"},
    )
    guide = follow(clip, film, config)
    models: dict[str, Any] = {"generator": TinyGenerator(), "perceptor": TinyPerceptor()}
    return Film.build(config, film, guide=guide, **models)


def painted(film: Film) -> list[Tensor]:
    return [film.picture()[0].clone() for _ in film if film.frame_done]


def test_every_frame_of_the_clip_is_painted(tmp_path: Path) -> None:
    film = build(pan_clip(tmp_path / "a.mp4"))
    assert film.num_frames == 6
    frames = painted(film)
    assert [frame.shape for frame in frames] == [(3, *SIZE[::-1])] * 6
    assert film.finished
    assert film.num_steps == 4 + 5 * 3


def test_the_same_clip_is_the_same_film(tmp_path: Path) -> None:
    clip = pan_clip(tmp_path / "a.mp4")
    once, again = painted(build(clip)), painted(build(clip))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))


@pytest.mark.parametrize("frame", [0, 1, 3, 5])
def test_a_film_that_goes_on_is_the_same(tmp_path: Path, frame: int) -> None:
    clip = pan_clip(tmp_path / "a.mp4")
    whole = painted(build(clip))
    film = build(clip)
    while film.frame < frame or not film.frame_done:
        if frame == 0:
            break
        next(film)
        if film.frame == frame - 1 and film.frame_done:
            break
    saved = film.state_dict()
    guide = Restyle(Clip.open(clip, size=SIZE), film.script.film)
    on = Film.from_state(saved, generator=TinyGenerator(), perceptor=TinyPerceptor(), guide=guide)
    assert on.frame == frame
    rest = painted(on)
    assert len(rest) == 6 - frame
    assert all(torch.equal(a, b) for a, b in zip(whole[frame:], rest, strict=True))


def test_what_moves_is_carried_and_what_is_new_comes_from_the_clip(tmp_path: Path) -> None:
    """No step is done yet: seen parts look as the frame before, hidden ones as the clip."""
    clip = make_clip(
        tmp_path / "a.mkv", 2, size=(96, 96), codec="ffv1", pix_fmt="bgr0",
        draw=lambda k: as_pixels(thing(k)[0]),
    )  # fmt: skip
    guide = Restyle(Clip.open(clip), FilmConfig())
    session = build(pan_clip(tmp_path / "b.mp4"))
    canvas = Canvas(96, 96, session.models.generator.downsampling)
    before = 1 - guide.source(0)  # as if painted in other colours
    begun = guide.begin(1, {0: before}, session.models, canvas)
    assert begun.rest is not None
    held = session.models.generator.decode(session.models.rounded(begun.latent)).clamp(0, 1)
    shown = (held + begun.rest / KEPT).clamp(0, 1)[0]
    (_, was), (_, is_) = thing(0), thing(1)
    hidden, flow = was & ~is_, guide.flow(1)
    seen = flow.seen[0].bool() & ~hidden
    assert (shown - (1 - guide.source(1)[0])).abs()[:, seen].mean() < 0.05
    assert not begun.rest[0][:, ~flow.seen[0].bool()].any()
    wanted = torch.lerp(*(flow.carry(before[0]), guide.source(1)[0]), 1 - flow.seen)
    assert torch.equal(begun.latent, session.models.encode(wanted[None], canvas))


def test_carrying_keeps_what_each_frame_by_itself_does_not(tmp_path: Path) -> None:
    clip = pan_clip(tmp_path / "a.mp4")

    class Alone(Restyle):
        def begin(self, frame: int, painted: Mapping[int, Tensor], *rest: Any) -> Begun:
            return self.afresh(frame, *rest)

    def change(frames: list[Tensor], guide: Restyle) -> float:
        total = 0.0
        for k in range(1, len(frames)):
            flow = guide.flow(k)
            apart = (frames[k] - flow.carry(frames[k - 1])).square() * flow.seen
            total += float(apart.mean())
        return total

    film = build(clip)
    guide = film.guide
    assert isinstance(guide, Restyle)
    alone = build(clip)
    alone.guide = Alone(guide.clip, FilmConfig())
    ours, theirs = painted(film), painted(alone)
    assert change(ours, guide) < 0.7 * change(theirs, guide)


def test_weights_reach_the_losses(tmp_path: Path) -> None:
    clip = pan_clip(tmp_path / "a.mp4")
    film = build(clip)
    names: list[set[str]] = []
    for step in film:
        names.append(set(step.losses))
        if film.frame == 1 and film.frame_done:
            break
    assert {"structure", "layout"} <= names[0]
    assert "kept" not in names[0]  # there is nothing before the first frame
    assert {"structure", "kept"} <= names[-1]
    free = build(clip, keep_weight=0, structure_weight=0)
    assert {*next(free).losses} == names[0] - {"structure", "layout"}
    strong = painted(build(clip, strength=20))
    assert not torch.equal(strong[2], painted(film)[-1])


def test_shapes_stay_where_the_clip_has_them(tmp_path: Path) -> None:
    """Seen from afar the picture is the clip's; what it is painted with is free."""
    source = pan(0, 3)[None]
    rough = torch.ones(1, 1, 96, 96)
    rough[..., ::2] = -1
    loss = LayoutLoss(30.0, source)

    def of(picture: Tensor) -> float:
        return float(loss(cast("Any", SimpleNamespace(image=picture)))[0])

    assert of(source) == 0.0
    assert of(source + 0.2 * rough) == pytest.approx(0.0, abs=1e-6)
    assert of(pan(8, 3)[None]) > 0.5
    film = build(pan_clip(tmp_path / "a.mp4"))
    assert film.config.latents.latent == "quantized"
    names = [loss.name for loss in film._shot.session.edit.losses(0, [])]
    assert names == ["structure", "layout"]
    free = build(tmp_path / "a.mp4", structure_weight=0)
    assert list(free._shot.session.edit.losses(0, [])) == []


def test_the_latent_that_was_asked_for_is_painted_in(tmp_path: Path) -> None:
    clip, config = pan_clip(tmp_path / "a.mp4"), tiny_config(latent="multiscale")
    assert followed(clip, FilmConfig(), config, {"latent"})[1].latents.latent == "multiscale"
    assert followed(clip, FilmConfig(), config, ())[1].latents.latent == "quantized"


def test_source_frames_are_the_same_in_any_order(tmp_path: Path) -> None:
    guide = Restyle(Clip.open(pan_clip(tmp_path / "a.mp4")), FilmConfig())
    inorder = [guide.source(k) for k in range(6)]
    for k in (5, 0, 3, 2, 4, 4):
        assert torch.equal(guide.source(k), inorder[k])


def test_the_clip_decides_rate_length_and_shape(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 24, size=(96, 48), fps=24)
    config = tiny_config(size=(64, 64))

    def read(*given: str, **values: Any) -> tuple[FilmConfig, tuple[int, int]]:
        film, found = followed(clip, FilmConfig().updated(**values), config, {*given, *values})
        return film, found.size

    film, size = read()
    assert (film.fps, film.num_frames, size) == (24, 24, (128, 64))
    film, size = read("size", every_nth=2)
    assert (film.fps, film.num_frames, size) == (12, 12, (64, 64))
    assert read(frames=5)[0].num_frames == 5
    assert read(frames=500)[0].num_frames == 24
    assert read(seconds=0.5)[0].num_frames == 12
    film, _ = read(fps=6)
    assert (film.fps, film.num_frames) == (6, 6)
    again = follow(clip, film, config)
    assert again.num_frames == film.num_frames
    with pytest.raises(ConfigError, match="every_nth is 1000, which leaves 0"):
        read(every_nth=1000)


@pytest.mark.parametrize("motion", ["zoom", "angle", "translation_x", "rotation_3d_y"])
def test_a_camera_and_a_clip_exclude_each_other(tmp_path: Path, motion: str) -> None:
    clip = make_clip(tmp_path / "a.mp4", 2)
    with pytest.raises(ConfigError, match=f"{motion} moves a camera"):
        followed(clip, FilmConfig().updated(**{motion: 1.5}), tiny_config(), set())


def test_a_shorter_clip_is_noticed(tmp_path: Path) -> None:
    """The last frame is not repeated in its stead."""
    guide = Restyle(Clip.open(make_clip(tmp_path / "a.mp4", 30)), FilmConfig())
    guide.source(0)
    make_clip(tmp_path / "a.mp4", 3)
    with pytest.raises(MediaError, match="damaged"):
        list(map(guide.source, range(20, 30)))


def test_long_ways_are_told_by_short_ones() -> None:
    frames = [pan(k, 4) for k in range(4)]
    steps = [Flow.between(a, b) for a, b in pairwise(frames)]
    whole = steps[2].after(steps[1].after(steps[0]))
    assert whole.back[0, :, :70].mean() == pytest.approx(12, abs=0.3)


# The command line, with the shipped models at a small size.

WORDS = ("a red apple", "--steps", "3", "--steps-per-frame", "2", "--num-cutouts", "3")
SMALL = (*WORDS, "--perceptor", "pocket", "--size", "32x32", "-q")


def call(*arguments: str | Path) -> int:
    return run(["video", *map(str, arguments)])


def test_a_film_over_a_clip_has_its_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    clip = pan_clip(tmp_path / "clip.mp4", sound="aac")
    assert call(*SMALL, "--source", clip, "--every-nth", "2", "--out", "a.mp4") == 0
    kept = packets(tmp_path / "a.mp4")
    assert kept
    assert kept == packets(clip)[: len(kept)]
    ours, theirs = samples(tmp_path / "a.mp4"), samples(clip)
    short = min(ours.shape[1], theirs.shape[1])
    assert short > 0.4 * 48_000
    assert np.array_equal(ours[:, :short], theirs[:, :short])
    document = read_film_metadata(tmp_path / "a.mp4")
    assert document["film"]["fps"] == 6
    assert [one["name"] for one in document["inputs"]] == ["clip.mp4"]
    assert str(tmp_path) not in json.dumps(document)
    made = Clip.open(tmp_path / "a.mp4")
    assert (made.num_frames, made.fps) == (3, 6)


class Killed(BaseException):
    """Nothing in the program may catch what stands for SIGKILL."""


def test_killed_and_gone_on_with_it_is_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    clip = pan_clip(tmp_path / "clip.mp4", 4, sound="aac")
    asked = (*SMALL, "--source", clip, "--out", "a.mp4", "--run-dir")
    assert call(*asked, "whole") == 0
    whole = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "a.mp4").unlink()
    keep = KeepFilm.__call__

    def dying(self: KeepFilm, event: Event, run: Driven) -> None:
        if isinstance(event, Stepped) and event.step.index == 6:
            raise Killed
        keep(self, event, run)

    with monkeypatch.context() as patch:
        patch.setattr(KeepFilm, "__call__", dying)
        with pytest.raises(Killed):
            call(*asked, "part")
    capsys.readouterr()
    moved = clip.rename(tmp_path / "elsewhere.mp4")
    assert run(["resume", "part", "-q"]) == 2
    assert "the clip" in (told := capsys.readouterr().err)
    assert "is not there" in told
    assert len(told.splitlines()) == 1
    make_clip(clip, 4)
    assert run(["resume", "part", "-q"]) == 2
    assert "was changed" in capsys.readouterr().err
    moved.rename(clip)
    assert run(["resume", "part", "-q"]) == 0
    assert (tmp_path / "a.mp4").read_bytes() == whole
    assert run(["replay", "a.mp4", "--out", "b.mp4", "-q"]) == 0
    assert (tmp_path / "b.mp4").read_bytes() == whole


@pytest.mark.parametrize("name", [*TEXTS, "empty"])
def test_a_clip_that_is_none_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip.mp4").write_bytes(TEXTS.get(name, b""))
    assert call(*SMALL, "--source", "clip.mp4") == 2
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1
    assert told.startswith("gouache: ")
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_a_film_goes_on_only_with_a_clip(tmp_path: Path) -> None:
    film = build(pan_clip(tmp_path / "a.mp4"))
    with pytest.raises(StateError, match="clip"):
        Film.from_state(film.state_dict(), generator=TinyGenerator(), perceptor=TinyPerceptor())
