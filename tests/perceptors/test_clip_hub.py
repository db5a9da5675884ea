"""CLIPs in transformers' layout by our own layers, against transformers."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from gouache.errors import ModelError
from gouache.ops.images import to_tensor
from gouache.perceptors import clip_tokenizer, load_perceptor
from gouache.perceptors.clip import ClipPerceptor
from gouache.perceptors.clip_tokenizer import read_tokenizer
from gouache.perceptors.huggingface import TransformersPerceptor, load_transformers
from gouache.weights.fingerprint import fingerprint
from perceptors.clip_samples import VOCABULARY, write_merges
from perceptors.hub_samples import picture

transformers = pytest.importorskip("transformers")

TEXTS = ["a red apple", "Lighthouse at \u201cdusk\u201d &amp; painting", "photo " * 40]


def save(folder: Path, activation: str = "quick_gelu") -> Path:
    """A CLIP of two heads in the picture and four in the text, whose tokenizer is CLIP's."""
    torch.manual_seed(3)
    layers = {"num_hidden_layers": 2, "hidden_act": activation, "projection_dim": 24}
    text = {"vocab_size": VOCABULARY, "max_position_embeddings": 12, "hidden_size": 256}
    text |= {"intermediate_size": 1024, "num_attention_heads": 4, "bos_token_id": VOCABULARY - 2}
    text |= {"eos_token_id": VOCABULARY - 1, "pad_token_id": VOCABULARY - 1}
    vision = {"image_size": 32, "patch_size": 8, "hidden_size": 64, "intermediate_size": 256}
    vision |= {"num_attention_heads": 2}
    config = transformers.CLIPConfig(
        text_config=text | layers, vision_config=vision | layers, projection_dim=24
    )
    model = transformers.CLIPModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    transformers.CLIPImageProcessor(
        size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}, image_std=[0.3, 0.2, 0.4]
    ).save_pretrained(folder)
    read_tokenizer(write_merges(folder), VOCABULARY).save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 12}
    settings |= {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("clip"))


def by_transformers(folder: Path) -> Any:
    return transformers.CLIPModel.from_pretrained(folder).eval()


def features(found: Any) -> torch.Tensor:
    return found if torch.is_tensor(found) else found.pooler_output  # type: ignore[no-any-return]


@torch.no_grad()
@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
def test_features_are_those_of_transformers(tmp_path: Path, activation: str) -> None:
    folder = save(tmp_path, activation)
    model, other = load_perceptor(str(folder)), by_transformers(folder)
    assert isinstance(model, ClipPerceptor)
    assert (model.config.vision_heads, model.config.text_heads) == (2, 4)
    pixels = torch.randn(3, 3, 32, 32)
    found, wanted = model.image_features(pixels), features(other.get_image_features(pixels))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    with pytest.warns(UserWarning, match="reads 10 tokens"):
        tokens = model.tokenize(TEXTS)
    wanted = features(other.get_text_features(tokens))
    torch.testing.assert_close(model.text_features(tokens), wanted, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_pictures_are_prepared_as_its_processor_does(folder: Path) -> None:
    model, other = load_perceptor(str(folder)), load_transformers(folder)
    assert isinstance(other, TransformersPerceptor)
    assert model.preprocessing == other.preprocessing
    assert model.fingerprint == other.fingerprint == fingerprint(folder / "model.safetensors")
    image = to_tensor(picture(60, 40))
    torch.testing.assert_close(model.embed_image(image), other.embed_image(image))


def test_the_vocabulary_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    found = clip_tokenizer.read_tokenizer

    def counted(path: Path, vocabulary: int) -> Any:
        read.append(path)
        return found(path, vocabulary)

    monkeypatch.setattr(clip_tokenizer, "read_tokenizer", counted)
    load_perceptor(str(folder))
    assert read == [folder / "tokenizer.json"]


def test_transformers_is_not_needed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert isinstance(load_perceptor(str(folder)), ClipPerceptor)


@pytest.mark.parametrize(
    "changes",
    [
        {"vision_config": {"intermediate_size": 200}},
        {"text_config": {"hidden_act": "gelu"}},
        {"text_config": {"layer_norm_eps": 1e-6}},
        {"model_type": "metaclip_2"},
        {"vision_config_dict": {"num_channels": 4}},
    ],
)
def test_other_layers_are_left_to_transformers(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    values = json.loads((other / "config.json").read_text())
    for key, change in changes.items():
        own = values.get(key)
        values[key] = own | change if isinstance(own, dict) else change
    (other / "config.json").write_text(json.dumps(values))
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelError, match="needs the package transformers"):
        load_perceptor(str(other))


def test_a_tensor_that_is_missing_is_one_line(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    other = Path(shutil.copytree(folder, tmp_path / "other"))
    state = load_file(other / "model.safetensors")
    del state["vision_model.encoder.layers.1.self_attn.k_proj.bias"]
    save_file(state, other / "model.safetensors")
    with pytest.raises(ModelError, match=r"in_proj_bias") as error:
        load_perceptor(str(other))
    assert "\n" not in str(error.value)


@torch.no_grad()
def test_old_forms_of_the_files_are_read(folder: Path, tmp_path: Path) -> None:
    """Half precision in a pickle, positions among the weights, settings twice, sizes as numbers."""
    from safetensors.torch import load_file

    old = Path(shutil.copytree(folder, tmp_path / "old"))
    state = load_file(old / "model.safetensors")
    (old / "model.safetensors").unlink()
    positions = {"text_model.embeddings.position_ids": torch.arange(12)[None]}
    torch.save({k: v.half() for k, v in state.items()} | positions, old / "pytorch_model.bin")
    values = json.loads((old / "config.json").read_text())
    values |= {"text_config_dict": values["text_config"], "text_config": {"hidden_size": 1}}
    (old / "config.json").write_text(json.dumps(values))
    images = json.loads((old / "preprocessor_config.json").read_text())
    del images["image_processor_type"], images["do_rescale"]
    images |= {"feature_extractor_type": "CLIPFeatureExtractor", "size": 36, "crop_size": 32}
    (old / "preprocessor_config.json").write_text(json.dumps(images))
    model, new = load_perceptor(str(old)), load_perceptor(str(folder))
    assert isinstance(model, ClipPerceptor)
    assert model.preprocessing == new.preprocessing
    image = torch.rand(2, 3, 40, 50)
    torch.testing.assert_close(model.embed_image(image), new.embed_image(image), rtol=0, atol=5e-3)
    texts = ["a red apple"]
    torch.testing.assert_close(model.embed_text(texts), new.embed_text(texts), rtol=0, atol=5e-3)
