"""Clips: frames come back as they were drawn, at any rate and size, or one line says why not."""

from __future__ import annotations

import struct
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from films.clip_samples import BLUE, RED, SIZE, bar, make_clip
from films.malformed import dubious, hopeless
from gouache.errors import ConfigError, MediaError
from gouache.films import clips
from gouache.films.clips import Clip, ClipWarning


def is_near(frame: Tensor, drawn: np.ndarray) -> bool:
    """But for what coding blurs."""
    there = torch.from_numpy(drawn).permute(2, 0, 1).float() / 255
    return frame.shape == there.shape and float((frame - there).abs().mean()) < 0.03


def shares(clip: Clip, first: int = 0) -> list[float]:
    """How much of each frame is blue."""
    return [float((frame[2] > 0.5).float().mean()) for frame in clip.frames(first)]


@pytest.mark.parametrize(
    ("name", "codec", "shape"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.webm", "libvpx-vp9", "yuv420p"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.mov", "qtrle", "rgb24"),
        ("a.mkv", "ffv1", "yuv444p"),
    ],
)
def test_frames_come_back(tmp_path: Path, name: str, codec: str, shape: str) -> None:
    clip = Clip.open(make_clip(tmp_path / name, codec=codec, pix_fmt=shape))
    assert (clip.width, clip.height, clip.fps, clip.num_frames) == (*SIZE, 12, 20)
    frames = list(clip.frames())
    assert all(is_near(frame, bar(k)) for k, frame in enumerate(frames))
    assert len(frames) == 20


@pytest.mark.parametrize("first", [0, 1, 7, 19])
def test_a_frame_is_the_same_from_wherever_reading_begins(tmp_path: Path, first: int) -> None:
    clip = Clip.open(make_clip(tmp_path / "a.mp4"), every_nth=2)
    whole, rest = list(clip.frames()), list(clip.frames(first))
    assert len(rest) == max(0, 10 - first)
    assert all(torch.equal(a, b) for a, b in zip(whole[first:], rest, strict=True))


@pytest.mark.parametrize(
    ("wish", "rate", "num", "step"),
    [
        ({"every_nth": 2}, 6, 10, 2),
        ({"every_nth": 3}, 4, 7, 3),
        ({"every_nth": 99}, 12 / 99, 1, 1),
        ({"fps": 6.0}, 6, 10, 2),
        ({"fps": 24.0}, 24, 40, 0.5),
        ({"fps": 24.0, "every_nth": 4}, 6, 10, 2),
    ],
)
def test_rates(tmp_path: Path, wish: dict, rate: float, num: int, step: float) -> None:
    clip = Clip.open(make_clip(tmp_path / "a.mp4"), **wish)
    assert (clip.fps, clip.num_frames) == (rate, num)
    assert clip.seconds == pytest.approx(20 / 12, abs=1 / rate)
    frames = list(clip.frames())
    assert len(frames) == num
    for k, frame in enumerate(frames):
        assert is_near(frame, bar(int(k * step))), k


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_a_variable_rate_is_made_even(tmp_path: Path, name: str) -> None:
    """Each frame shows what the clip shows at its time."""
    times = [0, 100, 150, 600, 1000, 1010, 1020, 1500, 1900, 1950]
    clip = Clip.open(make_clip(tmp_path / name, 10, times=times), fps=20)
    shown = [max(k for k, at in enumerate(times) if at <= 50 * n + 13) for n in range(39)]
    found = [round(share * 10) for share in shares(clip)][:39]
    assert found == shown
    assert clip.num_frames >= 40  # containers tell the length of the last one, or guess


@pytest.mark.parametrize("fps", [Fraction(30000, 1001), Fraction(24000, 1001), 25, 60])
def test_usual_rates_are_found_though_times_are_rounded(tmp_path: Path, fps: Fraction) -> None:
    path = make_clip(
        tmp_path / "a.mkv", 50, fps=fps, draw=lambda k: np.full((48, 64, 3), 5 * k, np.uint8)
    )
    clip = Clip.open(path)
    assert clip.fps == pytest.approx(float(fps), rel=1e-9)
    assert [round(float(frame.mean()) * 51) for frame in clip.frames()] == list(range(50))


