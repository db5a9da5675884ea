"""What a run's folder keeps so that the run can begin, or go on, when its server is another one.

run/order.json  what was asked; its pictures are in run/inputs/
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from gouache.apps.studio.orders import EditOrder, Order
from gouache.apps.studio.runs import ORDER, Run
from gouache.atomic import output_errors, write_bytes
from gouache.editing.config import EditConfig
from gouache.errors import ConfigError, GouacheError, StateError
from gouache.films.config import FilmConfig
from gouache.output.pictures import dump_json
from gouache.prompts import parse_image_prompt
from gouache.settings.config import PaintConfig


def keep_order(run: Run, order: Order) -> Order:
    """Writes the order with its pictures into the run's folder; gives it with their new places.

    Uploads make room for newer ones and runs are deleted, while this one waits.
    """
    run.path.mkdir(parents=True, exist_ok=True)
    asked = [parse_image_prompt(text) for text in order.config.image_prompts]
    edit = order.edit
    image = None if order.image is None else _take(order.image, run)
    prompts = [_take(Path(one.path), run) for one in asked]
    if edit is not None and edit.mask is not None:
        edit = replace(edit, mask=_take(edit.mask, run))
    weights = [one.weight for one in asked]
    other = None if order.other is None else _take(order.other, run)
    config = order.config.updated(
        image_prompts=[f"{path}:{weight!r}" for path, weight in zip(prompts, weights, strict=True)]
    )
    document = {
        "config": order.config.updated(image_prompts=(), init_image="", cross_image="").to_dict(),
        "image": image and image.name,
        "other": other and other.name,
        "how": order.how,
        "parents": list(order.parents),
        "image_prompts": [[path.name, w] for path, w in zip(prompts, weights, strict=True)],
        "parent": order.parent,
        "sized": order.sized,
        "film": order.film and order.film.to_dict(),
        "edit": None
        if edit is None
        else {
            "replace": edit.replace,
            "old": edit.old,
            "mask": edit.mask and edit.mask.name,
            "settings": edit.config.to_dict(),
        },
    }
    write_bytes(run.path / ORDER, dump_json(document).encode())
    return replace(order, config=config, image=image, other=other, edit=edit)


def kept_order(run: Run) -> Order:
    """The order that `keep_order` wrote; `StateError` where it is damaged."""

    def place(name: Any) -> Path | None:
        return None if name is None else run.path / "inputs" / Path(str(name)).name

    try:
        document = json.loads((run.path / ORDER).read_bytes())
        prompts = [f"{place(name)}:{float(w)!r}" for name, w in document["image_prompts"]]
        config = PaintConfig.from_dict(document["config"]).updated(image_prompts=prompts)
        edit = None
        if (asked := document["edit"]) is not None:
            edit = EditOrder(
                replace=str(asked["replace"]),
                old=str(asked["old"]),
                mask=place(asked["mask"]),
                config=EditConfig().updated(**asked["settings"]),
            )
        return Order(
            config=config,
            image=place(document["image"]),
            other=place(document.get("other")),
            how=str(document.get("how", "")),
            parents=tuple(map(str, document.get("parents", ()))),
            edit=edit,
            parent=str(document["parent"]),
            sized=bool(document["sized"]),
            film=None if (film := document.get("film")) is None else FilmConfig.from_dict(film),
        )
    except (OSError, ValueError, KeyError, TypeError, GouacheError):
        raise StateError("the run's order is damaged; start it again") from None


def forget_order(run: Run) -> None:
    """Removes what is not needed once the run has a state of its own."""
    with suppress(OSError):
        (run.path / ORDER).unlink(missing_ok=True)


def _take(source: Path, run: Run) -> Path:
    """The same file in the run's folder; pictures here are never changed, only replaced."""
    folder, number = run.path / "inputs", 1
    target = folder / source.name
    with output_errors(target):
        folder.mkdir(exist_ok=True)
        while target.exists():  # another's, or the same once more
            number += 1
            target = folder / f"{source.stem}-{number}{source.suffix}"
        try:
            try:
                os.link(source, target)
            except FileNotFoundError:
                raise
            except OSError:  # a disk without links
                shutil.copyfile(source, target)
        except FileNotFoundError:
            raise ConfigError("a picture of the order is gone; send it again") from None
    return target


__all__ = [
    "forget_order",
    "keep_order",
    "kept_order",
]
