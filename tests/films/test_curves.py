"""Curves: what Deforum and Disco Diffusion define, and mistakes in one line."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gouache.errors import ConfigError
from gouache.films.curves import Curve
from gouache.settings.schedule import Schedule

OF = {"num_frames": 120, "fps": 12, "seed": 42}
# As people wrote them: a number for each of some frames of 120 (max_f is the last one, 119).
WRITTEN = [
    ("0:(0)", {0: 0, 119: 0}),
    ("0: (1), 10: (1.05)", {0: 1, 5: 1.025, 10: 1.05, 99: 1.05}),
    ("0: (10.0)", {0: 10, 60: 10}),
    ("0:(1.0025+0.002*sin(1.25*3.14*t/30))", {0: 1.0025, 30: 1.0025 + 0.002 * math.sin(3.925)}),
    ("0:(1.02+0.02*sin(2*3.14*t/20))", {5: 1.02 + 0.02 * math.sin(1.57)}),
    ("0:(1.75)", {7: 1.75}),
    ("0:(t%15)", {0: 0, 14: 14, 15: 0, 37: 7}),
    ("0:(0.65), 50:(0.85)", {25: 0.75, 50: 0.85, 100: 0.85}),
    ("0: (.065)", {3: 0.065}),
    ("0:(0), 30:(5), 60:(-5), 90:(0)", {15: 2.5, 45: 0, 60: -5, 75: -2.5, 100: 0}),
    ("10:(2), 20:(4)", {0: 2, 9: 2, 15: 3, 119: 4}),
    ("0:(sin(t/10)), 50:(1)", {49: math.sin(4.9), 50: 1, 80: 1}),  # a formula holds till the next
    ("0:(0), 50:(t)", {0: 0, 25: 25, 50: 50, 70: 70}),  # a number goes to the formula's first
    ("0:(-1*t), 60:(t-120)", {10: -10, 59: -59, 60: -60, 119: -1}),
    ("0:(where((t%24)<12, 1.01, 0.99))", {0: 1.01, 11: 1.01, 12: 0.99, 24: 1.01}),
    ("0:(where((t>10)&(t<20), 5, 0))", {10: 0, 11: 5, 19: 5, 20: 0}),
    ("0:((t > 60) * 3)", {60: 0, 61: 3}),
    ("0:(t/max_f)", {0: 0, 119: 1}),
    ("0:(max_f-t)", {0: 119, 119: 0}),
    ("0:(0), max_f:(119)", {0: 0, 60: 60, 119: 119}),
    ('"0":(1), "max_f-59":(2)', {0: 1, 30: 1.5, 60: 2, 119: 2}),
    ("0:(s), 1:(-1), 120:(-1)", {0: 42, 1: -1}),
    ("0:(s+t)", {0: 42, 5: 47}),
    ("0:(abs(sin(3.14*t/60))*2)", {30: 2 * abs(math.sin(1.57)), 90: 2 * abs(math.sin(4.71))}),
    ("0:(2**(t/60))", {0: 1, 60: 2}),
    ("0:(10*exp(-t/20))", {0: 10, 20: 10 / math.e}),
    ("0:(arctan2(t, 1))", {1: math.pi / 4}),
    ("0 : ( 1.5 ) ,\n 40 : ( 2.5 )", {0: 1.5, 20: 2.0, 40: 2.5}),
    ("0: 1.5, 40: 2.5", {20: 2.0}),
    ("0:(1.5, 40:2.5)", {20: 2.0}),  # brackets around a number are thrown away
    ("0:(1) 40:(2),", {20: 1.5}),
    ("0:(5), 40:(7), 20:(9)", {10: 7, 20: 9, 30: 8}),
    ("0:('-2.5')", {0: -2.5}),
    ("0:(cos(t/(max_f/6.28)))", {0: 1, 119: math.cos(6.28)}),
    ("0:(floor(t/10)%2)", {5: 0, 15: 1, 25: 0}),
    ("0:(-t%10)", {3: -3, 13: -3}),
]


@pytest.mark.parametrize(("text", "numbers"), WRITTEN, ids=[text for text, _ in WRITTEN])
def test_strings_of_other_programs_are_what_they_define(
    text: str, numbers: dict[int, float]
) -> None:
    curve = Curve.parse(text, "zoom")
    for frame, number in numbers.items():
        assert curve.at(frame, **OF) == pytest.approx(number, abs=1e-9), frame
    again = Curve.parse(str(curve), "zoom")
    assert again == curve
    assert again.over(**OF) == curve.over(**OF)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("0:(0), 30:(5), 60:(-5), 90:(0) cubic", "cubic"),
        ("0:(0), 30:(5), 60:(-5), 90:(0) quadratic", "quadratic"),
        ("0:(0), 30:(5), 60:(-5) cubic", "quadratic"),
        ("0:(0), 30:(5) cubic", "linear"),
        ("0:(0), 30:(5) Quadratic", "linear"),
        ("20:(0), 30:(5), 60:(-5), 90:(0), 110:(1) cubic", "cubic"),
    ],
)
def test_splines_are_deforums(text: str, kind: str) -> None:
    interpolate = pytest.importorskip("scipy.interpolate")
    known = {int(a): float(b) for a, b in re.findall(r"(\d+):\((.*?)\)", text)}
    known.setdefault(119, known[max(known)])
    known.setdefault(0, known[min(known)])
    frames = sorted(known)
    # As pandas does it between the known frames, of which the first and the last are two.
    true = interpolate.interp1d(frames, [known[frame] for frame in frames], kind=kind)
    found = Curve.parse(text, "angle").over(**OF)
    assert found == pytest.approx([float(true(frame)) for frame in range(120)], abs=1e-9)


def test_frames_of_a_formula_are_known_to_the_spline() -> None:
    pytest.importorskip("scipy")
    curve = Curve.parse("0:(t), 50:(50), 70:(70), 90:(t) cubic", "angle")
    assert curve.over(**OF) == pytest.approx(list(range(120)), abs=1e-6)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1.01", {0: 1.01, 119: 1.01}),
        ("101%", {0: 1.01}),
        ("0:(101%), 10:(103%)", {5: 1.02}),
        ("0%:(1), 100%:(2)", {0: 1, 119: 2}),
        ("linear(1, 2)", {0: 1, 119: 2}),
        ("cosine(1, 2)", {0: 1, 119: 2}),
        ("constant(3)", {7: 3}),
        ("0:(1), 10:(2) step", {9: 1, 10: 2}),
        ("0:(1), 10:(3) cosine", {5: 2}),
        ("1 + 0.05*beat", {0: 1}),
        ("sec", {0: 0, 6: 0.5}),
        ("t/fps", {6: 0.5}),
        ("2*t linear", {6: 12}),
        ("0:(0), 240:(240)", {60: 60}),  # a film that is longer has the same frames
    ],
)
def test_curves_of_our_own(text: str, numbers: dict[int, float]) -> None:
    curve = Curve.parse(text, "zoom")
    for frame, number in numbers.items():
        assert curve.at(frame, **OF) == pytest.approx(number, abs=1e-12)
    assert Curve.parse(str(curve), "zoom") == curve


@pytest.mark.parametrize(
    "text", ["0:(1), 30:(2)", "0%:(1), 50%:(3) cosine", "linear(1, 0.1)", "3:(1), 9:(4) step"]
)
def test_every_schedule_is_a_curve(text: str) -> None:
    schedule, curve = Schedule.parse(text), Curve.parse(text)
    assert curve.over(**OF) == [schedule.at(frame, 120) for frame in range(120)]


def test_the_sound_is_heard() -> None:
    curve = Curve.parse("1 + 0.05*beat - bass*treble")
    assert curve.hears
    assert curve.at(3, **OF, sound={"beat": 1.0, "bass": 0.5}) == pytest.approx(1.05)
    assert curve.over(2, fps=12, seed=0, sound={"beat": [0, 1]}) == pytest.approx([1, 1.05])
    assert not Curve.parse("1 + 0.05*t").hears


PIECES = [
    *("", " ", ":", "0:", ":(1)", "0:()", "0:(", "0:)", "0:(1),,", ",0:(1)", "0:(1), 0:(2)"),
    *("0:(1), 1:", "0:(1), 1", "0:(1); 1:(2)", "0:(1)|1:(2)", "0:(1), x:(2)", "0:(1), t:(2)"),
    *("-1:(1)", "0.5:(1)", "1e9:(1)", "101%:(1)", "-1%:(1)", "0:(1) cubicc", "0:(1) cubic cubic"),
    *("0:(1) 2", "0:(1)(2)", "0:(1:2)", "0:(1), 5:(t", "[0:(1)]", "{0: 1", "0=(1)", "0->(1)"),
    *("linear(1)", "linear(1, 2", "linear(1, 2, 3)", "constant()", "bezier(1, 2)", "cosine(t, 2)"),
    *("0:(t+)", "0:(t", "0:(zoom)", "0:(sin t)", "0:(t**)", "0:(where(t>1,2))", "0:(1/0)"),
    *("0:(10**10**10)", "0:(__import__('os').system('ls'))", "0:(lambda: 1)", "0:(t.__class__)"),
    *("0:([x for x in t])", "0:(f'{t}')", "0:((t:=1))", "0:(t if t else 1)", "0:(nan)", "0:(inf)"),
    *("0:(t t)", "0:(2t)", "0:(t^2)", "0:(sinn(t))", "0:(t%)", "0:(!t)", "0:(t).real", "0:(t[0])"),
    *("0:(1e999)", "0:(1,5), 10:(2)", "beat:(1)", "0:(1), max_f+:(2)", "1/0:(1)", "sqrt(-1):(2)"),
]
MALFORMED = [*PIECES, *[f"0:(1.5), 7:(t), {one}" for one in PIECES if one.strip() and one != "0:)"]]
MALFORMED += [f"{one} cubic" for one in PIECES if one.strip()]


def test_there_are_enough_malformed_ones() -> None:
    assert len(set(MALFORMED)) >= 190


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_curve_is_one_line(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Curve.parse(text, "zoom").over(**OF)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("zoom")
    assert len(str(caught.value)) < 400


def test_positions_that_meet_in_a_short_film_are_told() -> None:
    curve = Curve.parse("0:(1), max_f-10:(2), 109:(3)", "zoom")
    with pytest.raises(ConfigError, match="zoom: 109 has two keyframes in a film of 120 frames"):
        curve.over(**OF)
    with pytest.raises(ConfigError, match="zoom: -1 is no frame in a film of 10 frames"):
        curve.over(10, fps=12, seed=0)


def test_splines_do_not_hear() -> None:
    with pytest.raises(ConfigError, match="hear the sound"):
        Curve.parse("0:(beat), 10:(1), 20:(2) cubic", "zoom")


def test_a_keyframe_for_each_frame_is_read() -> None:
    curve = Curve.parse(", ".join(f"{frame}:({frame / 100})" for frame in range(5000)))
    assert curve.at(4321, num_frames=5000, fps=24, seed=0) == 43.21


@pytest.mark.parametrize("text", ["0:(" + " " * 50_000, "(" * 50_000, "0:(" + "1" * 50_000 + "x"])
def test_long_nonsense_is_refused_at_once(text: str) -> None:
    with pytest.raises(ConfigError):
        Curve.parse(text)


def is_one_line(error: ConfigError) -> None:
    assert "\n" not in str(error)


@given(
    text=st.text(max_size=40)
    | st.text("0123456789.:%(), tmaxf+-*/'\"", max_size=60)
    | st.lists(
        st.sampled_from(["0", "5", ":", "(", ")", ",", "t", "%", " ", "cubic", "max_f"])
    ).map("".join)
)
def test_any_text_is_a_curve_or_one_line(text: str) -> None:
    try:
        curve = Curve.parse(text, "zoom")
        numbers = curve.over(20, fps=12, seed=1)
    except ConfigError as error:
        is_one_line(error)
    else:
        assert all(map(math.isfinite, numbers))
        again = Curve.parse(str(curve), "zoom")
        assert again == curve
