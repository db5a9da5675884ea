"""GLIDE against values that its original implementation computed, and laws of its folder."""

from __future__ import annotations

import gzip
import json
import pickle
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from gouache.apps.cli.main import run
from gouache.errors import ConfigError, ImageError, ModelError
from gouache.perceptors.clip_tokenizer import CLIP_VOCABULARY, byte_letters, find_tokenizer
from gouache.perceptors.truncation import TruncationWarning
from gouache.systems.diffusion import Diffusion, noise_schedule, spaced_steps
from gouache.systems.glide import (
    Clip,
    FittedWarning,
    Glide,
    Gpt2Words,
    Inpainter,
    Known,
    Stage,
    load_glide,
    load_inpainter,
)
from gouache.systems.known import Inpainting, System, available, check, systems
from gouache.systems.noised_clip import NoisedClip, NoisedClipConfig
from gouache.systems.unet import UNet, UNetConfig, enlarged, kept
from gouache.weights.recognise import recognise

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "glide"
OPTIONS: dict[str, Any] = json.loads((GOLDEN / "options.json").read_text())


@pytest.fixture(scope="module")
def golden() -> Mapping[str, Tensor]:
    return load_file(GOLDEN / "io.safetensors")


def denoiser(file: str, options: Mapping[str, Any]) -> UNet:
    state = torch.load(GOLDEN / file, weights_only=True)
    unet = UNet(UNetConfig.from_options(options, len(state["token_embedding.weight"])))
    unet.load_state_dict(state)
    return unet.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def base() -> UNet:
    return denoiser("base.pt", OPTIONS["base"])


@pytest.fixture(scope="module")
def upsampler() -> UNet:
    return denoiser("upsample.pt", OPTIONS["upsample"])


@pytest.fixture(scope="module")
def clip() -> NoisedClip:
    options = yaml.safe_load((GOLDEN / "clip.yaml").read_text())
    network = NoisedClip(NoisedClipConfig.from_options(options))
    for name, tower in (("text", network.text), ("image", network.image)):
        tower.load_state_dict(torch.load(GOLDEN / f"clip_{name}_enc.pt", weights_only=True))
    return network.eval().requires_grad_(False)


def close(found: Tensor, expected: Tensor, within: float = 1e-4) -> bool:
    return bool((found - expected).abs().max() <= within * expected.abs().max())


def system(base: UNet, upsampler: UNet, golden: Mapping[str, Tensor], **more: Any) -> Glide:
    """The golden networks; a text with letters is the first of the golden ones."""

    def words(texts: list[str]) -> tuple[Tensor, Tensor]:
        rows = [0 if text else 1 for text in texts]
        return golden["tokens"][rows], golden["mask"][rows]

    stages = [
        Stage(unet, Diffusion(told["noise_schedule"], 1000, told["timestep_respacing"]), told)
        for unet, told in ((base, OPTIONS["base"]), (upsampler, OPTIONS["upsample"]))
    ]
    return Glide(*stages, words, {}, **more)  # type: ignore[arg-type]


def in_turn(start: Tensor, noises: Tensor, rows: slice) -> Any:
    """Draws the golden noises."""
    drawn = iter([start, *noises])
    return lambda count: next(drawn)[rows]


def test_denoisers(base: UNet, upsampler: UNet, golden: Mapping[str, Tensor]) -> None:
    words = base.read(golden["tokens"], golden["mask"])
    assert close(base(golden["x"], golden["t"], words), golden["base_out"])
    words = upsampler.read(golden["tokens"], golden["mask"])
    beside = enlarged(golden["low_res"], 32, 32)
    assert close(upsampler(golden["x"], golden["t"], words, beside), golden["up_out"])


@pytest.mark.parametrize("respacing", ["100", "25", "ddim27", "fast27"])
def test_steps_that_are_taken(golden: Mapping[str, Tensor], respacing: str) -> None:
    assert spaced_steps(1000, respacing) == golden[f"spaced_{respacing}"].tolist()


