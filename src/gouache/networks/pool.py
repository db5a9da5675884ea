"""Loaded networks, shared: a name is loaded once for a device and a precision, for all who ask.

What is here is frozen and stays as it is. Weights are made ready (`prepare`) before anybody else
has the network; who wants another precision gets a copy of its own. Models that are given as
objects never come here. `gouache.load_generator` and `gouache.load_perceptor` give fresh ones.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from gouache import halting
from gouache.errors import ModelError
from gouache.networks.memory import free_memory
from gouache.protocols import Drawable, Generator, Perceptor, Preparable
from gouache.registry import Registry
from gouache.weights import cache, catalogue

T = TypeVar("T")
# Of the memory that a device has besides, what networks may keep that nobody uses just now.
SHARE = 0.25
UNKNOWN = 2 << 30  # bytes, where nobody says how much that is
_WAIT = 0.1  # seconds between two questions whether a load by somebody else is still waited for
_CONFIGURATIONS = (".json", ".yaml", ".yml", ".txt")
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")


class _Kept(NamedTuple):
    network: object
    device: torch.device
    size: int  # bytes


class Pool:
    """Networks by key, for any number of threads; two that ask for the same share one load.

    What somebody holds is found again as long as it is held. Besides, the pool itself keeps up to
    `limit` bytes on each device, and lets go of the least recently used first. By default that is a
    quarter of what the device has without it.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._lock = threading.Lock()  # held for moments only
        self._turns: dict[Hashable, threading.Lock] = {}
        self._stamps: dict[Hashable, object] = {}
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._held: weakref.WeakValueDictionary[Hashable, Any] = weakref.WeakValueDictionary()

    def get(
        self,
        key: Hashable,
        load: Callable[[], T],
        device: torch.device | str,
        stamp: Callable[[], object] = lambda: None,
    ) -> T:
        """What is called `key`; `load()` where that is not here, or has another stamp by now.

        `stamp()` tells the version of what would be loaded, None where there is none yet. A load
        that fails leaves the next one who asks to try for himself.
        """
        with self._turn(key):
            now = stamp()
            with self._lock:
                found: T | None = self._held.get(key)
                if key in self._kept:
                    found = self._kept[key].network  # type: ignore[assignment]
                if self._stamps.get(key) != now:
                    found = None
            if found is None:
                # Weights made inside of inference mode could never be painted with.
                with torch.inference_mode(False):
                    found = load()
                now = stamp() if now is None else now
            self._keep(key, found, torch.device(device), now)
            return found

    def clear(self) -> None:
        """Lets go of everything; what somebody holds stays with him, and is loaded anew here."""
        with self._lock:
            self._kept.clear()
            self._held.clear()

    def size(self) -> int:
        """Bytes that the pool keeps, used or not."""
        with self._lock:
            return sum(kept.size for kept in self._kept.values())

    @contextlib.contextmanager
    def _turn(self, key: Hashable) -> Iterator[None]:
        """One at a time for each key. Who is not wanted any more (`halting`) does not wait."""
        with self._lock:
            mine = self._turns.setdefault(key, threading.Lock())
        while not mine.acquire(timeout=_WAIT):
            halting.check()
        try:
            yield
        finally:
            mine.release()

    def _keep(self, key: Hashable, network: object, device: torch.device, stamp: object) -> None:
        kept = _Kept(network, device, num_bytes(network))
        with self._lock:
            self._stamps[key] = stamp
            self._kept[key] = kept
            self._kept.move_to_end(key)
            self._held.pop(key, None)
            with contextlib.suppress(TypeError):  # of a class without weak references
                self._held[key] = network
            self._bound(device)

    def _bound(self, device: torch.device) -> None:
        own = {key: kept.size for key, kept in self._kept.items() if kept.device == device}
        total = sum(own.values())
        limit = self._limit
        if limit is None:
            free = free_memory(device)
            limit = UNKNOWN if free is None else int(SHARE * (free + total))
        for key, size in own.items():  # least recently used first
            if total <= limit:
                break
            del self._kept[key]
            total -= size


