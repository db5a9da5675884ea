"""The packed data set: one file holding every picture and its index, and its reader.

Layout: magic, length of the header, zlib-compressed JSON header, then WebP pages back to back. A
page is a sheet of 16 by 16 pictures; coloured pictures are lossy RGBA, one-colour icons are stored
as their alpha alone in lossless sheets of six levels.
"""

from __future__ import annotations

import io
import json
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gouache.errors import TrainingError

__all__ = ["QUALITY", "SPLITS", "Entry", "PictureSet", "write_pack"]

Pixels = NDArray[np.uint8]

QUALITY = 48
"""WebP quality of coloured pages: what fits 29,000 pictures into 24 MiB."""

SPLITS = ("train", "held_picture", "held_concept")
"""train; another picture of a trained concept; all pictures of a concept kept out of training."""

_MAGIC = b"GPACK\x01\r\n"
_COLUMNS = 16
_PER_PAGE = _COLUMNS * _COLUMNS
_STEP = 51  # alpha of one-colour pages: 0, 51, ... 255, enough once pictures are scaled down


@dataclass(frozen=True)
class Entry:
    """What the index says about one picture.

    Attributes:
        name: clean English name, lower case.
        source: name of the source it comes from.
        kind: the source's kind; "mono" pictures are white and to be coloured.
        concept: index of the thing shown, whatever its colour and style.
        weight: sampling weight; the pictures of an average concept weigh 1 in sum.
        color: index of the dominant colour in `COLOR_NAMES`, or -1.
        split: one of `SPLITS`.
        tags: words that go along with the name.
        synonyms: names that can replace it.
        category: WordNet's kind of thing, or "".
    """

    name: str
    source: str
    kind: str
    concept: int
    weight: float
    color: int
    split: str
    tags: tuple[str, ...] = ()
    synonyms: tuple[str, ...] = ()
    category: str = ""


