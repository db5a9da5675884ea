"""The sixty prompts by gouache and the small systems: docs/comparison.md, docs/models/systems.md.

python -m gouache_bench.sixty pocket-ar pocket-diffusion-free gouache [--tries 5] [--work FOLDER]

One picture of each prompt, seed 0; with `--tries 5` the guide chooses among seeds 0 to 4, of
gouache nothing is chosen. The referee, which never guides, says which of the sixty a picture shows,
and the cosine with its own prompt. Pictures stay in --work (NAME/PROMPT-SEED.png) and are used
again, so that a second call only measures; who changed a painter empties its folder. Prints a table
with 95 % intervals (Wilson of shares, the bootstrap of means; differences are paired, prompt by
prompt, with the painter that is named first), and writes it with all numbers to --work.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import torch
from PIL import Image

from gouache import paint
from gouache.engine.judging import similarity
from gouache.figures.recipe import OURS
from gouache.intervals import mean, share
from gouache.ops.images import to_tensor
from gouache.perceptors import load_perceptor
from gouache.protocols import Perceptor
from gouache.systems.known import build
from gouache_training.exam import QUESTIONS
from gouache_training.marks import Asked, RefereeExaminer

Painter: TypeAlias = Callable[[str, int], Image.Image]  # prompt, seed
Measured: TypeAlias = dict[str, float]
CPU = torch.device("cpu")


def painter_of(name: str) -> Painter:
    if name == OURS:
        return lambda prompt, seed: paint(prompt, seed=seed).image
    return build(name, "cpu").paint


def painted(
    name: str,
    seeds: Sequence[int],
    folder: Path,
    asked: Sequence[Asked] = QUESTIONS,
    find: Callable[[str], Painter] = painter_of,
) -> tuple[list[list[Path]], float]:
    """Files of every prompt's pictures, painted where they are missing, and processor seconds for
    each of those (NaN for none)."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [[folder / f"{k:02}-{seed}.png" for seed in seeds] for k in range(len(asked))]
    missing = [
        (each.prompt, seed, file)
        for each, row in zip(asked, files, strict=True)
        for seed, file in zip(seeds, row, strict=True)
        if not file.exists()
    ]
    if not missing:
        return files, float("nan")
    paint_one, begun = find(name), time.process_time()
    for number, (prompt, seed, file) in enumerate(missing, 1):
        paint_one(prompt, seed).save(file)
        print(f"{name}: {number} of {len(missing)}: {prompt}, seed {seed}", flush=True)
    return files, (time.process_time() - begun) / len(missing)


def chosen(
    files: Sequence[Sequence[Path]], guide: Perceptor, asked: Sequence[Asked] = QUESTIONS
) -> list[Path]:
    """Of each prompt the picture that the guide likes best."""

    def likes(file: Path, prompt: str) -> float:
        return similarity(guide, Image.open(file).convert("RGB"), prompt, CPU)

    return [
        max(row, key=lambda file: likes(file, each.prompt)) if len(row) > 1 else row[0]
        for each, row in zip(asked, files, strict=True)
    ]


def measured(
    files: Sequence[Path], referee: Perceptor, asked: Sequence[Asked] = QUESTIONS
) -> list[Measured]:
    """Of each picture how many of the prompts the referee finds likelier than its own (`rank`), and
    the `cosine` with that."""
    pictures = [Image.open(file).convert("RGB") for file in files]
    sheet = torch.cat([to_tensor(picture) for picture in pictures])
    ranks = RefereeExaminer(referee).marks(sheet, asked).ranks
    return [
        {
            "rank": int(rank),
            "cosine": round(similarity(referee, picture, each.prompt, CPU), 4),
        }
        for rank, picture, each in zip(ranks, pictures, asked, strict=True)
    ]


def table(found: Mapping[str, Sequence[Measured]], asked: Sequence[Asked] = QUESTIONS) -> str:
    """Markdown: a row for each painter, its pictures in the order of `asked`."""
    groups = list(dict.fromkeys(each.group for each in asked))
    heads = ["painter", "named first", "among five", "cosine", "less the first's", *groups]
    lines = [_line(heads), "|" + " --- |" * len(heads)]
    first = next(iter(found.values()))
    for name, every in found.items():
        ranks = [one["rank"] for one in every]
        cells = [_share(sum(rank < bound for rank in ranks), len(ranks)) for bound in (1, 5)]
        cells.append(mean([[one["cosine"]] for one in every]).show())
        less = [[a["cosine"] - b["cosine"]] for a, b in zip(every, first, strict=True)]
        cells.append("" if every is first else mean(less).show(signed=True))
        for group in groups:
            own = [r for r, each in zip(ranks, asked, strict=True) if each.group == group]
            cells.append(f"{sum(rank < 1 for rank in own)} of {len(own)}")
        lines.append(_line([name, *cells]))
    return "\n".join(lines)


def _share(right: int, total: int) -> str:
    return f"{right} of {total}, {share(right, total).percent()}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", help=f"{OURS}, or systems of `gouache paint --system`")
    parser.add_argument("--tries", type=int, default=1, help="of which the guide chooses one")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Path("out/sixty"))
    given = parser.parse_args()
    if given.tries < 1:
        parser.error(f"got --tries {given.tries}, expected 1 or more")
    torch.set_num_threads(given.threads)
    referee, guide = load_perceptor("referee"), load_perceptor("pocket")
    found: dict[str, list[Measured]] = {}
    for name in dict.fromkeys(given.names):
        tries = 1 if name == OURS else given.tries
        files, seconds = painted(name, range(tries), given.work / name)
        heading = name if tries == 1 else f"{name}, best of {tries}"
        found[heading] = measured(chosen(files, guide), referee)
        if not math.isnan(seconds):
            print(f"{heading}: {seconds:.2f} processor seconds a picture", flush=True)
    text = table(found)
    print(text)
    numbers = {
        heading: [
            {"prompt": each.prompt, **one} for each, one in zip(QUESTIONS, every, strict=True)
        ]
        for heading, every in found.items()
    }
    stem = f"sixty-best-of-{given.tries}" if given.tries > 1 else "sixty"
    (given.work / f"{stem}.json").write_text(json.dumps(numbers, indent=1) + "\n")
    (given.work / f"{stem}.md").write_text(text + "\n")


if __name__ == "__main__":
    main()
