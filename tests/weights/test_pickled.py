"""Checkpoints by torch.save, of both formats: bookkeeping is passed by, nothing is run."""

from __future__ import annotations

import argparse
import collections
import datetime
import enum
import io
import pathlib
import pickle
import struct
import sys
import tarfile
import types
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gouache.errors import ModelError
from gouache.weights.pickled import NestedWarning
from gouache.weights.safe import read_checkpoint

STATE = {"a.weight": torch.arange(12.0).view(3, 4), "a.bias": torch.tensor([1e-9, 2.0, 3.0])}
FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])
KEYS = ("state_dict", "model", "module", "model_state_dict", "ema", "net")


def save(content: Any, path: Path, zipped: bool, **options: Any) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zipped, **options)
    return path


def reads_back(path: Path) -> None:
    found = read_checkpoint(path).tensors
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[name], STATE[name]) for name in STATE)


def refused(path: Path, match: str | None = None) -> str:
    with pytest.raises(ModelError, match=match) as error:
        read_checkpoint(path)
    message = str(error.value)
    assert len(message.splitlines()) == 1
    assert message.isprintable()
    assert "weights_only" not in message
    assert len(message) < 400
    return message


@pytest.fixture
def foreign() -> Iterator[Any]:
    """Makes a class in a module that is gone again before anything is read."""
    made: list[str] = []

    def make(module: str, name: str, *bases: type, **members: Any) -> Any:
        parts = module.split(".")
        for end in range(1, len(parts) + 1):
            full = ".".join(parts[:end])
            if full not in sys.modules:
                sys.modules[full] = types.ModuleType(full)
                made.append(full)
        found = type(name, bases, {"__module__": module, **members})
        setattr(sys.modules[module], name, found)
        return found

    make.forget = lambda: [sys.modules.pop(name) for name in made if name in sys.modules]  # type: ignore[attr-defined]
    yield make
    make.forget()  # type: ignore[attr-defined]


class Pace(enum.Enum):
    SLOW = "slow"


def containers() -> dict[str, Any]:
    ordered = type("Ordered", (collections.OrderedDict,), {"__module__": __name__})
    globals()["Ordered"] = ordered
    mapping = type("AttrDict", (dict,), {"__module__": __name__})
    globals()["AttrDict"] = mapping
    listing = type("Listing", (list,), {"__module__": __name__})
    globals()["Listing"] = listing
    given = mapping(a=1, b=[2])
    given.attribute = "x"
    return {
        "defaultdict": collections.defaultdict(list, {"a": [1]}),
        "nested defaultdict": collections.defaultdict(collections.OrderedDict),
        "Counter": collections.Counter("abc"),
        "deque": collections.deque([1, 2], maxlen=5),
        "OrderedDict": ordered(a=1),
        "AttributeDict": given,
        "list": listing([1, 2]),
        "path": pathlib.PosixPath("/home/x"),
        "pure": pathlib.PureWindowsPath("c:/x"),
        "date": datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC),
        "delta": datetime.timedelta(1),
        "enum": Pace.SLOW,
        "namespace": argparse.Namespace(lr=1e-3, path=pathlib.PosixPath("x")),
        "simple": types.SimpleNamespace(a=1),
        "uuid": uuid.UUID(int=5),
        "numpy": np.arange(3.0),
        "scalar": np.float64(3),
        "random": np.random.RandomState(0).get_state(),
        "set": {1, 2},
        "frozenset": frozenset({1}),
        "bytes": b"abc",
        "bytearray": bytearray(b"abc"),
        "complex": 1j,
        "range": range(3),
        "big": 1 << 90,
        "dtype": torch.float16,
        "size": torch.Size([1, 2]),
        "device": torch.device("cpu"),
        "generator": torch.get_rng_state(),
        "complex tensor": torch.zeros(2, dtype=torch.complex64),
        "key": {(1, 2): 3, None: 4, 1.5: 2},
    }


@FORMATS
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_containers_as_bookkeeping(tmp_path: Path, zipped: bool, protocol: int) -> None:
    for name, value in containers().items():
        content = {"extra": value, "state_dict": STATE, "callbacks": {str: value}}
        path = save(content, tmp_path / f"{name}.ckpt", zipped, pickle_protocol=protocol)
        reads_back(path)


