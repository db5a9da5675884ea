"""Learning rates, stages, devices, optimiser helpers."""

import dataclasses
import math

import pytest
import torch

from gouache.engine.optimizer import build_optimizer, clip_per_picture, forget_cells
from gouache.engine.schedule import learning_rate, stage_at, steps_per_stage
from gouache.errors import ConfigError
from gouache.networks.devices import autocast_dtype, resolve_device
from gouache.settings.config import OptimizerConfig

CONFIG = OptimizerConfig(learning_rate=0.2, lr_schedule="linear", lr_warmup=4, lr_final=0.5)


def rates(num_steps: int, **changes: object) -> list[float]:
    config = dataclasses.replace(CONFIG, **changes)  # type: ignore[arg-type]
    return [learning_rate(config, step, num_steps) for step in range(num_steps)]


def test_warmup_then_line_to_the_last_step() -> None:
    found = rates(9)
    assert found[:4] == pytest.approx([0.05, 0.1, 0.15, 0.2])
    assert found[4:] == pytest.approx([0.2, 0.175, 0.15, 0.125, 0.1])


def test_cosine_has_the_same_ends_and_middle() -> None:
    found = rates(9, lr_schedule="cosine")[4:]
    assert found[0] == pytest.approx(0.2)
    assert found[2] == pytest.approx(0.15)
    assert found[-1] == pytest.approx(0.1)
    assert found[1] == pytest.approx(0.1 + 0.1 * (1 + math.cos(math.pi / 4)) / 2)


def test_constant_and_short_runs() -> None:
    assert rates(6, lr_schedule="constant", lr_warmup=0) == [0.2] * 6
    assert rates(2) == pytest.approx([0.1, 0.2])  # shorter than its warm-up
    assert rates(1) == [0.2]
    assert all(rate > 0 for n in range(1, 20) for rate in rates(n, lr_final=0.01))


def test_stages() -> None:
    assert steps_per_stage((5,), 3) == (5, 5, 5)
    assert steps_per_stage((5, 6), 2) == (5, 6)
    assert [stage_at(step, (2, 1, 3)) for step in range(8)] == [0, 0, 1, 2, 2, 2, 2, 2]
    with pytest.raises(ConfigError, match="one per stage"):
        steps_per_stage((5, 6), 1)


def test_devices_and_precision() -> None:
    cpu = resolve_device("cpu")
    assert cpu.type == "cpu"
    assert resolve_device("auto").type in ("cpu", "cuda", "mps")
    for bad in ("", "gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:0", "mps:1", "cuda:\u0661"):
        with pytest.raises(ConfigError):
            resolve_device(bad)
    assert autocast_dtype("fp32", cpu) is None
    assert autocast_dtype("bf16", cpu) is torch.bfloat16
    assert autocast_dtype("auto", cpu) in (None, torch.bfloat16)


def test_gradients_are_clipped_per_picture_over_all_tensors() -> None:
    gradients = [torch.zeros(3, 2), torch.zeros(3, 1, 1)]
    gradients[0][:, 0] = torch.tensor([3.0, 0.3, 0.0])
    gradients[1][:, 0, 0] = torch.tensor([4.0, 0.4, 0.0])
    clipped = clip_per_picture(gradients, 1.0)
    assert clipped[0][:, 0].tolist() == pytest.approx([0.6, 0.3, 0.0])
    assert clipped[1].flatten().tolist() == pytest.approx([0.8, 0.4, 0.0])


def test_moments_of_another_resolution_are_forgotten_where_cells_are() -> None:
    fine = torch.ones(1, 2, 4, 4, requires_grad=True)
    coarse = torch.ones(1, 2, 2, 2, requires_grad=True)
    flat = torch.ones(2, 5, requires_grad=True)  # two pictures without a grid
    optimizer = build_optimizer("adam", [fine, coarse], 0.1)
    (fine.sum() + coarse.sum()).backward()
    optimizer.step()
    cells = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    cells[..., 0, 3] = True
    forget_cells(optimizer, cells)
    assert optimizer.state[fine]["exp_avg"][0, 0].eq(0).nonzero().tolist() == [[0, 3]]
    assert optimizer.state[coarse]["exp_avg"][0, 0].eq(0).nonzero().tolist() == [[0, 1]]
    optimizer = build_optimizer("SGD", [flat], 0.1)
    optimizer.param_groups[0]["momentum"] = 0.9
    flat.sum().backward()
    optimizer.step()
    cells = torch.tensor([True, False]).view(2, 1, 1, 1).expand(2, 1, 4, 4)
    forget_cells(optimizer, cells)
    assert optimizer.state[flat]["momentum_buffer"].any(1).tolist() == [False, True]
