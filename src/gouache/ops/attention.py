"""Attention, computed the way that is fastest where it runs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Up to this many numbers the table of all pairs is made; beyond it memory matters more than time.
MAX_PAIRS = 1 << 26


def attend(query: Tensor, key: Tensor, value: Tensor, *, causal: bool = False) -> Tensor:
    """softmax(q k / sqrt(D)) v for (N,heads,L,D), unmasked or causal: (N,heads,L,D).

    Equals `F.scaled_dot_product_attention`, whose kernel for CPUs is, with the short sequences of
    cutouts, slower than two matrix products: three times in float32, nine times in bf16, forward
    and backward together.
    """
    pairs = query.shape[:-1].numel() * key.shape[-2]
    if causal or query.device.type != "cpu" or pairs > MAX_PAIRS:
        return F.scaled_dot_product_attention(query, key, value, is_causal=causal)
    scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
    with torch.autocast("cpu", enabled=False):  # which would widen the table to float32
        shares = torch.softmax(scores, -1)
    return shares @ value


__all__ = ["MAX_PAIRS", "attend"]
