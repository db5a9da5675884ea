"""Laws of the latent of several resolutions: the quantised one's, for the sum of its levels."""

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
from gouache.latents.multiscale import MultiscaleLatent
from gouache.latents.quantized import QuantizedLatent
from gouache.settings.config import LatentConfig
from tiny import TinyGenerator, TinyPerceptor, tiny_session

SHAPE = (2, 6, 9, 16)


def start(seed: int = 0) -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def built(average: float = 0.0, shape: tuple[int, ...] = SHAPE) -> MultiscaleLatent:
    config = LatentConfig(latent_average=average)
    return MultiscaleLatent(
        TinyGenerator(), start().view(-1)[: shape_size(shape)].view(shape), config
    )


def shape_size(shape: tuple[int, ...]) -> int:
    return int(torch.tensor(shape).prod())


def wander(latent: MultiscaleLatent, steps: int = 3) -> MultiscaleLatent:
    """A few optimiser steps towards nothing in particular."""
    optimizer = torch.optim.Adam(latent.parameters(), lr=0.3)
    for step in range(steps):
        optimizer.zero_grad()
        (latent() * start(step + 5)).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        latent.after_step()
    return latent


def bounds() -> tuple[Tensor, Tensor]:
    codebook = TinyGenerator().codebook
    return codebook.amin(0).view(1, -1, 1, 1), codebook.amax(0).view(1, -1, 1, 1)


def test_registered_by_name() -> None:
    assert latents.get("multiscale") is MultiscaleLatent


@pytest.mark.parametrize(
    ("grid", "coarse"),
    [((9, 16), [(5, 8), (3, 4), (2, 2)]), ((3, 4), [(2, 2)]), ((2, 9), []), ((1, 1), [])],
)
def test_levels_halve_until_they_would_only_shift_colours(
    grid: tuple[int, int], coarse: list[tuple[int, int]]
) -> None:
    levels = list(built(shape=(1, 6, *grid)).parameters())
    assert [tuple(level.shape[-2:]) for level in levels] == [grid, *coarse]
    assert all(level.requires_grad for level in levels)


def test_it_starts_like_a_single_level() -> None:
    latent = built()
    single = QuantizedLatent(TinyGenerator(), start(), LatentConfig())
    assert torch.equal(latent.unrounded(), start())
    assert torch.equal(latent(), single())
    assert torch.equal(latent.final(), single.final())


def test_what_is_decoded_are_codes_of_the_sum() -> None:
    latent = wander(built())
    full, *coarse = latent.parameters()
    assert all(level.abs().max() > 0.1 for level in coarse)
    total = full.detach()
    for level in coarse:
        total = total + torch.nn.functional.interpolate(
            level.detach(), SHAPE[-2:], mode="bilinear", align_corners=False
        )
    torch.testing.assert_close(latent.unrounded().detach(), total)
    codes, _ = TinyGenerator().quantize(total)
    assert torch.equal(latent().detach(), codes)


def test_all_levels_have_a_gradient_and_coarse_ones_gather_it() -> None:
    latent = built()
    gradients = torch.autograd.grad(latent().sum(), list(latent.parameters()))
    cells = SHAPE[2] * SHAPE[3]
    for gradient in gradients:
        torch.testing.assert_close(gradient.sum((2, 3)), torch.full(SHAPE[:2], float(cells)))


def test_the_sum_is_clamped_after_a_step() -> None:
    latent = built()
    with torch.no_grad():
        for level in latent.parameters():
            level.mul_(100).add_(50)
    expected = latent.unrounded().detach().clamp(*bounds())
    latent.after_step()
    torch.testing.assert_close(latent.unrounded().detach(), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("average", [0.0, 0.5])
def test_a_latent_can_be_replaced_in_part(average: float) -> None:
    latent = wander(built(average))
    before = latent.unrounded().detach().clone()
    changed = torch.zeros(2, 1, 9, 16, dtype=torch.bool)
    changed[1, :, 2:5, 3:9] = True
    latent.set_latent(start(9), changed)
    after = latent.unrounded().detach()
    torch.testing.assert_close(after, torch.where(changed, start(9), before))
    latent.set_latent(start(8))
    torch.testing.assert_close(latent.unrounded().detach(), start(8))
    codes, _ = TinyGenerator().quantize(start(8))
    assert (latent.final() == codes).float().mean() > 0.99


@pytest.mark.parametrize("average", [0.0, 0.5])
def test_states_bring_back_every_level(average: float) -> None:
    latent = wander(built(average))
    state = latent.state_dict()
    again = built(average)
    again.load_state_dict(state)
    for mine, other in zip(again.parameters(), latent.parameters(), strict=True):
        assert torch.equal(mine, other)
    assert torch.equal(again.final(), latent.final())
    before = {name: value.clone() for name, value in state.items()}
    wander(latent)
    assert all(torch.equal(value, before[name]) for name, value in state.items())  # copies
    for name in state:
        with pytest.raises(StateError, match=name):
            built(average).load_state_dict({k: v for k, v in state.items() if k != name})
    with pytest.raises(StateError, match="coarse1"):
        built(average).load_state_dict({**state, "coarse1": torch.zeros(2, 6, 1, 1)})


def test_a_run_resumes_exactly_and_takes_edits(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "latent": "multiscale",
        "count": 2,
        "latent_average": 0.5,
        "clip_grad": 0.5,
    }
    session = tiny_session(bank_size=4, **settings)
    list(islice(session, 2))
    edited = session.picture().clone()
    edited[..., :8, :8] = 0
    session.set_image(edited)
    list(islice(session, 1))
    save_session(session, tmp_path / "state")
    again = resume_session(
        tmp_path / "state", generator=TinyGenerator(), perceptor=TinyPerceptor(4)
    )
    expected = [step.image for step in session]
    found = [step.image for step in again]
    assert len(found) == 3
    assert all(map(torch.equal, expected, found))
    assert torch.equal(session.picture(), again.picture())


def test_each_picture_of_a_batch_is_the_one_painted_alone() -> None:
    def final(**settings: Any) -> Tensor:
        session = tiny_session(latent="multiscale", **settings)
        for _ in session:
            pass
        return session.picture()

    batch = final(count=3, seed=10)
    for number in range(3):
        alone = final(seed=10 + number)
        torch.testing.assert_close(batch[number], alone[0], atol=1e-4, rtol=1e-4)
