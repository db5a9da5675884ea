"""Weights in 8 bits: small errors where they are packed, none elsewhere, damage refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from gouache.errors import ModelError
from gouache.weights.safe import read_model
from gouache.weights.saving import SCALE, save_model


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def packed(path: Path, **state: Tensor) -> dict[str, Tensor]:
    """What is read back after packing."""
    save_model(path, state, {"width": 3}, packed=True)
    tensors, config = read_model(path)
    assert config == {"width": 3}
    assert tensors.keys() == state.keys()
    return tensors


@pytest.mark.parametrize("shape", [(7, 50), (6, 5, 3, 3), (1, 1), (2, 3, 4)])
def test_the_error_is_small_beside_the_largest_value_of_each_row(
    shape: tuple[int, ...], tmp_path: Path
) -> None:
    # Rows of very different size: one scale for all of them would drown the small ones.
    sizes = 10.0 ** torch.arange(-3, shape[0] - 3).view(-1, *[1] * (len(shape) - 1))
    weight = random(*shape) * sizes
    found = packed(tmp_path / "m", weight=weight)["weight"]
    assert found.dtype == torch.float32
    assert found.shape == weight.shape
    largest = weight.flatten(1).abs().amax(1)
    assert ((found - weight).flatten(1).abs().amax(1) < 0.01 * largest).all()


def test_a_file_holds_a_byte_per_value_and_a_scale_per_row(tmp_path: Path) -> None:
    packed(tmp_path / "m", weight=random(8, 4, 3, 3))
    stored = load_file(tmp_path / "m")
    assert stored["weight"].dtype == torch.int8
    assert stored["weight" + SCALE].shape == (8,)


def test_what_is_no_float_matrix_stays_as_it_is(tmp_path: Path) -> None:
    state = {
        "table": torch.arange(-6, 6, dtype=torch.int8).view(3, 4),
        "mask": torch.tensor([[True, False]]),
        "count": torch.tensor(7),
        "bias": random(5) * 1e-9,
        "scale": torch.tensor(2.5),
        "empty": torch.zeros(0, 4),
    }
    found = packed(tmp_path / "m", **state)
    for name, value in state.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value), name


def test_rows_of_zeros_and_half_precision(tmp_path: Path) -> None:
    weight = random(3, 8).bfloat16()
    weight[1] = 0
    found = packed(tmp_path / "m", weight=weight)["weight"]
    assert not found[1].any()
    torch.testing.assert_close(found, weight.float(), atol=0.02, rtol=0)


def test_packing_what_was_packed_changes_little(tmp_path: Path) -> None:
    once = packed(tmp_path / "m", weight=random(4, 9))
    twice = packed(tmp_path / "n", **once)
    torch.testing.assert_close(once["weight"], twice["weight"])


@pytest.mark.parametrize("scale", [torch.ones(3), torch.ones(()), torch.ones(4, 1)])
def test_scales_that_do_not_fit_are_refused(scale: Tensor, tmp_path: Path) -> None:
    state = {"weight": torch.ones(4, 5, dtype=torch.int8), "weight" + SCALE: scale}
    save_file(state, tmp_path / "m", metadata={"config": "{}"})
    with pytest.raises(ModelError, match="scales of 'weight' do not fit") as error:
        read_model(tmp_path / "m")
    assert "\n" not in str(error.value)


def test_a_vector_has_no_scales(tmp_path: Path) -> None:
    state = {"bias": torch.ones(4), "bias" + SCALE: torch.ones(4)}
    save_file(state, tmp_path / "m", metadata={"config": "{}"})
    with pytest.raises(ModelError, match="do not fit"):
        read_model(tmp_path / "m")