@FORMATS
def test_objects_of_training_programs(tmp_path: Path, zipped: bool, foreign: Any) -> None:
    attributes = foreign("pytorch_lightning.utilities.parsing", "AttributeDict", dict)
    node = foreign("omegaconf.dictconfig", "DictConfig")
    own = foreign("ldm.util", "Settings")
    hyper = attributes(lr=1.0)
    hyper.extra = 3
    conf, settings = node(), own()
    conf._content = {"a": [1]}
    settings.lr = 2
    content = {
        "callbacks": {node: {"best": torch.tensor(1.0)}},
        "hyper_parameters": hyper,
        "config": conf,
        "args": settings,
        "state_dict": STATE,
    }
    path = save(content, tmp_path / "f.ckpt", zipped)
    foreign.forget()
    reads_back(path)
    assert "omegaconf" not in sys.modules
    assert "ldm" not in sys.modules


@FORMATS
def test_a_subclass_of_dict_may_hold_the_tensors(
    tmp_path: Path, zipped: bool, foreign: Any
) -> None:
    state = foreign("ldm.util", "State", collections.OrderedDict)
    path = save({"state_dict": state(STATE)}, tmp_path / "f.ckpt", zipped)
    foreign.forget()
    reads_back(path)


@FORMATS
def test_strided_shared_and_small_tensors(tmp_path: Path, zipped: bool) -> None:
    base = torch.arange(24.0)
    state = {
        "whole": base, "window": base[4:16].view(3, 4).t(), "half": torch.rand(3).half(),
        "brain": torch.rand(4).bfloat16(), "double": torch.rand(4).double(),
        "empty": torch.zeros(0, 4), "number": torch.tensor(7.0),
        "parameter": nn.Parameter(torch.rand(2, 2)),
        "images": torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
    }  # fmt: skip
    found = read_checkpoint(save(state, tmp_path / "f.pt", zipped)).tensors
    for name, tensor in state.items():
        assert torch.equal(found[name], tensor), name
        assert found[name].dtype == tensor.dtype


def test_archives_without_checksums_are_read(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        path = save(STATE, tmp_path / "f.pt", True)
    finally:
        torch.serialization.set_crc32_options(True)
    reads_back(path)


def test_a_flipped_bit_in_an_archive_is_seen(tmp_path: Path) -> None:
    path = save(STATE, tmp_path / "f.pt", True)
    content = bytearray(path.read_bytes())
    content[content.index(STATE["a.weight"].numpy().tobytes()) + 5] ^= 1
    path.write_bytes(content)
    refused(path, "checksum of 'a.weight'")


class Trap:
    """Makes a file when it is made from a pickle carelessly."""

    def __init__(self, call: Any, arguments: tuple[Any, ...]) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> Any:
        return self.call, self.arguments


@FORMATS
def test_traps_are_refused_and_do_nothing(tmp_path: Path, zipped: bool) -> None:
    import os
    import subprocess

    trace = tmp_path / "trace"
    traps = [
        Trap(os.system, (f"touch {trace}",)),
        Trap(subprocess.check_call, (["touch", str(trace)],)),
        Trap(eval, (f"open({str(trace)!r}, 'w')",)),
        Trap(exec, (f"open({str(trace)!r}, 'w')",)),
        Trap(__import__, ("os",)),
        Trap(np.testing.assert_, (True,)),
        Trap(pathlib.Path.touch, (trace,)),
        Trap(torch.load, (str(trace),)),
        Trap(torch.hub.load, ("a", "b")),
        Trap(io.open, (str(trace), "w")),
    ]
    for number, trap in enumerate(traps):
        for protocol in (2, 4):
            content = {"state_dict": STATE, "x": trap}
            path = tmp_path / f"{number}.ckpt"
            refused(save(content, path, zipped, pickle_protocol=protocol), "refused")
    assert not trace.exists()


@FORMATS
def test_a_class_with_a_trap_in_its_state_is_a_stand_in(
    tmp_path: Path, zipped: bool, foreign: Any
) -> None:
    trace = tmp_path / "trace"

    def set_state(self: Any, state: Any) -> None:
        trace.touch()

    trap = foreign("somebody.code", "Trap", __setstate__=set_state)()
    trap.x = 1
    reads_back(save({"state_dict": STATE, "x": trap}, tmp_path / "f.ckpt", zipped))
    assert not trace.exists()


@FORMATS
def test_a_whole_model_is_named_as_such(tmp_path: Path, zipped: bool) -> None:
    refused(save(nn.Linear(2, 2), tmp_path / "f.pt", zipped), "whole model.*state_dict; refused")
    refused(save({"model": nn.Linear(2, 2)}, tmp_path / "g.pt", zipped), "whole model")


def test_what_is_no_checkpoint_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "f.pkl"
    path.write_bytes(pickle.dumps({"a": 1}, protocol=2))
    refused(path, r"not one by torch\.save")
    path.write_bytes(pickle.dumps({"a": 1}, protocol=0))
    refused(path, "is not a checkpoint")
    with tarfile.open(path, "w") as tar:
        for name in ("storages", "tensors", "pickle"):
            tar.addfile(tarfile.TarInfo(name))
    refused(path, r"of torch before 0\.2")
    for start, told in {
        b"<!DOCTYPE html>": "web page",
        b"version https://git-lfs.github.com/spec/v1": "git lfs pull",
        b"\x1f\x8b\x08": "gzip",
    }.items():
        path.write_bytes(start + b" and more")
        refused(path, told)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "x")
    refused(path, r"data\.pkl")


