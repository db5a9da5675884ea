"""From a picture's document to settings that paint it again: its pictures and models are found.

What a picture was painted from is looked for by name beside it and in the current folder, and
compared by its sum. What is missing or was changed is an error, never another picture in silence.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gouache.errors import ConfigError, GouacheError, ImageError, StateError
from gouache.inputs import Input, base_name, file_sha256, files_of, portable_model, split_model
from gouache.output.documents import check_document, later_version, unusable
from gouache.prompts import one_line, parse_image_prompt
from gouache.runs.by_system import BySystem, options_and_rest, system_config
from gouache.settings.config import PaintConfig, parse_perceptor

# What messages call the pictures of these settings; their options are called the same.
_WHAT = {
    "init_image": "init image",
    "cross_image": "cross image",
    "image_prompts": "image prompt",
    "source": "source",
    "mask": "mask",
}
_EDITS = ("edit", "replace")  # what begins an edit, among the changes
# What a picture by another system tells besides, of which it is one or the best.
_OF_SYSTEM = ("best_of", "score", "guide", "picture", "batch")


@dataclass(frozen=True)
class Named:
    """Files and models that somebody names in the place of what would be looked for."""

    init_image: Path | None = None
    image_prompts: Sequence[Path] = ()
    generator: str = ""
    perceptor: Sequence[str] = ()
    source: Path | None = None
    mask: Path | None = None
    cross_image: Path | None = None


class Replay(NamedTuple):
    """What makes a picture again: settings, its place in the batch (None: a grid), and the edit
    that made it (None: it was painted), with the files of its source and mask."""

    config: PaintConfig
    picture: int | None
    edit: Mapping[str, Any] | None = None
    source: Path | None = None
    mask: Path | None = None
    # drawn on the way: after so many steps, which file, and how near to it its colours stay
    strokes: tuple[tuple[int, Path, float], ...] = ()
    clip: Path | None = None  # that a film was painted over


def replay_settings(document: Mapping[str, Any], picture: Path, named: Named) -> Replay:
    """What makes `picture` again.

    Raises `ImageError` for a damaged document, `StateError` for what cannot be painted from it, and
    where a picture or a model is missing or was changed. Says in a line what is not known.
    """
    shown = one_line(picture)
    check_document(document, picture)
    strokes = _strokes(document, picture)
    if "config" not in document:
        raise StateError(f"{shown} lacks settings (config); it cannot be replayed")
    try:
        config = PaintConfig.from_dict(document["config"])
        edited = _edited(document)
        wanted = _wanted(document, config, edited)
    except (GouacheError, AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise unusable(document, picture, str(error)) from None
    numbers = {setting: len(_of(wanted, setting)) for setting in _WHAT}
    if numbers["init_image"] > 1 or numbers["init_image"] < bool(config.init_image):
        raise unusable(document, picture, f"{numbers['init_image']} init images")
    if numbers["cross_image"] != bool(config.cross_image):
        raise unusable(document, picture, f"{numbers['cross_image']} cross images")
    if numbers["image_prompts"] != len(config.image_prompts):
        raise unusable(document, picture, f"{numbers['image_prompts']} sums of image prompts")
    if numbers["mask"] != bool(edited and edited.get("mask_file")):
        raise unusable(document, picture, f"{numbers['mask']} masks")
    found = _found(wanted, picture, named)
    changes: dict[str, Any] = {
        "init_image": "".join(found["init_image"]),
        "cross_image": "".join(found["cross_image"]),
        "image_prompts": found["image_prompts"],
        "generator": named.generator
        or _model(config.generator, "generator", document.get("generator", {}), picture),
        "perceptor": _perceptors(config, document, picture, named.perceptor),
    }
    if later := later_version(document, picture):
        _note(f"{later}; what it would do otherwise is not known")
    config, index = config.updated(**changes), document.get("picture")
    source, mask = (next(map(Path, found[name]), None) for name in ("source", "mask"))
    if edited is None:  # of a film the source is the clip that it was painted over
        return Replay(config, index, strokes=strokes, clip=source)
    return Replay(config, index, edited, source, mask, strokes)


def replay_system(
    document: Mapping[str, Any], picture: Path, named: Named
) -> tuple[BySystem, PaintConfig]:
    """What makes `picture` again, which another system painted; of a grid all its pictures.

    Raises what `replay_settings` does.
    """
    check_document(document, picture)
    about = {name: document[name] for name in _OF_SYSTEM if name in document}
    try:
        system, best_of = document["system"], 1
        if document.get("picture", 0) is None:
            batch = document["batch"]
            given = {name: batch[name] for name in ("prompts", "seed", "count")}
            about, best_of = {}, int(batch["best_of"])
            if best_of > 1:
                given["perceptor"] = [document["guide"]["name"]]
        else:
            given = {name: document[name] for name in ("prompt", "seed")}
        config = system_config(system, given, best_of=best_of)
        options, unknown = options_and_rest(system, document.get("options", {}))
        if unknown:
            raise ConfigError(f"{system} has no option {next(iter(unknown))}")
        wanted = _wanted(document, config, None)
    except (GouacheError, AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise unusable(document, picture, str(error)) from None
    found = _found(wanted, picture, named)
    over, mask = ("".join(found[name]) for name in ("init_image", "mask"))
    job = BySystem(system, best_of, mask, about, options)
    if named.generator or named.perceptor:
        raise ConfigError(
            f"{one_line(picture)} was painted by {job.name}, which has no generator or perceptor "
            "to name; leave them out"
        )
    if later := later_version(document, picture):
        _note(f"{later}; what it would do otherwise is not known")
    return job, config.updated(init_image=over)


def settings_of(
    document: Mapping[str, Any], picture: Path, given: Collection[str] = ()
) -> tuple[PaintConfig, int | None]:
    """What `picture` was painted with wherever it started, for pictures that start from it; and its
    place in the batch (None: a grid).

    The pictures and models of the settings in `given` are not looked for: they have their defaults.
    Changes by hand are in the picture itself. Raises what `replay_settings` does.
    """
    check_document(document, picture)
    looked_for = {"image_prompts", "generator", "perceptor"} - set(given)
    left_out = {"init_image", "cross_image", "image_prompts", "generator", "perceptor"} - looked_for
    plain = {name: getattr(PaintConfig(), name) for name in left_out}
    try:
        config = PaintConfig.from_dict(document["config"]).updated(**plain)
    except GouacheError as error:
        raise unusable(document, picture, str(error)) from None
    kept = {**document, "config": config.to_dict(), "edits": []}
    if "inputs" in document:
        kept["inputs"] = [one for one in document["inputs"] if one.get("setting") in looked_for]
    again = replay_settings(kept, picture, Named())
    return again.config, again.picture


def _strokes(document: Mapping[str, Any], picture: Path) -> tuple[tuple[int, Path, float], ...]:
    """What was drawn while it was painted, where the strokes still lie beside the picture; other
    changes by hand raise `StateError`."""
    edits = [edit for edit in document.get("edits", ()) if "edit" in edit]
    by_hand = [edit for edit in edits if edit["edit"] not in ("init_image", *_EDITS)]
    edited = any(edit["edit"] in _EDITS for edit in edits)
    found = [None if edited else _drawn(edit, document, picture) for edit in by_hand]
    kept = [one for one in found if one is not None]
    if len(kept) < len(by_hand):
        raise StateError(
            f"{one_line(picture)} was changed by hand while it was painted ({len(by_hand)} "
            "changes), which its file does not hold; it cannot be replayed"
        )
    return tuple(kept)


def _drawn(
    edit: Mapping[str, Any], document: Mapping[str, Any], picture: Path
) -> tuple[int, Path, float] | None:
    """When strokes were laid, their file and how near they stay; None for other changes, and for
    strokes on what was painted already, which lie on it as they were drawn."""
    step, name, end = edit.get("step"), edit.get("strokes"), document.get("step")
    if not isinstance(step, int) or not isinstance(name, str) or not isinstance(end, int):
        return None
    near = edit.get("near", 0.0)  # earlier versions held nothing
    if not isinstance(near, (int, float)) or not 0 <= near <= 1:
        raise unusable(document, picture, f"near {near!r:.20}")
    path = picture.parent / "strokes" / base_name(name)
    if step >= end or _strokes_sum(path) != edit.get("sha256"):
        return None
    return step, path, float(near)


def _strokes_sum(path: Path) -> str:
    from PIL import Image

    from gouache.ops.sums import object_sum

    try:
        with Image.open(path, formats=["PNG"]) as strokes:
            return object_sum(strokes.convert("RGBA"))[1]
    except Exception:  # missing, or damaged in one of many ways
        return ""


@dataclass(frozen=True, eq=False)
class _Wanted:
    """A picture that is needed, and where an earlier version says that it was."""

    input: Input
    place: Path | None = None


def _edited(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What the document tells of the edit that made the picture; None for a painting."""
    edits = [edit for edit in document.get("edits", ()) if edit.get("edit") in _EDITS]
    return edits[0] if edits else None


