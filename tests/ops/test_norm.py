"""Laws of the fast normalisation: it is torch's, forward and backward, as exact as bf16 allows."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gouache.networks.memory import kept_bytes
from gouache.ops import norm as module
from gouache.ops.norm import norm_silu


@pytest.fixture(autouse=True)
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MIN_NUMBERS", 0)


def layer(channels: int, groups: int) -> nn.GroupNorm:
    rng = torch.Generator().manual_seed(1)
    norm = nn.GroupNorm(groups, channels, eps=1e-6).requires_grad_(False)
    norm.weight.copy_(torch.rand(channels, generator=rng) + 0.5)
    norm.bias.copy_(torch.randn(channels, generator=rng))
    return norm


def both(norm: nn.GroupNorm, x: Tensor, pull: Tensor, *, fast: bool) -> tuple[Tensor, Tensor]:
    x = x.detach().requires_grad_()
    out = norm_silu(norm, x) if fast else F.silu(norm(x))
    return out.detach(), torch.autograd.grad(out, x, pull)[0]


def error(found: Tensor, true: Tensor) -> float:
    return float((found.double() - true).norm() / true.norm())


@pytest.mark.parametrize("offset", [0.0, 30.0])  # a mean far from zero must not eat the digits
@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize(("batch", "channels", "groups"), [(1, 32, 8), (3, 48, 16), (2, 8, 8)])
def test_as_exact_as_the_original(
    batch: int, channels: int, groups: int, channels_last: bool, offset: float
) -> None:
    rng = torch.Generator().manual_seed(0)
    shape = (batch, channels, 12, 20)
    x = (torch.randn(shape, generator=rng) * 2 + offset).bfloat16()
    pull = torch.randn(shape, generator=rng).bfloat16()
    if channels_last:
        x, pull = (t.contiguous(memory_format=torch.channels_last) for t in (x, pull))
    norm = layer(channels, groups)
    true = both(copy.deepcopy(norm).double(), x.double(), pull.double(), fast=False)
    found = both(norm, x, pull, fast=True)
    assert found[0].dtype == found[1].dtype == torch.bfloat16
    assert found[0].shape == found[1].shape == x.shape
    for got, wanted in zip(found, true, strict=True):
        assert error(got, wanted) < 6e-3  # bf16 itself has 2e-3 per rounding


def test_pictures_do_not_mix() -> None:
    x = torch.randn(3, 16, 10, 10, generator=torch.Generator().manual_seed(2)).bfloat16()
    norm = layer(16, 4)
    pull = torch.ones_like(x)
    batch = both(norm, x, pull, fast=True)
    alone = both(norm, x[1:2], pull[1:2], fast=True)
    assert torch.equal(batch[0][1:2], alone[0])
    assert torch.equal(batch[1][1:2], alone[1])


@pytest.mark.parametrize("least", [0, 1 << 30], ids=["large", "small"])
def test_in_float32_it_is_the_original(monkeypatch: pytest.MonkeyPatch, least: int) -> None:
    monkeypatch.setattr(module, "MIN_NUMBERS", least)
    rng = torch.Generator().manual_seed(4)
    x, pull = (torch.randn(2, 16, 9, 7, generator=rng) for _ in range(2))
    norm = layer(16, 4)
    for got, wanted in zip(
        both(norm, x, pull, fast=True), both(norm, x, pull, fast=False), strict=True
    ):
        torch.testing.assert_close(got, wanted, atol=1e-6, rtol=1e-5)


def test_small_pictures_in_bf16_are_at_least_as_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MIN_NUMBERS", 1 << 30)
    rng = torch.Generator().manual_seed(5)
    x, pull = (torch.randn(2, 16, 9, 7, generator=rng).bfloat16() for _ in range(2))
    norm = layer(16, 4)
    true = both(copy.deepcopy(norm).double(), x.double(), pull.double(), fast=False)
    for got, wanted in zip(both(norm, x, pull, fast=True), true, strict=True):
        assert error(got, wanted) < 6e-3


def test_large_pictures_keep_their_input_only() -> None:
    norm, x = layer(16, 4), torch.randn(1, 16, 32, 32)
    assert kept_bytes(lambda y: norm_silu(norm, y * 2), x) < 1.1 * x.nbytes
    assert kept_bytes(lambda y: F.silu(norm(y * 2)), x) > 1.9 * x.nbytes


def test_backward_twice_over_one_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is kept is overwritten going back."""
    x = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(6)).requires_grad_()
    for least in (0, 1 << 30):
        monkeypatch.setattr(module, "MIN_NUMBERS", least)
        out = norm_silu(layer(16, 4), x).square().sum()
        first = torch.autograd.grad(out, x, retain_graph=True)[0]
        assert torch.equal(torch.autograd.grad(out, x)[0], first)


@pytest.mark.parametrize("case", ["no gradient", "trained"])
def test_elsewhere_it_is_the_original(case: str) -> None:
    norm = layer(8, 4)
    x = torch.randn(1, 8, 6, 6, generator=torch.Generator().manual_seed(3))
    if case == "trained":
        norm.requires_grad_(True)
        norm, x = norm.bfloat16(), x.bfloat16()
    out = norm_silu(norm, x)
    assert torch.equal(out, F.silu(norm(x)))
    assert out.requires_grad == (case == "trained")


def test_other_devices_than_cpus_get_plain_layouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their kernels read the memory as it lies; no such device is needed to see what they get."""
    seen: list[Tensor] = []
    monkeypatch.setattr(module, "_DEVICES", frozenset({"meta"}))
    for place, name in (
        (torch, "native_group_norm"),
        (torch.ops.aten, "native_group_norm_backward"),
    ):
        real = getattr(place, name)

        def noted(*given: object, real: Callable[..., Any] = real) -> Any:
            seen.extend(one for one in given if isinstance(one, Tensor) and one.ndim == 4)
            return real(*given)

        monkeypatch.setattr(place, name, noted)
    x = torch.empty(2, 8, 4, 6, device="meta", dtype=torch.bfloat16)
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    out = norm_silu(layer(8, 4).to("meta"), x)
    pull = torch.empty_like(out).contiguous(memory_format=torch.channels_last)
    assert torch.autograd.grad(out, x, pull)[0].dtype == torch.bfloat16
    assert len(seen) == 4  # forward, again going back, and the gradient with its input
    assert all(one.is_contiguous() and one.dtype == torch.float32 for one in seen)
