"""The published models that gouache knows by name.

The table itself is `catalogue.yaml`, beside this file. `find` also knows the models that the user
added to the cache. Nothing here touches the network or torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import urlsplit

from gouache.errors import ModelError
from gouache.weights import records
from gouache.weights.records import Kind
from gouache.weights.shipped import POCKET

Status = Literal["shipped", "catalogue", "added"]

TABLE = Path(__file__).with_name("catalogue.yaml")
_HUB = re.compile(
    r"hf:(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w.-]+))?/(?P<path>[\w./-]+)\Z", re.ASCII
)
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9_][\w.-]*\Z", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class HubFile:
    """A file on the Hugging Face hub."""

    repo: str
    path: str
    revision: str = "main"


@dataclass(frozen=True)
class File:
    """One file to download: where from, best source first, and how to know that it is the one.

    `sha256` (64 hexadecimal digits) and `size` (bytes) are None where nobody told us; so is `md5`,
    which publishers of old tell.
    """

    name: str
    sources: tuple[str, ...]
    sha256: str | None = None
    size: int | None = None
    md5: str | None = None


@dataclass(frozen=True)
class Entry:
    """A model by name. Numbers are None where they are not known.

    `native_size` is the side in pixels that it was trained at. A generator has `weights` and
    `config`, a system its `parts`, a perceptor and a model of depth its repository `hub` at
    `revision`, and what `open_clip` calls the same weights. Of a shipped or an added model `path`
    says where it lies.
    """

    name: str
    kind: Kind
    family: str
    about: str = ""
    status: Status = "catalogue"
    downsampling: int | None = None
    codebook_size: int | None = None
    native_size: int | None = None
    licence: str | None = None
    weights: File | None = None
    config: File | None = None
    parts: tuple[File, ...] = ()
    hub: str | None = None
    revision: str = "main"
    path: Path | None = None
    open_clip: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[File, ...]:
        """What is downloaded file by file, the weights first."""
        found = (self.weights, self.config, *self.parts)
        return tuple(file for file in found if file is not None)

    @property
    def file_size(self) -> int | None:
        """Bytes of the weights as they are published (or lie on the disk)."""
        if self.path is not None and self.path.is_file():
            return self.path.stat().st_size
        return self.weights.size if self.weights is not None else None

    @property
    def sources(self) -> tuple[str, ...]:
        """Where the weights come from, mirrors included."""
        if self.hub is not None:
            return (f"https://huggingface.co/{self.hub}",)
        if self.parts:
            return tuple(web_address(file.sources[0]) for file in self.parts)
        return tuple(map(web_address, self.weights.sources)) if self.weights is not None else ()


def parse_hub(source: str) -> HubFile | None:
    """The hub file that "hf:OWNER/REPOSITORY@REVISION/PATH" means; None for other addresses."""
    if not source.startswith("hf:"):
        return None
    found = _HUB.match(source)
    if found is None:
        raise ModelError(f"{source!r:.80} is no file on the hub; expected hf:OWNER/REPOSITORY/PATH")
    return HubFile(found["repo"], found["path"], found["revision"] or "main")


def web_address(source: str) -> str:
    """A source as an address to look at in a browser."""
    hub = parse_hub(source)
    if hub is None:
        return source
    return f"https://huggingface.co/{hub.repo}/resolve/{hub.revision}/{hub.path}"


@lru_cache(maxsize=1)
def catalogue() -> Mapping[str, Entry]:
    """All published models by name, generators first, in the order of the table."""
    table = _table()
    entries: dict[str, Entry] = {}
    kinds: tuple[tuple[Kind, str], ...] = (
        ("generator", "generators"),
        ("perceptor", "perceptors"),
        ("depth", "depth"),
        ("system", "systems"),
    )
    for kind, section in kinds:
        for name, values in table[section].items():
            assert name not in entries, name
            files = {part: _file(values[part]) for part in ("weights", "config") if part in values}
            tags = {"open_clip": tuple(values.get("open_clip", ()))}
            parts = {"parts": tuple(map(_file, values.get("parts", ())))}
            entries[name] = Entry(
                **{**values, **files, **tags, **parts, "name": name, "kind": kind}
            )
    return entries


@lru_cache(maxsize=1)
def shipped() -> tuple[Entry, ...]:
    """The models inside the package. A generator and a perceptor may share a name."""
    return tuple(
        Entry(
            **{"family": "pocket", "licence": "MIT (gouache)"}
            | {key: value for key, value in values.items() if key != "file"},
            status="shipped",
            path=POCKET.parent / values["file"],
        )
        for values in _table()["shipped"]
    )


def added() -> list[Entry]:
    """Models that the user added to the cache, in alphabetical order."""
    own = [_from_record(record) for record in records.read_all() if record.added]
    return [entry for entry in own if entry.name not in catalogue()]


def find(name: str) -> Entry | None:
    """The published or added model called `name`, or of that hub id; None where there is none.

    Shipped models are not among them: those are registered names.
    """
    entries = catalogue()
    if name in entries:
        return entries[name]
    for entry in entries.values():
        if entry.hub == name:
            return entry
    record = records.read(name) if records.is_name(name) else None
    return _from_record(record) if record is not None and record.added else None


def from_hub(repo: str, revision: str = "main", family: str = "transformers") -> Entry:
    """An entry for any perceptor on the hub, "OWNER/REPOSITORY"; the catalogue's where it has one.

    Its name in the cache is OWNER--REPOSITORY, with the revision where it is not main. What is no
    hub id raises `ModelError`.
    """
    known = find(repo)
    if known is not None and known.hub == repo and revision == known.revision:
        return known
    if not _HUB_ID.match(repo):
        raise ModelError(f"{repo!r:.80} is no model on the hub; expected OWNER/REPOSITORY")
    name = repo if revision == "main" else f"{repo}--{revision}"
    name = name.replace("/", "--").lower()
    return Entry(name, "perceptor", family, hub=repo, revision=revision)


def names(kind: Kind) -> list[str]:
    """Names that `find` knows, of one kind, in alphabetical order."""
    return sorted(e.name for e in [*catalogue().values(), *added()] if e.kind == kind)


def _table() -> dict[str, Any]:
    import yaml

    table: dict[str, Any] = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    return table


def _file(values: Mapping[str, Any]) -> File:
    sources = tuple(values["sources"])
    sha256 = values.get("sha256")
    assert sha256 is None or _SHA256.match(sha256), sha256
    hub = parse_hub(sources[0])
    path = hub.path if hub is not None else urlsplit(sources[0]).path
    name = values.get("name") or PurePosixPath(path).name
    return File(name, sources, sha256, values.get("size"), values.get("md5"))


def _from_record(record: records.Record) -> Entry:
    facts = record.facts
    return Entry(
        name=record.name,
        kind=record.kind,
        family=record.family,
        about=f"added from {record.source}",
        status="added",
        downsampling=facts.get("downsampling"),
        codebook_size=facts.get("codebook_size"),
        native_size=facts.get("native_size"),
        path=record.path,
    )


__all__ = [
    "Entry",
    "File",
    "HubFile",
    "added",
    "catalogue",
    "find",
    "from_hub",
    "names",
    "parse_hub",
    "shipped",
    "web_address",
]
