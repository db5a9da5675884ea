"""Sounds as numbers for each frame."""

from __future__ import annotations

import math
import wave
from pathlib import Path

import numpy as np
import pytest

from gouache.errors import MediaError
from gouache.films.curves import SOUND, Curve
from gouache.films.sound import BEAT_SECONDS, RATE, SoundNote, heard, listen, onsets

av = pytest.importorskip("av")
pytest.importorskip("scipy")


def write_wav(path: Path, samples: np.ndarray, rate: int = 44_100) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return path


def clicks(bpm: float, seconds: float, rate: int = 44_100) -> np.ndarray:
    """Short bursts of 1 kHz, the first at 0."""
    samples = np.zeros(int(seconds * rate))
    burst = np.sin(2 * np.pi * 1000 * np.arange(int(0.02 * rate)) / rate)
    burst *= np.exp(-np.arange(len(burst)) / (0.005 * rate))
    for number in range(int(seconds * bpm / 60)):
        start = round(number * 60 / bpm * rate)
        samples[start : start + len(burst)] += burst[: len(samples) - start]
    return samples


@pytest.mark.parametrize("fps", [12, 24, 30])
@pytest.mark.parametrize("bpm", [90, 120])
def test_zoom_follows_a_click_track(tmp_path: Path, fps: int, bpm: int) -> None:
    frames = 10 * fps
    sound = listen(write_wav(tmp_path / "click.wav", clicks(bpm, 10)), fps, frames)
    curve = Curve.parse("1+0.05*beat", "zoom")
    zoom = curve.over(frames, fps=fps, seed=0, sound={name: getattr(sound, name) for name in SOUND})
    true = np.zeros(frames)
    for number in range(10 * bpm // 60):
        first = math.floor(number * 60 / bpm * fps + 1e-9)
        true[first:] = np.exp(-np.arange(frames - first) / (fps * BEAT_SECONDS))
    assert np.corrcoef(zoom, true)[0, 1] > 0.9


def test_beats_of_twelve_frames_a_second_are_told_from_the_rest(tmp_path: Path) -> None:
    sound = listen(write_wav(tmp_path / "click.wav", clicks(120, 10)), 12, 120)
    true = (np.arange(120) % 6 == 0).astype(float)
    assert np.corrcoef(1 + 0.05 * sound.beat, true)[0, 1] > 0.9


def test_onsets_are_found_where_they_are_in_noise_too() -> None:
    rng = np.random.default_rng(0)
    samples = clicks(120, 8, RATE) + 0.02 * rng.standard_normal(8 * RATE)
    found = onsets(samples)
    assert len(found) == 16
    assert np.abs(found - np.arange(16) / 2).max() < 0.006


def test_noise_and_a_lasting_tone_have_no_beats() -> None:
    time = np.arange(8 * RATE) / RATE
    assert len(onsets(0.5 * np.sin(2 * np.pi * 220 * time))) <= 2  # where it begins and ends
    noise = 0.3 * np.random.default_rng(1).standard_normal(8 * RATE)
    assert len(onsets(noise)) <= 3


@pytest.mark.parametrize(("hertz", "band"), [(80, "bass"), (1000, "mid"), (7000, "treble")])
def test_a_tone_is_heard_in_its_band(hertz: float, band: str) -> None:
    time = np.arange(4 * RATE) / RATE
    tone = np.sin(2 * np.pi * hertz * time) * (time > 2)
    sound = heard(tone.astype(np.float32), 10, 40)
    levels = getattr(sound, band)
    assert levels[:18].max() < 0.1
    assert levels[22:].min() > 0.9
    assert sound.volume[22:].min() > 0.9


@pytest.mark.parametrize("samples", [np.zeros(RATE * 3), np.zeros(0), np.full(RATE, np.nan)])
def test_silence_is_nought(samples: np.ndarray) -> None:
    with np.errstate(all="raise"):
        sound = heard(samples.astype(np.float32), 12, 24)
    for name in SOUND:
        assert getattr(sound, name).tolist() == [0.0] * 24


def test_a_lasting_tone_is_at_its_loudest() -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(4 * RATE) / RATE).astype(np.float32)
    assert heard(tone, 10, 40).volume.min() > 0.9


def test_after_the_end_nothing_is_heard_and_that_is_said_once(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "short.wav", clicks(120, 2))
    with pytest.warns(SoundNote) as notes:
        sound = listen(path, 12, 120)
    assert len(notes) == 1
    assert "2.0 s long and the film 10.0 s" in str(notes[0].message)
    assert sound.volume[25:].max() == 0
    assert sound.beat[:24].max() == 1
    assert sound.beat[60:].max() < 1e-6


def test_what_is_heard_lies_in_0_to_1(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    samples = rng.standard_normal(RATE * 5).astype(np.float32) * np.linspace(0, 3, RATE * 5)
    sound = heard(samples.astype(np.float32), 24, 120)
    for name in SOUND:
        levels = getattr(sound, name)
        assert levels.shape == (120,)
        assert 0 <= levels.min() <= levels.max() <= 1


@pytest.mark.parametrize("make", ["missing", "empty", "text", "folder", "cut", "silent film"])
def test_what_holds_no_sound_is_one_line(tmp_path: Path, make: str) -> None:
    path = tmp_path / "track.wav"
    if make == "empty":
        path.touch()
    elif make == "text":
        path.write_text("la la la\n" * 100)
    elif make == "folder":
        path.mkdir()
    elif make == "cut":
        path.write_bytes(write_wav(path, clicks(120, 1)).read_bytes()[:30])
    elif make == "silent film":
        path = tmp_path / "film.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=12)
            stream.width = stream.height = 32
            picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))
            container.mux(stream.encode(picture))
            container.mux(stream.encode())
    with pytest.raises(MediaError) as caught:
        listen(path, 12, 12)
    assert "\n" not in str(caught.value)
