"""Networks that are compiled paint what plain ones do, and only where that was decided."""

from __future__ import annotations

import subprocess
import sys
import warnings
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gouache.apps.cli.main import run
from gouache.engine import Session, resume_session, save_session
from gouache.errors import ConfigError
from gouache.generators import load_generator
from gouache.generators.vqgan_blocks import ResBlock
from gouache.networks import compiling
from gouache.networks.compiling import AUTO_STEPS, Compiled, CompileWarning, missing, wanted
from gouache.output.pictures import read_metadata
from gouache.settings.config import PaintConfig
from small import SMALL
from tiny import TinyGenerator, TinyPerceptor, tiny_config, tiny_session

CPU = torch.device("cpu")
real_compile = torch.compile


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A machine that can compile, by a compiler that takes no time; names what it compiled."""
    names: list[str] = []

    def quick(function: Any, **options: Any) -> Any:
        names.append(function.__name__)
        return real_compile(function, backend="eager", **options)

    monkeypatch.setattr(compiling, "missing", lambda device: "")
    monkeypatch.setattr(torch, "compile", quick)
    return names


def finish(session: Session) -> Tensor:
    for _ in session:
        pass
    return session.picture()


@pytest.mark.skipif(missing(CPU) != "", reason=f"cannot compile here: {missing(CPU)}")
def test_a_compiled_block_and_its_gradient_are_those_of_the_plain_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Norms and convolutions of the decoder, with gradients of our own, by the real compiler."""
    import torch._inductor.config

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    threads = "compile_threads"
    monkeypatch.setattr(torch._inductor.config, threads, 1)  # others take seconds to start
    torch.manual_seed(0)
    block = ResBlock(8, 8, 4, 0.0).eval().requires_grad_(False)
    features = torch.randn(1, 8, 6, 6)
    fast = Compiled(block, "block", features.shape)
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("error", CompileWarning)
        for function in (block, fast):
            at = features.clone().requires_grad_()
            image = function(at)
            (gradient,) = torch.autograd.grad(image.square().sum(), at)
            found.append((image.detach(), gradient))
    for plain, quick in zip(*found, strict=True):
        torch.testing.assert_close(quick, plain, rtol=1e-4, atol=1e-4)
    assert fast._fast not in (None, block)


def test_a_compiled_run_paints_the_same_picture(able: list[str]) -> None:
    expected = finish(tiny_session(compile="off", count=2))
    assert able == []
    session = tiny_session(compile="on", count=2)
    assert able == []  # nothing before the first step
    next(session)
    assert sorted(able) == ["decode", "embed_image"]
    torch.testing.assert_close(finish(session), expected, rtol=0, atol=1e-4)
    assert len(able) == 2


def test_the_shipped_networks_are_one_graph_each(able: list[str]) -> None:
    """A break would be compiled in pieces, which fuse less and are guarded one by one."""
    generator = load_generator("pocket")
    codes = generator.codebook[:16].T.reshape(1, -1, 4, 4).contiguous()
    whole = real_compile(generator.decode, backend="eager", fullgraph=True, dynamic=False)
    assert whole(codes.requires_grad_()).requires_grad


def test_tries_of_a_start_are_not_compiled(able: list[str]) -> None:
    changes: dict[str, Any] = {"start_tries": 1, "start_steps": 2}  # of the run's own shape
    session = tiny_session(compile="on", **changes)
    assert able == []
    expected = finish(tiny_session(compile="off", **changes))
    torch.testing.assert_close(finish(session), expected, rtol=0, atol=1e-4)


def test_other_shapes_and_pictures_without_a_gradient_take_the_plain_function(
    able: list[str],
) -> None:
    calls: list[tuple[int, ...]] = []

    def double(x: Tensor) -> Tensor:
        calls.append(tuple(x.shape))
        return 2 * x

    fast = Compiled(double, "double", (2, 3))
    with torch.no_grad():
        fast(torch.ones(2, 3, requires_grad=True))
    fast(torch.ones(2, 3))
    fast(torch.ones(4, 3, requires_grad=True))
    assert able == []
    assert calls == [(2, 3), (2, 3), (4, 3)]
    fast(torch.ones(2, 3, requires_grad=True))
    assert able == ["double"]


def test_chunks_of_cutouts_are_compiled_at_their_size(able: list[str]) -> None:
    session = tiny_session(compile="off", num_cutouts=5)
    session.models.memory.chunk = 2
    models = compiling.compiled(
        session.models, tiny_config(compile="on", num_cutouts=5), session.canvas, []
    )
    shapes = {each.shape for each in models.compiled.values() if isinstance(each, Compiled)}
    assert shapes == {(1, 6, 6, 8), (2, 3, 8, 8)}
    session.models.memory.recompute = True
    models = compiling.compiled(
        session.models, tiny_config(compile="on", num_cutouts=5), session.canvas, []
    )
    assert [function.__name__ for function in models.compiled] == ["embed_image"]


