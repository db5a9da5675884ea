"""Reading weights without trusting them.

Files are recognised by their contents. Safetensors hold nothing but numbers; pickles are read as
data (`pickled`). Every way in which a file can be wrong is a `ModelError` of one line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load
from torch import Tensor, nn

from gouache.errors import ModelError
from gouache.ops.allocator import forget_large_blocks
from gouache.weights import gz
from gouache.weights.pickled import read_pickled
from gouache.weights.saving import SCALE

Select = Callable[[Collection[str]], Mapping[str, str]]
"""Given all names in a file: which to read, and what to call them."""

PIECE = 16 << 20  # bytes that are read from a mapped file before it is opened anew


_OTHERS = {  # what people give instead, by its first bytes
    b"<": ": it begins like a web page; download the file again",
    b"version https://git-lfs": " but a pointer to one; fetch the file by: git lfs pull",
    b"\xfd7zXZ": ": it is compressed by xz; unpack it first",
    b"7z\xbc\xaf": ": it is a 7z archive; unpack it first",
    b"\x28\xb5\x2f\xfd": ": it is compressed by zstd; unpack it first",
    b"\x89HDF": ": it holds weights of Keras (HDF5)",
    b"GGUF": ": it holds a language model (GGUF)",
    b"\x93NUMPY": ": it holds an array of NumPy",
}


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds. The tensors are copies in memory: the file may change or go.

    `config` is what `save_model` wrote (or others did under the same name), else None.
    """

    tensors: dict[str, Tensor]
    config: dict[str, Any] | None


def read_checkpoint(
    path: str | Path, select: Select | None = None, dtype: torch.dtype | None = None
) -> Checkpoint:
    """Tensors of a safetensors file, packed by gzip or not, or of a pickle by `torch.save`,
    Lightning checkpoints included.

    What `select` does not name is never read. Floating-point numbers become `dtype` as they are
    read, so that a model never takes more memory than it will; None leaves them as they are stored.
    Raises `ModelError` where the file is missing,
    damaged, not a checkpoint, or holds foreign objects.
    """
    path = Path(path)
    select = select or (lambda names: {name: name for name in names})
    try:
        with path.open("rb") as file:
            start = file.read(512).ljust(9, b"\0")
    except IsADirectoryError:
        raise ModelError(f"{path} is a folder; name the file of weights inside it") from None
    except FileNotFoundError:
        raise ModelError(f"there is no file {path}; check the path") from None
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None
    if start[8:9] == b"{":
        return _read_safetensors(path, select, dtype)
    if start.startswith(gz.MARK):
        return _read_packed(path, select, dtype)
    # Behind the mark of a pickle is the number of its protocol; torch never wrote one below 2.
    if start[:2] == b"PK" or (start[:1] == b"\x80" and 2 <= start[1] <= 5):
        return Checkpoint(read_pickled(path, select, dtype), None)
    if start[257:262] == b"ustar":
        raise ModelError(
            f"{path} is a tar archive, not a checkpoint; unpack it first (a model of torch before "
            "0.2 is one, too: load and save it by a later torch)"
        )
    known = next((what for mark, what in _OTHERS.items() if start.lstrip().startswith(mark)), "")
    raise ModelError(
        f"{path} is not a checkpoint{known}; expected safetensors or a file by torch.save"
    )


