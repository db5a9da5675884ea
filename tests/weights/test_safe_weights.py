"""Reading and writing files of weights: what is damaged or hostile is refused in one line."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import pickle
import struct
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.torch import save, save_file
from torch import nn

from gouache.errors import ModelError, OutputError
from gouache.weights import saving
from gouache.weights.fingerprint import fingerprint
from gouache.weights.safe import load_state, read_checkpoint, read_model
from gouache.weights.saving import save_model

STATE = {"a.weight": torch.arange(12.0).view(3, 4), "a.bias": torch.tensor([1e-9, 2.0, 3.0])}


class Evil:
    """Creates the file `evil` names when it is unpickled carelessly."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"open({str(self.path)!r}, 'w').close()",)


def refused(path: Path, match: str | None = None) -> None:
    with pytest.raises(ModelError, match=match) as error:
        read_checkpoint(path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_saved_models_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "model.safetensors"
    config = {"width": 4, "sizes": [1, 2], "name": "ü", "deep": {"x": None}}
    save_model(path, STATE, config)
    state, read = read_model(path)
    assert read == config
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[name], STATE[name]) for name in STATE)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_numbers_are_cast_as_they_are_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"m{suffix}"
    torch.save(STATE, path) if suffix == ".pt" else save_file(STATE, path)
    found = read_checkpoint(path, dtype=torch.bfloat16).tensors
    assert all(torch.equal(found[name], STATE[name].bfloat16()) for name in STATE)
    assert all(value.dtype == torch.bfloat16 for value in found.values())
    plain = read_checkpoint(path).tensors
    assert all(torch.equal(plain[name], STATE[name]) for name in STATE)


def test_equal_contents_give_equal_bytes(tmp_path: Path) -> None:
    save_model(tmp_path / "a", STATE, {"x": 1, "y": 2})
    save_model(tmp_path / "b", dict(reversed(STATE.items())), {"y": 2, "x": 1})
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b")


def test_half_is_for_matrices_that_it_can_hold(tmp_path: Path) -> None:
    big = torch.full((2, 2), 1e6)
    strided = torch.randn(4, 4, 3, 3).to(memory_format=torch.channels_last)
    save_model(tmp_path / "m", {**STATE, "big": big, "strided": strided}, {}, half=True)
    state, _ = read_model(tmp_path / "m")
    assert state["a.weight"].dtype == torch.float16
    assert torch.equal(state["a.weight"].float(), STATE["a.weight"])
    assert torch.equal(state["a.bias"], STATE["a.bias"])
    assert torch.equal(state["big"], big)
    assert torch.equal(state["strided"], strided.half())


def test_writing_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    save_model(path, STATE, {"version": 1})

    def full(tensors: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half")
        raise SafetensorError("Error: No space left on device\n(os error 28)")

    with monkeypatch.context() as patch:
        patch.setattr(saving, "save_file", full)
        with pytest.raises(OutputError, match="No space left"):
            save_model(path, STATE, {"version": 2})
    assert read_model(path)[1] == {"version": 1}
    assert [item.name for item in tmp_path.iterdir()] == [path.name]
    with pytest.raises(OutputError):
        save_model(path / "below a file", STATE, {})


def test_fingerprint_is_the_sha256(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"gouache" * 100_000)
    assert fingerprint(tmp_path / "f") == hashlib.sha256(b"gouache" * 100_000).hexdigest()
    with pytest.raises(ModelError, match="cannot read"):
        fingerprint(tmp_path / "none")


@pytest.mark.parametrize("kind", ["safetensors", "pickle", "old pickle"])
def test_only_what_is_selected_is_kept(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "f"
    if kind == "safetensors":
        save_file(STATE, path)
    else:
        content = {"state_dict": {**STATE, "n": 3}, "epoch": 1}
        torch.save(content, path, _use_new_zipfile_serialization=kind == "pickle")
    seen: list[str] = []

    def select(names: Any) -> dict[str, str]:
        seen.extend(names)
        return {"a.bias": "bias"}

    found = read_checkpoint(path, select)
    assert set(STATE) <= set(seen)
    assert found.config is None
    assert found.tensors.keys() == {"bias"}
    assert torch.equal(found.tensors["bias"], STATE["a.bias"])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        b"hello, this is text and nothing else",
        b"<!DOCTYPE html><html>404</html>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        b"\x89PNG\r\n\x1a\n" + bytes(50),
        b"PK\x03\x04" + bytes(100),
        b"PK",
        b"\x80\x02",
        b"\x80\x02}q\x00.",
        struct.pack("<Q", 1 << 60) + b"{}",
        struct.pack("<Q", 2) + b"{]",
        struct.pack("<Q", 60) + b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}     ',
        struct.pack("<Q", 20000) + b'{"a":' * 4000,
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "f.safetensors").write_bytes(content)
    refused(tmp_path / "f.safetensors")


