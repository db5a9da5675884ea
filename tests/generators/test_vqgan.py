"""The VQGAN against values computed by taming-transformers, and its laws at every shape."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor

from gouache.errors import ImageError, ModelError
from gouache.generators import load_generator
from gouache.generators.vqgan import VQGAN, VQGANConfig
from gouache.protocols import Generator
from gouache.weights.saving import save_model

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
NAMES = ["taming_vq", "taming_gumbel"]
TINY = VQGANConfig(
    ch=8,
    ch_mult=(1, 2),
    num_res_blocks=1,
    attn_resolutions=(16,),
    resolution=32,
    z_channels=8,
    embed_dim=4,
    n_embed=32,
    norm_groups=4,
)


def tiny(seed: int = 0, **changes: object) -> VQGAN:
    torch.manual_seed(seed)
    return VQGAN(dataclasses.replace(TINY, **changes)).eval().requires_grad_(False)


def image(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=["taming", "saved"])
def model(request: pytest.FixtureRequest, name: str, tmp_path_factory: pytest.TempPathFactory):
    loaded = load_generator(GOLDEN / f"{name}.ckpt")
    if request.param == "saved":
        path = tmp_path_factory.mktemp("saved") / "ours.safetensors"
        save_model(path, loaded.state_dict(), loaded.config.to_dict())
        loaded = load_generator(path)
    return loaded


def close(got: Tensor, expected: Tensor) -> None:
    assert got.shape == expected.shape
    assert (got - expected).abs().max() < 1e-4


def test_golden(model: VQGAN, name: str) -> None:
    known = load_file(GOLDEN / f"{name}_io.safetensors")
    picture = known["image"] / 2 + 0.5  # the original works in [-1,1]
    close(model.encode_features(picture), known["pre_quant"])
    codes, indices = model.quantize(model.encode(picture))
    expected = known["indices"] if name == "taming_vq" else known["indices_argmax"]
    assert torch.equal(indices.flatten(), expected.flatten())
    assert indices.shape == codes[:, 0].shape
    close(codes, known["quantized" if name == "taming_vq" else "quantized_argmax"])
    close(model.decode(codes) * 2 - 1, known["reconstruction"])
    close(model.decode(known["latent"]) * 2 - 1, known["decoded"])
    if name == "taming_gumbel":
        close(model.quantize.proj(model.encode_features(picture)), known["logits"])


def test_keeps_the_contract(model: VQGAN) -> None:
    assert isinstance(model, Generator)
    assert model.downsampling == 4
    assert model.native_size == 32
    assert model.codebook.shape == (model.config.n_embed, model.code_dim)
    assert model.codebook.dtype == torch.float32
    assert len(model.fingerprint) == 64
    torch.testing.assert_close(model.code_prior.sum(), torch.tensor(1.0))
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert model.decoder.conv_in.weight.is_contiguous(memory_format=torch.channels_last)


def test_encoding_twice_gives_the_same(model: VQGAN) -> None:
    picture = image(1, 3, 32, 48)
    assert torch.equal(model.encode(picture), model.encode(picture))


def test_quantising_is_idempotent_and_codes_are_rows_of_the_codebook(model: VQGAN) -> None:
    latent = torch.randn(2, model.code_dim, 5, 7, generator=torch.Generator().manual_seed(0))
    codes, indices = model.quantize(latent)
    again, same = model.quantize(codes)
    assert torch.equal(codes, again)
    assert torch.equal(indices, same)
    assert torch.equal(codes, model.codebook[indices].permute(0, 3, 1, 2))


@pytest.mark.parametrize("size", [(8, 8), (12, 40), (64, 20)])
@pytest.mark.parametrize("patch_size", [1, 2, 3])
@pytest.mark.parametrize("gumbel", [False, True])
def test_any_size_that_is_a_multiple_of_f(
    size: tuple[int, int], patch_size: int, gumbel: bool
) -> None:
    model = tiny(patch_size=patch_size, resolution=32 * patch_size, gumbel=gumbel)
    assert model.downsampling == 2 * patch_size
    height, width = (side * patch_size for side in size)
    picture = image(2, 3, height, width)
    latent = model.encode(picture)
    assert latent.shape == (2, 4, height // model.downsampling, width // model.downsampling)
    assert latent.dtype == torch.float32
    codes, indices = model.quantize(latent)
    assert indices.shape == latent[:, 0].shape
    assert model.decode(codes).shape == picture.shape


@pytest.mark.parametrize(
    "shape", [(1, 3), (1, 3, 33, 32), (1, 3, 32, 31), (3, 32, 32), (1, 1, 32, 32)]
)
def test_other_sizes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="multiples of 2") as error:
        tiny().encode(torch.zeros(shape))
    assert "\n" not in str(error.value)


def test_pictures_of_a_batch_do_not_mix() -> None:
    model, pictures = tiny(), image(3, 3, 16, 24)
    alone = torch.cat([model.encode(picture[None]) for picture in pictures])
    torch.testing.assert_close(model.encode(pictures), alone)
    alone = torch.cat([model.decode(latent[None]) for latent in alone])
    torch.testing.assert_close(model.decode(model.encode(pictures)), alone)


def test_images_are_in_zero_to_one() -> None:
    model = tiny()
    inside: list[Tensor] = []
    model.encoder.register_forward_pre_hook(lambda _, args: inside.append(args[0]))
    model.encode(torch.stack([torch.zeros(3, 8, 8), torch.ones(3, 8, 8)]))
    assert inside[0].aminmax() == (-1, 1)
    black = model.decoder.conv_out
    torch.nn.init.zeros_(black.weight)
    torch.nn.init.constant_(black.bias, -1.0)
    assert torch.equal(model.decode(torch.zeros(1, 4, 4, 4)), torch.zeros(1, 3, 8, 8))


def test_gradient_reaches_every_latent_cell(model: VQGAN) -> None:
    latent = torch.randn(1, model.code_dim, 6, 9, generator=torch.Generator().manual_seed(0))
    latent.requires_grad_()
    model.decode(latent).square().mean().backward()
    assert latent.grad is not None
    assert (latent.grad.abs() > 0).all()


def test_gradient_reaches_the_image_and_in_training_every_parameter() -> None:
    model = tiny().train().requires_grad_(True)
    picture = image(1, 3, 32, 32).requires_grad_()
    features = model.encode_features(picture)
    codes, indices = model.quantize(features)
    assert not codes.requires_grad
    codebook_loss = (model.codebook[indices].movedim(-1, 1) - features).square().mean()
    (model.decode(features).square().mean() + codebook_loss).backward()
    assert picture.grad is not None
    assert (picture.grad != 0).any(1).all()
    missing = [name for name, value in model.named_parameters() if value.grad is None]
    assert missing == []


def test_attention_sits_at_nominal_resolutions() -> None:
    def places(model: VQGAN) -> list[bool]:
        return [bool(level.attn) for level in (*model.encoder.down, *model.decoder.up)]

    assert places(tiny(attn_resolutions=(16,))) == [False, True, False, True]
    assert places(tiny(attn_resolutions=(32,))) == [True, False, True, False]
    assert places(tiny(attn_resolutions=())) == [False] * 4
    # With patches the first level is smaller.
    assert places(tiny(attn_resolutions=(16,), patch_size=2)) == [True, False, True, False]


def test_attention_in_the_middle_is_optional() -> None:
    with_it, without = tiny(), tiny(mid_attention=False)
    surplus = set(with_it.state_dict()) - set(without.state_dict())
    assert {name.rsplit(".", 2)[0] for name in surplus} == {
        "encoder.mid.attn_1",
        "decoder.mid.attn_1",
    }


@pytest.mark.parametrize("change", ["in place", "replaced", "by data", "halved and back"])
def test_quantiser_notices_a_changed_codebook(change: str) -> None:
    model = tiny()
    latent = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    model.quantize(latent)
    new = torch.randn(32, 4, generator=torch.Generator().manual_seed(1)) + torch.arange(32)[:, None]
    weight = model.quantize.embedding.weight
    if change == "in place":
        weight.copy_(new)
    elif change == "replaced":
        model.quantize.embedding.weight = torch.nn.Parameter(new, requires_grad=False)
    elif change == "by data":
        model.train()
        weight.data.copy_(new)
    else:
        model.to(torch.float16).to(torch.float32)
    fresh = tiny()
    fresh.quantize.embedding.weight.copy_(model.codebook)
    assert torch.equal(model.quantize(latent)[1], fresh.quantize(latent)[1])
    if change != "halved and back":
        assert torch.equal(model.codebook, new)


def test_precision_of_the_networks_leaves_codes_alone() -> None:
    exact, rough = tiny(), tiny().set_precision(torch.bfloat16)
    picture = image(1, 3, 16, 16)
    latent = rough.encode(picture)
    decoded = rough.decode(latent)
    assert rough.encoder.conv_in.weight.dtype == torch.bfloat16
    assert rough.codebook.dtype == rough.code_prior.dtype == latent.dtype == torch.float32
    assert decoded.dtype == torch.float32
    assert (latent - exact.encode(picture)).abs().max() < 0.1
    assert (decoded - exact.decode(latent)).abs().max() < 0.1


def test_config_round_trips() -> None:
    config = dataclasses.replace(TINY, gumbel=True, patch_size=2, mid_attention=False, dropout=0.1)
    assert VQGANConfig.from_dict(config.to_dict()) == config
    assert VQGANConfig.from_dict({**config.to_dict(), "dropout": 0}).dropout == 0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("colour", 1),
        ("ch", "8"),
        ("num_res_blocks", True),
        ("ch", 0),
        ("ch", -8),
        ("ch", 10**9),
        ("ch", 6),
        ("ch_mult", []),
        ("ch_mult", [1] * 13),
        ("ch_mult", [0, 1]),
        ("ch_mult", 2),
        ("num_res_blocks", 10_000),
        ("n_embed", 0),
        ("dropout", 1.5),
        ("dropout", float("nan")),
        ("norm_groups", 0),
        ("resolution", 33),
        ("in_channels", 1),
        ("out_ch", 4),
        ("mid_attention", 1),
    ],
)
def test_impossible_configurations_are_refused(key: str, value: object) -> None:
    with pytest.raises(ModelError) as error:
        VQGANConfig.from_dict({**TINY.to_dict(), key: value})
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 250


def test_taming_configuration_of_a_transformer_is_its_first_stage() -> None:
    plain = yaml.safe_load((GOLDEN / "taming_vq.yaml").read_text())
    outer = {
        "target": "taming.models.cond_transformer.Net2NetTransformer",
        "params": {"first_stage_config": plain["model"], "transformer_config": {}},
    }
    expected = VQGANConfig.from_taming(plain)
    assert expected.embed_dim == 16
    assert expected.n_embed == 48
    assert VQGANConfig.from_taming({"model": outer}) == expected
    plain["model"]["params"]["first_stage_config"] = plain["model"]  # a YAML anchor can do this
    assert VQGANConfig.from_taming(plain) == expected


@pytest.mark.parametrize(
    "break_it",
    [
        lambda model: model.pop("params"),
        lambda model: model.update(params=[1, 2]),
        lambda model: model["params"].pop("ddconfig"),
        lambda model: model["params"].pop("n_embed"),
        lambda model: model["params"]["ddconfig"].pop("ch_mult"),
        lambda model: model["params"]["ddconfig"].update(double_z=True),
        lambda model: model["params"]["ddconfig"].update(ch="wide"),
        lambda model: model.update(target="taming.models.cond_transformer.Other"),
        lambda model: model.update(target=None),
        lambda model: model["params"].update(first_stage_config=3),
    ],
)
def test_other_taming_configurations_are_refused(break_it) -> None:
    values = yaml.safe_load((GOLDEN / "taming_vq.yaml").read_text())
    break_it(values["model"])
    with pytest.raises(ModelError) as error:
        VQGANConfig.from_taming(values)
    assert "\n" not in str(error.value)
