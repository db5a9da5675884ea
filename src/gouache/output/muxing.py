"""MP4 and WebM, written frame by frame by PyAV, with sound. The same frames give the same bytes."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gouache.ops.media import media_errors, open_media, pictures_of
from gouache.prompts import one_line

# What each container may hold of sound as it is, and what else becomes.
_COPIED = {
    "mp4": frozenset({"aac", "mp3", "alac", "flac", "ac3", "eac3", "opus"}),
    "webm": frozenset({"opus", "vorbis"}),
}
_LOSSLESS = frozenset({"pcm_u8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "wavpack"})
# Matrix, primaries and curve of the pictures: told, so that no player has to guess.
_BT601, _BT709 = 6, 1
# The AVX-512 code of x264 reads beyond a row of blocks: at most sizes the bytes depended on what
# lay there. All processors of this kind have SSSE3, whose code does not.
_X264 = {"x264-params": "asm=SSSE3"} if platform.machine().lower() in ("x86_64", "amd64") else {}


class SoundWarning(UserWarning):
    """A film's sound is not its source's to the sample, or it has none."""

    all_differ = True


class AvWriter:
    """H.264 in an MP4, or VP9 (else VP8) in a WebM, in yuv420p, which every player reads; it needs
    even sides: an odd one repeats its last row or column.

    fps: frames per second; a frame is written as often as its time asks for.
    tags: what the container tells of itself, by name.
    sound: a file whose first stream of sound goes along, copied where the container may hold it.
    It begins where the pictures of that file begin, and ends with the film.
    """

    def __init__(
        self,
        temp: Path,
        size: tuple[int, int],
        fps: float,
        kind: str,
        tags: Mapping[str, str],
        sound: Path | None = None,
    ) -> None:
        import av

        self._av: Any = av
        self._rate = Fraction(fps).limit_denominator(1001)
        self._odd = (size[0] % 2, size[1] % 2)
        self._stack = ExitStack()
        flags = {"fflags": "+bitexact"} | ({"movflags": "faststart"} if kind == "mp4" else {})
        self._container: Any = av.open(str(temp), "w", format=kind, options=flags)
        self._stack.callback(self._close_quietly)
        self._container.metadata.update(tags)
        self._stream = self._pictures(kind, (size[0] + self._odd[0], size[1] + self._odd[1]))
        self._num = 0
        self._sound: _Sound | None = None
        if sound is not None:
            self._sound = self._stack.enter_context(_sound_of(sound, self._container, kind))

    def _pictures(self, kind: str, size: tuple[int, int]) -> Any:
        known = self._av.codecs_available
        wanted = ("libx264", "mpeg4") if kind == "mp4" else ("libvpx-vp9", "libvpx")
        codec = next((name for name in wanted if name in known), wanted[-1])
        stream = self._container.add_stream(codec, rate=self._rate)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.thread_count = 1  # the bytes depend on their number
        context.flags |= _bitexact()
        context.colorspace, context.color_primaries, context.color_trc = _BT601, _BT709, _BT709
        if codec == "libx264":
            stream.options = {"crf": "17", "preset": "medium", **_X264}
        elif codec == "libvpx-vp9":
            stream.options = {"crf": "20", "b": "0", "cpu-used": "3", "deadline": "good"}
        elif codec == "libvpx":
            stream.options = {"crf": "6", "cpu-used": "2", "deadline": "good"}
            stream.bit_rate = 8_000_000
        else:
            stream.bit_rate = 8_000_000
        return stream

    def write(self, frame: Image.Image, seconds: float) -> None:
        pixels = np.pad(np.asarray(frame), ((0, self._odd[1]), (0, self._odd[0]), (0, 0)), "edge")
        for _ in range(max(1, round(seconds * self._rate))):
            picture = self._av.VideoFrame.from_ndarray(pixels, format="rgb24")
            picture.pts, picture.time_base = self._num, 1 / self._rate
            self._container.mux(self._stream.encode(picture))
            self._num += 1
            if self._sound is not None:
                self._sound.write(self._num / self._rate)

    def finish(self) -> None:
        self._container.mux(self._stream.encode(None))
        if self._sound is not None:
            self._sound.write(self._num / self._rate, last=True)
        self._container.close()
        self._stack.close()

    def release(self) -> None:
        with suppress(Exception):
            self._stack.close()

    def _close_quietly(self) -> None:
        with suppress(Exception):
            self._container.close()


class _Sound:
    """The packets of a stream of sound, copied or encoded anew, up to a time."""

    def __init__(self, source: Iterator[Any], container: Any, encoder: Any, path: Path) -> None:
        self._source, self._container, self._encoder = source, container, encoder
        self._path = path
        self._next: Any = None

    def write(self, until: Fraction, *, last: bool = False) -> None:
        """What begins before `until` (seconds)."""
        while True:
            with media_errors(self._path):
                self._next = self._next or next(self._source, None)
            if self._next is None or self._next.pts * self._next.time_base >= until:
                break
            piece, self._next = self._next, None
            self._container.mux(piece if self._encoder is None else self._encoder.encode(piece))
        if last and self._encoder is not None:
            self._container.mux(self._encoder.encode(None))


@contextmanager
def _sound_of(path: Path, container: Any, kind: str) -> Iterator[_Sound | None]:
    """None where the file has no sound."""
    with open_media(path) as source:
        if not source.streams.audio:
            yield None
            return
        stream = source.streams.audio[0]
        codec, begin = stream.codec_context.codec.canonical_name, _begin(source)
        if codec in _COPIED[kind]:
            target = container.add_stream_from_template(stream)
            yield _Sound(_copied(source, stream, target, begin), container, None, path)
            return
        name, told = _encoder(codec, kind)
        target = container.add_stream(name, rate=48_000 if name == "libopus" else stream.rate)
        target.layout = stream.layout.name
        target.bit_rate = 320_000
        target.codec_context.flags |= _bitexact()
        warnings.warn(
            f"{kind} holds no {codec}: the sound of {one_line(path)} is encoded anew, {told}",
            SoundWarning,
            stacklevel=2,
        )
        yield _Sound(_decoded(source, stream, target, begin), container, target, path)


def _begin(source: Any) -> Fraction:
    """When its pictures begin, in seconds; of sound alone when that does, its padding left out."""
    stream = pictures_of(source) or source.streams.audio[0]
    return Fraction((stream.start_time or 0) * stream.time_base)


def _copied(source: Any, stream: Any, target: Any, begin: Fraction) -> Iterator[Any]:
    for packet in source.demux(stream):
        if not packet.size or packet.dts is None:
            continue
        shift = round(begin / packet.time_base)
        packet.pts = (packet.dts if packet.pts is None else packet.pts) - shift
        packet.dts -= shift
        packet.stream = target
        yield packet


def _decoded(source: Any, stream: Any, target: Any, begin: Fraction) -> Iterator[Any]:
    import av

    context = target.codec_context
    formats = [one.name for one in context.codec.audio_formats or ()]
    own = stream.codec_context.format.name
    deep = {"s32", "s32p", "s24"} & {own}
    wanted = next((f for f in (("s32",) if deep else ("s16",)) if f in formats), None)
    context.format = wanted or (own if own in formats else formats[0])
    resampler = av.AudioResampler(context.format.name, stream.layout.name, target.rate)
    for frame in source.decode(stream):
        if frame.pts is not None:
            frame.pts -= round(begin / frame.time_base)
        yield from resampler.resample(frame)
    yield from resampler.resample(None)


def _encoder(name: str, kind: str) -> tuple[str, str]:
    if kind == "webm":
        return "libopus", "as Opus at 320 kbit/s"
    if name in _LOSSLESS:
        return "flac", "as FLAC, without a loss"
    return "aac", "as AAC at 320 kbit/s"


def _bitexact() -> int:
    from av.codec.context import Flags

    return int(Flags.bitexact)


__all__ = ["AvWriter", "SoundWarning"]
