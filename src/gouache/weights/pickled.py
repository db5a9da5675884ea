"""Checkpoints by `torch.save`, read without running what is in them.

Two formats exist: zip archives (since torch 1.6), and one stream of pickles with the numbers behind
it (before). Both go through `inert`. Objects beside the weights (callbacks, hyperparameters) become
stand-ins; a file that refers to anything from which code could be run is refused.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from gouache.errors import ModelError
from gouache.weights.inert import Name, Refused, StandIn, Walk
from gouache.weights.stored import (
    Described,
    Storage,
    checksum,
    described,
    read_bytes,
    shaped,
    storage_of,
)

MAX_PICKLE_BYTES = 64 << 20  # descriptions of tensors, not the tensors
MAX_SHARING = 4  # times that the bytes of the file may appear in tensors
_MAGIC = 0x1950A86A20F9469CFC6C  # begins a file of the old format
_PROTOCOL = 1001

# Below which names training programs keep the tensors, the likeliest first.
NESTS = (
    "state_dict", "model_state_dict", "model", "module", "network", "net", "vqgan", "vqvae", "vae",
    "clip", "generator", "weights", "params",
)  # fmt: skip
AVERAGES = ("ema", "model_ema", "ema_state_dict", "state_dict_ema", "params_ema", "ema_model")

# Whose objects are bookkeeping: of training programs, and containers. Nothing of them is imported.
_ROOTS = frozenset({
    "pytorch_lightning", "lightning", "lightning_fabric", "lightning_utilities", "torchmetrics",
    "omegaconf", "hydra", "numpy", "collections", "pathlib", "datetime", "decimal", "fractions",
    "uuid", "enum", "dataclasses", "argparse", "typing", "easydict", "addict", "yacs",
    "ml_collections", "box", "munch", "attr",
})  # fmt: skip
_TORCH_ROOTS = ("torch.optim.", "torch.utils.data.", "torch.amp.", "torch.cuda.amp.")
_REBUILT = ("torch._utils._rebuild_", "torch._tensor._rebuild_")
_NAMES = frozenset(
    {
        "types.SimpleNamespace", "types.MappingProxyType", "types.NoneType", "functools.partial",
        "_codecs.encode", "copyreg._reconstructor", "copyreg.__newobj__", "zoneinfo.ZoneInfo",
        "torch.device", "torch.Generator", "torch._C.Generator", "torch.Tensor",
        "torch.nn.parameter.Parameter", "torch.nn.Parameter", "torch.serialization._get_layout",
        "torch.storage.TypedStorage", "torch.storage.UntypedStorage", "torch.distributed.ReduceOp",
    }
    | {f"builtins.{name}" for name in (
        "bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list",
        "object", "range", "set", "slice", "str", "tuple",
    )}
)  # fmt: skip


class NestedWarning(UserWarning):
    """A checkpoint holds the model twice, as trained and averaged."""


class _Checkpoint(Walk):
    """What names mean in a checkpoint; remembers all storages by their keys."""

    def __init__(self) -> None:
        self.storages: dict[str, tuple[int, int]] = {}  # key -> elements, bytes of each

    def refer(self, module: str, name: str) -> Name:
        module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
        found = Name(f"{module} {name}")
        if not _is_known(found):
            raise Refused(_foreign(found))
        return found

    def persistent(self, key: Any) -> Any:
        if not isinstance(key, tuple) or len(key) < 5 or key[0] != "storage":
            raise Refused("it holds a whole model instead of a state_dict")
        _, kind, name, _, length, *view = key
        if any(part is not None for part in view):
            raise ValueError("it has tensors in a format from before 2018")
        storage = storage_of(kind, name, length)
        if storage is not None:
            self.storages[storage.key] = storage.length, storage.dtype.itemsize
            return storage
        if not isinstance(kind, Name) or not kind.text.startswith("torch"):
            raise Refused(f"it refers to {getattr(kind, 'dotted', 'something else')!r:.80}")
        self.storages[str(name)] = int(length), _ODD.get(kind.text, 1)
        return StandIn(kind.dotted)

    def new(self, kind: Any, arguments: Any) -> Any:
        if isinstance(kind, Name) and kind.text.startswith("torch.nn.modules."):
            raise Refused(
                f"it holds a whole model ({kind.text.split()[-1]!r:.40} and more) instead of a "
                "state_dict"
            )
        return super().new(kind, arguments)

    def made(self, maker: Any, arguments: Any) -> Any:
        name = maker.text if isinstance(maker, Name) else ""
        match name:
            case "torch._utils _rebuild_tensor_v2" | "torch._utils _rebuild_tensor":
                if isinstance(arguments[0], Storage):
                    return described(arguments)
                return StandIn(arguments[0].kind)  # of complex or quantised numbers
            case "torch._utils _rebuild_parameter" | "torch._utils _rebuild_parameter_with_state":
                return arguments[0]
            case "torch._tensor _rebuild_from_type_v2":
                inner, kind, inner_arguments = arguments[:3]
                plain = isinstance(kind, Name) and kind.dotted in _NAMES
                return self.made(inner, inner_arguments) if plain else StandIn(name)
            case "collections OrderedDict":
                pairs = arguments[0] if arguments else []
                return {key: value for key, value in pairs if isinstance(key, str)}
            case "torch Size":
                return arguments[0]
        if isinstance(maker, Name) and not _may_be_called(maker) and arguments:
            raise Refused(_foreign(maker))
        return super().made(maker, arguments)


_ODD = {  # bytes of an element
    "torch ComplexDoubleStorage": 16,
    "torch ComplexFloatStorage": 8,
    "torch QInt32Storage": 4,
}


def _foreign(name: Name) -> str:
    return f"it refers to {name.dotted!r:.80}"


def _is_known(name: Name) -> bool:
    """Whether a checkpoint may mention that name.

    Classes of the program that trained the model are fine: they never become anything. Python's
    own library and torch, where the means to do harm are, are known by name.
    """
    module, _, attribute = name.text.partition(" ")
    root = module.partition(".")[0]
    if name.dotted in _NAMES or name.dotted.startswith(_TORCH_ROOTS):
        return True
    if root == "torch":
        return (
            name.dotted.startswith(_REBUILT)
            or module.startswith("torch.nn.modules.")
            or (module == "torch" and (attribute == "Size" or attribute.endswith("Storage")))
            or (module == "torch" and isinstance(getattr(torch, attribute, None), torch.dtype))
        )
    if root == "numpy":
        return module.startswith(("numpy.core", "numpy._core", "numpy.random", "numpy.ma")) or (
            module in ("numpy", "numpy.dtypes")
        )
    if root in sys.stdlib_module_names:  # no method of a class there
        return root in _ROOTS and "." not in attribute
    return root not in ("builtins", "gouache")


def _may_be_called(name: Name) -> bool:
    """Of what a checkpoint may mention: classes, and the functions that make containers."""
    module, _, attribute = name.text.partition(" ")
    known = module.partition(".")[0] in _ROOTS or name.dotted in _NAMES
    is_class = attribute.rpartition(".")[2].lstrip("_")[:1].isupper()
    return known or is_class or name.dotted.startswith(_REBUILT)


@dataclass(frozen=True)
class Place:
    """Where the bytes of a storage are; `crc` is their checksum, 0 where there is none."""

    position: int
    nbytes: int
    crc: int = 0


Select = Callable[[Collection[str]], Mapping[str, str]]


def read_pickled(path: Path, select: Select, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    """The tensors that `select` names, by their new names; everything else is left unread.

    `dtype` is as for `read_tensors`.

    Raises `ModelError` where the file is damaged, not by `torch.save`, refers to foreign things, or
    where a selected tensor is no plain one of floating-point numbers.
    """
    with opened(path, "damaged or incomplete", "a checkpoint with more than weights") as file:
        zipped = file.read(2) == b"PK"
        file.seek(0)
        content, place_of = open_zip(file, _Checkpoint()) if zipped else _open_stream(file)
        state = _named_tensors(content, path)
        wanted = select([name for name in state if isinstance(name, str)])
        leaves = {name: _plain(path, name, state.get(name)) for name in wanted}
        return read_tensors(file, leaves, wanted, place_of, dtype)


@contextlib.contextmanager
def opened(path: Path, wrong: str, foreign: str) -> Iterator[BinaryIO]:
    """The file, for reading what `inert` follows. All that can be wrong with it is a `ModelError`:
    that it is `wrong`, or that it is refused, as `foreign` could run code."""
    try:
        with path.open("rb") as file:
            yield file
    except Refused as error:
        raise ModelError(f"{path}: {error}; refused, as {foreign} could run code") from None
    except ModelError:
        raise
    except FileNotFoundError:
        raise ModelError(f"there is no file {path}; check the path") from None
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None
    # Archives and pickles can be wrong in any way that their readers know.
    except Exception as error:
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise ModelError(f"{path} is {wrong} ({reason})") from None


def read_tensors(
    file: BinaryIO,
    leaves: Mapping[str, Described],
    wanted: Mapping[str, str],
    place_of: Callable[[str], Place],
    dtype: torch.dtype | None = None,
) -> dict[str, Tensor]:
    """The tensors of `leaves` that `wanted` names, by their new names.

    Floating-point numbers become `dtype` as they are read, so that a model is never in memory
    twice; None leaves them as they were stored.
    """
    chosen = {name: leaves[name] for name in wanted}
    size_of_file = file.seek(0, 2)
    if sum(leaf.nbytes for leaf in chosen.values()) > MAX_SHARING * size_of_file:
        raise ValueError("its tensors are many times as large as the file")
    cast = {
        name for name, leaf in chosen.items()
        if dtype not in (None, leaf.dtype) and leaf.dtype.is_floating_point
    }  # fmt: skip
    # One room for all that is cast: many that come and go would leave holes between what stays.
    largest = max((chosen[name].span[1] * chosen[name].dtype.itemsize for name in cast), default=0)
    room = torch.empty(min(largest, size_of_file), dtype=torch.uint8)
    tensors = {}
    for name, leaf in chosen.items():
        first, count = leaf.span
        size = leaf.dtype.itemsize
        place = place_of(leaf.storage.key)
        if place.nbytes < leaf.storage.length * size:
            raise ValueError(f"tensor {leaf.storage.key} is shorter than it should be")
        into = room if name in cast and count * size <= len(room) else None
        values = read_bytes(file, place.position + first * size, count * size, into)
        if place.crc and len(values) == place.nbytes and checksum(values) != place.crc:
            raise ValueError(f"the checksum of {name!r:.60} is wrong")
        tensor = shaped(values, leaf, first)
        tensors[wanted[name]] = tensor.to(dtype) if name in cast else tensor
    return tensors


def _plain(path: Path, name: str, leaf: Any) -> Described:
    """The tensor, if it is one that can be read without surprise."""
    if isinstance(leaf, Described) and leaf.dtype.is_floating_point:
        with contextlib.suppress(ValueError):
            _ = leaf.span
            return leaf
    raise ModelError(f"{path}: {name!r:.80} is not a plain tensor of floating-point numbers")


def _named_tensors(content: Any, path: Path, depth: int = 3) -> dict[Any, Any]:
    """The state dict inside what training programs put around it."""
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds no state_dict; expected a checkpoint of named tensors")
    if "state_dict" in content:
        return _named_tensors(content["state_dict"], path, depth - 1) if depth else {}
    here = _count(content)
    nests = [key for key in NESTS if _count(content.get(key), depth) > here]
    averages = [key for key in AVERAGES if _count(content.get(key), depth) > here]
    if nests and averages:
        warnings.warn(
            f"{path} also holds averaged weights ({averages[0]!r}), which are left out",
            NestedWarning,
            stacklevel=2,
        )
    found = next(iter(nests + averages), None)
    return content if found is None else _named_tensors(content[found], path, depth - 1)


def _count(content: Any, depth: int = 0) -> int:
    """Tensors in a dict, or in one that it holds under one of the usual names."""
    if not isinstance(content, dict):
        return 0
    inner = [_count(content.get(key), depth - 1) for key in (*NESTS, *AVERAGES)] if depth else []
    return max(sum(isinstance(value, Described) for value in content.values()), *inner, 0)


def open_zip(file: BinaryIO, walk: Walk) -> tuple[Any, Callable[[str], Place]]:
    """What an archive by torch describes, followed by `walk`, and where the bytes of a key are."""
    archive = zipfile.ZipFile(file)
    folders = [name[:-8] for name in archive.namelist() if name.endswith("/data.pkl")]
    if not folders:
        raise ValueError("it has no data.pkl; expected an archive by torch.save")
    folder = folders[0]
    order = f"{folder}byteorder"
    if order in archive.NameToInfo and _content(file, archive.getinfo(order)) != b"little":
        raise ValueError("its numbers are big-endian; save it again on a usual machine")
    content = walk.run(_content(file, archive.getinfo(f"{folder}data.pkl")))
    return content, lambda key: _place(file, archive.getinfo(f"{folder}data/{key}"))


def _content(file: BinaryIO, entry: zipfile.ZipInfo) -> bytes:
    place = _place(file, entry)
    if place.nbytes > MAX_PICKLE_BYTES:
        raise ValueError(f"{entry.filename:.40} has more than {MAX_PICKLE_BYTES >> 20} MiB")
    content = read_bytes(file, place.position, place.nbytes)
    if place.crc and checksum(content) != place.crc:
        raise ValueError(f"the checksum of {entry.filename:.40} is wrong")
    return content.numpy().tobytes()


def _place(file: BinaryIO, entry: zipfile.ZipInfo) -> Place:
    # No program that saves models compresses; so no entry can be larger than the file.
    packed = entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1
    if packed or entry.file_size != entry.compress_size:
        raise ValueError(
            f"{entry.filename:.40} is compressed; expected a file as torch.save wrote it"
        )
    file.seek(entry.header_offset)
    header = file.read(30)
    if header[:4] != b"PK\x03\x04" or len(header) < 30:
        raise ValueError(f"{entry.filename:.40} is not where it should be")
    lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    if entry.header_offset + entry.file_size > file.seek(0, 2):
        raise ValueError("it ends too early")
    # torch can be told to leave checksums out; it then writes zeros.
    return Place(entry.header_offset + 30 + lengths, entry.file_size, entry.CRC)


class _Bounded:
    """A file from which no more is asked for than it has: a pickle can claim any length."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        start = file.tell()
        self.size = file.seek(0, 2)
        file.seek(start)
        self.limit = min(self.size, start + MAX_PICKLE_BYTES)

    def read(self, size: int, /) -> bytes:
        return self._file.read(max(0, min(size, self.limit - self.tell())))

    def readline(self) -> bytes:
        return self._file.readline(max(0, self.limit - self.tell()))

    def tell(self) -> int:
        return self._file.tell()


