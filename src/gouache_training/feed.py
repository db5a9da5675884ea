"""Composes training pictures in processes of their own, ahead of the trainer that learns from them.

One process composes a few hundred small pictures a second, or some dozens of large ones; a graphics
card learns from more. What a process needs is named by paths, so that it can be started anew.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from gouache.interrupts import children_wait
from gouache_training.compose import Batch, Composer, Shares
from gouache_training.focus import focused
from gouache_training.pack import PictureSet
from gouache_training.renderings import load_renderings

__all__ = ["Feed", "Recipe", "next_pictures"]


@dataclass(frozen=True)
class Recipe:
    """What is composed.

    Attributes:
        pack: the packed picture set.
        renderings: the archive of its large renderings, if those are to be shown.
        shares: how often composing does what.
        size: side of the pictures in pixels.
        batch: pictures a batch.
    """

    pack: Path
    renderings: Path | None
    shares: Shares
    size: int
    batch: int

    def composer(self, seed: int) -> Composer:
        """A composer of its own, with its own files open."""
        pictures = PictureSet.load(self.pack)
        if self.renderings is not None:
            pictures = load_renderings(pictures, self.renderings)
        return Composer(focused(pictures), torch.Generator().manual_seed(seed), self.shares)


class _Stream(IterableDataset[Batch]):
    def __init__(self, recipe: Recipe, seed: int) -> None:
        self.recipe, self.seed = recipe, seed

    def __iter__(self) -> Iterator[Batch]:
        torch.set_num_threads(1)
        worker = get_worker_info()
        number = 0 if worker is None else worker.id
        composer = self.recipe.composer(self.seed + 7919 * number)
        while True:
            batch = composer.batch(self.recipe.batch, self.recipe.size)
            # A quarter of the bytes; what was drawn has no more levels than these.
            levels = batch.image.mul(255).round_().to(torch.uint8)
            yield dataclasses.replace(batch, image=levels)


class Feed:
    """Batches without end, in the order of the processes: the same seed gives the same ones.

    Args:
        recipe: what is composed.
        workers: how many processes compose, at least 1.
        seed: of the first; others follow from it. Who resumes gives another.
        ahead: batches that each process prepares.
    """

    def __init__(self, recipe: Recipe, workers: int, seed: int, ahead: int = 4) -> None:
        self.recipe = recipe
        loader: DataLoader[Batch] = DataLoader(
            _Stream(recipe, seed),
            batch_size=None,
            num_workers=workers,
            prefetch_factor=ahead,
            multiprocessing_context="spawn",
        )
        with children_wait():  # they go on while a step is finished and saved
            self._batches = iter(loader)

    def batch(self) -> tuple[Tensor, list[str]]:
        """The next pictures, (N,3,size,size) uint8, and their captions."""
        found: Batch = next(self._batches)
        return found.image, found.captions


def next_pictures(
    feed: Feed | None, composer: Composer, n: int, size: int, device: torch.device
) -> tuple[Tensor, list[str]]:
    """Pictures to learn from, (n,3,size,size) float32 in [0,1] on `device`, and their captions.

    A feed gives as many as it does at a time; without one they are composed here.
    """
    if feed is None:
        batch = composer.batch(n, size)
        return batch.image.to(device), batch.captions
    levels, captions = feed.batch()
    return levels.to(device, non_blocking=True).float().div_(255), captions
