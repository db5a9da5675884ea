"""The picture in the terminal while it is painted (`--preview`).

Terminals that show pictures get pictures: kitty's graphics protocol (kitty, Ghostty), iTerm2's
inline images (iTerm2, WezTerm). All others get half blocks, two pixels a character, in 24-bit or
256 colours.
"""

from __future__ import annotations

import base64
import math
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, TextIO

from PIL import Image

from gouache.apps.printing import describe
from gouache.ops.images import encode, together
from gouache.protocols import Step

PER_SECOND = 4.0  # frames; more would cost steps
MAX_COLUMNS = 96
_CHUNK = 4096  # bytes of one piece of kitty's protocol
_UPPER_HALF = "\u2580"


def protocol(environment: Mapping[str, str]) -> str:
    """kitty, iterm, blocks (24-bit colours) or blocks256, by what the terminal says of itself."""
    program = environment.get("TERM_PROGRAM", "")
    term = environment.get("TERM", "")
    direct = not environment.get("TMUX") and not term.startswith(("screen", "tmux"))
    if direct and ("KITTY_WINDOW_ID" in environment or "kitty" in term or program == "ghostty"):
        return "kitty"
    if direct and program in ("iTerm.app", "WezTerm"):
        return "iterm"
    known = environment.get("COLORTERM", "") in ("truecolor", "24bit")
    return "blocks" if known or "direct" in term else "blocks256"


def can_show(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the stream's encoding has what the terminal's protocol needs."""
    if not protocol(environment).startswith("blocks"):
        return True  # ASCII
    try:
        _UPPER_HALF.encode(stream.encoding or "ascii")
    except (LookupError, UnicodeError):
        return False
    return True


def cells(size: tuple[int, int], columns: int, lines: int) -> tuple[int, int]:
    """Columns and rows for a picture of `size`, of cells that are twice as high as wide."""
    width, height = size
    columns, lines = max(2, min(columns - 1, MAX_COLUMNS)), max(1, lines - 2)
    rows = max(1, round(columns * height / width / 2))
    if rows > lines:
        rows, columns = lines, max(2, min(columns, round(lines * 2 * width / height)))
    return columns, rows


def half_blocks(picture: Image.Image, columns: int, rows: int, *, full: bool) -> list[str]:
    """One string a row: the upper pixel is the letter's colour, the lower one its background's."""
    small = picture.convert("RGB").resize((columns, rows * 2), Image.Resampling.LANCZOS)
    color = _full if full else _of_256
    pixels = small.load()
    assert pixels is not None
    out = []
    for row in range(rows):
        line, before = [], ""
        for column in range(columns):
            upper: Any = pixels[column, 2 * row]
            lower: Any = pixels[column, 2 * row + 1]
            code = f"\x1b[38;{color(upper)};48;{color(lower)}m"
            line.append(_UPPER_HALF if code == before else code + _UPPER_HALF)
            before = code
        out.append("".join(line) + "\x1b[0m")
    return out


def _full(pixel: tuple[int, int, int]) -> str:
    return "2;{};{};{}".format(*pixel)


def _of_256(pixel: tuple[int, int, int]) -> str:
    """The nearest of the 6x6x6 colours, or of the 24 greys where that is nearer."""
    levels = (0, 95, 135, 175, 215, 255)
    cube = [min(range(6), key=lambda k: abs(levels[k] - value)) for value in pixel]
    grey = min(23, max(0, round((sum(pixel) / 3 - 8) / 10)))
    far = sum((levels[k] - value) ** 2 for k, value in zip(cube, pixel, strict=True))
    if sum((8 + 10 * grey - value) ** 2 for value in pixel) < far:
        return f"5;{232 + grey}"
    return f"5;{16 + 36 * cube[0] + 6 * cube[1] + cube[2]}"


def kitty(picture: Image.Image, columns: int, rows: int) -> str:
    """Replaces picture 1 of the terminal; the cursor stays where it is."""
    data = base64.b64encode(encode(picture, compress_level=1)).decode()
    pieces = [data[k : k + _CHUNK] for k in range(0, len(data), _CHUNK)]
    return "".join(_kitty_pieces(pieces, columns, rows))


def _kitty_pieces(pieces: list[str], columns: int, rows: int) -> Iterator[str]:
    for number, piece in enumerate(pieces):
        more = int(number + 1 < len(pieces))
        first = f"a=T,f=100,i=1,p=1,q=2,C=1,c={columns},r={rows}," if number == 0 else ""
        yield f"\x1b_G{first}m={more};{piece}\x1b\\"


def iterm(picture: Image.Image, columns: int, rows: int) -> str:
    """An inline image; the cursor may move, so it is put back by whoever prints it."""
    data = base64.b64encode(encode(picture, compress_level=1)).decode()
    how = f"inline=1;width={columns};height={rows};preserveAspectRatio=0"
    return f"\x1b7\x1b]1337;File={how}:{data}\x07\x1b8"


class Preview(AbstractContextManager["Preview"]):
    """Draws the newest picture in place, and a line on how far it is."""

    def __init__(
        self,
        stream: TextIO | None = None,
        environment: Mapping[str, str] = os.environ,
        size: tuple[int, int] | None = None,
        unit: str = "step",
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._protocol = protocol(environment)
        self._size, self._unit = size, unit
        self._begun = self._first = 0.0
        self._drawn = -math.inf
        self._painting = False
        self._rows = 0  # of what is drawn now; the cursor is on the line under it

    def __exit__(self, *exception: object) -> None:
        if self._rows:
            self._stream.write("\n")
            self._stream.flush()

    def sketch(self, step: Step) -> None:
        now = time.monotonic()
        if now - self._drawn >= 1 / PER_SECOND:
            self._draw(step, f"sketch {step.index + 1}/{step.num_steps}  {describe(step)}", now)

    def inside(self, done: int, total: int) -> None:
        return None

    def show(self, step: Step) -> None:
        now = time.monotonic()
        last = step.index + 1 == step.num_steps
        if not self._painting:
            self._painting = True
            self._begun, self._first = now, step.index
        elif now - self._drawn < 1 / PER_SECOND and not last:
            return
        left = (step.num_steps - step.index - 1) * (now - self._begun)
        left /= max(1, step.index - self._first)
        told = (
            f"{self._unit} {step.index + 1}/{step.num_steps}  {describe(step)}  {left:.0f} s left"
        )
        self._draw(step, told, now)

    def _draw(self, step: Step, told: str, now: float) -> None:
        self._drawn = now
        self._stream.write(self._frame(together(step.to_pil()), told))
        self._stream.flush()

    def _frame(self, picture: Image.Image, told: str) -> str:
        terminal = self._size or shutil.get_terminal_size()
        columns, rows = cells(picture.size, *terminal)
        back = f"\r\x1b[{self._rows}A" if self._rows else ""
        clear = "\x1b[J" if self._rows and self._rows != rows else ""  # the window was resized
        first, self._rows = self._rows != rows, rows
        status = f"\x1b[2K{told[: terminal[0] - 1]}"
        if self._protocol.startswith("blocks"):
            full = self._protocol == "blocks"
            lines = half_blocks(picture, columns, rows, full=full)
            return back + clear + "".join(f"{line}\n" for line in lines) + status
        # Room first, as a picture at the bottom of the window would scroll it.
        room = "\n" * rows + f"\x1b[{rows}A" if first else ""
        draw = kitty if self._protocol == "kitty" else iterm
        return back + clear + room + draw(picture, columns, rows) + f"\x1b[{rows}B\r" + status


__all__ = ["Preview", "can_show", "cells", "half_blocks", "iterm", "kitty", "protocol"]
