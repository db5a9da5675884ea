"""Weights that gzip packed: the same models as before, and one line for what cannot be read."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import torch

from gouache.errors import ModelError
from gouache.weights import gz
from gouache.weights.fingerprint import fingerprint, identity
from gouache.weights.safe import read_checkpoint, read_model
from gouache.weights.saving import save_model
from gouache.weights.shipped import PHOTO, POCKET


def random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    state = {"a": random(5, 7), "b": random(3), "t": torch.arange(6, dtype=torch.int8)}
    save_model(tmp_path / "m.safetensors", state, {"width": 3}, packed=True)
    return tmp_path / "m.safetensors"


@pytest.fixture
def packed(plain: Path) -> Path:
    path = plain.with_name("m.safetensors.gz")
    path.write_bytes(gz.pack(plain.read_bytes()))
    return path


@pytest.mark.parametrize("dtype", [None, torch.float16])
def test_what_is_packed_reads_as_if_it_were_not(
    plain: Path, packed: Path, dtype: torch.dtype | None
) -> None:
    wanted, found = (read_checkpoint(path, dtype=dtype) for path in (plain, packed))
    assert found.config == wanted.config == {"width": 3}
    assert found.tensors.keys() == wanted.tensors.keys()
    for name, value in wanted.tensors.items():
        assert found.tensors[name].dtype == value.dtype
        assert torch.equal(found.tensors[name], value)
    assert found.tensors["t"].dtype == torch.int8
    some = read_checkpoint(packed, lambda names: {"b": "c"}).tensors
    assert list(some) == ["c"]


def test_packing_makes_no_other_model_of_it(plain: Path, packed: Path) -> None:
    assert identity(packed) == identity(plain) == fingerprint(plain) != fingerprint(packed)


def test_a_model_is_packed_where_its_name_says_so(plain: Path, packed: Path) -> None:
    tensors, config = read_model(plain)
    again = plain.with_name("again.safetensors.gz")
    save_model(again, tensors, config, packed=True)
    assert gzip.decompress(again.read_bytes()) == plain.read_bytes()
    assert again.read_bytes() == packed.read_bytes()  # no time or name inside


def test_a_changed_file_is_read_anew(plain: Path, packed: Path) -> None:
    before = identity(packed)
    save_model(packed, {"a": random(4, 9)}, {"width": 4}, packed=True)
    assert read_checkpoint(packed).config == {"width": 4}
    assert identity(packed) != before


def test_small_files_are_unpacked_once_and_large_ones_not_kept(
    packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = gz.unpack(packed)
    assert gz.unpack(packed) is first
    monkeypatch.setattr(gz, "KEPT", packed.stat().st_size - 1)
    again = gz.unpack(packed)
    assert again == first
    assert again is not first


def test_coarser_steps_make_smaller_files(tmp_path: Path) -> None:
    weight = random(6, 400) * 10.0 ** torch.arange(-2, 4)[:, None]
    weight[0, 0] = weight[0].std() * 60  # beyond 127 steps: that row is as fine as it can be
    sizes = []
    for step in (0.0, 0.1, 0.4):
        path = tmp_path / f"{step}.safetensors.gz"
        save_model(path, {"w": weight}, {}, packed=True, step=step)
        found = read_model(path)[0]["w"]
        sizes.append(path.stat().st_size)
        finest = weight.abs().amax(1) / 127
        steps = torch.maximum(finest, step * weight.square().mean(1).sqrt())
        assert ((found - weight).abs().amax(1) <= 0.51 * steps).all()
        assert ((found - weight).abs().amax(1) >= 0.3 * steps).all()
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda content: content[:-20], "damaged or incomplete"),
        (lambda content: content[:40], "damaged or incomplete"),
        (lambda content: content[:30] + b"\xff" * 40 + content[70:], "cannot unpack"),
        (lambda content: gzip.compress(b"a tar, or words"), "holds no safetensors"),
        (lambda content: gzip.compress(b""), "holds no safetensors"),
        (
            lambda content: gzip.compress(gzip.decompress(content)[:-9]),
            "is damaged or incomplete",
        ),
    ],
)
def test_what_cannot_be_read_is_one_line(change: object, told: str, packed: Path) -> None:
    packed.write_bytes(change(packed.read_bytes()))  # type: ignore[operator]
    with pytest.raises(ModelError, match=told) as caught:
        read_checkpoint(packed)
    assert "\n" not in str(caught.value)
    assert str(packed) in str(caught.value)


def test_what_unpacks_beyond_all_measure_is_refused(
    packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gz, "MOST", 1 << 20)
    packed.write_bytes(gzip.compress(bytes(3 << 20)))
    with pytest.raises(ModelError, match="more than 1 MiB; unpack it first"):
        read_checkpoint(packed)


def test_the_package_carries_sixty_megabytes_of_weights() -> None:
    files = [*POCKET.iterdir(), *PHOTO.parent.iterdir()]
    assert sum(path.stat().st_size for path in files) <= 60_000_000


def test_steps_by_tensor(tmp_path: Path) -> None:
    """What is not named is kept as finely as 8 bits can."""
    weights = {name: random(3, 4000) for name in ("coarse", "fine")}
    one, other, all_fine = (tmp_path / f"{k}.safetensors" for k in range(3))
    save_model(one, weights, {}, packed=True, step={"coarse": 0.5})
    save_model(other, weights, {}, packed=True, step=0.5)
    save_model(all_fine, weights, {}, packed=True)
    found, coarse, fine = (read_model(path)[0] for path in (one, other, all_fine))
    assert torch.equal(found["coarse"], coarse["coarse"])
    assert torch.equal(found["fine"], fine["fine"])
    assert not torch.equal(coarse["fine"], fine["fine"])
