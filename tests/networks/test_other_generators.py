"""Generators of other kinds than VQGANs paint, by name, from words to a replayed file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

import gouache
from gouache.apps.cli.main import run
from gouache.editing import edit
from gouache.engine import Session, resume_session, save_session
from gouache.errors import ConfigError, ModelError
from gouache.generators import generators
from gouache.latents import latents
from gouache.networks.models import Models
from gouache.ops.images import to_pil
from gouache.protocols import CodebookGenerator, Generator, with_codebook
from gouache.settings.config import make_config
from tiny import TinyPerceptor, tiny_config

FEW: dict[str, Any] = {
    "perceptor": "pocket", "size": (32, 24), "steps": 3, "num_cutouts": 2, "start_tries": 2,
    "start_steps": 1, "device": "cpu", "seed": 3,
}  # fmt: skip


class Pixels:
    """The latent is the picture, `downsampling` times smaller."""

    fingerprint = "a" * 64
    code_dim = 3
    native_size = 32
    codebook = None
    device = torch.device("cpu")

    def __init__(self, downsampling: int) -> None:
        self.name = f"pixels-{downsampling}"
        self.downsampling = downsampling

    def encode(self, image: Tensor) -> Tensor:
        return F.avg_pool2d(image, self.downsampling)

    def decode(self, latent: Tensor) -> Tensor:
        return F.interpolate(latent, scale_factor=float(self.downsampling))


class Levels(Pixels):
    """Finite scalar quantisation (Mentzer et al. 2023, arXiv 2309.15505): five levels a channel."""

    def __init__(self) -> None:
        super().__init__(4)
        self.name = "levels"
        steps = torch.linspace(0, 1, 5)
        self.codebook = torch.cartesian_prod(steps, steps, steps)  # type: ignore[assignment]
        self.code_prior = torch.full((125,), 1 / 125)

    def quantize(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        indices = (latent.clamp(0, 1) * 4).round().long()
        return indices / 4, (indices * torch.tensor([25, 5, 1]).view(1, 3, 1, 1)).sum(1)


class Gaussian(Pixels):
    """A VAE in small: the latent's channels are a rotation of the colours, without bounds."""

    def __init__(self) -> None:
        super().__init__(4)
        self.name = "gaussian"
        drawn = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
        self._turn = torch.linalg.qr(drawn).Q

    def encode(self, image: Tensor) -> Tensor:
        return torch.einsum("dc,bchw->bdhw", self._turn, 8 * super().encode(image) - 4)

    def decode(self, latent: Tensor) -> Tensor:
        return (super().decode(torch.einsum("dc,bdhw->bchw", self._turn, latent)) + 4) / 8


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    generators.names()
    monkeypatch.setattr(generators, "_references", dict(generators._references))
    generators.add("pixels-1", lambda device, dtype: Pixels(1))  # type: ignore[arg-type, return-value]
    generators.add("pixels-4", lambda device, dtype: Pixels(4))  # type: ignore[arg-type, return-value]
    generators.add("levels", lambda device, dtype: Levels())  # type: ignore[arg-type, return-value]
    generators.add("gaussian", lambda device, dtype: Gaussian())  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("name", ["pixels-1", "pixels-4", "levels", "gaussian"])
def test_they_paint_with_the_default_settings(name: str) -> None:
    painting = gouache.paint("a red apple", generator=name, **FEW)
    assert painting.image.size == (32, 24)
    before = painting.settings.latents
    assert (before.latent, before.start) == ("multiscale", "prior")
    assert np.asarray(painting.image).std() > 0
    longer = gouache.paint("a red apple", generator=name, **{**FEW, "steps": 6})
    assert not np.array_equal(np.asarray(longer.image), np.asarray(painting.image))