def published_lines(name: str, count: int) -> list[str]:
    """A list of merges of which those that the golden prompts need are on their published lines;
    the others are of bytes that no text has."""
    needed = json.loads((GOLDEN / "merges.json").read_text(encoding="utf-8"))[name]
    unused = byte_letters()[-68:-48]
    every, made = [], unused
    while len(every) < count:
        every += [f"{left} {right}" for left in made for right in unused]
        made = [left + right for left in made for right in unused]
    others = iter(every)
    return [needed.get(str(number)) or next(others) for number in range(count)]


def test_token_ids_of_real_prompts(tmp_path: Path) -> None:
    """By GPT-2's and CLIP's numbers, as the original tokenizers give them."""
    told = json.loads((GOLDEN / "tokens.json").read_text(encoding="utf-8"))
    lines = ["#version: 0.2", *published_lines("gpt2", 50000)]
    (tmp_path / "vocab.bpe").write_text("\n".join(lines), encoding="utf-8")
    with gzip.open(tmp_path / "bpe_simple_vocab_16e6.txt.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(["header", *published_lines("clip", 48894)]))
    prompts = [one["prompt"] for one in told]
    with pytest.warns(TruncationWarning, match="128 tokens of"):
        ids, mask = Gpt2Words(tmp_path / "vocab.bpe", 128, 50257)(prompts)
    with pytest.warns(TruncationWarning, match="75 tokens of"):
        clip = find_tokenizer(tmp_path / "clip.pt", 77, CLIP_VOCABULARY)(prompts)
    assert ids.tolist() == [one["glide_tokens"] for one in told]
    assert mask.tolist() == [[bool(kept) for kept in one["glide_mask"]] for one in told]
    assert clip.tolist() == [one["clip_tokens"] for one in told]


@pytest.mark.parametrize(("name", "part"), [("base", "base"), ("up", "upsample")])
def test_schedules(golden: Mapping[str, Tensor], name: str, part: str) -> None:
    told = OPTIONS[part]
    found = Diffusion(told["noise_schedule"], 1000, told["timestep_respacing"])
    assert torch.equal(found.steps, golden[f"{name}_timestep_map"])
    assert np.allclose(found.kept, golden[f"{name}_alphas_cumprod"].numpy(), rtol=1e-12)


def test_classifier_free_guidance(
    base: UNet, upsampler: UNet, golden: Mapping[str, Tensor]
) -> None:
    draw = in_turn(golden["cf_start"], golden["cf_noises"], slice(1))
    small = system(base, upsampler, golden).small(["words"], draw)
    assert close(small, golden["cf_sample"][:1], 1e-3)


def test_guidance_by_clip(
    base: UNet, upsampler: UNet, clip: NoisedClip, golden: Mapping[str, Tensor]
) -> None:
    found = clip.embed_text(golden["clip_tokens"], golden["clip_lens"])
    assert close(found, golden["clip_text_embedding"])
    assert close(clip.embed_image(golden["x"], golden["t"]), golden["clip_image_embedding"])
    pull = 3 * clip.pull(found, golden["x"][:1], golden["t"][1:2])
    assert close(pull, golden["clip_grad"])
    both = Clip(clip, lambda texts: (golden["clip_tokens"], golden["clip_lens"]))
    draw = in_turn(golden["cg_start"], golden["cg_noises"], slice(None))
    glide = system(base, upsampler, golden, clip=both)
    assert close(glide.small(["words"], draw), golden["cg_sample"], 1e-3)


def test_the_upsampler(base: UNet, upsampler: UNet, golden: Mapping[str, Tensor]) -> None:
    glide = system(base, upsampler, golden)
    large = glide.large(["words"], golden["low_res"][:1], golden["up_start"])
    assert close(large, golden["up_sample"], 1e-3)


# A folder as it is published, with networks that are smaller still and words that fit them.

SHAPE = {
    "image_size": 16, "num_channels": 32, "num_res_blocks": 1, "channel_mult": "1,1",
    "num_head_channels": 32, "attention_resolutions": "8", "text_ctx": 6, "xf_width": 8,
    "xf_layers": 1, "xf_heads": 2,
}  # fmt: skip
MERGES = "#version: 0.2\nr e\nre d\na p\n"
CLIP = {
    "image_size": 16, "patch_size": 8, "n_embd": 8, "n_vocab": 520, "max_text_len": 9,
    "n_xf_blocks_image": 1, "n_head_image": 1, "n_head_state_image": 8, "n_xf_blocks_text": 1,
    "n_head_text": 1, "n_head_state_text": 8, "beta_schedule": "squaredcos_cap_v2",
}  # fmt: skip


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files") / "glide"
    folder.mkdir()
    rng = torch.Generator().manual_seed(0)

    def save(module: torch.nn.Module, name: str) -> None:
        state = module.state_dict()
        random = {k: 0.1 * torch.randn(v.shape, generator=rng) for k, v in state.items()}
        torch.save(random, folder / name)

    cosine = {"noise_schedule": "squaredcos_cap_v2", "timestep_respacing": "3"}
    linear = {"noise_schedule": "linear", "timestep_respacing": "2", "super_res": True}
    told = {"base": SHAPE | cosine, "upsample": SHAPE | linear | {"image_size": 32}}
    (folder / "options.json").write_text(json.dumps(told))
    (folder / "clip.yaml").write_text(yaml.safe_dump(CLIP))
    (folder / "vocab.bpe").write_text(MERGES)
    vocabulary = len(byte_letters()) + 3 + 1
    for part, options in told.items():
        save(UNet(UNetConfig.from_options(options, vocabulary)), f"{part}.pt")
        over = options | {"inpaint": True}
        save(UNet(UNetConfig.from_options(over, vocabulary)), f"{part}_inpaint.pt")
    network = NoisedClip(NoisedClipConfig.from_options(CLIP))
    save(network.text, "clip_text_enc.pt")
    save(network.image, "clip_image_enc.pt")
    lines = ["header", *(f"a {letter}" for letter in "bcdefg")]
    with gzip.open(folder / "bpe_simple_vocab_16e6.txt.gz", "wt") as file:
        file.write("\n".join(lines))
    return folder


@pytest.fixture
def folder(published: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(published, tmp_path / "glide"))


@pytest.mark.parametrize("guided_by", ["free", "clip"])
def test_a_seed_is_a_picture(published: Path, guided_by: Any) -> None:
    glide = load_glide(published, guided_by=guided_by)
    assert glide.base.unet.transformer_proj.weight.dtype == torch.bfloat16
    first, again, other = (glide.paint("a red ape", seed) for seed in (1, 1, 2))
    assert first.size == (32, 32)
    assert first.tobytes() == again.tobytes() != other.tobytes()
    assert isinstance(glide, System)
    assert ("clip_image_enc.pt" in json.dumps(dict(glide.settings))) == (guided_by == "clip")


def test_words_are_byte_pairs_in_small_letters(folder: Path) -> None:
    words = Gpt2Words(folder / "vocab.bpe", 6, 260)
    ids, mask = words(["Red ap", ""])
    letters = byte_letters()
    assert ids[0].tolist() == [257, letters.index("Ġ"), 258, 259, 259, 259]
    assert mask.sum(1).tolist() == [3, 0]
    with pytest.warns(TruncationWarning, match="cut off: 'z'"):
        words(["é3456z"])


@pytest.mark.parametrize(
    ("name", "over"),
    [
        ("base.pt", False),
        ("upsample.pt", False),
        ("vocab.bpe", False),
        ("clip_image_enc.pt", False),
        ("clip_text_enc.pt", False),
        ("base_inpaint.pt", True),
        ("upsample_inpaint.pt", True),
    ],
)
def test_a_file_that_is_missing_or_cut(folder: Path, name: str, over: bool) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError) as caught:
        load_glide(folder, guided_by="clip", over=over)
    assert "\n" not in str(caught.value)
    (folder / name).unlink()
    with pytest.raises(ModelError, match="lacks"):
        load_glide(folder, guided_by="clip", over=over)


