"""Laws of the quantised latent."""

import pytest
import torch
from torch import Tensor

from gouache.errors import ConfigError, StateError
from gouache.latents import latents
from gouache.latents.quantized import QuantizedLatent
from gouache.protocols import Generator
from gouache.settings.config import LatentConfig
from tiny import TinyGenerator

SHAPE = (2, 6, 3, 4)


def start(seed: int = 0) -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def built(average: float = 0.0) -> QuantizedLatent:
    return QuantizedLatent(TinyGenerator(), start(), LatentConfig(latent_average=average))


def z_of(latent: QuantizedLatent) -> Tensor:
    return next(latent.parameters())


def test_registered_by_name() -> None:
    assert latents.get("quantized") is QuantizedLatent
    with pytest.raises(ConfigError, match="did you mean quantized"):
        latents.get("quantised")
    assert isinstance(TinyGenerator(), Generator)


def test_what_is_decoded_are_codes_and_the_gradient_is_the_identitys() -> None:
    latent = built()
    codes = latent()
    again, _ = TinyGenerator().quantize(codes)
    assert torch.equal(codes, again)
    wanted = start(1)
    (gradient,) = torch.autograd.grad((codes * wanted).sum(), z_of(latent))
    assert torch.equal(gradient, wanted)


def test_start_is_copied() -> None:
    given = start()
    latent = QuantizedLatent(TinyGenerator(), given, LatentConfig())
    latent.set_latent(torch.zeros(SHAPE))
    assert torch.equal(given, start())


def test_clamped_to_the_codebook_after_a_step() -> None:
    latent, codebook = built(), TinyGenerator().codebook
    latent.set_latent(start() * 100)
    latent.after_step()
    low, high = (bound.view(1, -1, 1, 1) for bound in (codebook.amin(0), codebook.amax(0)))
    assert torch.equal(z_of(latent), (start() * 100).clamp(low, high))


def test_moving_average_has_no_bias_from_the_start() -> None:
    latent = built(average=0.9)
    values = [start(seed) / 10 for seed in range(1, 5)]
    for value in values:
        with torch.no_grad():
            z_of(latent).copy_(value)
        latent.after_step()
    weights = torch.tensor([0.9 ** (3 - k) for k in range(4)])
    expected = sum(w * v for w, v in zip(weights / weights.sum(), values, strict=True))
    torch.testing.assert_close(latent.state_dict()["average"], expected)
    assert torch.equal(latent.final(), TinyGenerator().quantize(latent.state_dict()["average"])[0])


def test_set_latent_replaces_only_what_changed() -> None:
    latent = built(average=0.5)
    latent.after_step()
    before = {name: value.clone() for name, value in latent.state_dict().items()}
    changed = torch.zeros(2, 1, 3, 4, dtype=torch.bool)
    changed[1, 0, 2, 3] = True
    latent.set_latent(torch.full(SHAPE, 0.25), changed)
    for name in ("z", "average"):
        after = latent.state_dict()[name]
        assert (after[1, :, 2, 3] == 0.25).all()
        assert torch.equal(after[~changed.expand(SHAPE)], before[name][~changed.expand(SHAPE)])
    latent.set_latent(torch.full(SHAPE, -0.25))
    assert (latent.state_dict()["average"] == -0.25).all()


def test_state_round_trip_and_refusals() -> None:
    latent, other = built(average=0.5), built(average=0.5)
    latent.set_latent(start(3))
    latent.after_step()
    state = latent.state_dict()
    other.load_state_dict(state)
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in state.items())
    with pytest.raises(StateError, match="no 'average'"):
        other.load_state_dict({"z": state["z"]})
    with pytest.raises(StateError, match="has shape"):
        other.load_state_dict({**state, "z": state["z"][:1]})
