"""Colour profiles made by hand: small, wrong on purpose, and of every kind that pictures carry."""

from __future__ import annotations

import itertools
import struct
from functools import lru_cache

from PIL import ImageCms


@lru_cache(maxsize=1)  # it holds the time
def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped() -> bytes:
    """sRGB with red and green exchanged."""
    data = srgb()
    head, tags = data[:128], data[128:]
    tags = tags.replace(b"rXYZ", b"????", 1).replace(b"gXYZ", b"rXYZ", 1)
    return head + tags.replace(b"????", b"gXYZ", 1)


def grey(gamma: float = 1.0) -> bytes:
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": curve})


def cmyk() -> bytes:
    """No ink is white, any ink is black; what is between is blended in Lab."""
    corners = [(0 if any(ink) else 255, 128, 128) for ink in itertools.product((0, 1), repeat=4)]
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": _table(4, corners)})


def one_way() -> bytes:
    """A scanner's: from RGB to what it saw (half as light), and not back."""
    corners = [(round(128 * sum(rgb) / 3), 128, 128) for rgb in itertools.product((0, 1), repeat=3)]
    return _profile(b"scnr", b"RGB ", b"Lab ", {b"A2B0": _table(3, corners)})


def _table(inputs: int, corners: list[tuple[int, int, int]]) -> bytes:
    ramp = bytes(range(256))
    matrix = struct.pack(">9i", *(65536 * (k % 4 == 0) for k in range(9)))
    lookup = bytes(value for corner in corners for value in corner)
    head = b"mft1" + bytes(4) + bytes([inputs, 3, 2, 0])
    return head + matrix + ramp * inputs + lookup + ramp * 3


def _profile(kind: bytes, space: bytes, between: bytes, tags: dict[bytes, bytes]) -> bytes:
    white = struct.pack(">3i", 63190, 65536, 54061)
    text = b"made by hand\0"
    named = b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)
    tags = {b"desc": named, b"wtpt": b"XYZ " + bytes(4) + white, **tags}
    place = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name + struct.pack(">II", place + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    date = struct.pack(">6H", 2020, 1, 1, 0, 0, 0)
    head = struct.pack(">I4sI", place + len(body), bytes(4), 0x02100000)
    head += kind + space + between + date + b"acsp" + bytes(28) + white
    return head.ljust(128, b"\0") + table + body
