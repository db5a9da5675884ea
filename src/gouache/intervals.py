"""Intervals of 95 %: of shares (Wilson 1927), and of means by the bootstrap (Efron 1979), or where
they are of few values by Student's t (1908)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Z = 1.96
RESAMPLES = 4000
# Student's t, 97.5 %, of 1 to 18 degrees of freedom: what 1.96 is of many. A bootstrap of so few
# values is too narrow: that of two leaves out the truth every second time.
_STUDENT = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262),
    *(2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101),
)


@dataclass(frozen=True)
class Interval:
    """A value and where it lies with 95 %; `number` are what it was counted or averaged over."""

    value: float
    low: float
    high: float
    number: int

    def show(self, signed: bool = False) -> str:
        """0.312 [0.250, 0.374]; of what there is no interval of, or no value, words say so."""
        if math.isnan(self.value):
            return "none"
        form = "+.3f" if signed else ".3f"
        if math.isnan(self.low):
            return f"{self.value:{form}} (of one)"
        return f"{self.value:{form}} [{self.low:{form}}, {self.high:{form}}]"

    def percent(self) -> str:
        """Of a share: 72% (59%-81%)."""
        return f"{self.value:.0%} ({self.low:.0%}-{self.high:.0%})"

    def plain(self) -> dict[str, float | int | None]:
        """For JSON."""
        values = {"value": self.value, "low": self.low, "high": self.high}
        known = {k: None if math.isnan(v) else round(v, 4) for k, v in values.items()}
        return {**known, "number": self.number}


def wilson(right: int, total: int) -> tuple[float, float]:
    """95 % confidence interval of a share (Wilson 1927)."""
    if not total:
        return 0.0, 1.0
    share, n = right / total, total
    middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2)) / (1 + Z**2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def share(right: int, total: int) -> Interval:
    """How many of them, with Wilson's interval."""
    return Interval(right / total if total else math.nan, *wilson(right, total), total)


def mean(groups: Sequence[Sequence[float]]) -> Interval:
    """The mean of values that come in groups (seeds of a prompt), with its interval.

    Whole groups are drawn, as values of one are alike; where there are fewer than 5 groups they
    say little of others, and values are drawn. From 20 of either on it is the bootstrap's, before
    that Student's. The same values give the same interval. Of fewer than two values there is none
    (NaN).
    """
    flat = np.array([value for group in groups for value in group], dtype=np.float64)
    if not len(flat):
        return Interval(math.nan, math.nan, math.nan, 0)
    value = float(flat.mean())
    if len(flat) < 2:
        return Interval(value, math.nan, math.nan, len(flat))
    units = [list(group) for group in groups if group] if len(groups) >= 5 else [[v] for v in flat]
    sums, counts = np.array([sum(u) for u in units]), np.array([len(u) for u in units])
    if (free := len(units) - 1) <= len(_STUDENT):
        spread = float(np.sum((sums - counts * value) ** 2))  # of a ratio of two sums
        half = _STUDENT[free - 1] * math.sqrt(len(units) / free * spread) / len(flat)
        return Interval(value, value - half, value + half, len(flat))
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(units), (RESAMPLES, len(units)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(value, float(low), float(high), len(flat))


__all__ = ["Interval", "mean", "share", "wilson"]
