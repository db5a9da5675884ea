"""Small films made of drawn frames, in many formats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

RED, BLUE = (200, 60, 30), (30, 60, 200)
SIZE = (64, 48)


def bar(number: int, total: int = 20, size: tuple[int, int] = SIZE) -> np.ndarray[Any, Any]:
    """Frame `number`: red, and blue from the left as far as the film has come; (H,W,3) uint8."""
    width, height = size
    frame = np.empty((height, width, 3), np.uint8)
    frame[:] = RED
    frame[:, : (number * width) // total] = BLUE
    return frame


def make_clip(
    path: Path,
    num: int = 20,
    *,
    size: tuple[int, int] = SIZE,
    fps: Fraction | int = 12,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    times: Sequence[int] = (),
    sound: str = "",
    rotation: int = 0,
    aspect: Fraction | None = None,
    curve: int = 0,
    draw: Callable[[int], np.ndarray[Any, Any]] | None = None,
) -> Path:
    """A film of `bar`s. times: when frames begin, in thousandths; sound: a codec, for a tone."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=Fraction(fps))
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if curve:
            stream.codec_context.color_trc = curve
        tone = _add_tone(container, sound) if sound else None
        for k in range(num):
            pixels = draw(k) if draw else bar(k, num, size)
            frame = av.VideoFrame.from_ndarray(
                pixels, format="rgba" if pixels.shape[2] == 4 else "rgb24"
            )
            if times:
                frame.pts, frame.time_base = times[k], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if tone is not None:
            _write_tone(container, tone, num / float(fps))
    return path


def make_sound(path: Path, codec: str = "pcm_s16le", seconds: float = 2.0) -> Path:
    """A tone that rises, another on each side."""
    with av.open(str(path), "w") as container:
        _write_tone(container, _add_tone(container, codec), seconds)
    return path


def samples(path: Path) -> np.ndarray[Any, Any]:
    """The decoded sound, (channels, n)."""
    with av.open(str(path)) as container:
        pieces = []
        for frame in container.decode(audio=0):
            piece = frame.to_ndarray()
            flat = frame.format.is_planar
            pieces.append(piece if flat else piece.reshape(-1, frame.layout.nb_channels).T)
    return np.concatenate(pieces, 1)


def packets(path: Path) -> list[bytes]:
    """The coded sound."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def _add_tone(container: Any, codec: str) -> Any:
    stream = container.add_stream(codec, rate=48_000)
    stream.layout = "stereo"
    return stream


def _write_tone(container: Any, stream: Any, seconds: float) -> None:
    rate = stream.rate
    at = np.arange(round(seconds * rate)) / rate
    tone = 0.4 * np.sin(2 * np.pi * 440 * at * (1 + at))
    both = (np.stack([tone, tone[::-1]]) * 32767).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(both.T.reshape(1, -1)), format="s16", layout="stereo"
    )
    frame.rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    context = stream.codec_context
    shape = context.format.name if context.format else "fltp"
    resampler = av.AudioResampler(shape, "stereo", rate, frame_size=context.frame_size or 1024)
    for piece in [*resampler.resample(frame), *resampler.resample(None)]:
        container.mux(stream.encode(piece))
    container.mux(stream.encode(None))
