"""Large renderings of the packed pictures: what a drawing decoder learns its edges from.

The packed set holds 96 pixels a side. Vector pictures can be drawn at any size, so some of them are
drawn again, large, into an archive of lossless pages, one a picture, which is read as if it were an
array. Pictures that have no outlines to draw from are left out.
"""

from __future__ import annotations

import dataclasses
import io
import json
import multiprocessing
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image

from gouache.errors import TrainingError
from gouache.interrupts import children_wait
from gouache_training.collect import Candidate, candidates, load_words
from gouache_training.colors import IntArray
from gouache_training.fetch import fetch_all
from gouache_training.pack import Entry, PictureSet
from gouache_training.render import Pixels, fit, render_svg
from gouache_training.sources import PICTURE_SOURCES, WORD_SOURCES, Source

__all__ = ["SIDE", "LargePixels", "draw_renderings", "load_renderings", "make_renderings"]

SIDE = 512
_INDEX = "index.json"
_MONO_SHARE = 0.2  # of the pictures: one-colour icons teach outlines, but neither colour nor shade
_FINER = 1.25  # drawn at so many times the side, as most icons leave a margin that is cut away
_RASTER = "<image"


@dataclass(frozen=True)
class _Work:
    """What one process needs to draw a row: outlines to choose from, and what the set shows."""

    row: int
    svgs: tuple[str, ...]
    sparse: bool
    shown: Pixels  # (4,96,96)
    side: int


def make_renderings(
    pictures: PictureSet,
    cache_dir: Path | None,
    out: Path,
    count: int,
    side: int = SIDE,
    processes: int = 1,
    sources: Sequence[Source] = PICTURE_SOURCES,
    report: Callable[[str], None] | None = None,
) -> int:
    """Draw `count` pictures of the set at `side` pixels into the archive `out`.

    All held-out pictures are among them, the others are the weightiest of the train pictures.

    Returns:
        How many were drawn; fewer than `count` where fewer can be.

    Raises:
        TrainingError: a source cannot be had, or nothing could be drawn.
    """
    folders = fetch_all(cache_dir, [*sources, *WORD_SOURCES], report)
    lexicon, emoji = load_words(folders)
    found = [c for s in sources for c in candidates(s, folders[s.name], lexicon, emoji)]
    return draw_renderings(pictures, found, out, count, side, processes, report)


