"""One call from words to picture."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from gouache import html
from gouache.engine import Session
from gouache.errors import ConfigError
from gouache.networks.models import Guide, names_of
from gouache.ops.images import encode, numbered_pil, together
from gouache.output.pictures import save_picture
from gouache.protocols import Generator, Loss, Perceptor
from gouache.runs.by_system import BySystem, options_and_rest, system_config
from gouache.runs.drive import History, Run, drive
from gouache.runs.varied import COUNT, STRENGTH, evolved, varied
from gouache.settings.config import PaintConfig, make_config
from gouache.systems.known import System


@dataclass(frozen=True)
class Painting:
    """The result of `paint`; a notebook shows its first picture."""

    images: tuple[Image, ...] = field(repr=False)
    settings: PaintConfig = field(repr=False)
    losses: Mapping[str, Tensor] = field(
        repr=False
    )  # name -> (steps,B); NaN where it did not exist
    scores: tuple[float, ...]  # one per picture, higher fits the prompts better
    records: tuple[dict[str, Any], ...] = field(repr=False)  # what each file carries

    @property
    def image(self) -> Image:
        """The first picture, the one of `settings.seed`."""
        return self.images[0]

    @property
    def best(self) -> Image:
        """The picture with the highest score."""
        return self.images[max(range(len(self.scores)), key=self.scores.__getitem__)]

    @property
    def sheet(self) -> Image:
        """All pictures together, with 1, 2, 3... below them as in the names of `save`."""
        return numbered_pil(self.images)

    def save(self, path: str | Path) -> list[Path]:
        """Writes the picture with all its settings in it; several as name-1.png, name-2.png...

        The suffix chooses the format. Existing files are replaced at once or not at all; failures
        raise `OutputError`. Returns the paths.
        """
        path = Path(path)
        paths = [path]
        if len(self.images) > 1:
            paths = [
                path.with_name(f"{path.stem}-{number}{path.suffix}")
                for number in range(1, len(self.images) + 1)
            ]
        for place, image, record in zip(paths, self.images, self.records, strict=True):
            save_picture(image, place, record, record["prompt"])
        return paths

    def _repr_png_(self) -> bytes:
        return encode(self.image)

    def _repr_html_(self) -> str:
        shown = html.image(encode(together(self.images)))
        if "system" in self.records[0]:
            return shown + html.table(self.records[0].items())
        totals = torch.stack([torch.nan_to_num(one) for one in self.losses.values()] or [_NONE])
        rows = [
            ("prompt", self.settings.title),
            ("seed", self.settings.seed),
            ("score", [round(score, 3) for score in self.scores]),
        ]
        losses = totals.sum(0).mean(1).tolist()
        return shown + html.table(rows) + html.plot(losses) + self.settings._repr_html_()


_NONE = torch.zeros(0, 1)  # the losses of a run without steps


def paint(
    prompt: str | Sequence[str] = "",
    *,
    preset: str = "auto",
    generator: str | Generator | None = None,
    perceptor: str | Perceptor | Sequence[str] | Sequence[Guide] | None = None,
    init_image: str | os.PathLike[str] | Image | Tensor = "",
    losses: str | Sequence[str | Loss] = (),
    system: str | System = "",
    **settings: Any,
) -> Painting:
    """Paints `prompt` to the end: `paint("a lighthouse at dusk", seed=7).save("lighthouse.png")`.

    Several prompts are one picture each, painted together; with `count` the pictures take them in
    turn.
    `settings` are those of `PaintConfig` and its sections by their own names. Models may be names
    or objects, of perceptors also a list of either, as may further losses; the init image may be a
    path, a PIL image or a tensor. Everything that can be wrong raises a `GouacheError` with one
    line. For previews, edits or a stop in between, iterate over a `Session`.

    With `system` another system paints, by name ("mindalle", "glide") or as an object; it takes
    prompt, seed, count, device, options of its own (`gouache.systems.options`) and `best_of`, which
    is how many pictures the first perceptor chooses from for each, and paints a part of
    `init_image` anew where `mask` (paths) is light.
    """
    if system:
        if not isinstance(init_image, (str, os.PathLike)):
            raise ConfigError("the init image of a system is a path")
        asked = {**settings, "prompt": prompt, "init_image": os.fspath(init_image)}
        for name, value in (("generator", generator), ("perceptor", perceptor)):
            asked |= {} if value is None else {name: value}
        return _painted_by(system, asked | ({"losses": losses} if losses else {}))
    named_models, generator, guides = by_name(generator, perceptor)
    settings |= named_models
    if isinstance(init_image, (str, os.PathLike)):
        settings["init_image"] = os.fspath(init_image)
        start = None
    else:
        start = init_image
    settings["prompt"] = prompt if isinstance(prompt, str) else tuple(prompt)
    losses = [losses] if isinstance(losses, str) else losses
    if named := [loss for loss in losses if isinstance(loss, str)]:
        settings["losses"] = named
    given = [loss for loss in losses if not isinstance(loss, str)]
    config = make_config(preset, **settings)
    session = Session.build(
        config, generator=generator, perceptor=guides, init_image=start, losses=given
    )
    return painted(Run(session))


def _painted_by(system: str | System, given: dict[str, Any]) -> Painting:
    best_of, mask = given.pop("best_of", 1), os.fspath(given.pop("mask", ""))
    name = system if isinstance(system, str) else type(system).__name__
    if not isinstance(system, str) and mask:
        raise ConfigError('a mask is for systems by name: system="glide"')
    options, given = options_and_rest(system, given)
    config = system_config(name, given, best_of=best_of, over=bool(mask))
    job = BySystem(name, best_of, mask, options=options)
    painter = job.prepare(config) if isinstance(system, str) else job.with_system(system, config)
    run = drive(Run(painter))
    numbers = range(config.count)
    records = tuple(run.record(number) for number in numbers)
    return Painting(tuple(painter.images), config, {}, tuple(run.scores()), records)


def four(prompt: str | Sequence[str] = "", **asked: Any) -> Painting:
    """Paints four seeds together, as `paint(prompt, count=4, **asked)` does: one may be chosen to
    be varied. `Painting.sheet` shows all."""
    return paint(prompt, count=COUNT, **asked)


def vary(
    picture: str | os.PathLike[str],
    prompt: str | Sequence[str] = "",
    *,
    strength: float = STRENGTH,
    count: int = COUNT,
    preset: str = "auto",
    generator: str | Generator | None = None,
    perceptor: str | Perceptor | Sequence[str] | Sequence[Guide] | None = None,
    **settings: Any,
) -> Painting:
    """Paints variations of a picture: `vary("castle-3.png", strength=0.3).save("more.png")`.

    They start from the picture, its parts moved and disturbed by `strength` in [0,1], and are
    painted with the words, settings and next seeds of its own file; what is given here replaces
    them. A picture that gouache did not paint needs a prompt. Raises what `paint` does, and warns
    where the picture has another size than is painted.
    """

    def found(given: Mapping[str, Any]) -> PaintConfig:
        return varied(Path(picture), given, strength=strength, preset=preset)

    settings |= {"prompt": prompt, "count": count}
    return _painted_from(found, settings, generator, perceptor)


def evolve(
    first: str | os.PathLike[str],
    second: str | os.PathLike[str],
    prompt: str | Sequence[str] = "",
    *,
    count: int = 1,
    preset: str = "auto",
    generator: str | Generator | None = None,
    perceptor: str | Perceptor | Sequence[str] | Sequence[Guide] | None = None,
    **settings: Any,
) -> Painting:
    """Paints on from two pictures crossed: `evolve("a.png", "b.png").save("child.png")`.

    Each seed takes other parts of the two. Words and settings are those of the first one that
    gouache painted; otherwise like `vary`. Two pictures that different generators painted need one
    to be named.
    """

    def found(given: Mapping[str, Any]) -> PaintConfig:
        return evolved(Path(first), Path(second), given, preset=preset)

    settings |= {"prompt": prompt, "count": count}
    return _painted_from(found, settings, generator, perceptor)


def _painted_from(
    found: Callable[[Mapping[str, Any]], PaintConfig],
    settings: Mapping[str, Any],
    generator: str | Generator | None,
    perceptor: str | Perceptor | Sequence[str] | Sequence[Guide] | None,
) -> Painting:
    named, generator, guides = by_name(generator, perceptor)
    if generator is not None:  # nothing is looked for in its place
        named["generator"] = PaintConfig.generator
    config = found({**settings, **named})
    return painted(Run(Session.build(config, generator=generator, perceptor=guides)))


def by_name(
    generator: str | Generator | None,
    perceptor: str | Perceptor | Sequence[str] | Sequence[Guide] | None,
) -> tuple[dict[str, Any], Generator | None, Perceptor | Sequence[Guide] | None]:
    """Models as a caller gives them -> the settings that name them, and those that are objects."""
    found: dict[str, Any] = {}
    if isinstance(generator, str):
        found["generator"], generator = generator, None
    if perceptor is None:
        return found, generator, None
    if isinstance(perceptor, str):
        return found | {"perceptor": [perceptor]}, generator, None
    if not isinstance(perceptor, Sequence):
        return found | {"perceptor": names_of(perceptor)}, generator, perceptor
    names = [item for item in perceptor if isinstance(item, str)]
    guides = [item for item in perceptor if isinstance(item, Guide)]
    if len(perceptor) not in (len(names), len(guides)):
        raise ConfigError("a list of perceptors holds names only, or Guide objects only")
    found["perceptor"] = names or names_of(guides)
    return found, generator, None if names else guides


def painted(run: Run) -> Painting:
    """Does what is left of a session's run, and gives all of it."""
    history = History()
    session = drive(run, [history]).session
    count = session.config.count
    return Painting(
        images=tuple(run.pictures()),
        settings=session.config,
        losses=history.by_name(count),
        scores=tuple(run.scores()),
        records=tuple(run.record(picture) for picture in range(count)),
    )


__all__ = ["Painting", "by_name", "evolve", "four", "paint", "painted", "vary"]
