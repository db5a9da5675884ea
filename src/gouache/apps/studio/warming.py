"""What is loaded before anybody asks."""

from __future__ import annotations

from contextlib import suppress

from gouache.networks.models import Models
from gouache.priors.loading import Proposer
from gouache.settings.config import make_config


def warm() -> None:
    """Loads what most pictures are painted with, so that the first one begins at once. What is
    wrong with it is told by whoever paints."""
    with suppress(Exception):
        models = Models.load(make_config())
        Proposer(models.generator, models.device)


__all__ = ["warm"]
