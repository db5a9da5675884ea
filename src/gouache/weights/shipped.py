"""Where the models that come with the package lie, packed by gzip (`gz`)."""

from __future__ import annotations

from pathlib import Path

from gouache.errors import ModelError
from gouache.weights.gz import packed_or_plain

POCKET = Path(__file__).parent / "pocket"
GENERATOR = POCKET / "generator.safetensors.gz"
PERCEPTOR = POCKET / "perceptor.safetensors.gz"
PRIOR = POCKET / "prior.safetensors.gz"
AUTOREGRESSIVE = POCKET / "autoregressive.safetensors.gz"
DIFFUSION = POCKET / "diffusion.safetensors.gz"
REFEREE = POCKET / "referee.safetensors.gz"
TOKENIZER = POCKET / "tokenizer.json.gz"
PHOTO = Path(__file__).parent / "photo" / "photo.safetensors.gz"


def shipped(path: Path) -> Path:
    """`path`, one of the constants above or the same in another folder, once it is certain to exist
    (`gz.packed_or_plain`); else `ModelError`."""
    path = packed_or_plain(path)
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
