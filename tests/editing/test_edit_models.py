"""An edit loads its models once, encodes once, compiles as painting does, and minds the device."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from gouache.editing import edit, find_mask
from gouache.editing.editor import EditConfig, make_plan, start
from gouache.engine.build import prepare
from gouache.generators import generators
from gouache.networks import compiling
from gouache.networks.models import Models
from gouache.perceptors import load_perceptor, perceptors
from gouache.perceptors.clip import ClipConfig, ClipPerceptor
from gouache.perceptors.preprocessing import Preprocessing
from gouache.protocols import Perceptor
from gouache_bench.networks import RandomClip
from tiny import TinyGenerator, TinyPerceptor, tiny_config

META = torch.device("meta")
FEW: dict[str, Any] = {
    "generator": "tiny", "perceptor": "tiny", "steps": 2, "num_cutouts": 2, "size": (32, 24),
    "templates": False, "device": "cpu", "precision": "fp32",
}  # fmt: skip
PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8))


class CountingGenerator(TinyGenerator):
    loads = encodes = 0

    def __init__(self) -> None:
        super().__init__()
        CountingGenerator.loads += 1

    def encode(self, image: Tensor) -> Tensor:
        CountingGenerator.encodes += 1
        return super().encode(image)


class CountingPerceptor(TinyPerceptor):
    loads = 0

    def __init__(self) -> None:
        super().__init__(bank_size=5)
        CountingPerceptor.loads += 1


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    generators.names(), perceptors.names()
    monkeypatch.setitem(generators._references, "tiny", lambda device, dtype: CountingGenerator())
    monkeypatch.setitem(perceptors._references, "tiny", lambda device: CountingPerceptor())
    CountingGenerator.loads = CountingGenerator.encodes = CountingPerceptor.loads = 0


@pytest.mark.parametrize("more", [{}, {"replace": "a cat", "min_score": 0.0}, {"old": "a cat"}])
def test_models_are_loaded_once_and_the_source_encoded_once(more: dict[str, Any]) -> None:
    edit(PICTURE, "a dog", **FEW, **more, count=2)
    assert CountingGenerator.loads == CountingPerceptor.loads == 1
    assert CountingGenerator.encodes == 1


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A machine where compiling pays from the first step, by a compiler that takes no time."""
    names: list[str] = []

    def quick(function: Any, **options: Any) -> Any:
        names.append(function.__name__)
        return function

    monkeypatch.setattr(compiling, "missing", lambda device: "")
    monkeypatch.setitem(compiling.AUTO_STEPS, "cpu", 1)
    monkeypatch.setattr(torch, "compile", quick)
    return names


def test_compiling_reaches_edits(able: list[str]) -> None:
    edit(PICTURE, "a dog", **FEW, compile="auto")
    assert sorted(able) == ["decode", "embed_image"]
    able.clear()
    edit(PICTURE, "a dog", **FEW, compile="off")
    assert able == []
    given = {name: value for name, value in FEW.items() if name not in ("generator", "perceptor")}
    models = {"generator": TinyGenerator(), "perceptor": TinyPerceptor()}
    edit(PICTURE, "a dog", **given, **models, compile="auto")  # somebody else's
    assert able == []


def test_what_was_compiled_is_used_again_for_the_same_shape(able: list[str]) -> None:
    config = tiny_config(compile="auto", generator="tiny", perceptor="tiny")
    first = prepare(config, models=Models.load(config)).models
    again = prepare(config, models=first).models
    assert again.compiled == first.compiled
    other = prepare(config.updated(size=(16, 16)), models=first).models
    assert set(other.compiled.values()) & set(first.compiled.values()) != set()  # the perceptor
    assert other.compiled != first.compiled
    assert prepare(config.updated(compile="off"), models=first).models.compiled == {}


def clip() -> ClipPerceptor:
    config = ClipConfig(
        embed_dim=16, image_size=32, vision_layers=(1,), vision_width=64, vision_heads=1,
        patch_size=16, context=8, vocabulary=20, text_width=64, text_layers=1, text_heads=1,
    )  # fmt: skip

    def tokens(texts: Sequence[str]) -> Tensor:
        return torch.tensor([[1 + len(text) % 9, 19] for text in texts])

    model = ClipPerceptor(config, Preprocessing(size=32), tokens).eval().requires_grad_(False)
    rng = torch.Generator().manual_seed(0)
    for value in model.parameters():
        value.normal_(0, 0.2, generator=rng)
    return model


def test_masks_and_edits_by_a_clip_in_half_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its weights are cast when it is loaded, so everybody has to look in that precision."""
    monkeypatch.setitem(perceptors._references, "tiny", lambda device: clip())
    half = {**FEW, "precision": "bf16"}
    found = edit(PICTURE, "a dog", **half, replace="a cat", threshold="paper", deviations=-1.0)
    assert found.mask is not None
    edit(PICTURE, "a horse", **half, old="a cat")  # other tokens to it


class Elsewhere(TinyPerceptor):
    """Says that it is on another device; notes where pictures come to it."""

    device = META

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.device] = []

    def embed_image(self, image: Tensor) -> Tensor:
        self.seen.append(image.device)
        rows = [torch.full((12,), float(k)) for k in range(len(image))]
        return torch.stack(rows) + torch.eye(12)[0]


def test_masks_go_to_the_perceptors_device() -> None:
    perceptor = Elsewhere()
    find_mask(PICTURE, "a cat", perceptor=perceptor, threshold="paper", deviations=-1.0)
    assert perceptor.seen
    assert set(perceptor.seen) == {META}


def test_relative_edits_go_to_the_perceptors_device() -> None:
    plan = make_plan(PICTURE, EditConfig(), old="a cat")
    config = tiny_config(steps=1)
    models = Models.load(config, TinyGenerator(), Elsewhere())
    session = start(plan, config, sized=True, models=models)
    assert session.edit is not None
    assert session.edit.losses(0, [])[0].direction.device == META  # type: ignore[attr-defined]


def test_every_perceptor_says_where_it_is(tmp_path: Path) -> None:
    for model in (load_perceptor("pocket"), load_perceptor("referee"), clip(), TinyPerceptor()):
        assert isinstance(model, Perceptor)
        assert model.device == torch.device("cpu")
    assert RandomClip.device is ClipPerceptor.device
