"""Files packed by gzip, as the package carries its weights: `NAME.safetensors.gz`.

A model is what its file unpacks to: packing changes neither its name nor its sum.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from pathlib import Path

from gouache.errors import ModelError

SUFFIX = ".gz"
MARK = b"\x1f\x8b"  # begins every such file
MOST = 1 << 30  # bytes that are unpacked in memory; larger models are not read packed
KEPT = 16 << 20  # bytes of a file: what it holds is not unpacked twice in a row
_GZIP = 31  # zlib's number for gzip's header and check


def is_packed(path: str | Path) -> bool:
    """Whether the file begins as gzip's do; False where it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return file.read(len(MARK)) == MARK
    except OSError:
        return False


def packed_or_plain(path: Path) -> Path:
    """`path`, or where there is none the file of that name without `.gz`, as earlier versions wrote
    it; `path` again where there is neither."""
    plain = path.with_suffix("") if path.suffix == SUFFIX else path
    return plain if plain.is_file() and not path.is_file() else path


def pack(content: bytes, text: bool = False) -> bytes:
    """What `unpack` reads; equal contents give equal bytes.

    Weights repeat nothing: only how often each byte occurs can be made use of, which is quick both
    ways and, for them, as small as searching for repetitions, as is done with `text`.
    """
    strategy = zlib.Z_DEFAULT_STRATEGY if text else zlib.Z_HUFFMAN_ONLY
    packer = zlib.compressobj(9, zlib.DEFLATED, _GZIP, 9, strategy)
    return packer.compress(content) + packer.flush()


def unpack(path: str | Path) -> bytes:
    """What is packed in the file, at most `MOST` bytes; `ModelError` where it is larger, damaged,
    cut off or not to be read."""
    try:
        told = Path(path).stat()
        if told.st_size > KEPT:
            return _unpacked(str(path))
        return _kept(str(path), told.st_size, told.st_mtime_ns)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None


def _unpacked(path: str) -> bytes:
    unpacker = zlib.decompressobj(_GZIP)
    try:
        content = unpacker.decompress(Path(path).read_bytes(), MOST)
    except zlib.error:
        raise ModelError(f"{path} is damaged or incomplete (gzip cannot unpack it)") from None
    if unpacker.unconsumed_tail:
        raise ModelError(f"{path} unpacks to more than {MOST >> 20} MiB; unpack it first")
    if not unpacker.eof:
        raise ModelError(f"{path} is damaged or incomplete (what gzip packed ends too early)")
    return content


# A model is read, then its sum is asked for, then others ask for its table of words.
@lru_cache(maxsize=2)
def _kept(path: str, size: int, modified: int) -> bytes:
    return _unpacked(path)


__all__ = ["KEPT", "MARK", "MOST", "SUFFIX", "is_packed", "pack", "packed_or_plain", "unpack"]