def test_folders_and_missing_files_are_refused(tmp_path: Path) -> None:
    refused(tmp_path, "is a folder")
    refused(tmp_path / "none", "there is no file")


@pytest.mark.parametrize("kind", ["safetensors", "pickle", "old pickle"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_truncated_files_are_refused(tmp_path: Path, kind: str, share: float) -> None:
    path = tmp_path / "f"
    if kind == "safetensors":
        save_model(path, STATE, {})
    else:
        torch.save(STATE, path, _use_new_zipfile_serialization=kind == "pickle")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refused(path)


@pytest.mark.parametrize("text", ["", "[1]", "{", '"x"', "[" * 20_000])
def test_a_damaged_configuration_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "f").write_bytes(save(STATE, metadata={"config": text}))
    refused(tmp_path / "f", "configuration inside")
    save_file(STATE, tmp_path / "g")
    with pytest.raises(ModelError, match="no configuration"):
        read_model(tmp_path / "g")


@pytest.mark.parametrize("content", [3, None, [1, 2], torch.zeros(3), {"state_dict": [1]}])
def test_pickles_without_a_state_dict_are_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "f")
    refused(tmp_path / "f", "no state_dict")


@pytest.mark.parametrize("kind", ["new", "old", "plain", "module"])
def test_hostile_pickles_are_refused_and_do_nothing(tmp_path: Path, kind: str) -> None:
    trace, path = tmp_path / "trace", tmp_path / "f.ckpt"
    content = {"state_dict": STATE, "hyper_parameters": Evil(trace)}
    if kind == "plain":
        path.write_bytes(pickle.dumps(content, protocol=2))
    elif kind == "module":
        torch.save({"state_dict": nn.Linear(2, 2)}, path)
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "new")
    refused(path, r"refused")
    assert not trace.exists()
    if kind == "plain":  # the trap works where it is not guarded against
        pickle.loads(path.read_bytes())
        assert trace.exists()


def test_bookkeeping_of_training_frameworks_is_ignored(tmp_path: Path) -> None:
    """Published VQGANs hold a Lightning callback's class and OmegaConf's settings."""
    module = types.ModuleType("pytorch_lightning")
    callback = type("ModelCheckpoint", (), {"__module__": "pytorch_lightning"})
    module.ModelCheckpoint = callback  # type: ignore[attr-defined]
    sys.modules["pytorch_lightning"] = module
    settings = callback()
    settings.path = "/x"
    content = {
        "callbacks": {callback: {"best": 1.0}},
        "hyper_parameters": settings,
        "types": [int, dict],
        "state_dict": STATE,
    }
    try:
        torch.save(content, tmp_path / "f.ckpt")
    finally:
        del sys.modules["pytorch_lightning"]
    allowed = torch.serialization.get_safe_globals()
    found = read_checkpoint(tmp_path / "f.ckpt").tensors
    assert "pytorch_lightning" not in sys.modules
    assert all(torch.equal(found[name], STATE[name]) for name in STATE)
    assert set(torch.serialization.get_safe_globals()) == set(allowed)


def test_a_stand_in_is_not_a_tensor(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": int}}, tmp_path / "f.ckpt")
    refused(tmp_path / "f.ckpt", "not a plain tensor")


def test_loading_copies_and_converts() -> None:
    with torch.device("meta"):
        module = nn.Linear(4, 3)
    state = {"weight": STATE["a.weight"].half(), "bias": STATE["a.bias"].clone()}
    load_state(module, state, "here")
    state["bias"].zero_()
    assert module.weight.dtype == torch.float32
    assert torch.equal(module.weight, STATE["a.weight"])
    assert torch.equal(module.bias, STATE["a.bias"])


def _bytes_of(kind: str) -> bytes:
    if kind == "safetensors":
        return save(STATE, metadata={"config": json.dumps({"a": 1})})
    buffer = io.BytesIO()
    torch.save({"state_dict": STATE}, buffer, _use_new_zipfile_serialization=kind == "pickle")
    return buffer.getvalue()


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["safetensors", "pickle", "old pickle"]),
    position=st.floats(0, 1, exclude_max=True),
    value=st.binary(min_size=1, max_size=4),
)
def test_any_damage_is_a_model_error_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, kind: str, position: float, value: bytes
) -> None:
    content = bytearray(_bytes_of(kind))
    start = int(position * len(content))
    content[start : start + len(value)] = value
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content)
    with contextlib.suppress(ModelError):
        tensors = read_checkpoint(path).tensors
        assert all(isinstance(tensor, torch.Tensor) for tensor in tensors.values())
