"""Each part of what is shipped is exported alone, and leaves the others as they are."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from gouache.apps.cli.main import run
from gouache.errors import TrainingError
from gouache.generators import load_generator
from gouache.generators.drawing import FILE, DrawingDecoder, load_drawing, small_view
from gouache.generators.vqgan import VQGAN
from gouache.systems.pocket_ar import WordsToCodesConfig
from gouache.systems.pocket_diffusion import load_pocket_diffusion
from gouache.weights.fingerprint import identity
from gouache.weights.safe import read_checkpoint, read_model
from gouache.weights.saving import save_model
from gouache.weights.shipped import GENERATOR
from gouache_training.drawing import load_drawing_checkpoint
from gouache_training.export import export_models
from gouache_training.loop import save_checkpoint
from systems import tiny_ar
from systems.tiny_diffusion import SHAPE, save_beside, taught_by, tiny_networks
from tiny import TINY_DRAWING, save_tiny_vqgan


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """A folder with a generator, and a checkpoint of its drawing decoder beside the folder."""
    generator = load_generator(save_tiny_vqgan(tmp_path / "pocket", drawing=False))
    (tmp_path / "pocket" / "prior.safetensors.gz").write_bytes(b"as it was")
    save_drawing(tmp_path / "drawing.pt", generator)
    return tmp_path / "pocket"


def save_drawing(path: Path, generator: Any) -> DrawingDecoder:
    torch.manual_seed(0)
    model = DrawingDecoder(TINY_DRAWING).requires_grad_(False)
    for parameter in model.parameters():
        parameter.add_(0.1 * torch.randn(parameter.shape))
    content = {"config": TINY_DRAWING.to_dict(), "codebook": generator.codebook.clone()}
    save_checkpoint(path, {**content, "average": model.state_dict()})
    return model


def test_a_drawing_decoder_alone(shipped: Path, tmp_path: Path, capsys: Any) -> None:
    before = {path.name: path.read_bytes() for path in shipped.iterdir()}
    checkpoint = str(tmp_path / "drawing.pt")
    assert run(["train", "export", "drawing", "--out", str(shipped), "--drawing", checkpoint]) == 0
    assert capsys.readouterr().out == f"{shipped / FILE}\n"
    assert {
        path.name: path.read_bytes() for path in shipped.iterdir() if path.name != FILE
    } == before
    stored = read_checkpoint(shipped / FILE).tensors
    packed = [name for name in stored if f"{name}:scale" in stored]
    assert packed
    assert all(stored[name].dtype == torch.int8 for name in packed)
    for name in packed:  # one scale for each output channel
        assert stored[f"{name}:scale"].shape == stored[name].shape[:1]
    generator = load_generator(shipped / "generator.safetensors")
    assert isinstance(generator, VQGAN)
    assert generator.drawing
    plain = save_drawing(tmp_path / "again.pt", generator).state_dict()
    for name, value in generator.load_drawing().state_dict().items():
        assert (value - plain[name]).abs().max() <= 0.01 * plain[name].abs().max()


def test_it_goes_with_the_generator_in_the_folder(shipped: Path, tmp_path: Path) -> None:
    (shipped / "generator.safetensors").unlink()
    with pytest.raises(TrainingError, match="drawing goes with a generator; export that into"):
        export_models(shipped, tmp_path, tmp_path, drawing=tmp_path / "drawing.pt")
    assert not (shipped / FILE).exists()
    generator = load_generator(save_tiny_vqgan(shipped, drawing=False))
    generator.codebook.add_(1)  # type: ignore[union-attr]
    save_drawing(tmp_path / "drawing.pt", generator)
    with pytest.raises(TrainingError, match="trained on other codes"):
        export_models(shipped, tmp_path, tmp_path, drawing=tmp_path / "drawing.pt")


def test_pocket_ar_from_a_stripped_checkpoint(shipped: Path, tmp_path: Path, capsys: Any) -> None:
    """One that has only what is exported, in half precision, as it comes from another machine."""
    generator = load_generator(shipped / "generator.safetensors")
    network = tiny_ar.tiny()
    content = {
        "config": asdict(tiny_ar.CONFIG),
        "codebook": generator.codebook.half(),  # type: ignore[union-attr]
        "step": 1,
        "seconds": 1.0,
        "average": {name: value.half() for name, value in network.state_dict().items()},
    }
    save_checkpoint(tmp_path / "ar16.pt", content)
    command = ["train", "export", "autoregressive", "--out", str(shipped)]
    assert run([*command, "--checkpoint", str(tmp_path / "ar16.pt")]) == 0
    place = shipped / "autoregressive.safetensors.gz"
    assert capsys.readouterr().out == f"{place}\n"
    tensors, values = read_model(place)
    assert values.pop("generator") == generator.fingerprint
    assert WordsToCodesConfig.from_dict(values) == tiny_ar.CONFIG
    stored = read_checkpoint(place).tensors["head_img.weight"]
    assert stored.dtype == torch.int8
    assert 5 < stored.abs().max() < 60  # coarser steps than 8 bits allow
    for name, value in network.state_dict().items():
        assert tensors[name].dtype == torch.float32
        assert (tensors[name] - value).abs().max() <= 0.05 * value.abs().max(), name


@pytest.mark.parametrize("parts", [[], ["prior", "drawing"]])
def test_one_checkpoint_is_of_one_part(parts: list[str], tmp_path: Path, capsys: Any) -> None:
    told = ["--out", str(tmp_path / "models"), "--checkpoint", str(tmp_path / "x.pt")]
    assert run(["train", "export", *parts, *told]) == 2
    assert "--checkpoint is that of one part" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (["generator"], "no checkpoint at checkpoints/generator.pt; train it, or name it"),
        (["drawing", "prior"], "no checkpoint at checkpoints/drawing.pt"),
        ([], "there is no checkpoint to export"),
    ],
)
def test_missing_checkpoints_are_one_line(
    parts: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["train", "export", *parts, "--out", "models"]) == 2
    told = capsys.readouterr().err
    assert expected in told
    assert len(told.splitlines()) == 1
    assert not Path("models").exists()


def test_pocket_diffusion_goes_with_the_models_it_learnt_from(tmp_path: Path) -> None:
    """A checkpoint stripped to half precision will do; what is written paints."""
    folder = tmp_path / "pocket"
    save_beside(folder)
    networks, taught = tiny_networks(), taught_by(folder)
    content = {
        "config": asdict(SHAPE) | {"perceptor": taught["perceptor"]},
        "codebook": load_generator(str(folder / GENERATOR.name)).codebook.clone(),  # type: ignore[union-attr]
        "step": 3,
        "seconds": 1.0,
        "average": {name: value.half() for name, value in networks.state_dict().items()},
    }
    save_checkpoint(tmp_path / "diffusion.pt", content)
    arguments = ["train", "export", "diffusion", "--out", str(folder)]
    assert run([*arguments, "--checkpoint", str(tmp_path / "diffusion.pt")]) == 0
    found = load_pocket_diffusion(folder=folder)
    plain = networks.state_dict()
    for name, value in found.networks.state_dict().items():
        assert (value - plain[name]).abs().max() <= 0.05 * plain[name].abs().max(), name
    content["config"]["perceptor"] = "0" * 64  # type: ignore[index]
    save_checkpoint(tmp_path / "diffusion.pt", content)
    with pytest.raises(TrainingError, match="taught by another perceptor"):
        export_models(folder, tmp_path, tmp_path, diffusion=tmp_path / "diffusion.pt")


def test_several_decoders_become_one_that_draws_their_mean(shipped: Path, tmp_path: Path) -> None:
    generator = load_generator(shipped / "generator.safetensors")
    assert isinstance(generator, VQGAN)
    one = save_drawing(tmp_path / "drawing.pt", generator)
    checkpoint = str(tmp_path / "drawing.pt")
    run(["train", "export", "drawing", "--out", str(shipped), "--drawing", checkpoint])
    first = load_drawing(shipped / FILE, generator)
    (tmp_path / "first.safetensors").write_bytes((shipped / FILE).read_bytes())
    torch.manual_seed(1)
    content = torch.load(tmp_path / "drawing.pt", weights_only=False)
    content["average"] = {k: v + 0.2 * torch.randn(v.shape) for k, v in content["average"].items()}
    save_checkpoint(tmp_path / "second.pt", content)
    parts = [f"{tmp_path / 'first.safetensors'}:0.25", f"{tmp_path / 'second.pt'}:0.75"]
    assert run(["train", "blend", *parts, "--out", str(shipped)]) == 0
    both = load_drawing(shipped / FILE, generator)
    assert (both.config.members, both.reach) == (2, one.reach)
    codes = generator.codebook[torch.arange(36).remainder(len(generator.codebook))]
    codes = codes.view(1, 6, 6, -1).movedim(-1, 1).contiguous()
    picture, features = small_view(generator, codes)
    second = load_drawing_checkpoint(tmp_path / "second.pt")
    with torch.no_grad():
        drawn, a, b = (n(codes, picture, features) for n in (both, first, second))
        mean = 0.25 * a + 0.75 * b
        assert (a - b).abs().mean() > 0.05
        assert (drawn - mean).abs().max() < 0.02 * (a - b).abs().max()  # 8 bits once more
        assert (both.tiled(codes, picture, features, tile=2) - drawn).abs().max() < 1e-4


def test_what_cannot_be_blended_is_one_line(
    shipped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = str(tmp_path / "drawing.pt")
    blended = [f"{part}:0.5", f"{part}:0.5"]
    assert run(["train", "blend", *blended, "--out", str(shipped)]) == 0
    before = (shipped / FILE).read_bytes()
    for parts, out, told in (
        ([f"{part}:0.5"], shipped, "shares are [0.5]; expected one a network, adding up to 1"),
        ([f"{shipped / FILE}:0.5", f"{part}:0.5"], shipped, "of one shape, of one member each"),
        ([f"{tmp_path / 'none.pt'}:1"], shipped, "none.pt"),
        (blended, tmp_path, "drawing goes with a generator"),
    ):
        capsys.readouterr()
        assert run(["train", "blend", *parts, "--out", str(out)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert told in line
    assert (shipped / FILE).read_bytes() == before


def test_exported_files_are_packed_anew(tmp_path: Path, capsys: Any) -> None:
    values = torch.randn(4, 300, generator=torch.Generator().manual_seed(0))
    tensors = {"table": torch.arange(6, dtype=torch.int8).view(2, 3), "weight": values}
    names = ("generator", "referee")
    for name in names:
        kept = name == "referee"
        save_model(tmp_path / f"{name}.safetensors", tensors, {"of": name}, not kept, kept)
    paths = [str(tmp_path / f"{name}.safetensors") for name in names]
    assert run(["train", "pack", *paths, "--out", str(tmp_path / "new")]) == 0
    written = [tmp_path / "new" / f"{name}.safetensors.gz" for name in names]
    assert capsys.readouterr().out == "".join(f"{path}\n" for path in written)
    assert identity(written[0]) == identity(paths[0])  # the same model
    found, config = read_model(written[1])
    assert config == {"of": "referee"}
    assert torch.equal(found["table"], tensors["table"])
    assert read_checkpoint(written[1]).tensors["weight"].abs().max() < 60
    assert 0 < (found["weight"] - values).abs().max() < 0.1
    before = written[1].read_bytes()  # packed already: no coarser by being packed again
    assert run(["train", "pack", str(written[1]), "--out", str(tmp_path / "new")]) == 0
    assert written[1].read_bytes() == before


@pytest.mark.parametrize("name", ["prior.safetensors", "wheel.safetensors", "none/prior.gz"])
def test_what_is_no_part_is_not_packed(name: str, tmp_path: Path, capsys: Any) -> None:
    save_model(tmp_path / "wheel.safetensors", {"weight": torch.ones(2, 2)}, {}, packed=True)
    (tmp_path / "prior.safetensors").write_bytes(b"no model")
    assert run(["train", "pack", str(tmp_path / name), "--out", str(tmp_path / "new")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert not (tmp_path / "new").exists()
