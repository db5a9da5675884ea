"""Tensors of a TorchScript archive, without running what is in it.

An archive is a zip file: `data.pkl` describes the module tree, `data/N` are the bytes of tensor N,
and `code/` is a program. torch reads it only by compiling that program. Here `data.pkl` goes
through a reader of our own: it has no way to import or to call anything, knows the handful of
names that a module tree is made of, and refuses every other one. The program is never opened.
"""

from __future__ import annotations

import pickletools
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gouache.errors import ModelError
from gouache.weights.safe import Select

MAX_TREE_BYTES = 64 << 20  # of data.pkl: descriptions of tensors, not the tensors
PIECE = 1 << 20  # bytes that are copied at a time
MAX_DEPTH = 64
MAX_NODES = 1_000_000
MAX_SHARING = 4  # times that the bytes of the file may appear in tensors
_DTYPES = {
    "torch DoubleStorage": torch.float64,
    "torch FloatStorage": torch.float32,
    "torch HalfStorage": torch.float16,
    "torch BFloat16Storage": torch.bfloat16,
    "torch LongStorage": torch.int64,
    "torch IntStorage": torch.int32,
    "torch ShortStorage": torch.int16,
    "torch CharStorage": torch.int8,
    "torch ByteStorage": torch.uint8,
    "torch BoolStorage": torch.bool,
}
_LISTS = {f"torch.jit._pickle build_{kind}" for kind in (
    "intlist", "doublelist", "boollist", "tensorlist"
)}  # fmt: skip


class _Refused(Exception):
    """The description holds something that a tree of tensors has no use for."""


@dataclass(frozen=True)
class _Name:
    """A global that the description mentions: "module attribute". It stays a text."""

    text: str


@dataclass(frozen=True)
class _Described:
    """A tensor, before its bytes are read."""

    storage: str
    dtype: torch.dtype
    length: int  # elements of the storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return torch.Size(self.shape).numel() * self.dtype.itemsize


def read_torchscript(
    path: str | Path, select: Select | None = None, dtype: torch.dtype | None = None
) -> dict[str, Tensor]:
    """Parameters and buffers of the archive by their names, on the CPU.

    What `select` does not name is not read. Floating-point numbers become `dtype` as they are read,
    so that the model is never in memory twice; None leaves them as they were stored. `ModelError`
    where the file is missing, damaged, or mentions anything but modules and tensors.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            folder = _folder(archive)
            described = _tensors(_tree(_small_file(archive, f"{folder}data.pkl")))
            wanted = {name: name for name in described} if select is None else select(described)
            limit = path.stat().st_size
            total = sum(described[name].nbytes for name in wanted)
            if total > MAX_SHARING * limit:
                raise ValueError("its tensors are many times as large as the file")
            uses = Counter(described[name].storage for name in wanted)
            storages: dict[str, Tensor] = {}  # of those that several tensors share
            tensors = {}
            for name, new in wanted.items():
                leaf = described[name]
                values = storages.pop(leaf.storage, None)
                if values is None:
                    values = _bytes(archive, f"{folder}data/{leaf.storage}", limit)
                uses[leaf.storage] -= 1
                if uses[leaf.storage]:
                    storages[leaf.storage] = values
                tensor = _shaped(values, leaf)
                tensors[new] = (
                    tensor.to(dtype or leaf.dtype) if leaf.dtype.is_floating_point else tensor
                )
            return tensors
    except _Refused as error:
        raise ModelError(f"{path}: {error}; refused, as it could run code") from None
    except FileNotFoundError:
        raise ModelError(f"there is no file {path}; check the path") from None
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None
    # zip, pickle and shapes can be wrong in any way that their readers know.
    except Exception as error:
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise ModelError(f"{path} is damaged or no TorchScript archive ({reason})") from None


def is_torchscript(path: str | Path) -> bool:
    """Whether the file is such an archive, by its table of contents."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile, ValueError):
        return False


def _folder(archive: zipfile.ZipFile) -> str:
    """All entries lie in one folder, named after the file that was saved."""
    for name in archive.namelist():
        if name.count("/") == 1 and name.endswith("/data.pkl"):
            return name.removesuffix("data.pkl")
    raise ValueError("it has no data.pkl")


