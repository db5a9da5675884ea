"""Laws of weights kept in the processor's order: torch's numbers, those of the weights as they are
now, and nothing kept of weights that are gone."""

from __future__ import annotations

import gc

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gouache.ops import onednn
from gouache.ops.frozen import conv
from gouache.ops.onednn import convolve, turned

ONE = (1, 1)


def numbers(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def near(found: Tensor, wanted: Tensor) -> bool:
    """Up to the rounding of sums."""
    loose = 0.05 if wanted.dtype == torch.bfloat16 else 1e-4
    return found.shape == wanted.shape and torch.allclose(found, wanted, loose, loose)


def kept() -> int:
    return sum(len(orders) for _, orders in onednn._ORDERS._found.values())


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(
    ("kernel", "padding"), [(1, (0, 0)), (3, (1, 1)), (3, (0, 2)), (5, (2, 1))]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_there_and_back_are_torchs(
    groups: int, kernel: int, padding: tuple[int, int], dtype: torch.dtype
) -> None:
    x, bias = numbers(2, 4, 9, 8, dtype=dtype), numbers(8, seed=1, dtype=dtype)
    weight = numbers(8, 4 // groups, kernel, kernel, seed=2, dtype=dtype)
    expected = F.conv2d(x, weight, bias, 1, padding, 1, groups)
    for _ in range(2):  # as it is put in order, and as it is kept
        plain = convolve(x, weight, bias, ONE, padding, groups)
        assert near(plain, expected)
        clamped = convolve(x, weight, bias, ONE, padding, groups, relu6=True)
        assert torch.equal(clamped, F.relu6(plain))
    around = (kernel - 1 - padding[0], kernel - 1 - padding[1])
    found = convolve(expected, weight, None, ONE, around, groups, back=True)
    wanted = F.conv_transpose2d(expected, weight, None, 1, padding, 0, groups)
    assert near(found, wanted)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_turned_twice_is_the_weight(groups: int) -> None:
    weight = numbers(8, 4 // groups, 3, 5)
    assert turned(weight, groups).shape == (4, 8 // groups, 3, 5)
    assert torch.equal(turned(turned(weight, groups), groups), weight)


def test_weights_that_change_are_put_in_order_anew() -> None:
    layer = nn.Conv2d(4, 4, 3).requires_grad_(False)
    x = numbers(1, 4, 6, 6).requires_grad_()
    for change in (
        lambda: None,
        lambda: layer.weight.mul_(2),  # in place
        lambda: setattr(layer.weight, "data", layer.weight.data * 3),
        lambda: layer.load_state_dict({"weight": numbers(4, 4, 3, 3), "bias": numbers(4)}),
    ):
        change()
        out = conv(layer, x)
        torch.testing.assert_close(out, layer(x.detach()))
        (gradient,) = torch.autograd.grad(out.sum(), x)
        wanted = F.conv_transpose2d(torch.ones_like(out), layer.weight)
        torch.testing.assert_close(gradient, wanted)


def test_orders_are_kept_for_a_few_sizes_and_die_with_their_weight() -> None:
    gc.collect()
    before = kept()
    layer = nn.Conv2d(4, 4, 3).requires_grad_(False)
    for _ in range(3):
        conv(layer, numbers(1, 4, 6, 6).requires_grad_())
    assert kept() - before == 1
    for side in range(6, 16):
        conv(layer, numbers(1, 4, side, side).requires_grad_())
    assert 1 < kept() - before <= 4
    layer.weight.mul_(1)
    conv(layer, numbers(1, 4, 6, 6).requires_grad_())
    assert kept() - before == 1
    del layer
    gc.collect()
    assert kept() == before


def test_without_the_operations_it_is_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onednn, "_is_ours", lambda x: False)
    x, weight = numbers(1, 4, 6, 6), numbers(4, 4, 3, 3, seed=1)
    before = kept()
    assert torch.equal(convolve(x, weight, None, ONE, ONE), F.conv2d(x, weight, None, 1, 1))
    clamped = convolve(x, weight, None, ONE, ONE, relu6=True)
    assert torch.equal(clamped, F.relu6(F.conv2d(x, weight, None, 1, 1)))
    found = convolve(x, weight, None, ONE, ONE, back=True)
    torch.testing.assert_close(found, F.conv_transpose2d(x, weight, None, 1, 1))
    assert kept() == before


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_other_numbers_are_torchs(dtype: torch.dtype) -> None:
    x, weight = numbers(1, 4, 6, 6, dtype=dtype), numbers(4, 4, 3, 3, seed=1, dtype=dtype)
    assert torch.equal(convolve(x, weight, None, ONE, ONE), F.conv2d(x, weight, None, 1, 1))


def test_no_picture_is_no_picture() -> None:
    empty = convolve(numbers(0, 4, 6, 6), numbers(4, 4, 3, 3), None, ONE, ONE)
    assert empty.shape == (0, 4, 6, 6)
