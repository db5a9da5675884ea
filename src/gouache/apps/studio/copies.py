"""What is made of a run's pictures once and kept in its folder until a picture changes.

run/copies/picture-320.webp    a thumbnail of the run; 4-320.webp: of a point of its history
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from PIL import Image

from gouache.apps.studio.runs import Run
from gouache.atomic import output_errors, write_bytes
from gouache.errors import ConfigError
from gouache.ops.images import encode, load_image

SIDES = (160, 320, 640)  # of thumbnails


def made_once(path: Path, sources: Sequence[Path], make: Callable[[Path], object]) -> Path:
    """`path`, which `make` writes unless it is there and newer than none of its sources.

    It has its sources' time afterwards, so that what changes while it is made is seen the next
    time.
    """
    newest = max((source.stat().st_mtime_ns for source in sources if source.exists()), default=0)
    with suppress(FileNotFoundError):
        if path.stat().st_mtime_ns >= newest:
            return path
    with output_errors(path):
        path.parent.mkdir(exist_ok=True)
    make(path)
    with suppress(OSError):  # it was not made
        os.utime(path, ns=(newest, newest))
    return path


def thumbnail(run: Run, source: Path, side: int) -> Path:
    """A WebP of a picture of the run, its longer side at most `side`, one of `SIDES`."""
    name = source.stem if source.parent.name == "nodes" else "picture"
    path = run.path / "copies" / f"{name}-{side}.webp"
    return made_once(
        path, [source], lambda path: write_bytes(path, small(load_image(source), side))
    )


def small(picture: Image.Image, side: int) -> bytes:
    """A WebP of it, not larger than it is."""
    picture.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return encode(picture, "WEBP", quality=82, method=2)


def read_side(text: str) -> int:
    """The side of a thumbnail that is asked for -> the next larger of `SIDES`."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= SIDES[-1]):
        raise ConfigError(f"side is {text!r:.20}; expected a whole number from 1 to {SIDES[-1]}")
    return next(side for side in SIDES if side >= int(text))


__all__ = ["SIDES", "made_once", "read_side", "small", "thumbnail"]
