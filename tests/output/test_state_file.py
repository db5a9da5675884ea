"""Saved states: exact round trips, and every kind of damage noticed."""

from __future__ import annotations

import math
import os
import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from gouache.errors import OutputError, StateError
from gouache.output import state
from gouache.output.state import load_state, save_state

TENSORS = {
    "latent": torch.randn(1, 4, 3, 5, generator=torch.Generator().manual_seed(0)),
    "rng/0": torch.Generator().manual_seed(1).get_state(),
    "step": torch.tensor(7),
    "half": torch.randn(3).bfloat16(),
    "mask": torch.tensor([True, False]),
    "empty": torch.zeros(0, 3),
}
META = {"step": 7, "prompt": 'a "狐" \\ \U0001f98a', "losses": [math.inf, 0.1], "sha256": "0" * 64}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "state.safetensors"
    save_state(path, TENSORS, META)
    return path


def refused(path: Path) -> str:
    with pytest.raises(StateError) as caught:
        load_state(path)
    text = str(caught.value)
    assert text.isprintable()
    return text


def test_round_trip_is_exact(path: Path) -> None:
    tensors, meta = load_state(path)
    assert meta == META
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert tensors[name].shape == tensor.shape
        assert torch.equal(tensors[name], tensor)


def test_views_and_parameters_are_saved(tmp_path: Path) -> None:
    whole = torch.arange(12.0).reshape(3, 4).requires_grad_()
    save_state(tmp_path / "s", {"a": whole, "b": whole.T, "c": whole[1]}, {})
    tensors, _ = load_state(tmp_path / "s")
    assert torch.equal(tensors["b"], whole.T)
    assert torch.equal(tensors["c"], whole[1])
    tensors["a"][0] = 5  # not backed by the file


def test_no_tensors(tmp_path: Path) -> None:
    save_state(tmp_path / "s", {}, {"a": 1})
    assert load_state(tmp_path / "s") == ({}, {"a": 1})


def test_every_truncation_is_noticed(path: Path) -> None:
    data = path.read_bytes()
    for length in [*range(0, 300, 13), *range(300, len(data), 97), len(data) - 1]:
        path.write_bytes(data[:length])
        refused(path)
    path.write_bytes(data + b"\0")
    refused(path)


def test_every_flipped_bit_is_noticed(path: Path) -> None:
    data = path.read_bytes()
    header = 8 + int.from_bytes(data[:8], "little")
    rng = random.Random(0)
    places = [*range(header), *(rng.randrange(header, len(data)) for _ in range(100))]
    for place in places:
        damaged = bytearray(data)
        damaged[place] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        refused(path)


def test_other_files(tmp_path: Path) -> None:
    path = tmp_path / "s"
    for content in (b"", b"text", bytes(1000), b"\xff" * 1000, random.Random(0).randbytes(1000)):
        path.write_bytes(content)
        assert "not a state saved by gouache" in refused(path)
    save_file({"weight": torch.zeros(3)}, path)
    assert "not a state saved by gouache" in refused(path)


def test_a_state_of_another_version(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "FORMAT", "gouache-state-9")
    assert "this version reads 'gouache-state-9'" in refused(path)


def test_unreadable_places(tmp_path: Path) -> None:
    assert "no saved state at" in refused(tmp_path / "missing")
    assert "is a folder" in refused(tmp_path)
    refused(tmp_path / ("a" * 300))
    refused(tmp_path / "a\0b")
    refused(tmp_path / "a\nb")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert "not a regular file" in refused(tmp_path / "pipe")


def test_a_failed_save_keeps_the_old_state(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OutputError, match="no space is left"):
        save_state(path, {}, {})
    assert load_state(path)[1] == META
    assert [*path.parent.iterdir()] == [path]
