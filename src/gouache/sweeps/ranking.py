"""Which settings of a sweep are liked, by how much, and whether that may be chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from gouache.errors import ConfigError
from gouache.intervals import Interval, mean, share
from gouache.prompts import one_line
from gouache.registry import nearest
from gouache.sweeps.folder import Row, rows_by
from gouache.sweeps.judging import Judge


@dataclass(frozen=True)
class Standing:
    """One setting of a sweep, by one judge.

    Attributes:
        varies: its values by name.
        score: mean cosine of pictures with their prompts.
        named: share of pictures that fit their own prompt best of all; None with one prompt.
        best: share of prompts and seeds of which this setting's picture is liked best.
        diversity: mean distance of pictures of the same prompt; 0 are alike.
    """

    judge: str
    varies: Mapping[str, str]
    score: Interval
    named: Interval | None
    best: Interval
    diversity: Interval

    @property
    def label(self) -> str:
        return label(self.varies)

    def told(self) -> list[str]:
        """Its row of a table: judge, settings, score, named right, liked best, diversity."""
        named = "" if self.named is None else self.named.show()
        return [
            self.judge,
            self.label,
            self.score.show(),
            named,
            self.best.show(),
            self.diversity.show(),
        ]

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "judge": self.judge,
            "varies": dict(self.varies),
            "score": self.score.plain(),
            "named": None if self.named is None else self.named.plain(),
            "best": self.best.plain(),
            "diversity": self.diversity.plain(),
        }


def label(varies: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in varies.items()) or "all pictures"


def rank(rows: Sequence[Row], judge: Judge, axes: Sequence[str]) -> list[Standing]:
    """The settings, the best score first. `judge` has seen all of `rows`."""
    prompts = list(dict.fromkeys(row.prompt for row in rows))
    liked: dict[str, float] = {row.name: judge.score(row) for row in rows}
    first: dict[str, int] = {}
    for contest in rows_by(rows, "prompt", "seed").values():
        winner = max(contest, key=lambda row: liked[row.name])
        first[winner.name] = 1
    found = []
    for values, own in rows_by(rows, *axes).items():
        by_prompt = list(rows_by(own, "prompt").values())
        named = None
        if len(prompts) > 1:
            named = share(sum(judge.recognises(row, prompts) for row in own), len(own))
        found.append(
            Standing(
                judge.name,
                dict(zip(axes, values, strict=True)),
                mean([[liked[row.name] for row in group] for group in by_prompt]),
                named,
                share(sum(first.get(row.name, 0) for row in own), len(own)),
                mean([judge.distance(group) for group in by_prompt]),
            )
        )
    return sorted(found, key=lambda one: -one.score.value)


@dataclass(frozen=True)
class Difference:
    """What a value of an axis changes, against another one, all else the same.

    `score` is the mean difference over pairs, `better` the share of pairs that like it better.
    """

    judge: str
    axis: str
    value: str
    against: str
    score: Interval
    better: Interval

    @property
    def verdict(self) -> str:
        if not (self.score.low > 0 or self.score.high < 0):
            return "no difference is certain"
        return f"{self.value} is {'better' if self.score.low > 0 else 'worse'}"

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "judge": self.judge,
            "axis": self.axis,
            "value": self.value,
            "against": self.against,
            "score": self.score.plain(),
            "better": self.better.plain(),
            "verdict": self.verdict,
        }


def compare(
    rows: Sequence[Row],
    scores: Mapping[str, float],
    axes: Sequence[str],
    axis: str,
    judge: str,
    against: str = "",
) -> list[Difference]:
    """Each value of `axis` against `against` (the first one), over pairs that differ in it only.

    Args:
        rows: in the order of the sweep.
        scores: by cell.
        axes: what varies besides prompt and seed.

    Raises `ConfigError` for an axis or a value that is not there, and where nothing is paired.
    """
    if axis not in axes:
        if not axes:
            raise ConfigError("nothing varies in this sweep but prompts and seeds")
        raise ConfigError(f"no axis is called {axis!r:.40}; {nearest(axis, list(axes))}")
    by_value = {values[0]: own for values, own in rows_by(rows, axis).items()}
    base = against or next(iter(by_value))
    if base not in by_value:
        raise ConfigError(
            f"{axis} is never {one_line(base, 40)} here; {nearest(base, list(by_value))}"
        )
    others = [name for name in axes if name != axis]

    def liked(alike: Sequence[Row]) -> float:
        return fmean(scores[row.name] for row in alike)

    partners = _placed(by_value[base], others)
    found = []
    for value, own in by_value.items():
        if value == base:
            continue
        groups: dict[str, list[float]] = {}
        for place, own_rows in _placed(own, others).items():
            if place in partners:
                change = liked(own_rows) - liked(partners[place])
                groups.setdefault(own_rows[0].prompt, []).append(change)
        if not groups:
            raise ConfigError(
                f"no picture with {axis} {one_line(value, 40)} has a partner with "
                f"{one_line(base, 40)} of the same prompt and seed; paint both"
            )
        changes = [change for group in groups.values() for change in group]
        better = share(sum(change > 0 for change in changes), len(changes))
        found.append(Difference(judge, axis, value, base, mean(list(groups.values())), better))
    if not found:
        raise ConfigError(f"{axis} has one value only, {one_line(base, 40)}; paint another")
    return found


def _placed(rows: Sequence[Row], others: Sequence[str]) -> dict[tuple[str, ...], list[Row]]:
    """By all else that they are; several in one place were painted alone and in batches, say."""
    return rows_by(rows, "prompt", "seed", *others)


__all__ = ["Difference", "Standing", "compare", "label", "rank"]
