"""What a film hears of a sound, frame by frame: `beat`, `bass`, `mid`, `treble`, `volume` in [0,1].

Bands are SciPy's Butterworth filters, forwards and backwards, so that nothing comes late; each is
measured against its own quiet and loud frames. `beat` jumps to 1 where a note or a drum begins
(spectral flux above what is usual around it; Bello et al. 2005) and dies away.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gouache.errors import MediaError
from gouache.films.curves import SOUND, pack_levels
from gouache.ops.media import open_media
from gouache.prompts import one_line

RATE = 22_050  # samples a second; all that is heard lies below 10 kHz
BANDS = {"bass": (20.0, 250.0), "mid": (250.0, 4000.0), "treble": (4000.0, 10_000.0)}
BEAT_SECONDS = 0.1  # in which a beat falls to 1/e
MAX_SECONDS = 36_000.0
_ORDER = 4
_FLOOR = 1e-4  # of full scale, -80 dB: below it is silence
_QUIET, _LOUD = 10, 98  # percentiles of the frames
_WINDOW, _HOP = 512, 128
_APART = 0.1  # seconds between two onsets, at least
_AROUND = 0.5  # seconds of what is usual around an onset, to each side
_BLOCK = 32  # samples; how finely an onset is placed

Track = NDArray[np.float64]


class SoundNote(UserWarning):
    """The sound is not all that the film asks for."""


@dataclass(frozen=True)
class Sound:
    """Arrays (num_frames,) in [0,1]."""

    beat: Track
    bass: Track
    mid: Track
    treble: Track
    volume: Track

    def at(self, frame: int) -> dict[str, float]:
        """What curves ask for, at `frame`."""
        return {name: float(getattr(self, name)[frame]) for name in SOUND}

    def __str__(self) -> str:
        """One line, as `FilmConfig.audio_levels` keeps it."""
        return pack_levels({name: getattr(self, name) for name in SOUND})


def listen(path: str | Path, fps: float, num_frames: int) -> Sound:
    """Hears the file, of any container that PyAV reads, for a film of `num_frames`.

    A frame hears what sounds while it is shown. After the sound's end all is 0, which a `SoundNote`
    says. `MediaError` for files without sound, damaged ones, and where SciPy is missing.
    """
    seconds = min(num_frames / fps, MAX_SECONDS)
    samples = _read(path, seconds)
    if len(samples) < (num_frames - 1) / fps * RATE:
        warnings.warn(
            f"{one_line(path)} is {len(samples) / RATE:.1f} s long and the film {seconds:.1f} s; "
            "what comes after hears silence",
            SoundNote,
            stacklevel=2,
        )
    return heard(samples, fps, num_frames)


def heard(samples: NDArray[np.float32], fps: float, num_frames: int) -> Sound:
    """As `listen`, of samples (N,) in [-1,1] at `RATE`."""
    signal = _signal()
    edges = np.round(np.arange(num_frames + 1) / fps * RATE).astype(np.int64)
    padded = np.zeros(max(len(samples), RATE), np.float64)  # filters need some length
    padded[: len(samples)] = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0).clip(-8, 8)
    tracks = {"volume": _loudness(padded, edges)}
    for name, band in BANDS.items():
        sections = signal.butter(_ORDER, band, "bandpass", fs=RATE, output="sos")
        tracks[name] = _loudness(signal.sosfiltfilt(sections, padded), edges)
    return Sound(beat=_beat(onsets(padded), fps, num_frames), **tracks)


def onsets(samples: Track) -> Track:
    """Seconds at which notes and drums begin, rising; samples (N,) in [-1,1] at `RATE`."""
    signal = _signal()
    lead = np.concatenate([np.zeros(_WINDOW), samples, np.zeros(_WINDOW)])
    flux = _flux(lead)
    around = 2 * int(_AROUND * RATE / _HOP) + 1
    usual = signal.convolve(flux, np.full(around, 1 / around), "same")
    peaks, _ = signal.find_peaks(
        flux,
        height=np.maximum(2 * usual, 0.2 * np.percentile(flux, 99.5)) + 1e-3,
        distance=max(1, int(_APART * RATE / _HOP)),
    )
    found = []
    for peak in peaks:
        start = max(0, peak * _HOP - _WINDOW // 2)
        blocks = lead[start : start + 2 * _WINDOW]
        blocks = blocks[: len(blocks) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
        rises = np.diff(np.abs(blocks).max(1))
        place = start + (int(np.argmax(rises)) + 2) * _BLOCK  # just after it, never before
        found.append(max(0, place - _WINDOW) / RATE)
    return np.array(sorted(found), np.float64)


def _flux(samples: Track) -> Track:
    """How much louder the parts of the spectrum get, at each hop; 0 in silence."""
    window = np.hanning(_WINDOW)
    count = (len(samples) - _WINDOW) // _HOP + 1
    found = np.zeros(count)
    last = np.zeros(_WINDOW // 2 + 1)
    for first in range(0, count, 4096):  # hours need not be in memory as spectra
        places = np.arange(first, min(first + 4096, count)) * _HOP
        frames = samples[places[:, None] + np.arange(_WINDOW)] * window
        loud = np.log1p(100 * np.abs(np.fft.rfft(frames)) / _WINDOW)
        rises = np.diff(np.concatenate([last[None], loud]), axis=0)
        found[first : first + len(places)] = rises.clip(0).mean(1)
        last = loud[-1]
    return found


def _beat(times: Track, fps: float, num_frames: int) -> Track:
    """(num_frames,): 1 in the frame of an onset, then dying away."""
    found = np.zeros(num_frames)
    frames = (times * fps).astype(np.int64)
    found[frames[frames < num_frames]] = 1
    fall = math.exp(-1 / (fps * BEAT_SECONDS))
    for frame in range(1, num_frames):
        found[frame] = max(found[frame], found[frame - 1] * fall)
    return found


def _loudness(samples: Track, edges: NDArray[np.int64]) -> Track:
    """Root mean square of each frame, between the quiet and the loud ones: (num_frames,) in [0,1].
    What never changes is 1, and silence is 0."""
    energy = np.concatenate([[0.0], np.cumsum(samples**2)])
    ends = np.minimum(edges, len(samples))
    total = np.maximum(energy[ends[1:]] - energy[ends[:-1]], 0)
    level = np.sqrt(total / np.maximum(np.diff(edges), 1))
    sounding = level[ends[:-1] < len(samples)]
    quiet, loud = np.percentile(sounding, [_QUIET, _LOUD])
    loud = loud if loud > _FLOOR else float(sounding.max())
    if loud <= _FLOOR:
        return np.zeros_like(level)
    quiet = quiet if loud - quiet > 0.05 * loud else 0.0
    found: Track = np.clip((level - quiet) / (loud - quiet), 0.0, 1.0)
    return found


def _read(path: str | Path, seconds: float) -> NDArray[np.float32]:
    """Its first seconds (N,), all channels as one, at `RATE`."""
    with open_media(path, "sound") as container:
        if not container.streams.audio:
            raise MediaError(f"{one_line(path)} holds no sound; give a WAV, MP3, FLAC or film")
        from av import AudioResampler

        resampler = AudioResampler("flt", "mono", RATE)
        wanted, pieces, count = math.ceil(seconds * RATE), list[NDArray[np.float32]](), 0
        for frame in container.decode(container.streams.audio[0]):
            for piece in resampler.resample(frame):
                pieces.append(piece.to_ndarray()[0])
                count += len(pieces[-1])
            if count >= wanted:
                break
        else:
            pieces += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    return np.concatenate([*pieces, np.zeros(0, np.float32)])[:wanted]


def _signal() -> Any:
    try:
        from scipy import signal
    except ImportError:
        raise MediaError(
            "cannot listen: SciPy is not installed; run pip install 'gouache[video]'"
        ) from None
    return signal


__all__ = ["BANDS", "BEAT_SECONDS", "RATE", "Sound", "SoundNote", "heard", "listen", "onsets"]
