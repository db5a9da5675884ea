"""Films that are read: their frames, one after another and never all at once."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gouache.errors import ConfigError, MediaError
from gouache.ops.images import MAX_INPUT_PIXELS, fitted_box
from gouache.ops.media import need_av, open_media, pictures_of
from gouache.prompts import one_line

MAX_FPS = 240.0
_HDR = {16: "PQ", 18: "HLG"}  # transfer characteristics of ITU-T H.273
_ALPHA = frozenset({"vp8": "libvpx", "vp9": "libvpx-vp9"}.items())  # FFmpeg's own ones leave it out
_WITH_LENGTH = ("mov", "matroska", "avi")  # others have none in their head, or guess
_LOST = 0.5  # seconds at the end that a decoder may leave out: pictures that need a later one
# Of a frame's time: containers round times, and a frame may begin so late and still be meant.
_LATE = 0.25


class ClipWarning(UserWarning):
    """Something of a clip is not shown as it is."""

    all_differ = True


@dataclass(frozen=True)
class Clip:
    """A film file, seen as frames at an even rate.

        clip = Clip.open("waves.mp4", every_nth=2, size=(128, 128))
        for frame in clip.frames(): ...

    width, height: of its frames as they are shown (upright, square pixels).
    fps: of the frames that are given, `num_frames` of them; they cover the whole clip.
    size: what frames are fitted to (width, height), as pictures are; None for their own.
    """

    path: Path
    width: int
    height: int
    fps: float
    num_frames: int
    has_sound: bool
    size: tuple[int, int] | None = None
    _rotation: int = field(default=0, repr=False)  # degrees by which frames are turned, clockwise
    _tick: float = field(default=1.0, repr=False)  # seconds
    _start: int = field(default=0, repr=False)  # in ticks
    _late: float = field(default=0.0, repr=False)  # seconds
    _last: float = field(default=0.0, repr=False)  # seconds at which the last frame begins

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        fps: float | None = None,
        every_nth: int = 1,
        size: tuple[int, int] | None = None,
    ) -> Clip:
        """Looks through the file once without decoding more than its first frame.

        fps: the wanted rate, at most `MAX_FPS`; frames are left out or repeated. None: the clip's
        own (of a variable rate the mean). every_nth: every n-th of these frames, so a lower rate.

        What cannot be shown as it is (HDR, transparency) is told by a `ClipWarning`, once. Raises
        `MediaError`, one line: missing, no film, damaged, truncated, no picture in it, too large;
        `ConfigError` for impossible wishes.
        """
        if every_nth < 1:
            raise ConfigError(f"every_nth is {every_nth}; expected 1 or more")
        if fps is not None and not 0.01 <= fps <= MAX_FPS:
            raise ConfigError(f"got {fps:g} frames per second; expected 0.01 to {MAX_FPS:g}")
        shown = one_line(path)
        with open_media(path) as container:
            stream = _pictures_of(container, shown)
            sound = bool(container.streams.audio)
            times, end = _times(container, stream, shown)
            tick = float(stream.time_base)
            told = [float(one) for one in (stream.average_rate, stream.guessed_rate) if one]
        with open_media(path) as container:
            stream = _pictures_of(container, shown)
            _check_size(stream.codec_context.width, stream.codec_context.height, shown)
            first = next(_decoded(container, stream), None)
            if first is None:
                raise _damaged(shown, 0.0)
            _tell(first, stream, shown)
            rotation = round(-first.rotation) % 360
            width, height = _shown_size(first, stream, rotation)
        length = max((end - times[0]) * tick, tick)
        own = _own_rate(times, length, tick, told)
        rate = (own if fps is None else fps) / every_nth
        late = _LATE * min(1 / own, 1 / rate)
        num = max(1, math.ceil((length - late) * rate))
        return cls(
            *(Path(path), width, height, rate, num, sound, size),
            *(rotation, tick, times[0], late, (times[-1] - times[0]) * tick),
        )

    @property
    def seconds(self) -> float:
        return self.num_frames / self.fps

    def frames(self, first: int = 0) -> Iterator[Tensor]:
        """The frames from number `first` on, each (3,H,W) float32 in [0,1].

        Decoded from the beginning in any case, so that frame k is the same whoever asks for it.
        Raises `MediaError` where the file turns out to be damaged.
        """
        shown, number = one_line(self.path), 0
        newest: Any = None
        at = 0.0  # seconds of the newest
        made: Tensor | None = None  # of the newest
        with open_media(self.path) as container:
            stream = _pictures_of(container, shown)
            for count, frame in enumerate(_decoded(container, stream)):
                ticks = frame.pts if frame.pts is not None else frame.dts
                time = at if ticks is None else (ticks - self._start) * self._tick
                if ticks is None and count:
                    time += 1 / self.fps
                while newest is not None and number < self.num_frames:
                    if time <= number / self.fps + self._late:
                        break
                    if number >= first:
                        made = self._tensor(newest) if made is None else made
                        yield made
                    number += 1
                if number >= self.num_frames:
                    return
                newest, at, made = frame, time, None
        if newest is None or at < self._last - _LOST:
            raise _damaged(shown, at)
        made = self._tensor(newest)
        for _ in range(max(number, first), self.num_frames):
            yield made

    def _tensor(self, frame: Any) -> Tensor:
        pixels = _pixels(frame)
        image = Image.fromarray(pixels)
        if self._rotation:
            turns = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180}
            image = image.transpose(turns.get(self._rotation, Image.Transpose.ROTATE_90))
        size = self.size or (self.width, self.height)
        # In one resampling, pixels that are not square included.
        left, top, right, bottom = fitted_box((self.width, self.height), size)
        across, down = image.width / self.width, image.height / self.height
        box = (left * across, top * down, right * across, bottom * down)
        image = image.resize(size, Image.Resampling.LANCZOS, box=box)
        return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float() / 255


def _pictures_of(container: Any, shown: str) -> Any:
    stream = pictures_of(container)
    if stream is not None and stream.codec_context is not None:
        stream.thread_type = "AUTO"
        return stream
    kind = "holds sound only" if container.streams.audio else "holds no film that can be decoded"
    raise MediaError(f"{shown} {kind}; give a film with pictures")


def _times(container: Any, stream: Any, shown: str) -> tuple[list[int], int]:
    """When its frames begin, in order, and when the last one ends; in ticks of the stream."""
    times: list[int] = []
    end, last, packets, ends = 0, 0, 0, 0.0
    for packet in container.demux():
        when = packet.pts if packet.pts is not None else packet.dts
        if packet.size == 0 or packet.time_base is None:  # the end
            continue
        if when is not None:
            ends = max(ends, float((when + (packet.duration or 0)) * packet.time_base))
        if packet.stream_index != stream.index:
            continue
        packets += 1
        if packet.is_discard:
            continue
        if when is None:
            when = last + 1 if not times else times[-1] + max(1, packet.duration or 1)
        times.append(when)
        end = max(end, when + (packet.duration or 0))
    if not times:
        raise _damaged(shown, 0.0)
    times.sort()
    if stream.frames and packets < stream.frames:
        raise MediaError(
            f"{shown} is truncated: {packets} of {stream.frames} frames are there; give the whole "
            "file"
        )
    whole, begun = (float(x or 0) / 1e6 for x in (container.duration, container.start_time))
    told = container.format.name.startswith(_WITH_LENGTH)
    if told and ends - begun < 0.98 * whole - 0.25:
        raise MediaError(
            f"{shown} is truncated: it ends after {max(0.0, ends - begun):.2f} of {whole:.2f} s; "
            "give the whole file"
        )
    if end <= times[-1]:
        end = times[-1] + max(1, (times[-1] - times[0]) // max(1, len(times) - 1))
    return times, end


def _own_rate(times: list[int], length: float, tick: float, told: list[float]) -> float:
    """Frames per second: all of them over the whole length; what the file tells if it fits."""
    steps = np.diff(np.asarray(times, dtype=np.int64))
    rate = len(times) / length
    # An even rate, but for rounding to ticks: known better from the first to the last.
    if len(steps) and np.abs(steps - np.median(steps)).max() <= max(1.0, 0.02 * np.median(steps)):
        span = times[-1] - times[0]
        rate = len(steps) / (span * tick)
        usual = (*range(1, 121), *(n * 1000 / 1001 for n in (24, 30, 48, 60, 120)))
        near = (one for one in (*told, *usual) if abs(rate / one - 1) <= 1.01 / span)
        rate = next(near, rate)
    return float(min(MAX_FPS, max(0.01, rate)))


def _decoded(container: Any, stream: Any) -> Iterator[Any]:
    """All frames in the order they are shown."""
    decoder = _alpha_decoder(stream)
    if decoder is None:
        yield from container.decode(stream)
        return
    for packet in container.demux(stream):
        yield from decoder.decode(packet if packet.size else None)


def _alpha_decoder(stream: Any) -> Any:
    name = dict(_ALPHA).get(stream.codec_context.name)
    if name is None or stream.metadata.get("alpha_mode") != "1":
        return None
    av = need_av("read it")
    if name not in av.codecs_available:
        return None
    return av.CodecContext.create(name, "r")


def _pixels(frame: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(H,W,3) uint8, transparency on white."""
    pixels: np.ndarray[Any, np.dtype[np.uint8]]
    if not _has_alpha(frame):
        pixels = frame.to_ndarray(format="rgb24")
        return pixels
    rgba = frame.to_ndarray(format="rgba").astype(np.uint16)
    alpha = rgba[..., 3:]
    pixels = ((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return pixels


def _has_alpha(frame: Any) -> bool:
    shape = frame.format
    return shape.has_palette or any(part.is_alpha for part in shape.components)


def _tell(frame: Any, stream: Any, shown: str) -> None:
    context = stream.codec_context
    hdr = _HDR.get(int(context.color_trc or 0))
    if hdr:
        warnings.warn(
            f"{shown} is HDR ({hdr}); its colours are taken as they are and look pale",
            ClipWarning,
            stacklevel=3,
        )
    if _has_alpha(frame) and _pixels_differ(frame):
        warnings.warn(
            f"{shown} is transparent in places; it is shown on white", ClipWarning, stacklevel=3
        )


def _pixels_differ(frame: Any) -> bool:
    return bool(frame.to_ndarray(format="rgba")[..., 3].min() < 255)


def _shown_size(frame: Any, stream: Any, rotation: int) -> tuple[int, int]:
    width, height = frame.width, frame.height
    aspect = float(stream.sample_aspect_ratio or 1) or 1.0
    if 0.1 <= aspect <= 10:  # pixels that are not square
        width = max(1, round(width * aspect))
    return (height, width) if rotation in (90, 270) else (width, height)


def _check_size(width: int, height: int, shown: str) -> None:
    if width * height > MAX_INPUT_PIXELS:
        raise MediaError(
            f"{shown} is {width}x{height}; at most {MAX_INPUT_PIXELS:,} pixels are read; shrink it"
        )


def _damaged(shown: str, seconds: float) -> MediaError:
    return MediaError(
        f"{shown} is damaged: nothing can be decoded after {seconds:.2f} s; convert it again"
    )


__all__ = ["MAX_FPS", "Clip", "ClipWarning"]
