"""Models of the package open_clip, with a module in its place."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from gouache.errors import ModelError
from gouache.perceptors import load_perceptor
from gouache.perceptors.truncation import TruncationWarning
from gouache.protocols import Perceptor
from perceptors import fake_open_clip

NAME = "open_clip:ViT-B-32/laion2b_s34b_b79k"


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Any:
    module = fake_open_clip.make()
    monkeypatch.setitem(sys.modules, "open_clip", module)
    return module


def test_the_contract(package: Any) -> None:
    model = load_perceptor(NAME)
    assert isinstance(model, Perceptor)
    assert package.calls == [("ViT-B-32", "laion2b_s34b_b79k")]
    assert model.name == NAME
    assert model.image_size == fake_open_clip.SIDE
    assert model.embed_dim == 12
    assert model.bank is None
    assert len(model.fingerprint) == 64
    image = torch.rand(2, 3, 16, 16, requires_grad=True)
    other = fake_open_clip.Model()
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.1, 0.2, 0.3), (0.5, 0.6, 0.7)))
    wanted = F.normalize(other.encode_image((image - mean) / std), dim=-1)
    found = model.embed_image(image)
    torch.testing.assert_close(found, wanted)
    found[:, 0].sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0
    texts = model.embed_text(["red apple", "blue boat"])
    torch.testing.assert_close(texts.norm(dim=1), torch.ones(2))


def test_the_fingerprint_is_that_of_the_weights(
    package: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_perceptor(NAME).fingerprint
    assert load_perceptor(NAME).fingerprint == first

    class Other(fake_open_clip.Model):
        def __init__(self, size: Any) -> None:
            super().__init__(size)
            with torch.no_grad():
                self.words.weight[3, 4] += 1

    monkeypatch.setattr(fake_open_clip, "Model", Other)
    assert load_perceptor(NAME).fingerprint != first


def test_hub_repositories_are_passed_on_whole(package: Any) -> None:
    load_perceptor("open_clip:hf-hub:someone/some-model")
    assert package.calls == [("hf-hub:someone/some-model", None)]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"loaded": False}, r"lacks 3 of 3 tensors of its model, first 'visual\.proj\.weight'"),
        ({"lacks": "words.weight"}, r"lacks 1 of 3 tensors of its model, first 'words\.weight'"),
    ],
)
@pytest.mark.parametrize("name", [NAME, "open_clip:hf-hub:a/b", "folder"])
def test_weights_that_nobody_loaded_are_refused(
    package: Any, tmp_path: Path, name: str, given: dict[str, Any], told: str
) -> None:
    """The package says so in a log only and goes on with chance."""
    package.given = given
    other = folder(tmp_path)
    (other / "open_clip_model.safetensors").touch()
    with pytest.raises(ModelError, match=told) as error:
        load_perceptor(str(other) if name == "folder" else name)
    assert "\n" not in str(error.value)


def folder(path: Path) -> Path:
    """The configuration of a model that only the package reads."""
    model = {"embed_dim": 12, "vision_cfg": {"timm_model_name": "x"}, "text_cfg": {"heads": 1}}
    (path / "open_clip_config.json").write_text(json.dumps({"model_cfg": model}))
    return path


def test_folders_without_weights_are_refused_before_anything_is_built(
    package: Any, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="has no weights") as error:
        load_perceptor(str(folder(tmp_path)))
    assert "\n" not in str(error.value)
    assert package.calls == []
    (tmp_path / "open_clip_model.safetensors").touch()
    load_perceptor(str(tmp_path))


def test_long_texts_are_cut_off_and_shown(package: Any) -> None:
    model = load_perceptor(NAME)
    with pytest.warns(TruncationWarning, match=r"reads 6 tokens of 8; cut off: 'seven eight'$"):
        model.embed_text(["one two three four five six seven eight"])


def test_names_without_known_weights_are_refused(package: Any) -> None:
    """open_clip would paint with random ones."""
    for name in ("ViT-B-32", "ViT-B-32/", "ViT-B-32/laion2b", "no-such-model/openai"):
        with pytest.raises(ModelError, match="ViT-B-32/") as error:
            load_perceptor(f"open_clip:{name}")
        assert "\n" not in str(error.value)
    assert package.calls == []
    with pytest.raises(ModelError, match="did you mean ViT-B-32/laion2b_s34b_b79k"):
        load_perceptor("open_clip:ViT-B-32/laion2b_s34b")


def test_failures_of_the_package_are_one_line(package: Any) -> None:
    with pytest.raises(ModelError, match=r"cannot load .*\(cannot reach the hub\)$"):
        load_perceptor("open_clip:hf-hub:offline/x")
    package.size = (16, 24)
    with pytest.raises(ModelError, match="square"):
        load_perceptor(NAME)


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(ModelError, match="pip install open_clip_torch") as error:
        load_perceptor(NAME)
    assert "\n" not in str(error.value)
