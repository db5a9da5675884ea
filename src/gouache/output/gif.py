"""GIF, written frame by frame."""

from __future__ import annotations

import io
import struct
from contextlib import suppress
from pathlib import Path

from PIL import Image


class GifWriter:
    """GIF with a palette per frame, written as a stream (Pillow alone would collect all frames).

    `comment` is kept in the file (a comment extension), where `Image.info` has it, too.
    """

    def __init__(self, temp: Path, size: tuple[int, int], comment: bytes = b"") -> None:
        self._file = temp.open("wb")
        self._clock = 0.0
        # Logical screen without a palette of its own, then the block that makes players repeat.
        self._file.write(b"GIF89a" + struct.pack("<HHBBB", *size, 0x70, 0, 0))
        self._file.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00")
        if comment:
            pieces = [comment[k : k + 255] for k in range(0, len(comment), 255)]
            blocks = b"".join(bytes([len(piece)]) + piece for piece in pieces)
            self._file.write(b"\x21\xfe" + blocks + b"\x00")

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


__all__ = ["GifWriter"]
