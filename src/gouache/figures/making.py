"""Runs a recipe: single pictures, one labelled grid, and a record of everything.

    OUT/01-castle-at-night.png ...   single pictures, with their settings inside
    OUT/grid.png                     all of them, labelled
    OUT/figure.json                  settings, seeds, times, scores

A picture is recorded as soon as it is finished. What was finished is used again where everything
that decided it is still the same and its file is untouched; anything else is painted. A file that
the record does not know as it is (retouched, or somebody's own) is kept under another name.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL.Image import Image

from gouache._version import __version__
from gouache.atomic import output_errors, write_bytes
from gouache.errors import ConfigError, ImageError, OutputError
from gouache.figures.painters import Painters
from gouache.figures.recipe import OURS, Cell, Order, Recipe
from gouache.figures.sheet import sheet
from gouache.figures.table import table_of
from gouache.inputs import file_sha256, portable_model
from gouache.ops.images import load_image
from gouache.output.pictures import dump_json, save_picture
from gouache.prompts import one_line
from gouache.reserve import endings, only_writer

FORMAT = 1
GRID, TABLE = "grid", "table"


@dataclass(frozen=True)
class Made:
    """What a recipe wrote."""

    grid: Path
    table: Path
    record: Path
    pictures: tuple[Path, ...]
    painted: int  # of the pictures; the others were there already or are the same


def make(
    recipe: Recipe,
    order: Order,
    painters: Painters,
    out: Path,
    seeds: Sequence[int] = (0,),
    tell: Callable[[str], object] = lambda line: None,
) -> Made:
    """Paints what is missing of a figure into the folder `out`, with its grid and a table of scores
    and seconds.

    Raises `OutputError` if the folder cannot be written, is being written to by another process, or
    holds another figure; and what painting raises. Whatever stops it, what was finished stays.
    """
    cells = recipe.cells(order)
    if not seeds or len(set(seeds)) != len(seeds):
        raise ConfigError("give at least one seed, each once: 0,1,2")
    jobs = _jobs(cells, seeds, recipe.captions)
    about = {
        "figure": recipe.name,
        "title": recipe.title,
        "world": order.world,
        "version": __version__,
        "judge": portable_model(painters.judge_name) or None,
        "tries_of_other_systems": painters.tries,
    }
    with only_writer(out, "choose another folder"):
        folder = _Folder(out, about, tell)
        before = folder.before
        entries: list[dict[str, Any]] = []
        pictures: dict[tuple[int, int], Image] = {}
        keys: dict[tuple[int, int], str] = {}
        painted = 0
        for number, (index, seed) in enumerate(jobs, 1):
            cell = cells[index]
            origin = _source(cells, index)
            tells = painters.tells(cell, seed) | {"format": FORMAT}
            if origin is not None:
                tells["source"] = keys[origin, seed]
            key = hashlib.sha256(dump_json(tells).encode()).hexdigest()
            keys[index, seed] = key
            entry = before.get(key)
            picture = None if entry is None else folder.finished(entry)
            if entry is None or picture is None:
                tell(f"figure {recipe.name}: {number} of {len(jobs)}: {_named(cell, seed)}")
                source = None if origin is None else pictures[origin, seed]
                done = painters.paint(cell, seed, source)
                used = {one["file"] for one in entries}
                file = folder.place(f"{number:02}-{_slug(cell)}-{seed}", used)
                save_picture(done.picture, file, done.record, cell.prompt)
                entry = {
                    "key": key,
                    "seed": seed,
                    "scores": done.scores,
                    "seconds": done.seconds,
                    "tells": tells,
                    "file": file.name,
                    "sha256": file_sha256(file),
                }
                folder.owned[file.name] = entry["sha256"]
                picture, painted = load_image(file), painted + 1
                before[key] = entry  # cells that are the same (a style alone) are painted once
            # Headings are no part of what decides a picture.
            entry = {**entry, "row": cell.row, "column": cell.column, "prompt": cell.prompt}
            pictures[index, seed] = picture
            entries.append(entry)
            # What an interrupted call has not come to yet stays known.
            kept = [one for known, one in before.items() if known not in set(keys.values())]
            folder.write([*entries, *kept], folder.grids)
        grid = folder.place(GRID)
        save_picture(_draw(recipe, cells, seeds, jobs, pictures), grid)
        table = folder.place(TABLE, suffix=".md")
        write_bytes(table, table_of(entries, painters.tries).encode())
        folder.write(entries, {place.name: file_sha256(place) for place in (grid, table)})
    files = tuple(out / entry["file"] for entry in entries)
    return Made(grid, table, out / "figure.json", files, painted)


def _jobs(cells: Sequence[Cell], seeds: Sequence[int], captions: bool) -> list[tuple[int, int]]:
    """(cell, seed) in the order of the grid: seed by seed, or within a grid row by row."""
    if captions:
        return [(index, seed) for seed in seeds for index in range(len(cells))]
    rows = list(dict.fromkeys(cell.row for cell in cells))
    return [
        (index, seed)
        for row in rows
        for seed in seeds
        for index, cell in enumerate(cells)
        if cell.row == row
    ]


def _source(cells: Sequence[Cell], index: int) -> int | None:
    cell = cells[index]
    if cell.change is None:
        return None
    for number, other in enumerate(cells[:index]):
        if other.row == cell.row and other.column == cell.source:
            return number
    raise ConfigError(f"no picture called {cell.source!r} comes before {cell.column!r} in its row")


def _draw(
    recipe: Recipe,
    cells: Sequence[Cell],
    seeds: Sequence[int],
    jobs: Sequence[tuple[int, int]],
    pictures: Mapping[tuple[int, int], Image],
) -> Image:
    several = len(seeds) > 1
    title = f"Figure {recipe.name}: {recipe.title}" if recipe.name.isdigit() else recipe.title
    if recipe.captions:
        painters = {cell.system for cell in cells}
        texts = []
        for index, seed in jobs:
            notes = [cells[index].system] if len(painters) > 1 else []
            notes += [f"seed {seed}"] if several else []
            note = f" ({', '.join(notes)})" if notes else ""
            texts.append(cells[index].prompt + note)
        width = min(recipe.columns, len(jobs))
        places = range(0, len(jobs), width)
        return sheet(
            [[pictures[job] for job in jobs[k : k + width]] for k in places],
            captions=[texts[k : k + width] for k in places],
            title=title,
        )
    rows = list(dict.fromkeys(cell.row for cell in cells))
    # Where each row has headings of its own (titles by artists do not), they stay with the row.
    columns = list(dict.fromkeys(cell.column for cell in cells))
    grid: list[list[Image | None]] = []
    names = []
    for row in rows:
        for seed in seeds:
            placed = {
                cell.column: pictures[index, seed]
                for index, cell in enumerate(cells)
                if cell.row == row
            }
            grid.append([placed.get(column) for column in columns])
            names.append(f"{row} (seed {seed})" if several else row)
    return sheet(grid, names, columns, title=title)


def _named(cell: Cell, seed: int) -> str:
    parts = [cell.row, cell.column] if cell.row or cell.column else [cell.prompt]
    who = [] if cell.system in (OURS, cell.row) else [cell.system]
    return one_line(", ".join([*dict.fromkeys(filter(None, parts)), *who, f"seed {seed}"]))


def _slug(cell: Cell) -> str:
    parts = [cell.row, cell.column] if cell.row or cell.column else [cell.prompt]
    plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in "-".join(parts).lower())
    return "-".join(part for part in plain.split("-") if part)[:60].strip("-") or "picture"


class _Folder:
    """A figure's folder: what its record tells, and the sums of the files that are as written.

    before: pictures by key; nothing where there is no record or it is damaged.
    """

    def __init__(self, out: Path, about: Mapping[str, Any], tell: Callable[[str], object]) -> None:
        self.out, self._about, self._tell = out, about, tell
        self._record = out / "figure.json"
        self.before: dict[str, dict[str, Any]] = {}
        self.owned: dict[str, str] = {}
        if not self._record.exists():
            return
        try:
            document = json.loads(self._record.read_text(encoding="utf-8"))
            name, entries = document["figure"], document["pictures"]
            found = {str(entry["key"]): dict(entry) for entry in entries}
            owned = {str(entry["file"]): str(entry["sha256"]) for entry in entries}
            owned |= {str(name): str(value) for name, value in document.get("grid", {}).items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return
        if name != about["figure"]:
            raise OutputError(
                f"{one_line(out)} holds figure {name!s:.20}, not {about['figure']}; choose another "
                "folder"
            )
        self.before, self.owned = found, owned

    @property
    def grids(self) -> dict[str, str]:
        return {name: value for name, value in self.owned.items() if name.startswith((GRID, TABLE))}

    def finished(self, entry: Mapping[str, Any]) -> Image | None:
        """The picture of an entry, if its file is there as it was written."""
        file = self.out / str(entry.get("file"))
        try:
            if file.parent != self.out or file_sha256(file) != entry.get("sha256"):
                return None
            return load_image(file)
        except (OSError, ImageError):
            return None

    def place(self, stem: str, used: Collection[str] = (), suffix: str = ".png") -> Path:
        """Where a file goes. What is there and is not as we wrote it gets another name first."""
        names = (self.out / f"{stem}{ending}{suffix}" for ending in endings())
        place = next(path for path in names if path.name not in used)
        ours = place.is_file() and file_sha256(place) == self.owned.get(place.name)
        if os.path.lexists(place) and not ours:
            free = next(p for p in names if p.name not in used and not os.path.lexists(p))
            with output_errors(place):
                place.rename(free)
            self._tell(f"{one_line(place)} is not as it was written; it is now {free.name}")
        return place

    def write(self, entries: Sequence[Any], grids: Mapping[str, str]) -> None:
        document = {**self._about, "pictures": list(entries), "grid": dict(grids)}
        write_bytes(self._record, (dump_json(document, indent=1) + "\n").encode())


__all__ = ["Made", "make"]
