"""pocket-diffusion: its way from noise to pictures, guided twice, and its files."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gouache.errors import ConfigError, GouacheError, ModelError
from gouache.halting import Halted, halting
from gouache.systems.diffusion import Diffusion
from gouache.systems.known import build
from gouache.systems.latent_diffusion import (
    Denoiser,
    diffusion,
    kept_shares,
    noised,
)
from gouache.systems.pocket_diffusion import (
    SCALES,
    Guidance,
    PocketDiffusion,
    load_pocket_diffusion,
)
from gouache.weights.saving import save_model
from gouache.weights.shipped import DIFFUSION
from systems.tiny_diffusion import (
    SHAPE,
    save_tiny_diffusion,
    taught_by,
    tiny_networks,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_diffusion(tmp_path_factory.mktemp("pocket")).parent


def system(folder: Path, guided_by: Guidance, **settings: Any) -> PocketDiffusion:
    return replace(load_pocket_diffusion("cpu", guided_by, folder), steps=4, **settings)


def pixels(painter: PocketDiffusion, prompt: str, seed: int) -> np.ndarray:
    return np.asarray(painter.paint(prompt, seed))


def drawing(seed: int, count: int = 2) -> Any:
    rng = torch.Generator().manual_seed(seed)
    return lambda: torch.randn(count, 4, 4, 4, generator=rng)


# ---- the way of velocities


def test_velocity_tells_the_same_as_noise() -> None:
    """With denoisers that know the truth both ways take the same steps."""
    rng = torch.Generator().manual_seed(0)
    picture, noise, fresh = (torch.randn(2, 3, 4, 4, generator=rng) for _ in range(3))
    noises = Diffusion("squaredcos_cap_v2", 1000, "10", limit=9.0)
    velocities = Diffusion("squaredcos_cap_v2", 1000, "10", "velocity", 9.0)
    for step in (0, 4, 8):
        kept = float(noises.kept[step])
        noised = kept**0.5 * picture + (1 - kept) ** 0.5 * noise
        velocity = kept**0.5 * noise - (1 - kept) ** 0.5 * picture
        least = torch.cat([noise, -torch.ones_like(noise)], 1)
        old = noises.guess(lambda x, at, told=least: told, noised, step)  # type: ignore[misc]
        new = velocities.guess(lambda x, at, told=velocity: told, noised, step)  # type: ignore[misc]
        assert torch.allclose(new.picture, picture, atol=1e-4)
        assert torch.allclose(old.picture, picture, atol=1e-4)
        assert torch.allclose(new.mean, old.mean, atol=1e-4)
        assert torch.allclose(new.log_variance.expand_as(noise), old.log_variance, atol=1e-5)
    last = velocities.ancestral(lambda x, at: velocity_at(x, picture, velocities), noised, 0, fresh)
    assert torch.allclose(last, picture, atol=1e-3)


def test_what_is_learnt_is_the_way_back() -> None:
    """The sampler, told the velocity that is trained on, finds the clean latent at every step."""
    clean, noise = torch.randn(2, 4, 4, 4), torch.randn(2, 4, 4, 4)
    way, kept = diffusion("1000", 9.0), torch.from_numpy(kept_shares()).float()
    for step in (0, 500, 999):
        latents, velocity = noised(clean, noise, kept[[step, step]])
        found = way.guess(lambda x, at, told=velocity: told, latents, step)  # type: ignore[misc]
        assert torch.allclose(found.picture, clean, atol=1e-3)
    ends = [noised(clean, noise, kept[[step, step]])[0] for step in (0, 999)]
    assert torch.allclose(ends[0], clean, atol=0.05)
    assert torch.allclose(ends[1], noise, atol=0.05)


def velocity_at(noised: Tensor, picture: Tensor, way: Diffusion) -> Tensor:
    kept = float(way.kept[0])
    noise = (noised - kept**0.5 * picture) / (1 - kept) ** 0.5
    return kept**0.5 * noise - (1 - kept) ** 0.5 * picture


def test_a_picture_stays_within_its_limit() -> None:
    way = Diffusion("squaredcos_cap_v2", 1000, "10", "velocity", 0.5)
    found = way.guess(lambda x, at: -10 * torch.ones_like(x), torch.zeros(1, 3, 2, 2), 5)
    assert torch.equal(found.picture, torch.full((1, 3, 2, 2), 0.5))


# ---- guidance


def test_without_a_classifier_it_goes_beyond_the_words(folder: Path) -> None:
    painter = system(folder, "free", scale=3.0)
    tokens = painter.perceptor.tokenizer(["a red apple", "a cat"])
    denoiser = painter._denoiser(tokens)
    noised, steps = torch.randn(2, 4, 4, 4), torch.tensor([20, 900])
    words, present = painter.perceptor.text_tower.vectors(tokens), tokens != 0
    told = painter.networks.denoiser(noised, steps, words, present)
    plain = painter.networks.denoiser(noised, steps, words, torch.zeros_like(present))
    assert not torch.allclose(told, plain, atol=1e-3)
    assert torch.allclose(denoiser(noised, steps), plain + 3 * (told - plain), atol=1e-5)
    longer = torch.nn.functional.pad(tokens, (0, 3))  # padding is nothing
    again = painter._denoiser(longer)(noised, steps)
    assert torch.allclose(again, denoiser(noised, steps), atol=1e-5)


def test_clip_guidance_pulls_towards_the_words(folder: Path) -> None:
    """The gradient is that of the cosine, and steps along it raise that."""
    painter = system(folder, "clip", scale=1.0)
    tokens = painter.perceptor.tokenizer(["a red apple", "a cat"])
    guide, wanted = painter.networks.guide, painter.perceptor.text_tower(tokens)
    chance = torch.Generator().manual_seed(2)
    noised, steps = torch.randn(2, 4, 4, 4, generator=chance), torch.tensor([20, 500])
    pull = painter._pull(tokens)(noised, steps)
    nudge = 1e-3 * torch.randn(noised.shape, generator=chance)
    fit = [(wanted * guide(noised + sign * nudge, steps)).sum() for sign in (1, -1)]
    assert float(fit[0] - fit[1]) / 2 == pytest.approx(float((pull * nudge).sum()), rel=0.05)
    with torch.no_grad():
        moved = guide(noised + 0.01 * pull / pull.std(), steps)
        assert ((moved * wanted).sum(1) > (guide(noised, steps) * wanted).sum(1)).all()
    none, some = (replace(painter, scale=scale) for scale in (0.0, 300.0))
    texts, words_only = ["a cat", "a dog"], system(folder, "free", scale=1.0)
    plain = none.latents(texts, drawing(1))
    assert torch.allclose(words_only.latents(texts, drawing(1)), plain, atol=1e-4)
    assert not torch.allclose(some.latents(texts, drawing(1)), plain, atol=1e-2)


# ---- pictures


@pytest.mark.parametrize("guided_by", ["free", "clip"])
def test_pictures_are_those_of_prompt_and_seed(folder: Path, guided_by: Guidance) -> None:
    painter = system(folder, guided_by)
    picture = painter.paint("a red apple", 3)
    assert picture.mode == "RGB"
    assert picture.size == (32, 32)
    first = np.asarray(picture)
    assert np.array_equal(pixels(system(folder, guided_by), "a red apple", 3), first)
    assert not np.array_equal(pixels(painter, "a red apple", 4), first)
    assert not np.array_equal(
        pixels(replace(painter, scale=8 * painter.scale), "a blue cat", 3), first
    )


def test_the_way_ends_at_what_the_denoiser_sees(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the generator's own numbers, not in the normalised ones."""
    painter, clean = system(folder, "free"), torch.randn(2, 4, 4, 4).clamp(-1, 1)
    kept = torch.from_numpy(kept_shares()).float()

    def knows(self: Denoiser, latents: Tensor, steps: Tensor, *text: Tensor) -> Tensor:
        left = kept[steps].view(-1, 1, 1, 1)
        return (left.sqrt() * latents - clean.repeat(2, 1, 1, 1)) / (1 - left).sqrt()

    monkeypatch.setattr(Denoiser, "forward", knows)
    found = painter.latents(["a cat", "a dog"], drawing(1))
    assert torch.allclose(found, painter.networks.latent(clean), atol=1e-2)
    assert not torch.allclose(found, clean, atol=0.1)