def _open_stream(file: BinaryIO) -> tuple[Any, Callable[[str], Place]]:
    stream = _Bounded(file)
    walk = _Checkpoint()
    magic = walk.run(stream)
    if magic != _MAGIC or type(magic) is not int:
        raise ValueError("a pickle, but not one by torch.save; load it and save it by torch.save")
    if walk.run(stream) != _PROTOCOL:
        raise ValueError("of an unknown version of the format")
    machine = walk.run(stream)
    if isinstance(machine, dict) and not machine.get("little_endian", True):
        raise ValueError("its numbers are big-endian; save it again on a usual machine")
    content = walk.run(stream)
    keys = walk.run(stream)
    if not isinstance(keys, list) or {str(key) for key in keys} != set(walk.storages):
        raise ValueError("its list of storages is another one")
    places: dict[str, Place] = {}
    position = file.tell()
    for key in map(str, keys):
        length, size = walk.storages[key]
        file.seek(position)
        if int.from_bytes(file.read(8), "little") != length or length < 0:
            raise ValueError(f"storage {key:.40} has another length than it should have")
        places[key] = Place(position + 8, length * size)
        position += 8 + length * size
    if position > stream.size:
        raise ValueError("it ends too early")
    return content, places.__getitem__


__all__ = ["NestedWarning", "open_zip", "opened", "read_pickled", "read_tensors"]
