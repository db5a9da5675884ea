"""What somebody may ask of the studio: checked, and within limits, before anything is queued."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gouache.editing.config import EditConfig, edit_settings, painting_config
from gouache.errors import ConfigError
from gouache.films.config import FilmConfig
from gouache.prompts import parse_prompts
from gouache.runs.varied import STRENGTH, evolve_settings, vary_settings
from gouache.settings.config import PaintConfig, make_config, parse_perceptor, settings
from gouache.settings.presets import GUIDES, NOBODY

_ID = re.compile(r"[0-9a-f]{32}")
_PICTURE = re.compile(r"[0-9a-f]{32}(/\d{1,6})?")  # an upload, or a node of a run
# Settings that name files, or that only the owner of the machine decides.
NOT_SET = {
    *("prompt", "prompts", "image_prompts", "init_image", "cross_image", "init_disturb", "count"),
    *("device", "precision", "compile", "losses"),
}
_WITH_MASK = {"composite": True}  # what an edit with a mask is otherwise than elsewhere
_KEYS = ("prompt", "settings", "image", "image_prompts", "edit", "parent", "count")
_VARIED = ("vary", "evolve", "near")  # from other pictures, or near one
# Of the pull on the latent, at the most: shapes stay whatever the words say. It grows so that half
# of it keeps places and leaves the rest to the words, and at 0.6 most of a broad stroke's colour is
# left at the end.
NEAR_WEIGHT, NEAR_POWER = 200.0, 4.0
_EDIT_KEYS = ("replace", "from", "mask", "settings", "disturb")


@dataclass(frozen=True)
class Limits:
    """What one request may ask for, and how many may wait."""

    pixels: int = 1024 * 1024
    steps: int = 2000
    cutouts: int = 256
    queue: int = 20
    queue_each: int = 10  # of one visitor
    together: int = 4  # of one order, with seeds in a row
    frames: int = 1200  # of a film
    film_steps: int = 20_000  # of all its frames
    upload_bytes: int = 20 * 2**20
    upload_pixels: int = 32 * 2**20  # of what is decoded at full size; a JPEG may have more
    uploads: int = 500  # pictures kept for one visitor
    upload_space: int = 256 * 2**20  # bytes of them
    upload_space_of_all: int = 4 * 2**30  # bytes of all visitors' pictures
    seconds_each: float | None = None  # of painting a day, for one visitor
    bytes_each: int | None = None  # of one visitor's runs and pictures


@dataclass(frozen=True)
class EditOrder:
    """An edit of the picture instead of a painting from it."""

    replace: str = ""
    old: str = ""
    mask: Path | None = None
    config: EditConfig = field(default_factory=EditConfig)


@dataclass(frozen=True)
class Order:
    """A checked request: settings, what to start from or to edit, and where it comes from.

    `count` pictures are asked for, with seeds from that of `config` on.
    """

    config: PaintConfig
    image: Path | None = None
    edit: EditOrder | None = None
    parent: str = ""
    sized: bool = False
    count: int = 1
    other: Path | None = None  # the picture that `image` is crossed with
    how: str = ""  # vary, evolve, edit, film or branch; "" for a picture of its own
    parents: tuple[str, ...] = ()  # points of the history, RUN/NODE, that it comes from
    film: FilmConfig | None = None  # a film instead of a picture; it begins with `image`, if any


def read_order(
    document: Any,
    limits: Limits,
    find_image: Callable[[str], Path],
    models: Mapping[str, Sequence[str]],
    preset: str = "auto",
) -> Order:
    """A JSON document -> an order; `GouacheError` with one line for whatever is wrong with it.

    `find_image` turns the id of an upload, or "RUN/NODE", into a file, for this visitor only.
    `models` names what may be painted with: a name never becomes a path or a download here.
    """
    body = mapping(document, "the request", (*_KEYS, *_VARIED))
    prompt = _text(body.get("prompt", ""), "prompt")
    given = dict(mapping(body.get("settings", {}), "settings", None))
    for name in given:
        if name in NOT_SET:
            raise ConfigError(f"{name!r:.60} is not a setting of the studio; leave it out")
    for kind, allowed in models.items():
        check_models(kind, given.get(kind), allowed)
    image = _image(body.get("image"), "image", find_image)
    varied, other = _read_varied(body, find_image), ""
    prompts = body.get("image_prompts", [])
    if not _is_list(prompts) or len(prompts) > 8:
        raise ConfigError("image_prompts must be a list of at most 8 entries {image, weight}")
    given["image_prompts"] = [_image_prompt(one, find_image) for one in prompts]
    edit = None
    if body.get("edit") is not None:
        edit = _read_edit(body["edit"], find_image)
        if image is None:
            raise ConfigError("an edit needs a picture: give image")
    if varied is not None:
        if image is not None or edit is not None:
            raise ConfigError(f"{varied.how} brings its pictures; leave image and edit out")
        start = dict(varied.start)
        image, other = Path(start.pop("init_image")), start.pop("cross_image")
        given |= start
    if (near := _share(body.get("near", 0), "near")) > 0:
        if image is None or edit is not None:
            raise ConfigError("near is for a painting from a picture; give image, or leave it out")
        given |= near_settings(near)
    given["prompt"] = prompt
    if edit is None:
        config = make_config(preset, **given)
    else:
        given |= _disturbed(body["edit"], edit)
        config = painting_config(preset, given, drawn=not edit.config.composite)
    if prompt or not config.image_prompts:
        parse_prompts(prompt)
    check_limits(config, limits)
    parent = _text(body.get("parent", ""), "parent")
    if parent and not _PICTURE.fullmatch(parent):
        raise ConfigError(f"parent is {parent!r:.60}; expected the id of a run, or ID/NODE")
    count = _count(body.get("count", 1), limits.together)
    config.updated(seed=config.seed + count - 1)  # the last one's has to be possible
    crossed = Path(other) if other else None
    order = Order(config, image, edit, parent, "size" in given, count, crossed)
    if varied is not None:
        parent = parent or varied.parents[0]
        return replace(order, how=varied.how, parents=varied.parents, parent=parent)
    how = "edit" if edit is not None else "branch" if parent else ""
    return replace(order, how=how, parents=(parent,) if parent else ())


def near_settings(near: float) -> dict[str, Any]:
    """The settings that keep a painting near the picture it starts from: 0 is free, 1 the most."""
    return {
        "latent_rule": "stepwise",
        "latent_weight": round(NEAR_WEIGHT * near**NEAR_POWER, 6),
        "latent_drop": 0.0,
    }


def installed_models() -> dict[str, list[str]]:
    """Names of generators and perceptors that need no download, of latents and of judges."""
    from gouache.latents import latents
    from gouache.weights import cache, catalogue

    found = {"latent": list(latents.names())}
    for kind in ("generator", "perceptor"):
        names = list(GUIDES) if kind == "perceptor" else ["pocket"]
        for name in catalogue.names(kind):
            entry = catalogue.find(name)
            if name not in names and entry is not None and cache.cached(entry) is not None:
                names.append(name)
        found[kind] = names
    found["start_judge"] = [NOBODY, "referee", *found["perceptor"]]
    return found


def flat_settings(config: PaintConfig) -> dict[str, Any]:
    """Settings by name, without those that the studio does not take: fit for another order."""
    return {
        item.name: item.plain(item.get(config)) for item in settings() if item.name not in NOT_SET
    }


def read_id(text: Any, what: str) -> str:
    """An id as the studio gives them out; anything else (a path, say) is refused."""
    if not isinstance(text, str) or not _ID.fullmatch(text):
        raise ConfigError(f"{what} is {text!r:.60}; expected 32 hexadecimal digits")
    return text


def settings_table() -> list[dict[str, Any]]:
    """Name, help, default and range of each setting, as the page and other clients want them."""
    everything = (*settings(), *edit_settings())
    found = [item.document() for item in everything if item.name not in NOT_SET]
    return [one | {"default": _WITH_MASK.get(one["name"], one["default"])} for one in found]


def presets_table(perceptors: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What differs from the defaults with each perceptor, and with those of the default together
    (joined by commas): an order that does not say otherwise gets it."""
    table: dict[str, dict[str, Any]] = {}
    plain = flat_settings(PaintConfig())
    for names in (PaintConfig.perceptor, *((name,) for name in perceptors)):
        found = flat_settings(make_config(perceptor=names))
        del found["perceptor"]
        table[",".join(names)] = {k: v for k, v in found.items() if v != plain[k]}
    return table