def _wanted(
    document: Mapping[str, Any], config: PaintConfig, edited: Mapping[str, Any] | None
) -> list[_Wanted]:
    source = []
    if edited is not None:  # by its pixels: the same picture in another file is as good
        told = {"setting": "source", "name": edited["source"], "of": "pixels"}
        source.append(_Wanted(Input.from_record({**told, "sha256": edited["source_sha256"]})))
    if "inputs" in document:
        inputs = map(Input.from_record, document["inputs"])
        # Of an edit the source is known by its pixels; of a film over a clip it is the clip.
        known = {*_WHAT} - ({"source"} if edited is not None else set())
        others = [one for one in inputs if one.setting in known]
        return [*source, *map(_Wanted, others)]
    found = [*source, *(_Wanted(one, path) for one, path in files_of(config))]
    if edited is not None and edited.get("mask_file"):
        found.append(_Wanted(Input("mask", "", "", "pixels")))
    if any(edit.get("edit") == "init_image" for edit in document.get("edits", ())):
        found = [one for one in found if one.input.setting != "init_image"]
        found.insert(0, _Wanted(Input("init_image", "", "", "pixels")))
    return found


def _of(wanted: Sequence[_Wanted], setting: str) -> list[_Wanted]:
    return [one for one in wanted if one.input.setting == setting]


