"""Tensors of a TorchScript archive, without running what is in it.

An archive is a zip file: `data.pkl` describes the module tree, `data/N` are the bytes of tensor N,
and `code/` is a program. torch reads it only by compiling that program. Here `data.pkl` goes
through `weights.inert`: it has no way to import or to call anything, and here knows the handful of
names that a module tree is made of, and refuses every other one. The program is never opened.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gouache.weights.inert import Name, Refused, Walk
from gouache.weights.pickled import open_zip, opened, read_tensors
from gouache.weights.safe import Select
from gouache.weights.stored import Described, Storage, described, storage_of

MAX_DEPTH = 64
MAX_NODES = 1_000_000
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
    with opened(path, "damaged or no TorchScript archive", "it") as file:
        tree, place_of = open_zip(file, _Tree())
        leaves = _tensors(tree)
        wanted = {name: name for name in leaves} if select is None else select(leaves)
        return read_tensors(file, leaves, wanted, place_of, dtype)


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


__all__ = ["read_torchscript"]
