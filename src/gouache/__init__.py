"""gouache: pictures from words by VQGAN-CLIP (Crowson et al. 2022, arXiv 2204.08583).

    import gouache
    gouache.paint("a red apple").save("apple.png")

Names are imported when first used: `import gouache` alone loads neither torch nor any model.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gouache._version import __version__

if TYPE_CHECKING:
    from gouache.editing import EditConfig, edit, find_mask
    from gouache.engine import Session, resume_session, save_session
    from gouache.errors import GouacheError
    from gouache.films.config import FilmConfig
    from gouache.films.film import Film
    from gouache.films.making import PaintedFilm, film, make_film
    from gouache.generators import load_generator
    from gouache.perceptors import load_perceptor
    from gouache.protocols import Step
    from gouache.runs.painting import Painting, evolve, four, paint, vary
    from gouache.settings.config import PaintConfig, make_config

_HOMES = {
    "EditConfig": "gouache.editing.config",
    "Film": "gouache.films.film",
    "FilmConfig": "gouache.films.config",
    "GouacheError": "gouache.errors",
    "PaintConfig": "gouache.settings.config",
    "PaintedFilm": "gouache.films.making",
    "Painting": "gouache.runs.painting",
    "Session": "gouache.engine",
    "Step": "gouache.protocols",
    "edit": "gouache.editing",
    "evolve": "gouache.runs.painting",
    "film": "gouache.films.making",
    "find_mask": "gouache.editing",
    "four": "gouache.runs.painting",
    "load_generator": "gouache.generators",
    "load_perceptor": "gouache.perceptors",
    "make_config": "gouache.settings.config",
    "make_film": "gouache.films.making",
    "paint": "gouache.runs.painting",
    "resume_session": "gouache.engine",
    "save_session": "gouache.engine",
    "vary": "gouache.runs.painting",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gouache' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


__all__ = [
    "EditConfig",
    "Film",
    "FilmConfig",
    "GouacheError",
    "PaintConfig",
    "PaintedFilm",
    "Painting",
    "Session",
    "Step",
    "__version__",
    "edit",
    "evolve",
    "film",
    "find_mask",
    "four",
    "load_generator",
    "load_perceptor",
    "make_config",
    "make_film",
    "paint",
    "resume_session",
    "save_session",
    "vary",
]
