"""What a picture comes from, as its file tells: how, and the pictures before it, by name and sum.

    {"how": "evolve", "strength": 0.0, "parents": [
        {"name": "a.png", "sha256": "...", "lineage": {"how": "vary", "strength": 0.3, ...}},
        {"name": "b.png", "sha256": "..."}]}

`how` is "evolve" (two pictures crossed) or "vary" (one, by a strength; 0 takes it as it is).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gouache.errors import ImageError
from gouache.inputs import Input, base_name
from gouache.settings.config import PaintConfig

GENERATIONS = 6  # that a file tells of: each may have twice as many pictures as the one after it
_MOST_NAME = 200  # letters of a name or a word that another file tells


def lineage_of(config: PaintConfig, inputs: Sequence[Input]) -> dict[str, Any]:
    """Of a picture that starts from those of `inputs`; what their files tell goes with it."""
    parents = []
    for setting in ("init_image", "cross_image"):
        for one in inputs:
            if one.setting == setting:
                told = {name: value for name, value in one.record().items() if name != "setting"}
                before = None if one.of != "file" else _told_by(getattr(config, setting))
                parents.append(told if before is None else {**told, "lineage": before})
    how = "evolve" if len(parents) > 1 else "vary"
    return {"how": how, "strength": config.latents.init_disturb, "parents": parents}


def kept(lineage: Any, generations: int = GENERATIONS) -> dict[str, Any] | None:
    """What can be used of a lineage that a file tells, so many generations of it; None for none."""
    if not isinstance(lineage, Mapping) or generations < 1:
        return None
    listed = lineage.get("parents")
    listed = listed if isinstance(listed, list) else []
    parents = [one for one in listed if isinstance(one, Mapping)]
    strength = lineage.get("strength")
    number = isinstance(strength, (int, float)) and not isinstance(strength, bool)
    found: dict[str, Any] = {
        "how": str(lineage.get("how", ""))[:_MOST_NAME],
        "strength": strength if number else 0.0,
        "parents": [],
    }
    for parent in parents[:2]:
        texts = {name: parent[name] for name in ("name", "sha256", "of") if name in parent}
        told: dict[str, Any] = {
            name: base_name(str(text))[:_MOST_NAME] for name, text in texts.items()
        }
        if (before := kept(parent.get("lineage"), generations - 1)) is not None:
            told["lineage"] = before
        found["parents"].append(told)
    return found


def _told_by(path: str) -> dict[str, Any] | None:
    from gouache.output.pictures import read_metadata  # which imports PIL

    try:
        return kept(read_metadata(Path(path)).get("lineage"), GENERATIONS - 1)
    except ImageError:  # no picture of ours
        return None


__all__ = ["GENERATIONS", "kept", "lineage_of"]
