"""Pictures in a labelled grid, as a figure in print shows them."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from gouache.errors import ImageError
from gouache.ops.images import fit

GAP = 6
INK = "black"
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def sheet(
    pictures: Sequence[Sequence[Image.Image | None]],
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    captions: Sequence[Sequence[str]] = (),
    title: str = "",
) -> Image.Image:
    """A grid on white: headings of rows at the left, of columns on top, captions below cells.

    Pictures of other sizes than the largest are fitted to it; None leaves a cell empty. Text is
    wrapped to the cell's width. Raises `ImageError` without a picture or where headings do not
    match the grid.
    """
    sizes = [one.size for line in pictures for one in line if one is not None]
    if not sizes:
        raise ImageError("a figure needs at least one picture, got none")
    cell = max(sizes, key=lambda size: size[0] * size[1])
    width = max(len(line) for line in pictures)
    for name, texts, number in (("rows", rows, len(pictures)), ("columns", columns, width)):
        if texts and len(texts) != number:
            raise ImageError(f"got {len(texts)} headings for {number} {name}; give one each")
    cell_width, cell_height = cell
    size = max(10, min(22, cell_width // 11))
    font = ImageFont.load_default(size)
    line_height = size * 4 // 3
    side = 0
    if any(rows):
        side = max(cell_width * 3 // 4, 8 * size)
    beside = [wrap(text, side - GAP, font) for text in rows] if side else []
    above = [wrap(text, cell_width, font) for text in columns]
    below = [[wrap(text, cell_width, font) for text in line] for line in captions]
    head = max((len(lines) for lines in above), default=0) * line_height
    foot = [max((len(lines) for lines in line), default=0) * line_height for line in below]
    top = (line_height + GAP if title else 0) + GAP
    heights = [cell_height + (foot[r] if below else 0) + GAP for r in range(len(pictures))]
    total_width = GAP + side + width * (cell_width + GAP)
    if title:
        total_width = max(total_width, round(_length(title, font)) + 2 * GAP)
    page = Image.new(
        "RGB", (total_width, top + (head + GAP if head else 0) + sum(heights)), "white"
    )
    draw = ImageDraw.Draw(page)
    if title:
        draw.text((GAP, GAP // 2), title, INK, font)
    for column, lines in enumerate(above):
        x = GAP + side + column * (cell_width + GAP)
        _write(draw, x, top + head - len(lines) * line_height, lines, line_height, font)
    y = top + (head + GAP if head else 0)
    for row, line in enumerate(pictures):
        if side:
            space = (cell_height - len(beside[row]) * line_height) // 2
            _write(draw, GAP, y + max(0, space), beside[row], line_height, font)
        for column, picture in enumerate(line):
            x = GAP + side + column * (cell_width + GAP)
            if picture is not None:
                page.paste(fit(picture.convert("RGB"), cell), (x, y))
            if below and column < len(below[row]):
                _write(draw, x, y + cell_height, below[row][column], line_height, font)
        y += heights[row]
    return page


def wrap(text: str, width: int, font: Font) -> list[str]:
    """Lines of at most `width` pixels; a word that is longer is broken."""
    lines: list[str] = []
    for word in text.split():
        if lines and _length(f"{lines[-1]} {word}", font) <= width:
            lines[-1] = f"{lines[-1]} {word}"
            continue
        while _length(word, font) > width and len(word) > 1:
            cut = next(
                k for k in range(len(word) - 1, 0, -1) if k == 1 or _length(word[:k], font) <= width
            )
            lines.append(word[:cut])
            word = word[cut:]
        lines.append(word)
    return lines


def _length(text: str, font: Font) -> float:
    return float(font.getlength(_drawable(text, font)))


def _drawable(text: str, font: Font) -> str:
    if isinstance(font, ImageFont.FreeTypeFont):
        return text
    return text.encode("latin-1", "replace").decode("latin-1")  # Pillow without FreeType


def _write(
    draw: ImageDraw.ImageDraw, x: int, y: int, lines: Sequence[str], line_height: int, font: Font
) -> None:
    for number, line in enumerate(lines):
        draw.text((x, y + number * line_height), _drawable(line, font), INK, font)


__all__ = ["sheet", "wrap"]
