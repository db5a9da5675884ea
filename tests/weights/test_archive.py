"""Archives of models: unpacked as data, or refused in one line."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from gouache.errors import ModelError
from gouache.weights import archive as archive_module
from gouache.weights.archive import check_md5, unpack


def packed(path: Path, *members: tarfile.TarInfo, content: bytes = b"abc") -> Path:
    with tarfile.open(path, "w:gz") as file:
        for member in members:
            member.size = len(content) if member.isreg() else 0
            file.addfile(member, io.BytesIO(content) if member.isreg() else None)
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, link
    return found


def test_files_and_folders(tmp_path: Path) -> None:
    names = [member("m", tarfile.DIRTYPE), member("m/config.yaml"), member("m/t/merges.txt")]
    (tmp_path / "into").mkdir()
    unpack(packed(tmp_path / "a.tar.gz", *names), tmp_path / "into")
    found = sorted(path.name for path in (tmp_path / "into").rglob("*") if path.is_file())
    assert found == ["config.yaml", "merges.txt"]


@pytest.mark.parametrize(
    "bad",
    [
        member("../out.txt"),
        member("m/../../out.txt"),
        member("link", tarfile.SYMTYPE, "/etc/passwd"),
        member("link", tarfile.SYMTYPE, "config.yaml"),  # leads nowhere else, and no model has one
        member("link", tarfile.LNKTYPE, "../out.txt"),
        member("pipe", tarfile.FIFOTYPE),
        member("device", tarfile.CHRTYPE),
    ],
)
def test_what_leads_out_or_is_no_file(tmp_path: Path, bad: tarfile.TarInfo) -> None:
    into = tmp_path / "deep" / "into"
    into.mkdir(parents=True)
    with pytest.raises(ModelError, match="refused") as caught:
        unpack(packed(tmp_path / "a.tar.gz", bad), into)
    assert "\n" not in str(caught.value)
    assert not list(into.rglob("*"))
    assert not (tmp_path / "deep" / "out.txt").exists()


@pytest.mark.parametrize("cut", [0, 1, 10, 40])
def test_what_was_cut(tmp_path: Path, cut: int) -> None:
    path = packed(tmp_path / "a.tar.gz", member("m"), content=bytes(range(256)) * 64)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ModelError, match="damaged") as caught:
        unpack(path, tmp_path)
    assert "\n" not in str(caught.value)


def test_more_than_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path / "a.tar.gz", member("m"), member("n"))
    for limit in ("MAX_FILES", "MAX_BYTES"):
        with monkeypatch.context() as patch:
            patch.setattr(archive_module, limit, 1)
            with pytest.raises(ModelError, match="far more"):
                unpack(path, tmp_path)


def test_the_publishers_sum(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    check_md5(path, "900150983cd24fb0d6963f7d28e17f72")
    check_md5(path, None)
    with pytest.raises(ModelError, match="has md5 900150983cd24fb0d6963f7d28e17f72"):
        check_md5(path, "0" * 32)