@pytest.mark.parametrize(
    "name", ["base.pt", "upsample.pt", "base_inpaint.pt", "upsample_inpaint.pt"]
)
def test_a_folder_without_one_of_two_networks_is_known_all_the_same(
    folder: Path, name: str
) -> None:
    kept = {"base.pt": "upsample.pt", "base_inpaint.pt": "upsample_inpaint.pt"}
    kept |= {other: one for one, other in kept.items()}
    for path in folder.glob("*.pt"):
        if path.name != kept[name]:
            path.unlink()
    with pytest.raises(ModelError, match=f"lacks {name}; expected GLIDE's files as published"):
        recognise(folder)


@pytest.mark.parametrize("text", ["[1, 2]", "{: ["])
def test_a_configuration_of_clip_that_is_none(folder: Path, text: str) -> None:
    (folder / "clip.yaml").write_text(text)
    with pytest.raises(ModelError, match=r"clip.yaml: this .*YAML.*GLIDE's CLIP"):
        load_glide(folder, guided_by="clip")


def test_a_network_that_is_no_inpainter(folder: Path) -> None:
    shutil.copy(folder / "base.pt", folder / "base_inpaint.pt")
    with pytest.raises(ModelError, match="shape"):
        load_inpainter(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"base": 3, "upsample": {}}', "{" * 9000])
