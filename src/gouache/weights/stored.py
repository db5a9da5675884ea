"""Tensors as torch's pickles describe them, and their bytes in a file."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, BinaryIO

import torch
from torch import Tensor

from gouache.weights.inert import Name

DTYPES = {
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


@dataclass(frozen=True)
class Storage:
    """A run of numbers in the file: its key there, its type and its number of elements."""

    key: str
    dtype: torch.dtype
    length: int


@dataclass(frozen=True)
class Described:
    """A tensor, before its bytes are read. `offset` and `stride` count elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def dtype(self) -> torch.dtype:
        return self.storage.dtype

    @property
    def nbytes(self) -> int:
        return torch.Size(self.shape).numel() * self.dtype.itemsize

    @property
    def span(self) -> tuple[int, int]:
        """First element of the storage that is needed, and how many from there.

        `ValueError` where the shape is impossible or larger than the storage.
        """
        length = self.storage.length
        numbers = (length, self.offset, *self.shape, *self.stride)
        known = all(type(n) is int and n >= 0 for n in numbers)
        if not known or len(self.shape) != len(self.stride):
            raise ValueError(f"tensor {self.storage.key} has an impossible shape")
        count = torch.Size(self.shape).numel()
        last = sum((n - 1) * step for n, step in zip(self.shape, self.stride, strict=True))
        # A few bytes can claim any shape by strides of zero: copying those would fill the memory.
        if count > length or (count and self.offset + last >= length):
            raise ValueError(f"tensor {self.storage.key} is larger than its bytes")
        return (self.offset, last + 1) if count else (0, 0)


def described(arguments: Any) -> Described:
    """What `_rebuild_tensor_v2` of torch is called with, without calling it."""
    storage, offset, shape, stride = arguments[:4]
    if not isinstance(storage, Storage):
        raise ValueError("a tensor has no storage")
    return Described(storage, offset, tuple(shape), tuple(stride))


def storage_of(kind: Any, key: Any, length: Any) -> Storage | None:
    """A storage of a known type; None where the type is another."""
    dtype = DTYPES.get(kind.text) if isinstance(kind, Name) else None
    return None if dtype is None else Storage(str(key), dtype, int(length))


def shaped(values: Tensor, leaf: Described, first: int = 0) -> Tensor:
    """The tensor out of the bytes (uint8) of its storage from element `first` on, as a copy."""
    start, count = leaf.span
    size = leaf.dtype.itemsize
    if values.numel() < (start - first + count) * size:
        raise ValueError(f"tensor {leaf.storage.key} is shorter than it should be")
    flat = values[: values.numel() // size * size].view(leaf.dtype)
    return flat.as_strided(leaf.shape, leaf.stride, leaf.offset - first).contiguous()


def read_bytes(file: BinaryIO, position: int, count: int, into: Tensor | None = None) -> Tensor:
    """`count` bytes of an open file from `position` on, (count,) uint8; `ValueError` at its end.

    They are at the beginning of `into` (uint8), if that is given.
    """
    values = torch.empty(count, dtype=torch.uint8) if into is None else into[:count]
    room = memoryview(values.numpy())  # type: ignore[arg-type]
    file.seek(position)
    done = 0
    while done < count:
        got = file.readinto(room[done:])  # type: ignore[attr-defined]
        if not got:
            raise ValueError("it ends too early")
        done += got
    return values


def checksum(values: Tensor) -> int:
    """CRC-32 of bytes, as zip archives have it."""
    return zlib.crc32(values.numpy())  # type: ignore[arg-type]


__all__ = [
    "DTYPES",
    "Described",
    "Storage",
    "checksum",
    "described",
    "read_bytes",
    "shaped",
    "storage_of",
]