def test_size_is_fitted_as_pictures_are(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", size=(64, 32))
    (frame, *_) = Clip.open(path, size=(20, 20)).frames(10)
    assert frame.shape == (3, 20, 20)  # the middle half of it, not squashed
    middle = bar(10, 20, (64, 32))[:, 16:48]
    assert is_near(frame, middle[:: 32 // 16][:1].repeat(20, 0)[:, np.arange(20) * 32 // 20])


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_turned_clips_are_upright(tmp_path: Path, rotation: int) -> None:
    """A matrix of a=0, b=1, c=-1, d=0 takes what is on the right to the bottom: clockwise."""
    path = make_clip(tmp_path / "a.mp4")
    turned = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[rotation]
    data, plain = path.read_bytes(), _matrix(1, 0, 0, 1)
    assert data.count(plain) == 2  # of the film and of its track
    at = data.rindex(plain)
    path.write_bytes(data[:at] + _matrix(*turned) + data[at + len(plain) :])
    clip = Clip.open(path)
    assert (clip.width, clip.height) == (SIZE if rotation == 180 else SIZE[::-1])
    (frame, *_) = clip.frames(10)
    assert is_near(frame, np.rot90(bar(10), -rotation // 90).copy())


def _matrix(a: int, b: int, c: int, d: int) -> bytes:
    one = 1 << 16
    return struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    clip = Clip.open(make_clip(tmp_path / "a.mp4", aspect=Fraction(2)), size=(32, 12))
    assert (clip.width, clip.height) == (128, 48)
    assert shares(clip)[10] == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize(
    ("name", "codec", "shape"), [("a.webm", "libvpx-vp9", "yuva420p"), ("a.mov", "qtrle", "argb")]
)
def test_transparency_is_on_white_and_told_once(
    tmp_path: Path, name: str, codec: str, shape: str
) -> None:
    def draw(number: int) -> np.ndarray:
        alpha = np.full((48, 64, 1), 255, np.uint8)
        alpha[:, 32:] = 0
        return np.concatenate([np.full((48, 64, 3), RED, np.uint8), alpha], 2)

    path = make_clip(tmp_path / name, 4, codec=codec, pix_fmt=shape, draw=draw)
    with pytest.warns(ClipWarning, match="transparent in places; it is shown on white") as told:
        frames = list(Clip.open(path).frames())
    assert len(told) == 1
    assert frames[3][:, 20, 60].tolist() == pytest.approx([1, 1, 1], abs=0.02)
    assert frames[3][:, 20, 4].tolist() == pytest.approx([c / 255 for c in RED], abs=0.05)


def test_hdr_is_told_once(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", 4, curve=16)
    with pytest.warns(ClipWarning, match=r"is HDR \(PQ\)") as told:
        list(Clip.open(path).frames())
    assert len(told) == 1


def test_a_plain_clip_says_nothing(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(Clip.open(make_clip(tmp_path / "a.mp4")).frames())


@pytest.mark.parametrize(("sound", "has"), [("aac", True), ("", False)])
def test_sound_is_known(tmp_path: Path, sound: str, has: bool) -> None:
    assert Clip.open(make_clip(tmp_path / "a.mp4", sound=sound)).has_sound is has


def test_memory_does_not_grow(tmp_path: Path) -> None:
    """No more than a frame or two is alive, however long the clip."""
    import weakref

    alive: list[weakref.ref] = []
    for frame in Clip.open(make_clip(tmp_path / "a.mp4", 60)).frames():
        alive.append(weakref.ref(frame))
        assert sum(ref() is not None for ref in alive) <= 2


def test_frames_are_left_off_at_any_time(tmp_path: Path) -> None:
    frames = Clip.open(make_clip(tmp_path / "a.mp4")).frames()
    next(frames)
    frames.close()


def test_what_is_malformed_is_one_line(tmp_path: Path) -> None:
    table = list(hopeless(tmp_path))
    assert len(table) >= 60
    for name, path in table:
        with pytest.raises(MediaError) as caught:  # noqa: PT012
            for _ in Clip.open(path).frames():
                raise AssertionError(f"{name}: a frame of {path}")
        assert str(caught.value).isprintable(), name
        assert ";" in str(caught.value) or ":" in str(caught.value), name


def test_damage_inside_is_one_line_or_frames(tmp_path: Path) -> None:
    told = []
    for name, path in dubious(tmp_path):
        try:
            clip = Clip.open(path)
            assert len(list(clip.frames())) == clip.num_frames, name
        except MediaError as error:
            told.append(str(error))
    assert 8 < len(told) < 40
    assert all(line.isprintable() for line in told)


@pytest.mark.parametrize("filler", [b"\0", b"\xff", b"\x17"])
def test_an_end_that_is_lost_is_told(tmp_path: Path, filler: bytes) -> None:
    """The table of contents is whole, the frames are not: they are not repeated in silence."""
    path = make_clip(tmp_path / "a.mp4", 60, draw=lambda k: bar(k, 60) ^ np.uint8(k * 3))
    data = path.read_bytes()
    begin, end = data.index(b"mdat"), data.index(b"moov")
    middle = (begin + end) // 2
    path.write_bytes(data[:middle] + filler * (end - 4 - middle) + data[end - 4 :])
    clip = Clip.open(path)
    with pytest.raises(MediaError, match="damaged"):
        list(clip.frames())


def test_lists_of_other_files_are_not_followed(tmp_path: Path) -> None:
    """A clip is the file that was named, and nothing that it names."""
    make_clip(tmp_path / "whole.mp4")
    for name, text in {
        "a.mp4": "ffconcat version 1.0\nfile whole.mp4\n",
        "b.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nwhole.mp4\n#EXT-X-ENDLIST\n",
    }.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(MediaError):
            Clip.open(tmp_path / name)


def test_names_are_files_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "concat:a.mp4")
    assert Clip.open("concat:a.mp4").num_frames == 20


def test_huge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_clip(tmp_path / "a.mp4")
    monkeypatch.setattr(clips, "MAX_INPUT_PIXELS", 64 * 48 - 1)
    with pytest.raises(MediaError, match="64x48; at most 3,071 pixels"):
        Clip.open(path)


@pytest.mark.parametrize(
    "wish", [{"every_nth": 0}, {"every_nth": -1}, {"fps": 0.0}, {"fps": float("nan")}, {"fps": 1e9}]
)
def test_impossible_wishes(tmp_path: Path, wish: dict) -> None:
    with pytest.raises(ConfigError, match="expected"):
        Clip.open(make_clip(tmp_path / "a.mp4", 2), **wish)


def test_without_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MediaError, match=r"pip install 'gouache\[video\]'"):
        Clip.open(tmp_path / "a.mp4")


def test_colours(tmp_path: Path) -> None:
    first, *_, last = Clip.open(make_clip(tmp_path / "a.mp4")).frames()
    assert first[:, 20, 30].tolist() == pytest.approx([c / 255 for c in RED], abs=0.02)
    assert last[:, 20, 30].tolist() == pytest.approx([c / 255 for c in BLUE], abs=0.02)
