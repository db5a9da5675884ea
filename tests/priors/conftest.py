"""Small models in place of the shipped ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gouache.generators import load_generator
from gouache.generators.vqgan import VQGAN
from gouache.priors import loading
from gouache.protocols import Generator
from gouache.weights.saving import save_model
from priors.tiny_prior import SHAPE, save_prior


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of small models in place of the shipped ones."""
    torch.manual_seed(1)
    model = VQGAN(SHAPE)
    model.quantize.embedding.weight.data.normal_()
    save_model(tmp_path / "generator.safetensors", model.state_dict(), SHAPE.to_dict(), half=True)
    table = {
        "text_tower.table": torch.randint(-127, 128, (30522, 6)).to(torch.int8),
        "text_tower.table_scale": torch.full((30522,), 0.01),
        "other": torch.ones(3),
    }
    save_model(tmp_path / "perceptor.safetensors", table, {})
    monkeypatch.setattr(loading, "PRIOR", tmp_path / "prior.safetensors")
    monkeypatch.setattr(loading, "PERCEPTOR", tmp_path / "perceptor.safetensors")

    def load(name: str, device: torch.device | str) -> Generator:
        assert name == "pocket"
        return load_generator(str(tmp_path / "generator.safetensors"), device)

    monkeypatch.setattr(loading, "shared_generator", load)
    save_prior(tmp_path / "prior.safetensors", load("pocket", "cpu").fingerprint)
    return tmp_path
