"""Pictures that carry the settings they were made with.

A PNG holds them as a JSON document under the key "gouache", with the standard keys "Software" and
"Description" (the prompt) beside it. JPEG and WebP hold the same document in EXIF: UserComment,
Software and ImageDescription. WebP is written lossless. A document too large for the one segment
that a JPEG has for EXIF is in segments of its own.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gouache._version import __version__
from gouache.atomic import atomic_path
from gouache.errors import ImageError, OutputError
from gouache.ops.images import open_image
from gouache.output.documents import dump_json
from gouache.prompts import one_line

KEY = "gouache"
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", "": "PNG"}

_EXIF_SOFTWARE, _EXIF_DESCRIPTION, _EXIF_FOLDER, _EXIF_COMMENT = 0x0131, 0x010E, 0x8769, 0x9286
_COMMENT_ASCII = b"ASCII\0\0\0"  # EXIF's mark of the character code
_MAX_DEPTH = 32
_EXIF_MAX_BYTES = 60_000  # JPEG: one segment of 64 KiB
_SEGMENT = b"gouache\0"  # begins each of ours (APP1), then its number and how many there are
_MOST_SEGMENTS = 255


class TransparencyWarning(UserWarning):
    """A file's format does not hold the picture's transparency."""


def picture_format(path: str | Path) -> str:
    """Pillow's name of the format that `path` asks for by its suffix; PNG without one.

    Raises `OutputError` for any other suffix.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise OutputError(
            f"cannot write {one_line(path)}: no picture format is called {one_line(suffix, 20)}; "
            "use .png, .jpg or .webp"
        )
    return FORMATS[suffix]


def save_picture(
    image_pil: Image.Image,
    path: str | Path,
    metadata: Mapping[str, Any] | None = None,
    description: str = "",
) -> None:
    """Writes a picture atomically in the format of its suffix, with `metadata` in it.

    `metadata` is a document of JSON's types (settings, seed, models, hashes, version, losses...);
    NaN and infinities become null. The same arguments give the same bytes. Raises `OutputError`. A
    JPEG whose document exceeds 15 MB is written without it, with a warning. A
    colour profile in the picture's `info` is written too, and transparency, but in a JPEG, which
    shows the picture on white, with a `TransparencyWarning`.
    """
    name = picture_format(path)
    profile = image_pil.info.get("icc_profile")
    if name == "JPEG" and image_pil.has_transparency_data:
        image_pil = _on_white(image_pil, path)
    options: dict[str, Any]
    if name == "PNG":
        options = {"pnginfo": _png_chunks(metadata, description)}
    else:
        document = b"" if metadata is None else dump_json(metadata, encoding="ascii").encode()
        if name == "WEBP":  # exact: with the colours under what is transparent
            options = {"lossless": True, "exact": True, "exif": _exif(document, description)}
        else:
            fits = len(document) <= _EXIF_MAX_BYTES
            options = {"quality": 95, "subsampling": 0}
            options["exif"] = _exif(document if fits else b"", description)
            options["extra"] = b"" if fits else _segments(document, path)
    if profile:
        options["icc_profile"] = profile
    with atomic_path(path) as temp:
        image_pil.save(temp, name, **options)


def _on_white(image: Image.Image, path: str | Path) -> Image.Image:
    warnings.warn(
        f"JPEG has no transparency: {one_line(path)} shows the picture on white; write a .png to "
        "keep it",
        TransparencyWarning,
        stacklevel=3,
    )
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def read_metadata(path: str | Path) -> dict[str, Any]:
    """The document that `save_picture` put into a PNG, JPEG or WebP.

    Raises `ImageError`: not a picture, or a picture without (or with a damaged) document.
    """
    with open_image(path) as image:
        text = _read_text(image)
    shown = one_line(path)
    if text is None:
        raise ImageError(
            f"{shown} holds no gouache settings: another program made or re-saved it; "
            "give a picture as gouache wrote it"
        )
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or _is_deep(document):
        raise ImageError(f"the gouache settings in {shown} are damaged; give the original picture")
    return document


def _png_chunks(metadata: Mapping[str, Any] | None, description: str) -> PngInfo:
    chunks = PngInfo()
    chunks.add_text("Software", f"gouache {__version__}")
    if description:
        chunks.add_itxt("Description", _clean(description))
    if metadata is not None:
        chunks.add_itxt(KEY, dump_json(metadata))
    return chunks


def _exif(document: bytes, description: str) -> Image.Exif:
    exif = Image.Exif()
    exif[_EXIF_SOFTWARE] = f"gouache {__version__}"
    if description:
        exif[_EXIF_DESCRIPTION] = _clean(description)[:1000].encode()
    if document:
        exif.get_ifd(_EXIF_FOLDER)[_EXIF_COMMENT] = _COMMENT_ASCII + document
    return exif


def _segments(document: bytes, path: str | Path) -> bytes:
    """A large document as segments of a JPEG file; none, with a warning, of one too large."""
    starts = range(0, len(document), _EXIF_MAX_BYTES)
    parts = [document[start : start + _EXIF_MAX_BYTES] for start in starts]
    if len(parts) > _MOST_SEGMENTS:
        warnings.warn(
            f"the settings do not fit into {one_line(path)} and are left out; write a .png to keep "
            "them",
            stacklevel=3,
        )
        return b""
    found = [_SEGMENT + bytes((k, len(parts))) + part for k, part in enumerate(parts)]
    return b"".join(b"\xff\xe1" + (2 + len(one)).to_bytes(2) + one for one in found)


def _joined(image: Image.Image) -> str | None:
    """The document of `_segments`, None where any of it is missing."""
    head = len(_SEGMENT)
    all_of_app1 = [data for name, data in getattr(image, "applist", ()) if name == "APP1"]
    ours = sorted(data for data in all_of_app1 if data.startswith(_SEGMENT))
    if not ours or [data[head] for data in ours] != list(range(ours[0][head + 1])):
        return None
    return b"".join(data[head + 2 :] for data in ours).decode("ascii", "replace")


def _read_text(image: Image.Image) -> str | None:
    if image.format == "PNG":
        if KEY not in image.info:
            image.load()  # other programs move text chunks behind the pixels
        text = image.info.get(KEY)
        return str(text) if text is not None else None
    comment = image.getexif().get_ifd(_EXIF_FOLDER).get(_EXIF_COMMENT)
    if not isinstance(comment, bytes) or not comment.startswith(_COMMENT_ASCII + b"{"):
        return _joined(image)
    return comment.removeprefix(_COMMENT_ASCII).decode("ascii", "replace")


def _clean(text: str) -> str:
    """Without NUL and lone surrogates, which text chunks cannot hold."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _is_deep(document: Any) -> bool:
    """Deeper than anything we write; whoever walks through it may do so without counting."""
    level: list[Any] = [document]
    for _ in range(_MAX_DEPTH):
        inner = [one.values() if isinstance(one, dict) else one for one in level]
        level = [value for values in inner for value in values if isinstance(value, (dict, list))]
        if not level:
            return False
    return True


__all__ = ["FORMATS", "KEY", "dump_json", "picture_format", "read_metadata", "save_picture"]