@pytest.mark.parametrize("key", KEYS)
@FORMATS
def test_where_training_programs_keep_the_tensors(tmp_path: Path, zipped: bool, key: str) -> None:
    content = {key: STATE, "optimizer": {"state": {0: torch.zeros(3)}}, "step": 3, "args": {"a": 1}}
    reads_back(save(content, tmp_path / "f.pt", zipped))
    reads_back(save({"state_dict": {key: STATE}}, tmp_path / "g.pt", zipped))


def test_of_two_copies_the_averaged_one_is_left_with_a_note(tmp_path: Path) -> None:
    other = {name: value + 1 for name, value in STATE.items()}
    path = save({"model": STATE, "ema": other, "steps": 3}, tmp_path / "f.pt", True)
    with pytest.warns(NestedWarning, match="averaged weights .'ema'., which are left out"):
        reads_back(path)


def test_settings_beside_bare_tensors_are_no_nest(tmp_path: Path) -> None:
    path = save({**STATE, "params": {"lr": 1}, "model": "vqgan"}, tmp_path / "f.pt", True)
    found = read_checkpoint(path, lambda names: {name: name for name in STATE}).tensors
    assert found.keys() == STATE.keys()


def stream(*pickles: bytes) -> bytes:
    head = [pickle.dumps(0x1950A86A20F9469CFC6C, 2), pickle.dumps(1001, 2), pickle.dumps({}, 2)]
    return b"".join([*head, *pickles])


@pytest.mark.parametrize(
    "content",
    [
        stream(),
        stream(pickle.dumps({}, 2)),
        stream(pickle.dumps({}, 2), pickle.dumps(["0"], 2)),
        stream(b"\x80\x02X\xff\xff\xff\x7fabc."),  # a text of 2 GB
        stream(b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b"."),
        stream(b"\x80\x02h\x07."),
        stream(b"\x80\x02t."),
        stream(b"\x80\x02." ),
        b"\x80\x02I" + b"9" * 100_000 + b"\n.",
        b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",  # a list in a list in a list
    ],
)  # fmt: skip
def test_streams_by_hand(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "f.pt").write_bytes(content)
    refused(tmp_path / "f.pt")


def test_a_key_that_would_take_forever_to_hash(tmp_path: Path) -> None:
    """Tuples of tuples, each twice in the next."""
    key = b")" + b"2\x86" * 60
    (tmp_path / "f.pt").write_bytes(stream(b"\x80\x02}" + key + b"Ns.", pickle.dumps([], 2)))
    assert read_checkpoint(tmp_path / "f.pt").tensors == {}
