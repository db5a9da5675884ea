"""Contact sheets of a sweep: one picture with headings, and one page that is complete in itself."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from gouache.atomic import write_bytes
from gouache.figures.sheet import sheet
from gouache.ops.images import load_image
from gouache.output.pictures import save_picture
from gouache.sweeps.folder import Row, rows_by
from gouache.sweeps.ranking import Standing, label

MOST = 2000  # pictures of a sheet or a page
_SIDES = ((64, 256), (400, 128), (MOST, 64))  # of pictures on a sheet of at most so many
_PAGE_SIDE = 256
_PAGE = Path(__file__).with_name("page.html")


def draw_sheet(folder: Path, rows: Sequence[Row], axes: Sequence[str]) -> Path:
    """Writes sheet.png: a column for each value of the last axis that varies, or for each seed.

    Rows are what is left; what does not vary is not said. At most `MOST` pictures.
    """
    rows = rows[:MOST]
    side = next(side for most, side in _SIDES if len(rows) <= most)
    varying = [name for name in ("prompt", *axes, "seed") if len(rows_by(rows, name)) > 1]
    across = next((name for name in reversed(varying) if name not in ("prompt", "seed")), "")
    across = across or ("seed" if "seed" in varying else "prompt")
    down = [name for name in varying if name != across]
    columns = [values[0] for values in rows_by(rows, across)]
    grid: list[list[Image.Image | None]] = []
    headings = []
    for values, own in rows_by(rows, *down).items():
        placed = {place[0]: found[0] for place, found in rows_by(own, across).items()}
        grid.append([_small(folder, placed.get(column), side) for column in columns])
        headings.append(_heading(dict(zip(down, values, strict=True))))
    names = [_heading({across: column}) for column in columns]
    path = folder / "sheet.png"
    save_picture(sheet(grid, headings if any(headings) else (), names), path)
    return path


def _heading(named: Mapping[str, str]) -> str:
    prompt = [named["prompt"]] if "prompt" in named else []
    others = {name: value for name, value in named.items() if name != "prompt"}
    return "; ".join([*prompt, *([label(others)] if others else [])])


def _small(folder: Path, row: Row | None, side: int) -> Image.Image | None:
    if row is None:
        return None
    picture = load_image(folder / row.picture)
    picture.thumbnail((side, side))
    return picture


def write_page(
    folder: Path,
    rows: Sequence[Row],
    axes: Sequence[str],
    scores: Mapping[str, Mapping[str, float]],
    standings: Sequence[Standing] = (),
) -> Path:
    """Writes index.html: all pictures small, sorted and filtered there; it needs no other file.

    A click shows a picture as it is, where the page still lies beside `cells/`. At most `MOST`.
    """
    told: list[dict[str, Any]] = []
    for row in rows[:MOST]:
        told.append(
            {
                "prompt": row.prompt,
                "seed": row.seed,
                "varies": [row.varies.get(name, "") for name in axes],
                "scores": [scores[judge].get(row.name) for judge in scores],
                "seconds": row.seconds,
                "picture": row.picture,
                "small": _data(folder / row.picture),
            }
        )
    table = [one.told() for one in standings]
    document = {"axes": list(axes), "judges": list(scores), "cells": told, "standings": table}
    # What would end the script or begin a comment cannot be in it.
    data = json.dumps(document, ensure_ascii=True).replace("<", "\\u003c")
    path = folder / "index.html"
    page = _PAGE.read_text(encoding="utf-8").replace("{{DATA}}", data)
    write_bytes(path, page.encode())
    return path


def _data(path: Path) -> str:
    picture = load_image(path)
    picture.thumbnail((_PAGE_SIDE, _PAGE_SIDE))
    data = io.BytesIO()
    picture.convert("RGB").save(data, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()


__all__ = ["MOST", "draw_sheet", "write_page"]
