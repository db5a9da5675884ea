"""pocket-ar: laws of its transformer, its pictures, and the files that it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gouache.errors import ConfigError, ModelError
from gouache.generators.loading import load_checkpoint
from gouache.perceptors.truncation import TruncationWarning
from gouache.systems import pocket_ar
from gouache.systems.choosing import Choosing
from gouache.systems.known import System, systems
from gouache.systems.pocket_ar import PocketAr, load_pocket_ar
from gouache.systems.text_to_codes import Memory
from gouache.weights.shipped import AUTOREGRESSIVE
from systems.tiny_ar import CONFIG, save_all, save_ar, tiny

NETWORK = tiny()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of small models in place of the shipped ones."""
    save_all(tmp_path)
    for name in ("AUTOREGRESSIVE", "PERCEPTOR"):
        monkeypatch.setattr(pocket_ar, name, tmp_path / getattr(pocket_ar, name).name)
    place = tmp_path / "generator.safetensors"
    monkeypatch.setattr(pocket_ar, "load_pocket", lambda device: load_checkpoint(place, device))
    return tmp_path


@pytest.fixture
def system(files: Path) -> PocketAr:
    return load_pocket_ar()


def rngs(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def asked(length: int = 4, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Two texts, one of them a token shorter, and codes."""
    rng = torch.Generator().manual_seed(seed)
    words = torch.randn(2, length, CONFIG.table_dim, generator=rng)
    present = torch.ones(2, length, dtype=torch.bool)
    present[0, -1] = False
    return words, present, torch.randint(20, (2, CONFIG.image_length), generator=rng)


# ---- the transformer


def test_what_is_remembered_gives_the_logits_of_the_whole() -> None:
    words, present, codes = asked()
    whole = NETWORK(words, present, codes)
    assert whole.shape == (2, 16, 20)
    memory = Memory.empty(NETWORK, 2)
    logits = [NETWORK.read_first(NETWORK.place_words(words, present), memory)]
    logits += [NETWORK.read_code(code, memory) for code in codes[:, :-1].T]
    torch.testing.assert_close(torch.stack(logits, 1), whole, rtol=1e-4, atol=1e-4)


def test_a_code_follows_from_those_before_it_and_from_every_word() -> None:
    words, present, codes = asked()
    whole = NETWORK(words, present, codes)
    other = codes.clone()
    other[:, 7] = (other[:, 7] + 1) % 20
    found = NETWORK(words, present, other)
    assert torch.equal(found[:, :8], whole[:, :8])
    assert not torch.isclose(found[:, 8], whole[:, 8]).all()
    for token in range(3):
        changed = words.clone()
        changed[:, token] += 1
        assert not torch.isclose(NETWORK(changed, present, codes)[:, 0], whole[:, 0]).all()


def test_what_stands_where_no_token_is_is_not_read() -> None:
    words, present, codes = asked()
    longer = torch.nn.functional.pad(words, (0, 0, 0, 2), value=7.0)
    beyond = torch.nn.functional.pad(present, (0, 2))
    assert torch.equal(NETWORK(longer, beyond, codes), NETWORK(words, present, codes))


# ---- the system


def test_a_seed_is_a_picture(system: PocketAr) -> None:
    first, again, other = (system.paint("a red apple", seed) for seed in (1, 1, 2))
    assert (first.size, first.mode) == ((32, 32), "RGB")
    assert first.tobytes() == again.tobytes() != other.tobytes()
    assert isinstance(system, System)
    assert systems.get("pocket-ar")("cpu").settings == system.settings


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_neighbours_change_nothing(system: PocketAr, guidance: float) -> None:
    guided = replace(system, guidance=guidance)
    alone = guided.draw_codes(["a cat"], rngs(3))
    beside = guided.draw_codes(["a large red boat", "a cat"], rngs(8, 3))
    assert torch.equal(alone[0], beside[1])
    assert alone.shape == (1, 16)


def test_guidance_goes_from_no_words_beyond_the_words(
    system: PocketAr, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []
    draw = Choosing.draw

    def spy(self: Choosing, logits: Tensor, rng: torch.Generator) -> Tensor:
        seen.append(logits)
        return draw(self, logits, rng)

    monkeypatch.setattr(Choosing, "draw", spy)

    def first(text: str, guidance: float) -> Tensor:
        seen.clear()
        replace(system, guidance=guidance).draw_codes([text], rngs(0))
        return seen[0]

    free, told, twice = (first("a cat", guidance) for guidance in (0.0, 1.0, 2.0))
    torch.testing.assert_close(twice, 2 * told - free, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(free, first("a blue boat", 0.0))
    assert not torch.allclose(told, first("a blue boat", 1.0))


def test_one_thread_writes_and_the_others_are_there_again(
    system: PocketAr, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, seen = torch.get_num_threads(), []
    draw = Choosing.draw

    def spy(self: Choosing, logits: Tensor, rng: torch.Generator) -> Tensor:
        seen.append(torch.get_num_threads())
        if len(seen) == 20:
            raise KeyboardInterrupt
        return draw(self, logits, rng)

    monkeypatch.setattr(Choosing, "draw", spy)
    torch.set_num_threads(3)
    try:
        system.paint("a cat", 0)
        assert set(seen) == {1}
        assert torch.get_num_threads() == 3
        with pytest.raises(KeyboardInterrupt):
            system.paint("a cat", 0)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_settings_tell_all_that_decides(system: PocketAr, files: Path) -> None:
    settings = json.loads(json.dumps(dict(system.settings)))
    assert {"model", "guidance", "temperature", "top_k", "top_p", "sums"} == set(settings)
    assert set(settings["sums"]) == {"autoregressive.safetensors.gz", "generator"}
    one = replace(system, choosing=Choosing(top_k=1), guidance=1.0)
    pictures = {one.paint("a red apple", seed).tobytes() for seed in range(3)}
    assert len(pictures) == 1  # with one code to draw chance has no part


def test_what_a_long_text_ends_in_is_told(system: PocketAr) -> None:
    with pytest.warns(TruncationWarning, match="at night"):
        system.paint("a large red boat at sea at night", 0)


@pytest.mark.parametrize("guidance", [-1.0, float("nan"), float("inf")])
def test_impossible_guidance(system: PocketAr, guidance: float) -> None:
    with pytest.raises(ConfigError, match="guidance is"):
        replace(system, guidance=guidance)


# ---- files


def refused(match: str) -> None:
    with pytest.raises(ModelError, match=match) as error:
        load_pocket_ar()
    assert "\n" not in str(error.value)
    assert "safetensors" in str(error.value)


def test_what_was_trained_on_another_generator_is_refused(files: Path) -> None:
    save_ar(files, generator="0" * 64)
    refused("codes of another generator")


@pytest.mark.parametrize(
    "changes",
    [
        {"depth": 3},
        {"width": "wide"},
        {"heads": 3},
        {"layers": 1 << 20},
        {"image_length": 15},
        {"image_vocabulary": 21},
        {"table_dim": 0},
        {"text_length": None},
    ],
)
def test_impossible_shapes_are_refused(files: Path, changes: dict[str, Any]) -> None:
    save_ar(files, **changes)
    refused(r"autoregressive\.safetensors")


def test_another_table_of_words_is_refused(files: Path) -> None:
    save_ar(files, text_vocabulary=99)
    refused("another table of words")


@pytest.mark.parametrize("length", [0, 7, 200, 3000])
def test_truncated_files_are_refused(files: Path, length: int) -> None:
    place = files / "autoregressive.safetensors.gz"
    place.write_bytes(place.read_bytes()[:length])
    refused(r"autoregressive\.safetensors")


@pytest.mark.parametrize("name", ["generator.safetensors", "perceptor.safetensors.gz"])
def test_a_model_of_another_kind_is_refused(files: Path, name: str) -> None:
    content = (files / name).read_bytes()
    (files / "autoregressive.safetensors.gz").write_bytes(content)
    refused("is not a transformer that writes codes")


@pytest.mark.parametrize("name", ["autoregressive", "perceptor"])
def test_a_missing_file_is_said(files: Path, name: str) -> None:
    (files / f"{name}.safetensors.gz").unlink()
    refused(rf"{name}\.safetensors")


# ---- the shipped one


def test_the_shipped_one_writes_codes_of_the_shipped_generator() -> None:
    system = load_pocket_ar()
    assert AUTOREGRESSIVE.stat().st_size < 8 << 20  # with pocket-diffusion at most 15 MB
    picture = system.paint("a red apple", 0)
    assert (picture.size, picture.mode) == ((128, 128), "RGB")
    red, green, blue = torch.from_numpy(np.array(picture)).float().mean((0, 1)).tolist()
    assert red > green + 20 > 20
    assert red > blue + 20
