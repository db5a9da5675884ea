"""Intervals of shares and means."""

from __future__ import annotations

import pytest

from gouache.intervals import mean, wilson


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [  # Newcombe 1998, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_intervals_are_those_of_the_literature(
    right: int, total: int, low: float, high: float
) -> None:
    assert wilson(right, total) == pytest.approx((low, high), abs=1e-4)
    mirrored = wilson(total - right, total)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-4)


def test_what_has_no_interval_says_so() -> None:
    assert mean([[0.3125]]).show() == "0.312 (of one)"
    assert mean([[0.5]]).show(signed=True) == "+0.500 (of one)"
    assert mean([]).show() == "none"
    assert mean([[0.1, 0.3]]).show().startswith("0.200 [")
