"""Scores of crops on a regular grid: where in a picture a phrase is (paper, appendix H.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache import halting
from gouache.losses import rivals
from gouache.networks.devices import in_precision
from gouache.protocols import Perceptor

SCALES = (0.3, 0.42, 0.6, 0.8)  # sides of the crops, as shares of the picture's short side
STRIDE = 0.2  # between crops, as a share of their side
COARSE = 0.4  # the same for a large network, which says how much it must see
WINDOW = 0.12  # a crop speaks for a Gaussian about its centre, this share of its side wide
INVERSE_TEMPERATURE = 20.0
KIND_SCALE = 40.0  # about the length of a classifier's scores, which embeddings have lost
DOUBT = 0.1  # weight of the lowest score, against the median of the crops' own
_MOST = 48  # crops along a side at one scale
_BATCH = 64


@dataclass(frozen=True)
class Crops:
    """Squares of one picture (H,W): `boxes` (N,3) left, top, side; `embeddings` (N,D)."""

    size: tuple[int, int]
    boxes: Tensor
    embeddings: Tensor


@torch.no_grad()
def embed_crops(
    image: Tensor,
    perceptor: Perceptor,
    scales: Sequence[float] = SCALES,
    dtype: torch.dtype | None = None,
    stride: float = STRIDE,
) -> Crops:
    """Crops (1,3,H,W) at several scales and embeds them, in half precision where `dtype` says so.

    `stride` is the way from one crop to the next, as a share of their side.

    The picture may be on any device; crops go to the perceptor's.
    """
    device = perceptor.device
    height, width = image.shape[2:]
    boxes = []
    for scale in scales:
        side = max(1, round(scale * min(height, width)))
        tops, lefts = _places(height, side, stride), _places(width, side, stride)
        boxes += [(left, top, side) for top in tops for left in lefts]
    embeddings = []
    for start in range(0, len(boxes), _BATCH):
        halting.check()
        views = [
            F.interpolate(
                image[:, :, top : top + side, left : left + side],
                (perceptor.image_size, perceptor.image_size),
                mode="bilinear",
                antialias=True,
                align_corners=False,
            )
            for left, top, side in boxes[start : start + _BATCH]
        ]
        with in_precision(device, dtype):
            seen = perceptor.embed_image(torch.cat(views).to(device))
        embeddings.append(seen.float().cpu())
    found = F.normalize(torch.cat(embeddings), dim=-1)
    return Crops((height, width), torch.tensor(boxes), found)


def cosines(crops: Crops, phrase: Tensor) -> Tensor:
    """(N,): the paper's L = f(crop) . g(phrase)."""
    return crops.embeddings @ phrase[0]


def likelihoods(crops: Crops, phrase: Tensor, bank: Tensor | None) -> Tensor:
    """(N,) in [0,1]: the phrase's share among the perceptor's other captions.

    Embeddings lie close together, so a cosine alone says little; which caption fits best is what
    the perceptor was trained to tell. Without a bank the picture's own crops are the measure: how
    much better than the average crop.
    """
    if bank is None:
        scores = INVERSE_TEMPERATURE * cosines(crops, phrase)
        return torch.softmax(scores, 0) / torch.softmax(scores, 0).max().clamp_min(1e-12)
    others = rivals(bank.detach().float().cpu(), phrase, phrase.new_zeros(0, phrase.shape[1]))
    scores = INVERSE_TEMPERATURE * crops.embeddings @ torch.cat([phrase, others]).T
    return torch.softmax(scores, 1)[:, 0]


def shares(crops: Crops, phrase: Tensor, kinds: Tensor) -> Tensor:
    """(N,) in [0,1]: how much of each crop is what the phrase means, of all that can be told apart.

    `kinds` is (K,D), see `gouache.protocols.Classifying`. What the phrase means most counts fully,
    anything else by how much less it is meant.
    """
    meant = (phrase @ kinds.T)[0].clamp_min(0)
    meant = meant / meant.max().clamp_min(1e-12)
    return torch.softmax(KIND_SCALE * crops.embeddings @ kinds.T, 1) @ meant


def to_pixels(crops: Crops, scores: Tensor, window: float = WINDOW) -> Tensor:
    """Scores (N,), written at the crops' centres, as a picture (H,W).

    Each pixel is the average of the scores, weighted by Gaussians about the centres.
    """
    left, top, side = crops.boxes.double().unbind(1)
    spread = (window * side)[:, None]
    height, width = crops.size

    def along(length: int, start: Tensor) -> Tensor:  # (N,length)
        place = torch.arange(length, dtype=torch.float64) + 0.5
        away = (place - (start + side / 2)[:, None]) / spread
        return torch.exp(-away.square() / 2)

    rows, columns = along(height, top), along(width, left)
    low = scores.min()
    above = torch.einsum("nh,nw->hw", rows * (scores - low).double()[:, None], columns)
    weight = torch.einsum("nh,nw->hw", rows, columns)
    # At the border no crop has its centre, and the nearest one would speak for all of it.
    return (above / (weight + DOUBT * weight.median())).float() + low


def _places(length: int, side: int, stride: float) -> list[int]:
    if side >= length:
        return [0]
    count = min(_MOST, 1 + -(-(length - side) // max(1, round(stride * side))))
    return [round(k * (length - side) / (count - 1)) for k in range(count)]


__all__ = [
    "Crops",
    "cosines",
    "embed_crops",
    "likelihoods",
    "shares",
    "to_pixels",
]