def test_auto_is_decided_by_device_and_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "missing", lambda device: "")
    auto, cuda = tiny_config(), torch.device("cuda")
    assert auto.compile == "auto"
    least = AUTO_STEPS["cuda"]
    assert not wanted(auto, cuda, least - 1)
    assert wanted(auto, cuda, least)
    assert not wanted(auto, CPU, 1_000_000)
    assert wanted(auto.updated(compile="on"), CPU, 1)
    assert not wanted(auto.updated(compile="off"), cuda, least)
    monkeypatch.setattr(compiling, "missing", lambda device: "triton is missing")
    assert not wanted(auto, cuda, least)


def test_auto_leaves_given_models_alone(able: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(AUTO_STEPS, "cpu", 1)
    assert not tiny_session().models.compiled
    session = Session.build(
        tiny_config(generator="pocket", size=(32, 32)), perceptor=TinyPerceptor()
    )
    assert [function.__name__ for function in session.models.compiled] == ["decode"]


def test_what_is_missing_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CXX", str(tmp_path / "none"))
    assert "no compiler" in missing(CPU)
    assert missing(torch.device("mps"))
    with pytest.raises(ConfigError, match="compile is on, and there is no compiler"):
        Session.build(tiny_config(compile="on"))
    monkeypatch.setenv("CXX", sys.executable)
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    assert "header files" in missing(CPU)


def test_on_without_a_compiler_and_words_that_are_no_choice_are_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CXX", str(tmp_path / "none"))
    out = ["--out", str(tmp_path / "out.png")]
    for value, said in (("on", "set compile to off or auto"), ("fast", "compile is 'fast'")):
        assert run(["paint", "a cat", "--compile", value, *SMALL, *out]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1


def test_the_command_line_says_that_it_compiles_unless_quiet(
    able: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["paint", "a cat", *SMALL, "--out", str(tmp_path / "out.png")]
    for more, lines in (([], 0), (["--compile", "on", "-q"], 0), (["--compile", "on"], 1)):
        assert run([*arguments, *more]) == 0
        error = capsys.readouterr().err
        assert sum("compiling the networks" in line for line in error.splitlines()) == lines
    assert read_metadata(tmp_path / "out.png")["config"]["compile"] == "on"


def test_a_failing_compiler_is_one_warning_and_the_plain_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = finish(tiny_session(compile="off"))

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no\nway")

    monkeypatch.setattr(compiling, "missing", lambda device: "")
    monkeypatch.setattr(torch, "compile", broken)
    session = tiny_session(compile="on")
    with pytest.warns(CompileWarning) as found:
        picture = finish(session)
    assert len(found) == 2  # one per network
    assert all("\n" not in str(one.message) for one in found)
    assert torch.equal(picture, expected)


def test_a_compiler_that_fails_on_the_way_back_is_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Fails(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:
            raise RuntimeError("the way back does not compile")

    def broken(function: Any, **_: Any) -> Any:
        return lambda x: Fails.apply(function(x))  # type: ignore[no-untyped-call]

    expected = finish(tiny_session(compile="off"))
    monkeypatch.setattr(compiling, "missing", lambda device: "")
    monkeypatch.setattr(torch, "compile", broken)
    with pytest.warns(CompileWarning, match="the way back"):
        assert torch.equal(finish(tiny_session(compile="on")), expected)


def test_a_full_memory_is_not_taken_for_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(torch, "compile", full)
    fast = Compiled(torch.neg, "negative", (1,))
    with pytest.raises(torch.OutOfMemoryError):
        fast(torch.ones(1, requires_grad=True))


def test_a_run_is_resumed_with_another_value(able: list[str], tmp_path: Path) -> None:
    expected = finish(tiny_session(compile="off"))
    session = tiny_session(compile="off")
    list(islice(session, 2))
    save_session(session, tmp_path / "state")
    again = resume_session(
        tmp_path / "state", compile="on", generator=TinyGenerator(), perceptor=TinyPerceptor()
    )
    torch.testing.assert_close(finish(again), expected, rtol=0, atol=1e-4)
    assert len(able) == 2


def test_settings_without_it_are_read() -> None:
    old = PaintConfig().to_dict()
    del old["compile"]
    assert PaintConfig.from_dict(old).compile == "auto"


def test_the_compiler_is_not_imported_before_it_compiles() -> None:
    program = """
import sys, gouache
for value in sys.argv[1:]:
    session = gouache.Session.build(
        gouache.make_config(
            prompt="a cat", size=(32, 32), num_cutouts=3, start_tries=1, start_steps=1,
            compile=value,
        )
    )
    if value != "on":
        next(session)
        session.state_dict()
    print(value, "torch._dynamo" in sys.modules)
"""
    values = ["off", "auto", *(["on"] if not missing(CPU) else [])]
    done = subprocess.run(
        [sys.executable, "-c", program, *values], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [f"{value} False" for value in values]
