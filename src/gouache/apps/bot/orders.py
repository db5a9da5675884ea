"""From options and buttons to documents that the studio reads (`apps/studio/orders.py`)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gouache.apps.studio.orders import Limits as StudioLimits
from gouache.apps.studio.orders import flat_settings, mapping
from gouache.apps.studio.runs import Run
from gouache.errors import ConfigError
from gouache.prompts import Prompt, format_prompts, one_line, parse_prompts
from gouache.runs.varied import COUNT, STRENGTH

OPTIONS = {
    "prompt": "What to paint; | separates wishes",
    "avoid": "What to leave out; commas separate several things",
    "size": "Of the finished picture, such as 512x512",
    "seed": "The same seed, the same picture",
    "count": f"How many pictures, {COUNT} unless you say otherwise",
}
AVOIDED = -0.5  # the weight of what is to be left out
_SEEDS = 2**32
_MANY = 10**6


@dataclass(frozen=True)
class Limits:
    """What one person may ask of the bot; `queue` is for all together."""

    waiting: int = 3  # orders that are not answered yet
    queue: int = 100  # such orders of all
    daily: int = 100  # pictures in 24 hours
    pixels: int = 512 * 512
    together: int = COUNT  # pictures of an order

    def of_studio(self) -> StudioLimits:
        """Those of the studio that paints: how many wait is counted in orders, by the bot."""
        return StudioLimits(
            pixels=self.pixels, together=self.together, queue=_MANY, queue_each=_MANY
        )


def imagined(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of `/imagine` -> a document; `GouacheError` for what is wrong."""
    given = {k: v for k, v in mapping(options, "the order", OPTIONS).items() if v is not None}
    for name in ("prompt", "avoid", "size"):
        if not isinstance(given.get(name, ""), str):
            raise ConfigError(f"{name} is {given[name]!r:.60}; expected text")
    prompt = given.get("prompt", "")
    stages = parse_prompts(prompt)
    if "avoid" in given:
        avoided = [text.strip() for text in given["avoid"].split(",") if text.strip()]
        if not avoided:
            raise ConfigError(f"avoid is {given['avoid']!r:.60}; say what to leave out, or nothing")
        added = tuple(Prompt(text=text, weight=AVOIDED) for text in avoided)
        prompt = format_prompts([(*stage, *added) for stage in stages])
    settings = {name: given[name] for name in ("size", "seed") if name in given}
    return {
        "prompt": prompt,
        "settings": {"seed": secrets.randbelow(_SEEDS), **settings},
        "count": given.get("count", COUNT),
    }


def varied(run: Run) -> dict[str, Any]:
    """Variations of a run's picture."""
    return _like(run) | {"vary": {"of": end_of(run), "strength": STRENGTH}}


def evolved(run: Run, other: Run) -> dict[str, Any]:
    """A run's picture crossed with another's, in the words of the first."""
    return _like(run) | {"evolve": {"of": [end_of(run), end_of(other)]}}


def again(document: Mapping[str, Any]) -> dict[str, Any]:
    """The same with other random numbers."""
    settings = {**document.get("settings", {}), "seed": secrets.randbelow(_SEEDS)}
    return {**document, "settings": settings}


def _like(run: Run) -> dict[str, Any]:
    settings = {**flat_settings(run.config), "seed": secrets.randbelow(_SEEDS)}
    return {"prompt": run.config.title, "settings": settings, "count": COUNT}


def has_picture(run: Run | None) -> bool:
    """Whether it is a picture that was painted, and is there."""
    return run is not None and run.film is None and run.ended and run.picture_path.exists()


def end_of(run: Run) -> str:
    """RUN/NODE of its finished picture; `ConfigError` where there is none."""
    ends = [node["node"] for node in run.nodes if node["kind"] == "end"]
    if not ends or not run.node_path(ends[-1]).exists():
        raise ConfigError("this picture is not there any more; choose another one")
    return f"{run.id}/{ends[-1]}"


def find_image(runs: Mapping[str, Run], name: str) -> Path:
    """The file of RUN/NODE: everybody in a channel may go on from what is shown there."""
    run, _, node = name.partition("/")
    found = runs.get(run)
    path = found.node_path(int(node)) if found is not None and node else None
    if path is None or not path.exists():
        raise ConfigError(f"there is no picture {one_line(name, 60)}; choose another one")
    return path


__all__ = [
    "AVOIDED",
    "OPTIONS",
    "Limits",
    "again",
    "end_of",
    "evolved",
    "find_image",
    "has_picture",
    "imagined",
    "varied",
]