@dataclass(frozen=True)
class _Varied:
    """What is asked for of pictures there are: one disturbed, or two crossed."""

    how: str
    parents: tuple[str, ...]
    start: Mapping[str, Any]  # settings


def _read_varied(body: Mapping[str, Any], find_image: Callable[[str], Path]) -> _Varied | None:
    vary, evolve = body.get("vary"), body.get("evolve")
    if vary is not None and evolve is not None:
        raise ConfigError("both vary and evolve are given; give one of them")
    if vary is not None:
        asked = mapping(vary, "vary", ("of", "strength"))
        strength = _share(asked.get("strength", STRENGTH), "vary.strength")
        parents, images = _nodes([asked.get("of")], "vary.of", find_image)
        return _Varied("vary", parents, vary_settings(images[0], strength))
    if evolve is not None:
        pair: Any = mapping(evolve, "evolve", ("of",)).get("of")
        if not _is_list(pair) or len(pair) != 2:
            raise ConfigError("evolve.of must be a list of two pictures, RUN/NODE each")
        parents, images = _nodes(pair, "evolve.of", find_image)
        return _Varied("evolve", parents, evolve_settings(*images))
    return None


def _nodes(
    given: Sequence[Any], what: str, find_image: Callable[[str], Path]
) -> tuple[tuple[str, ...], tuple[Path, ...]]:
    """Names and files of points of the history."""
    for one in given:
        if not isinstance(one, str) or not _PICTURE.fullmatch(one) or "/" not in one:
            raise ConfigError(f"{what} has {one!r:.60}; expected RUN/NODE")
    return tuple(given), tuple(map(find_image, given))