shared = Pool()
"""The one that every run takes its networks from."""


def shared_generator(
    name: str, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
) -> Generator:
    """The generator of this name or file, prepared for painting in `dtype` (None: as loaded).

    For everybody: it must not be changed. Files that were changed are read again. Errors are those
    of `gouache.generators.load_generator`.
    """
    from gouache.generators import generators, load_generator

    return _shared(generators, load_generator, name, device, dtype)


def shared_perceptor(
    name: str, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
) -> Perceptor:
    """The perceptor of this name or file; all else as for `shared_generator`."""
    from gouache.perceptors import load_perceptor, perceptors

    return _shared(perceptors, load_perceptor, name, device, dtype)


def shared_drawing(generator: Drawable) -> object:
    """The network by which a generator draws larger; see `gouache.protocols.Drawable`."""
    key = ("drawing", generator.drawing, str(generator.device))
    return shared.get(key, generator.load_drawing, generator.device)


def _shared(
    known: Registry[Any],
    load: Callable[[str, torch.device | str], T],
    name: str,
    device: torch.device | str,
    dtype: torch.dtype | None,
) -> T:
    def stamp() -> object:
        return known.get(name) if name in known.names() else version(*_places(name))

    key = (known.kind, name, str(device), dtype)
    return shared.get(key, lambda: prepare(load(name, device), dtype), device, stamp)


def prepare(network: T, dtype: torch.dtype | None) -> T:
    """The network itself, its weights ready for painting in `dtype`, where it can and that is one.

    For whoever has just loaded it: what others hold must not change.
    """
    if dtype is not None and isinstance(network, Preparable):
        network.prepare(dtype)
    return network


def num_bytes(network: object) -> int:
    """The memory of a network's weights, or of what an object that is no module holds itself."""
    found: dict[int, int] = {}
    parts = [network, *vars(network).values()] if hasattr(network, "__dict__") else [network]
    for part in parts:
        tensors = [part] if isinstance(part, Tensor) else []
        if isinstance(part, nn.Module):
            tensors = [*part.parameters(), *part.buffers()]
        for storage in (tensor.untyped_storage() for tensor in tensors):
            found[storage.data_ptr()] = storage.nbytes()
    return sum(found.values())


def version(*places: Path) -> object:
    """Of models in files and folders: which files, their sizes and times; None where none are.

    A file that is written to, or replaced, has another time of change, whatever else is set back.
    """
    found = []
    for path in (path for place in places for path in _files(place)):
        with contextlib.suppress(OSError):  # gone meanwhile
            told = path.stat()
            times = told.st_mtime_ns, told.st_ctime_ns
            found.append((str(path), told.st_ino, told.st_size, *times))
    return tuple(sorted(found)) or None


def _places(name: str) -> Iterator[Path]:
    """Where what a name means may lie: itself a path, or what the cache has of it."""
    with contextlib.suppress(OSError, RuntimeError, ValueError):  # too long, no home, a NUL
        path = Path(name).expanduser()
        if path.exists():
            yield path
    with contextlib.suppress(ModelError):
        entry = catalogue.find(name) or (catalogue.from_hub(name) if "/" in name else None)
        if entry is not None and (kept := cache.cached(entry)) is not None:
            yield kept


def _files(place: Path) -> Iterable[Path]:
    """The files of a model: those of a folder, or one file and the configurations beside it."""
    if place.is_dir():
        inside = itertools.chain(place.glob("*"), place.glob("*/*"))
        yield from (path for path in inside if path.suffix in (*_WEIGHTS, *_CONFIGURATIONS))
        return
    yield place
    for folder in (place.parent, place.parent.parent / "configs"):
        yield from (path for path in folder.glob("*") if path.suffix in _CONFIGURATIONS)


__all__ = [
    "Pool",
    "num_bytes",
    "prepare",
    "shared",
    "shared_drawing",
    "shared_generator",
    "shared_perceptor",
    "version",
]
