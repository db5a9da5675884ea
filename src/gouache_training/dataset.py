"""Builds the packed data set from fetched sources, and names its concepts.

python -m gouache_training.dataset data/pocket.gpack
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from gouache.errors import TrainingError
from gouache.interrupts import children_wait
from gouache_training import names
from gouache_training.collect import Candidate, candidates, load_words
from gouache_training.colors import dominant_color, recolor_name
from gouache_training.fetch import fetch_all
from gouache_training.lexicon import Lexicon
from gouache_training.pack import QUALITY, SPLITS, Entry, PictureSet, write_pack
from gouache_training.render import Pixels, fit, is_near_duplicate, render_svg, thumbnail
from gouache_training.sources import PICTURE_SOURCES, WORD_SOURCES, Source

__all__ = ["SPLITS", "Entry", "PictureSet", "build", "build_from", "name_bank"]

SIDE = 96
LARGEST_PACK = 24 * 2**20

_HELD_PICTURES = 0.045  # of the pictures that may be held out
_HELD_CONCEPTS = 0.2  # of the concepts that may be held out, about one in eight
_HELD_CONCEPT_PICTURES = range(1, 10)  # rare ones only: common concepts are for training
_HELD_CONCEPT_WEIGHT = 0.5  # of its best picture: what is held out must be worth asking for
_CROWDED = 0.7  # weight of a concept grows as (its pictures) ** (1 - 0.7)


def build(
    cache_dir: Path | None,
    out_path: Path,
    sources: Sequence[Source] = PICTURE_SOURCES,
    side: int = SIDE,
    quality: int = QUALITY,
    processes: int = 2,
    report: Callable[[str], None] | None = None,
) -> PictureSet:
    """Fetch, draw, sift, split and pack.

    Args:
        cache_dir: folder for downloads, the platform's cache by default.
        out_path: the file to write.
        sources: which pictures to use.
        side: side of the packed pictures.
        quality: WebP quality of coloured pictures.
        processes: how many to draw with.
        report: called with a line of progress now and then.

    Raises:
        TrainingError: a source cannot be had, or the file is over 24 MiB.
    """
    say = report or (lambda line: None)
    folders = fetch_all(cache_dir, [*sources, *WORD_SOURCES], report)
    lexicon, emoji = load_words(folders)
    found: list[Candidate] = []
    for source in sources:
        part = candidates(source, folders[source.name], lexicon, emoji)
        say(f"{source.name}: {len(part)} names")
        found += part
    return build_from(found, lexicon, out_path, side, quality, processes, report)


def build_from(
    found: Sequence[Candidate],
    lexicon: Lexicon,
    out_path: Path,
    side: int = SIDE,
    quality: int = QUALITY,
    processes: int = 2,
    report: Callable[[str], None] | None = None,
) -> PictureSet:
    """The part of `build` after collecting: draws candidates and writes the file."""
    say = report or (lambda line: None)
    drawn: list[tuple[Candidate, Pixels]] = []
    thumbnails: dict[tuple[str, bool], list[NDArray[np.float32]]] = defaultdict(list)
    for number, (candidate, pixels) in enumerate(_draw(found, side, processes), 1):
        if number % 4000 == 0:
            say(f"{number} of {len(found)} drawn, {len(drawn)} kept")
        if pixels is None:
            continue
        thumb = thumbnail(pixels)
        alike = thumbnails[candidate.concept, candidate.source.kind == "mono"]
        if is_near_duplicate(thumb, alike):
            continue
        alike.append(thumb)
        drawn.append((candidate, pixels))
    if not drawn:
        raise TrainingError("no picture was left to pack; check the sources")
    drawn.sort(key=lambda pair: pair[0].source.kind == "mono")  # stable: source order is kept
    entries, concepts = _index(drawn, lexicon)
    pixels = np.stack([pair[1] for pair in drawn])
    used = {pair[0].source for pair in drawn}
    credits = [
        {"name": s.name, "licence": s.licence, "attribution": s.attribution, "version": s.version}
        for s in (*PICTURE_SOURCES, *WORD_SOURCES)
        if s in used or s.kind == "words"
    ]
    size = write_pack(out_path, pixels, entries, concepts, credits, quality)
    say(f"{len(entries)} pictures, {len(concepts)} concepts, {size / 2**20:.2f} MiB")
    if size > LARGEST_PACK:
        raise TrainingError(
            f"{out_path}: got {size} bytes, at most {LARGEST_PACK}; lower the quality or the side"
        )
    return PictureSet.load(out_path)


@dataclass(frozen=True)
class _Drawing:
    """Work for one process: a candidate's drawing and how to fit it."""

    svg: str
    path: str
    side: int
    sparse: bool


def _draw(
    found: Sequence[Candidate], side: int, processes: int
) -> Iterator[tuple[Candidate, Pixels | None]]:
    work = (_Drawing(c.svg, c.path, side, c.source.kind == "mono") for c in found)
    if processes < 2:
        yield from zip(found, map(_draw_one, work), strict=True)
        return
    with children_wait():
        pool = multiprocessing.get_context("spawn").Pool(processes)
    with pool:
        yield from zip(found, pool.imap(_draw_one, work, chunksize=32), strict=True)


def _draw_one(drawing: _Drawing) -> Pixels | None:
    try:
        if drawing.svg:
            image = render_svg(drawing.svg, 2 * drawing.side)
        else:
            image = Image.open(io.BytesIO(Path(drawing.path).read_bytes()))
        return fit(image, drawing.side, drawing.sparse)
    except (
        Exception
    ):  # thirty thousand strangers' files: a broken one is left out, whatever it does
        return None


