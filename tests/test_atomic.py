"""Writing completely or not at all, whatever goes wrong and where."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gouache.atomic import (
    TEMP_PREFIX,
    atomic_path,
    check_writable,
    remove_leftovers,
    write_bytes,
)
from gouache.errors import OutputError

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX files")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file whose content every failure must leave alone."""
    path = tmp_path / "out.png"
    path.write_bytes(b"old")
    return path


def untouched(path: Path) -> bool:
    return path.read_bytes() == b"old" and [*path.parent.iterdir()] == [path]


def message(caught: pytest.ExceptionInfo[OutputError]) -> str:
    text = str(caught.value)
    assert text.isprintable()
    return text


@contextmanager
def file_size_limit(limit: int) -> Iterator[None]:
    """Real failures of write(2) in the middle of a file: Python ignores the signal."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_bytes(path, b"one")
    write_bytes(path, b"two")
    assert path.read_bytes() == b"two"
    assert [*tmp_path.iterdir()] == [path]


def test_the_old_file_stays_until_the_end(old: Path) -> None:
    with atomic_path(old) as temp:
        assert temp.parent == old.parent
        assert temp.suffix == ".png"
        temp.write_bytes(b"new")
        assert old.read_bytes() == b"old"
    assert old.read_bytes() == b"new"
    assert not temp.exists()


@pytest.mark.parametrize("failure", [ValueError("mine"), KeyboardInterrupt(), SystemExit(3)])
def test_any_failure_of_the_body_leaves_the_old_file(old: Path, failure: BaseException) -> None:
    def write_half() -> None:
        with atomic_path(old) as temp:
            temp.write_bytes(b"half")
            raise failure

    with pytest.raises(type(failure)):
        write_half()
    assert untouched(old)


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "no space is left"),
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "Input/output error"),
    ],
)
@pytest.mark.parametrize("function", ["replace", "fsync", "open"])
def test_failures_of_the_system(
    old: Path, monkeypatch: pytest.MonkeyPatch, function: str, number: int, remedy: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(OutputError, match=remedy) as caught:
        write_bytes(old, b"new")
    monkeypatch.undo()
    assert str(old) in message(caught)
    assert untouched(old)


def test_a_full_disk_while_writing(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    for write in (lambda: write_bytes(old, b"new"), lambda: check_writable(old)):
        with pytest.raises(OutputError, match="no space is left"):
            write()
    assert untouched(old)


@posix
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_real_full_device(old: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"out\.png: no space is left"),
        atomic_path(old),
        Path("/dev/full").open("wb") as file,
    ):
        file.write(bytes(10))
    assert untouched(old)


@posix
def test_a_real_failure_in_the_middle_of_the_file(old: Path) -> None:
    with file_size_limit(1000), pytest.raises(OutputError, match="too large"):
        write_bytes(old, bytes(5000))
    assert untouched(old)
    with file_size_limit(1000), pytest.raises(OutputError, match="too large"):
        check_writable(old)
    assert untouched(old)


@pytest.mark.parametrize("write", [lambda path: write_bytes(path, b"x"), check_writable])
class TestPlaces:
    def test_missing_folder(self, tmp_path: Path, write) -> None:
        with pytest.raises(OutputError, match="folder does not exist") as caught:
            write(tmp_path / "no" / "a.png")
        assert str(tmp_path / "no" / "a.png") in message(caught)

    def test_a_file_as_folder(self, old: Path, write) -> None:
        with pytest.raises(OutputError, match="cannot write"):
            write(old / "a.png")
        assert untouched(old)

    def test_a_folder(self, tmp_path: Path, write) -> None:
        for path in (tmp_path, ".", "/", ""):
            with pytest.raises(OutputError, match="is a folder"):
                write(path)

    def test_impossible_names(self, tmp_path: Path, write) -> None:
        for name in ("a\0b.png", "a" * 300 + ".png"):
            with pytest.raises(OutputError) as caught:
                write(tmp_path / name)
            message(caught)
        assert not [*tmp_path.iterdir()]

    @posix
    def test_line_breaks_stay_out_of_the_message(self, tmp_path: Path, write) -> None:
        with pytest.raises(OutputError) as caught:
            write(tmp_path / "a\nb" / "c\udcff.png")
        message(caught)

    @posix
    def test_a_special_file_is_not_replaced(self, tmp_path: Path, write) -> None:
        """Only ever a pipe of our own: were the check broken, root would lose a real device."""
        pipe, link = tmp_path / "pipe", tmp_path / "link"
        os.mkfifo(pipe)
        link.symlink_to(pipe)
        for path in (pipe, link):
            with pytest.raises(OutputError, match="not a regular file"):
                write(path)
            assert pipe.is_fifo()

    def test_a_write_protected_file(self, old: Path, write, monkeypatch) -> None:
        old.chmod(0o444)
        if os.access(old, os.W_OK):  # root
            monkeypatch.setattr(os, "access", lambda *_: False)
        with pytest.raises(OutputError, match="write-protected"):
            write(old)
        assert untouched(old)


def test_check_writable_leaves_nothing(old: Path) -> None:
    check_writable(old)
    assert untouched(old)
    check_writable(old.with_name("new.png"))
    assert untouched(old)


@posix
def test_permissions_are_those_of_an_ordinary_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_bytes(tmp_path / "new", b"")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "new").chmod(0o640)
    write_bytes(tmp_path / "new", b"x")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


@posix
def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.png"
    link.symlink_to(tmp_path / "real" / "a.png")
    write_bytes(link, b"x")
    assert link.is_symlink()
    assert (tmp_path / "real" / "a.png").read_bytes() == b"x"


def test_leftovers_of_killed_processes(old: Path) -> None:
    (old.parent / f"{TEMP_PREFIX}123.png").touch()
    remove_leftovers(old.parent)
    assert untouched(old)
    remove_leftovers(old.parent / "missing")
