"""Laws that every latent keeps, whatever it optimises."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gouache.engine import resume_session, save_session
from gouache.errors import StateError
from gouache.latents import latents
from gouache.protocols import Latent
from gouache.settings.config import LatentConfig
from tiny import TinyGenerator, TinyPerceptor, tiny_session

SHAPE = (2, 6, 5, 8)
KINDS: dict[str, dict[str, Any]] = {
    "quantized": {"latent": "quantized"},
    "multiscale": {"latent": "multiscale"},
    "continuous": {"latent": "continuous"},
    "sampling": {"latent": "codebook-sampling"},
    "sampling-gumbel": {"latent": "codebook-sampling", "sampling_noise": "gumbel"},
    "sampling-cooling": {
        "latent": "codebook-sampling",
        "sampling_temperature": 2.0,
        "sampling_temperature_final": 0.1,
    },
}
every_kind = pytest.mark.parametrize("kind", KINDS)
every_average = pytest.mark.parametrize("average", [0.0, 0.6])


def start(seed: int = 0) -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def nearest(latent: Tensor) -> Tensor:
    return TinyGenerator().quantize(latent)[0]


def rngs(seed: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed + k) for k in range(SHAPE[0])]


def built(kind: str, average: float = 0.0, begin: Tensor | None = None) -> Latent:
    config = LatentConfig(**KINDS[kind], latent_average=average)
    return latents.get(config.latent)(TinyGenerator(), start() if begin is None else begin, config)


def wander(latent: Latent, steps: int = 4, seed: int = 0) -> Latent:
    """A few steps towards nothing in particular."""
    optimizer = torch.optim.Adam(latent.parameters(), lr=0.4)
    chance = rngs(seed)
    for step in range(steps):
        latent.draw(chance, step / steps)
        optimizer.zero_grad()
        (latent() * start(step + 5)).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        latent.after_step()
    return latent


def test_every_registered_latent_is_held_to_the_laws() -> None:
    assert set(latents.names()) == {settings["latent"] for settings in KINDS.values()}


@every_kind
def test_shapes_and_gradients(kind: str) -> None:
    latent = built(kind)
    latent.draw(rngs(), 0.0)
    for value in (latent(), latent.unrounded()):
        assert value.shape == SHAPE
        assert value.dtype == torch.float32
        gradients = torch.autograd.grad((value * start(1)).sum(), list(latent.parameters()))
        assert all(float(gradient.abs().max()) > 0 for gradient in gradients)
    final = latent.final()
    assert final.shape == SHAPE
    assert not final.requires_grad


@every_kind
def test_what_is_decoded_are_codes_unless_it_is_continuous(kind: str) -> None:
    latent = wander(built(kind))
    latent.draw(rngs(9), 0.5)
    for value in (latent().detach(), latent.final()):
        assert torch.equal(value, nearest(value)) == (kind != "continuous")


@every_kind
@every_average
def test_final_is_what_the_latent_says_without_an_average(kind: str, average: float) -> None:
    latent = wander(built(kind, average))
    said = latent.unrounded().detach()
    expected = said if kind == "continuous" else nearest(said)
    assert torch.equal(latent.final(), expected) == (average == 0.0)


@every_kind
def test_after_a_step_the_latent_is_within_the_codebooks_bounds(kind: str) -> None:
    codebook = TinyGenerator().codebook
    low, high = (bound.view(1, -1, 1, 1) - 1e-4 for bound in (codebook.amin(0), codebook.amax(0)))
    latent = built(kind, begin=start() * 100)
    latent.after_step()
    said = latent.unrounded()
    assert bool(((said >= low) & (said <= high + 2e-4)).all())


@every_kind
@every_average
def test_a_hand_edit_changes_its_cells_only(kind: str, average: float) -> None:
    latent = wander(built(kind, average))
    before, finished = latent.unrounded().detach().clone(), latent.final()
    changed = torch.zeros(SHAPE[0], 1, *SHAPE[2:], dtype=torch.bool)
    changed[1, :, 1:3, 2:7] = True
    edit = nearest(start(9))
    latent.set_latent(edit, changed)
    torch.testing.assert_close(latent.unrounded().detach(), torch.where(changed, edit, before))
    torch.testing.assert_close(latent.final(), torch.where(changed, edit, finished))
    latent.set_latent(edit)
    torch.testing.assert_close(latent.unrounded().detach(), edit)
    torch.testing.assert_close(latent.final(), edit)


@every_kind
@every_average
def test_a_state_brings_everything_back(kind: str, average: float) -> None:
    latent, again = wander(built(kind, average)), built(kind, average)
    state = latent.state_dict()
    again.load_state_dict(state)
    kept = {name: value.clone() for name, value in state.items()}
    for each in (latent, again):
        wander(each, seed=3)
    assert torch.equal(latent.final(), again.final())
    for mine, other in zip(latent.parameters(), again.parameters(), strict=True):
        assert torch.equal(mine, other)
    assert all(torch.equal(value, kept[name]) for name, value in state.items())  # copies
    for name in state:
        with pytest.raises(StateError, match=name):
            again.load_state_dict({k: v for k, v in state.items() if k != name})


def painted(kind: str, **settings: Any) -> Tensor:
    session = tiny_session(bank_size=4, **{**KINDS[kind], **settings})
    for _ in session:
        pass
    return session.picture()


@every_kind
def test_one_seed_one_picture_and_other_seeds_others(kind: str) -> None:
    assert torch.equal(painted(kind, seed=3), painted(kind, seed=3))
    assert not torch.equal(painted(kind, seed=3), painted(kind, seed=4))


@every_kind
def test_each_picture_of_a_batch_is_the_one_painted_alone(kind: str) -> None:
    batch = painted(kind, count=3, seed=10)
    for number in range(3):
        alone = painted(kind, seed=10 + number)
        torch.testing.assert_close(batch[number], alone[0], atol=1e-4, rtol=1e-4)


@every_kind
def test_a_resumed_run_ends_in_the_same_pixels(kind: str, tmp_path: Path) -> None:
    settings = {**KINDS[kind], "count": 2, "latent_average": 0.5, "steps": (7,)}
    session = tiny_session(bank_size=4, **settings)
    list(islice(session, 2))
    edited = session.picture().clone()
    edited[..., :8, :8] = 0
    session.set_image(edited)
    list(islice(session, 2))
    save_session(session, tmp_path / "state")
    again = resume_session(
        tmp_path / "state", generator=TinyGenerator(), perceptor=TinyPerceptor(4)
    )
    expected = [step.image for step in session]
    found = [step.image for step in again]
    assert len(found) == 3
    assert all(map(torch.equal, expected, found))
    assert torch.equal(session.picture(), again.picture())


@every_kind
def test_a_step_that_fails_is_done_again_with_the_same_chance(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tiny_session(**KINDS[kind])
    session = tiny_session(**KINDS[kind])
    expected = [step.image for step in whole]
    found = [step.image for step in islice(session, 3)]
    with monkeypatch.context() as patch:

        def fail() -> None:
            raise KeyboardInterrupt

        patch.setattr(session._latent, "after_step", fail)
        with pytest.raises(KeyboardInterrupt):
            next(session)
    found += [step.image for step in session]
    assert len(found) == len(expected)
    assert all(map(torch.equal, expected, found))


@every_kind
def test_an_init_image_is_where_painting_starts(kind: str) -> None:
    picture = torch.zeros(3, 24, 32)
    picture[0] = 0.9
    settings = {**KINDS[kind], "steps": (1,), "learning_rate": 1e-4, "sampling_spread": 50.0}
    from gouache.engine.session import Session
    from tiny import tiny_config

    session = Session.build(
        tiny_config(**settings),
        generator=TinyGenerator(),
        perceptor=TinyPerceptor(),
        init_image=picture,
    )
    latent = session.latent()
    encoded = TinyGenerator().encode(picture[None])
    assert torch.equal(nearest(latent), nearest(encoded))
    shown = next(session).image  # what the loss sees is drawn, but from what is likely
    expected = TinyGenerator().decode(latent if kind == "continuous" else nearest(encoded))
    close = (shown - expected.clamp(0, 1)).abs().amax(1) < 0.1
    assert float(close.float().mean()) > 0.75
