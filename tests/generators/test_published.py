"""Checkpoints as others publish them: every layout gives the numbers of the original code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor

from gouache.errors import ModelError
from gouache.generators import load_generator
from gouache.generators.diffusers import from_diffusers
from gouache.generators.loading import convert
from gouache.generators.naming import SurplusWarning
from gouache.generators.vqgan import VQGAN, VQGANConfig
from gouache.weights.recognise import recognise

DATA = Path(__file__).parents[1] / "data"
GOLDEN = DATA / "golden"
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
        ({"act_fn": "tanh"}, "act_fn 'tanh'; expected silu, gelu, relu, mish or swish"),
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


def changed(folder: Path, **changes: object) -> Path:
    shutil.copytree(DIFFUSERS, folder)
    (folder / "config.json").write_text(json.dumps(_diffusers_config(**changes)))
    return folder


@pytest.mark.parametrize("act_fn", ["silu", "swish", "SiLU", "gelu", "relu", "mish"])
def test_the_activation_is_the_models_own(tmp_path: Path, act_fn: str) -> None:
    """Inside of residual blocks: before the last convolution diffusers always has SiLU."""
    model = load_generator(changed(tmp_path / "m", act_fn=act_fn))
    act = {"swish": F.silu, "SiLU": F.silu}.get(act_fn) or getattr(F, act_fn)
    x = torch.randn(1, 24, 6, 5)
    block = model.decoder.mid.block_1
    hidden = block.conv1(act(block.norm1(x)))
    close(block(x), x + block.conv2(act(block.norm2(hidden))))
    close(model.encoder.mid.block_1(x), reference_block(model.encoder.mid.block_1, x, act))
    wide = torch.randn(1, 8, 6, 5)
    close(model.decoder.finish(wide), model.decoder.conv_out(F.silu(model.decoder.norm_out(wide))))
    latent = torch.randn(1, 3, 8, 8)
    close(model.decode_tiled(latent), model.decode(latent))
    convert(tmp_path / "m", None, tmp_path / "own.safetensors")
    close(load_generator(tmp_path / "own.safetensors").decode(latent), model.decode(latent))


def reference_block(block: Any, x: Tensor, act: Callable[[Tensor], Tensor]) -> Tensor:
    return x + block.conv2(act(block.norm2(block.conv1(act(block.norm1(x))))))


def test_models_that_look_up_their_codebook_see_pictures_in_0_to_1(tmp_path: Path) -> None:
    """Those of aMUSEd. How its `decode` is called does not matter here."""
    usual = load_generator(DIFFUSERS)
    found = load_generator(changed(tmp_path / "m", lookup_from_codebook=True))
    picture = torch.rand(1, 3, 16, 16)
    close(found.encode_features(picture), usual.encode_features((picture + 1) / 2))
    latent = torch.randn(1, 3, 4, 4)
    close(found.decode(latent), usual.decode(latent) * 2 - 1)
    close(found.decode_tiled(latent), found.decode(latent))


def test_a_size_of_training_of_a_few_cells_is_only_a_default() -> None:
    blocks = ["DownEncoderBlock2D"] * 5
    amused = from_diffusers(
        _diffusers_config(
            block_out_channels=[8, 16, 16, 32, 48], down_block_types=blocks, sample_size=32,
            up_block_types=["UpDecoderBlock2D"] * 5, norm_num_groups=8,
        )
    )  # fmt: skip
    assert amused.resolution == 256


PREFIXES = ["module.", "model.", "_orig_mod.", "module._orig_mod.", "vqgan.", "ema_model.", "a.b."]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("name", ["taming_vq", "taming_gumbel"])
def test_words_before_all_names(tmp_path: Path, name: str, prefix: str) -> None:
    path = write(tmp_path, wrapped(golden(name), prefix), taming(name))
    check_against_the_original(load_generator(path), name)
    torch.save({"model": wrapped(golden(name), prefix)}, path)
    check_against_the_original(load_generator(path), name)


def test_words_before_the_names_of_diffusers(tmp_path: Path) -> None:
    state = wrapped(load_file(DIFFUSERS / "diffusion_pytorch_model.safetensors"), "module.")
    shutil.copy(DIFFUSERS / "config.json", tmp_path)
    save_file(state, tmp_path / "diffusion_pytorch_model.safetensors")
    check_against_the_original(load_generator(tmp_path), "diffusers_vq")


def test_surplus_tensors_are_left_out_and_named(tmp_path: Path) -> None:
    averages = {f"model_ema.{k.replace('.', '')}": v + 1 for k, v in golden("taming_vq").items()}
    counts = {"quantize.embedding.cluster_size": torch.zeros(48), "quantize.used": torch.zeros(3)}
    lpips = {"perceptual_loss.net.weight": torch.zeros(2), "logvar": torch.zeros(())}
    path = write(tmp_path, {**averages, **golden("taming_vq"), **counts, **lpips}, taming())
    told = "holds 2 tensors that are no part of it, first 'logvar' and weights averaged"
    with pytest.warns(SurplusWarning, match=told) as seen:
        model = load_generator(path)
    assert len(seen) == 1
    assert "\n" not in str(seen[0].message)
    check_against_the_original(model, "taming_vq")
    path = write(tmp_path, {**golden("taming_vq"), "decoder.more": torch.zeros(2)}, taming())
    with pytest.raises(ModelError, match=r"no place for, first 'decoder\.more'"):
        load_generator(path)


@pytest.mark.parametrize("kind", ["tuple", "list"])
def test_yaml_with_containers_of_python(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, golden("taming_vq"), taming())
    text = (DATA / "checkpoint" / "tuple.yaml").read_text().replace("n_embed: 64", "n_embed: 48")
    text = text.replace("python/tuple", f"python/{kind}").replace("ch: 32", "ch: !!python/long 32")
    text = text.replace("target: taming", "target: !!python/unicode taming")
    text = text.replace("[1, 1, 2]", "[1, 2, 2]").replace("z_channels: 16", "z_channels: 32")
    (tmp_path / "last.yaml").write_text(text)
    check_against_the_original(load_generator(path), "taming_vq")
    boom = tmp_path / "boom"
    for hostile in (
        f"!!python/object/apply:os.mkdir [{boom}]", f"!!python/object/new:os.mkdir [{boom}]",
        "!!python/name:os.mkdir", "!!python/module:os", "!!python/object:builtins.object {}",
    ):  # fmt: skip
        (tmp_path / "last.yaml").write_text(text + f"\n  more: {hostile}\n")
        with pytest.raises(ModelError, match="not YAML"):
            load_generator(path)
    assert not boom.exists()


@pytest.mark.parametrize(
    "metadata",
    [
        {"format": "pt", "config": "a model of mine"},
        {"format": "pt", "config": '{"resolution": "512"}'},
        {"config": '{"resolution": "512"}', "modelspec.title": "x"},
        {"format": "pt", "modelspec.architecture": "vqgan"},
        {"config": '{"author": "me"}'},
    ],
)
def test_metadata_of_others_in_safetensors(tmp_path: Path, metadata: dict[str, str]) -> None:
    write(tmp_path, {}, taming())
    path = tmp_path / "last.safetensors"
    save_file(golden("taming_vq"), path, metadata=metadata)
    check_against_the_original(load_generator(path), "taming_vq")


def test_a_configuration_of_taming_inside_of_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "f.safetensors"
    save_file(golden("taming_vq"), path, metadata={"config": json.dumps({"model": taming()})})
    check_against_the_original(load_generator(path), "taming_vq")


def test_the_layout_of_tamings_logs(tmp_path: Path) -> None:
    """logs/RUN/checkpoints/last.ckpt and logs/RUN/configs/TIME-project.yaml."""
    run = tmp_path / "2021-04-23T18-11-19_mine"
    (run / "checkpoints").mkdir(parents=True)
    (run / "configs").mkdir()
    torch.save({"state_dict": golden("taming_vq")}, run / "checkpoints" / "last.ckpt")
    text = yaml.safe_dump({"model": taming()})
    (run / "configs" / "2021-04-23T18-11-19-lightning.yaml").write_text("lightning: {}")
    (run / "configs" / "2021-04-22T01-01-01-project.yaml").write_text("model: {target: x}")
    (run / "configs" / "2021-04-23T18-11-19-project.yaml").write_text(text)
    for path in (run / "checkpoints" / "last.ckpt", run / "checkpoints", run):
        assert recognise(path).kind == "generator"
        check_against_the_original(load_generator(path), "taming_vq")
    (run / "checkpoints" / "last.ckpt").rename(run / "checkpoints" / "epoch=000012.ckpt")
    check_against_the_original(load_generator(run), "taming_vq")


@pytest.mark.parametrize("setting", [{"tanh_out": True}, {"use_linear_attn": True}])
def test_settings_that_change_the_network_are_not_passed_over(
    tmp_path: Path, setting: dict[str, Any]
) -> None:
    model = taming()
    model["params"]["ddconfig"] |= setting
    with pytest.raises(ModelError, match="tanh_out or use_linear_attn"):
        load_generator(write(tmp_path, golden("taming_vq"), model))


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