def _small_file(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as file:
        content = file.read(MAX_TREE_BYTES + 1)
    if len(content) > MAX_TREE_BYTES:
        raise ValueError(f"{name} has more than {MAX_TREE_BYTES >> 20} MiB")
    return content


def _tree(content: bytes) -> Any:
    """The tree as nested dicts with `_Described` leaves.

    `pickletools` splits the description into instructions and carries out none. Those that build
    plain containers are followed here; modules become dicts, and of the rest only tensors, typed
    lists and type tags have a meaning.
    """
    stack: list[Any] = []
    marks: list[list[Any]] = []
    memo: dict[int, Any] = {}

    def pop_mark() -> list[Any]:
        nonlocal stack
        items, stack = stack, marks.pop()
        return items

    argument: Any
    for instruction, argument, _ in pickletools.genops(content):
        match instruction.name:
            case "PROTO" | "FRAME":
                pass
            case "STOP":
                return stack.pop()
            case "MARK":
                marks.append(stack)
                stack = []
            case "GLOBAL":
                stack.append(_Name(str(argument)))
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(instruction.name == "NEWTRUE")
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINUNICODE":
                stack.append(argument)
            case "EMPTY_TUPLE":
                stack.append(())
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_DICT":
                stack.append({})
            case "TUPLE":
                popped = tuple(pop_mark())
                stack.append(popped)
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(instruction.name[-1])
                stack[-count:] = [tuple(stack[-count:])]
            case "APPEND":
                item = stack.pop()
                stack[-1].append(item)
            case "APPENDS":
                items = pop_mark()
                stack[-1].extend(items)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                stack[-1][key] = value
            case "SETITEMS":
                pairs = pop_mark()
                stack[-1].update(zip(pairs[::2], pairs[1::2], strict=True))
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "BINPERSID":
                stack.append(_storage(stack.pop()))
            case "NEWOBJ":
                stack.pop()
                stack.append(_module(stack.pop()))
            case "BUILD":
                state = stack.pop()
                if not isinstance(stack[-1], dict) or not isinstance(state, dict):
                    raise _Refused("it gives a state to what is no module")
                stack[-1].update(state)
            case "REDUCE":
                arguments = stack.pop()
                stack.append(_made(stack.pop(), arguments))
            case other:
                raise _Refused(f"it uses the instruction {other}")
    raise ValueError("its description ends too early")


def _module(kind: Any) -> dict[str, Any]:
    if not isinstance(kind, _Name) or not kind.text.startswith("__torch__."):
        name = kind.text if isinstance(kind, _Name) else type(kind).__name__
        if not name.startswith("__torch__ "):
            raise _Refused(f"it refers to {name!r:.80}")
    return {}


def _storage(key: Any) -> tuple[str, torch.dtype, int]:
    tag, kind, name, _, length = key
    if tag != "storage" or not isinstance(kind, _Name) or kind.text not in _DTYPES:
        raise _Refused(f"it refers to {getattr(kind, 'text', tag)!r:.80}")
    return str(name), _DTYPES[kind.text], int(length)


def _made(maker: Any, arguments: Any) -> Any:
    name = maker.text if isinstance(maker, _Name) else type(maker).__name__
    if name == "torch._utils _rebuild_tensor_v2":
        (storage, dtype, length), offset, shape, stride = arguments[:4]
        return _Described(storage, dtype, length, int(offset), tuple(shape), tuple(stride))
    if name == "collections OrderedDict" and not arguments:
        return {}
    if name in _LISTS or name == "torch._jit_internal restore_type_tag":
        return arguments[0]
    raise _Refused(f"it refers to {name!r:.80}")


def _tensors(tree: Any) -> dict[str, _Described]:
    """Leaves by their dotted names."""
    found: dict[str, _Described] = {}
    visits = 0

    def visit(node: Any, name: str, above: tuple[int, ...]) -> None:
        nonlocal visits
        visits += 1
        # One module in many places, again and again, would be an endless tree in a short file.
        if visits > MAX_NODES:
            raise ValueError("its tree has too many parts")
        if isinstance(node, _Described):
            found[name] = node
        elif isinstance(node, dict):
            if id(node) in above or len(above) > MAX_DEPTH:
                raise ValueError("its modules contain one another")
            for key, value in node.items():
                if isinstance(key, str):
                    visit(value, f"{name}.{key}" if name else key, (*above, id(node)))

    visit(tree, "", ())
    return found


def _shaped(values: Tensor, described: _Described) -> Tensor:
    size = described.dtype.itemsize
    length = described.length
    if length < 0 or values.numel() < length * size:
        raise ValueError(f"tensor {described.storage} is shorter than it should be")
    shape, stride = described.shape, described.stride
    numbers = (described.offset, *shape, *stride)
    if len(shape) != len(stride) or not all(isinstance(n, int) and n >= 0 for n in numbers):
        raise ValueError(f"tensor {described.storage} has an impossible shape")
    last = sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    count = torch.Size(shape).numel()
    # A few bytes can claim any shape by strides of zero: copying those would fill the memory.
    if count > length or (count and described.offset + last >= length):
        raise ValueError(f"tensor {described.storage} is larger than its bytes")
    flat = values[: length * size].view(described.dtype)
    return flat.as_strided(shape, stride, described.offset).contiguous()


def _bytes(archive: zipfile.ZipFile, name: str, limit: int) -> Tensor:
    """The content of an entry, (length,) uint8; zipfile compares its checksum."""
    entry = archive.getinfo(name)
    # No program that saves models compresses; so no entry can be larger than the file.
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
        raise ValueError(f"{name} is compressed")
    if entry.file_size > limit:
        raise ValueError(f"{name} claims more bytes than the file has")
    values = torch.empty(entry.file_size, dtype=torch.uint8)
    room = values.numpy()
    with archive.open(entry) as file:
        done = 0
        while piece := file.read(PIECE):
            room[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
            done += len(piece)
    if done != entry.file_size:
        raise ValueError(f"{name} ends too early")
    return values


__all__ = ["is_torchscript", "read_torchscript"]
