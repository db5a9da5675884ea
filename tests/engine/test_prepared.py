"""Weights made ready for painting give what the untouched ones give."""

from __future__ import annotations

import copy
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from gouache.engine import Session
from gouache.engine import session as sessions
from gouache.engine.build import prepare
from gouache.generators import load_generator
from gouache.networks.models import Models
from gouache.perceptors import load_perceptor
from gouache.settings.config import PaintConfig
from tiny import TinyGenerator, TinyPerceptor, tiny_config


def picture(size: int, count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_the_generator_in_bf16_decodes_as_under_autocast() -> None:
    plain = load_generator("pocket")
    ready = copy.deepcopy(plain)
    ready.prepare(torch.bfloat16)  # type: ignore[attr-defined]
    codes = plain.quantize(plain.encode(picture(64)))[0]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ready.decode(codes), plain.decode(codes))
    assert torch.equal(ready.encode(picture(64)), plain.encode(picture(64)))  # full precision


def test_the_shipped_perceptor_in_bf16_sees_as_under_autocast() -> None:
    plain = load_perceptor("pocket")
    ready = copy.deepcopy(plain)
    ready.prepare(torch.bfloat16)  # type: ignore[attr-defined]
    views = picture(plain.image_size)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ready.embed_image(views), plain.embed_image(views))
    with torch.no_grad():
        assert torch.equal(ready.embed_text(["a cat"]), plain.embed_text(["a cat"]))


def test_gradients_that_were_enlarged_for_fp16_are_what_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def latents(scale: float) -> list[torch.Tensor]:
        monkeypatch.setattr(sessions, "_FP16_SCALE", scale)
        config = tiny_config(optimizer="SGD", learning_rate=5.0, steps=(2,))
        parts = prepare(config, generator=TinyGenerator(), perceptor=TinyPerceptor())
        half = replace(parts.models, dtype=torch.float16)
        session = Session(replace(parts, models=half))
        return [session.latent(), *(session.latent() for _ in session)]

    plain, enlarged = latents(1.0), latents(1024.0)
    assert not torch.allclose(plain[0], plain[-1], atol=1e-2)
    torch.testing.assert_close(enlarged, plain, atol=1e-3, rtol=1e-3)


def test_models_by_name_are_prepared_and_given_ones_are_not() -> None:
    config = PaintConfig(prompt="a cat", precision="bf16")
    loaded = Models.load(config)
    decoder = loaded.generator.decoder  # type: ignore[attr-defined]
    assert decoder.conv_out.weight.dtype == torch.bfloat16
    assert decoder.norm_out.weight.dtype == torch.float32
    mine, eyes = load_generator("pocket"), load_perceptor("pocket")
    Models.load(config, mine, eyes)
    for model in (mine, eyes):
        assert {p.dtype for p in model.parameters()} == {torch.float32}  # type: ignore[attr-defined]


def test_painting_does_not_import_the_compiler() -> None:
    code = (
        "import sys, gouache; config = gouache.make_config(prompt='a cat', size=(32, 32), "
        "num_cutouts=3, start_tries=1, start_steps=1); session = gouache.Session.build(config); "
        "next(session); session.state_dict(); "
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
