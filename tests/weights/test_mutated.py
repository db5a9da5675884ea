"""`gouache models add` on damaged and hostile checkpoints: one line each, nothing is run."""

from __future__ import annotations

import io
import os
import pickle
import random
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from gouache.apps.cli.main import run
from perceptors.clip_samples import archive, write_merges

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
KINDS = ("zip", "stream", "safetensors", "torchscript")
# What hostile pickles put in front: calls, classes, instructions that nobody needs.
PLANTS = (
    b"cos\nsystem\n(X\x0f\x00\x00\x00touch BOOM-MARKtR0",
    b"cposix\nsystem\n(X\x0f\x00\x00\x00touch BOOM-MARKtR0",
    b"(X\x0f\x00\x00\x00touch BOOM-MARKios\nsystem\n0",
    b"c__builtin__\neval\n(X\x02\x00\x00\x001+tR0",
    b"cbuiltins\ngetattr\n(cos\nX\x06\x00\x00\x00systemtR0",
    b"csubprocess\nPopen\n)\x810",
    b"ctorch.hub\nload\n(tR0",
    b"cnumpy.testing\nassert_\n(tR0",
    b"csomebody.code\nrun\n(K\x01tR0",
    b"Pid\n0",
    b"\x82\x010",
)


def whole(kind: str) -> bytes:
    """A sound checkpoint."""
    if kind == "torchscript":
        return archive("vit").read_bytes()
    if kind == "zip":
        return (GOLDEN / "taming_vq.ckpt").read_bytes()
    state = torch.load(GOLDEN / "taming_vq.ckpt", weights_only=True)["state_dict"]
    if kind == "safetensors":
        return save({name: value.contiguous() for name, value in state.items()})
    buffer = io.BytesIO()
    torch.save({"state_dict": state}, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def planted(content: bytes, kind: str, rng: random.Random) -> bytes:
    """The same with a plant in its pickle, behind the number of the protocol."""
    plant = rng.choice(PLANTS)
    if kind == "safetensors":
        return plant + content
    if kind == "stream":
        places = [place for place in _all(content, b"\x80\x02") if place < 5000]
        place = rng.choice(places) + 2
        return content[:place] + plant + content[place:]
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("/data.pkl"):
                data = data[:2] + plant + data[2:]
            new.writestr(zipfile.ZipInfo(name), data)
    return target.getvalue()


def _all(content: bytes, mark: bytes) -> list[int]:
    found, place = [], content.find(mark)
    while place >= 0:
        found.append(place)
        place = content.find(mark, place + 1)
    return found


def mutated(content: bytes, kind: str, rng: random.Random) -> bytes:
    """Flipped bytes (often where the structure is), a cut, swapped pieces, or a plant."""
    what = rng.randrange(6)
    data = bytearray(content)
    if what == 0:
        return content[: rng.randrange(len(content))]
    if what == 1:
        first, second = sorted(rng.sample(range(len(data)), 2))
        size = rng.randrange(1, 4096)
        one, two = data[first : first + size], data[second : second + size]
        data[first : first + len(two)], data[second : second + len(one)] = two, one
        return bytes(data)
    if what == 2:
        return planted(content, kind, rng)
    for _ in range(rng.randrange(1, 20)):
        ends = (rng.randrange(min(len(data), 4000)), len(data) - 1 - rng.randrange(4000))
        place = rng.choice((*ends, rng.randrange(len(data))))
        data[place] = rng.randrange(256)
    return bytes(data)


def try_one(
    folder: Path, kind: str, content: bytes, number: int, capfd: pytest.CaptureFixture[str]
) -> int:
    """Adds it; the exit code, after looking at what was said."""
    suffix = "safetensors" if kind == "safetensors" else "ckpt"
    path = folder / f"m.{suffix}"
    path.write_bytes(content)
    code = run(["models", "add", str(path), "--name", f"m{number}"])
    seen = capfd.readouterr()
    assert code in (0, 2), seen.err
    lines = seen.err.splitlines()
    assert "Traceback" not in seen.err
    if code == 2:
        assert len(lines) == 1, seen.err
        assert lines[0].startswith("gouache: ")
        assert lines[0].isprintable(), lines[0]
        assert len(lines[0]) < 600
    else:
        assert len(seen.out.splitlines()) == 2
        run(["models", "remove", f"m{number}"])
        capfd.readouterr()
    assert not list(folder.glob("BOOM*"))
    return code


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_checkpoints(
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GOUACHE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    shutil.copy(GOLDEN / "taming_vq.yaml", tmp_path / "m.yaml")
    write_merges(tmp_path)
    content = whole(kind)
    assert try_one(tmp_path, kind, content, 0, capfd) == 0
    count = int(os.environ.get("GOUACHE_MUTATIONS", "25"))
    rng = random.Random(f"{kind} {count}")
    codes = [
        try_one(tmp_path, kind, mutated(content, kind, rng), number, capfd)
        for number in range(1, count + 1)
    ]
    assert codes.count(2) > count / 3


def test_plants_would_work_where_they_are_not_guarded_against(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pickle.loads(b"\x80\x02" + PLANTS[0] + b"N.")
    assert list(tmp_path.glob("BOOM*"))
