"""Pictures that visitors sent: checked, written as PNG, seen by whoever sent them only."""

from __future__ import annotations

import io
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from gouache.apps.studio.orders import Limits
from gouache.atomic import atomic_path
from gouache.errors import ConfigError, ImageError
from gouache.ops.images import read_picture
from gouache.output.png import save_picture

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


class Uploads:
    """The folder of uploaded pictures, one folder a visitor inside it."""

    def __init__(self, root: Path, limits: Limits) -> None:
        self._root = root / "images"
        self._limits = limits

    def add(self, data: bytes, owner: str) -> tuple[str, Picture]:
        """Any common picture file -> its id and what it shows; `ImageError` for anything else."""
        folder = self._root / owner
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(folder / "incoming") as temporary:
            temporary.write_bytes(data)
            try:
                picture = read_picture(temporary)  # transparency may be a mask
            except ImageError as error:
                # Whoever sent it knows no file of ours.
                reason = str(error).replace(str(temporary), "the upload")
                raise ImageError(reason) from None
        return self.keep(picture, owner), picture

    def keep(self, picture: Picture, owner: str) -> str:
        """Writes a picture and gives its id."""
        folder = self._root / owner
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "incoming").unlink(missing_ok=True)
        kept = sorted(folder.glob("*.png"), key=lambda path: path.stat().st_mtime)
        for path in kept[: max(0, len(kept) - self._limits.uploads + 1)]:
            path.unlink(missing_ok=True)  # the oldest make room
        name = secrets.token_hex(16)
        save_picture(picture, folder / f"{name}.png", None, "")
        return name

    def path(self, name: str, owner: str) -> Path:
        """The file of an upload; `ConfigError` if this visitor has none of that id."""
        path = self._root / owner / f"{name}.png"
        if not path.exists():
            raise ConfigError(f"there is no uploaded picture {name}; send it again")
        return path


def check_strokes(data: bytes) -> bytes:
    """What was drawn, as PNG with alpha; `ImageError` if it is anything else."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            if max(picture.size) > 4096:
                raise ImageError(f"the drawing is {picture.size}; at most 4096 pixels a side")
            picture.load()
            if picture.mode == "RGB":
                raise ImageError("the drawing has no transparency; send PNG with alpha")
    except ImageError:
        raise
    except Exception:  # damage shows in many ways
        raise ImageError("the drawing is not a whole PNG picture; send it again") from None
    return data


__all__ = ["Uploads", "check_strokes"]
