"""From names and files to a generator; everything that can be wrong with a checkpoint."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file

from gouache.errors import ModelError
from gouache.generators import generators, load_generator
from gouache.generators.loading import config_beside
from gouache.generators.vqgan import VQGAN, VQGANConfig
from gouache.weights import shipped
from gouache.weights.fingerprint import fingerprint
from gouache.weights.saving import save_model

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
CONFIG = VQGANConfig(
    ch=8,
    ch_mult=(1, 2),
    num_res_blocks=1,
    attn_resolutions=(),
    resolution=16,
    z_channels=8,
    embed_dim=4,
    n_embed=32,
    norm_groups=4,
)


def one_line(error: pytest.ExceptionInfo[ModelError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 400
    return text


def golden_state(name: str) -> dict[str, Any]:
    return torch.load(GOLDEN / f"{name}.ckpt", weights_only=True)["state_dict"]


def place(folder: Path, content: object, name: str = "taming_vq") -> Path:
    """A pickle of `content` with the golden YAML beside it."""
    shutil.copy(GOLDEN / f"{name}.yaml", folder / "model.yaml")
    torch.save(content, folder / "model.ckpt")
    return folder / "model.ckpt"


def same_picture(model: VQGAN, other: VQGAN) -> bool:
    latent = torch.randn(1, model.code_dim, 4, 4, generator=torch.Generator().manual_seed(0))
    return torch.equal(model.decode(latent), other.decode(latent))


@pytest.fixture(scope="module")
def reference() -> VQGAN:
    return load_generator(GOLDEN / "taming_vq.ckpt")


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = VQGAN(CONFIG)
    model.code_prior.copy_(torch.arange(32) / 496)
    save_model(tmp_path / "ours.safetensors", model.state_dict(), CONFIG.to_dict())
    return tmp_path / "ours.safetensors"


def test_name_fingerprint_and_prior_come_from_the_file(ours: Path) -> None:
    model = load_generator(str(ours))
    assert model.name == "ours"
    assert model.fingerprint == fingerprint(ours)
    assert torch.equal(model.code_prior, torch.arange(32) / 496)


def test_training_parts_are_dropped_and_the_prior_is_uniform(reference: VQGAN) -> None:
    assert not [key for key in reference.state_dict() if key.startswith("loss")]
    assert torch.equal(reference.code_prior, torch.full((48,), 1 / 48))


def test_what_a_file_is_does_not_depend_on_its_name(tmp_path: Path, ours: Path) -> None:
    ours.rename(tmp_path / "a.ckpt")
    assert load_generator(tmp_path / "a.ckpt").config == CONFIG
    # Gumbel or not is in the keys: neither the file's name nor an edited target matters.
    text = (GOLDEN / "taming_gumbel.yaml").read_text().replace("GumbelVQ", "VQModel")
    (tmp_path / "vqgan.yaml").write_text(text)
    shutil.copy(GOLDEN / "taming_gumbel.ckpt", tmp_path / "vqgan.safetensors")
    assert load_generator(tmp_path / "vqgan.safetensors").config.gumbel


def test_taming_weights_as_safetensors_or_bare_or_of_the_old_format(
    tmp_path: Path, reference: VQGAN
) -> None:
    state = golden_state("taming_vq")
    path = place(tmp_path, state)
    assert same_picture(load_generator(path), reference)
    torch.save({"state_dict": state}, path, _use_new_zipfile_serialization=False)
    assert same_picture(load_generator(path), reference)
    save_file(state, path)
    assert same_picture(load_generator(path), reference)


def test_the_vqgan_inside_a_transformer(tmp_path: Path, reference: VQGAN) -> None:
    state = {f"first_stage_model.{key}": value for key, value in golden_state("taming_vq").items()}
    state["transformer.tok_emb.weight"] = torch.zeros(3, 3)
    state["cond_stage_model.encoder.conv_in.weight"] = torch.zeros(3, 3)
    path = place(tmp_path, {"state_dict": state})
    values = yaml.safe_load((GOLDEN / "taming_vq.yaml").read_text())
    outer = {"target": "Net2NetTransformer", "params": {"first_stage_config": values["model"]}}
    (tmp_path / "model.yaml").write_text(yaml.safe_dump({"model": outer}))
    assert same_picture(load_generator(path), reference)


@pytest.mark.parametrize(
    "where",
    ["x.yaml", "x.yml", "config.yaml", "model.yaml", "config.json", "../configs/model.yaml"],
)
def test_places_of_the_yaml(tmp_path: Path, where: str) -> None:
    folder = tmp_path / "checkpoints"
    (tmp_path / "configs").mkdir()
    folder.mkdir()
    with pytest.raises(ModelError, match=r"put its YAML beside it as x\.yaml"):
        config_beside(folder / "x.ckpt")
    (folder / where).touch()
    assert config_beside(folder / "x.ckpt").samefile(folder / where)


def test_precision_and_memory_layout(ours: Path) -> None:
    model = load_generator(ours, torch.device("cpu"), torch.bfloat16)
    assert model.decoder.conv_in.weight.dtype == torch.bfloat16
    assert model.decoder.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
    assert model.codebook.dtype == torch.float32


def test_half_precision_storage_loads_as_float32(ours: Path, tmp_path: Path) -> None:
    exact = load_generator(ours)
    save_model(tmp_path / "half.safetensors", exact.state_dict(), CONFIG.to_dict(), half=True)
    rough = load_generator(tmp_path / "half.safetensors")
    assert {value.dtype for value in rough.state_dict().values()} == {torch.float32}
    assert (tmp_path / "half.safetensors").stat().st_size < 0.75 * ours.stat().st_size
    picture = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert (rough.encode(picture) - exact.encode(picture)).abs().max() < 5e-3


def test_loaded_weights_do_not_depend_on_the_file_any_more(tmp_path: Path) -> None:
    path = place(tmp_path, {"state_dict": golden_state("taming_vq")})
    model = load_generator(path)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_unknown_names() -> None:
    assert "pocket" in generators.names()
    with pytest.raises(ModelError, match="did you mean pocket"):
        load_generator("pockett")
    with pytest.raises(ModelError, match="there is no file"):
        load_generator("missing.ckpt")
    with pytest.raises(ModelError, match="there is no file"):
        load_generator("some/where")


def test_shipped_weights_that_are_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ours: Path
) -> None:
    monkeypatch.setattr(shipped, "GENERATOR", tmp_path / "none.safetensors")
    with pytest.raises(ModelError, match="install gouache again") as error:
        load_generator("pocket")
    one_line(error)
    monkeypatch.setattr(shipped, "GENERATOR", ours)
    assert load_generator("pocket").name == "pocket"


def test_names_are_listed_without_torch() -> None:
    code = (
        "import sys; from gouache.generators import generators; generators.names(); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda state: state.pop(key)


def _with(key: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda state: state.update({key: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without("decoder.conv_in.weight"), "lacks 1 of"),
        (_without("quantize.embedding.weight"), "lacks 1 of"),
        (_with("encoder.extra.weight", torch.zeros(3)), "no place for"),
        (_with("decoder.new\nline", torch.zeros(3)), "no place for"),
        (_with("quantize.embedding.weight", torch.zeros(47, 16)), "has shape"),
        (_with("quantize.embedding.weight", torch.full((48, 16), torch.nan)), "NaN"),
        (_with("quantize.embedding.weight", torch.zeros(48, 16).long()), "not a plain tensor"),
        (_with("quantize.embedding.weight", torch.zeros(48, 16).to_sparse()), "not a plain tensor"),
        (_with("quantize.embedding.weight", torch.zeros(48, 16, device="meta")), "not a plain"),
        (_with("quantize.embedding.weight", torch.zeros(1).expand(48, 16)), "not a plain tensor"),
        (_with("quantize.embedding.weight", [1.0, 2.0]), "not a plain tensor"),
    ],
)
def test_pickles_that_do_not_fit(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    state = golden_state("taming_vq")
    change(state)
    with pytest.raises(ModelError, match=message) as error:
        load_generator(place(tmp_path, {"state_dict": state}))
    one_line(error)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: [", "not YAML"),
        ("\x00\x01", "not YAML"),
        ("[" * 500 + "]" * 500, "not YAML"),
        ("- 1", "no settings"),
        ("", "no settings"),
        ("model: 3", "no section"),
        ("!!python/object/apply:os.system [echo]", "not YAML"),
        ("model: {target: VQModel, params: {ddconfig: {ch: 32}}}", "lacks"),
    ],
)
def test_yaml_files_that_do_not_fit(tmp_path: Path, text: str, message: str) -> None:
    path = place(tmp_path, {"state_dict": {}})
    (tmp_path / "model.yaml").write_text(text)
    with pytest.raises(ModelError, match=message) as error:
        load_generator(path)
    assert "model.yaml" in one_line(error)


def test_weights_and_configuration_of_different_models(tmp_path: Path, ours: Path) -> None:
    with pytest.raises(ModelError) as error:
        load_generator(place(tmp_path, {"state_dict": golden_state("taming_vq")}, "taming_gumbel"))
    one_line(error)
    state = load_generator(ours).state_dict()
    save_model(ours, state, {**CONFIG.to_dict(), "n_embed": 33})
    with pytest.raises(ModelError, match="has shape") as error:
        load_generator(ours)
    one_line(error)
    save_model(ours, state, {**CONFIG.to_dict(), "image_size": 64})
    with pytest.raises(ModelError, match="not a setting of a VQGAN") as error:
        load_generator(ours)
    assert "ours.safetensors" in one_line(error)


def test_a_huge_configuration_takes_no_memory(tmp_path: Path, ours: Path) -> None:
    huge = {**CONFIG.to_dict(), "ch": 16384, "ch_mult": [16384] * 2, "n_embed": 1 << 24}
    save_model(ours, load_generator(ours).state_dict(), huge)
    with pytest.raises(ModelError) as error:
        load_generator(ours)
    one_line(error)
