"""Laws of convolutions with frozen weights: torch's values and gradients, and no input kept."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gouache.networks.memory import kept_bytes
from gouache.ops.frozen import conv


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
