"""What is made of a run's pictures once and kept in its folder until a picture changes.

run/copies/picture-320.webp      a thumbnail of the run; 4-320.webp: of a point of its history
run/copies/export-4-2048.jpg     a point of its history, or the picture, in another size or format
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image

from gouache._version import __version__
from gouache.apps.studio.runs import Run
from gouache.atomic import output_errors, write_bytes
from gouache.errors import ConfigError, ImageError
from gouache.halting import check
from gouache.inputs import portable
from gouache.ops.images import encode, load_image, open_image, read_picture
from gouache.output.pictures import read_metadata, save_picture

SIDES = (160, 320, 640)  # of thumbnails
MOST_SIDE = 4096  # of files for elsewhere
EXPORTS = 6  # of them that are kept for a run
KINDS = {"png": "png", "jpeg": "jpg", "webp": "webp"}  # by what they are asked for


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
    path = run.path / "copies" / f"{_name(source)}-{side}.webp"
    return made_once(
        path, [source], lambda path: write_bytes(path, _small(load_image(source), side))
    )


def exported(run: Run, source: Path, side: int, kind: str) -> Path:
    """A picture of the run as a file for elsewhere, with all that tells how it was made.

    side: of the longer side in pixels, 0 for the picture's own; larger ones by LANCZOS. `kind` is
    one of `KINDS`. The newest `EXPORTS` of a run are kept.
    """
    with open_image(source) as image:
        scale = (side or max(image.size)) / max(image.size)
        width, height = (max(1, round(one * scale)) for one in image.size)
        size = width, height
    name = f"export-{_name(source)}-{max(size)}.{kind}"
    path = run.path / "copies" / name

    def make(path: Path) -> None:
        picture = read_picture(source)
        record = _record(run, source)
        if picture.size != size:
            profile = picture.info.get("icc_profile")
            picture = picture.resize(size, Image.Resampling.LANCZOS)
            picture.info = {"icc_profile": profile} if profile else {}
            record["exported"] = {"size": list(size), "resampling": "lanczos"}
        check()
        save_picture(picture, path, record, str(record.get("prompt", "")))

    made = made_once(path, [source], make)
    _keep_newest(run)
    return made


def _record(run: Run, source: Path) -> dict[str, Any]:
    """The document of a picture; points of the history are written without one."""
    try:
        return read_metadata(source)
    except ImageError:
        node = next((node for node in run.nodes if str(node["node"]) == source.stem), {})
    before = [one for one in run.nodes if one["node"] <= node.get("node", -1)]
    by_hand = [one for one in before if one["kind"] in ("drawn", "prompt")]
    return {
        "version": __version__,
        "config": portable(run.config).to_dict(),
        "prompt": run.config.title,
        "seed": run.config.seed,
        "step": node.get("step", run.step),
        "num_steps": run.num_steps,
        "edits": [{"step": one["step"], "edit": one["kind"]} for one in by_hand],
        "studio": run.origin,
    }


def _keep_newest(run: Run) -> None:
    """Files for elsewhere are large, and made again in seconds."""
    found = []
    for path in run.path.glob("copies/export-*"):
        with suppress(OSError):  # gone since
            found.append((path.stat().st_atime_ns, path))
    for _, path in sorted(found)[:-EXPORTS]:
        path.unlink(missing_ok=True)


def _name(source: Path) -> str:
    return source.stem if source.parent.name == "nodes" else "picture"


def _small(picture: Image.Image, side: int) -> bytes:
    """A WebP of it, not larger than it is."""
    picture.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return encode(picture, "WEBP", quality=82, method=2)


def read_side(text: str) -> int:
    """The side of a thumbnail that is asked for -> the next larger of `SIDES`."""
    asked = read_whole(text, "side", 1, SIDES[-1])
    return next(side for side in SIDES if side >= asked)


def read_whole(text: str, what: str, low: int, high: int) -> int:
    """A whole number of an address, within bounds; else `ConfigError`."""
    if not (text.isascii() and text.isdigit() and low <= int(text[:9]) <= high):
        raise ConfigError(f"{what} is {text!r:.20}; expected a whole number from {low} to {high}")
    return int(text)


__all__ = [
    "KINDS",
    "MOST_SIDE",
    "SIDES",
    "exported",
    "made_once",
    "read_side",
    "read_whole",
    "thumbnail",
]
