"""A figure's scores and seconds, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gouache.figures.recipe import OURS
from gouache.intervals import mean
from gouache.prompts import one_line


def table_of(entries: Sequence[Mapping[str, Any]], tries: int) -> str:
    """One line for each row of the grid (or painter, where rows have no headings) with means and
    95 % intervals, then one for each picture.

    Args:
        entries: as `figure.json` holds them.
        tries: pictures that other systems painted for each one that is shown.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for one in entries:
        groups.setdefault(one["row"] or one["tells"]["system"], []).append(one)
    judges = [who for who in ("judge", "guide") if any(who in one["scores"] for one in entries)]
    heads = [*judges, "seconds a picture"]
    lines = [*_head("row", "pictures", *heads)]
    for name, group in groups.items():
        scores = [mean([[one["scores"][who]] for one in group]).show() for who in judges]
        seconds = sum(one["seconds"] for one in group) / len(group)
        lines.append(_line(name, len(group), *scores, f"{seconds:.1f}"))
    lines += ["", *_head("row", "picture", "seed", *heads)]
    for one in entries:
        scores = [f"{one['scores'][who]:.3f}" for who in judges]
        row = one["row"] or one["tells"]["system"]
        named = one["column"] or one["prompt"]
        lines.append(_line(row, named, one["seed"], *scores, f"{one['seconds']:.1f}"))
    lines += [
        "",
        "Scores are cosines with the words: `judge` never guides, `guide` did. Seconds are by the "
        "clock and change with what else the machine does.",
    ]
    if any(one["tells"]["system"] != OURS for one in entries):
        lines[-1] += (
            f" Other systems painted {tries} for each picture, of which the guide chose; theirs "
            f"are the seconds of all {tries}."
        )
    return "\n".join([*lines, ""])


def _head(*names: str) -> list[str]:
    return [_line(*names), "|" + " --- |" * len(names)]


def _line(*cells: object) -> str:
    return "| " + " | ".join(one_line(str(cell), 80).replace("|", "\\|") for cell in cells) + " |"


__all__ = ["table_of"]
