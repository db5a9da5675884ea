"""The state of a session in one file: tensors as safetensors, the rest as JSON in its metadata.

The metadata also holds a sha256 over the whole file (computed with zeros in its own place), so that
a single wrong bit anywhere is noticed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gouache.atomic import write_bytes
from gouache.errors import StateError
from gouache.prompts import one_line

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = "gouache-state-1"

_BLANK = b'"sha256":"' + b"0" * 64 + b'"'
_SEAL = re.compile(rb'"sha256":"([0-9a-f]{64})"')  # unescaped quotes: never inside a JSON text


def save_state(path: str | Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Writes named tensors (any shape, dtype and device) and a JSON document atomically.

    Raises `OutputError`. NaN and infinities in `meta` survive.
    """
    from safetensors.torch import save

    # clone: safetensors refuses tensors that share memory
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    metadata = {"format": FORMAT, "sha256": "0" * 64, "meta": json.dumps(meta)}
    data = save(plain, metadata)
    seal = b'"sha256":"' + hashlib.sha256(data).hexdigest().encode() + b'"'
    write_bytes(path, data.replace(_BLANK, seal, 1))


def load_state(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads what `save_state` wrote: tensors on the CPU and the document.

    Anything else, and any damage, is a one-line `StateError`.
    """
    from safetensors.torch import load

    shown = one_line(path)
    data = _read(Path(path), shown)
    header = data[8 : 8 + int.from_bytes(data[:8], "little")]
    found = _SEAL.search(header)
    if found is None:
        raise StateError(f"{shown} is not a state saved by gouache, or is damaged; {_REMEDY}")
    # The header comes first in the file, so the first occurrence is the one just found.
    if hashlib.sha256(data.replace(found[0], _BLANK, 1)).hexdigest().encode() != found[1]:
        raise StateError(f"{shown} is damaged: its checksum does not match; {_REMEDY}")
    try:
        metadata = json.loads(header)["__metadata__"]
        tensors, meta = load(data), json.loads(metadata["meta"])
    except Exception as error:  # sealed, so written by other software or another version
        raise StateError(f"{shown} cannot be read ({one_line(error, 80)}); {_REMEDY}") from None
    if metadata.get("format") != FORMAT or not isinstance(meta, dict):
        got = one_line(repr(metadata.get("format")), 40)
        raise StateError(f"{shown} has format {got}; this version reads {FORMAT!r}")
    return tensors, meta


_REMEDY = "start the run again"


def _read(path: Path, shown: str) -> bytes:
    try:
        if path.is_dir():
            raise StateError(f"{shown} is a folder; expected a saved state")
        if path.exists() and not path.is_file():
            raise StateError(f"{shown} is not a regular file; expected a saved state")
        return path.read_bytes()
    except FileNotFoundError:
        raise StateError(f"no saved state at {shown}; check the path") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StateError(f"{shown} cannot be read: {one_line(reason, 80)}") from None


__all__ = ["FORMAT", "load_state", "save_state"]
