"""`gouache bench` measures the loops that it says it measures."""

from __future__ import annotations

import json
import sys

import pytest
import torch

from gouache.apps.cli.main import run
from gouache.bench.compare import session_of
from gouache.bench.naive import NaiveLoop
from gouache.bench.networks import networks
from gouache.bench.stages import STAGES, count_flops, timed_step
from gouache.engine.optimizer import set_learning_rate
from gouache.errors import ModelError

QUICK = ["bench", "--size", "32", "--num-cutouts", "2", "--rounds", "1"]


def test_a_table_of_both_precisions(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*QUICK, "--no-naive", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["loop"] for row in found["loops"]] == ["gouache, fp32", "gouache, bf16"]
    for row in found["loops"]:
        assert len(row["seconds"]) == 1
        assert set(row["stages"]) == set(STAGES)
        assert row["floor"] > 0
        assert row["memory_gb"] > 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--networks", "huge"], "choose from pocket, full"),
        (["--precision", "fp8"], "write fp32, bf16"),
        (["--size", "100"], "multiple of 16"),
    ],
)
def test_wrong_options_are_one_line(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["bench", *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_step_taken_apart_is_the_step() -> None:
    """The stages end in the latent that a whole step of the same learning rate ends in."""
    whole, apart = (session_of("pocket", 32, 2, "fp32") for _ in range(2))
    for session in (whole, apart):
        session._objective._of_picture.clear()  # the pull on the latent is no stage
    start = whole.latent()
    set_learning_rate(apart._optimizer, whole.learning_rate)
    next(whole)
    timed_step(apart)
    assert not torch.equal(whole.latent(), start)
    torch.testing.assert_close(apart.latent(), whole.latent(), atol=1e-5, rtol=1e-5)


def test_products_are_counted() -> None:
    left = torch.ones(3, 4)
    assert count_flops(lambda: left @ left.T) == 2 * 3 * 4 * 3


def test_the_published_loop_needs_kornia(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kornia", None)
    with pytest.raises(ModelError, match="pip install"):
        NaiveLoop(*networks("pocket"), (32, 32), 2)


def test_the_published_loop_paints() -> None:
    pytest.importorskip("kornia")
    loop = NaiveLoop(*networks("pocket"), (64, 48), 4)
    losses = [loop.step() for _ in range(12)]
    assert sum(losses[-4:]) < sum(losses[:4])
