"""Where the models that come with the package lie."""

from __future__ import annotations

from pathlib import Path

from gouache.errors import ModelError

POCKET = Path(__file__).parent / "pocket"
GENERATOR = POCKET / "generator.safetensors"
PERCEPTOR = POCKET / "perceptor.safetensors"
PRIOR = POCKET / "prior.safetensors"
AUTOREGRESSIVE = POCKET / "autoregressive.safetensors"
DIFFUSION = POCKET / "diffusion.safetensors"
REFEREE = POCKET / "referee.safetensors"
TOKENIZER = POCKET / "tokenizer.json"
PHOTO = Path(__file__).parent / "photo" / "photo.safetensors"


def shipped(path: Path) -> Path:
    """`path`, one of the constants above, once it is certain to exist; else `ModelError`."""
    if not path.is_file():
        raise ModelError(
            f"{path.name} is not in {path.parent}; the installation is incomplete, "
            "install gouache again"
        )
    return path


__all__ = [
    "AUTOREGRESSIVE",
    "DIFFUSION",
    "GENERATOR",
    "PERCEPTOR",
    "PHOTO",
    "POCKET",
    "PRIOR",
    "REFEREE",
    "TOKENIZER",
    "shipped",
]