def test_latents_are_painted_by_the_nearest_codes(folder: Path) -> None:
    painter = system(folder, "free")
    codes = painter.generator.codebook[torch.arange(16)].T.reshape(1, 4, 4, 4)
    near = painter.pictures(codes + 0.01 * torch.randn(1, 4, 4, 4))
    assert torch.allclose(near, painter.generator.decode(codes).clamp(0, 1), atol=1e-6)


def test_settings_say_what_decides_its_pictures(folder: Path) -> None:
    told = [system(folder, kind).settings for kind in ("free", "clip")]
    assert [one["guidance"] for one in told] == ["classifier-free", "clip"]
    assert told[0]["scale"] == SCALES["free"]
    assert told[1]["steps"] == 4
    assert set(told[0]["sums"]) == {"diffusion.safetensors.gz", "generator", "perceptor"}
    assert json.loads(json.dumps(told)) == told


def test_it_can_be_ended(folder: Path) -> None:
    painter, asked = system(folder, "free"), []

    def wanted() -> bool:
        asked.append(None)
        return len(asked) > 2

    with pytest.raises(Halted), halting(wanted):
        painter.paint("a cat", 0)
    assert len(asked) == 3


@pytest.mark.parametrize(
    "settings", [{"scale": -1.0}, {"scale": float("nan")}, {"steps": 0}, {"guided_by": "x"}]
)
def test_impossible_settings_are_one_line(folder: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))) as caught:
        replace(load_pocket_diffusion("cpu", "free", folder), **settings)
    assert len(str(caught.value).splitlines()) == 1


