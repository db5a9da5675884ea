"""Attention by products equals torch's own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from gouache.ops import attention
from gouache.ops.attention import attend

CASES = [((2, 3, 7, 5), (2, 3, 7, 5)), ((1, 1, 1, 8), (1, 1, 9, 8))]


@pytest.mark.parametrize(("query", "key"), CASES)
@pytest.mark.parametrize("limit", [0, 1 << 20])
def test_equals_the_original(
    query: tuple[int, ...], key: tuple[int, ...], limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "MAX_PAIRS", limit)
    rng = torch.Generator().manual_seed(0)
    parts = [torch.randn(s, generator=rng).requires_grad_() for s in (query, key, key)]
    pull = torch.randn(query, generator=rng)
    found, wanted = attend(*parts), F.scaled_dot_product_attention(*parts)
    torch.testing.assert_close(found, wanted)
    for got, true in zip(
        torch.autograd.grad(found, parts, pull),
        torch.autograd.grad(wanted, parts, pull),
        strict=True,
    ):
        torch.testing.assert_close(got, true)


def test_causal_sees_only_the_past() -> None:
    rng = torch.Generator().manual_seed(1)
    q, k, v = (torch.randn(1, 2, 6, 4, generator=rng) for _ in range(3))
    whole = attend(q, k, v, causal=True)
    start = attend(q[:, :, :3], k[:, :, :3], v[:, :, :3], causal=True)
    torch.testing.assert_close(whole[:, :, :3], start)
    assert not torch.allclose(whole[:, :, 0], attend(q, k, v)[:, :, 0])


def test_under_autocast_it_stays_in_half_precision() -> None:
    q = torch.randn(1, 2, 6, 8, generator=torch.Generator().manual_seed(2)).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        out = attend(q, q, q)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(
        out.float(), attend(q.float(), q.float(), q.float()), atol=0.03, rtol=0.03
    )
