"""Reading weights without trusting them.

Files are recognised by their contents. Safetensors hold nothing but numbers; pickles are read by
torch's restricted reader (`weights_only=True`), which creates tensors and plain containers only.
Every way in which a file can be wrong is a `ModelError` of one line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from gouache.errors import ModelError
from gouache.weights.saving import SCALE

Select = Callable[[Collection[str]], Mapping[str, str]]
"""Given all names in a file: which to read, and what to call them."""

PIECE = 16 << 20  # bytes that are read from a mapped file before it is opened anew

# Training frameworks leave objects of these beside the weights (callbacks, hyperparameters). They
# are replaced by `_StandIn`: nothing is imported or run. Objects of anything else are refused.
_BOOKKEEPING = {"pytorch_lightning", "lightning", "lightning_fabric", "omegaconf", "numpy"}
_BOOKKEEPING_NAMES = {"typing.Any", "argparse.Namespace", "collections.defaultdict"} | {
    f"builtins.{name}" for name in ("bool", "dict", "float", "int", "list", "str", "tuple")
}


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds. The tensors are copies in memory: the file may change or go.

    `config` is None unless the file was written by `save_model`.
    """

    tensors: dict[str, Tensor]
    config: dict[str, Any] | None


def read_checkpoint(path: str | Path, select: Select | None = None) -> Checkpoint:
    """Tensors of a safetensors file or of a pickle by `torch.save`, Lightning checkpoints included.

    What `select` does not name is never read. Raises `ModelError` where the file is missing,
    damaged, not a checkpoint, or holds foreign objects.
    """
    path = Path(path)
    select = select or (lambda names: {name: name for name in names})
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except IsADirectoryError:
        raise ModelError(f"{path} is a folder; name the file of weights inside it") from None
    except FileNotFoundError:
        raise ModelError(f"there is no file {path}; check the path") from None
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None
    if start[8:] == b"{":
        return _read_safetensors(path, select)
    if start[:2] in (b"PK", b"\x80\x02"):
        return Checkpoint(_read_pickle(path, select), None)
    raise ModelError(f"{path} is not a checkpoint; expected safetensors or a file by torch.save")


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


def _read_safetensors(path: Path, select: Select) -> Checkpoint:
    tensors: dict[str, Tensor] = {}
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            wanted = list(select(file.keys()).items())
        while wanted:
            with safe_open(str(path), framework="pt") as file:
                wanted = _copy_piece(wanted, file.get_tensor, tensors)
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise ModelError(f"{path} is damaged or incomplete ({_line(error)})") from None
    if "config" not in metadata:
        return Checkpoint(tensors, None)
    try:
        config = json.loads(metadata["config"])
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise ModelError(f"{path}: the configuration inside is not a JSON object; it is damaged")
    return Checkpoint(tensors, config)


def _copy_piece(
    wanted: list[tuple[str, str]], get: Callable[[str], Tensor], into: dict[str, Tensor]
) -> list[tuple[str, str]]:
    """Copies the first tensors of `wanted` out of a mapped file; returns those still to be read.

    Pages of a mapped file count as memory of the process until it is unmapped. So large files are
    opened anew for every `PIECE` bytes: at no time more than that is in memory twice.
    """
    copied = 0
    for number, (name, new) in enumerate(wanted):
        if copied >= PIECE:
            return wanted[number:]
        into[new] = get(name).detach().clone()
        copied += into[new].nbytes
    return []


class _StandIn:
    """Takes the place of an object of a training framework and ignores what it is given."""

    def __init__(self, *args: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def _read_pickle(path: Path, select: Select) -> dict[str, Tensor]:
    state, mapped = _read_state(path)
    wanted = list(select([name for name in state if isinstance(name, str)]).items())
    if not mapped:
        return {new: _plain(path, state, name) for name, new in wanted}
    tensors: dict[str, Tensor] = {}
    while wanted:
        wanted = _copy_piece(wanted, partial(_plain, path, state), tensors)
        state.clear()  # which unmaps the file
        if wanted:
            state, _ = _read_state(path)
    return tensors


def _read_state(path: Path) -> tuple[dict[Any, Any], bool]:
    """The named tensors (and what else is there), and whether they are windows onto the file."""
    content, mapped = _unpickle(path)
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict):
        raise ModelError(f"{path} holds no state_dict; expected a checkpoint of named tensors")
    return state, mapped


def _plain(path: Path, state: Mapping[Any, Any], name: str) -> Tensor:
    """The tensor of that name, if it is one that can be copied without surprise."""
    tensor = state.get(name)
    # A few bytes can claim any shape by strides of zero: copying those would fill the memory.
    if (
        not isinstance(tensor, Tensor)
        or type(tensor) not in (Tensor, nn.Parameter)
        or tensor.layout != torch.strided
        or tensor.device.type != "cpu"
        or not tensor.is_floating_point()
        or tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size()
    ):
        raise ModelError(f"{path}: {name!r:.80} is not a plain tensor of floating-point numbers")
    return tensor


def _unpickle(path: Path) -> tuple[Any, bool]:
    try:
        foreign = torch.serialization.get_unsafe_globals_in_checkpoint(str(path))
    except Exception:
        foreign = []  # of the old format before torch 1.6, or damaged: `torch.load` knows which
    for name in sorted(foreign):
        if name.partition(".")[0] not in _BOOKKEEPING and name not in _BOOKKEEPING_NAMES:
            raise ModelError(
                f"{path} refers to {name!r:.80}; refused, as a checkpoint with more than weights "
                "could run code"
            )
    try:
        with torch.serialization.safe_globals([(_StandIn, name) for name in foreign]):
            return _load(path)
    # A damaged pickle can fail in any way that the unpickler's instructions can.
    except Exception as error:
        raise ModelError(
            f"{path} is damaged, or holds more than weights and is refused ({_line(error)})"
        ) from None


def _load(path: Path) -> tuple[Any, bool]:
    """What the file holds, and whether its tensors are windows onto it."""
    with path.open("rb") as file:
        # Only zip archives can be mapped, and only by a name from which torch guesses nothing else.
        if file.read(2) == b"PK" and path.suffix != ".safetensors":
            return torch.load(str(path), map_location="cpu", weights_only=True, mmap=True), True
        file.seek(0)
        return torch.load(file, map_location="cpu", weights_only=True), False


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:160]


__all__ = ["Checkpoint", "Select", "load_state", "read_checkpoint", "read_model"]
