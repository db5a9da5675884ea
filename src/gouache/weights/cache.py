"""From a catalogue entry to weights on the disk: fetch, verify, convert once, remember.

`obtain` is all that loading a model needs. What it promises: a file that is in the cache is whole,
its sum is the published one (or, where none is published, the one seen first), and it holds numbers
only. `records` has the layout of the cache.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gouache.atomic import output_errors, remove_leftovers
from gouache.errors import ModelError, OutputError
from gouache.registry import Registry, nearest
from gouache.weights import records
from gouache.weights.archive import ARCHIVE, check_md5, unpack
from gouache.weights.catalogue import Entry, File, catalogue, parse_hub
from gouache.weights.download import download, host_of
from gouache.weights.fingerprint import fingerprint
from gouache.weights.hub import HubCopy, HubFolder, choose, fetch_file, fetch_folder
from gouache.weights.records import Kind, Record
from gouache.weights.shipped import shipped
from gouache.weights.watch import SourceError, Warnings, Watch, human_size, offline

ANNOUNCED = 1 << 20  # bytes from which a download is worth a line
FILES = "files"  # the folder of a system's files


@dataclass(frozen=True)
class Converted:
    """What a converter learned of the model: numbers for tables, and its own configuration."""

    facts: Mapping[str, Any]
    config: Mapping[str, Any]


Converter = Callable[[Path, "Path | None", Path], Converted]
"""Reads published weights and their configuration (None: beside them or inside), writes ours."""

converters: Registry[Converter] = Registry("model family", "gouache.families", ModelError)
"""By `Entry.family`; the component that reads a family registers its converter."""


@dataclass(frozen=True)
class _Fetched:
    path: Path
    sha256: str
    discard: Callable[[], object]
    placed: bool = False  # by hand


def cached(entry: Entry) -> Path | None:
    """What `obtain` would return without fetching anything; None where it would have to."""
    if entry.status == "shipped" and entry.path is not None:
        return shipped(entry.path)
    record = records.read(entry.name)
    if record is None or record.kind != entry.kind or not record.is_whole():
        return None
    return record.path


def obtain(entry: Entry, watch: Watch | None = None) -> Path:
    """The weights of `entry` on the disk, fetched if need be.

    Of a generator the converted safetensors file; of a perceptor the folder with configuration,
    tokenizer and weights as the hub has them (of an added one the file or folder that was added);
    of a system the folder of its files as they are published.
    Several processes may ask at once: one fetches, the others wait. Whatever keeps it from being
    fetched is a `ModelError` of one line that says which file to place where; a full disk is an
    `OutputError`.
    """
    watch = watch or Warnings()
    path = cached(entry)
    if path is not None:
        return path
    if entry.status == "added":
        raise ModelError(
            f"the files of {entry.name} in {entry.path} are gone or were changed; add it again: "
            f"gouache models remove {entry.name}, then gouache models add"
        )
    with records.lock(entry.name, lambda: watch.note(f"waiting: {entry.name} is being fetched")):
        path = cached(entry)  # by whom we waited for
        if path is not None:
            return path
        records.make_folder(records.download_folder(entry.name))
        if entry.kind == "system":
            return _obtain_files(entry, watch)
        if entry.kind != "generator":
            return _obtain_folder(entry, watch)
        return _obtain_converted(entry, watch)


def add(name: str, kind: Kind, family: str, path: Path, config: Path | None = None) -> Record:
    """Puts a local model into the cache: a generator converted, a perceptor or system by its path.

    A published system may be added by its own name: then it is not fetched. `ModelError` where the
    name is taken or the files are not what they should be.
    """
    known = catalogue().get(name)
    if known is not None and not (known.kind == kind == "system" and known.family == family):
        raise ModelError(f"{name} is the name of a published model; choose another")
    with records.lock(name):
        if records.read(name) is not None:
            raise ModelError(
                f"there is a model called {name} already; choose another name, or run: "
                f"gouache models remove {name}"
            )
        if kind == "generator":
            record = _convert(name, family, path, config, source=str(path.absolute()), added=True)
        else:
            sums = _sums(path)
            record = Record(name, kind, family, path.absolute(), str(path.absolute()), True, **sums)
            records.write(record)
    return record


def check_sum(name: str, sha256: str) -> None:
    """Raises `ModelError` where a converted model does not have the sum that was recorded.

    For whoever has hashed the file anyway: loading notices damage that keeps the length.
    """
    record = records.read(name)
    if record is not None and record.sums.get(records.WEIGHTS, sha256) != sha256:
        raise ModelError(
            f"{record.path} has sha256 {sha256}, expected {record.sums[records.WEIGHTS]}; it is "
            f"damaged, run: gouache models remove {name}, then fetch or add it again"
        )


def verify(name: str) -> list[str]:
    """Hashes the files of `name` again; what is wrong, one line each (nothing: all is well)."""
    record = _known(name)
    wrong = []
    for file, expected in record.sums.items():
        path = record.file(file)
        try:
            found = fingerprint(path)
        except ModelError as error:
            wrong.append(str(error))
            continue
        if found != expected:
            wrong.append(f"{path} has sha256 {found}, expected {expected}; it is damaged")
    return wrong


def remove(name: str) -> Record | None:
    """Removes `name` and what was downloaded of it; returns its record, None if it was damaged.

    Files that `path` names outside the cache stay, and so do pinned sums.
    """
    with records.lock(name):
        try:
            record: Record | None = _known(name)
        except ModelError:
            if not records.model_folder(name).exists():
                raise
            record = None
        for folder in (records.model_folder(name), records.download_folder(name)):
            with contextlib.suppress(FileNotFoundError):
                try:
                    shutil.rmtree(folder)
                except FileNotFoundError:
                    raise
                except OSError as error:
                    raise OutputError(f"cannot remove {folder}: {error.strerror}") from None
    return record


def _known(name: str) -> Record:
    record = records.read(name)
    if record is None:
        names = [record.name for record in records.read_all()]
        hint = nearest(name, names) if names else "it is empty"
        raise ModelError(f"the cache has no model called {name!r}; {hint}")
    return record


def _obtain_converted(entry: Entry, watch: Watch) -> Path:
    assert entry.weights is not None
    pins = records.read_pins(entry.name)
    # The small file first: where it cannot be had, nothing large was fetched in vain.
    config = _fetch(entry, entry.config, pins, watch) if entry.config is not None else None
    weights = _fetch(entry, entry.weights, pins, watch)
    fetched = {file.name: got for file, got in ((entry.weights, weights), (entry.config, config))
               if file is not None and got is not None}  # fmt: skip
    original = {name: got.sha256 for name, got in fetched.items()}
    try:
        record = _convert(
            entry.name, entry.family, weights.path, config.path if config else None,
            source=entry.sources[0], original=original,
        )  # fmt: skip
    except ModelError:
        # A page instead of a file, for instance: next time it should be fetched again.
        for file in fetched.values():
            if not file.placed:
                file.discard()
        raise
    for file in fetched.values():
        file.discard()
    with contextlib.suppress(OSError):
        records.download_folder(entry.name).rmdir()
    return record.path


def _convert(
    name: str, family: str, weights: Path, config: Path | None, **about: Any
) -> Record:  # fmt: skip
    folder = records.model_folder(name)
    records.make_folder(folder)
    remove_leftovers(folder)
    target = folder / records.WEIGHTS
    try:
        converted = converters.get(family)(weights, config, target)
        record = Record(
            name, "generator", family, target,
            facts=converted.facts, config=converted.config, **about, **_sums(target),
        )  # fmt: skip
        if record.original:
            records.write_pins(name, record.original)
        records.write(record)
    except BaseException:
        # Without a record the weights would not be found: they must not fill the disk.
        with contextlib.suppress(OSError):
            target.unlink(missing_ok=True)
            folder.rmdir()
        raise
    return record


def _fetch(entry: Entry, file: File, pins: Mapping[str, str], watch: Watch) -> _Fetched:
    """The file as published, from where it was placed by hand or from the first good source."""
    expected = file.sha256 or pins.get(file.name)
    folder = records.download_folder(entry.name)
    target = folder / file.name
    if target.is_file():
        found = fingerprint(target)
        if expected is not None and found != expected:
            raise ModelError(
                f"{target} has sha256 {found}, expected {expected}; remove it" + _unpin(entry, file)
            )
        return _Fetched(target, found, lambda: target.unlink(missing_ok=True), placed=True)
    failures = []
    told = _Announce(entry, watch)
    for source in file.sources:
        hub = parse_hub(source)
        host = f"hf:{hub.repo}" if hub is not None else host_of(source)
        try:
            if hub is not None:
                copy = fetch_file(hub, told)
                found = fingerprint(copy.path)
                if expected is not None and found != expected:
                    copy.discard()
                    raise SourceError(f"sent another file (sha256 {found}, expected {expected})")
                return _Fetched(copy.path, found, copy.discard)
            if offline():
                raise SourceError("HF_HUB_OFFLINE is set")
            found = download(source, target, told, sha256=expected, size=file.size)
            return _Fetched(target, found, lambda: target.unlink(missing_ok=True))
        except SourceError as error:
            failures.append(f"{host}: {error}")
    raise ModelError(
        f"{entry.name} could not be fetched ({'; '.join(failures)}); place "
        f"{' and '.join(map(_described, entry.files))} in {folder} and try again"
        + (_unpin(entry, file) if any("another file" in text for text in failures) else "")
    )


def _obtain_files(entry: Entry, watch: Watch) -> Path:
    """The files of a system in a folder of its own, archives unpacked."""
    pins = records.read_pins(entry.name)
    fetched = [(file, _fetch(entry, file, pins, watch)) for file in entry.parts]
    folder = records.model_folder(entry.name) / FILES
    fresh = folder.with_name(f"{FILES}.part")
    original = {file.name: got.sha256 for file, got in fetched}
    try:
        with output_errors(folder):
            for old in (folder, fresh):
                shutil.rmtree(old, ignore_errors=True)
            fresh.mkdir(parents=True)
            for file, got in fetched:
                if file.name.endswith(ARCHIVE):
                    try:
                        check_md5(got.path, file.md5)
                        unpack(got.path, fresh)
                    except ModelError:
                        got.discard()
                        raise
                    got.discard()
                else:
                    shutil.move(got.path, fresh / file.name)
            fresh.replace(folder)
        inside = list(folder.iterdir())
        path = inside[0] if len(inside) == 1 and inside[0].is_dir() else folder
        record = Record(
            entry.name, entry.kind, entry.family, path, entry.sources[0], original=original,
            facts={"native_size": entry.native_size}, **_sums(path),
        )  # fmt: skip
        records.write_pins(entry.name, original)
        records.write(record)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    with contextlib.suppress(OSError):
        records.download_folder(entry.name).rmdir()
    return path


def _obtain_folder(entry: Entry, watch: Watch) -> Path:
    assert entry.hub is not None
    placed = records.download_folder(entry.name)
    if choose([path.name for path in placed.iterdir()]):
        found = HubFolder(placed, "placed by hand", {})
    else:
        try:
            found = fetch_folder(entry.hub, entry.revision, entry.family, watch)
        except SourceError as error:
            raise ModelError(
                f"{entry.name} could not be fetched (hf:{entry.hub}: {error}); place its files "
                f"(configuration, tokenizer and weights; sums unknown) in {placed} and try again"
            ) from None
    sums = _sums(found.path)
    pins = records.read_pins(entry.name)
    for name, sha256 in sums["sums"].items():
        file = found.path / name
        if found.sums.get(name, sha256) != sha256:
            HubCopy(file, new=True).discard()
            raise ModelError(
                f"{file} has sha256 {sha256}, but {found.sums[name]} on the hub; it was removed, "
                "try again"
            )
        if pins.get(name, sha256) != sha256:
            raise ModelError(
                f"{file} has sha256 {sha256}, but {pins[name]} when it was first fetched; "
                f"if the new one is to be trusted, remove {records.pins_file(entry.name)}"
            )
    source = f"https://huggingface.co/{entry.hub} ({found.commit})"
    facts = {"native_size": entry.native_size} if entry.native_size is not None else {}
    record = Record(entry.name, entry.kind, entry.family, found.path, source, facts=facts, **sums)
    records.write_pins(entry.name, record.sums)
    records.write(record)
    with contextlib.suppress(OSError):
        placed.rmdir()  # stays where it holds the files
    return found.path


def _sums(path: Path) -> dict[str, Any]:
    """`sums` and `sizes` of a record: of a file, or of the files of a model in a folder."""
    try:
        if path.is_dir():
            names = [item.name for item in path.iterdir() if item.is_file()]
            files = [path / name for name in sorted(choose(names) or names)]
        else:
            files = [path]
        sizes = {file.name: file.stat().st_size for file in files}
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None
    return {"sums": {file.name: fingerprint(file) for file in files}, "sizes": sizes}


def _described(file: File) -> str:
    known = f"sha256 {file.sha256}" if file.sha256 is not None else "sha256 unknown"
    return f"{file.name} ({human_size(file.size)}, {known})"


def _unpin(entry: Entry, file: File) -> str:
    """What to do where the sum was only pinned by the first download."""
    if file.sha256 is not None:
        return ""
    return f"; if the new file is to be trusted, remove {records.pins_file(entry.name)}"


class _Announce:
    """Says how large a file is before its first byte is there."""

    def __init__(self, entry: Entry, watch: Watch) -> None:
        self._entry = entry
        self._watch = watch
        self._seen: set[str] = set()

    def note(self, message: str) -> None:
        self._watch.note(message)

    def progress(self, label: str, done: int, total: int | None) -> None:
        if label not in self._seen and (total is None or total >= ANNOUNCED):
            self._seen.add(label)
            rest = f", {human_size(done)} of it here already" if done else ""
            self.note(f"fetching {label} of {self._entry.name}: {human_size(total)}{rest}")
        self._watch.progress(label, done, total)


__all__ = [
    "Converted",
    "Converter",
    "add",
    "cached",
    "check_sum",
    "converters",
    "obtain",
    "remove",
    "verify",
]