def test_options_that_are_none(folder: Path, text: str) -> None:
    (folder / "options.json").write_text(text)
    with pytest.raises(ModelError, match="options"):
        load_glide(folder)


@pytest.mark.parametrize(
    "bad",
    [
        {"num_channels": 0},
        {"num_channels": "32"},
        {"num_channels": 33},
        {"num_channels": 1 << 30},
        {"channel_mult": "1,x"},
        {"xf_heads": 3},
        {"use_scale_shift_norm": False},
        {"noise_schedule": "none"},
        {"timestep_respacing": "2000"},
        {"diffusion_steps": "many"},
        {"super_res": True},
    ],
)
def test_shapes_that_no_glide_has(folder: Path, bad: dict[str, Any]) -> None:
    told = json.loads((folder / "options.json").read_text())
    told["base"] |= bad
    (folder / "options.json").write_text(json.dumps(told))
    with pytest.raises((ModelError, ConfigError)) as caught:
        load_glide(folder)
    assert "\n" not in str(caught.value)


def test_nothing_in_a_checkpoint_is_run(folder: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    for name in ("base.pt", "base_inpaint.pt"):
        (folder / name).write_bytes(pickle.dumps({"token_embedding.weight": Evil()}))
        with pytest.raises(ModelError):
            load_glide(folder, over=name == "base_inpaint.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("respacing", ["", "0", "1001", "-3", "x", "ddim7000", "10,10,10,900,1"])
def test_no_choice_among_the_steps(respacing: str) -> None:
    with pytest.raises(ConfigError, match="no choice among 1000 steps"):
        spaced_steps(1000, respacing)
    with pytest.raises(ModelError, match="schedule"):
        noise_schedule("square", 10)


def part_of(side: int) -> tuple[Image.Image, Image.Image]:
    """A picture, and a mask of its right half."""
    mask = Image.new("L", (side, side))
    mask.paste(255, (side // 2, 0, side, side))
    return Image.effect_noise((side, side), 90).convert("RGB"), mask


def test_only_what_the_mask_selects_is_painted(published: Path) -> None:
    system = load_inpainter(published)
    assert isinstance(system, Inpainting)
    assert not isinstance(load_glide(published), Inpainting)
    picture, mask = part_of(32)
    first, again, other = (system.paint_over("red", seed, picture, mask) for seed in (1, 1, 2))
    assert first.tobytes() == again.tobytes() != other.tobytes()
    left, right = (0, 0, 16, 32), (16, 0, 32, 32)
    assert first.crop(left).tobytes() == picture.crop(left).tobytes()
    assert first.crop(right).tobytes() != picture.crop(right).tobytes()
    # What stays is seen by the networks: other surroundings, another picture.
    darker = picture.point(lambda value: value // 2)
    beside = system.paint_over("red", 1, darker, mask)
    assert beside.crop(right).tobytes() != first.crop(right).tobytes()
    assert system.paint("red", 1).size == (32, 32)
    assert dict(system.settings)["sums"].keys() == {"base_inpaint.pt", "upsample_inpaint.pt"}


def test_what_is_known_is_held_in_every_guess(published: Path) -> None:
    """As its authors sample: the guessed picture is replaced where it is known, then clamped."""
    system = load_inpainter(published)
    assert isinstance(system, Inpainter)
    picture = torch.full((1, 3, 16, 16), 0.5)
    stays = torch.zeros(1, 1, 16, 16)
    stays[..., :8] = 1
    known = Known(picture, stays)
    noised = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    seen: list[Tensor] = []

    def denoise(noised: Tensor, steps: Tensor) -> Tensor:
        seen.append(noised)
        return torch.cat([torch.zeros_like(noised), torch.zeros_like(noised)], 1)

    found = system.base.diffusion.guess(denoise, noised, 2, known.hold).picture
    assert torch.equal(found[..., :8], picture[..., :8])
    free = system.base.diffusion.guess(denoise, noised, 2).picture
    assert torch.equal(found[..., 8:], free[..., 8:])
    assert known.beside.shape == (1, 4, 16, 16)


def test_a_picture_of_another_size_is_told(published: Path) -> None:
    picture, mask = (one.resize((48, 32)) for one in part_of(32))
    system = load_inpainter(published)
    assert isinstance(system, Inpainter)
    with pytest.warns(FittedWarning, match="48x32; GLIDE paints 32x32"):
        assert system.paint_over("red", 0, picture, mask).size == (32, 32)
    with pytest.raises(ImageError, match="selects nothing"):
        system.paint_over("red", 0, *(Image.new(mode, (32, 32)) for mode in ("RGB", "L")))


def test_an_inpainter_sees_the_picture_and_its_mask() -> None:
    config = UNetConfig.from_options(SHAPE | {"inpaint": True, "super_res": True}, 260)
    assert config.in_channels == 10
    picture, mask = torch.ones(1, 3, 2, 2), torch.zeros(1, 1, 2, 2)
    mask[..., 0] = 1
    assert kept(picture, mask).sum((0, 2, 3)).tolist() == [2, 2, 2, 2]


def test_a_folder_that_was_added_paints_figures_10_and_11(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("GOUACHE_CACHE", str(tmp_path / "cache"))
    assert recognise(folder).family == "glide"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match=r"could not be fetched .*; place vocab.bpe"):
        systems.get("glide-clip")("cpu")
    assert run(["models", "add", str(folder), "--name", "glide"]) == 0
    assert "a system (glide)" in capsys.readouterr().out
    assert available() == ["glide-clip", "glide-free"]
    for name in available():
        check(name)
        assert systems.get(name)("cpu").paint("red", 0).size == (32, 32)
    monkeypatch.chdir(tmp_path)
    for one, file in zip(part_of(32), ("p.png", "m.png"), strict=True):
        one.save(file)
    over = ["--init-image", "p.png", "--mask", "m.png", "--out", "x.png"]
    assert run(["paint", "red", "--system", "glide", *over]) == 0
    painted, before = Image.open("x.png"), Image.open("p.png")
    left = (0, 0, 16, 32)
    assert painted.crop(left).tobytes() == before.crop(left).tobytes() != painted.tobytes()
    assert run(["replay", "x.png", "--out", "y.png"]) == 0
    assert Path("y.png").read_bytes() == Path("x.png").read_bytes()
    apart = tmp_path / "apart"
    apart.mkdir()
    for name in ("base_inpaint.pt", "upsample_inpaint.pt"):
        shutil.move(folder / name, apart / name)
    assert run(["models", "remove", "glide"]) == 0
    assert run(["models", "add", str(folder), "--name", "glide"]) == 0
    assert run(["paint", "red", "--system", "glide", *over]) == 2
    assert "glide-inpaint could not be fetched" in capsys.readouterr().err
    for name in ("vocab.bpe", "options.json"):
        shutil.copy(folder / name, apart / name)
    assert recognise(apart).family == "glide-inpaint"
    assert run(["models", "add", str(apart), "--name", "parts"]) == 0
    for name in ("glide", "parts"):
        assert run(["paint", "red", "--system", name, *over[:-1], f"{name}.png"]) == 0
        again = Image.open(f"{name}.png")
        assert again.tobytes() == painted.tobytes()
    assert run(["paint", "red", "--system", "glide-clip", *over]) == 2
    assert "cannot paint a part of a picture" in capsys.readouterr().err
