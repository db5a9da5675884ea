"""Fetching, with stand-ins for the package managers: no network."""

from __future__ import annotations

import dataclasses
import tarfile
from pathlib import Path

import pytest

from gouache.errors import TrainingError
from gouache_training import fetch as module
from gouache_training import sources
from gouache_training.fetch import cache_folder, fetch, fetch_all, sha256_of
from training.dataset_samples import source


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An `npm` that packs a prepared archive; returns the file that counts its calls."""
    content = tmp_path / "package"
    content.mkdir()
    (content / "icons.json").write_text("{}")
    archive = tmp_path / "prepared.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(content, "package")
    tools = tmp_path / "bin"
    tools.mkdir()
    calls = tmp_path / "calls"
    tool = tools / "npm"
    tool.write_text(f'#!/bin/sh\necho "$@" >> {calls}\ncp {archive} "$5/x-1.0.0.tgz"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    return calls


def with_checksum(monkeypatch: pytest.MonkeyPatch, digest: str) -> sources.Source:
    row = source("x", "icon")
    monkeypatch.setattr(sources, "_checksums", lambda: {"package-x@1.0.0": digest})
    return row


def test_fetch_verifies_unpacks_and_remembers(
    tmp_path: Path, npm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = with_checksum(monkeypatch, sha256_of(tmp_path / "prepared.tgz"))
    cache = tmp_path / "cache"
    folder = fetch(row, cache)
    assert (folder / "icons.json").read_text() == "{}"
    assert row.sha256 in (folder / "fetched.json").read_text()
    assert fetch(row, cache) == folder
    assert npm.read_text().count("\n") == 1  # asked once
    assert npm.read_text().startswith("pack package-x@1.0.0")
    assert [path.name for path in cache.iterdir()] == [folder.name]


def test_relative_cache_is_fetched_into(
    tmp_path: Path, npm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client runs in a folder of its own, where a relative destination leads nowhere."""
    monkeypatch.chdir(tmp_path)
    row = with_checksum(monkeypatch, sha256_of(tmp_path / "prepared.tgz"))
    folder = fetch(row, Path("data/cache"))
    assert (folder / "icons.json").read_text() == "{}"
    assert folder.parent == tmp_path / "data" / "cache"
    monkeypatch.setenv("GOUACHE_CACHE", "elsewhere")
    assert (fetch(row) / "icons.json").exists()


def test_changed_archive_is_refused(
    tmp_path: Path, npm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = with_checksum(monkeypatch, "0" * 64)
    with pytest.raises(TrainingError, match="archive changed"):
        fetch(row, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_failing_client_is_one_line(tmp_path: Path, npm: Path) -> None:
    tool = tmp_path / "bin" / "npm"
    tool.write_text("#!/bin/sh\necho first >&2\necho no such package >&2\nexit 1\n")
    with pytest.raises(TrainingError, match="no such package") as caught:
        fetch(source("x", "icon"), tmp_path / "cache")
    assert "\n" not in str(caught.value)


NPM_NOT_FOUND = """\
npm error code ETARGET
npm error notarget No matching version found for package-x@1.0.0.
npm error A complete log of this run can be found in: /home/somebody/.npm/_logs/debug-0.log
"""


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (NPM_NOT_FOUND, "No matching version found for package-x@1.0.0."),
        ("npm error code ENOENT\nnpm error syscall open\nnpm error errno -2\n", "errno -2"),
        ("npm error code E401\n", "code E401"),
        ("\n", "exit code 254"),
        ("\x1b[31mcannot\x1b[0m \udcff reach it\n", "reach it"),
    ],
)
def test_what_the_client_says_is_told(tmp_path: Path, npm: Path, said: str, expected: str) -> None:
    (tmp_path / "said").write_bytes(said.encode(errors="surrogateescape"))
    tool = tmp_path / "bin" / "npm"
    tool.write_text(f"#!/bin/sh\ncat {tmp_path / 'said'} >&2\nexit 254\n")
    with pytest.raises(TrainingError) as caught:
        fetch(source("x", "icon"), tmp_path / "cache")
    message = str(caught.value)
    assert expected in message
    assert message.isprintable()
    assert "/home/somebody" not in message


def test_npm_is_not_silenced(tmp_path: Path, npm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch(with_checksum(monkeypatch, sha256_of(tmp_path / "prepared.tgz")), tmp_path / "cache")
    assert "--silent" not in npm.read_text()


def test_missing_client_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TrainingError, match="`npm`, which is not installed"):
        fetch(source("x", "icon"), tmp_path)
    row = dataclasses.replace(source("y", "clip"), manager="apt")
    with pytest.raises(TrainingError, match="apt-get"):
        fetch(row, tmp_path)


def test_fetch_all_reports_each(tmp_path: Path, npm: Path) -> None:
    lines: list[str] = []
    folders = fetch_all(tmp_path / "cache", [source("x", "icon")], lines.append)
    assert list(folders) == ["x"]
    assert lines == ["fetching package-x 1.0.0"]


def test_cache_folder_follows_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOUACHE_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path / "sources"
    monkeypatch.delenv("GOUACHE_CACHE")
    assert cache_folder().name == "sources"
    assert module.__doc__
