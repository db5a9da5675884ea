"""Laws of convolutions with frozen weights: torch's values and gradients, and no input kept."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gouache.networks.memory import kept_bytes
from gouache.ops.frozen import conv, conv_relu6


def layer(kernel: int, stride: int = 1, padding: int = 0, **options: object) -> nn.Conv2d:
    torch.manual_seed(0)
    made = nn.Conv2d(4, 6, kernel, stride, padding, **options)  # type: ignore[arg-type]
    return made.requires_grad_(False)


def picture(dtype: torch.dtype = torch.float32) -> Tensor:
    rng = torch.Generator().manual_seed(1)
    return torch.randn(2, 4, 13, 10, generator=rng).to(dtype).requires_grad_()


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(3, 1, 1), (1, 1, 0), (4, 2, 1), (3, 2, 0), (5, 3, 2)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_values_and_gradients_are_torchs(
    kernel: int, stride: int, padding: int, dtype: torch.dtype
) -> None:
    made, x = layer(kernel, stride, padding).to(dtype), picture(dtype)
    expected, found = made(x), conv(made, x)
    assert torch.equal(found, expected)
    pull = torch.randn(expected.shape, generator=torch.Generator().manual_seed(2)).to(dtype)
    (wanted,) = torch.autograd.grad(expected, x, pull)
    (got,) = torch.autograd.grad(found, x, pull)
    assert got.shape == x.shape
    torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize("stride", [1, 2])
def test_rows_and_columns_have_a_padding_of_their_own(stride: int) -> None:
    made, x = nn.Conv2d(4, 6, 3, stride, (2, 1)).requires_grad_(False), picture()
    expected, found = made(x), conv(made, x)
    torch.testing.assert_close(found, expected)
    (wanted,), (got,) = (torch.autograd.grad(one.square().sum(), x) for one in (expected, found))
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


def test_the_input_is_not_kept() -> None:
    made = layer(3, padding=1)

    def inner(x: Tensor) -> Tensor:
        return conv(made, x * 2)

    def plain(x: Tensor) -> Tensor:
        out: Tensor = made(x * 2)
        return out

    example = picture().detach()
    assert kept_bytes(inner, example) == 0 < kept_bytes(plain, example)


@pytest.mark.parametrize(
    "case", ["trained", "groups", "dilation", "reflect", "autocast", "no_grad"]
)
def test_elsewhere_it_is_the_layer(case: str) -> None:
    options: dict[str, object] = {
        "groups": {"groups": 2},
        "dilation": {"dilation": 2},
        "reflect": {"padding_mode": "reflect"},
    }.get(case, {})
    made, x = layer(3, padding=1, **options), picture()
    made.requires_grad_(case == "trained")
    with (
        torch.autocast("cpu", torch.bfloat16, enabled=case == "autocast"),
        torch.set_grad_enabled(case != "no_grad"),
    ):
        expected, found = made(x), conv(made, x)
    assert found.dtype == expected.dtype
    assert torch.equal(found, expected)
    if case == "trained":
        (gradient,) = torch.autograd.grad(found.square().sum(), made.weight)
        assert float(gradient.abs().sum()) > 0


def test_under_autocast_prepared_weights_decide() -> None:
    made, x = layer(3, padding=1).bfloat16(), picture()
    with torch.autocast("cpu", torch.bfloat16):
        found = conv(made, x)
    assert found.dtype == torch.bfloat16
    (gradient,) = torch.autograd.grad(found.float().sum(), x)
    assert gradient.dtype == torch.float32


def plain_relu6(made: nn.Conv2d, x: Tensor, pads: tuple[int, int, int, int]) -> Tensor:
    return F.relu6(made(F.pad(x, pads)))


@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 1, 2, 2), (0, 1, 0, 1), (1, 2, 0, 3)])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2), (5, 2), (5, 3)])
@pytest.mark.parametrize("single", [False, True], ids=["all", "single"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_with_relu6_values_and_gradients_are_torchs(
    pads: tuple[int, int, int, int], kernel: int, stride: int, single: bool, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    groups = 4 if single else 1
    made = nn.Conv2d(4, 8 if not single else 4, kernel, stride, groups=groups).to(dtype)
    made.requires_grad_(False)
    with torch.no_grad():
        made.weight.mul_(8)  # so that both ends of ReLU6 are reached
    x = picture(dtype)
    expected = plain_relu6(made, x, pads)
    found = conv_relu6(made, x, pads)
    assert 0 < float((expected == 0).float().mean()) < 1
    assert float((expected == 6).float().mean()) > 0
    torch.testing.assert_close(found, expected)
    pull = torch.randn(expected.shape, generator=torch.Generator().manual_seed(2)).to(dtype)
    (wanted,) = torch.autograd.grad(expected, x, pull)
    (got,) = torch.autograd.grad(found, x, pull)
    assert got.shape == x.shape
    coarse = {} if dtype == torch.float32 else {"rtol": 0.05, "atol": 0.25}
    torch.testing.assert_close(got, wanted, **coarse)  # type: ignore[arg-type]


def test_a_convolution_of_single_channels_may_multiply_them() -> None:
    torch.manual_seed(0)
    made = nn.Conv2d(4, 8, 3, 2, groups=4).bfloat16().requires_grad_(False)
    x, pads = picture(torch.bfloat16), (0, 1, 0, 1)
    expected, found = plain_relu6(made, x, pads), conv_relu6(made, x, pads)
    pull = torch.ones_like(expected)
    (wanted,), (got,) = (torch.autograd.grad(one, x, pull) for one in (expected, found))
    torch.testing.assert_close(got, wanted, rtol=0.05, atol=0.05)


def test_with_relu6_neither_input_nor_padding_is_kept() -> None:
    made = layer(3, 2)

    def inner(x: Tensor) -> Tensor:
        return conv_relu6(made, x * 2, (0, 1, 0, 1))

    example = picture().detach()
    out = inner(example)
    assert kept_bytes(inner, example) == out.numel() * out.element_size()


@pytest.mark.parametrize("case", ["trained", "autocast", "no_grad"])
def test_with_relu6_elsewhere_it_is_the_layer(case: str) -> None:
    made, x, pads = layer(3, 2), picture(), (0, 1, 1, 0)
    made.requires_grad_(case == "trained")
    with (
        torch.autocast("cpu", torch.bfloat16, enabled=case == "autocast"),
        torch.set_grad_enabled(case != "no_grad"),
    ):
        expected, found = plain_relu6(made, x, pads), conv_relu6(made, x, pads)
    assert found.dtype == expected.dtype
    assert torch.equal(found, expected)
    if case == "trained":
        (gradient,) = torch.autograd.grad(found.square().sum(), made.weight)
        assert float(gradient.abs().sum()) > 0


def test_with_relu6_under_autocast_prepared_weights_decide() -> None:
    made, x = layer(3, 2).bfloat16(), picture()
    with torch.autocast("cpu", torch.bfloat16):
        expected, found = plain_relu6(made, x, (0, 1, 0, 1)), conv_relu6(made, x, (0, 1, 0, 1))
    assert torch.equal(found, expected)
    (gradient,) = torch.autograd.grad(found.float().sum(), x)
    assert gradient.dtype == torch.float32


def test_with_relu6_without_the_fused_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    made, x = layer(3), picture()
    expected = conv_relu6(made, x)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert torch.equal(conv_relu6(made, x), expected)
