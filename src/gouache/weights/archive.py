"""Archives in which models are published: unpacked as data, into one folder and nowhere else."""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from pathlib import Path

from gouache.errors import ModelError

ARCHIVE = ".tar.gz"
MAX_FILES = 1000
MAX_BYTES = 32 << 30  # unpacked, far beyond any published model


def unpack(archive: Path, folder: Path) -> None:
    """Files and folders of `archive` into the folder, which exists and is empty.

    `ModelError` for what is damaged, too large, leads out of the folder, or is neither file nor
    folder; what was unpacked before is the caller's to remove. `OSError` where there is no room.
    """
    try:
        with tarfile.open(archive, "r:gz") as file:
            total = 0
            for number, member in enumerate(file):
                total += member.size
                if number >= MAX_FILES or total > MAX_BYTES:
                    raise ModelError(f"{archive} holds far more than a model; it is refused")
                if not (member.isreg() or member.isdir()):
                    raise ModelError(
                        f"{archive} holds {member.name!r:.60}, which is neither a file nor a "
                        "folder; it is refused"
                    )
                file.extract(member, folder, filter="data")
    except tarfile.FilterError as error:
        reason = " ".join(str(error).split())[:120]
        raise ModelError(f"{archive} leads out of its folder ({reason}); it is refused") from None
    except (tarfile.TarError, EOFError, zlib.error) as error:
        reason = " ".join(str(error).split())[:80]
        raise ModelError(f"{archive} is damaged or incomplete ({reason})") from None


def check_md5(path: Path, expected: str | None) -> None:
    """Raises `ModelError` where the file has another sum than its publishers tell, if they do."""
    if expected is None:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != expected:
        raise ModelError(f"{path} has md5 {found}, expected {expected}; it was removed, try again")


__all__ = ["ARCHIVE", "check_md5", "unpack"]
