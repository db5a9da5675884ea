"""Perceptors by transformers see what its own pipeline sees. Nothing here touches a network."""

from __future__ import annotations

import builtins
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from gouache.errors import ModelError
from gouache.ops.images import to_tensor
from gouache.perceptors import load_perceptor
from gouache.perceptors.huggingface import TransformersPerceptor, load_transformers
from gouache.perceptors.truncation import TruncationWarning
from gouache.protocols import Perceptor
from gouache.weights import hub
from gouache.weights.fingerprint import fingerprint
from perceptors import hub_samples
from perceptors.hub_samples import SIDE, picture

transformers = pytest.importorskip("transformers")

TEXTS = ["a red apple", "lighthouse at dusk in the storm and night"]
SAMPLES: dict[str, Callable[[Path], Path]] = {
    "clip": hub_samples.save_clip,
    "siglip": hub_samples.save_siglip,
    "siglip2": hub_samples.save_siglip2,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: save(tmp_path_factory.mktemp(name)) for name, save in SAMPLES.items()}


@pytest.fixture(params=SAMPLES)
def folder(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Path:
    return folders[request.param]


def pipeline(folder: Path, images: list[Any], texts: list[str]) -> tuple[Any, Any]:
    """Unit vectors by transformers alone, as its documentation shows."""
    model = transformers.AutoModel.from_pretrained(folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    length = model.config.text_config.max_position_embeddings
    with torch.no_grad():
        seen = model.get_image_features(**processor(images, return_tensors="pt"))
        tokens = tokenizer(
            texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        )
        read = model.get_text_features(**tokens)
    seen, read = (x if torch.is_tensor(x) else x.pooler_output for x in (seen, read))
    return F.normalize(seen, dim=-1), F.normalize(read, dim=-1)


def test_features_are_those_of_the_pipeline(folder: Path) -> None:
    images = [picture(seed=seed) for seed in range(3)]
    wanted_images, wanted_texts = pipeline(folder, images, TEXTS)
    model = load_perceptor(str(folder))
    assert isinstance(model, Perceptor)
    assert model.image_size == SIDE
    found = model.embed_image(torch.cat([to_tensor(image) for image in images]))
    torch.testing.assert_close(found, wanted_images, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model.embed_text(TEXTS), wanted_texts, rtol=1e-4, atol=1e-5)
    assert model.embed_dim == found.shape[1] == wanted_texts.shape[1]
    assert not torch.allclose(wanted_texts[0], wanted_texts[1], atol=1e-2)


@pytest.mark.parametrize("size", [(60, 40), (31, 57)])
@pytest.mark.parametrize("name", ["clip", "siglip"])  # the third keeps the aspect
def test_other_sizes_are_resized_as_the_pipeline_does(
    folders: dict[str, Path], name: str, size: tuple[int, int]
) -> None:
    folder = folders[name]
    image = picture(*size)
    wanted, _ = pipeline(folder, [image], TEXTS)
    found = load_perceptor(str(folder)).embed_image(to_tensor(image))
    # Its own resampling rounds to 8 bits.
    assert (found * wanted).sum() > 0.9995


def test_frozen_with_a_gradient_to_the_pixels(folder: Path) -> None:
    model = load_transformers(folder)
    assert not model.model.training
    assert not any(parameter.requires_grad for parameter in model.model.parameters())
    assert model.model.config._attn_implementation == "sdpa"
    image = torch.rand(2, 3, SIDE, SIDE, requires_grad=True)
    model.embed_image(image)[:, 0].sum().backward()
    assert image.grad is not None
    # every pixel counts: none is lost between the patches
    assert (image.grad.abs().amax(1) > 0).float().mean() > 0.99


def test_repositories_in_two_formats_are_read_by_the_weights_they_hold(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(folders["clip"], tmp_path / "both"))
    (folder / "open_clip_config.json").write_text("{}")
    assert isinstance(load_perceptor(str(folder)), TransformersPerceptor)


def test_identity(folders: dict[str, Path]) -> None:
    model = load_perceptor(str(folders["clip"]))
    assert model.name == str(folders["clip"])
    assert model.fingerprint == fingerprint(folders["clip"] / "model.safetensors")


def test_long_texts_are_cut_off_and_shown(folders: dict[str, Path]) -> None:
    model = load_perceptor(str(folders["clip"]))
    long = "a red apple on white background at dusk in the storm and night"
    with pytest.warns(
        TruncationWarning, match=r"reads 8 tokens of 13; cut off: 'in the storm and night'$"
    ) as seen:
        found = model.embed_text([TEXTS[0], long])
    assert len(seen) == 1
    _, wanted = pipeline(folders["clip"], [picture()], [TEXTS[0], long])
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_words_without_a_token_of_their_own(folders: dict[str, Path], kind: str) -> None:
    model = load_perceptor(str(folders[kind]))
    assert model.unknown_words("a red pear, pear at dusk \u82f9\u679c") == [
        "pear,", "pear", "\u82f9\u679c",
    ]  # fmt: skip
    model.tokenizer.unk_token = model.tokenizer.eos_token  # as tokenizers of bytes have it
    assert model.unknown_words("\u82f9\u679c") == []


def test_texts_that_just_fit_are_not_remarked_on(
    folders: dict[str, Path], recwarn: pytest.WarningsRecorder
) -> None:
    model = load_perceptor(str(folders["clip"]))
    model.embed_text(["a red apple on white background at dusk"])
    assert not [w for w in recwarn if issubclass(w.category, TruncationWarning)]


@pytest.mark.parametrize(
    ("changes", "size", "mean"),
    [
        ({"do_normalize": False}, SIDE, 0.0),
        ({"do_rescale": False, "image_mean": [127.5] * 3, "image_std": [127.5] * 3}, SIDE, 0.5),
        ({"rescale_factor": 1 / 127.5, "image_mean": [1.0] * 3, "image_std": [1.0] * 3}, SIDE, 0.5),
    ],
)
def test_values_are_scaled_as_the_processor_says(
    folders: dict[str, Path], tmp_path: Path, changes: dict[str, Any], size: int, mean: float
) -> None:
    shutil.copytree(folders["siglip"], tmp_path, dirs_exist_ok=True)
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    model = load_perceptor(str(tmp_path))
    assert isinstance(model, TransformersPerceptor)
    assert model.preprocessing.size == size
    assert model.preprocessing.mean == pytest.approx([mean] * 3)
    images = [picture()]
    wanted, _ = pipeline(tmp_path, images, TEXTS)
    found = model.embed_image(to_tensor(images[0]))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_a_missing_package_is_one_line(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def none(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "transformers":
            raise ModuleNotFoundError("No module named 'transformers'", name="transformers")
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "transformers")
    monkeypatch.setattr(builtins, "__import__", none)
    monkeypatch.setattr(sys, "meta_path", [_Missing(), *sys.meta_path])
    with pytest.raises(ModelError, match=r"pip install 'gouache\[models\]'") as error:
        load_perceptor(str(folders["clip"]))
    assert "\n" not in str(error.value)


class _Missing:
    """Finds nothing under that name."""

    def find_spec(self, name: str, *_: Any) -> None:
        if name.partition(".")[0] == "transformers":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_damaged_folders_are_one_line(folders: dict[str, Path], tmp_path: Path) -> None:
    def copy(name: str) -> Path:
        return Path(shutil.copytree(folders["clip"], tmp_path / name))

    (copy("no-weights") / "model.safetensors").unlink()
    (copy("no-tokenizer") / "tokenizer.json").unlink()
    (copy("no-processor") / "preprocessor_config.json").unlink()
    (copy("cut") / "model.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{")
    (copy("not-json") / "config.json").write_text("{")
    odd = copy("odd-config") / "config.json"
    odd.write_text(json.dumps({**json.loads(odd.read_text()), "model_type": "nothing-known"}))
    deep = copy("deeper") / "config.json"
    values = json.loads(deep.read_text())
    values["text_config"]["num_hidden_layers"] = 3
    deep.write_text(json.dumps(values))
    size = copy("other-size") / "preprocessor_config.json"
    values = {**json.loads(size.read_text()), "crop_size": {"height": 16, "width": 16}}
    size.write_text(json.dumps(values))
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(ModelError) as error:
            load_perceptor(str(path))
        assert "\n" not in str(error.value), path
        assert str(path) in str(error.value), error.value


def test_models_without_both_features_are_refused(tmp_path: Path) -> None:
    config = transformers.BertConfig(**hub_samples.shape(vocab_size=len(hub_samples.WORDS)))
    transformers.BertModel(config).save_pretrained(tmp_path)
    hub_samples.tokenizer(start=True).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="BertModel, which has no image and text features"):
        load_perceptor(str(tmp_path))


def test_code_in_a_folder_is_not_run(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders["clip"], tmp_path / "own-code"))
    path = folder / "config.json"
    values = json.loads(path.read_text())
    values |= {"model_type": "own", "auto_map": {"AutoModel": "own.Own", "AutoConfig": "own.C"}}
    path.write_text(json.dumps(values))
    boom = tmp_path / "boom"
    (folder / "own.py").write_text(f"import pathlib; pathlib.Path({str(boom)!r}).mkdir()\n")
    with pytest.raises(ModelError):
        load_perceptor(str(folder))
    assert not boom.exists()


def test_pickled_weights_run_nothing(folders: dict[str, Path], tmp_path: Path) -> None:
    class Planted:
        def __reduce__(self) -> Any:
            return Path.mkdir, (tmp_path / "boom",)

    folder = Path(shutil.copytree(folders["clip"], tmp_path / "pickled"))
    (folder / "model.safetensors").unlink()
    torch.save({"logit_scale": Planted()}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError):
        load_perceptor(str(folder))
    assert not (tmp_path / "boom").exists()


def test_offline_a_model_that_is_not_cached_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("GOUACHE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE") as error:
        load_perceptor("nobody/no-such-model")
    assert "\n" not in str(error.value)


def test_loading_says_nothing(folders: dict[str, Path], capfd: pytest.CaptureFixture[str]) -> None:
    load_perceptor(str(folders["siglip"]))
    assert capfd.readouterr() == ("", "")


def test_texts_are_lowered_where_the_model_was_trained_so(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """The tokenizer of SigLIP 2 ignores that it is told to."""
    folder = Path(shutil.copytree(folders["siglip"], tmp_path / "lowered"))
    plain = load_perceptor(str(folder)).embed_text(["A Red APPLE", "a red apple"])
    assert not torch.allclose(plain[0], plain[1])
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "do_lower_case": True}))
    found = load_perceptor(str(folder)).embed_text(["A Red APPLE", "a red apple"])
    torch.testing.assert_close(found[0], found[1])
    torch.testing.assert_close(found[1], plain[1])


def test_curly_quotes_are_mended_for_clip(folders: dict[str, Path]) -> None:
    model = load_perceptor(str(folders["clip"]))
    found = model.embed_text(["a red&nbsp;apple", "a red apple"])
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("missing", ["sentencepiece", "protobuf"])
def test_packages_of_a_tokenizer_are_asked_for_first(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    folder = Path(shutil.copytree(folders["siglip"], tmp_path / "pieces"))
    (folder / "spiece.model").touch()
    load_perceptor(str(folder))  # tokenizer.json is enough
    path = folder / "tokenizer_config.json"
    values = {**json.loads(path.read_text()), "tokenizer_class": "SiglipTokenizer"}
    path.write_text(json.dumps(values))
    real = hub._is_installed
    monkeypatch.setattr(hub, "_is_installed", lambda name: missing not in name and real(name))
    with pytest.raises(ModelError, match=rf"needs {missing}; run: pip install 'gouache") as error:
        load_perceptor(str(folder))
    assert "\n" not in str(error.value)
