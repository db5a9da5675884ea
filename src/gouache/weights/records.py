"""What the cache knows of each model: one small JSON file beside its weights.

    $GOUACHE_CACHE/models/NAME/model.json          what it is, where from, the sums of its files
    $GOUACHE_CACHE/models/NAME/model.safetensors   a generator, converted
    $GOUACHE_CACHE/downloads/NAME/                 files on their way in, or put there by hand
    $GOUACHE_CACHE/pins/NAME.json                  sums seen at the first download
    $GOUACHE_CACHE/locks/NAME.lock                 held while NAME is written

Without GOUACHE_CACHE the platform's cache folder is taken.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from gouache.atomic import output_errors, write_bytes
from gouache.errors import ModelError

Kind = Literal["generator", "perceptor", "depth", "system"]  # a system paints on its own
KINDS: tuple[Kind, ...] = get_args(Kind)

WEIGHTS = "model.safetensors"
RECORD = "model.json"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}\Z")
_VERSION = 1


@dataclass(frozen=True)
class Record:
    """One model in the cache.

    `path` is the file or folder to load; `sums` has the sha256 and `sizes` the bytes of each file
    below it, by its name relative to the folder of `path`. `facts` are shown in tables; `config` is
    the model's own configuration, where gouache converted it. `original` has the sums of the files
    as published.
    """

    name: str
    kind: Kind
    family: str
    path: Path
    source: str
    added: bool = False
    sums: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    original: Mapping[str, str] = field(default_factory=dict)

    def file(self, name: str) -> Path:
        """Where one of `sums` lies."""
        return (self.path if self.path.is_dir() else self.path.parent) / name

    def is_whole(self) -> bool:
        """Whether all files are there in their full length (`cache.verify` also compares sums)."""
        try:
            return all(self.file(n).stat().st_size == size for n, size in self.sizes.items())
        except OSError:
            return False


def cache_folder() -> Path:
    """Where models are kept: $GOUACHE_CACHE, else the platform's folder for caches."""
    if given := os.environ.get("GOUACHE_CACHE", "").strip():
        return Path(given).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("gouache", appauthor=False)


def model_folder(name: str) -> Path:
    """Where the record of `name` and, of a generator, the weights lie."""
    return cache_folder() / "models" / checked(name)


def download_folder(name: str) -> Path:
    """Where files of `name` are before they are converted."""
    return cache_folder() / "downloads" / checked(name)


def is_name(name: str) -> bool:
    """Whether a model in the cache can be called that: it is the name of a folder, too."""
    return bool(_NAME.match(name))


def checked(name: str) -> str:
    """`name`, or a `ModelError` where it cannot be a model's."""
    if not is_name(name):
        raise ModelError(
            f"a model cannot be called {name!r:.80}; use small letters, digits, '-', '_' and '.'"
        )
    return name


def read(name: str) -> Record | None:
    """The record of `name`; None where the cache has none. A damaged one raises `ModelError`."""
    path = model_folder(name) / RECORD
    try:
        values = json.loads(path.read_bytes())
        folder = path.parent
        if values.pop("version") != _VERSION:
            raise ValueError("written by another version of gouache")
        values["path"] = folder / values["path"]  # an absolute path stays what it is
        record = Record(**values)
        if record.name != name or record.kind not in KINDS:
            raise ValueError("it belongs to another model")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:80]
        raise ModelError(
            f"{path} is damaged ({reason}); run: gouache models remove {name}"
        ) from None
    return record


def names() -> list[str]:
    """The names of all models in the cache, in alphabetical order, damaged ones included."""
    try:
        found = [path.parent.name for path in (cache_folder() / "models").glob(f"*/{RECORD}")]
    except OSError:
        return []
    return sorted(name for name in found if is_name(name))


def read_all() -> Iterator[Record]:
    """All records in alphabetical order; damaged ones are left out."""
    for name in names():
        try:
            record = read(name)
        except ModelError:
            continue
        if record is not None:
            yield record


def write(record: Record) -> None:
    """Writes the record: the last step of fetching or adding, as it makes the model exist."""
    folder = model_folder(record.name)
    values: dict[str, Any] = {"version": _VERSION, **dataclasses.asdict(record)}
    inside = record.path.is_relative_to(folder)  # so that the cache can be moved elsewhere
    values["path"] = str(record.path.relative_to(folder) if inside else record.path.absolute())
    write_json(folder / RECORD, values)


def pins_file(name: str) -> Path:
    """The file to remove for trusting a changed download."""
    return cache_folder() / "pins" / f"{checked(name)}.json"


def read_pins(name: str) -> dict[str, str]:
    """Sums of the files of `name` that were seen at its first download, by file name."""
    path = pins_file(name)
    try:
        values = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict) or not all(isinstance(v, str) for v in values.values()):
        raise ModelError(f"{path} is damaged; remove it to trust the next download anew")
    return values


def write_pins(name: str, sums: Mapping[str, str]) -> None:
    """Remembers sums; they outlive the model, so that a later download can be compared."""
    write_json(pins_file(name), {**read_pins(name), **sums})


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Writes `values` atomically, its folder included; raises `OutputError`."""
    make_folder(path.parent)
    write_bytes(path, json.dumps(values, indent=1, ensure_ascii=False).encode() + b"\n")


def make_folder(folder: Path) -> None:
    """Makes a folder of the cache; raises `OutputError`."""
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def lock(name: str, waiting: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Only one process at a time writes what belongs to `name`; the others call `waiting`."""
    from filelock import FileLock, Timeout

    path = cache_folder() / "locks" / f"{checked(name)}.lock"
    make_folder(path.parent)
    held = FileLock(path)
    with output_errors(path):
        try:
            held.acquire(timeout=0)
        except Timeout:
            waiting()
            held.acquire()
    try:
        yield
    finally:
        held.release()
