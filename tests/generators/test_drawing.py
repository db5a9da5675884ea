"""The drawing decoder as a network: any size, tiles without seams, its configuration."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gouache.errors import ModelError
from gouache.generators import load_generator
from gouache.generators.drawing import DrawingConfig, DrawingDecoder, enlarged, small_view

SMALL = DrawingConfig(4, 3, ((8, 1), (6, 1)), ((6, 1), (6, 1), (4, 1)))


def decoder(config: DrawingConfig = SMALL) -> DrawingDecoder:
    """Weights that let every layer speak."""
    torch.manual_seed(0)
    model = DrawingDecoder(config).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.add_(0.2 * torch.randn(parameter.shape))
    return model


def inputs(height: int, width: int, config: DrawingConfig = SMALL) -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(1)
    f = config.downsampling
    return (
        torch.randn(1, 4, height, width, generator=rng),
        torch.rand(1, 3, height * f, width * f, generator=rng),
        torch.randn(1, 3, height * f // 2, width * f // 2, generator=rng),
    )


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9))
def test_any_size_works(height: int, width: int) -> None:
    drawn = decoder()(*inputs(height, width))
    assert drawn.shape == (1, 3, height * 32, width * 32)
    assert drawn.isfinite().all()


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 12))
def test_tiles_equal_the_whole(height: int, width: int, tile: int) -> None:
    model = decoder()
    given_ = inputs(height, width)
    assert torch.allclose(model.tiled(*given_, tile=tile), model(*given_), atol=1e-4)


def test_nothing_beyond_reach_is_seen() -> None:
    """And what is within is: `reach` is neither too small nor twice too large."""
    model = decoder()
    reach = model.reach
    side = 2 * reach + 3
    codes, picture, features = inputs(side, side)
    before = model(codes, picture, features)
    codes, picture, features = codes.clone(), picture.clone(), features.clone()
    middle = side // 2
    codes[..., middle, middle] += 5
    picture[..., middle * 8 : middle * 8 + 8, middle * 8 : middle * 8 + 8] += 1
    features[..., middle * 4 : middle * 4 + 4, middle * 4 : middle * 4 + 4] += 1
    changed = (model(codes, picture, features) - before).abs().amax((0, 1)) > 1e-5
    rows = torch.nonzero(changed.any(1)).flatten() // 32
    assert middle - reach <= int(rows.min()) < middle - reach // 2
    assert middle + reach // 2 < int(rows.max()) <= middle + reach


def test_an_upscaler_needs_no_codes() -> None:
    config = DrawingConfig(0, 0, (), ((6, 1), (6, 1), (4, 1)))
    model = decoder(config)
    picture = torch.rand(1, 3, 10, 14)
    drawn = model(None, picture)
    assert drawn.shape == (1, 3, 40, 56)
    assert not torch.equal(drawn, enlarged(picture))
    assert torch.allclose(model.tiled(None, picture, tile=2), drawn, atol=1e-4)


def test_neighbours_start_alike() -> None:
    """A fresh network shuffles equal pixels: it has no checkerboard to unlearn."""
    torch.manual_seed(0)
    model = DrawingDecoder(SMALL)
    x = model.lower[0](torch.randn(1, 8, 5, 5))
    assert torch.equal(x[..., ::2, ::2], x[..., 1::2, 1::2])


def test_configurations_round_trip() -> None:
    for config in (SMALL, DrawingConfig(), DrawingConfig(0, 0, ())):
        assert DrawingConfig.from_dict(config.to_dict()) == config
    assert DrawingConfig().downsampling == 8
    for values in ({"width": 3}, {"lower": [[1, 2, 3]]}, {"lower": [3]}, {"upper": []}):
        with pytest.raises(ModelError, match="drawing decoder"):
            DrawingConfig.from_dict(values)
    with pytest.raises(ModelError, match="lower levels go with codes"):
        DrawingConfig(code_dim=0)


def test_the_shipped_decoder_fits() -> None:
    generator = load_generator("pocket")
    codes = generator.codebook[torch.arange(20)].T.reshape(1, 16, 4, 5).contiguous()
    with torch.no_grad():
        picture, features = small_view(generator, codes)
        assert torch.equal(picture, generator.decode(codes).clamp(0, 1))
        drawn = DrawingDecoder(DrawingConfig())(codes, picture, features)
    assert drawn.shape == (1, 3, 128, 160)
    parameters = sum(p.numel() for p in DrawingDecoder(DrawingConfig()).parameters())
    assert parameters < 6_000_000  # a byte each
