"""Timelapses: frames go to the disk as they come, the file appears when the last one is in."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from gouache.atomic import atomic_path
from gouache.errors import OutputError
from gouache.ops.images import fit
from gouache.prompts import one_line

MAX_GIF_FPS = 50.0  # players slow faster ones down


class Timelapse:
    """Takes the frames of a video; made by `timelapse`."""

    def __init__(self, start: Callable[[tuple[int, int]], _Writer], fps: float, hold: float):
        self._start, self._fps, self._hold = start, fps, hold
        self._writer: _Writer | None = None
        self._newest: Image.Image | None = None  # waits: it may be the last, which is held
        self.num_frames = 0

    def add(self, image_pil: Image.Image) -> None:
        """Appends a picture of any mode; the first decides the size, others are fitted to it."""
        frame = image_pil.convert("RGB")
        if self._newest is None or self._writer is None:
            self._writer = self._start(frame.size)
        else:
            self._writer.write(self._newest, 1 / self._fps)
            frame = frame if frame.size == self._newest.size else fit(frame, self._newest.size)
        self._newest = frame
        self.num_frames += 1

    def _finish(self) -> None:
        if self._newest is None or self._writer is None:
            raise _NoFrames
        self._writer.write(self._newest, max(1 / self._fps, self._hold))
        self._writer.finish()

    def _release(self) -> None:
        if self._writer is not None:
            self._writer.release()


@contextmanager
def timelapse(path: str | Path, fps: float = 20.0, hold: float = 1.0) -> Iterator[Timelapse]:
    """Writes a `.gif` (Pillow) or a `.mp4` (PyAV, H.264) atomically, frame by frame.

        with timelapse("painting.mp4") as video:
            video.add(image_pil)

    The last frame is held for `hold` seconds. If the body fails, or adds no frame, nothing is
    written and what was at `path` stays. A `.gif` has at most `MAX_GIF_FPS`; a `.mp4` of odd sides
    repeats its last row or column. Raises `OutputError`: see `check_video`; unwritable place;
    failure of the encoder.
    """
    suffix = check_video(path)
    if not (0.1 <= fps <= 240 and 0 <= hold <= 600):
        raise OutputError(
            f"cannot write {one_line(path)}: got {fps:g} frames per second, the last held for "
            f"{hold:g} s; expected 0.1 to 240, and 0 to 600 s"
        )
    if suffix == ".gif":
        fps = min(fps, MAX_GIF_FPS)
    encoder_errors = _ffmpeg_errors(path) if suffix == ".mp4" else nullcontext()
    with suppress(_NoFrames), encoder_errors, atomic_path(path) as temp:
        video = Timelapse(lambda size: _WRITERS[suffix](temp, size, fps), fps, hold)
        try:
            yield video
            video._finish()
        finally:
            video._release()


def check_video(path: str | Path) -> str:
    """The suffix of a video that can be written here; else `OutputError` (suffix, PyAV missing)."""
    suffix = Path(path).suffix.lower()
    if suffix not in _WRITERS:
        raise OutputError(
            f"cannot write {one_line(path)}: no video format is called "
            f"{one_line(suffix, 20) or 'nothing'}; use .mp4 or .gif"
        )
    if suffix == ".mp4":
        try:
            import av  # noqa: F401
        except ImportError:
            raise OutputError(
                f"cannot write {one_line(path)}: PyAV is not installed; run "
                "pip install 'gouache[video]', or write a .gif"
            ) from None
    return suffix


class _NoFrames(Exception):
    """Leaves `atomic_path` without replacing the file."""


class _Writer(Protocol):
    def write(self, frame: Image.Image, seconds: float) -> None:
        """Appends an RGB frame, all of one size, shown for so long."""

    def finish(self) -> None:
        """Completes the file."""

    def release(self) -> None:
        """Closes the file, complete or not; raises nothing."""


class _GifWriter:
    """GIF with a palette per frame, written as a stream (Pillow alone would collect all frames)."""

    def __init__(self, temp: Path, size: tuple[int, int], fps: float) -> None:
        self._file = temp.open("wb")
        self._clock = 0.0
        # Logical screen without a palette of its own, then the block that makes players repeat.
        self._file.write(b"GIF89a" + struct.pack("<HHBBB", *size, 0x70, 0, 0))
        self._file.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00")

    def write(self, frame: Image.Image, seconds: float) -> None:
        before, self._clock = self._clock, self._clock + seconds
        hundredths = round(self._clock * 100) - round(before * 100)  # rounding does not add up
        # A graphic control extension (how long it is shown), then the picture.
        self._file.write(b"\x21\xf9\x04\x00" + struct.pack("<H", hundredths) + b"\x00\x00")
        self._file.write(_gif_picture(frame))

    def finish(self) -> None:
        self._file.write(b";")
        self._file.close()

    def release(self) -> None:
        with suppress(OSError):
            self._file.close()


def _gif_picture(frame: Image.Image) -> bytes:
    """The blocks of a picture with a palette of its own, out of a whole file that Pillow writes."""
    buffer = io.BytesIO()
    frame.quantize(256).save(buffer, "GIF", interlace=0)
    data = buffer.getvalue()
    # GIF89a, 17 and 18: signature (6), logical screen (7, its flags at 10), then the palette.
    flags = data[10]
    palette = data[13 : 13 + 3 * (2 << (flags & 7))]
    at = 13 + len(palette)
    while data[at] == 0x21:  # extensions (23 to 26): two bytes, then sub-blocks until an empty one
        at += 2
        while data[at]:
            at += 1 + data[at]
        at += 1
    # The descriptor (20) is ten bytes, the last for flags; the file ends with its trailer (27).
    return data[at : at + 9] + bytes([0x80 | (flags & 7)]) + palette + data[at + 10 : -1]


class _Mp4Writer:
    """H.264 in yuv420p, which every player reads; it needs even sides."""

    def __init__(self, temp: Path, size: tuple[int, int], fps: float) -> None:
        import av

        self._av: Any = av
        self._fps = fps
        self._odd = (size[0] % 2, size[1] % 2)
        self._container: Any = av.open(
            str(temp), "w", format="mp4", options={"movflags": "faststart"}
        )
        has_x264 = "libx264" in av.codecs_available
        self._stream = self._container.add_stream(
            "libx264" if has_x264 else "mpeg4", rate=Fraction(fps).limit_denominator(1001)
        )
        self._stream.width, self._stream.height = size[0] + self._odd[0], size[1] + self._odd[1]
        self._stream.pix_fmt = "yuv420p"
        if has_x264:
            self._stream.options = {"crf": "17", "preset": "medium"}
        else:
            self._stream.bit_rate = 8_000_000

    def write(self, frame: Image.Image, seconds: float) -> None:
        pixels = np.pad(np.asarray(frame), ((0, self._odd[1]), (0, self._odd[0]), (0, 0)), "edge")
        for _ in range(max(1, round(seconds * self._fps))):
            picture = self._av.VideoFrame.from_ndarray(pixels, format="rgb24")
            self._container.mux(self._stream.encode(picture))

    def finish(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def release(self) -> None:
        with suppress(Exception):
            self._container.close()


_WRITERS: dict[str, Callable[[Path, tuple[int, int], float], _Writer]] = {
    ".gif": _GifWriter,
    ".mp4": _Mp4Writer,
}


@contextmanager
def _ffmpeg_errors(path: str | Path) -> Iterator[None]:
    """Failures of FFmpeg that are no `OSError` (those `atomic_path` already reports)."""
    import av

    try:
        yield
    except av.FFmpegError as error:
        raise OutputError(f"cannot write {one_line(path)}: {one_line(error, 80)}") from error


__all__ = ["MAX_GIF_FPS", "Timelapse", "check_video", "timelapse"]