def test_one_thread_takes_the_steps(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    painter, before, seen = system(folder, "free"), torch.get_num_threads(), set()
    forward = Denoiser.forward

    def spy(self: Denoiser, *given: Tensor) -> Tensor:
        seen.add(torch.get_num_threads())
        return forward(self, *given)

    monkeypatch.setattr(Denoiser, "forward", spy)
    torch.set_num_threads(3)
    try:
        painter.paint("a cat", 0)
        assert seen == {1}
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


# ---- files


@pytest.mark.parametrize("name", ["pocket-diffusion-free", "pocket-diffusion-clip"])
def test_the_shipped_one_paints(name: str) -> None:
    """By its name; with its generator and perceptor it is one set, and small."""
    assert DIFFUSION.stat().st_size <= 7.5e6
    found = build(name, "cpu")
    assert isinstance(found, PocketDiffusion)
    picture = replace(found, steps=2).paint("a red apple", 0)
    assert picture.size == (128, 128)
    assert found.settings["guidance"] == {"free": "classifier-free", "clip": "clip"}[name[17:]]


def damaged(folder: Path, **values: Any) -> None:
    """The networks' file, other values in it."""
    found = asdict(SHAPE) | taught_by(folder) | values
    save_model(folder / "diffusion.safetensors.gz", tiny_networks().state_dict(), found)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"generator": "0" * 64}, "learnt from another generator"),
        ({"perceptor": "0" * 64}, "learnt from another perceptor"),
        ({"layers": 1 << 40}, "not a diffusion model of ours"),
        ({"layers": -1}, "not a diffusion model of ours"),
        ({"channels": 33}, "not a diffusion model of ours"),
        ({"grid": 5}, "not a diffusion model of ours"),
        ({"guide_channels": []}, "not a diffusion model of ours"),
        ({"guide_channels": 7}, "not a diffusion model of ours"),
        ({"unheard": 1}, "not a diffusion model of ours"),
        ({"layers": 2}, "lacks"),
        ({"width": 32}, "has shape"),
        ({"context": 20}, "has shape"),
    ],
)
def test_other_files_are_one_line(values: dict[str, Any], expected: str, tmp_path: Path) -> None:
    save_tiny_diffusion(tmp_path)
    damaged(tmp_path, **values)
    refused(tmp_path, expected)


def refused(folder: Path, expected: str) -> None:
    with pytest.raises(ModelError, match=expected) as caught:
        load_pocket_diffusion("cpu", "free", folder)
    assert len(str(caught.value).splitlines()) == 1


def test_missing_and_truncated_files_are_one_line(tmp_path: Path) -> None:
    path = save_tiny_diffusion(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(tmp_path, "damaged or incomplete")
    path.write_bytes(b"")
    refused(tmp_path, "not a checkpoint")
    path.unlink()
    with pytest.raises(GouacheError, match="is not in"):
        load_pocket_diffusion("cpu", "free", tmp_path)


def test_what_is_no_number_is_not_painted_with(tmp_path: Path) -> None:
    save_tiny_diffusion(tmp_path)
    state = tiny_networks().state_dict()
    state["mean"][0] = float("nan")
    values = asdict(SHAPE) | taught_by(tmp_path)
    save_model(tmp_path / "diffusion.safetensors.gz", state, values)
    refused(tmp_path, "NaN or infinite")
