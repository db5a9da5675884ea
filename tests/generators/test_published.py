"""Checkpoints as others publish them: every layout gives the numbers of the original code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor

from gouache.errors import ModelError
from gouache.generators import load_generator
from gouache.generators.diffusers import from_diffusers
from gouache.generators.loading import convert
from gouache.generators.vqgan import VQGAN, VQGANConfig

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
DIFFUSERS = GOLDEN / "diffusers_vq"


def golden(name: str) -> dict[str, Any]:
    return torch.load(GOLDEN / f"{name}.ckpt", weights_only=True)["state_dict"]


def taming(name: str = "taming_vq") -> dict[str, Any]:
    return yaml.safe_load((GOLDEN / f"{name}.yaml").read_text())["model"]


def close(got: Tensor, expected: Tensor) -> None:
    assert got.shape == expected.shape
    assert (got - expected).abs().max() < 1e-4


def check_against_the_original(model: VQGAN, name: str) -> None:
    known = load_file(GOLDEN / f"{name}_io.safetensors")
    picture = known["image"] / 2 + 0.5  # the original works in [-1,1]
    close(model.encode_features(picture), known["pre_quant"])
    codes, indices = model.quantize(model.encode(picture))
    best = "_argmax" if name == "taming_gumbel" else ""
    assert torch.equal(indices.flatten(), known[f"indices{best}"].flatten())
    close(codes, known[f"quantized{best}"])
    close(model.decode(codes) * 2 - 1, known["reconstruction"])
    close(model.decode(known["latent"]) * 2 - 1, known["decoded"])


@pytest.mark.parametrize("name", ["taming_vq", "taming_gumbel", "diffusers_vq"])
@pytest.mark.parametrize("converted", [False, True])
def test_golden(name: str, converted: bool, tmp_path: Path) -> None:
    source = DIFFUSERS if name == "diffusers_vq" else GOLDEN / f"{name}.ckpt"
    model = load_generator(source)
    if converted:
        # Twice: what was converted is a source like any other.
        convert(source, None, tmp_path / "once.safetensors")
        convert(tmp_path / "once.safetensors", None, tmp_path / "twice.safetensors")
        original, model = model.state_dict(), load_generator(tmp_path / "twice.safetensors")
        assert all(torch.equal(value, original[key]) for key, value in model.state_dict().items())
    check_against_the_original(model, name)


def wrapped(content: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {f"{prefix}{name}": value for name, value in content.items()}


def write(folder: Path, state: dict[str, Any], model: dict[str, Any]) -> Path:
    extra = {"epoch": 3, "global_step": 7, "optimizer_states": [{"state": {}}], "callbacks": {}}
    torch.save({"state_dict": state, **extra}, folder / "last.ckpt")
    (folder / "last.yaml").write_text(yaml.safe_dump({"model": model}))
    return folder / "last.ckpt"


@pytest.mark.parametrize("name", ["taming_vq", "taming_gumbel"])
@pytest.mark.parametrize(
    "target",
    [
        "taming.models.cond_transformer.Net2NetTransformer",
        "ldm.models.diffusion.ddpm.LatentDiffusion",
    ],
)
def test_first_stages_of_larger_models(tmp_path: Path, name: str, target: str) -> None:
    other = golden("taming_vq")  # a transformer's condition may be a VQGAN too
    state = {
        **wrapped(golden(name), "first_stage_model."),
        **wrapped(other, "cond_stage_model."),
        "transformer.tok_emb.weight": torch.full((3, 3), torch.nan),
        "model.diffusion_model.input_blocks.0.weight": torch.full((3, 3), torch.nan),
        "betas": torch.zeros(10, dtype=torch.long),
    }
    params = {"first_stage_config": taming(name), "cond_stage_config": taming()}
    path = write(tmp_path, state, {"target": target, "params": params})
    check_against_the_original(load_generator(path), name)


def test_first_stages_of_latent_diffusion(tmp_path: Path) -> None:
    """vq-f4 and its like: another target, averaged weights beside the others."""
    state = {**golden("taming_vq"), "model_ema.decay": torch.tensor(0.999)}
    model = {**taming(), "target": "ldm.models.autoencoder.VQModelInterface"}
    model["params"]["ddconfig"]["attn_type"] = "vanilla"
    check_against_the_original(load_generator(write(tmp_path, state, model)), "taming_vq")


def test_latent_diffusion_without_attention(tmp_path: Path) -> None:
    state = {key: value for key, value in golden("taming_vq").items() if "attn" not in key}
    model = taming()
    model["params"]["ddconfig"] |= {"attn_type": "none", "attn_resolutions": [8]}
    found = load_generator(write(tmp_path, state, model))
    assert not found.config.mid_attention
    assert found.decode(torch.zeros(1, 16, 2, 3)).shape == (1, 3, 8, 12)
    model["params"]["ddconfig"]["attn_type"] = "linear"
    with pytest.raises(ModelError, match="vanilla or none"):
        load_generator(write(tmp_path, state, model))


@pytest.mark.parametrize("place", ["", "vqvae", "weights"])
@pytest.mark.parametrize("pickled", [False, True])
def test_layouts_of_diffusers(tmp_path: Path, place: str, pickled: bool) -> None:
    folder = tmp_path / ("vqvae" if place == "vqvae" else "")
    folder.mkdir(exist_ok=True)
    shutil.copy(DIFFUSERS / "config.json", folder)
    weights = folder / "diffusion_pytorch_model.safetensors"
    shutil.copy(DIFFUSERS / weights.name, weights)
    if pickled:
        state, safe = load_file(weights), weights
        weights = weights.with_suffix(".bin")
        torch.save(state, weights)
        safe.unlink()
    path = weights if place == "weights" else tmp_path
    check_against_the_original(load_generator(path), "diffusers_vq")


def test_old_names_of_attention_in_diffusers(tmp_path: Path) -> None:
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    state = load_file(DIFFUSERS / "diffusion_pytorch_model.safetensors")
    for new, name in old.items():
        state = {key.replace(f".{new}.", f".{name}."): value for key, value in state.items()}
    assert any(".query." in key for key in state)
    shutil.copy(DIFFUSERS / "config.json", tmp_path)
    save_file(state, tmp_path / "diffusion_pytorch_model.safetensors")
    check_against_the_original(load_generator(tmp_path), "diffusers_vq")


def _diffusers_config(**changes: object) -> dict[str, Any]:
    return {**json.loads((DIFFUSERS / "config.json").read_text()), **changes}


def test_configuration_of_diffusers() -> None:
    config = from_diffusers(_diffusers_config())
    assert (config.ch, config.ch_mult) == (8, (1, 2, 3))
    assert config.attn_resolutions == (16,)
    assert (config.embed_dim, config.z_channels, config.n_embed) == (3, 5, 24)
    assert from_diffusers(_diffusers_config(vq_embed_dim=None)).embed_dim == 5
    # Where the size of training is no multiple of f, attention must still sit where it did.
    odd = from_diffusers(_diffusers_config(sample_size=30))
    assert [odd.resolution >> n in odd.attn_resolutions for n in range(3)] == [False, True, False]


BLOCKS = ["DownEncoderBlock2D"] * 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"_class_name": "AutoencoderKL"}, "expected a VQModel"),
        ({"norm_type": "spatial"}, "norm_type"),
        ({"lookup_from_codebook": True}, "codebook"),
        ({"block_out_channels": None}, "incomplete"),
        ({"block_out_channels": []}, "incomplete"),
        ({"block_out_channels": [8, 12, 24]}, "multiples"),
        ({"block_out_channels": [8, 16]}, "multiples"),
        ({"down_block_types": BLOCKS}, "different levels"),
        ({"down_block_types": ["CrossAttnDownBlock2D"] * 3}, "expected DownEncoderBlock2D or"),
        ({"num_vq_embeddings": "many"}, "incomplete"),
        ({"latent_channels": 0}, "z_channels"),
    ],
)
def test_other_models_of_diffusers_are_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    shutil.copytree(DIFFUSERS, tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text(json.dumps(_diffusers_config(**changes)))
    with pytest.raises(ModelError, match=message) as error:
        load_generator(tmp_path / "model")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_folders_that_hold_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"expected config\.json"):
        load_generator(tmp_path)
    shutil.copy(DIFFUSERS / "config.json", tmp_path)
    with pytest.raises(ModelError, match=r"expected config\.json"):
        load_generator(tmp_path)


def test_conversion_says_what_the_model_is(tmp_path: Path) -> None:
    found = convert(DIFFUSERS, None, tmp_path / "x.safetensors")
    assert found.facts == {"downsampling": 4, "codebook_size": 24, "native_size": 32}
    assert VQGANConfig.from_dict(found.config) == load_generator(DIFFUSERS).config


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state.pop("decoder.conv_in.weight"),
        lambda state: state.update({"decoder.more": torch.zeros(3)}),
        lambda state: state.update({"decoder.conv_in.bias": torch.zeros(3)}),
        lambda state: state.update({"decoder.conv_in.bias": torch.full((64,), torch.nan)}),
    ],
)
def test_what_does_not_fit_is_not_converted(
    tmp_path: Path, damage: Callable[[dict[str, Any]], object]
) -> None:
    state = golden("taming_vq")
    damage(state)
    source = write(tmp_path, state, taming())
    with pytest.raises(ModelError):
        convert(source, None, tmp_path / "out" / "x.safetensors")
    assert not (tmp_path / "out").exists()


def test_the_gumbel_encoder_takes_the_best_code_every_time() -> None:
    model = load_generator(GOLDEN / "taming_gumbel.ckpt")
    picture = load_file(GOLDEN / "taming_gumbel_io.safetensors")["image"] / 2 + 0.5
    before = torch.random.get_rng_state()
    first = model.encode(picture)
    torch.manual_seed(5)
    assert torch.equal(model.encode(picture), first)
    torch.random.set_rng_state(before)
    indices = model.quantize(first)[1]
    logits = model.quantize.proj(model.encode_features(picture))  # type: ignore[attr-defined]
    assert torch.equal(indices, logits.argmax(1))
