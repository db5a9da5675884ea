"""Writing weights as safetensors, with the model's configuration inside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import save, save_file
from torch import Tensor

from gouache.atomic import atomic_path, output_errors
from gouache.errors import OutputError
from gouache.weights import gz


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
    step: float | Mapping[str, float] = 0.0,
) -> None:
    """Writes `state_dict` and `config` (plain JSON values) to `path`; `safe.read_model` reads them.

    The file appears under its name only when it is complete, and equal contents give equal bytes.
    `half` stores matrices and kernels as float16; vectors (norms, biases, priors) stay as they are,
    and so does what float16 cannot hold. `packed` stores them in 8 bits instead, with one scale per
    row (per output channel), which `safe.read_model` undoes. As finely as 8 bits can, or in steps
    of `step` times a row's root mean square, if that is coarser: equal steps lose least for their
    size, which is smaller only where `path` ends in `.gz` (`gz`). `step` may be by tensor; those
    that it does not name are kept finely. What cannot be written raises `OutputError`.
    """
    path = Path(path)
    steps = step if isinstance(step, Mapping) else dict.fromkeys(state_dict, step)
    tensors: dict[str, Tensor] = {}
    for name, tensor in state_dict.items():
        if packed and tensor.ndim >= 2 and tensor.is_floating_point() and tensor.numel():
            coarsest = steps.get(name, 0.0)
            tensors[name], tensors[name + SCALE] = _packed(tensor.detach().cpu(), coarsest)
        else:
            tensors[name] = _stored(tensor, half)
    # One metadata key only: safetensors writes several in random order.
    metadata = {"config": json.dumps(dict(config), sort_keys=True)}
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        try:
            if path.suffix == gz.SUFFIX:
                temporary.write_bytes(gz.pack(save(tensors, metadata)))
            else:
                save_file(tensors, temporary, metadata=metadata)  # straight from their memory
        except SafetensorError as error:
            raise OutputError(f"cannot write {path}: {' '.join(str(error).split())}") from None


def _packed(tensor: Tensor, step: float) -> tuple[Tensor, Tensor]:
    """int8 values, and the float32 scale of each row by which to multiply them."""
    rows = tensor.float().flatten(1)
    finest = rows.abs().amax(1).clamp(min=1e-12) / 127
    scale = torch.maximum(finest, step * rows.square().mean(1).sqrt())
    values = (rows / scale[:, None]).round().to(torch.int8)
    return values.view(tensor.shape).contiguous(), scale


def _stored(tensor: Tensor, half: bool) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    if half and tensor.ndim >= 2 and tensor.dtype in (torch.float32, torch.bfloat16):
        small = tensor.half()
        if torch.equal(small.isfinite(), tensor.isfinite()):
            return small
    return tensor


__all__ = ["SCALE", "PlainConfig", "save_model"]
