"""Painting many pictures for the drawing decoder: prompts, settings, files, going on, stopping."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor
from typer.testing import CliRunner

from gouache.engine.session import Session
from gouache.errors import DivergedError, OutputError, TrainingError
from gouache.prompts import parse_prompts
from gouache.settings.config import PaintConfig, make_config
from gouache_training import cli, painted
from gouache_training.drawing import read_painted
from gouache_training.pack import PictureSet
from gouache_training.painted import Prompter, draw_settings, paint_batch, paint_many
from training.dataset_samples import pictures


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[PaintConfig]:
    """What painting is asked for; a batch's latents are full of its number."""
    configs: list[PaintConfig] = []

    def paint(config: PaintConfig) -> Tensor:
        configs.append(config)
        return torch.full((config.count, 4, 2, 2), len(configs)).half()

    monkeypatch.setattr(painted, "paint_batch", paint)
    return configs


def told(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        found: dict[str, str] = file.metadata()
    return found


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_are_what_the_drawing_trainer_reads(asked: list[PaintConfig], tmp_path: Path) -> None:
    assert paint_many(pictures(), tmp_path, count=5, batch=2, device="cpu") == 5
    assert names(tmp_path) == [f"{number:05d}.safetensors" for number in range(3)]
    (found,) = read_painted(tmp_path, 4)
    latents = found.latents
    assert latents.dtype == torch.float16
    assert latents[:, 0, 0, 0].tolist() == [1, 1, 2, 2, 3]
    for path, config in zip(sorted(tmp_path.iterdir()), asked, strict=True):
        assert tuple(json.loads(told(path)["captions"])) == config.prompt
        assert PaintConfig.from_dict(json.loads(told(path)["settings"])) == config
        assert len(config.prompt) == config.count
        assert (config.size, config.compile) == ((128, 128), "off")


def test_another_call_goes_on_with_other_seeds(asked: list[PaintConfig], tmp_path: Path) -> None:
    paint_many(pictures(), tmp_path, count=2, batch=2, device="cpu")
    before = (tmp_path / "00000.safetensors").read_bytes()
    assert paint_many(pictures(), tmp_path, count=4, batch=2, device="cpu") == 4
    assert (tmp_path / "00000.safetensors").read_bytes() == before
    assert names(tmp_path) == ["00000.safetensors", "00001.safetensors"]
    assert asked[0].seed != asked[1].seed
    assert asked[0].prompt != asked[1].prompt
    assert paint_many(pictures(), tmp_path, count=4, batch=2, device="cpu") == 4
    assert len(asked) == 2  # there were enough
    (tmp_path / "00000.safetensors").unlink()
    paint_many(pictures(), tmp_path, count=4, batch=2, device="cpu")
    assert names(tmp_path) == ["00001.safetensors", "00002.safetensors"]


def test_a_number_and_a_seed_are_a_batch(asked: list[PaintConfig], tmp_path: Path) -> None:
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        paint_many(pictures(), tmp_path / folder, count=4, batch=2, device="cpu", seed=seed)
    assert asked[:2] == asked[2:4]
    assert not any(one == other for one in asked[:2] for other in asked[4:])


def test_time_ends_it_after_a_batch(asked: list[PaintConfig], tmp_path: Path) -> None:
    assert paint_many(pictures(), tmp_path, batch=3, minutes=1e-9, device="cpu") == 3
    assert len(asked) == 1


def test_an_interruption_keeps_what_is_there(
    asked: list[PaintConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint = painted.paint_batch

    def once(config: PaintConfig) -> Tensor:
        if asked:
            raise KeyboardInterrupt
        return paint(config)

    monkeypatch.setattr(painted, "paint_batch", once)
    with pytest.raises(KeyboardInterrupt):
        paint_many(pictures(), tmp_path, count=4, batch=2, device="cpu")
    assert names(tmp_path) == ["00000.safetensors"]


def test_settings_that_diverge_are_replaced(
    asked: list[PaintConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint = painted.paint_batch
    tried: list[PaintConfig] = []

    def diverging(config: PaintConfig) -> Tensor:
        tried.append(config)
        if len(tried) != 2:
            raise DivergedError("the gradient is not a finite number", torch.zeros(1), 3)
        return paint(config)

    monkeypatch.setattr(painted, "paint_batch", diverging)
    assert paint_many(pictures(), tmp_path, count=1, device="cpu") == 1
    assert tried[0].seed != tried[1].seed
    with pytest.raises(TrainingError, match="3 times in a row"):
        paint_many(pictures(), tmp_path, count=2, device="cpu")


def test_a_batch_that_cannot_be_written_leaves_nothing(
    asked: list[PaintConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, data: bytes) -> int:
        self.touch()
        assert self.suffix != ".safetensors"  # which would be read for a batch
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="no space is left"):
        paint_many(pictures(), tmp_path, count=1, device="cpu")
    assert names(tmp_path) == []


def test_the_command_says_what_to_paint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []
    monkeypatch.setattr(painted, "paint_many", lambda *args: given.extend(args))
    monkeypatch.setattr(PictureSet, "load", lambda path: path)
    words = "painted --out f --data d --count 7 --batch 3 --minutes 2 --device cpu --seed 4"
    assert CliRunner().invoke(cli.app, words.split()).exit_code == 0
    assert given == [Path("d"), Path("f"), 7, 3, 2.0, "cpu", 4, 128, None]
    found = CliRunner().invoke(cli.app, [*words.split(), "--side", "512"])
    assert isinstance(found.exception, TrainingError)
    assert "expected 128 or 256" in str(found.exception)


def test_what_cannot_be_is_told(asked: list[PaintConfig], tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="--count or --minutes"):
        paint_many(pictures(), tmp_path)
    with pytest.raises(TrainingError, match="--batch is 257"):
        paint_many(pictures(), tmp_path, count=1, batch=257)
    (tmp_path / "00000.safetensors").write_bytes(b"no")
    with pytest.raises(TrainingError, match="holds no painted latents"):
        paint_many(pictures(), tmp_path, count=1, device="cpu")
    assert not asked


def test_all_settings_drawn_can_be_painted_with_and_all_kinds_occur() -> None:
    rng = np.random.default_rng(0)
    configs = [make_config("pocket", prompt="a cat", **draw_settings(rng)) for _ in range(300)]
    assert {config.perceptor for config in configs} == {("pocket",), ("pocket", "photo")}
    assert {config.latents.latent for config in configs} == {"multiscale", "quantized"}
    assert {config.latents.start for config in configs} == {"prior", "random"}
    assert {config.latents.start_steps for config in configs} == {0, 15}
    steps = [config.steps[0] for config in configs]
    assert 20 <= min(steps) < 30 < 70 < max(steps) <= 80
    rates = [float(str(config.optimization.learning_rate)) for config in configs]
    assert 0.1 <= min(rates) < 0.15 < 0.3 < max(rates) <= 0.4
    for weights in (
        [config.latents.latent_weight for config in configs],
        [config.guidance.contrast_weight for config in configs],
        [config.guidance.tv_weight for config in configs],
    ):
        assert 0.0 in weights
        assert len(set(weights)) > 10


def test_prompts_are_one_part_each_of_known_words() -> None:
    prompter = Prompter(pictures())
    drawn = prompter.draw(40, np.random.default_rng(0))
    assert len(drawn) == 40
    assert len(set(drawn)) > 20
    assert drawn == prompter.draw(40, np.random.default_rng(0))
    for prompt in drawn:
        ((part,),) = parse_prompts(prompt)
        assert not prompter._tokenizer.unknown_words(part.text)
        assert "{" not in part.text


def test_a_batch_is_what_the_session_ends_with_before_rounding() -> None:
    config = make_config(
        "pocket",
        prompt=("a red apple", "a cat at night"),
        size=(32, 32),
        steps=(2,),
        start="random",
        start_tries=1,
        start_steps=0,
        start_scale=1.0,
        device="cpu",
    )
    latents = paint_batch(config)
    session = Session.build(config)
    for _ in session:
        pass
    assert latents.shape == (2, session.models.generator.code_dim, 4, 4)
    assert torch.equal(latents, session.latent().half())
    assert not torch.equal(session.models.rounded(latents.float()).half(), latents)
