"""Ranking and comparing: what is counted, with which intervals, and what is refused."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gouache.errors import ConfigError
from gouache.intervals import mean, share, wilson
from gouache.ops.images import load_image
from gouache.runs.executors import Inline
from gouache.sweeps.folder import Row, read, write_scores
from gouache.sweeps.judging import Judge, with_words
from gouache.sweeps.ranking import compare, rank
from gouache.sweeps.sheets import draw_sheet, write_page
from sweep_painter import some_cells, sweep
from tiny import TinyPerceptor


def row(prompt: str, seed: int, rate: str, **others: str) -> Row:
    varies = {"learning_rate": rate, **others}
    return Row(f"{prompt}{seed}{rate}{others}", prompt, seed, varies, "cells/x.png")


def test_wilson_is_as_published() -> None:
    """Wilson 1927; the values of Brown, Cai and DasGupta 2001 for such shares."""
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-3)
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-3)
    assert wilson(0, 0) == (0.0, 1.0)
    assert math.isnan(share(0, 0).value)


def test_a_mean_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(100):
        found = mean([list(rng.normal(2.0, 1.0, 4)) for _ in range(12)])
        inside += found.low <= 2.0 <= found.high
    assert 85 <= inside <= 100
    again = [[1.0, 2.0], [3.0]]
    assert mean(again) == mean(again)
    assert math.isnan(mean([[1.0]]).low)
    assert mean([]).number == 0
    assert json.dumps(mean([]).plain())


@pytest.mark.parametrize("number", [2, 3, 4, 8, 19])
@pytest.mark.parametrize("each", [1, 3])
def test_few_values_are_as_certain_as_they_can_be(number: int, each: int) -> None:
    """By the bootstrap every second two pairs and every sixth four would be a difference."""
    if number < 5 and each > 1:
        pytest.skip("values of few groups are taken one by one")
    rng = np.random.default_rng(2)
    found = [mean([[v] * each for v in rng.normal(0.0, 1.0, number)]) for _ in range(400)]
    assert all(one.low <= one.value <= one.high for one in found)
    wrong = sum(one.low > 0 or one.high < 0 for one in found)
    assert 8 <= wrong <= 36, "5 %, give or take 4"


def test_values_of_a_group_are_drawn_together() -> None:
    """Ten seeds of a prompt that agree are not ten times as certain as one."""
    alike = [[value] * 10 for value in (0.1, 0.5, 0.9, 0.3, 0.7, 0.2)]
    wide, narrow = mean(alike), mean([[v for group in alike for v in group]])
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_pairs_have_all_else_the_same() -> None:
    rows = [
        row(prompt, seed, rate, latent=latent)
        for prompt in ("a", "b")
        for rate in ("0.1", "0.2")
        for latent in ("x", "y")
        for seed in (0, 1)
    ]
    liked = {"0.1": 0.0, "0.2": 0.5}
    scores = {r.name: r.seed + (r.prompt == "b") + liked[r.varies["learning_rate"]] for r in rows}
    axes = ["learning_rate", "latent"]
    (better,) = compare(rows, scores, axes, "learning_rate", "me")
    assert (better.value, better.against, better.score.number) == ("0.2", "0.1", 8)
    assert better.score.value == better.score.low == better.score.high == pytest.approx(0.5)
    assert better.better.value == 1
    assert better.verdict == "0.2 is better"
    (worse,) = compare(rows, scores, axes, "learning_rate", "me", against="0.2")
    assert worse.verdict == "0.1 is worse"
    (same,) = compare(rows, scores, axes, "latent", "me")
    assert same.verdict == "no difference is certain"
    assert same.better.value == 0
    missing = [r for r in rows if r.varies["learning_rate"] == "0.1" or r.seed == 0]
    assert compare(missing, scores, axes, "learning_rate", "me")[0].score.number == 4


def test_pictures_that_are_alike_in_all_count_together() -> None:
    """Painted alone and in a batch, say: neither is taken in silence."""
    rows = [row("a", 0, "0.1"), row("a", 0, "0.2"), replace(row("a", 0, "0.2"), name="again")]
    scores = {rows[0].name: 0.1, rows[1].name: 0.2, "again": 0.6}
    (found,) = compare(rows, scores, ["learning_rate"], "learning_rate", "tiny")
    assert (found.score.value, found.score.number) == (pytest.approx(0.3), 1)


def test_what_cannot_be_compared_is_refused() -> None:
    rows = [row("a", 0, "0.1"), row("a", 1, "0.2")]
    scores = dict.fromkeys((one.name for one in rows), 0.0)
    with pytest.raises(ConfigError, match="has a partner"):
        compare(rows, scores, ["learning_rate"], "learning_rate", "me")
    with pytest.raises(ConfigError, match="one value only"):
        compare(rows[:1], scores, ["learning_rate"], "learning_rate", "me")
    with pytest.raises(ConfigError, match="is never"):
        compare(rows, scores, ["learning_rate"], "learning_rate", "me", against="0.3")
    with pytest.raises(ConfigError, match="learning_rate"):
        compare(rows, scores, ["learning_rate"], "learning", "me")
    with pytest.raises(ConfigError, match="nothing varies"):
        compare(rows, scores, [], "steps", "me")
    with pytest.raises(ConfigError, match="no picture has a prompt"):
        with_words([row("", 0, "0.1")])


@pytest.fixture
def painted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    sweep(tmp_path, Inline(), some_cells(16))
    tiny = TinyPerceptor()
    tiny.fingerprint = "d" * 64
    monkeypatch.setattr("gouache.sweeps.judging.shared_perceptor", lambda name, device: tiny)
    return tmp_path


def test_a_judge_ranks_the_settings(painted: Path) -> None:
    folder = read(painted)
    rows = folder.sorted_rows()
    judge = Judge("tiny", rows, "cpu")
    judge.see(painted, rows)
    first, second = rank(rows, judge, folder.axes())
    assert {first.varies["learning_rate"], second.varies["learning_rate"]} == {"0.1", "0.2"}
    assert first.score.value >= second.score.value
    own = [r for r in rows if r.varies == first.varies]
    assert first.score.value == pytest.approx(sum(map(judge.score, own)) / 8)
    assert first.best.value + second.best.value == 1, "of each prompt and seed one is best"
    assert first.named is not None
    assert first.named.number == 8
    assert 0 <= first.diversity.value <= 2
    assert first.diversity.number == 2 * 6  # pairs of 4 seeds, of 2 prompts


def test_who_guided_does_not_judge(painted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guide = TinyPerceptor()  # whose sum is in the files
    monkeypatch.setattr("gouache.sweeps.judging.shared_perceptor", lambda name, device: guide)
    with pytest.raises(ConfigError, match="guided these pictures"):
        Judge("tiny", read(painted).sorted_rows(), "cpu")


def test_sheet_and_page_show_all(painted: Path) -> None:
    folder = read(painted)
    rows, axes = folder.sorted_rows(), folder.axes()
    sheet = load_image(draw_sheet(painted, rows, axes))
    assert sheet.height > 8 * 8  # a row for each prompt and seed
    scores = {"</script><b>": {rows[0].name: 0.5}}
    page = write_page(painted, rows, axes, scores).read_text()
    assert page.count("data:image/jpeg;base64,") == 16
    assert "</script><b>" not in page
    data = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    told = json.loads(data[1])
    assert told["judges"] == ["</script><b>"]
    assert [cell["scores"] for cell in told["cells"]] == [[0.5]] + [[None]] * 15
    assert told["cells"][0]["picture"] == rows[0].picture


def test_scores_stay_when_more_is_painted(painted: Path) -> None:
    name = some_cells(16)[0].name
    write_scores(painted, {"me": {name: 0.5}})
    sweep(painted, Inline(), some_cells(24))
    header, *lines = (painted / "results.csv").read_text().splitlines()
    assert "judge me" in header
    assert len(lines) == 24
    assert next(line for line in lines if ",0.5," in line).startswith(name)