@pytest.mark.parametrize("start", ["random", "pixels", "gradient", "fractal"])
@pytest.mark.parametrize("latent", ["continuous", "multiscale"])
def test_without_a_codebook_there_are_these_latents_and_starts(latent: str, start: str) -> None:
    settings: dict[str, Any] = {**FEW, "latent": latent, "start": start, "latent_average": 0.5}
    settings |= {"start_tries": 1, "start_steps": 0}
    first, again, other = (
        np.asarray(gouache.paint("a cat", generator="pixels-4", **{**settings, "seed": seed}).image)
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("latent", ["quantized", "codebook-sampling"])
def test_what_needs_a_codebook_says_so_in_one_line(latent: str) -> None:
    with pytest.raises(ConfigError) as caught:
        gouache.paint("a cat", generator="pixels-1", **FEW, latent=latent)
    assert str(caught.value) == (
        f"latent is {latent}, and the generator pixels-1 has no codebook; "
        "set latent to continuous or multiscale"
    )
    gouache.paint("a cat", generator="levels", **FEW, latent=latent)


def test_more_steps_come_nearer_to_what_is_asked() -> None:
    config = tiny_config(latent="continuous", start="pixels", steps=(40,), learning_rate=0.1)
    session = Session.build(config, generator=Pixels(1), perceptor=TinyPerceptor())
    totals = [float(step.total) for step in session]
    assert totals[-1] < totals[0]


def test_a_latent_without_bounds_is_not_clamped() -> None:
    start = torch.full((1, 3, 2, 2), 7.0)
    for name in ("continuous", "multiscale"):
        latent = latents.get(name)(Pixels(1), start, make_config(latent=name).latents)
        latent.after_step()
        assert torch.equal(latent.final(), start)
    bounded = latents.get("continuous")(Levels(), start, make_config().latents)
    bounded.after_step()
    assert float(bounded.final().max()) == 1.0


def test_they_go_on_from_a_state_to_the_same_pixels(tmp_path: Path) -> None:
    config = make_config(prompt="a cat", generator="pixels-4", **{**FEW, "steps": 6})
    whole = Session.build(config)
    for step in whole:
        if step.index == 2:
            save_session(whole, tmp_path / "state.safetensors")
    resumed = resume_session(tmp_path / "state.safetensors")
    assert resumed.step_index == 3
    for _ in resumed:
        pass
    assert torch.equal(resumed.picture(), whole.picture())


def test_the_command_line_paints_and_replays_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, again = tmp_path / "first.png", tmp_path / "again.png"
    size = ["--size", "32x24", "--steps", "2", "--perceptor", "pocket", "--device", "cpu"]
    args = ["paint", "a cat", "--generator", "pixels-4", *size, "--out", str(first), "--quiet"]
    assert run(args) == 0
    assert run(["replay", str(first), "--out", str(again), "--quiet"]) == 0
    pictures = [np.asarray(Image.open(path)) for path in (first, again)]
    assert np.array_equal(*pictures)
    assert run([*args, "--latent", "quantized"]) == 2
    assert "set latent to continuous" in capsys.readouterr().err


def test_pictures_are_edited_by_them() -> None:
    source = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8))
    grey = np.zeros((24, 32), np.uint8)
    grey[:, 16:] = 255
    few = {key: FEW[key] for key in ("perceptor", "size", "steps", "num_cutouts", "device")}
    few |= {"generator": "pixels-1", "latent": "continuous"}
    found = edit(source, "a cat", mask=Image.fromarray(grey), **few)
    before, after = np.asarray(source).astype(int), np.asarray(found.image).astype(int)
    assert np.abs(before - after)[:, :16].max() <= 1
    assert np.abs(before - after)[:, 16:].max() > 1


def test_a_generator_from_elsewhere_that_lacks_something_is_refused() -> None:
    class Old:
        name, fingerprint, downsampling, code_dim, native_size = "old", "a" * 64, 4, 3, 32

        def encode(self, image: Tensor) -> Tensor:
            return image

    old: Any = Old()
    with pytest.raises(ModelError, match="generator Old lacks codebook and decode and device; "):
        Models.load(tiny_config(), old, TinyPerceptor())


def test_the_contracts_hold() -> None:
    assert isinstance(Pixels(1), Generator)
    assert with_codebook(Pixels(1)) is None
    coded: CodebookGenerator | None = with_codebook(Levels())
    assert coded is not None
    codes, indices = coded.quantize(torch.rand(1, 3, 2, 2))
    assert torch.equal(coded.codebook[indices].movedim(-1, 1), codes)
    picture = to_pil(Pixels(1).decode(Pixels(1).encode(torch.full((1, 3, 4, 4), 0.5)))[0])
    assert json.dumps(picture.getpixel((0, 0))) == "[128, 128, 128]"
