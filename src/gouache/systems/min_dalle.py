"""min-dalle, a port of DALL-E Mega that goes by nearly the name of minDALL-E."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from PIL.Image import Image

from gouache.systems.known import need


class MinDallePort:
    """DALL-E Mega by the package min-dalle: another model than the paper's, but easy to install.

    The weights (about 2 GB) are fetched into the cache folder when it is first used.
    """

    def __init__(self, device: str) -> None:
        package = need("min-dalle")
        from gouache.weights.records import cache_folder

        self._model = package.MinDalle(
            models_root=str(cache_folder() / "systems" / "min-dalle"),
            device=device,
            is_mega=True,
            is_reusable=True,
            is_verbose=False,
        )

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"model": "dalle-mega"}

    def paint(self, prompt: str, seed: int) -> Image:
        with torch.random.fork_rng(), torch.no_grad():
            picture: Image = self._model.generate_image(
                prompt, seed=seed, grid_size=1, is_verbose=False
            )
        return picture.convert("RGB")


__all__ = ["MinDallePort"]
