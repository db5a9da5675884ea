"""minDALL-E against values that its original implementation computed, and laws of drawing codes."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from gouache.apps.cli.main import run
from gouache.errors import ConfigError, ModelError
from gouache.perceptors.truncation import TruncationWarning
from gouache.systems.choosing import Choosing
from gouache.systems.known import System, available, check, systems
from gouache.systems.mindalle import FILES, MinDalle, load_mindalle
from gouache.systems.text_to_codes import Memory, TransformerConfig
from gouache.weights.recognise import recognise

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "mindalle"
pytestmark = pytest.mark.filterwarnings("ignore::gouache.perceptors.truncation.TruncationWarning")
PROMPTS: list[str] = json.loads((GOLDEN / "prompts.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def model() -> MinDalle:
    return load_mindalle(GOLDEN, dtype=torch.float32)


@pytest.fixture(scope="module")
def golden() -> Mapping[str, Tensor]:
    return load_file(GOLDEN / "io.safetensors")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "1.3B"))


def close(found: Tensor, expected: Tensor) -> bool:
    return bool((found - expected).abs().max() <= 1e-4 * expected.abs().max())


def test_token_ids(model: MinDalle, golden: Mapping[str, Tensor]) -> None:
    with pytest.warns(TruncationWarning, match="in the night"):
        assert torch.equal(model.words(PROMPTS), golden["text_ids"])


@torch.no_grad()
def test_logits(model: MinDalle, golden: Mapping[str, Tensor]) -> None:
    image, text = model.transformer(golden["text_ids"], golden["codes"])
    assert close(image, golden["logits_image"])
    assert close(text, golden["logits_text"])


@torch.no_grad()
def test_what_is_remembered_gives_the_logits_of_the_whole(
    model: MinDalle, golden: Mapping[str, Tensor]
) -> None:
    ids, codes = golden["text_ids"], golden["codes"]
    memory = Memory.empty(model.transformer, len(ids))
    logits = [model.transformer.read_text(ids, memory)]
    logits += [model.transformer.read_code(code, memory) for code in codes[:, :-1].T]
    assert close(torch.stack(logits, 1), golden["logits_image"])


def test_greedy_codes_and_their_pictures(model: MinDalle, golden: Mapping[str, Tensor]) -> None:
    codes = model.adjusted({"top_k": 1}).draw_codes(PROMPTS, torch.Generator().manual_seed(9))
    assert torch.equal(codes, golden["greedy_codes"])
    assert close(model.decode(codes), golden["greedy_pixels"])
    indices = model.generator.quantize(model.generator.encode(golden["greedy_pixels"]))[1]
    assert torch.equal(indices.flatten(1), golden["codes_of_pixels"])


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "choosing"),
    [
        ("first_probs_topk8_t0.9", Choosing(temperature=0.9, top_k=8)),
        ("first_probs_topp0.7_t0.9", Choosing(temperature=0.9, top_p=0.7)),
    ],
)
def test_filtered_probabilities(
    model: MinDalle, golden: Mapping[str, Tensor], name: str, choosing: Choosing
) -> None:
    memory = Memory.empty(model.transformer, len(PROMPTS))
    logits = model.transformer.read_text(golden["text_ids"], memory)
    assert close(choosing.probabilities(logits), golden[name])


def test_a_seed_is_a_picture(model: MinDalle) -> None:
    first, again, other = (model.paint("a red apple", seed) for seed in (1, 1, 2))
    assert first.size == (16, 16)
    assert first.tobytes() == again.tobytes() != other.tobytes()
    assert isinstance(model, System)
    assert json.dumps(dict(model.settings))


def test_half_precision_is_what_is_loaded() -> None:
    assert load_mindalle(GOLDEN).transformer.head_img.weight.dtype == torch.bfloat16


@pytest.mark.parametrize("bad", [{"temperature": 0.0}, {"top_k": -1}, {"top_p": 0.0}])
def test_what_cannot_be_drawn(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(bad))):
        Choosing(**bad)


@pytest.mark.parametrize("value", [0, -3, 1 << 30, True, "32", None])
def test_impossible_shapes(value: Any) -> None:
    fits = TransformerConfig(8, 1, 2, 4, 4, 10, 10)
    with pytest.raises(ModelError, match="layers"):
        replace(fits, layers=value)
    with pytest.raises(ModelError, match="heads"):
        replace(fits, heads=3)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_missing_or_cut(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 3])
    with pytest.raises(ModelError) as caught:
        load_mindalle(folder)
    assert "\n" not in str(caught.value)
    (folder / name).unlink()
    with pytest.raises(ModelError, match="lacks"):
        load_mindalle(folder)


@pytest.mark.parametrize("name", ["stage1_last.ckpt", "stage2_last.ckpt"])
def test_nothing_in_a_checkpoint_is_run(folder: Path, tmp_path: Path, name: str) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    (folder / name).write_bytes(pickle.dumps({"state_dict": {"tok_emb_img.weight": Evil()}}))
    with pytest.raises(ModelError):
        load_mindalle(folder)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("text", ["", "[1", "stage1: 3", "a: b", "stage1: {}\nstage2: {}"])
def test_a_configuration_that_is_none(folder: Path, text: str) -> None:
    (folder / "config.yaml").write_text(text)
    with pytest.raises(ModelError, match="minDALL-E"):
        load_mindalle(folder)


def test_networks_that_do_not_belong_together(folder: Path) -> None:
    config = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(config.replace("ctx_len_img: 16", "ctx_len_img: 4"))
    with pytest.raises(ModelError, match="16 cells of 48 codes, the transformer writes 4 of 48"):
        load_mindalle(folder)


@pytest.mark.parametrize("name", ["stage1_last.ckpt", "stage2_last.ckpt"])
def test_a_folder_without_one_of_its_networks_is_known_all_the_same(
    folder: Path, name: str
) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"1.3B lacks {name}; expected minDALL-E's folder"):
        recognise(folder)


def test_pairs_that_were_damaged_are_named(folder: Path) -> None:
    (folder / "tokenizer" / "bpe-16k-merges.txt").write_bytes(b"\xff\xfe{")
    with pytest.raises(ModelError, match=r"bpe-16k-vocab.json and bpe-16k-merges.txt are no token"):
        load_mindalle(folder)


def test_a_folder_that_was_added_paints_figure_9(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GOUACHE_CACHE", str(tmp_path / "cache"))
    assert recognise(GOLDEN).kind == "system"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match=r"could not be fetched .*; place 1.3B.tar.gz"):
        systems.get("mindalle")("cpu")
    assert run(["models", "add", str(GOLDEN), "--name", "mindalle"]) == 0
    assert "a system (mindalle)" in capsys.readouterr().out
    assert available() == ["mindalle"]
    check("mindalle")
    assert systems.get("mindalle")("cpu").paint("a red apple", 0).size == (16, 16)
    assert run(["models", "list"]) == 0
    assert run(["paint", "a red apple", "--generator", "mindalle"]) == 2
    assert "system" in capsys.readouterr().err
