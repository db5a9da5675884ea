"""Where a run's results go, told in its folder so that the folder may be moved and shared.

run/settings.json   the settings, and the results' names relative to the folder
run/places.json     only where results go elsewhere than around the folder: their places on this
                    machine, for `gouache resume`; not for sharing, readable by its owner only
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from gouache.atomic import atomic_path
from gouache.engine.state import MAY_DIFFER, differences, require_picture
from gouache.errors import GouacheError, StateError
from gouache.inputs import below_home, from_home, portable
from gouache.output.run_folder import RunFolder
from gouache.output.state import load_state
from gouache.prompts import one_line
from gouache.runs.outputs import Outputs
from gouache.settings.config import PaintConfig

PLACES = "places.json"
_OF_THE_STUDIO = "studio.json"


def run_settings(
    config: PaintConfig, outputs: Outputs, source: Path | None = None
) -> dict[str, Any]:
    """What settings.json holds: the settings, where the results go from `outputs.run_dir`, and
    where the clip lies that a film is painted over.

    What goes elsewhere is named only; `keep_places` keeps its place.
    """
    read = {} if source is None else {"source": _relative(source, outputs.run_dir)}
    return {
        "config": portable(config).to_dict(),
        **read,
        "outputs": {
            "out": _relative(outputs.out, outputs.run_dir),
            "save_every": outputs.save_every,
            "timelapse": _relative(outputs.timelapse, outputs.run_dir),
            "only": outputs.only,
            **({"labels": True} if outputs.labels else {}),
        },
    }


def keep_places(folder: RunFolder, outputs: Outputs, source: Path | None = None) -> None:
    """Writes places.json, where settings.json cannot tell all; `OutputError` where that fails."""
    places = {"out": outputs.out, "timelapse": outputs.timelapse, "source": source}
    far = {
        name: below_home(path)
        for name, path in places.items()
        if path is not None and not _is_near(path, folder.path)
    }
    if far:
        with atomic_path(folder.path / PLACES) as temp:
            temp.chmod(0o600)
            temp.write_text(json.dumps(far), "utf-8")


def stored_outputs(folder: RunFolder) -> Outputs:
    """Where the run in `folder` writes; `StateError` where it does not say."""
    stored = folder.read_settings().get("outputs")
    try:
        assert isinstance(stored, dict)
        film, only = stored["timelapse"], stored["only"]
        timelapse = None if film is None else _place(folder, film)
        found = Outputs(
            out=_place(folder, stored["out"]),
            run_dir=folder.path,
            save_every=max(1, int(stored["save_every"])),
            timelapse=timelapse,
            only=None if only is None else int(only),
            labels=stored.get("labels") is True,
        )
        far = folder.path / PLACES
        if not far.exists():
            return found
        moved = {name: Path(from_home(p)) for name, p in json.loads(far.read_bytes()).items()}
        return replace(
            found, out=moved.get("out", found.out), timelapse=moved.get("timelapse", timelapse)
        )
    except (AssertionError, AttributeError, KeyError, OSError, TypeError, ValueError):
        raise StateError(
            f"{one_line(folder.settings_path)} does not say where the picture goes; "
            "start the run again"
        ) from None


def stored_source(folder: RunFolder) -> Path | None:
    """The clip that the film in `folder` is painted over; None where it follows a camera.
    `StateError` where settings.json does not say it properly."""
    stored = folder.read_settings().get("source")
    if stored is None:
        return None
    try:
        far = folder.path / PLACES
        moved = json.loads(far.read_bytes()) if far.exists() else {}
        return Path(from_home(moved["source"])) if "source" in moved else _place(folder, stored)
    except (OSError, TypeError, ValueError):
        raise StateError(
            f"{one_line(folder.settings_path)} does not say where the clip lies; start the run "
            "again"
        ) from None


def check_run(path: Path) -> dict[str, Any]:
    """Reads what a run folder says of itself, and writes nothing.

    Raises `StateError` for an edit whose state lacks its picture, and where settings.json has been
    changed since. Returns what may be changed there, for `resume_session`: device, precision,
    compile.
    """
    shown = one_line(path)
    try:
        if not (path / "settings.json").is_file():
            return {}  # no run: opening it says so
    except (OSError, ValueError):  # nor any possible
        return {}
    try:
        document = json.loads((path / "settings.json").read_bytes())
        now = PaintConfig.from_dict(document["config"])
    except GouacheError as error:
        raise StateError(
            f"{shown}/settings.json was changed: {one_line(error, 120)}; put it back, or start the "
            "run again"
        ) from None
    except (KeyError, OSError, RecursionError, TypeError, ValueError):
        raise StateError(
            f"{shown}/settings.json is damaged or cannot be read; start the run again"
        ) from None
    _, meta = load_state(path / "state.safetensors")
    try:
        require_picture(meta)
        saved = PaintConfig.from_dict(meta["config"])
        changed = differences(portable(saved), portable(now), _said_elsewhere(path, meta))
    except StateError:
        raise
    except (GouacheError, AttributeError, KeyError, TypeError):
        return {}  # loading it says what is wrong
    if changed:
        raise StateError(
            f"{shown}/settings.json was changed: {'; '.join(changed[:3])}; a run goes on with its "
            "own settings: put them back, or start a new one"
        )
    free = [(name, getattr(now, name)) for name in sorted(MAY_DIFFER)]
    return {name: value for name, value in free if value != getattr(saved, name)}


def _said_elsewhere(path: Path, meta: dict[str, Any]) -> Collection[str]:
    """Settings that a run may have got otherwise than by settings.json."""
    found: list[str] = []
    if any(edit.get("edit") == "prompts" for edit in meta["edits"]):
        found.append("prompt")  # other words were given on the way
    if (path / _OF_THE_STUDIO).exists():
        found += ["init_image", "cross_image"]  # chosen in the page
    return found


def _relative(path: Path | None, folder: Path | None) -> str | None:
    """How to come from the run folder to a result; beside the folder by name, where it is far."""
    if path is None or folder is None:
        return None if path is None else path.name
    if _is_near(path, folder):
        return Path(os.path.relpath(_whole(path), _whole(folder))).as_posix()
    return f"../{path.name}"


def _is_near(path: Path, folder: Path) -> bool:
    """In the folder that the run folder is in, or both below the current one: nothing is told of
    the machine by the way from one to the other."""
    result, run = _whole(path), _whole(folder)
    here, home = _whole(Path()), _home()
    if result.is_relative_to(run.parent):
        return not (home and home != run.parent and home.is_relative_to(run.parent))
    both = result.is_relative_to(here) and run.is_relative_to(here)
    return both and not (home and home != here and home.is_relative_to(here))


def _home() -> Path | None:
    try:
        return _whole(Path.home())
    except RuntimeError:
        return None


def _whole(path: Path) -> Path:
    """Absolute and without dots; links stay, as the names are what people see."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps dots


def _place(folder: RunFolder, stored: str) -> Path:
    """A result's path; earlier versions stored absolute ones."""
    return Path(os.path.normpath(folder.path / stored))


__all__ = ["PLACES", "check_run", "keep_places", "run_settings", "stored_outputs", "stored_source"]
