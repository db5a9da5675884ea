"""`gouache sweep rank` and `compare`: judges look at a sweep's pictures, and what they say."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from gouache.apps.fetching import fetch_missing
from gouache.apps.printing import print_json
from gouache.apps.sweeping import Looking
from gouache.errors import ConfigError
from gouache.sweeps.folder import Row, opened, read, read_scores, write_scores
from gouache.sweeps.judging import Judge, with_words
from gouache.sweeps.ranking import Difference, Standing
from gouache.sweeps.ranking import compare as compared
from gouache.sweeps.ranking import rank as ranked
from gouache.sweeps.sheets import MOST, draw_sheet, write_page


def rank_sweep(path: Path, judges: Sequence[str], device: str, quiet: bool, json: bool) -> int:
    """Judges all pictures anew, and writes all that shows it."""
    read(path)
    with opened(path) as folder:
        rows, axes = folder.sorted_rows(), folder.axes()
        asked = with_words(rows)
        scores = read_scores(path)
        standings: list[Standing] = []
        for judge in _judges(judges, asked, path, device, quiet or json):
            standings += ranked(asked, judge, axes)
            scores[judge.name] = {row.name: round(judge.score(row), 5) for row in asked}
        write_scores(path, scores)
        folder.write_results()
        draw_sheet(path, rows, axes)
        page = write_page(path, rows, axes, scores, standings)
    if len(rows) > MOST:
        print(
            f"gouache: note: sheet and page show the first {MOST:,} of {len(rows):,} pictures",
            file=sys.stderr,
        )
    if json:
        print_json({"out": str(path), "standings": [one.plain() for one in standings]})
        return 0
    _print_table(
        ["judge", "settings", "score", "named right", "liked best", "diversity"],
        [one.told() for one in standings],
    )
    print(page)
    return 0


def compare_sweep(
    path: Path, axis: str, against: str, judges: Sequence[str], device: str, quiet: bool, json: bool
) -> int:
    """Pairs by prompt and seed; pictures that a judge has seen before are not looked at again."""
    folder = read(path)
    rows = with_words(folder.sorted_rows())
    axis = axis.strip().replace("-", "_")
    axes = folder.axes()
    compared(rows, dict.fromkeys((row.name for row in rows), 0.0), axes, axis, "", against)
    known = read_scores(path)
    found: list[Difference] = []
    for name in judges:
        scores = known.get(name, {})
        missing = [row for row in rows if row.name not in scores]
        if missing:
            (judge,) = _judges([name], missing, path, device, quiet or json)
            scores = {**scores, **{row.name: judge.score(row) for row in missing}}
        found += compared(rows, scores, axes, axis, name, against)
    if json:
        print_json([one.plain() for one in found])
        return 0
    _print_table(
        ["judge", axis, "against", "pairs", "difference", "better in", "so"],
        [
            [
                one.judge,
                one.value,
                one.against,
                str(one.score.number),
                one.score.show(signed=True),
                one.better.show(),
                one.verdict,
            ]
            for one in found
        ],
    )
    return 0


def _judges(
    names: Sequence[str], rows: Sequence[Row], path: Path, device: str, quiet: bool
) -> list[Judge]:
    """Judges that have seen all of `rows`."""
    if twice := [name for k, name in enumerate(names) if name in names[:k]]:
        raise ConfigError(f"the judge {twice[0]!r:.60} is given twice; once is enough")
    fetch_missing([("perceptor", name) for name in names], quiet)
    judges = [Judge(name, rows, device) for name in names]
    with Looking(quiet) as looking:
        for judge in judges:
            judge.see(path, rows, partial(looking.show, judge.name, len(rows)))
    return judges


def _print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        cells = (f"{value:{width}}" for value, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


__all__ = ["compare_sweep", "rank_sweep"]
