"""Shifts sampling towards the concepts that matter most: for trainings short of compute."""

from __future__ import annotations

import dataclasses
from collections import defaultdict

from gouache_training.pack import PictureSet


def focused(pictures: PictureSet, power: float = 0.7, mono: float = 0.45) -> PictureSet:
    """The same pictures with weights times (weight of their concept) ** `power`.

    `mono` multiplies the weight of one-colour icons: a third of all pictures, they teach outlines
    but neither colour nor shading. Held-out pictures keep their weights.
    """
    totals: dict[int, float] = defaultdict(float)
    for entry in pictures.entries:
        if entry.split == "train":
            totals[entry.concept] += entry.weight
    entries = [
        entry
        if entry.split != "train"
        else dataclasses.replace(
            entry,
            weight=entry.weight
            * totals[entry.concept] ** power
            * (mono if entry.kind == "mono" else 1.0),
        )
        for entry in pictures.entries
    ]
    return dataclasses.replace(pictures, entries=entries)