def check_models(kind: str, given: Any, allowed: Sequence[str]) -> None:
    """Raises `ConfigError` unless all that is given for this kind, None or names, is allowed."""
    names = [given] if isinstance(given, str) else [] if given is None else given
    if not _is_list(names):
        raise ConfigError(f"{kind} is {given!r:.60}; expected the name of a model")
    for name in names:
        # The whole name: what follows one may be a path.
        known = isinstance(name, str) and (
            name in allowed or (kind == "perceptor" and parse_perceptor(name)[0] in allowed)
        )
        if not known:
            raise ConfigError(f"{kind} is {name!r:.60}; this studio has {', '.join(allowed)}")


def check_pixels(size: tuple[int, int], limits: Limits, what: str) -> None:
    """Raises `ConfigError`, a line that begins with `what`, for more than this studio paints."""
    width, height = size
    if width * height > limits.pixels:
        raise ConfigError(
            f"{what} {width}x{height}; this studio paints at most {limits.pixels:,} pixels"
        )


def check_limits(config: PaintConfig, limits: Limits) -> None:
    """Raises `ConfigError` for what is too large for this studio."""
    check_pixels(config.size, limits, "size is")
    if sum(config.steps) > limits.steps:
        raise ConfigError(
            f"{sum(config.steps)} steps are asked for; this studio does at most {limits.steps}"
        )
    cutouts = config.cutouts.num_cutouts
    if cutouts > limits.cutouts:
        raise ConfigError(f"num_cutouts is {cutouts}; at most {limits.cutouts} here")
    tries = config.latents.start_tries
    if tries > 64:
        raise ConfigError(f"start_tries is {tries}; at most 64 here")


def _read_edit(document: Any, find_image: Callable[[str], Path]) -> EditOrder:
    body = mapping(document, "edit", _EDIT_KEYS)
    names = [item.name for item in edit_settings()]
    given = mapping(body.get("settings", {}), "edit.settings", names)
    mask = _image(body.get("mask"), "edit.mask", find_image)
    # Who draws a mask wants nothing else to change, and the picture's own size.
    kept = {} if mask is None else _WITH_MASK
    return EditOrder(
        replace=_text(body.get("replace", ""), "edit.replace"),
        old=_text(body.get("from", ""), "edit.from"),
        mask=mask,
        config=EditConfig().updated(**{**kept, **given}),
    )


def _disturbed(document: Mapping[str, Any], edit: EditOrder) -> dict[str, float]:
    """The setting by which tries on a marked part differ: it begins disturbed, by each seed."""
    disturb = _share(document.get("disturb", 0), "edit.disturb")
    if disturb and edit.mask is None and not edit.replace:
        raise ConfigError(
            "edit.disturb is for a marked part; give mask or replace, or leave it out"
        )
    return {"init_disturb": disturb} if disturb else {}


def _image_prompt(document: Any, find_image: Callable[[str], Path]) -> str:
    body = mapping(document, "an image prompt", ("image", "weight"))
    weight = body.get("weight", 1.0)
    number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
    if not number or not math.isfinite(weight) or abs(weight) > 1000:
        raise ConfigError(f"an image prompt's weight is {weight!r:.40}; expected -1000 to 1000")
    path = _image(body.get("image"), "an image prompt's image", find_image)
    if path is None:
        raise ConfigError("an image prompt needs the id of an uploaded image")
    return f"{path}:{weight}"


def _image(given: Any, what: str, find_image: Callable[[str], Path]) -> Path | None:
    if given is None or given == "":
        return None
    if not isinstance(given, str) or not _PICTURE.fullmatch(given):
        raise ConfigError(f"{what} is {given!r:.60}; expected the id of an upload, or RUN/NODE")
    return find_image(given)


def mapping(value: Any, what: str, names: Any) -> Mapping[str, Any]:
    """`value`, if it is an object with no other keys than `names` (any, for None)."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{what} must be a JSON object, got {value!r:.60}")
    for key in value:
        if names is not None and key not in names:
            raise ConfigError(f"{what} has no {key!r:.60}; possible are {', '.join(names)}")
    return value


def _share(value: Any, what: str) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1:
        raise ConfigError(f"{what} is {value!r:.40}; expected a number from 0 to 1")
    return float(value)


def _count(value: Any, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ConfigError(f"count is {value!r:.40}; expected a whole number from 1 to {most}")
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{what} is {value!r:.60}; expected text")
    return value


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


__all__ = [
    "NOT_SET",
    "EditOrder",
    "Limits",
    "Order",
    "check_limits",
    "check_models",
    "check_pixels",
    "flat_settings",
    "installed_models",
    "mapping",
    "near_settings",
    "presets_table",
    "read_id",
    "read_order",
    "settings_table",
]