def _found(wanted: Sequence[_Wanted], picture: Path, named: Named) -> dict[str, list[str]]:
    """The settings' values for the files that are wanted."""
    given: dict[_Wanted, Path] = {}
    for setting in _WHAT:
        mine = getattr(named, setting)
        paths = [mine] if isinstance(mine, Path) else mine or []
        given |= _assigned(_of(wanted, setting), setting, paths, picture)
    found: dict[str, list[str]] = {setting: [] for setting in _WHAT}
    unknown = []
    for one in wanted:
        path = given.get(one)
        if path is None:
            path = _search(one.input, one.place, picture)
            if not one.input.sha256:
                unknown.append(one_line(one.input.name))
        text = one.input.at(path)
        if one.input.setting == "image_prompts" and Path(parse_image_prompt(text).path) != path:
            raise StateError(f"{one_line(path)} has a name that looks like a weight; rename it")
        found[one.input.setting].append(text)
    if unknown:
        _note(
            f"{one_line(picture)} does not tell the sum of what it was painted from; if "
            f"{' or '.join(dict.fromkeys(unknown))} was changed since, this picture will differ"
        )
    return found


def _assigned(
    wanted: Sequence[_Wanted], setting: str, paths: Sequence[Path], picture: Path
) -> dict[_Wanted, Path]:
    """Which of the named files stands for which picture: by sum, by name, or in their order."""
    if len(paths) > len(wanted):
        raise ConfigError(
            f"{one_line(picture)} was painted from {len(wanted)} {_WHAT[setting]}s and "
            f"{len(paths)} are named; leave {_option(setting)} out, or name as many"
        )
    left, found = list(wanted), dict[_Wanted, Path]()
    for path in paths:
        sums = {of: _sum(path, of, setting) for of in {one.input.of for one in left}}
        same = [one for one in left if one.input.sha256 == sums[one.input.of] != ""]
        called = [one for one in left if one.input.name == base_name(path)]
        missing = [one for one in left if not _present(one.input, picture)]
        chosen = (same or called or missing or left)[0]
        if not same and chosen.input.sha256 and setting != "mask":  # compared as it is found
            _note(
                f"{one_line(path)} (sha256 {sums[chosen.input.of][:12]}) is not the "
                f"{_WHAT[setting]} that {one_line(picture)} was painted from "
                f"({chosen.input.short}); this picture will differ"
            )
        left.remove(chosen)
        found[chosen] = path
    return found


