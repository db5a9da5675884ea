"""Pocket perceptors from files: complete ones, and ones that borrow the token table."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from gouache.errors import ModelError
from gouache.perceptors import perceptors
from gouache.perceptors.loading import TABLE, load_pocket, read_table
from gouache.perceptors.pocket import PocketPerceptor
from gouache.perceptors.tokenizer import PocketTokenizer
from gouache.perceptors.towers import ImageTower, PocketConfig
from gouache.weights.gz import unpack
from gouache.weights.saving import save_model
from gouache.weights.shipped import PERCEPTOR, TOKENIZER

TINY = PocketConfig(image_size=16, channels=(8, 12), blocks=(1, 1), embed_dim=10, table_dim=8)
TEXTS = ["a cat", "a red apple on a white background"]


def tiny(seed: int = 0, bank_size: int = 0) -> PocketPerceptor:
    torch.manual_seed(seed)
    tokenizer = PocketTokenizer(TOKENIZER, TINY.context)
    model = PocketPerceptor(TINY, tokenizer, bank_size=bank_size)
    # one table for all, as in training
    table = torch.randn(TINY.vocabulary, 8, generator=torch.Generator().manual_seed(9))
    model.text_tower.set_table(table)
    with torch.no_grad():  # weights and running means that a fresh network does not have
        for block in model.image_tower.modules():
            if isinstance(block, torch.nn.Conv2d):
                block.weight.normal_(std=0.2)
        for _ in range(3):
            model.embed_image(torch.rand(8, 3, 16, 16))
    return model.eval().requires_grad_(False)


def save(model: PocketPerceptor, path: Path, *leave_out: str, packed: bool = False) -> Path:
    path.with_name(TOKENIZER.name).write_bytes(TOKENIZER.read_bytes())
    state = {name: value for name, value in model.state_dict().items() if name not in leave_out}
    config = asdict(TINY) | {"bank_size": len(model.bank_embeddings)}
    save_model(path, state, config, packed=packed)
    return path


def test_a_saved_perceptor_sees_the_same(tmp_path: Path) -> None:
    model = tiny(bank_size=3)
    found = load_pocket(save(model, tmp_path / "perceptor.safetensors"))
    image = torch.rand(4, 3, 16, 16)
    torch.testing.assert_close(found.embed_image(image), model.embed_image(image))
    torch.testing.assert_close(found.embed_text(TEXTS), model.embed_text(TEXTS))
    assert found.bank is not None
    assert found.bank.shape == (3, 10)
    assert not found.training


def test_a_packed_perceptor_sees_nearly_the_same(tmp_path: Path) -> None:
    model = tiny()
    found = load_pocket(save(model, tmp_path / "perceptor.safetensors", packed=True))
    image = torch.rand(4, 3, 16, 16)
    assert ((found.embed_image(image) * model.embed_image(image)).sum(1) > 0.999).all()
    assert ((found.embed_text(TEXTS) * model.embed_text(TEXTS)).sum(1) > 0.999).all()
    assert torch.equal(found.text_tower.table, model.text_tower.table)


def test_a_picture_is_seen_alike_in_every_batch(tmp_path: Path) -> None:
    """Batch statistics are for training only."""
    found = load_pocket(save(tiny(), tmp_path / "perceptor.safetensors"))
    image = torch.rand(4, 3, 16, 16)
    whole = found.embed_image(image)
    torch.testing.assert_close(found.embed_image(image[1:2]), whole[1:2])
    torch.testing.assert_close(whole.norm(dim=1), torch.ones(4))


def test_towers_take_any_size_from_one_cell_on() -> None:
    tower = ImageTower(TINY).eval()
    for side in (4, 16, 22, 40):
        assert tower(torch.rand(2, 3, side, side)).shape == (2, 10)
    shapes = [tuple(x.shape) for x in tower.features(torch.rand(1, 3, 16, 16))]
    assert shapes == [(1, 8, 8, 8), (1, 12, 4, 4)]


def test_a_table_is_borrowed_from_the_perceptor_beside(tmp_path: Path) -> None:
    save(tiny(1), tmp_path / PERCEPTOR.name)
    model = tiny(2)
    for packed in (False, True):
        path = save(model, tmp_path / "referee.safetensors", *TABLE, packed=packed)
        found = load_pocket(path, name="referee")
        assert found.name == "referee"
        assert torch.equal(found.text_tower.table, model.text_tower.table)
        assert ((found.embed_text(TEXTS) * model.embed_text(TEXTS)).sum(1) > 0.999).all()


def test_only_the_table_is_read(tmp_path: Path) -> None:
    model = tiny()
    found = read_table(save(model, tmp_path / "perceptor.safetensors", packed=True))
    assert found.keys() == set(TABLE)
    assert torch.equal(found[TABLE[0]], model.text_tower.table)
    assert torch.equal(found[TABLE[1]], model.text_tower.table_scale)


def test_a_table_that_is_nowhere_is_an_error(tmp_path: Path) -> None:
    path = save(tiny(), tmp_path / "referee.safetensors", *TABLE)
    with pytest.raises(ModelError, match=r"perceptor\.safetensors"):
        load_pocket(path)
    path = save(tiny(), tmp_path / PERCEPTOR.name, *TABLE)
    with pytest.raises(ModelError, match="holds no token table"):
        load_pocket(path)


def test_perceptors_of_the_old_kind_are_refused(tmp_path: Path) -> None:
    path = save(tiny(), tmp_path / "perceptor.safetensors")
    config = asdict(TINY) | {"bank_size": 0, "norm_groups": 8}
    save_model(path, tiny().state_dict(), config)
    with pytest.raises(ModelError, match=r"is not a pocket perceptor .*norm_groups") as error:
        load_pocket(path)
    assert "\n" not in str(error.value)


def test_the_referee_has_a_name() -> None:
    assert {"pocket", "referee"} <= set(perceptors.names())


def test_what_earlier_versions_exported_is_found_unpacked(tmp_path: Path) -> None:
    """A perceptor, the tokenizer and the table beside it, none of them packed."""
    model = tiny()
    save(model, tmp_path / "perceptor.safetensors")
    (tmp_path / TOKENIZER.name).unlink()
    (tmp_path / "tokenizer.json").write_bytes(unpack(TOKENIZER))
    found = load_pocket(tmp_path / "perceptor.safetensors")
    assert ((found.embed_text(TEXTS) * model.embed_text(TEXTS)).sum(1) > 0.999).all()
    path = save(model, tmp_path / "referee.safetensors", *TABLE)
    (tmp_path / TOKENIZER.name).unlink()
    assert torch.equal(load_pocket(path).text_tower.table, model.text_tower.table)
