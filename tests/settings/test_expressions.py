"""Formulas: what they mean, and that nothing can be done with them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gouache.errors import ConfigError
from gouache.settings.expressions import MAX_CHARACTERS, MAX_DEPTH, Expression

# What numexpr computes for t = 7, s = 3.
MEANT = [
    ("1 + 2*3", 7),
    ("-2**2", -4),
    ("2**3**2", 512),
    ("2**-1", 0.5),
    ("7/2", 3.5),
    ("t//2", 3),
    ("t % 4", 3),
    ("-t % 4", -3),  # the sign of what is divided, as in C
    ("(t > 5) & (t < 9)", 1),
    ("(t > 5) | (s > 5)", 1),
    ("~(t > 5)", 0),
    ("t & 3", 3),
    ("8 - 3 - 2", 3),
    ("where(t > 5, 1.5, 0.5)", 1.5),
    ("where(t < 5, 1/(t-7), 2)", 2),
    ("sin(3.14*t/10)", math.sin(3.14 * 7 / 10)),
    ("arctan2(1, s)", math.atan2(1, 3)),
    ("abs(-t)", 7),
    ("floor(t/2) + ceil(t/2)", 7),
    ("min(t, s) + max(t, s, 9)", 12),
    ("clip(t, 0, 5)", 5),
    ("sign(-t)", -1),
    ("sqrt(t + 2)", 3),
    ("log(exp(2))", 2),
    ("log(8, 2)", 3),
    ("0 < s < t", 1),
    ("not t > 9 and s == 3 or 0", 1),
    ("pi", math.pi),
    (".5 + 1. + 1e1", 11.5),
    ("( ( t ) )", 7),
]


@pytest.mark.parametrize(("text", "number"), MEANT)
def test_a_formula_is_the_number_it_means(text: str, number: float) -> None:
    found = Expression.parse(text)
    assert found.value({"t": 7, "s": 3}) == pytest.approx(number, abs=1e-12)
    assert Expression.parse(str(found)) == found


def test_a_formula_says_what_it_asks_for() -> None:
    assert Expression.parse("t + where(beat > pi, t, sin(s))").names == {"t", "beat", "s"}


REFUSED = [
    *("", " ", "(", ")", "()", "1 +", "* 1", "1 2", "t t", "1..2", "2t", "t.real", "t[0]", "t(1)"),
    *("__import__('os')", "(1).__class__", "open('x')", "eval('1')", "print(1)", "getattr(t, 1)"),
    *("lambda: 1", "lambda t: t", "[1]", "[t for t in t]", "{1}", "{1: 2}", "f'{t}'", "'a'", '"a"'),
    *(
        "(t := 1)",
        "t = 1",
        "t; t",
        "t\n;t",
        "t @ t",
        "t << 9",
        "t >> 1",
        "t ^ 2",
        "!t",
        "t ? 1 : 2",
    ),
    *("t if t else 1", "await t", "yield t", "*t", "**t", "...", "1j", "0x10", "1_000", "0b1"),
    *(
        "inf",
        "nan",
        "None",
        "True",
        "import os",
        "t is t",
        "t in t",
        "é",
        "\0",
        "\N{INFINITY}",
        "１",
    ),
    *("sin", "sin()", "sin(1, 2)", "sin 1", "sinn(t)", "where(1, 2)", "min(1)", "clip(1)", "t()"),
    *("10**10**10", "t + 10**10**10", "9**9**9**9", "1/0", "1 % 0", "t*(1/0)", "sqrt(-1)"),
    *("exp(9999)", "log(0)", "asin(2)", "(-8)**0.5", "1.5 & 1", "9" * 400, "1e999"),
    "(" * 5000 + "1" + ")" * 5000,
    "-" * 5000 + "1",
    "not " * 5000 + "1",
    "2**" * 5000 + "1",
    "sin(" * 500 + "1" + ")" * 500,
    "1+" * MAX_CHARACTERS + "1",
]


@pytest.mark.parametrize("text", REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_formula_is_refused_in_one_line_with_a_caret(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Expression.parse(text, "zoom", ("t", "s"))
    assert str(caught.value).startswith("zoom: ")
    assert "^" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_number_that_does_not_exist_is_told_where_it_is_asked_for() -> None:
    found = Expression.parse("1 + 2/t", "zoom")
    assert found.value({"t": 1}) == 3
    with pytest.raises(ConfigError, match=r"zoom: .*for 2, 0\) at character 6: 1 \+ 2\^/t"):
        found.value({"t": 0})


def test_large_whole_numbers_do_not_grow() -> None:
    found = Expression.parse("*".join(["s"] * 900), "zoom")
    with pytest.raises(ConfigError, match="no finite value"):
        found.value({"s": 2**63})


def test_depth_up_to_the_bound_is_computed() -> None:
    deep = MAX_DEPTH - 1
    assert Expression.parse("(" * deep + "t" + ")" * deep).value({"t": 2}) == 2


_GRAMMAR = st.recursive(
    st.sampled_from(["t", "s", "1", "0.5", "pi", "2e3"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "%", "**", "<", "==", "&"]), inner)
        .map(" ".join)
        .map("({})".format),
        inner.map("-{}".format),
        st.tuples(st.sampled_from(["sin", "abs", "floor", "exp"]), inner).map("%s(%s)".__mod__),
    ),
    max_leaves=12,
)


def is_one_line(error: ConfigError) -> None:
    assert "\n" not in str(error)


@given(text=_GRAMMAR, t=st.integers(0, 1000))
def test_formulas_are_finite_or_say_why(text: str, t: int) -> None:
    try:
        found = Expression.parse(text, "zoom", ("t", "s"))
        assert math.isfinite(found.value({"t": t, "s": 3}))
        assert Expression.parse(str(found)) == found
    except ConfigError as error:
        is_one_line(error)


@given(
    text=st.text(max_size=60) | st.text("0123456789.()+-*/%<>=&|~^, tsine:[]{}'\"_", max_size=60)
)
def test_any_text_is_a_formula_or_one_line(text: str) -> None:
    try:
        found = Expression.parse(text, "zoom")
    except ConfigError as error:
        is_one_line(error)
    else:
        assert isinstance(found.names, frozenset)
