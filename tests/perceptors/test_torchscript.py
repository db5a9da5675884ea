"""Archives are read as data: nothing in them is imported, called or compiled."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gouache.errors import ModelError
from gouache.perceptors.torchscript import read_torchscript
from gouache.weights import pickled
from gouache.weights.recognise import is_torchscript
from perceptors.clip_samples import archive


def rewrite(source: Path, target: Path, **changes: bytes | None) -> Path:
    """A copy of an archive with other contents for the entries that end so."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            for suffix, change in changes.items():
                if name.endswith("/" + suffix.replace("__", ".")):
                    content = change if change is not None else b""
            new.writestr(zipfile.ZipInfo(name), content)
    return target


pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")


def test_all_tensors_are_those_that_torch_reads() -> None:
    for kind in ("vit", "resnet"):
        found = read_torchscript(archive(kind))
        wanted = torch.jit.load(archive(kind), map_location="cpu").state_dict()
        assert found.keys() == wanted.keys()
        for name, tensor in wanted.items():
            assert torch.equal(found[name], tensor), name
            assert found[name].dtype == tensor.dtype


def test_shared_strided_and_half_tensors(tmp_path: Path) -> None:
    class Odd(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            base = torch.arange(24.0)
            self.register_buffer("whole", base)
            self.register_buffer("window", base[4:16].view(3, 4).t())
            self.register_buffer("small", torch.rand(3).half())
            self.register_buffer("empty", torch.zeros(0, 4))
            self.register_buffer("number", torch.tensor(7))
            self.sizes = [1, 2, 3]
            self.factor = 0.5

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.factor + self.sizes[0]

    path = tmp_path / "odd.pt"
    torch.jit.script(Odd()).save(str(path))
    found = read_torchscript(path)
    for name, tensor in Odd().state_dict().items():
        if name != "small":
            assert torch.equal(found[name], tensor), name
    assert found["small"].dtype == torch.float16


def test_only_what_is_asked_for_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    original = pickled.read_bytes

    def note(file: Any, position: int, count: int, *into: Any) -> torch.Tensor:
        read.append(count)
        return original(file, position, count, *into)

    monkeypatch.setattr(pickled, "read_bytes", note)
    found = read_torchscript(archive("vit"), lambda names: {"ln_final.bias": "bias"})
    assert found.keys() == {"bias"}
    *_, tree, bias = read
    assert bias == found["bias"].nbytes != tree
    assert len(read) <= 3  # an archive may also say in which order its bytes are


def test_the_program_in_an_archive_is_never_looked_at(tmp_path: Path) -> None:
    """Whatever stands in code/: the tensors are the same, and torch's own loader would fail."""
    target = tmp_path / "code.pt"
    with zipfile.ZipFile(archive("vit")) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = b"import os; os.mkdir('boom')" if "/code/" in name else old.read(name)
            new.writestr(zipfile.ZipInfo(name), content)
    with pytest.raises(RuntimeError):
        torch.jit.load(target)
    assert read_torchscript(target).keys() == read_torchscript(archive("vit")).keys()


class Planted:
    """Unpickled as usual, it makes a folder."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Callable[[Any], None], tuple[str]]:
        return Path.mkdir, (self.place,)  # type: ignore[return-value]


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_planted_pickle_is_refused_and_does_nothing(tmp_path: Path, protocol: int) -> None:
    place = tmp_path / "boom"
    evil = pickle.dumps({"weight": Planted(place)}, protocol=protocol)
    path = rewrite(archive("vit"), tmp_path / "evil.pt", data__pkl=evil)
    assert is_torchscript(path)
    with pytest.raises(ModelError) as error:
        read_torchscript(path)
    assert "\n" not in str(error.value)
    assert "refused" in str(error.value)
    assert not place.exists()
    pickle.loads(evil)  # so it would have been
    assert place.exists()


def stream(*parts: bytes) -> bytes:
    return b"\x80\x02" + b"".join(parts) + b"."


TENSOR = (
    b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
    b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpu%bt" + b"Q%b(%bt(%bt\x89ccollections\nOrderedDict\n)RtR"
)


def tensor(length: bytes, offset: bytes, shape: bytes, stride: bytes) -> bytes:
    entry = b"X\x01\x00\x00\x00w" + TENSOR % (length, offset, shape, stride)
    return stream(b"}(", entry, b"u")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (stream(b"cos\nsystem\n(X\x04\x00\x00\x00truetR"), "os system"),
        (stream(b"cos\nsystem\n)\x81"), "os system"),
        (stream(b"cbuiltins\ngetattr\n)R"), "builtins getattr"),
        (stream(b"(X\x01\x00\x00\x00xios\nsystem\n"), "instruction INST"),
        (stream(b"c__torch__\nBag\n)\x81X\x01\x00\x00\x00xb"), "state"),
        (stream(b"X\x01\x00\x00\x00x}b"), "state"),
        (stream(b"(X\x06\x00\x00\x00modulecos\nsystem\nX\x01\x00\x00\x000NK\x01tQ"), "os system"),
        (tensor(b"K\x7f", b"K\x00", b"K\x7f", b"K\x01"), ""),  # of fewer bytes: see below
    ],
)
def test_streams_by_hand(tmp_path: Path, content: bytes, message: str) -> None:
    path = rewrite(archive("vit"), tmp_path / "hand.pt", data__pkl=content)
    if not message:
        read_torchscript(path)  # the writer of these streams knows its craft
        return
    with pytest.raises(ModelError, match=message):
        read_torchscript(path)


@pytest.mark.parametrize(
    ("length", "offset", "shape", "stride"),
    [
        (b"J\xff\xff\xff\x7f", b"K\x00", b"K\x01", b"K\x01"),  # longer than its bytes
        (b"K\x04", b"K\x00", b"J\xff\xff\xff\x7f", b"K\x00"),  # large by a stride of zero
        (b"K\x04", b"K\x03", b"K\x02", b"K\x01"),  # reaches over the end
        (b"K\x04", b"J\xff\xff\xff\xff", b"K\x02", b"K\x01"),  # begins before the first byte
        (b"K\x04", b"K\x00", b"K\x02", b"J\xff\xff\xff\xff"),  # walks backwards
        (b"K\x04", b"K\x00", b"K\x02", b"K\x01K\x01"),  # shape and strides differ
    ],
)
def test_impossible_tensors(
    tmp_path: Path, length: bytes, offset: bytes, shape: bytes, stride: bytes
) -> None:
    content = tensor(length, offset, shape, stride)
    path = rewrite(archive("vit"), tmp_path / "hand.pt", data__pkl=content)
    with pytest.raises(ModelError) as error:
        read_torchscript(path)
    assert "\n" not in str(error.value)


def test_trees_that_would_never_end(tmp_path: Path) -> None:
    loop = stream(b"}q\x00X\x01\x00\x00\x00ah\x00s")
    doubling = b"}q\x00"
    for level in range(40):
        doubling += b"}q%c(X\x01\x00\x00\x00ah%cX\x01\x00\x00\x00bh%cu" % (
            level + 1, level, level,
        )  # fmt: skip
    for content in (loop, stream(doubling)):
        path = rewrite(archive("vit"), tmp_path / "endless.pt", data__pkl=content)
        with pytest.raises(ModelError, match=r"damaged"):
            read_torchscript(path)


def test_compressed_entries_are_refused(tmp_path: Path) -> None:
    """A few bytes could unpack to any amount."""
    target = tmp_path / "small.pt"
    packed = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(archive("vit")) as old, zipfile.ZipFile(target, "w", packed) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(ModelError, match="compressed"):
        read_torchscript(target)


def test_one_tensor_in_countless_places_is_refused(tmp_path: Path) -> None:
    """Each place would become a copy."""
    entry = TENSOR % (b"M\x00\x10", b"K\x00", b"M\x00\x10", b"K\x01")
    names = b"".join(b"X\x04\x00\x00\x00%04d" % number + b"h\x07" for number in range(2000))
    path = rewrite(
        archive("vit"),
        tmp_path / "hand.pt",
        data__pkl=stream(b"}(X\x01\x00\x00\x00w", entry, b"q\x07", names, b"u"),
    )
    with pytest.raises(ModelError, match="many times as large as the file"):
        read_torchscript(path)