@dataclass(frozen=True, eq=False)
class PictureSet:
    """Pictures and their index, in memory.

    Attributes:
        pixels: (N,4,side,side) premultiplied RGBA; a read-only memory map once cached.
        entries: N rows.
        concepts: key of each concept, by index.
        credits: name, licence and attribution of each source.
    """

    pixels: Pixels
    entries: Sequence[Entry]
    concepts: Sequence[str]
    credits: Sequence[dict[str, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def side(self) -> int:
        """Side of the pictures in pixels."""
        return int(self.pixels.shape[-1])

    def indices(self, split: str) -> NDArray[np.int64]:
        """Picture numbers of a split, ascending.

        Raises:
            TrainingError: the split is not one of `SPLITS`.
        """
        if split not in SPLITS:
            raise TrainingError(f"split: got {split!r}, expected one of {', '.join(SPLITS)}")
        chosen = [number for number, row in enumerate(self.entries) if row.split == split]
        return np.array(chosen, np.int64)

    @classmethod
    def load(cls, path: Path | str, cache: bool = True) -> PictureSet:
        """Read a packed data set.

        Args:
            path: the packed file.
            cache: keep the decoded pictures beside it as `.npy` and map them next time.

        Raises:
            TrainingError: not such a file, cut short, or written by a later version.
        """
        path = Path(path)
        header, start = _read_header(path)
        decoded = path.with_name(f"{path.name}.{header['checksum'][:8]}.npy")
        if cache and decoded.is_file():
            pixels: Pixels = np.load(decoded, mmap_mode="r")
        else:
            pixels = _decode(path, header, start)
            if cache and _save(pixels, decoded):
                pixels = np.load(decoded, mmap_mode="r")
        columns = header["entries"]
        for name in ("tags", "synonyms"):
            columns[name] = [tuple(words) for words in columns[name]]
        names = list(columns)
        rows = [
            Entry(**dict(zip(names, row, strict=True)))
            for row in zip(*columns.values(), strict=True)
        ]
        return cls(pixels, rows, header["concepts"], header["credits"])


def write_pack(
    path: Path,
    pixels: Pixels,
    entries: Sequence[Entry],
    concepts: Sequence[str],
    credits: Sequence[dict[str, str]],
    quality: int = QUALITY,
) -> int:
    """Write the file. The same input gives the same bytes.

    Args:
        path: where to write; replaced only once complete.
        pixels: (N,side,side,4) premultiplied RGBA.
        entries: N rows; all rows of kind "mono" come last.
        concepts: key of each concept.
        credits: licences and attributions.
        quality: WebP quality of the coloured pages, 0 to 100.

    Returns:
        Size of the file in bytes.
    """
    mono = [row.kind == "mono" for row in entries]
    assert mono == sorted(mono), "one-colour pictures must come last"
    assert len(pixels) == len(entries)
    split = len(mono) - sum(mono)
    pages: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    for begin, end, alpha in ((0, split, False), (split, len(entries), True)):
        for first in range(begin, end, _PER_PAGE):
            part = pixels[first : min(first + _PER_PAGE, end)]
            blob = _encode_alpha(part) if alpha else _encode_color(part, quality)
            pages.append({"count": len(part), "alpha": alpha, "bytes": len(blob)})
            blobs.append(blob)
    body = b"".join(blobs)
    rows = [asdict(row) for row in entries]
    columns = {name: [row[name] for row in rows] for name in Entry.__dataclass_fields__}
    header = {
        "side": int(pixels.shape[1]),
        "pages": pages,
        "concepts": list(concepts),
        "credits": list(credits),
        "entries": columns,
        "checksum": f"{zlib.crc32(body):08x}",
    }
    text = json.dumps(header, separators=(",", ":"), sort_keys=True).encode()
    packed = zlib.compress(text, 9)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_bytes(_MAGIC + struct.pack("<Q", len(packed)) + packed + body)
    scratch.replace(path)
    return path.stat().st_size


def _sheet(part: Pixels) -> Pixels:
    """(n,s,s,c) pictures -> one (rows*s, 16*s, c) sheet, empty where pictures are lacking."""
    count, side, _, channels = part.shape
    rows = -(-count // _COLUMNS)
    cells = np.zeros((rows * _COLUMNS, side, side, channels), np.uint8)
    cells[:count] = part
    grid = cells.reshape(rows, _COLUMNS, side, side, channels).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(grid.reshape(rows * side, _COLUMNS * side, channels))


def _unsheet(sheet: Pixels, count: int, side: int) -> Pixels:
    rows = sheet.shape[0] // side
    grid = sheet.reshape(rows, side, _COLUMNS, side, -1).transpose(0, 2, 1, 3, 4)
    return grid.reshape(rows * _COLUMNS, side, side, -1)[:count]


def _encode_color(part: Pixels, quality: int) -> bytes:
    straight = part.astype(np.uint16)
    alpha = np.maximum(straight[..., 3:], 1)
    straight[..., :3] = np.minimum((straight[..., :3] * 255 + alpha // 2) // alpha, 255)
    out = io.BytesIO()
    image = Image.fromarray(_sheet(straight.astype(np.uint8)), "RGBA")
    image.save(out, "WEBP", quality=quality, alpha_quality=20, method=6)
    return out.getvalue()


def _encode_alpha(part: Pixels) -> bytes:
    levels = (part[..., 3:].astype(np.uint16) + _STEP // 2) // _STEP * _STEP
    out = io.BytesIO()
    image = Image.fromarray(_sheet(levels.astype(np.uint8))[..., 0], "L").convert("RGB")
    image.save(out, "WEBP", lossless=True, quality=90, method=4)
    return out.getvalue()


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
            if magic != _MAGIC:
                raise TrainingError(f"{path}: not a packed picture set of this version")
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(zlib.decompress(file.read(length)))
    except OSError as error:
        raise TrainingError(f"{path}: {error.strerror}; build the data set first") from None
    except (struct.error, zlib.error, ValueError):
        raise TrainingError(f"{path}: the header is damaged; build the data set again") from None
    start = len(_MAGIC) + 8 + length
    expected = start + sum(page["bytes"] for page in header["pages"])
    if path.stat().st_size != expected:
        raise TrainingError(f"{path}: got {path.stat().st_size} bytes, expected {expected}")
    return header, start


def _decode(path: Path, header: dict[str, Any], start: int) -> Pixels:
    side = header["side"]
    total = sum(page["count"] for page in header["pages"])
    pixels = np.empty((total, 4, side, side), np.uint8)
    done = 0
    with path.open("rb") as file:
        file.seek(start)
        for page in header["pages"]:
            blob = file.read(page["bytes"])
            image = Image.open(io.BytesIO(blob))
            count = page["count"]
            if page["alpha"]:
                cells = _unsheet(np.asarray(image.convert("RGB"))[..., :1], count, side)
                pixels[done : done + count] = cells.transpose(0, 3, 1, 2)  # white: colour = alpha
            else:
                # Pillow premultiplies in C when converting to "RGBa".
                packed = image.convert("RGBA").convert("RGBa")
                cells = np.frombuffer(packed.tobytes(), np.uint8)
                sheet = cells.reshape(image.height, image.width, 4)
                pixels[done : done + count] = _unsheet(sheet, count, side).transpose(0, 3, 1, 2)
            done += count
    return pixels


def _save(pixels: Pixels, path: Path) -> bool:
    """Keep the decoded pictures; a read-only folder only costs time."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with scratch.open("wb") as file:
            np.save(file, pixels)
        scratch.replace(path)
    except OSError:
        scratch.unlink(missing_ok=True)
        return False
    return True
