"""CLIPs from files see and read as the original implementation does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from gouache.errors import ModelError
from gouache.perceptors import load_perceptor
from gouache.perceptors.clip import ClipPerceptor
from gouache.perceptors.clip_loading import (
    AssumedActivationWarning,
    SurplusWarning,
    load_clip,
    save_clip,
)
from gouache.perceptors.preprocessing import CLIP_MEAN, CLIP_STD
from gouache.perceptors.torchscript import read_torchscript
from gouache.protocols import Perceptor
from gouache.weights.fingerprint import fingerprint
from perceptors.clip_samples import VOCABULARY, archive, assert_features, expected, write_merges

KINDS = ("vit", "resnet")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_merges(tmp_path)
    return tmp_path


def features_only(path: Path) -> ClipPerceptor:
    return load_clip(path, vocabulary=False)


@pytest.mark.parametrize("kind", KINDS)
def test_archives_give_the_original_features(kind: str) -> None:
    assert_features(features_only(archive(kind)), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_our_own_format_gives_the_same(kind: str, tmp_path: Path) -> None:
    model = features_only(archive(kind))
    save_clip(model, tmp_path / "clip.safetensors")
    again = features_only(tmp_path / "clip.safetensors")
    assert_features(again, kind)
    assert again.config == model.config
    assert again.preprocessing == model.preprocessing
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors", ".prefixed"])
def test_plain_state_dicts_with_the_same_names(kind: str, suffix: str, tmp_path: Path) -> None:
    state = read_torchscript(archive(kind))
    path = tmp_path / f"clip{suffix}"
    if suffix == ".safetensors":
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    elif suffix == ".pt":
        # Numbers that OpenAI keeps among the weights, and a buffer of integers.
        extra = {name: torch.tensor(7) for name in ("input_resolution", "vocab_size")}
        torch.save({**state, **extra, "context_length": torch.tensor(77)}, path)
    else:
        torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, path)
    assert_features(features_only(path), kind)


def test_half_precision_is_widened(tmp_path: Path) -> None:
    state = {name: tensor.half() for name, tensor in read_torchscript(archive("vit")).items()}
    torch.save(state, tmp_path / "half.pt")
    model = features_only(tmp_path / "half.pt")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    found = F.normalize(model.image_features(expected("vit")["pixels_normalised"]), dim=-1)
    wanted = F.normalize(expected("vit")["image_features"], dim=-1)
    assert ((found * wanted).sum(1) > 0.9999).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_contract(kind: str, folder: Path) -> None:
    path = folder / "clip.pt"
    path.write_bytes(archive(kind).read_bytes())
    model = load_perceptor(str(path))
    assert isinstance(model, Perceptor)
    assert model.name == str(path)
    assert model.fingerprint == fingerprint(path)
    assert model.image_size == {"vit": 32, "resnet": 64}[kind]
    assert model.embed_dim == 32
    assert model.bank is None
    image = torch.rand(2, 3, model.image_size, model.image_size, requires_grad=True)
    found = model.embed_image(image)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(2))
    found[:, 0].sum().backward()
    assert image.grad is not None
    assert (image.grad.flatten(1).abs().sum(1) > 0).all()
    assert not any(parameter.requires_grad for parameter in model.parameters())  # type: ignore[attr-defined]
    texts = model.embed_text(["red apple", "castle on white mountain"])
    assert texts.shape == (2, 32)
    torch.testing.assert_close(texts.norm(dim=1), torch.ones(2))
    assert not torch.allclose(texts[0], texts[1])


def test_pictures_are_normalised_as_clip_was_trained() -> None:
    model = features_only(archive("vit"))
    image = torch.rand(2, 3, 32, 32)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (CLIP_MEAN, CLIP_STD))
    wanted = F.normalize(model.image_features((image - mean) / std), dim=-1)
    torch.testing.assert_close(model.embed_image(image), wanted)
    pixels = expected("vit")["pixels_normalised"]
    seen = model.embed_image(pixels * std + mean)
    torch.testing.assert_close(seen, F.normalize(expected("vit")["image_features"], dim=-1))


def test_a_text_does_not_depend_on_its_company(folder: Path) -> None:
    """Padding is cut away; what is left must not change what is read."""
    path = folder / "clip.pt"
    path.write_bytes(archive("vit").read_bytes())
    model = load_perceptor(str(path))
    alone = model.embed_text(["red apple"])
    together = model.embed_text(["red apple", "lighthouse at dusk on the green mountain"])
    torch.testing.assert_close(alone, together[:1])


def test_damage_is_one_line(tmp_path: Path) -> None:
    whole = archive("vit").read_bytes()
    state = read_torchscript(archive("vit"))
    files = {
        "cut.pt": whole[: len(whole) // 2],
        "flipped.pt": whole.replace(state["ln_final.weight"].numpy().tobytes()[:64], b"x" * 64),
        "empty.pt": b"",
        "text.pt": b"<html>not found</html>",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    for name, change in {
        "lacks.pt": {"ln_final.bias": None},
        "surplus.pt": {"visual.another.weight": torch.zeros(3)},
        "shape.pt": {"ln_final.bias": torch.zeros(3)},
        "grid.pt": {"visual.positional_embedding": torch.zeros(16, 64)},
        "deep.pt": {"transformer.resblocks.99999999.ln_1.weight": torch.zeros(64)},
        "nan.pt": {"ln_final.bias": torch.full((64,), torch.nan)},
    }.items():
        changed = {k: v for k, v in {**state, **change}.items() if v is not None}
        torch.save(changed, tmp_path / name)
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(ModelError) as error:
            features_only(path)
        assert "\n" not in str(error.value)
        assert path.name in str(error.value)


def open_clip_folder(folder: Path, **changes: object) -> Path:
    """The fixture as open_clip puts a model on the hub."""
    model = {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
        "text_cfg": {
            "context_length": 77, "vocab_size": VOCABULARY, "width": 64, "heads": 1, "layers": 2,
        },
    }  # fmt: skip
    preprocess = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4], "interpolation": "bicubic"}
    config = {"model_cfg": {**model, **changes}, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    torch.save(read_torchscript(archive("vit")), folder / "open_clip_pytorch_model.bin")
    write_merges(folder)
    return folder


def test_folders_of_open_clip_need_no_package(tmp_path: Path) -> None:
    """That covers the adversarially robust CLIPs, which are published in this form."""
    model = load_perceptor(str(open_clip_folder(tmp_path, quick_gelu=True)))
    assert isinstance(model, ClipPerceptor)
    assert_features(model, "vit")
    assert model.preprocessing.mean == (0.5, 0.4, 0.3)
    assert model.embed_text(["red apple"]).shape == (1, 32)
    exact = load_perceptor(str(open_clip_folder(tmp_path)))
    assert isinstance(exact, ClipPerceptor)
    assert exact.config.activation == "gelu"
    pixels = expected("vit")["pixels_normalised"]
    assert not torch.allclose(exact.image_features(pixels), model.image_features(pixels))


def bare(folder: Path, **changes: torch.Tensor) -> Path:
    """The fixture as a state dict of unknown origin."""
    folder.mkdir(exist_ok=True)
    torch.save({**read_torchscript(archive("vit")), **changes}, folder / "own.pt")
    return folder / "own.pt"


QUICK = {"quick_gelu": True}
SHAPE = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
    "text_cfg": {
        "context_length": 77, "vocab_size": VOCABULARY, "width": 64, "heads": 1, "layers": 2,
    },
}  # fmt: skip
HUGGING = {"model_type": "clip", "text_config": {}, "vision_config": {"image_size": 32}}
EXACT = {"hidden_act": "gelu"}


@pytest.mark.parametrize(
    ("place", "values", "activation"),
    [
        ("open_clip_config.json", {"model_cfg": SHAPE, "preprocess_cfg": {}}, "gelu"),
        ("open_clip_config.json", {"model_cfg": {**SHAPE, **QUICK}}, "quick_gelu"),
        ("open_clip_config.json", {"model_cfg": {**SHAPE, "custom_text": False}}, "gelu"),
        ("own.json", SHAPE, "gelu"),  # as in the package's own folder
        ("own.json", {**SHAPE, **QUICK}, "quick_gelu"),
        ("own.json", {"quick_gelu": False}, "gelu"),
        ("config.json", {**HUGGING, "text_config": EXACT, "vision_config": EXACT}, "gelu"),
        ("config.json", HUGGING, "quick_gelu"),
    ],
)
def test_the_configuration_beside_a_state_dict_says_the_activation(
    tmp_path: Path,
    recwarn: pytest.WarningsRecorder,
    place: str,
    values: dict[str, object],
    activation: str,
) -> None:
    path = bare(tmp_path)
    (tmp_path / place).write_text(json.dumps(values))
    assert features_only(path).config.activation == activation
    assert not [w for w in recwarn if w.category is AssumedActivationWarning]


def test_without_a_configuration_one_note_says_what_is_assumed(tmp_path: Path) -> None:
    path = bare(tmp_path)
    with pytest.warns(AssumedActivationWarning, match=r"put own\.json beside it") as seen:
        model = features_only(path)
    assert len(seen) == 1
    assert_features(model, "vit")


def test_openais_own_files_need_no_note(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    for model in (archive("vit"), bare(tmp_path, input_resolution=torch.tensor(32.0))):
        assert features_only(model).config.activation == "quick_gelu"
    assert not list(recwarn)


def test_activations_that_differ_are_refused(tmp_path: Path) -> None:
    path = bare(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**HUGGING, "text_config": EXACT}))
    with pytest.raises(ModelError, match="hidden_act"):
        features_only(path)


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.", "module._orig_mod.clip."])
def test_words_before_all_names(tmp_path: Path, prefix: str) -> None:
    state = {f"{prefix}{k}": v for k, v in read_torchscript(archive("vit")).items()}
    for content in ({"model": state}, {"state_dict": state, "epoch": 3}, state):
        torch.save(content, tmp_path / "own.pt")
        with pytest.warns(AssumedActivationWarning):
            assert_features(features_only(tmp_path / "own.pt"), "vit")


def test_surplus_tensors_are_left_out_and_named(tmp_path: Path) -> None:
    path = bare(tmp_path, **{"head.weight": torch.zeros(3), "logit_bias": torch.zeros(())})
    with pytest.warns(SurplusWarning, match=r"2 tensors .*first 'head\.weight'; left out"):
        assert_features(features_only(path), "vit")


def test_a_failure_is_one_line_without_notes(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    path = bare(tmp_path, **{"visual.more": torch.zeros(3), "head.weight": torch.zeros(3)})
    with pytest.raises(ModelError, match=r"first 'visual\.more'"):
        features_only(path)
    assert not list(recwarn)


def test_names_of_transformers_are_recognised(tmp_path: Path) -> None:
    names = ("text_model.embeddings.token_embedding.weight", "text_projection.weight")
    torch.save({name: torch.zeros(3, 3) for name in names}, tmp_path / "own.pt")
    with pytest.raises(ModelError, match="names of transformers; give its folder"):
        load_perceptor(tmp_path / "own.pt")


def test_a_second_configuration_does_not_matter(tmp_path: Path) -> None:
    folder = open_clip_folder(tmp_path, quick_gelu=True)
    (folder / "config.json").write_text('{"model_type": "clip"}')
    assert_features(load_perceptor(str(folder)), "vit")


def test_other_layers_of_open_clip_are_refused(tmp_path: Path) -> None:
    folder = open_clip_folder(tmp_path, custom_text=True)
    with pytest.raises(ModelError, match="other layers than those of OpenAI's CLIP"):
        load_perceptor(str(folder))


@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_ready_for_painting_it_sees_the_same(kind: str) -> None:
    model = features_only(archive(kind))
    model.prepare(torch.float32)
    model.prepare(torch.float32)  # once is enough
    assert_features(model, kind)
    views = torch.rand(
        2, 3, model.image_size, model.image_size, generator=torch.Generator().manual_seed(0)
    )
    exact = model.embed_image(views)
    model.prepare(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        found = model.embed_image(views)
    assert found.dtype == torch.float32
    assert (found * exact).sum(1).min() > 0.999
    words = model.text_features(expected(kind)["tokens"])
    torch.testing.assert_close(words, expected(kind)["text_features"], rtol=1e-3, atol=1e-5)
