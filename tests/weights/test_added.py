"""Models that the user added to the cache, and where that is."""

from __future__ import annotations

from pathlib import Path

import pytest

from gouache.errors import ModelError
from gouache.generators import load_generator
from gouache.weights import cache, catalogue, records
from gouache.weights.cache import obtain

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
WEIGHTS = (GOLDEN / "taming_vq.ckpt").read_bytes()
CONFIG = (GOLDEN / "taming_vq.yaml").read_bytes()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOUACHE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_added_models(folder: Path, tmp_path: Path) -> None:
    weights, config = tmp_path / "last.ckpt", tmp_path / "project.yaml"
    weights.write_bytes(WEIGHTS)
    config.write_bytes(CONFIG)
    cache.add("mine", "generator", "vqgan", weights, config)
    weights.unlink()
    found = catalogue.find("mine")
    assert found is not None
    assert (found.status, found.kind, found.codebook_size) == ("added", "generator", 48)
    assert [other.name for other in catalogue.added()] == ["mine"]
    assert "mine" in catalogue.names("generator")
    assert load_generator("mine").name == "mine"
    with pytest.raises(ModelError, match="a model called mine already"):
        cache.add("mine", "generator", "vqgan", weights, config)
    with pytest.raises(ModelError, match="a published model"):
        cache.add("wikiart", "generator", "vqgan", weights, config)
    with pytest.raises(ModelError, match="cannot be called"):
        cache.add("../mine", "generator", "vqgan", weights, config)
    found.path.unlink()  # type: ignore[union-attr]
    with pytest.raises(ModelError, match="add it again"):
        load_generator("mine")
    cache.remove("mine")
    assert catalogue.find("mine") is None
    with pytest.raises(ModelError, match="no model called 'mine'"):
        cache.remove("mine")


def test_an_added_perceptor_is_remembered_by_its_path(folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "clip"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_bytes(b"weights")
    (model / "README.md").write_text("changes do not matter")
    cache.add("my-clip", "perceptor", "transformers", model)
    found = catalogue.find("my-clip")
    assert found is not None
    assert (found.kind, found.family) == ("perceptor", "transformers")
    assert obtain(found) == model
    (model / "README.md").write_text("really")
    assert cache.verify("my-clip") == []
    with pytest.raises(ModelError, match="is a perceptor"):
        load_generator("my-clip")
    (model / "model.safetensors").write_bytes(b"WEIGHTS")
    assert len(cache.verify("my-clip")) == 1
    cache.remove("my-clip")
    assert model.exists()


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GOUACHE_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert records.cache_folder().is_relative_to(tmp_path)
    assert records.cache_folder().name.lower() == "gouache"
    monkeypatch.setenv("GOUACHE_CACHE", "~/models")
    assert records.cache_folder() == tmp_path / "models"
    monkeypatch.setenv("GOUACHE_CACHE", "here")
    assert records.cache_folder().is_absolute()
