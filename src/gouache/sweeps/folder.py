"""A sweep's folder, which is the truth about it: a cell is finished when its picture is there.

    DIR/cells/NAME.png     one picture for each cell, with its settings inside
    DIR/results.csv        one row for each cell
    DIR/sweep.json         the order of prompts, settings and seeds, for rows and sheets
    DIR/scores.json        what judges said, by judge and cell (`gouache sweep rank`)

Pictures are written whole or not at all, and everything else can be made of them again.
"""

from __future__ import annotations

import csv
import functools
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from gouache._version import __version__
from gouache.atomic import output_errors, remove_leftovers, write_bytes
from gouache.errors import ConfigError, GouacheError, ImageError, OutputError
from gouache.output.documents import dump_json
from gouache.output.pictures import read_metadata
from gouache.prompts import one_line
from gouache.reserve import only_writer
from gouache.settings.codec import Setting
from gouache.settings.config import flatten, settings
from gouache.sweeps.cells import Cell
from gouache.sweeps.painting import KEY, Painted

CELLS = "cells"
_UNTOLD = ("prompt", "seed", "count", "device")  # what no column of its own tells
_END = b"IEND\xaeB`\x82"  # of each whole PNG


@dataclass(frozen=True)
class Row:
    """A cell as results.csv shows it; `picture` is below the folder, "" where there is none."""

    name: str
    prompt: str
    seed: int
    varies: Mapping[str, str]
    picture: str = ""
    seconds: float | None = None
    score: float | None = None  # of its own guides
    error: str = ""
    guides: tuple[str, ...] = ()  # their weights' sums
    work: float = 0.0  # steps times pixels, what seconds go with
    judged: Mapping[str, float] = field(default_factory=dict)

    @property
    def setting(self) -> tuple[tuple[str, str], ...]:
        """What it is besides its prompt and seed."""
        return tuple(self.varies.items())


