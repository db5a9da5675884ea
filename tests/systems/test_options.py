"""Options of systems: read once, refused in one line, and each of them changes what is painted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gouache.errors import ConfigError
from gouache.runs.by_system import BySystem, options_and_rest, system_config
from gouache.systems import options as names
from gouache.systems.diffusion import Diffusion
from gouache.systems.glide import Glide, Stage
from gouache.systems.known import Adjustable, options_of
from gouache.systems.mindalle import MinDalle, load_mindalle
from gouache.systems.options import OPTIONS, split_options
from gouache.systems.pocket_ar import PocketAr
from gouache.systems.pocket_diffusion import PocketDiffusion, load_pocket_diffusion
from systems.tiny_diffusion import save_tiny_diffusion

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "mindalle"
NAMES = {option.name for option in OPTIONS}


@pytest.mark.parametrize(
    ("system", "kind"),
    [
        ("mindalle", MinDalle),
        ("glide", Glide),
        ("glide-clip", Glide),
        ("glide-inpaint", Glide),
        ("pocket-ar", PocketAr),
        ("pocket-diffusion-free", PocketDiffusion),
        ("pocket-diffusion-clip", PocketDiffusion),
    ],
)
def test_what_is_told_before_loading_is_what_the_system_has(system: str, kind: Any) -> None:
    assert options_of(system) == kind.options
    assert set(kind.options) <= NAMES
    assert isinstance(kind.adjusted, object)


def test_texts_and_values_are_read_alike() -> None:
    given = {"top_k": "7", "top_p": "0.5", "guidance_scale": 3, "seed": 4}
    options, rest = split_options(given, names.POCKET_AR)
    assert (options, rest) == ({"guidance_scale": 3.0, "top_k": 7, "top_p": 0.5}, {"seed": 4})
    # Steps are another word; what the system lacks is left to those who know settings.
    for steps in ("25", 25, (25,)):
        assert split_options({"steps": steps}, names.GLIDE)[0] == {"respacing": "25"}
    assert split_options({"steps": 25}, names.MINDALLE) == ({}, {"steps": 25})
    assert split_options({"sampler": "ddim"}, names.MINDALLE)[1] == {"sampler": "ddim"}
    assert split_options({"respacing": 30}, None)[0] == {"respacing": "30"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"guidance_scale": -1}, "guidance_scale is -1.0; expected between 0 and 100000"),
        ({"guidance_scale": "nan"}, "guidance_scale is nan"),
        ({"temperature": 0}, "temperature is 0.0; expected more than 0"),
        ({"top_k": -1}, "top_k is -1"),
        ({"top_k": "many"}, "top_k is 'many'; expected whole number"),
        ({"top_p": 1.5}, "top_p is 1.5; expected between 0 and 1"),
        ({"sampler": "ddmi"}, "did you mean ddim"),
        ({"respacing": "fast28"}, "no choice among 1000 steps"),
        ({"respacing": "1001"}, "no choice among 1000 steps"),
        ({"respacing": None}, "respacing has no value"),
        ({"steps": 5, "respacing": "5"}, "say the same"),
    ],
)
def test_mistakes_are_told_before_anything_is_loaded(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        split_options(given, tuple(NAMES))
    assert len(str(caught.value).splitlines()) == 1


def test_the_likeliest_code_needs_no_chance() -> None:
    model = load_mindalle(GOLDEN, dtype=torch.float32)
    assert isinstance(model, Adjustable)
    greedy = model.adjusted({"top_k": 1})
    assert greedy.paint("a cup", 1).tobytes() == greedy.paint("a cup", 2).tobytes()
    assert model.paint("a cup", 1).tobytes() != model.paint("a cup", 2).tobytes()
    assert dict(greedy.settings) == {**model.settings, "top_k": 1}


@pytest.fixture
def diffuser(tmp_path: Path) -> PocketDiffusion:
    save_tiny_diffusion(tmp_path)
    return replace(load_pocket_diffusion("cpu", "free", tmp_path), steps=4)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"guidance_scale": 9.0}, {"scale": 9.0}),
        ({"respacing": "6"}, {"steps": 6}),
        ({"respacing": "ddim4"}, {"steps": "ddim4"}),
        ({"sampler": "ddim"}, {"sampler": "ddim"}),
    ],
)
def test_options_of_diffusion(
    diffuser: PocketDiffusion, options: dict[str, Any], told: dict[str, Any]
) -> None:
    other = diffuser.adjusted(options)
    assert dict(other.settings) == {**diffuser.settings, **told}
    assert other.paint("a cat", 0).tobytes() != diffuser.paint("a cat", 0).tobytes()


def test_a_sampler_without_noise_draws_the_start_only(diffuser: PocketDiffusion) -> None:
    for system, drawn in ((diffuser, 1 + 4), (diffuser.adjusted({"sampler": "ddim"}), 1)):
        asked = []
        shape = system.networks.config

        def draw(asked: list[int] = asked, shape: Any = shape) -> Tensor:
            asked.append(1)
            return torch.ones(1, shape.code_dim, shape.grid, shape.grid)

        system.latents(["a cat"], draw)
        assert len(asked) == drawn


def way() -> Diffusion:
    return Diffusion("linear", 1000, "10", limit=1e9)


def noises() -> Iterator[Tensor]:
    rng = torch.Generator().manual_seed(0)
    while True:
        yield torch.randn(1, 3, 4, 4, generator=rng)


def test_the_true_noise_leads_to_the_picture_at_every_step() -> None:
    found, (picture, noise) = way(), (next(noises()), next(noises()))
    noise = 2 * noise
    for step in (9, 4, 0):
        kept = float(found.kept[step])
        noised = kept**0.5 * picture + (1 - kept) ** 0.5 * noise
        next_one = found.deterministic(lambda *_: noise, noised, step)
        before = float(found.kept[step - 1]) if step else 1.0
        expected = before**0.5 * picture + (1 - before) ** 0.5 * noise
        assert torch.allclose(next_one, expected, atol=1e-4)


def test_a_pull_moves_the_noise_that_is_seen() -> None:
    """As algorithm 2 of Dhariwal and Nichol has it."""
    found, (noised, noise, pull) = way(), [next(noises()), *(next(noises()) for _ in range(2))]
    moved = noise - (1 - float(found.kept[5])) ** 0.5 * pull
    pulled = found.deterministic(lambda *_: noise, noised, 5, lambda *_: pull)
    assert torch.allclose(
        pulled, found.deterministic(lambda *_: moved, noised, 5), rtol=1e-3, atol=1e-4
    )
    assert not torch.allclose(pulled, found.deterministic(lambda *_: noise, noised, 5), atol=1e-2)


def test_what_is_known_is_held_without_noise_too() -> None:
    found, (noised, noise) = way(), (next(noises()), next(noises()))
    held = found.deterministic(lambda *_: noise, noised, 0, hold=lambda picture: picture * 0)
    assert torch.equal(held, torch.zeros_like(noised))


def test_glide_takes_other_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"noise_schedule": "linear", "timestep_respacing": "100"}
    stage = Stage(None, Diffusion("linear", 1000, "100"), told)  # type: ignore[arg-type]
    glide = Glide(stage, stage, None, {})  # type: ignore[arg-type]
    assert isinstance(glide, Adjustable)
    asked = {"respacing": "fast27", "sampler": "ddim", "guidance_scale": 7.0, "temperature": 0.9}
    other = glide.adjusted(asked)
    assert (len(other.base.diffusion), len(other.upsampler.diffusion)) == (27, 100)
    assert dict(other.settings) == {
        **glide.settings, "steps": ["fast27", "100"], "sampler": "ddim", "scale": 7.0,
        "temperature": 0.9,
    }  # fmt: skip
    assert "sampler" not in glide.settings


class Plain:
    settings: dict[str, Any] = {}  # noqa: RUF012

    def paint(self, prompt: str, seed: int) -> Any:
        raise AssertionError


def test_help_states_no_default_where_each_system_has_its_own() -> None:
    assert not [one.name for one in OPTIONS if "default" in one.explain()]


def test_a_system_without_options_is_told() -> None:
    job = BySystem("plain", options={"top_k": 3})
    with pytest.raises(ConfigError, match="plain has no setting top_k"):
        job.with_system(Plain(), system_config("plain", {"prompt": "a cup"}))
    assert options_and_rest(Plain(), {"top_k": 3}) == ({}, {"top_k": 3})
