"""Muon: orthogonal steps for matrices, AdamW's for the rest, and a state that goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gouache_training.muon import Muon, orthogonalized


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def near_one(matrix: Tensor) -> bool:
    values = torch.linalg.svdvals(matrix.float())
    return bool(values.min() > 0.65 and values.max() < 1.25)


@pytest.mark.parametrize("shape", [(96, 24), (24, 96), (16, 40), (1, 9)])
@pytest.mark.parametrize("size", [1e-3, 30.0])
def test_singular_values_come_near_one(shape: tuple[int, int], size: float) -> None:
    matrix = random(*shape) * size
    found = orthogonalized(matrix)
    assert found.shape == matrix.shape
    assert found.dtype == matrix.dtype
    assert near_one(found)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    nearest = left @ right
    assert (found * nearest).sum() > 0.95 * found.norm() * nearest.norm()


def test_a_matrix_of_zeros_stays_zero() -> None:
    assert not orthogonalized(torch.zeros(20, 30)).any()


def first_update(parameter: nn.Parameter, gradient: Tensor, lr: float = 0.1) -> Tensor:
    before = parameter.detach().clone()
    parameter.grad = gradient.clone()
    Muon([parameter], lr=lr).step()
    return parameter.detach() - before


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_kernels_are_matrices_of_their_output_channels(layout: torch.memory_format) -> None:
    """Of the size that AdamW's steps usually have (arXiv 2502.16982, section 2.2)."""
    gradient = random(24, 8, 3, 3)
    kernel = nn.Parameter(random(24, 8, 3, 3, seed=1).to(memory_format=layout))
    update = first_update(kernel, gradient.to(memory_format=layout))
    assert near_one(update.reshape(24, 72) / (-0.1 * 0.2 * 72**0.5))
    plain = first_update(nn.Parameter(random(24, 72, seed=1)), gradient.view(24, 72))
    torch.testing.assert_close(update.reshape(24, 72), plain)
    # rows of an orthogonal (24,72) matrix have length 1: the root mean square is 0.2 lr
    assert float(update.square().mean().sqrt()) == pytest.approx(0.02, rel=0.2)


SMALL: list[tuple[int, ...]] = [(), (5,), (3, 40), (40, 3), (8, 1, 2, 2)]


def test_what_is_no_large_matrix_takes_steps_of_adamw() -> None:
    mine = [nn.Parameter(random(*shape)) for shape in SMALL]
    theirs = [nn.Parameter(p.detach().clone()) for p in mine]
    muon = Muon(mine, lr=0.03, betas=(0.8, 0.97), weight_decay=0.1)
    adamw = torch.optim.AdamW(theirs, lr=0.03, betas=(0.8, 0.97), weight_decay=0.1)
    for step in range(5):
        for one, two in zip(mine, theirs, strict=True):
            one.grad = random(*one.shape, seed=step)
            two.grad = one.grad.clone()
        muon.step()
        adamw.step()
    for one, two in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, two)


def test_weights_decay_whatever_the_gradient() -> None:
    matrix = nn.Parameter(torch.ones(20, 20))
    matrix.grad = torch.zeros(20, 20)
    Muon([matrix], lr=0.1, weight_decay=0.5).step()
    torch.testing.assert_close(matrix.detach(), torch.full((20, 20), 0.95))


def test_what_has_no_gradient_stays() -> None:
    matrix = nn.Parameter(torch.ones(20, 20))
    Muon([matrix], lr=0.1, weight_decay=0.5).step()
    assert torch.equal(matrix.detach(), torch.ones(20, 20))


class Fit:
    """Least squares with a matrix, a kernel's worth of bias and a scale without dimensions."""

    def __init__(self, lr: float = 0.02) -> None:
        self.inputs = random(128, 24)
        self.wanted = self.inputs @ random(24, 20, seed=1) + random(20, seed=2)
        self.weight = nn.Parameter(torch.zeros(24, 20))
        self.bias = nn.Parameter(torch.zeros(20))
        self.scale = nn.Parameter(torch.tensor(0.5))
        self.optimizer = Muon([self.weight, self.bias, self.scale], lr=lr)

    def loss(self) -> Tensor:
        found = self.scale * (self.inputs @ self.weight) + self.bias
        return (found - self.wanted).square().mean()

    def train(self, steps: int) -> float:
        for _ in range(steps):
            self.optimizer.zero_grad()
            self.loss().backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
        return float(self.loss().detach())

    def state(self) -> dict[str, object]:
        parameters = [p.detach() for p in (self.weight, self.bias, self.scale)]
        return {"parameters": parameters, "optimizer": self.optimizer.state_dict()}


def test_a_loss_goes_down() -> None:
    fit = Fit()
    before = float(fit.loss().detach())
    assert fit.train(150) < 0.1 * before
    assert fit.scale.detach() != 0.5


def test_a_restored_optimiser_goes_on_identically(tmp_path: Path) -> None:
    whole = Fit()
    whole.train(4)
    torch.save(whole.state(), tmp_path / "state")
    whole.train(4)
    content = torch.load(tmp_path / "state", weights_only=True)
    again = Fit(lr=7.0)  # the rate comes from the state too
    again.optimizer.load_state_dict(content["optimizer"])
    with torch.no_grad():
        for mine, saved in zip(
            (again.weight, again.bias, again.scale), content["parameters"], strict=True
        ):
            mine.copy_(saved)
    again.train(4)
    assert torch.equal(again.weight, whole.weight)
    assert torch.equal(again.bias, whole.bias)
    assert torch.equal(again.scale, whole.scale)
