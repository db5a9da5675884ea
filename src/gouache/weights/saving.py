"""Writing weights as safetensors, with the model's configuration inside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from gouache.atomic import atomic_path, output_errors
from gouache.errors import OutputError


class PlainConfig:
    """A dataclass of numbers, texts and tuples, as `save_model` keeps it: in JSON's types."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Reads plain values (lists for tuples); unknown names raise `TypeError`."""
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


SCALE = ":scale"  # ends the name of a packed tensor's scales


def save_model(
    path: str | Path,
    state_dict: Mapping[str, Tensor],
    config: Mapping[str, Any],
    half: bool = False,
    packed: bool = False,
) -> None:
    """Writes `state_dict` and `config` (plain JSON values) to `path`; `safe.read_model` reads them.

    The file appears under its name only when it is complete, and equal contents give equal bytes.
    `half` stores matrices and kernels as float16; vectors (norms, biases, priors) stay as they are,
    and so does what float16 cannot hold. `packed` stores them in 8 bits instead, with one scale per
    row (per output channel), which `safe.read_model` undoes. What cannot be written raises
    `OutputError`.
    """
    path = Path(path)
    tensors: dict[str, Tensor] = {}
    for name, tensor in state_dict.items():
        if packed and tensor.ndim >= 2 and tensor.is_floating_point() and tensor.numel():
            tensors[name], tensors[name + SCALE] = _packed(tensor.detach().cpu())
        else:
            tensors[name] = _stored(tensor, half)
    # One metadata key only: safetensors writes several in random order.
    metadata = {"config": json.dumps(dict(config), sort_keys=True)}
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        try:
            save_file(tensors, temporary, metadata=metadata)  # straight from the tensors' memory
        except SafetensorError as error:
            raise OutputError(f"cannot write {path}: {' '.join(str(error).split())}") from None


def _packed(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """int8 values, and the float32 scale of each row by which to multiply them."""
    tensor = tensor.float()
    scale = tensor.flatten(1).abs().amax(1).clamp(min=1e-12) / 127
    values = (tensor / scale.view(-1, *[1] * (tensor.ndim - 1))).round().to(torch.int8)
    return values.contiguous(), scale


def _stored(tensor: Tensor, half: bool) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    if half and tensor.ndim >= 2 and tensor.dtype in (torch.float32, torch.bfloat16):
        small = tensor.half()
        if torch.equal(small.isfinite(), tensor.isfinite()):
            return small
    return tensor


__all__ = ["SCALE", "PlainConfig", "save_model"]