def _present(one: Input, picture: Path) -> bool:
    return any(_found_sum(path, one.of) == one.sha256 for path in _candidates(one.name, picture))


def _candidates(name: str, picture: Path) -> list[Path]:
    """Where a file of that name would be: beside the picture, in its run's folder, or here."""
    beside = picture.parent
    return [*dict.fromkeys([beside / name, beside / "inputs" / name, Path(name)])] if name else []


def _search(one: Input, place: Path | None, picture: Path) -> Path:
    shown, what, option = one_line(picture), _WHAT[one.setting], _option(one.setting)
    article = "an" if what[0] in "aeiou" else "a"
    if not one.name:
        raise StateError(
            f"{shown} was painted from {article} {what} that its file does not name (sha256 of its "
            f"{'values' if one.of == 'tensor' else 'pixels'} {one.short or 'unknown'}); name one: "
            f"{option} PATH"
        )
    places = ([] if place is None else [place]) + _candidates(one.name, picture)
    there = {path: now for path in places if (now := _found_sum(path, one.of))}
    name = one_line(one.name, 80)
    if not there:
        known = f" (sha256 {one.short})" if one.sha256 else ""
        raise StateError(
            f"{shown} was painted from the {what} {name}{known}, which is neither beside it nor "
            f"in this folder; name it: {option} PATH"
        )
    if not one.sha256:
        return next(iter(there))
    for path, now in there.items():
        if now == one.sha256:
            return path
    path, now = next(iter(there.items()))
    raise StateError(
        f"{one_line(path)} was changed: the {what} of {shown} had sha256 {one.short}, and this has "
        f"{now[:12]}; name the right one: {option} PATH"
    )


def _found_sum(path: Path, of: str) -> str:
    """The sum of what may be there; "" where nothing is that can be read."""
    try:
        return file_sha256(path) if of == "file" else _sum(path, of)
    except ImageError:
        return ""


def _sum(path: Path, of: str, setting: str = "") -> str:
    """Raises `ImageError` for what is no picture; the source of a film is none."""
    from gouache.ops.images import load_image, open_image

    if of == "file":
        with open_image(path) if setting != "source" else nullcontext():
            return file_sha256(path)
    from gouache.ops.sums import pixels_sha256

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # who paints from it is told
        return pixels_sha256(load_image(path))


def _perceptors(
    config: PaintConfig, document: Mapping[str, Any], picture: Path, named: Sequence[str]
) -> list[str]:
    """Those of one's own are found, or are the named ones in their order."""
    found, left, told = [], list(named), document.get("perceptors", [])
    for number, text in enumerate(config.perceptor):
        name, weight = parse_perceptor(text)
        if left and _is_own(name):
            found.append(f"{left.pop(0)}:{weight!r}")
            continue
        path = _model(name, "perceptor", told[number] if number < len(told) else {}, picture)
        found.append(text if path == name else f"{path}:{weight!r}")
    if left:
        raise ConfigError(
            f"{one_line(picture)} was painted with {len(named) - len(left)} perceptors from files "
            f"and {len(named)} are named; leave --perceptor out, or name as many"
        )
    return found


def _is_own(name: str) -> bool:
    """Whether it is a file or folder, which documents call `./NAME`."""
    return split_model(portable_model(name))[1].startswith("./")


def _model(name: str, kind: str, told: Mapping[str, Any], picture: Path) -> str:
    """The name or path of a model, found where it is one of one's own."""
    if not _is_own(name):
        return name
    family, place = split_model(name)
    own = base_name(place)
    for path in [Path(place), *_candidates(own, picture)]:
        try:
            if path.expanduser().exists():
                return name if path == Path(place) else f"{family}{path}"
        except (OSError, RuntimeError, ValueError):  # no possible name
            continue
    sha256 = str(told.get("fingerprint") or "")[:12]
    known = one_line(f" (sha256 {sha256})") if sha256 else ""
    raise StateError(
        f"{one_line(picture)} was painted with the {kind} {one_line(own, 80)}{known}, which is "
        f"neither beside it nor in this folder; name it: --{kind} {family}PATH"
    )


def _option(setting: str) -> str:
    return f"--{_WHAT[setting].replace(' ', '-')}"


def _note(text: str) -> None:
    print(f"gouache: note: {text}", file=sys.stderr)


__all__ = ["Named", "Replay", "replay_settings", "replay_system", "settings_of"]
