"""Pictures that visitors sent: checked, made small enough, written anew, their owner's only."""

from __future__ import annotations

import io
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from gouache.apps.studio.orders import Limits
from gouache.apps.studio.owners import may_see, settled_owner
from gouache.atomic import TEMP_PREFIX, output_errors, remove_leftovers, write_bytes
from gouache.errors import ConfigError, ImageError, OutputError
from gouache.ops.allocator import give_back
from gouache.ops.images import encode, open_image, read_picture
from gouache.output.pictures import read_metadata

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

DECODINGS = 2  # at a time: each may hold a whole picture
_LARGE = 4 * 2**20  # pixels whose memory is worth giving back to the system at once
_SUFFIXES = (".png", ".jpg")
_ORIENTATION = 0x0112  # in EXIF
_LOSSY = ("JPEG", "MPO")
# ICO is left out: it may hold a picture of another size than it says.
_FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "TIFF", "BMP", "PPM", "AVIF", "QOI")
_decoding = threading.BoundedSemaphore(DECODINGS)


class TooLargeError(ConfigError):
    """More bytes or pixels than are taken."""


class Uploads:
    """The folder of uploaded pictures, one folder a visitor inside it."""

    def __init__(self, root: Path, limits: Limits) -> None:
        self._root = root / "images"
        self._limits = limits
        self._writing = threading.Lock()  # so that two do not use the same free space
        for folder in self._root.glob("*"):
            remove_leftovers(folder)

    def add(self, data: bytes, owner: str) -> tuple[str, Picture]:
        """Any common picture file -> its id and what was kept of it.

        A picture with more pixels than painting can use is kept smaller. `ImageError` for anything
        that is no picture, `TooLargeError` for one that has too many pixels to be read.
        """
        with self._incoming(data, owner) as path:
            picture, lossy = self._read(path)
        return self._write(picture, owner, ".jpg" if lossy else ".png"), picture

    def picture(self, data: bytes, owner: str) -> Picture:
        """A picture file as `add` would keep it; nothing is kept."""
        with self._incoming(data, owner) as path:
            return self._read(path)[0]

    def document(self, data: bytes, owner: str) -> dict[str, Any]:
        """What gouache wrote into a picture file (`read_metadata`); nothing is kept."""
        with self._incoming(data, owner) as path:
            with open_image(path) as image:
                self._check_pixels(image.format or "", image.mode, *image.size)
            return read_metadata(path)

    def keep(self, picture: Picture, owner: str) -> str:
        """Writes a picture and gives its id."""
        return self._write(picture, owner, ".png")

    def path(self, name: str, owner: str) -> Path:
        """The file of an upload; `ConfigError` if this visitor has none of that id."""
        for folder in self._root.glob("*"):
            # Older versions named folders by the visitor's cookie.
            if may_see(owner, settled_owner(folder.name)):
                for suffix in _SUFFIXES:
                    if (path := folder / f"{name}{suffix}").exists():
                        return path
        raise ConfigError(f"there is no uploaded picture {name}; send it again")

    @contextmanager
    def _incoming(self, data: bytes, owner: str) -> Iterator[Path]:
        """A file that was sent, while it is looked at."""
        path = self._folder(owner) / f"{TEMP_PREFIX}{secrets.token_hex(6)}"
        try:
            with output_errors(path):
                path.write_bytes(data)
            with _decoding:
                yield path
        except ImageError as error:
            # Whoever sent it knows no file of ours.
            raise ImageError(str(error).replace(str(path), "the upload")) from None
        finally:
            path.unlink(missing_ok=True)

    def _read(self, path: Path) -> tuple[Picture, bool]:
        """The picture as painting can use it, and whether its file was lossy already."""
        with open_image(path) as image:
            kind, (width, height) = image.format or "", image.size
            if kind not in _FORMATS:
                raise ImageError(f"the upload is {kind}; send a PNG, JPEG, WebP, GIF, TIFF or BMP")
            self._check_pixels(kind, image.mode, width, height)
            most = 4 * self._limits.pixels  # a margin for cropping and for fine masks
            scale = sqrt(most / (width * height))
            small = max(1, int(width * scale)), max(1, int(height * scale))
            if scale < 1:
                _shrink(image, small, path)
        # The one place that knows what transparency, depth, profiles and rotation mean.
        picture = read_picture(path)  # transparency may be a mask, so it stays
        if width * height >= _LARGE:
            give_back()
        return picture, kind in _LOSSY and picture.mode == "RGB"

    def _check_pixels(self, kind: str, mode: str, width: int, height: int) -> None:
        most = self._limits.upload_pixels
        if kind in _LOSSY:
            return  # decoded at an eighth, a quarter or a half where it is large
        if mode.startswith(("I", "F")):
            most //= 4  # four times as much memory for each pixel
        if width * height > most:
            raise TooLargeError(
                f"the upload is {width}x{height}; at most {most:,} pixels of such a file are read "
                "here; shrink it, or send it as JPEG"
            )

    def _write(self, picture: Picture, owner: str, suffix: str) -> str:
        folder, name = self._folder(owner), secrets.token_hex(16)
        # A photograph kept as PNG would take ten times its bytes.
        data = encode(picture, "JPEG", quality=95) if suffix == ".jpg" else encode(picture)
        with self._writing:
            self._make_room(folder, len(data))
            write_bytes(folder / f"{name}{suffix}", data)
        return name

    def _make_room(self, folder: Path, size: int) -> None:
        """Lets the visitor's oldest go; refuses what does not fit all the same."""
        limits = self._limits
        kept = sorted(_sizes(folder).items(), key=lambda item: item[1][1])
        if size > limits.upload_space:
            raise TooLargeError(
                f"the picture takes {size:,} bytes; one visitor has {limits.upload_space:,}"
            )
        folders = [other for other in self._root.glob("*") if other != folder]
        others = sum(one for other in folders for one, _ in _sizes(other).values())
        if others + size > limits.upload_space_of_all:
            raise OutputError(
                f"all pictures of this studio take {limits.upload_space_of_all:,} bytes already; "
                "its owner can make room"
            )
        room = min(limits.upload_space, limits.upload_space_of_all - others) - size
        used = sum(one for _, (one, _) in kept)
        while kept and (len(kept) >= limits.uploads or used > room):
            path, (one, _) = kept.pop(0)
            path.unlink(missing_ok=True)
            used -= one

    def _folder(self, owner: str) -> Path:
        folder = self._root / owner
        with output_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder


def read_strokes(data: bytes, size: tuple[int, int]) -> bytes:
    """What was drawn, as a PNG with alpha of `size`; `ImageError` if it is anything else."""
    try:
        with _decoding, Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            if max(picture.size) > 4096:
                raise ImageError(f"the drawing is {picture.size}; at most 4096 pixels a side")
            picture.load()
            if not picture.has_transparency_data:
                raise ImageError("the drawing has no transparency; send PNG with alpha")
            return _layer(picture.convert("RGBA"), size)
    except ImageError:
        raise
    except Exception:  # damage shows in many ways
        raise ImageError("the drawing is not a whole PNG picture; send it again") from None


def lay_together(layers: Sequence[bytes]) -> bytes:
    """Strokes that were drawn one after the other, of one size, as one layer."""
    with _decoding:
        below = _opened(layers[0])
        for layer in layers[1:]:
            below = Image.alpha_composite(below, _opened(layer))
        return _layer(below, below.size)


def _layer(picture: Picture, size: tuple[int, int]) -> bytes:
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return encode(picture, "PNG", compress_level=1)


def _opened(layer: bytes) -> Picture:
    return Image.open(io.BytesIO(layer), formats=["PNG"]).convert("RGBA")


def _shrink(image: Picture, size: tuple[int, int], path: Path) -> None:
    """Writes a smaller picture over its file; rotation, profile and transparency stay in it."""
    turned = image.getexif().get(_ORIENTATION, 1)
    image.draft(None, size)  # a JPEG is scaled while it is decoded
    image.load()
    if "transparency" in image.info or image.mode in ("P", "PA"):
        image = image.convert("RGBA")  # colours of a palette cannot be mixed
    elif image.mode == "1" or image.mode.startswith("I;"):
        image = image.convert("L" if image.mode == "1" else "I")
    image.thumbnail(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    exif = Image.Exif()
    exif[_ORIENTATION] = turned if turned in range(1, 9) else 1
    profile = image.info.get("icc_profile")
    with output_errors(path):
        image.save(path, "TIFF", exif=exif, icc_profile=profile)  # knows every mode


def _sizes(folder: Path) -> dict[Path, tuple[int, float]]:
    """Bytes and time of each kept picture."""
    found = {}
    for suffix in _SUFFIXES:
        for path in folder.glob(f"*{suffix}"):
            with suppress(OSError):  # gone since
                status = path.stat()
                found[path] = status.st_size, status.st_mtime
    return found


__all__ = ["DECODINGS", "TooLargeError", "Uploads", "lay_together", "read_strokes"]