def _index(
    drawn: Sequence[tuple[Candidate, Pixels]], lexicon: Lexicon
) -> tuple[list[Entry], list[str]]:
    """Concept numbers, colours, splits and weights of the pictures that were kept."""
    counts = Counter(candidate.concept for candidate, _ in drawn)
    concepts = sorted(counts)
    number = {key: index for index, key in enumerate(concepts)}
    best: dict[str, float] = defaultdict(float)
    colored: Counter[str] = Counter()
    for candidate, _ in drawn:
        best[candidate.concept] = max(best[candidate.concept], candidate.weight)
        colored[candidate.concept] += candidate.source.kind != "mono"
    basic = {names.concept_key(word, lexicon) for word in names.BASICS}
    held = {
        key
        for key in concepts
        if key not in basic
        and counts[key] in _HELD_CONCEPT_PICTURES
        and best[key] >= _HELD_CONCEPT_WEIGHT
        and colored[key] > 0
        and names.share(key, "concept") < _HELD_CONCEPTS
    }
    held_pictures = _hold_pictures([candidate for candidate, _ in drawn], held)
    colors = _colors([pixels for _, pixels in drawn])
    weights = [c.weight / counts[c.concept] ** _CROWDED for c, _ in drawn]
    scale = len(concepts) / max(sum(weights), 1e-9)  # a concept weighs 1 on average
    entries = []
    for position, (candidate, _) in enumerate(drawn):
        split = "held_concept" if candidate.concept in held else "train"
        if position in held_pictures:
            split = "held_picture"
        mono = candidate.source.kind == "mono"
        entries.append(
            Entry(
                name=candidate.name,
                source=candidate.source.name,
                kind=candidate.source.kind,
                concept=number[candidate.concept],
                weight=round(scale * weights[position], 4),
                color=-1 if mono else int(colors[position]),
                split=split,
                tags=candidate.tags,
                synonyms=candidate.synonyms,
                category=lexicon.category(candidate.name) or "",
            )
        )
    return entries, concepts


def _hold_pictures(found: Sequence[Candidate], held: set[str]) -> set[int]:
    """Pictures to hold out: another artist's drawing of a concept that three others still teach."""
    left: Counter[str] = Counter(
        candidate.concept for candidate in found if candidate.source.kind != "mono"
    )
    chosen = set()
    for position, candidate in enumerate(found):
        if candidate.source.kind not in ("emoji", "render3d") or candidate.concept in held:
            continue
        ticket = f"{candidate.source.name}/{candidate.name}"
        if left[candidate.concept] > 3 and names.share(ticket, "picture") < _HELD_PICTURES:
            chosen.add(position)
            left[candidate.concept] -= 1
    return chosen


def _colors(pictures: Sequence[Pixels]) -> NDArray[np.int64]:
    found = []
    for first in range(0, len(pictures), 256):
        part = np.stack([pixels[1::3, 1::3] for pixels in pictures[first : first + 256]])
        flat = part.reshape(len(part), -1, 4).astype(np.float32) / 255
        found.append(dominant_color(flat))
    return np.concatenate(found)


def name_bank(pictures: PictureSet, least_weight: float = 0.25) -> tuple[list[str], Tensor]:
    """One caption per trained concept: classes to tell apart, and the contrast bank.

    Args:
        pictures: the data set.
        least_weight: concepts whose train pictures weigh less in sum are left out; the average
            concept weighs 1.

    Returns:
        Captions, and their concept numbers as a LongTensor of the same length, ascending.
    """
    totals: dict[int, Counter[str]] = defaultdict(Counter)
    for row in pictures.entries:
        if row.split == "train":
            totals[row.concept][row.name] += row.weight  # type: ignore[assignment]
    captions = []
    numbers = []
    for concept, found in sorted(totals.items()):
        if sum(found.values()) >= least_weight:
            # Ties go to the shorter, then the alphabetically first name.
            captions.append(_concept_name(pictures.concepts[concept], found))
            numbers.append(concept)
    return captions, torch.tensor(numbers, dtype=torch.long)


def _concept_name(key: str, found: Counter[str]) -> str:
    """The usual name of a concept, without colour.

    The dictionary's first word where a picture is called so ("horse" rather than "horse face"),
    else the weightiest name ("polar bear" rather than the dictionary's "ice bear").
    """
    plain: Counter[str] = Counter()
    for name, weight in found.items():
        plain[recolor_name(name, None) or name] += weight
    word = key.partition("#")[0]
    return word if word in plain else min(plain, key=lambda n: (-plain[n], len(n), n))


def main(arguments: Iterable[str] | None = None) -> None:
    """Build the data set from the command line."""
    parser = argparse.ArgumentParser(description="Build the packed picture set.")
    parser.add_argument("out", type=Path, help="file to write, such as data/pocket.gpack")
    parser.add_argument("--cache", type=Path, default=None, help="folder for downloads")
    parser.add_argument("--side", type=int, default=SIDE, help="side of the pictures")
    parser.add_argument("--quality", type=int, default=QUALITY, help="WebP quality, 0 to 100")
    parser.add_argument("--processes", type=int, default=2, help="how many to draw with")
    given = parser.parse_args(None if arguments is None else list(arguments))
    build(
        given.cache,
        given.out,
        side=given.side,
        quality=given.quality,
        processes=given.processes,
        report=print,
    )


if __name__ == "__main__":
    main()
