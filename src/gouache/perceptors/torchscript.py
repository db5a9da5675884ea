"""Tensors of a TorchScript archive, without running what is in it.

An archive is a zip file: `data.pkl` describes the module tree, `data/N` are the bytes of tensor N,
and `code/` is a program. torch reads it only by compiling that program. Here `data.pkl` goes
through `weights.inert`: it has no way to import or to call anything, and here knows the handful of
names that a module tree is made of, and refuses every other one. The program is never opened.
"""

from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gouache.errors import ModelError
from gouache.weights.inert import Name, Refused, Walk
from gouache.weights.safe import Select
from gouache.weights.stored import Described, Storage, described, shaped, storage_of

MAX_TREE_BYTES = 64 << 20  # of data.pkl: descriptions of tensors, not the tensors
PIECE = 1 << 20  # bytes that are copied at a time
MAX_DEPTH = 64
MAX_NODES = 1_000_000
MAX_SHARING = 4  # times that the bytes of the file may appear in tensors
_LISTS = {f"torch.jit._pickle build_{kind}" for kind in (
    "intlist", "doublelist", "boollist", "tensorlist"
)}  # fmt: skip


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
            leaves = _tensors(_Tree().run(_small_file(archive, f"{folder}data.pkl")))
            wanted = {name: name for name in leaves} if select is None else select(leaves)
            limit = path.stat().st_size
            total = sum(leaves[name].nbytes for name in wanted)
            if total > MAX_SHARING * limit:
                raise ValueError("its tensors are many times as large as the file")
            uses = Counter(leaves[name].storage.key for name in wanted)
            storages: dict[str, Tensor] = {}  # of those that several tensors share
            tensors = {}
            for name, new in wanted.items():
                leaf = leaves[name]
                values = storages.pop(leaf.storage.key, None)
                if values is None:
                    values = _bytes(archive, f"{folder}data/{leaf.storage.key}", limit)
                if len(values) < leaf.storage.length * leaf.dtype.itemsize:
                    raise ValueError(f"tensor {name!r:.60} is shorter than it should be")
                uses[leaf.storage.key] -= 1
                if uses[leaf.storage.key]:
                    storages[leaf.storage.key] = values
                tensor = shaped(values, leaf)
                tensors[new] = (
                    tensor.to(dtype or leaf.dtype) if leaf.dtype.is_floating_point else tensor
                )
            return tensors
    except Refused as error:
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
    # Damaged archives fail in many ways; whoever reads the file says what is wrong.
    except Exception:
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


class _Tree(Walk):
    """What names mean in a module tree: modules become dicts, and only tensors, typed lists and
    type tags are made.
    """

    def persistent(self, key: Any) -> Storage:
        tag, kind, name, _, length = key
        storage = storage_of(kind, name, length) if tag == "storage" else None
        if storage is None:
            raise Refused(f"it refers to {getattr(kind, 'text', tag)!r:.80}")
        return storage

    def new(self, kind: Any, arguments: Any) -> dict[str, Any]:
        name = kind.text if isinstance(kind, Name) else type(kind).__name__
        if not name.startswith("__torch__"):
            raise Refused(f"it refers to {name!r:.80}")
        return {}

    def made(self, maker: Any, arguments: Any) -> Any:
        name = maker.text if isinstance(maker, Name) else type(maker).__name__
        if name == "torch._utils _rebuild_tensor_v2":
            return described(arguments)
        if name == "collections OrderedDict" and not arguments:
            return {}
        if name in _LISTS or name == "torch._jit_internal restore_type_tag":
            return arguments[0]
        raise Refused(f"it refers to {name!r:.80}")

    def build(self, value: Any, state: Any) -> None:
        if not isinstance(value, dict) or not isinstance(state, dict):
            raise Refused("it gives a state to what is no module")
        value.update(state)


def _tensors(tree: Any) -> dict[str, Described]:
    """Leaves by their dotted names."""
    found: dict[str, Described] = {}
    visits = 0

    def visit(node: Any, name: str, above: tuple[int, ...]) -> None:
        nonlocal visits
        visits += 1
        # One module in many places, again and again, would be an endless tree in a short file.
        if visits > MAX_NODES:
            raise ValueError("its tree has too many parts")
        if isinstance(node, Described):
            found[name] = node
        elif isinstance(node, dict):
            if id(node) in above or len(above) > MAX_DEPTH:
                raise ValueError("its modules contain one another")
            for key, value in node.items():
                if isinstance(key, str):
                    visit(value, f"{name}.{key}" if name else key, (*above, id(node)))

    visit(tree, "", ())
    return found


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
