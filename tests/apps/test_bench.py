"""`gouache bench` measures the loops that it says it measures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gouache.apps.cli.main import run
from gouache.engine.optimizer import set_learning_rate
from gouache.errors import ModelError
from gouache_bench.compare import session_of
from gouache_bench.naive import NaiveLoop
from gouache_bench.networks import networks
from gouache_bench.stages import STAGES, count_flops, timed_step
from gouache_bench.workers import Worker
from thing import Thing

QUICK = ["bench", "--size", "32", "--num-cutouts", "2", "--rounds", "1"]

SOURCE = Path(__file__).parents[2] / "src"


def test_a_table_of_both_precisions(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*QUICK, "--no-naive", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["loop"] for row in found["loops"]] == ["gouache, fp32", "gouache, bf16"]
    for row in found["loops"]:
        assert all(second > 0 for second in row["seconds"])
        assert row["seconds"]
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


@pytest.mark.parametrize("chunk", [None, 2])
def test_a_step_taken_apart_is_the_step(chunk: int | None) -> None:
    """The stages end in the latent that a whole step of the same learning rate ends in."""
    whole, apart = (session_of("pocket", 32, 5, "fp32") for _ in range(2))
    for session in (whole, apart):
        session.models.memory.chunk = chunk
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


PUBLISHED = """
import torch
from gouache_bench import networks as module
from gouache_bench.networks import as_published, networks, random_clip

generator, perceptor = networks("pocket")
latent = generator.codebook[:16].T.reshape(1, -1, 4, 4).clone()
rng = torch.Generator().manual_seed(0)
pixels = torch.rand(2, 3, 64, 64, generator=rng)
clip = random_clip()
views = torch.rand(1, 3, 224, 224, generator=rng)


def results():
    out = []
    for function, x in ((generator.decode, latent), (clip.embed_image, views)):
        leaf = x.clone().requires_grad_()
        found = function(leaf)
        pull = torch.linspace(-1, 1, found.shape[-1]).expand_as(found)
        out += [found.detach(), torch.autograd.grad(found, leaf, pull)[0]]
    return out


ours = results()
as_published(generator, perceptor)
exchanged = module.vqgan_blocks.conv is module._layer and module.vqgan.conv is module._layer
for one, other in zip(ours, results(), strict=True):
    scale = float(other.abs().max())
    print(float((one - other).abs().max()) / scale)
print(exchanged, next(generator.parameters()).is_contiguous())
"""


def test_the_published_operations_are_other_ways_to_the_same() -> None:
    """In a process of its own: they stay exchanged. Gradients agree to 1e-4 in float32."""
    program = f"import sys; sys.path.append({str(SOURCE)!r})\n{PUBLISHED}"  # it is in no wheel
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    *errors, last = done.stdout.splitlines()
    assert len(errors) == 4
    assert all(float(error) < 1e-4 for error in errors)
    assert last == "True True"


def test_a_worker_keeps_its_thing_and_hands_errors_on() -> None:
    with Worker(Thing, 5) as worker, Worker(Thing, 0) as other:
        assert [worker.call("add", 2), other.call("add", 1), worker.call("add", 2)] == [7, 1, 9]
        with pytest.raises(TypeError):
            worker.call("add", "x")
    with pytest.raises(ModelError, match="too low"):
        Worker(Thing, -1)


def test_a_worker_that_dies_is_no_riddle() -> None:
    with Worker(Thing, 5) as worker, pytest.raises(RuntimeError, match="memory"):
        worker.call("leave")
