"""Run folders of films, as far as they can be read without any model. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gouache._version import __version__
from gouache.errors import StateError
from gouache.prompts import one_line

FRAMES = "frames"
_KEPT = ("format", "config", "generator", "perceptors", "inputs", "film")


def is_film(path: Path) -> bool:
    """Whether `path` is the run folder of a film."""
    return "film" in _settings(path)


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder; what is no possible name is none."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def film_document_of(path: Path) -> dict[str, Any]:
    """What the run folder of a film tells, as a document like that of its file; `painted` frames
    are there. `StateError` where it cannot be read."""
    from gouache.output.state import load_state

    if not is_film(path):
        raise StateError(f"no film at {one_line(path)}: give a film's file or its run folder")
    _, meta = load_state(path / "state.safetensors")
    painted = sum(1 for _ in (path / FRAMES).glob("*.png"))
    return film_document(meta) | {"painted": painted}


def film_document(meta: Mapping[str, Any]) -> dict[str, Any]:
    """What the file of a film tells of it, out of its state: all that painting it again needs, and
    no paths."""
    return {"version": __version__, **{name: meta[name] for name in _KEPT if name in meta}}


def _settings(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads((path / "settings.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, Mapping) else {}


__all__ = ["FRAMES", "film_document", "film_document_of", "is_film", "is_folder"]