def draw_renderings(
    pictures: PictureSet,
    found: Sequence[Candidate],
    out: Path,
    count: int,
    side: int = SIDE,
    processes: int = 1,
    report: Callable[[str], None] | None = None,
) -> int:
    """The part of `make_renderings` after collecting.

    Pictures that `out` holds already are not drawn again, so an interrupted call is taken up by the
    next, and a larger `count` adds to what there is.
    """
    say = report or (lambda line: None)
    by_name: dict[tuple[str, str], list[str]] = defaultdict(list)
    for candidate in found:
        if candidate.svg and _RASTER not in candidate.svg:
            by_name[candidate.source.name, candidate.name].append(candidate.svg)
    rows = _chosen(pictures.entries, by_name, count)
    work = [
        _Work(
            row,
            tuple(by_name[_key(pictures.entries[row])]),
            pictures.entries[row].kind == "mono",
            np.array(pictures.pixels[row]),
            side,
        )
        for row in rows
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = out.with_name(f".{out.name}.partial")
    done: list[int] = []
    complete = False
    try:
        with zipfile.ZipFile(scratch, "w", zipfile.ZIP_STORED) as archive:
            pages = _pages(pictures.entries, work, out, processes)
            try:
                for number, (row, page) in enumerate(pages, 1):
                    if page is not None:
                        archive.writestr(f"{row}.webp", page)
                        done.append(row)
                    if number % 500 == 0:
                        say(f"{number} of {len(work)} drawn, {len(done)} kept")
            finally:
                names = [_label(pictures.entries[row]) for row in done]
                index = {"side": side, "rows": done, "names": names}
                archive.writestr(_INDEX, json.dumps(index))
        complete = True
    finally:
        # On Ctrl-C, too, what was drawn is kept, and the next call goes on from it.
        if done and (complete or len(done) >= _kept(out)):
            scratch.replace(out)
        else:
            scratch.unlink(missing_ok=True)
    if not done:
        raise TrainingError("no picture could be drawn large; check the sources")
    say(f"{len(done)} pictures of {side} pixels, {out.stat().st_size / 2**20:.0f} MiB")
    return len(done)


def _pages(
    entries: Sequence[Entry], work: Sequence[_Work], old: Path, processes: int
) -> Iterator[tuple[int, bytes | None]]:
    """Rows and pages: first those that an archive of the same set and side holds, then new ones."""
    left = {one.row: one for one in work}
    try:
        with zipfile.ZipFile(old) as archive:
            index = json.loads(archive.read(_INDEX))
            for row, name in zip(index["rows"], index["names"], strict=True):
                same = row in left and name == _label(entries[row])
                if same and index["side"] == left[row].side:
                    del left[row]
                    yield row, archive.read(f"{row}.webp")
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        pass  # there is none, or none that can be read: it is written anew
    # In any order, so that a part is a fair sample, too.
    shuffled = [list(left.values())[k] for k in np.random.default_rng(0).permutation(len(left))]
    yield from _drawn(shuffled, processes)


def _kept(path: Path) -> int:
    """How many pictures an archive holds; 0 where there is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            return len(archive.namelist()) - 1
    except (OSError, zipfile.BadZipFile):
        return 0


def load_renderings(pictures: PictureSet, path: Path) -> PictureSet:
    """Those of `pictures` that have a rendering in the archive, with the renderings as pixels.

    Raises:
        TrainingError: no such archive, or one that was made for another set.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            index = json.loads(archive.read(_INDEX))
    except FileNotFoundError:
        raise TrainingError(f"no renderings at {path}; run gouache train renderings") from None
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise TrainingError(f"{path}: no archive of renderings ({error}); make it anew") from None
    rows: list[int] = index["rows"]
    same = all(
        row < len(pictures) and _label(pictures.entries[row]) == name
        for row, name in zip(rows, index["names"], strict=True)
    )
    if not same:
        raise TrainingError(f"{path} was made for another picture set; make the renderings anew")
    rows.sort()  # the same set draws the same batches, whatever order it was drawn in
    pixels = LargePixels(path, rows, index["side"])
    entries = [pictures.entries[row] for row in rows]
    return dataclasses.replace(pictures, pixels=cast(Pixels, pixels), entries=entries)


class LargePixels:
    """An archive as if it were an array (N,4,side,side) uint8, premultiplied RGBA."""

    def __init__(self, path: Path, rows: Sequence[int], side: int) -> None:
        self.shape = (len(rows), 4, side, side)
        self._rows = rows
        self._archive = zipfile.ZipFile(path)  # open, so that a newer one cannot take its place

    def __getitem__(self, index: IntArray) -> Pixels:
        """(k,4,side,side) of an array of k numbers."""
        numbers = np.asarray(index).reshape(-1)
        out = np.empty((len(numbers), *self.shape[1:]), np.uint8)
        for place, number in enumerate(numbers):
            page = self._archive.read(f"{self._rows[int(number)]}.webp")
            image = Image.open(io.BytesIO(page)).convert("RGBA").convert("RGBa")
            cells = np.frombuffer(image.tobytes(), np.uint8)
            out[place] = cells.reshape(*self.shape[2:], 4).transpose(2, 0, 1)
        return out


def _key(entry: Entry) -> tuple[str, str]:
    return entry.source, entry.name


def _label(entry: Entry) -> str:
    return f"{entry.source}/{entry.name}"


def _chosen(
    entries: Sequence[Entry], outlines: dict[tuple[str, str], list[str]], count: int
) -> list[int]:
    """Rows to draw, ascending: held-out ones, then the weightiest of both kinds."""
    rows = [row for row, entry in enumerate(entries) if _key(entry) in outlines]
    chosen = [row for row in rows if entries[row].split != "train"][:count]
    left = count - len(chosen)
    rest = sorted(
        (row for row in rows if entries[row].split == "train"),
        key=lambda row: (-entries[row].weight, row),
    )
    mono = [row for row in rest if entries[row].kind == "mono"][: int(left * _MONO_SHARE)]
    color = [row for row in rest if entries[row].kind != "mono"][: left - len(mono)]
    return sorted([*chosen, *mono, *color])


def _drawn(work: Sequence[_Work], processes: int) -> Iterator[tuple[int, bytes | None]]:
    if processes < 2:
        yield from map(_draw_one, work)
        return
    with children_wait():
        pool = multiprocessing.get_context("spawn").Pool(processes)
    with pool:
        yield from pool.imap(_draw_one, work, chunksize=8)


def _draw_one(work: _Work) -> tuple[int, bytes | None]:
    """The row and its page; None where no outline can be drawn that shows what the set shows."""
    best: tuple[float, Pixels] | None = None
    for svg in work.svgs:
        try:
            image = render_svg(svg, round(work.side * _FINER))
            pixels = fit(image, work.side, work.sparse)
        except Exception:  # strangers' files: a broken one is left out, whatever it does
            continue
        if pixels is None:
            continue
        away = _distance(pixels, work.shown)
        if best is None or away < best[0]:
            best = away, pixels
    if best is None or best[0] > _UNLIKE:
        return work.row, None
    straight = Image.frombuffer("RGBa", (work.side, work.side), best[1].tobytes()).convert("RGBA")
    page = io.BytesIO()
    straight.save(page, "WEBP", lossless=True, quality=30, method=1)
    return work.row, page.getvalue()


_UNLIKE = 12.0  # mean difference of 255 from the packed picture; lossy packing makes about 3


def _distance(pixels: Pixels, shown: Pixels) -> float:
    """Mean difference of a (side,side,4) picture and a packed (4,s,s) one, at the packed size."""
    small = shown.shape[-1]
    side = pixels.shape[0]
    picture = Image.frombuffer("RGBa", (side, side), pixels.tobytes()).resize(
        (small, small), Image.Resampling.BOX
    )
    flat = np.frombuffer(picture.tobytes(), np.uint8).reshape(small, small, 4)
    return float(np.abs(flat.transpose(2, 0, 1).astype(np.int16) - shown).mean())
