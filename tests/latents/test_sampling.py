"""Codebook sampling: what is drawn, how often, and where the gradient goes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from gouache.latents.sampling import SamplingLatent
from gouache.settings.config import LatentConfig, make_config
from tiny import TinyGenerator, tiny_session

CODES = TinyGenerator().codebook
GRID = (40, 50)


def built(spread: float = 1.0, batch: int = 1, **settings: Any) -> SamplingLatent:
    one = torch.randn(1, 6, 1, 1, generator=torch.Generator().manual_seed(1))
    config = LatentConfig(latent="codebook-sampling", sampling_spread=spread, **settings)
    return SamplingLatent(TinyGenerator(), one.expand(batch, 6, *GRID), config)


def chance(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def drawn(latent: SamplingLatent) -> Tensor:
    """Indices (B,h,w) of the codes that the last draw gave."""
    return TinyGenerator().quantize(latent().detach())[1]


def logits(latent: SamplingLatent) -> Tensor:
    return next(latent.parameters())


@pytest.mark.parametrize("noise", ["multinomial", "gumbel"])
@pytest.mark.parametrize(("progress", "temperature"), [(0.0, 1.5), (0.5, 0.75), (1.0, 0.375)])
def test_codes_come_as_often_as_their_probabilities_say(
    noise: str, progress: float, temperature: float
) -> None:
    latent = built(sampling_noise=noise, sampling_temperature=1.5, sampling_temperature_final=0.375)
    latent.draw(chance(0), progress)
    counts = torch.bincount(drawn(latent).flatten(), minlength=len(CODES)).double()
    expected = (logits(latent)[0, :, 0, 0].detach().double() / temperature).softmax(0)
    spread = (expected * (1 - expected) / counts.sum()).sqrt()
    assert bool(((counts / counts.sum() - expected).abs() < 4.5 * spread + 1e-9).all())


def test_logits_of_a_latent_rank_codes_by_distance_and_have_the_spread() -> None:
    latent = built(spread=3.0)
    values = logits(latent)[0, :, 0, 0].detach()
    one = torch.randn(1, 6, generator=torch.Generator().manual_seed(1))
    distances = torch.cdist(one, CODES)[0]
    assert torch.equal(values.argsort(descending=True), distances.argsort())
    torch.testing.assert_close(values.mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(values.std(correction=0), torch.tensor(3.0))


def test_the_gradient_is_that_of_the_mean_code() -> None:
    latent = built(sampling_temperature=0.7)
    latent.draw(chance(0), 0.0)
    wanted = torch.randn(1, 6, *GRID, generator=torch.Generator().manual_seed(2))
    (found,) = torch.autograd.grad((latent() * wanted).sum(), logits(latent))
    copy = logits(latent).detach().clone().requires_grad_()
    mean = torch.einsum("bkhw,kd->bdhw", (copy / 0.7).softmax(1), CODES)
    (expected,) = torch.autograd.grad((mean * wanted).sum(), copy)
    torch.testing.assert_close(found, expected)


def test_gumbel_noise_reaches_the_gradient_and_multinomial_draws_do_not() -> None:
    def gradient(noise: str, seed: int) -> Tensor:
        latent = built(sampling_noise=noise)
        latent.draw(chance(seed), 0.0)
        return torch.autograd.grad(latent().sum(), logits(latent))[0]

    assert torch.equal(gradient("multinomial", 0), gradient("multinomial", 1))
    assert not torch.allclose(gradient("gumbel", 0), gradient("gumbel", 1))


def test_chance_comes_from_each_pictures_own_stream() -> None:
    latent = built(batch=2)
    latent.draw(chance(5, 6), 0.0)
    first = drawn(latent)
    latent.draw(chance(7, 6), 0.0)
    second = drawn(latent)
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[0], second[0])


def test_every_step_draws_anew_and_the_final_picture_does_not() -> None:
    latent, streams = built(), chance(0)
    latent.draw(streams, 0.0)
    first, final = drawn(latent), latent.final()
    latent.draw(streams, 0.0)
    assert not torch.equal(first, drawn(latent))
    assert torch.equal(final, latent.final())
    assert torch.equal(latent.final(), CODES[logits(latent).argmax(1)].movedim(-1, 1))


def test_extreme_uniform_numbers_draw_possible_codes() -> None:
    for noise in ("multinomial", "gumbel"):
        latent = built(sampling_noise=noise)
        latent.draw(chance(0), 0.0)
        assert latent._noise is not None
        for value in (0.0, 1 - 2**-24):
            latent._noise.fill_(value)
            assert bool(latent().isfinite().all())


@pytest.mark.parametrize("rule", ["decay", "stepwise"])
def test_the_pull_on_the_latent_is_left_out(rule: str) -> None:
    settings: dict[str, Any] = {"latent_weight": 5.0, "latent_rule": rule}
    assert "latent" in next(tiny_session(**settings)).losses
    assert "latent" not in next(tiny_session(latent="codebook-sampling", **settings)).losses


def test_the_learning_rate_is_its_own_unless_given() -> None:
    assert make_config("paper", latent="codebook-sampling").optimization.learning_rate == 0.2
    assert make_config("paper").optimization.learning_rate == 0.15
    given = make_config("paper", latent="codebook-sampling", learning_rate=0.3)
    assert given.optimization.learning_rate == 0.3


def test_the_stepwise_pull_leads_to_zero_or_to_the_init_image() -> None:
    from gouache.losses import SteppedLoss

    settings: dict[str, Any] = {
        "latent": "quantized",
        "latent_rule": "stepwise",
        "latent_weight": 1.5,
    }
    plain = tiny_session(**settings)
    (pull,) = [t for t in plain._objective._of_picture if isinstance(t, SteppedLoss)]
    assert pull.target is None

    from gouache.engine.session import Session
    from tiny import TinyPerceptor, tiny_config

    picture = torch.full((3, 24, 32), 0.25)
    session = Session.build(
        tiny_config(**settings),
        generator=TinyGenerator(),
        perceptor=TinyPerceptor(),
        init_image=picture,
    )
    (pull,) = [t for t in session._objective._of_picture if isinstance(t, SteppedLoss)]
    assert pull.target is not None
    assert torch.equal(pull.target, TinyGenerator().encode(picture[None]))
    assert float(next(session).losses["latent"]) == 0.0  # it is there already


def test_a_session_draws_in_every_step_and_cools_down() -> None:
    def pictures(last: float) -> Tensor:
        session = tiny_session(
            latent="codebook-sampling",
            learning_rate=1e-6,
            sampling_temperature_final=last,
            steps=(12,),
        )
        likely = session.picture()
        shown = torch.stack([step.image for step in session])
        return (shown - likely).abs().flatten(1).mean(1)

    warm, cold = pictures(1.0), pictures(1e-3)
    assert bool((warm > 0.01).all())
    assert len(warm.unique()) == len(warm)
    assert float(cold[-1]) < 0.3 * float(warm[-1])
