"""Laws of vector quantisation and of the gradients through it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gouache.ops.codes import clamp_with_grad, nearest_codes, squared_norms, straight_through


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    num_vectors=st.integers(0, 40),
    num_codes=st.integers(1, 60),
    dim=st.integers(1, 24),
    scale=st.sampled_from([1e-3, 1.0, 100.0]),
    max_distances=st.sampled_from([1, 64, 1 << 20]),
)
def test_finds_the_same_code_as_brute_force(
    seed: int, num_vectors: int, num_codes: int, dim: int, scale: float, max_distances: int
) -> None:
    vectors = torch.randn(num_vectors, dim, generator=rng(seed)) * scale
    codes = torch.randn(num_codes, dim, generator=rng(seed + 1)) * scale
    found = nearest_codes(vectors, codes, max_distances=max_distances)
    assert found.shape == (num_vectors,)
    assert found.dtype == torch.int64
    distances = torch.cdist(vectors.double(), codes.double())
    # In float32 a code may win that is farther by a rounding error only.
    best = distances.min(1).values if num_vectors else distances.new_zeros(0)
    excess = distances.gather(1, found[:, None])[:, 0] - best
    assert (excess <= 1e-3 * scale).all()
    clear = distances.topk(min(2, num_codes), largest=False).values.diff().gt(1e-3 * scale).all(1)
    assert torch.equal(found[clear], distances.argmin(1)[clear])


def test_a_code_is_nearest_to_itself() -> None:
    codes = torch.randn(500, 32, generator=rng())
    assert torch.equal(nearest_codes(codes, codes), torch.arange(500))


def test_of_equal_codes_the_first_wins_whatever_the_chunks() -> None:
    # Small whole numbers: every sum is exact in float32, so ties are ties.
    codes = torch.randint(-3, 4, (200, 8), generator=rng()).float()
    codes = torch.cat([codes, codes, codes.flip(0)])
    vectors = torch.randint(-3, 4, (300, 8), generator=rng(1)).float()
    distances = (vectors[:, None] - codes).square().sum(2)
    expected = (distances == distances.min(1, keepdim=True).values).int().argmax(1)
    for max_distances in (1, 7 * len(codes), 1 << 24):
        found = nearest_codes(vectors, codes, max_distances=max_distances)
        assert torch.equal(found, expected)


def test_given_norms_change_nothing() -> None:
    codes, vectors = torch.randn(64, 8, generator=rng()), torch.randn(50, 8, generator=rng(1))
    given_norms = nearest_codes(vectors, codes, squared_norms(codes))
    assert torch.equal(given_norms, nearest_codes(vectors, codes))


def test_half_precision_surroundings_do_not_confuse_neighbours() -> None:
    codes = 1 + 0.05 * torch.randn(400, 4, generator=rng())  # bfloat16 cannot tell many apart
    with torch.autocast("cpu", torch.bfloat16):
        found = nearest_codes(codes, codes)
    assert (codes[found] - codes).norm(dim=1).max() < 2e-3


def test_memory_is_bounded_by_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    addmm = torch.addmm

    def spy(*args: torch.Tensor, **kwargs: float) -> torch.Tensor:
        out: torch.Tensor = addmm(*args, **kwargs)
        sizes.append(out.numel())
        return out

    monkeypatch.setattr(torch, "addmm", spy)
    nearest_codes(torch.randn(100, 4), torch.randn(30, 4), max_distances=300)
    assert sizes == [300] * 10


def test_straight_through_is_the_quantised_value_with_identity_gradient() -> None:
    latent = (1e4 * torch.randn(2, 3, 4, 5, generator=rng())).requires_grad_()
    quantized = torch.randn(2, 3, 4, 5, generator=rng(1))
    upstream = torch.randn(2, 3, 4, 5, generator=rng(2))
    out = straight_through(latent, quantized)
    assert torch.equal(out, quantized)
    out.backward(upstream)
    assert latent.grad is not None
    assert torch.equal(latent.grad, upstream)


def test_straight_through_does_not_share_memory_with_the_codes() -> None:
    quantized = torch.zeros(3)
    straight_through(torch.ones(3, requires_grad=True), quantized).detach().add_(1)
    assert torch.equal(quantized, torch.zeros(3))


def test_clamp_passes_what_brings_a_value_back() -> None:
    x = torch.tensor([-1.0, -1.0, 0.5, 0.5, 2.0, 2.0, 0.0, 1.0], requires_grad=True)
    upstream = torch.tensor([-3.0, 3.0, -3.0, 3.0, -3.0, 3.0, 3.0, -3.0])
    out = clamp_with_grad(x, 0.0, 1.0)
    assert torch.equal(out, x.detach().clamp(0, 1))
    out.backward(upstream)
    # Descent subtracts the gradient: a negative one lifts -1, a positive one lowers 2.
    assert x.grad is not None
    assert x.grad.tolist() == [-3.0, 0.0, -3.0, 3.0, 0.0, 3.0, 3.0, -3.0]


@pytest.mark.parametrize(("start", "target"), [(4.0, 0.3), (-3.0, 0.7)])
def test_descent_leaves_saturation(start: float, target: float) -> None:
    x = torch.tensor([start], requires_grad=True)
    for _ in range(200):
        (gradient,) = torch.autograd.grad((clamp_with_grad(x, 0, 1) - target).square().sum(), x)
        with torch.no_grad():
            x -= 0.1 * gradient
    assert abs(x.item() - target) < 1e-3