class SweepFolder:
    """What is finished in a folder, and the one who writes there; made by `opened` or `read`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, Row] = {}
        self._order = _read_order(path / "sweep.json")

    @property
    def cells(self) -> Path:
        return self.path / CELLS

    def find(self) -> None:
        """Looks which cells are there, and what judges said of them."""
        self.rows = {}
        for path in sorted(self.cells.glob("*.png")) if _is_sweep(self.path) else ():
            row = _row_of(path)
            if row is not None:
                self.rows[row.name] = row
        self._complete()

    def _complete(self) -> None:
        """What a call did not vary and another one did is as the cell's own file tells it.

        Cells that would look the same besides get the settings in which they differ.
        """
        self._tell(self.axes())
        painted = [row for row in self.rows.values() if row.picture]
        alike = [
            own for own in rows_by(painted, "prompt", *self.axes(), "seed").values() if own[1:]
        ]
        differing: set[str] = set()
        for own in alike:
            first, *others = (self._settings_of(row) for row in own)
            differing |= {
                n for one in others for n in first.keys() | one.keys() if first.get(n) != one.get(n)
            }
        self._tell([name for name in _settings() if name in differing])

    def _tell(self, names: Sequence[str]) -> None:
        """Completes the rows that do not say some settings."""
        for row in list(self.rows.values()):
            if row.picture and not all(name in row.varies for name in names):
                own = self._settings_of(row)
                told = {name: own.get(name, "") for name in names}
                self.rows[row.name] = replace(row, varies={**told, **row.varies})
                for name, value in told.items():
                    self._order.setdefault(name, {}).setdefault(value, None)

    def _settings_of(self, row: Row) -> dict[str, str]:
        """What decided a cell, as people write it; what other versions had is left out."""
        try:
            plain = flatten(read_metadata(self.path / row.picture)["config"])
            known = _settings()
            return {n: known[n].show(known[n].read(v)) for n, v in plain.items() if n in known}
        except (GouacheError, KeyError, TypeError, ValueError):
            return {}

    def order(self, cells: Iterable[Cell]) -> None:
        """Notes the order in which these cells have their values; earlier ones come first."""
        for cell in cells:
            named = {"prompt": cell.prompt, **cell.varies, "seed": str(cell.config.seed)}
            for name, value in named.items():
                self._order.setdefault(name, {}).setdefault(value, None)
        document = {
            "version": __version__,
            "order": {name: list(values) for name, values in self._order.items()},
        }
        write_bytes(self.path / "sweep.json", (dump_json(document, indent=1) + "\n").encode())

    def keep(self, painted: Painted, work: float) -> None:
        """Writes the picture of a finished cell, unless its worker did."""
        name, told = painted.name, painted.told
        if painted.data:
            write_bytes(self.cells / f"{name}.png", painted.data)
        self.rows[name] = Row(
            name,
            str(told["prompt"]),
            int(told["seed"]),
            dict(told["varies"]),
            f"{CELLS}/{name}.png",
            told["seconds"],
            told.get("score"),
            work=work,
        )

    def fail(self, cell: Cell, error: str) -> None:
        """Notes, for this time, that a cell cannot be painted."""
        known = _settings()
        others = {n: known[n].show(known[n].get(cell.config)) for n in self.axes() if n in known}
        varies = {**others, **cell.varies}
        self.rows[cell.name] = Row(
            cell.name, cell.prompt, cell.config.seed, varies, error=one_line(error, 500)
        )

    def sorted_rows(self) -> list[Row]:
        """In the order of the sweep."""
        places = {
            name: {value: number for number, value in enumerate(values)}
            for name, values in self._order.items()
        }

        def place(row: Row) -> tuple[int, ...]:
            named = {"prompt": row.prompt, **row.varies, "seed": str(row.seed)}
            return tuple(
                known.get(named.get(name, ""), len(known)) for name, known in places.items()
            )

        return sorted(self.rows.values(), key=lambda row: (place(row), row.name))

    def axes(self) -> list[str]:
        """What varies besides prompt and seed, in order."""
        found = dict.fromkeys(self._order)
        for row in self.rows.values():
            found |= dict.fromkeys(row.varies)
        return [name for name in found if name not in ("prompt", "seed")]

    def write_results(self) -> Path:
        """Writes results.csv; its path."""
        self._complete()
        axes = self.axes()
        scores = read_scores(self.path)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        judges = [f"judge {name}" for name in scores]
        writer.writerow(
            ["cell", "prompt", "seed", *axes, "picture", "seconds", "score", *judges, "error"]
        )
        for row in self.sorted_rows():
            told = [by_cell.get(row.name, "") for by_cell in scores.values()]
            varies = [row.varies.get(name, "") for name in axes]
            writer.writerow(
                [row.name, row.prompt, row.seed, *varies, row.picture]
                + ["" if value is None else value for value in (row.seconds, row.score)]
                + [*told, row.error]
            )
        path = self.path / "results.csv"
        write_bytes(path, text.getvalue().encode("utf-8", "replace"))
        return path


def read_scores(path: Path) -> dict[str, dict[str, float]]:
    """Judge -> cell -> score, as `rank` left them; nothing where they are damaged."""
    try:
        document = json.loads((path / "scores.json").read_bytes())
        return {
            str(judge): {str(cell): float(score) for cell, score in by_cell.items()}
            for judge, by_cell in document.items()
        }
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def write_scores(path: Path, scores: Mapping[str, Mapping[str, float]]) -> None:
    write_bytes(path / "scores.json", (dump_json(scores, indent=1) + "\n").encode())


@functools.cache
def _settings() -> dict[str, Setting]:
    """What may tell one cell from another, in the order of declaration."""
    named = {setting.name: setting for setting in settings()}
    return {name: one for name, one in named.items() if name not in _UNTOLD}


def _read_order(path: Path) -> dict[str, dict[str, None]]:
    try:
        order = json.loads(path.read_bytes())["order"]
        return {str(name): dict.fromkeys(map(str, values)) for name, values in order.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _row_of(path: Path) -> Row | None:
    """What a whole picture of a cell tells; None for any other file."""
    try:
        with path.open("rb") as file:
            file.seek(-len(_END), 2)
            if file.read() != _END:
                return None
        record = read_metadata(path)
        told = record[KEY]
        if told["cell"] != path.stem:
            return None
        varies = {str(name): str(value) for name, value in told["varies"].items()}
        width, height = record["config"]["size"]
        return Row(
            path.stem,
            str(record["prompt"]),
            int(record["seed"]),
            varies,
            f"{CELLS}/{path.name}",
            float(told["seconds"]),
            told.get("score"),
            guides=tuple(str(one.get("fingerprint")) for one in record["perceptors"]),
            work=float(record["num_steps"] * width * height),
        )
    except (OSError, ImageError, KeyError, TypeError, ValueError, AttributeError):
        return None


@contextmanager
def opened(path: Path) -> Iterator[SweepFolder]:
    """The folder, made where it is missing, for the one who writes there; `OutputError`."""
    with output_errors(path):
        other = path.is_dir() and not _is_sweep(path) and any(path.iterdir())
    if other:
        raise OutputError(
            f"{one_line(path)} holds something else than a sweep; choose another folder with --out"
        )
    with only_writer(path, "wait for it or choose another folder with --out"):
        with output_errors(path):
            (path / CELLS).mkdir(exist_ok=True)
        remove_leftovers(path)
        remove_leftovers(path / CELLS)
        folder = SweepFolder(path)
        folder.find()
        yield folder


def read(path: Path) -> SweepFolder:
    """A sweep that is there already; `ConfigError` where there is none, or nothing in it."""
    if not _is_sweep(path):
        raise ConfigError(
            f"{one_line(path)} holds no sweep; paint one: gouache sweep ... --out DIR"
        )
    folder = SweepFolder(path)
    folder.find()
    if not folder.rows:
        raise ConfigError(f"no cell of {one_line(path)} is finished; paint the sweep first")
    return folder


def _is_sweep(path: Path) -> bool:
    try:
        return (path / CELLS).is_dir()
    except OSError:
        return False


def rows_by(rows: Sequence[Row], *names: str) -> dict[tuple[str, ...], list[Row]]:
    """Rows by the values that they have of some names, "prompt" and "seed" among them."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        named = {"prompt": row.prompt, "seed": str(row.seed), **row.varies}
        found.setdefault(tuple(named.get(name, "") for name in names), []).append(row)
    return found


__all__ = [
    "CELLS",
    "Row",
    "SweepFolder",
    "opened",
    "read",
    "read_scores",
    "rows_by",
    "write_scores",
]
