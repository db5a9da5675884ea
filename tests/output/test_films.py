"""Film files: the same bytes for the same frames, what they tell of themselves, and their sound."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from films.clip_samples import make_clip, make_sound, packets, samples
from gouache.apps.cli.main import run
from gouache.errors import MediaError, OutputError
from gouache.output.muxing import SoundWarning
from gouache.output.pictures import read_metadata
from gouache.output.video import (
    check_video,
    read_any_metadata,
    read_film_metadata,
    timelapse,
)

SUFFIXES = [".mp4", ".webm", ".gif"]
DOCUMENT = {"version": "0.1.0", "config": {"prompt": "a réd apple\n", "steps": [3]}, "x": [1, None]}


def write(path: Path, num: int = 24, fps: float = 12, **options: Any) -> Path:
    rng = np.random.default_rng(1)
    with timelapse(path, fps, 0, **options) as film:
        for _ in range(num):
            film.add(Image.fromarray(rng.integers(0, 256, (48, 64, 3), np.uint8)))
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_frames_are_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    sound = make_clip(tmp_path / "s.mp4", 24, sound="aac") if suffix == ".mp4" else None
    paths = [
        write(tmp_path / f"{name}{suffix}", metadata=DOCUMENT, description="an apple", sound=sound)
        for name in "ab"
    ]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert b"Lavf6" not in paths[0].read_bytes()  # no version of the library, and no time


def test_a_webm(tmp_path: Path) -> None:
    import av

    path = tmp_path / "a.webm"
    with timelapse(path, 10, 0.5) as film:
        for colour in ("red", "lime", "blue"):
            film.add(Image.new("RGB", (33, 17), colour))
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert container.streams.video[0].codec_context.name == "vp9"
    assert len(frames) == 2 + 5
    assert {frame.shape for frame in frames} == {(18, 34, 3)}
    assert np.abs(frames[1][-1, -1].astype(int) - (0, 255, 0)).max() < 12
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("words", ["short", "long " * 60_000], ids=["short", "long"])
def test_metadata_comes_back(tmp_path: Path, suffix: str, words: str) -> None:
    document = DOCUMENT | {"words": words}
    path = write(tmp_path / f"a{suffix}", 3, metadata=document, description="a réd apple")
    assert read_film_metadata(path) == document
    assert read_any_metadata(path) == document
    assert str(tmp_path).encode() not in path.read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_info_shows_a_film(tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / f"a{suffix}", 3, metadata=DOCUMENT)
    assert run(["info", str(path)]) == 0
    assert "prompt" in capsys.readouterr().out
    assert run(["info", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == DOCUMENT


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_other_films_have_none(
    tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / f"a{suffix}", 3)
    with pytest.raises(MediaError, match="holds no gouache settings"):
        read_film_metadata(path)
    assert run(["info", str(path)]) == 2
    assert "holds no gouache settings" in capsys.readouterr().err


def test_damaged_metadata(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", 3, metadata={"name": "a"})
    path.write_bytes(path.read_bytes().replace(b'{"name": "a"}', b'{"name": "a",'))
    with pytest.raises(MediaError, match="damaged"):
        read_film_metadata(path)


@pytest.mark.parametrize(
    ("source", "codec", "out"),
    [
        ("s.mp4", "aac", "a.mp4"),
        ("s.mov", "libmp3lame", "a.mp4"),
        ("s.mp4", "flac", "a.mp4"),
        ("s.webm", "libopus", "a.webm"),
    ],
)
def test_sound_is_copied_to_the_sample(tmp_path: Path, source: str, codec: str, out: str) -> None:
    video = "libvpx-vp9" if source == "s.webm" else "libx264"
    clip = make_clip(tmp_path / source, 24, codec=video, sound=codec)
    with warnings.catch_warnings():
        warnings.simplefilter("error", SoundWarning)
        path = write(tmp_path / out, sound=clip)
    kept = packets(path)
    assert len(kept) > 10
    assert kept == packets(clip)[: len(kept)]
    ours, theirs = samples(path), samples(clip)
    short = min(ours.shape[1], theirs.shape[1])
    assert short > 1.9 * 48_000
    assert np.array_equal(ours[:, :short], theirs[:, :short])


@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_s24le"])
def test_plain_sound_is_encoded_without_a_loss(tmp_path: Path, codec: str) -> None:
    sound = make_sound(tmp_path / "s.wav", codec)
    with pytest.warns(SoundWarning, match="mp4 holds no pcm_.*as FLAC, without a loss"):
        path = write(tmp_path / "a.mp4", sound=sound)
    assert np.array_equal(samples(path), samples(sound))


def test_other_sound_is_encoded_anew_and_told(tmp_path: Path) -> None:
    sound = make_sound(tmp_path / "s.m4a", "aac")
    with pytest.warns(SoundWarning, match="webm holds no aac.*as Opus") as told:
        path = write(tmp_path / "a.webm", sound=sound)
    assert len(told) == 1
    ours, theirs = samples(path)[0], samples(sound)[0]
    short = min(len(ours), len(theirs))
    assert np.corrcoef(ours[:short], theirs[:short])[0, 1] > 0.99  # and none is late


def test_sound_ends_with_the_film(tmp_path: Path) -> None:
    sound = make_sound(tmp_path / "s.m4a", "aac", 5.0)
    path = write(tmp_path / "a.mp4", 12, sound=sound)
    assert samples(path).shape[1] == pytest.approx(48_000, abs=2048)


@pytest.mark.parametrize("name", ["a.gif", "a-%d.png"])
def test_formats_without_sound_say_so(tmp_path: Path, name: str) -> None:
    sound = make_sound(tmp_path / "s.wav")
    with pytest.warns(SoundWarning, match=r"no sound.*write an \.mp4 to keep it"):
        write(tmp_path / name, 2, sound=sound)


def test_a_silent_source_is_no_fault(tmp_path: Path) -> None:
    silent = make_clip(tmp_path / "s.mp4", 3)
    path = write(tmp_path / "a.mp4", 3, sound=silent)
    assert not packets_or_none(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", SoundWarning)
        write(tmp_path / "a.gif", 3, sound=silent)


def packets_or_none(path: Path) -> bool:
    import av

    with av.open(str(path)) as container:
        return bool(container.streams.audio)


def test_sound_that_is_none_leaves_the_old_film(tmp_path: Path) -> None:
    (tmp_path / "s.mp4").write_bytes(b"no sound")
    (tmp_path / "a.mp4").write_bytes(b"old")
    with pytest.raises(MediaError, match="no film or sound"):
        write(tmp_path / "a.mp4", 3, sound=tmp_path / "s.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == b"old"
    assert len([*tmp_path.iterdir()]) == 2


def test_a_film_in_pictures(tmp_path: Path) -> None:
    pattern = tmp_path / "f-%03d.png"
    with timelapse(pattern, metadata=DOCUMENT, description="an apple") as film:
        for grey in (10, 20, 30):
            film.add(Image.new("RGB", (8, 6), (grey, 0, 0)))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "f-000.png",
        "f-001.png",
        "f-002.png",
    ]
    with Image.open(tmp_path / "f-001.png") as image:
        assert image.getpixel((0, 0)) == (20, 0, 0)
    assert read_metadata(tmp_path / "f-002.png") == DOCUMENT


def test_a_failed_film_in_pictures_leaves_none(tmp_path: Path) -> None:
    (tmp_path / "f-0.png").write_bytes(b"old")

    def paint() -> None:
        with timelapse(tmp_path / "f-%d.png") as film:
            for _ in range(5):
                film.add(Image.new("RGB", (8, 6)))
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        paint()
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize("name", ["a.png", "a%%.png", "%s.png", "a-%d-%d.png", "a%x.png", "%.png"])
def test_pictures_need_numbers(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"frame-%04d\.png"):
        check_video(tmp_path / name)
