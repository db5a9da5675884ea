"""What a perceptor may be called, and which one is meant."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from gouache.errors import ModelError
from gouache.perceptors import load_perceptor, resolve
from gouache.perceptors.clip import ClipPerceptor
from gouache.perceptors.clip_loading import load_clip, save_clip
from gouache.perceptors.pocket import PocketPerceptor
from gouache.weights import cache
from gouache.weights.catalogue import Entry
from gouache.weights.shipped import PERCEPTOR
from perceptors.clip_samples import archive, write_merges


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOUACHE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    write_merges(folder)
    return Path(shutil.copy(archive("vit"), folder / "clip.pt"))


def test_files_are_known_by_their_contents(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = clip.with_name("what:ever.0.5")
    shutil.copy(clip, odd)
    save_clip(load_clip(clip), clip.with_name("ours.safetensors"))
    for path in (clip, odd, clip.with_name("ours.safetensors")):
        model = load_perceptor(str(path))
        assert isinstance(model, ClipPerceptor), path
        assert model.name == str(path)
        assert isinstance(load_perceptor(path), ClipPerceptor)
    monkeypatch.chdir(clip.parent)
    assert isinstance(load_perceptor("clip.pt"), ClipPerceptor)
    assert load_perceptor(str(PERCEPTOR)).bank is not None  # a pocket perceptor


def test_registered_names_come_first(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command keeps its meaning whatever lies in the folder it is given in."""
    monkeypatch.chdir(clip.parent)
    clip.rename(clip.with_name("pocket"))
    assert isinstance(load_perceptor("pocket"), PocketPerceptor)


def test_added_models_by_their_name(clip: Path, own_cache: Path) -> None:
    cache.add("mine", "perceptor", "openai", clip)
    model = load_perceptor("mine")
    assert isinstance(model, ClipPerceptor)
    assert model.name == "mine"


def test_published_models_are_obtained_and_recognised(
    clip: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Entry] = []
    monkeypatch.setattr(resolve, "obtain", lambda entry: asked.append(entry) or clip.parent)
    loaded: list[tuple[Path, str]] = []

    def load_path(path: Path, device: Any, name: str, family: str) -> Any:
        loaded.append((path, name))

    monkeypatch.setattr(resolve, "load_path", load_path)
    names = ("clip-vit-b-32", "openai/clip-vit-base-patch32", "someone/some-clip")
    for name in names:
        load_perceptor(name)
    assert [entry.name for entry in asked] == [
        "clip-vit-b-32", "clip-vit-b-32", "someone--some-clip",
    ]  # fmt: skip
    assert loaded == [(clip.parent, name) for name in names]


def test_names_of_open_clip_mean_the_same_weights(
    clip: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without that package."""
    asked: list[Entry] = []
    monkeypatch.setattr(resolve, "obtain", lambda entry: asked.append(entry) or clip)
    names = (
        "open_clip:ViT-B-32/laion2b_s34b_b79k",
        "open_clip:hf-hub:laion/CLIP-ViT-L-14-laion2B-s32B-b82K",
        "open_clip:hf-hub:someone/some-clip",
        f"open_clip:local-dir:{clip}",
        f"open_clip:ViT-B-32/{clip}",
    )
    monkeypatch.setattr(
        resolve, "_load_entry", lambda entry, *_: resolve.load_path(resolve.obtain(entry))
    )
    for name in names:
        assert isinstance(load_perceptor(name), ClipPerceptor)
    assert [entry.name for entry in asked] == [
        "laion-vit-b-32", "laion-vit-l-14", "someone--some-clip",
    ]  # fmt: skip


def test_generators_are_no_perceptors(own_cache: Path) -> None:
    with pytest.raises(ModelError, match="imagenet-f16-16384 is a generator"):
        load_perceptor("imagenet-f16-16384")
    golden = archive("vit").with_name("taming_vq.ckpt")
    with pytest.raises(ModelError, match="is a generator"):
        load_perceptor(str(golden))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("clip-vit-b32", "did you mean clip-vit-b-32"),
        ("pokcet", "did you mean pocket"),
        ("ViT-B/32", "did you mean clip-vit-b-32"),
        ("vit_b_32", "did you mean clip-vit-b-32"),
        ("ViT-L/14@336px", "did you mean clip-vit-l-14-336"),
        ("ViT-H-14", "did you mean laion-vit-h-14"),
        ("RN50x4", "did you mean clip-vit-b-32? Or give the path of OpenAI's file"),
        (
            "ViT-B-32/openai",
            "did you mean open_clip:ViT-B-32/openai? Or did you mean clip-vit-b-32",
        ),
        ("SigLIP", "did you mean siglip-b-16"),
        ("CLIP", "did you mean clip-vit-b-16"),
        ("ViT-B/32.pt", "check the path"),
        ("", "no perceptor is called"),
        ("models/clip.pt", "there is no perceptor 'models/clip.pt'; check the path"),
        ("./clip/folder", "check the path"),
        (r"C:\models\clip.pt", "check the path"),
        ("a/b/c", "check the path"),
        ("some where/else", "is no model on the hub"),
        ("x" * 5000, "no perceptor is called"),
        ("nul\0nul", "no perceptor is called"),
        ("nobody/nothing", "HF_HUB_OFFLINE"),
        ("open_clip:hf-hub:nobody/nothing", "HF_HUB_OFFLINE"),
        ("open_clip:ViT-B-32/laion2b", "did you mean ViT-B-32/laion2b_s34b_b79k"),
        ("open_clip:EVA02-L-14/merged2b_s4b_b131k", "give the repository on the Hugging Face hub"),
        ("open_clip:ViT-B-32", "no weights are known here as 'open_clip:ViT-B-32'"),
    ],
)
def test_unknown_names_are_one_line(own_cache: Path, name: str, message: str) -> None:
    with pytest.raises(ModelError) as error:
        load_perceptor(name)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1200


def test_what_is_neither_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "empty").mkdir()
    for name in ("notes.txt", "empty"):
        with pytest.raises(ModelError) as error:
            load_perceptor(str(tmp_path / name))
        assert "\n" not in str(error.value)
