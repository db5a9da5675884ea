"""The table of published models: well-formed, and true where we can tell."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gouache.errors import ModelError
from gouache.generators import generators, load_generator
from gouache.perceptors import load_perceptor, perceptors
from gouache.settings.config import PaintConfig
from gouache.systems.known import FAMILIES, systems
from gouache.weights import catalogue as module
from gouache.weights.catalogue import catalogue, find, from_hub, parse_hub, shipped
from gouache.weights.records import is_name
from gouache.weights.watch import human_size


@pytest.fixture(autouse=True)
def _empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOUACHE_CACHE", str(tmp_path))


@pytest.mark.parametrize("name", catalogue())
def test_entries_are_well_formed(name: str) -> None:
    entry = catalogue()[name]
    assert entry.name == name
    assert is_name(name)
    assert entry.about
    assert name not in {*generators.names(), *perceptors.names()}
    if entry.kind == "generator":
        assert entry.family == "vqgan"
        assert entry.downsampling in (4, 8, 16)
        assert len(entry.files) == 2
        for file in entry.files:
            assert re.fullmatch(r"[\w.-]+", file.name)
            assert all(source.startswith(("hf:", "https://")) for source in file.sources)
            assert len(set(file.sources)) == len(file.sources)
        assert len({file.name for file in entry.files}) == 2
    elif entry.kind == "system":
        assert entry.family in FAMILIES
        assert entry.parts == entry.files
        assert len({file.name for file in entry.parts}) == len(entry.parts)
        for file in entry.parts:
            assert re.fullmatch(r"[\w.-]+", file.name)
            assert all(source.startswith("https://") for source in file.sources)
    else:
        families = {"perceptor": ("transformers", "clip"), "depth": ("depth-anything",)}
        assert entry.family in families[entry.kind]
        assert entry.hub is not None
        assert entry.native_size is not None


def test_only_few_models_are_on_no_hub() -> None:
    """Once they are, `weights/download.py` and whatever tells of plain addresses can go."""
    lacking = {
        name
        for name, entry in catalogue().items()
        if any(not any(map(parse_hub, file.sources)) for file in entry.files)
    }
    assert lacking == {"imagenet-f16-1024", "mindalle", "glide", "glide-inpaint"}


def test_hub_ids_are_unique() -> None:
    hubs = [entry.hub for entry in catalogue().values() if entry.hub]
    assert len(set(hubs)) == len(hubs)


def test_known_sums() -> None:
    big, gumbel = catalogue()["imagenet-f16-16384"], catalogue()["gumbel-f8-8192"]
    assert big.file_size == 980_092_370
    assert gumbel.file_size == 376_581_823
    assert {name for name, e in catalogue().items() if e.weights and e.weights.sha256} == {
        big.name,
        gumbel.name,
    }


def test_shipped_models_are_what_the_table_says() -> None:
    for entry in shipped():
        assert entry.path is not None
        assert entry.path.is_file()
        assert entry.file_size == entry.path.stat().st_size
        if entry.kind == "generator":
            model = load_generator(entry.name)
            assert entry.downsampling == model.downsampling
            assert entry.codebook_size == len(model.codebook)
            assert entry.native_size == model.native_size
        elif entry.kind == "system":
            assert any(name.startswith(entry.name) for name in systems.names())
        else:
            assert entry.native_size == load_perceptor(entry.name).image_size


def test_the_guides_of_the_default_are_in_the_table() -> None:
    listed = {entry.name: entry for entry in shipped() if entry.kind == "perceptor"}
    assert {name for name, _ in PaintConfig().guides} <= set(listed)
    assert (listed["photo"].family, listed["pocket"].family) == ("photo", "pocket")
    assert "Apache-2.0" in str(listed["photo"].licence)


def test_find_by_name_and_by_hub_id() -> None:
    assert find("clip-vit-b-32") is catalogue()["clip-vit-b-32"]
    assert find("openai/clip-vit-base-patch32") is catalogue()["clip-vit-b-32"]
    for name in ("", "nothing", "pocket", "../x", "a/b", "x" * 500, "a\nb"):
        assert find(name) is None


def test_any_model_of_the_hub_has_an_entry() -> None:
    assert from_hub("openai/clip-vit-base-patch32") is find("clip-vit-b-32")
    pinned = from_hub("openai/clip-vit-base-patch32", "refs/pr/9")
    assert (pinned.name, pinned.revision) == (
        "openai--clip-vit-base-patch32--refs--pr--9",
        "refs/pr/9",
    )
    other = from_hub("Owner/Some_Model.v2")
    assert (other.name, other.hub) == ("owner--some_model.v2", "Owner/Some_Model.v2")
    assert is_name(other.name)


@pytest.mark.parametrize("wrong", ["clip", "a/b/c", "a/", "/b", "a b/c", "../..", "a/..", "a/b\n"])
def test_other_words_are_no_hub_ids(wrong: str) -> None:
    with pytest.raises(ModelError, match="expected OWNER/REPOSITORY"):
        from_hub(wrong)


def test_sources() -> None:
    found = parse_hub("hf:owner/repo@abc/folder/file.ckpt")
    assert found == module.HubFile("owner/repo", "folder/file.ckpt", "abc")
    assert parse_hub("hf:owner/repo/file") == module.HubFile("owner/repo", "file", "main")
    assert parse_hub("https://example.org/f") is None
    with pytest.raises(ModelError):
        parse_hub("hf:owner")
    assert module.web_address("hf:o/r@v/f.ckpt") == "https://huggingface.co/o/r/resolve/v/f.ckpt"


@pytest.mark.parametrize(
    ("size", "text"),
    [(None, "unknown size"), (0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (980092370, "980 MB"),
     (999_700, "1.0 MB"), (2_340_000_000, "2.3 GB"), (10**14, "100000 GB")],
)  # fmt: skip
def test_sizes_for_people(size: int | None, text: str) -> None:
    assert human_size(size) == text
