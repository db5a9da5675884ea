"""The one call above the session."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from gouache.engine import Session
from gouache.errors import ConfigError
from gouache.ops.images import to_pil
from gouache.output.pictures import read_metadata
from gouache.runs.painting import Painting, paint
from gouache.settings.config import PaintConfig
from tiny import TinyGenerator, TinyPerceptor, tiny_config, tiny_session

FAST: dict[str, Any] = {
    "size": (32, 24),
    "num_cutouts": 4,
    "templates": False,
    "learning_rate": 0.2,
    "whole_share": 0.35,
    "cut_min": 0.45,
    "latent": "quantized",
    "start": "random",
    "start_tries": 1,
    "start_steps": 0,
    "start_scale": 1.0,
    "device": "cpu",
    "precision": "fp32",
}


def tiny_paint(prompt: str, **settings: Any) -> Painting:
    return paint(
        prompt,
        generator=TinyGenerator(),
        perceptor=TinyPerceptor(),
        **{**FAST, "steps": 4, **settings},
    )


def test_paints_what_the_session_paints() -> None:
    painting = tiny_paint("a red apple", steps=6)
    session = tiny_session()
    losses = torch.stack([step.losses["prompt/0"] for step in session])
    assert painting.image.tobytes() == to_pil(session.picture()[0]).tobytes()
    assert painting.image.size == (32, 24)
    assert torch.equal(painting.losses["prompt/0"], losses)
    assert painting.scores == tuple(session.scores().tolist())


def test_losses_of_a_stage_that_is_over_are_nan() -> None:
    painting = tiny_paint("a | b ^ c", steps=2)
    assert painting.losses["prompt/1"].isnan().flatten().tolist() == [False, False, True, True]


def test_saved_pictures_tell_how_they_were_made(tmp_path: Path) -> None:
    painting = tiny_paint("a red apple", seed=5)
    assert painting.save(tmp_path / "a.png") == [tmp_path / "a.png"]
    record = read_metadata(tmp_path / "a.png")
    assert PaintConfig.from_dict(record["config"]) == painting.settings
    assert record["generator"] == {"name": "tiny", "fingerprint": TinyGenerator.fingerprint}
    assert record["seed"] == 5
    assert record["step"] == 4
    assert record["losses"].keys() == {"prompt/0", "latent"}


def test_several_pictures_have_several_files(tmp_path: Path) -> None:
    painting = tiny_paint("a red apple", seed=5, count=2)
    paths = painting.save(tmp_path / "a.png")
    assert [path.name for path in paths] == ["a-1.png", "a-2.png"]
    assert [read_metadata(path)["seed"] for path in paths] == [5, 6]
    best = max(range(2), key=lambda k: painting.scores[k])
    assert painting.best is painting.images[best]


def test_notebooks_show_the_picture() -> None:
    assert tiny_paint("a red apple")._repr_png_().startswith(b"\x89PNG")


def test_init_image_as_path_or_picture(tmp_path: Path) -> None:
    sea = Image.new("RGB", (32, 24), (10, 80, 200))
    sea.save(tmp_path / "sea.png")
    of_path = tiny_paint("a", init_image=tmp_path / "sea.png")
    of_picture = tiny_paint("a", init_image=sea)
    assert of_path.image.tobytes() == of_picture.image.tobytes()
    assert of_path.settings.init_image == str(tmp_path / "sea.png")


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean steps"):
        tiny_paint("a", stepps=3)


def test_pictures_are_encoded_in_full_precision() -> None:
    """Half of it is for what is done at every step."""
    halves: dict[str, bool] = {}

    class Watched(TinyGenerator):
        def encode(self, image: Tensor) -> Tensor:
            halves["encode"] = torch.is_autocast_enabled("cpu")
            return super().encode(image)

        def decode(self, quantized: Tensor) -> Tensor:
            halves["decode"] = torch.is_autocast_enabled("cpu")
            return super().decode(quantized)

    config, picture = tiny_config(precision="bf16"), torch.full((3, 24, 32), 0.5)
    models = {"generator": Watched(), "perceptor": TinyPerceptor()}
    next(Session.build(config, init_image=picture, **models))
    assert halves == {"encode": False, "decode": True}


def test_half_precision_paints_nearly_the_same() -> None:
    half = tiny_session(precision="bf16", count=2, bank_size=3)
    full = tiny_session(precision="fp32", count=2, bank_size=3)
    one, other = next(half), next(full)
    assert one.image.dtype == torch.float32
    assert one.losses["prompt/0"].dtype == torch.float32
    torch.testing.assert_close(one.image, other.image, atol=0.02, rtol=0.02)
    assert not torch.equal(one.image, other.image)
    again = tiny_session(precision="bf16", count=2, bank_size=3)
    for session in (half, again):
        _run(session)
    assert torch.equal(half.picture(), again.picture())
    assert half.state_dict().tensors["latent/z"].dtype == torch.float32


def _run(session: Session) -> None:
    for _ in session:
        pass