def read_model(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and configuration of a file by `save_model`; anything else is a `ModelError`."""
    found = read_checkpoint(path)
    if found.config is None:
        raise ModelError(f"{path} holds no configuration; only files written by gouache do")
    return _unpacked(found.tensors, path), found.config


def _unpacked(tensors: Mapping[str, Tensor], path: str | Path) -> dict[str, Tensor]:
    """Values times scales, where `save_model` packed them into 8 bits."""
    plain: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        scale = tensors.get(name + SCALE)
        if scale is not None:
            if tensor.ndim < 2 or scale.shape != tensor.shape[:1]:
                raise ModelError(f"{path}: the scales of {name!r:.80} do not fit; it is damaged")
            plain[name] = tensor.float() * scale.float().view(-1, *[1] * (tensor.ndim - 1))
        elif not name.endswith(SCALE):
            plain[name] = tensor
    return plain


def load_state(
    module: nn.Module, state: Mapping[str, Tensor], source: str | Path, *, take: bool = False
) -> None:
    """Gives `module` (on the meta device, as a rule) copies of the tensors in `state`, on the CPU.

    Names and shapes must be exactly those of the module, values finite; precision becomes the
    module's. `source` is the path for the `ModelError` otherwise. With `take` the tensors
    themselves are taken out of `state`, a dict that the caller gives up: a large model is then
    never in memory twice.
    """
    expected = module.state_dict()
    if missing := [name for name in expected if name not in state]:
        raise ModelError(
            f"{source} lacks {len(missing)} of {len(expected)} tensors, first {missing[0]!r}; "
            "it belongs to another model or is incomplete"
        )
    if surplus := [name for name in state if name not in expected]:
        raise ModelError(
            f"{source} holds {len(surplus)} tensors that the model has no place for, "
            f"first {surplus[0]!r:.80}; it belongs to another model"
        )
    placed: dict[str, Tensor] = {}
    for name, place in expected.items():
        tensor = state.pop(name) if take and isinstance(state, dict) else state[name]
        if tensor.shape != place.shape:
            raise ModelError(
                f"{source}: {name} has shape {tuple(tensor.shape)}, expected "
                f"{tuple(place.shape)}; weights and configuration do not belong together"
            )
        placed[name] = tensor.detach().to("cpu", place.dtype, copy=not take)
        if not _is_finite(placed[name]):
            raise ModelError(f"{source}: {name} holds NaN or infinite values; the file is damaged")
    module.load_state_dict(placed, assign=True)


def _is_finite(tensor: Tensor) -> bool:
    """Without the copies that `isfinite` makes: of a large embedding they would be the peak."""
    if not tensor.is_floating_point() or not tensor.numel():
        return True
    low, high = tensor.aminmax()  # NaN where any value is
    return bool(low.isfinite() & high.isfinite())


def _read_safetensors(path: Path, select: Select, dtype: torch.dtype | None) -> Checkpoint:
    tensors: dict[str, Tensor] = {}
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            wanted = list(select(file.keys()).items())
        while wanted:
            with safe_open(str(path), framework="pt") as file:
                wanted = _copy_piece(wanted, file.get_tensor, tensors, dtype)
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise ModelError(f"{path} is damaged or incomplete ({_line(error)})") from None
    return Checkpoint(tensors, _config(metadata, path))


def _read_packed(path: Path, select: Select, dtype: torch.dtype | None) -> Checkpoint:
    content = gz.unpack(path)
    if content[8:9] != b"{":
        raise ModelError(
            f"{path} is compressed by gzip and holds no safetensors; unpack it first if it is "
            "something else"
        )
    try:
        found = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        metadata = header.get("__metadata__", {})
        wanted = list(select(found.keys()).items())
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise ModelError(f"{path} is damaged or incomplete ({_line(error)})") from None
    tensors: dict[str, Tensor] = {}
    for name, new in wanted:
        values = found.pop(name)
        tensors[new] = values.to(dtype) if dtype and values.is_floating_point() else values
    del content, found
    forget_large_blocks()
    return Checkpoint(tensors, _config(metadata, path))


def _config(metadata: Mapping[str, str], path: Path) -> dict[str, Any] | None:
    """What `save_model` wrote beside the tensors; None where others wrote them."""
    if "config" not in metadata:
        return None
    try:
        config = json.loads(metadata["config"])
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict) and len(metadata) > 1:
        return None  # others have notes of that name, too; ours are alone
    if not isinstance(config, dict):
        raise ModelError(f"{path}: the configuration inside is not a JSON object; it is damaged")
    return config


def _copy_piece(
    wanted: list[tuple[str, str]],
    get: Callable[[str], Tensor],
    into: dict[str, Tensor],
    dtype: torch.dtype | None,
) -> list[tuple[str, str]]:
    """Copies the first tensors of `wanted` out of a mapped file; returns those still to be read.

    Pages of a mapped file count as memory of the process until it is unmapped. So large files are
    opened anew for every `PIECE` bytes: at no time more than that is in memory twice.
    """
    copied = 0
    for number, (name, new) in enumerate(wanted):
        if copied >= PIECE:
            return wanted[number:]
        mapped = get(name).detach()
        kept = dtype if mapped.is_floating_point() else None
        into[new] = mapped.to(kept or mapped.dtype, copy=True)
        copied += mapped.nbytes
    return []


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:160]


__all__ = ["Checkpoint", "Select", "load_state", "read_checkpoint", "read_model"]
