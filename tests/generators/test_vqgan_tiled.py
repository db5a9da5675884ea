"""Decoding in strips: no seam, the same picture, nearly the same gradient, less memory."""

from __future__ import annotations

from unittest.mock import patch

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.generators.vqgan import VQGAN, VQGANConfig
from gouache.generators.vqgan_tiled import affine, decode_tiled, margin_of, split
from gouache.networks.memory import kept_bytes


def tiny(**changes: object) -> VQGAN:
    torch.manual_seed(0)
    sizes = {"ch": 8, "num_res_blocks": 1, "z_channels": 8, "embed_dim": 4, "n_embed": 32}
    config = VQGANConfig(**{**sizes, "resolution": 32, "norm_groups": 4, **changes})  # type: ignore[arg-type]
    return VQGAN(config).eval().requires_grad_(False)


def model() -> VQGAN:
    """Three levels, so that something is whole and something in strips; weights that matter."""
    found = tiny(ch_mult=(1, 1, 2), attn_resolutions=())
    for parameter in found.parameters():
        if parameter.ndim == 4:
            parameter.data *= 2
    return found


def codes(batch: int, height: int, width: int, seed: int = 5) -> Tensor:
    return torch.randn(batch, 4, height, width, generator=torch.Generator().manual_seed(seed))


def both(found: VQGAN, q: Tensor, strip: int, whole: int) -> tuple[list[Tensor], list[Tensor]]:
    """Pictures and gradients, untiled and tiled."""
    pictures, gradients = [], []
    weight = torch.randn(1, 3, *(side * 4 for side in q.shape[2:]), generator=_seeded())
    for tiled in (False, True):
        leaf = q.clone().requires_grad_()
        if tiled:
            picture = found._pixels(decode_tiled(found.decoder, found._codes(leaf), strip, whole))
        else:
            picture = found.decode(leaf)
        (picture * weight).sum().backward()
        assert leaf.grad is not None
        pictures.append(picture.detach())
        gradients.append(leaf.grad)
    return pictures, gradients


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(9)


@pytest.mark.parametrize("size", [(24, 10), (17, 33), (40, 40), (5, 3)])
@pytest.mark.parametrize("strip", [1, 7, 16])
@pytest.mark.parametrize("whole", [0, 17, 34])
def test_the_picture_is_that_of_the_untiled_decode(
    size: tuple[int, int], strip: int, whole: int
) -> None:
    found = model()
    (plain, tiled), (exact, near) = both(found, codes(2, *size), strip, whole)
    assert torch.allclose(plain, tiled, atol=2e-5)
    if whole <= size[0] and min(size) > 10:
        cosine = F.cosine_similarity(exact.flatten(), near.flatten(), 0)
        assert cosine > 0.95  # statistics of small pictures depend on each pixel more


def test_the_gradient_comes_closer_with_size() -> None:
    found, cosines = model(), []
    for side in (8, 16, 48):
        _, (exact, near) = both(found, codes(1, side, side), 8, 0)
        cosines.append(float(F.cosine_similarity(exact.flatten(), near.flatten(), 0)))
    assert cosines == sorted(cosines)
    assert cosines[-1] > 0.99


def test_levels_with_attention_are_never_cut() -> None:
    found = tiny(ch_mult=(1, 1, 2), attn_resolutions=(16,))
    head, tail = split(found.decoder, 64, 0)
    assert (len(head), len(tail)) == (2, 1)
    head, tail = split(found.decoder, 64, 10_000)
    assert (len(head), len(tail)) == (3, 0)
    q = codes(1, 12, 12)
    (plain, tiled), _ = both(found, q, 4, 0)
    assert torch.allclose(plain, tiled, atol=2e-5)


def test_a_margin_smaller_by_three_rows_would_show() -> None:
    """The margin is needed: without it strips have seams."""
    found = model()
    with patch("gouache.generators.vqgan_tiled.margin_of", lambda tail: margin_of(tail) - 6):
        (plain, tiled), _ = both(found, codes(1, 40, 12), 8, 0)
    assert not torch.allclose(plain, tiled, atol=1e-4)


def test_statistics_hold_for_large_means() -> None:
    norm = torch.nn.GroupNorm(4, 8)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = torch.randn(2, 8, 300, 20, generator=_seeded()) * 0.1 + 50
    found = affine(norm, x)
    assert torch.allclose(found.silu(x), F.silu(norm(x)), atol=2e-3)
    exact = torch.nn.GroupNorm(4, 8).double()
    exact.load_state_dict(norm.state_dict())
    given = affine(norm, x.double())
    assert torch.allclose(given.scale * x.double() + given.shift, exact(x.double()), atol=2e-3)


def test_less_is_kept_for_the_backward_pass() -> None:
    found = model()
    q = codes(1, 48, 48)
    whole = kept_bytes(found.decode, q)

    def tiled(z: Tensor) -> Tensor:
        return found._pixels(decode_tiled(found.decoder, found._codes(z), 8, 0))

    assert kept_bytes(tiled, q) < 0.25 * whole


def test_decode_tiled_of_the_model_and_without_gradients() -> None:
    found = model()
    q = codes(1, 20, 20)
    with torch.no_grad():
        assert torch.allclose(found.decode_tiled(q), found.decode(q), atol=2e-5)
