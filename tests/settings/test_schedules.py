"""Numbers that change over a run."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gouache.errors import ConfigError
from gouache.settings.config import PaintConfig, make_config
from gouache.settings.schedule import MAX_KEYFRAMES, Schedule, numbers_at
from values import schedules


@given(schedules())
def test_what_is_shown_is_read_back(schedule: Schedule) -> None:
    assert Schedule.parse(str(schedule)) == schedule


@given(schedules(), st.integers(0, 2000), st.integers(1, 2000))
def test_it_stays_between_its_values(schedule: Schedule, step: int, num_steps: int) -> None:
    assert min(schedule.values) <= schedule.at(step, num_steps) <= max(schedule.values)


def test_keyframes_are_met_and_joined() -> None:
    schedule = Schedule.parse("0:(1), 50:(2), 60: 0")
    assert [schedule.at(step, 100) for step in (0, 25, 50, 55, 60, 99)] == [1, 1.5, 2, 1, 0, 0]
    late = Schedule.parse("10:(1), 20:(3)")
    assert [late.at(step, 30) for step in (0, 10, 15, 29)] == [1, 1, 2, 3]
    step = Schedule.parse("0:(1), 50:(2) step")
    assert [step.at(at, 100) for at in (0, 49, 50)] == [1, 1, 2]
    cosine = Schedule.parse("0:(0), 100:(1) cosine")
    assert cosine.at(25, 200) == pytest.approx((1 - math.cos(math.pi / 4)) / 2)


def test_over_the_whole_run() -> None:
    line = Schedule.parse("linear(1, 0)")
    assert [line.at(step, 5) for step in range(5)] == [1, 0.75, 0.5, 0.25, 0]
    assert line == Schedule.parse("0%:(1), 100%:(0)")
    assert str(line) == "linear(1, 0)"
    assert line.at(0, 1) == 1
    assert Schedule.parse("cosine(1, 0)").at(2, 5) == pytest.approx(0.5)
    assert {Schedule.parse("constant(3)").at(step, 9) for step in range(9)} == {3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0:(1), 50:(x)", "expected a number at character 12: 0:(1), 50:(^x)"),
        ("0:(1), 50:(2", "expected ')' at character 13: 0:(1), 50:(2^"),
        ("0:(1) 50:(2)", "expected ',' and the next keyframe, or linear, cosine, step at charac"),
        ("0:(1), 50:(2) cosin", "expected one of linear, cosine, step at character 15"),
        ("50:(1), 0:(2)", "expected a position after 50 at character 9"),
        ("0:(1), 50%:(2)", "expected all positions as steps, or all in % at character 8"),
        ("-1:(1)", "expected a whole step from 0 to 1000000 at character 1"),
        ("0.5:(1)", "expected a whole step from 0 to 1000000 at character 1"),
        ("0%:(1), 101%:(1)", "expected a share from 0 to 100 at character 9"),
        ("linear(1)", "expected ',' and the number at the end of the run at character 9"),
        ("linear(1, 2) 3", "expected nothing more at character 14"),
        ("0:(sin(t))", "expected a number at character 4"),
        ("0:(1e999)", "expected a number at character 4"),
        ("__import__('os').abort()", "at character 1"),
        (":", "expected a step, or a share in % at character 1: ^:"),
        (", ".join(f"{k}:(1)" for k in range(MAX_KEYFRAMES + 1)), "at most 1000 keyframes"),
    ],
)
def test_a_mistake_is_one_line_that_points_at_it(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        make_config(learning_rate=text)
    assert message in str(error.value)
    assert str(error.value).startswith("learning_rate: ")
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 300


@given(st.text(alphabet="0123456789.,:()% elinarcostp-+", max_size=40))
def test_whatever_is_written_the_answer_is_one_line(text: str) -> None:
    try:
        schedule = Schedule.parse(text)
    except ConfigError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017
    else:
        assert Schedule.parse(str(schedule)) == schedule


@pytest.mark.parametrize(
    "wrong",
    [
        {"positions": ()},
        {"values": (1.0,)},
        {"values": (1.0, math.inf)},
        {"positions": (5, 5)},
        {"positions": (0.5, 5)},
        {"positions": (-1, 5)},
        {"between": "spline"},
    ],
)
def test_what_is_no_schedule_cannot_be_made(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        replace(Schedule((0, 5), (1.0, 2.0)), **wrong)  # type: ignore[arg-type]


def test_each_of_its_numbers_is_in_the_range_of_the_setting() -> None:
    with pytest.raises(ConfigError, match=r"learning_rate is 200.0 in 0:\(1\), 9:\(200\); expec"):
        make_config(learning_rate="0:(1), 9:(200)")
    with pytest.raises(ConfigError, match=r"cut_pow is 0.0 in .*; expected more than 0"):
        make_config(cut_pow="linear(1, 0)")


def test_only_what_is_read_at_every_step_may_be_one() -> None:
    for name in ("start_scale", "seed", "num_cutouts", "latent_decay"):
        with pytest.raises(ConfigError, match=f"{name} is .*; expected (whole )?number"):
            make_config(**{name: "linear(1, 2)"})


def test_records_hold_the_text() -> None:
    config = make_config(learning_rate="0:(0.1), 50:(0.2)", noise_strength="cosine(0, 0.1)")
    assert config.to_dict()["optimization"]["learning_rate"] == "0:(0.1), 50:(0.2)"
    assert PaintConfig.from_dict(config.to_dict()) == config
    assert config.optimization.learning_rate == Schedule((0, 50), (0.1, 0.2))


def test_settings_at_a_step_are_plain_numbers() -> None:
    config = make_config(tv_weight="0:(0), 10:(1)", cut_pow="linear(1, 2)")
    now = config.at(5, 11)
    assert (now.guidance.tv_weight, now.cutouts.cut_pow) == (0.5, 1.5)
    assert now.latents is config.latents
    plain = make_config()
    assert plain.at(5, 11) is plain
    assert numbers_at(plain.cutouts, 5, 11) is plain.cutouts
