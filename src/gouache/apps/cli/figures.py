"""`gouache figures`: the paper's figures, painted again."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gouache.apps.cli.options import PAINT, option_name, with_settings
from gouache.errors import ConfigError, PromptError
from gouache.prompts import one_line
from gouache.registry import nearest
from gouache.settings.config import make_config

MAX_PROMPTS = 1000


@with_settings(PAINT)
def figures(
    name: Annotated[
        str, typer.Argument(metavar="FIGURE", help="list, a figure's number, cutouts, or vote.")
    ],
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PROMPT]", help="Of cutouts: what to paint; of vote: folders of figures."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder for pictures, grid, table of scores and seconds, and record.",
        ),
    ] = None,
    world: Annotated[
        str,
        typer.Option("--world", help="pocket: the shipped models; paper: published ones."),
    ] = "pocket",
    prompts: Annotated[
        Path | None, typer.Option("--prompts", help="File with prompts, one per line.")
    ] = None,
    seeds: Annotated[str, typer.Option("--seeds", help="Seeds, for example 0,1,2.")] = "0",
    systems: Annotated[
        str, typer.Option("--systems", help="Who paints: gouache and others, comma-separated.")
    ] = "",
    tries: Annotated[
        int, typer.Option("--tries", help="Pictures of another system per shown one.", min=1)
    ] = 5,
    judge: Annotated[
        str | None,
        typer.Option("--judge", help="Perceptor that scores and never guides; '' for none."),
    ] = None,
    image: Annotated[
        Path | None, typer.Option("--image", help="Of cutouts: a picture instead of a prompt.")
    ] = None,
    votes: Annotated[
        list[Path] | None,
        typer.Option("--votes", help="Of vote: files that its page saved; they are counted."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the result.")] = False,
    *,
    given: Mapping[str, Any],
) -> int:
    """Paint a figure of the paper again, or `list` them; a second call goes on with the first.

    `vote DIR` makes a page on which people choose the better picture of two.
    """
    if name == "list":
        return _list()
    if name == "vote":
        return _vote(words or [], votes or [], out, _numbers(seeds)[0])
    if votes:
        raise ConfigError("--votes is for gouache figures vote DIR; leave it out")
    from gouache.figures.words import WORDS

    if world not in WORDS:
        raise ConfigError(f"no world is called {world!r:.40}; {nearest(world, sorted(WORDS))}")
    folder = out or Path("figures") / f"{name}-{world}"
    chosen = _numbers(seeds)
    if name == "cutouts":
        return _cutouts(folder, world, image, " ".join(words or ()), chosen[0], dict(given))
    if words or image:
        raise ConfigError(f"figure {name:.40} takes no prompt or image here; give --prompts FILE")
    from gouache.figures.recipe import OURS, Order
    from gouache.figures.recipes import recipes

    recipe = recipes.get(name)
    order = Order(world, _read_prompts(prompts), _names(systems))
    cells = recipe.cells(order)
    _check(cells, {**WORDS[world].defaults, **given}, WORDS[world].preset)
    painting = {cell.system for cell in cells}
    _tell_what_is_missing(recipe.left_out(order))
    _tell_what_is_not_used(painting, given)
    from gouache.apps.fetching import fetch_system
    from gouache.figures.making import make
    from gouache.figures.painters import Painters

    ours = OURS in painting
    for other in sorted(painting - {OURS}):
        fetch_system(other, quiet)
    _fetch({**WORDS[world].defaults, **given}, quiet, generator=ours)
    painters = Painters(world, given, judge, tries)

    def tell(line: str) -> None:
        if not quiet:
            print(f"gouache: {line}", file=sys.stderr, flush=True)

    made = make(recipe, order, painters, folder, chosen, tell)
    print(made.grid)
    return 0


def _list() -> int:
    from gouache.figures.recipes import recipes

    for name in sorted(
        recipes.names(), key=lambda n: (not n.isdigit(), int(n) if n.isdigit() else 0)
    ):
        print(f"{name:8} {recipes.get(name).title}")
    print("cutouts  what the perceptor is shown of a picture, by augmentation")
    print("vote     a page on which people choose the better one of two pictures of a figure")
    return 0


def _vote(given: list[str], votes: list[Path], out: Path | None, seed: int) -> int:
    """Makes the page of folders, or counts the votes that it saved."""
    from gouache.figures.voting import MARK, count_votes, make_ballot, page_of

    paths = [Path(text) for text in given]
    if votes:  # `--votes a.json b.json`
        votes += [path for path in paths if path.is_file()]
    folders = [path for path in paths if path not in votes]
    if not folders:
        raise ConfigError("give the folder of a figure: gouache figures vote DIR")
    if votes:
        print(count_votes(folders, votes))
        return 0
    place = out or folders[0] / "vote.html"
    page = page_of(make_ballot(folders, seed)).encode()
    from gouache.atomic import write_bytes

    if place.exists() and not _begins_with(place, MARK):
        raise ConfigError(f"{one_line(place)} is no page of votes; choose another --out")
    write_bytes(place, page)
    print(place)
    return 0


def _begins_with(path: Path, mark: str) -> bool:
    try:
        with path.open("rb") as file:
            return mark.encode() in file.read(200)
    except OSError:
        return False


def _check(cells: list[Any], settings: Mapping[str, Any], preset: str) -> None:
    """Mistakes in settings and prompts come before any model is loaded."""
    from gouache.figures.recipe import OURS
    from gouache.prompts import parse_prompts
    from gouache.systems.known import check

    for cell in cells:
        if cell.system == OURS:
            own = {**settings, **cell.settings}
            own = {name: own[name] for name in own if name not in ("seed", "count")}
            make_config(preset, **own, prompt=cell.prompt)
            parse_prompts(cell.prompt)
        else:
            check(cell.system)


def _tell_what_is_missing(names: Sequence[str]) -> None:
    """A row that is not there is told: nothing of it can be seen in the grid."""
    from gouache.systems.known import NEEDS_WEIGHTS

    if names:
        fetched = " ".join(dict.fromkeys(NEEDS_WEIGHTS[name] for name in names))
        print(
            f"gouache: left out, as their weights are not here: {', '.join(names)}; gouache models "
            f"fetch {fetched}",
            file=sys.stderr,
        )


def _tell_what_is_not_used(painting: Collection[str], given: Mapping[str, Any]) -> None:
    """Settings are of gouache's own pictures; others use the device, and the guide that chooses."""
    from gouache.figures.recipe import OURS

    flags = {one.name: "--" + option_name(one).replace("_", "-") for one in PAINT}
    others = ("device", "perceptor", "seed", "count")  # the last two are refused elsewhere
    idle = [flags[name] for name in given if name not in others]
    if idle and OURS not in painting:
        does = "changes" if len(idle) == 1 else "change"
        whose = "paints in its own way" if len(painting) == 1 else "paint in their own way"
        print(
            f"gouache: {' and '.join(idle)} {does} nothing here: "
            f"{' and '.join(sorted(painting))} {whose}",
            file=sys.stderr,
        )


def _cutouts(
    folder: Path, world: str, image: Path | None, prompt: str, seed: int, given: dict[str, Any]
) -> int:
    from gouache.figures.words import WORDS

    own = WORDS[world]
    config = make_config(own.preset, **{**own.defaults, **given, "seed": seed})
    if image is not None and prompt:
        raise ConfigError("give a prompt or --image, not both")
    from gouache.atomic import output_errors, write_bytes
    from gouache.figures.cutouts import strip
    from gouache.inputs import Input, portable
    from gouache.ops.images import load_image
    from gouache.output.pictures import dump_json, save_picture
    from gouache.reserve import endings, reserve

    prompt = prompt or own.augmentations[0]
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    sets = (
        [folder / f"picture{end}.png", folder / f"grid{end}.png", folder / f"figure{end}.json"]
        for end in endings()
    )
    with reserve((), sets) as held:
        place, grid, about = held.chosen
        record: dict[str, Any] = {"figure": "cutouts", "seed": seed}
        if image is not None:
            picture = load_image(image)
            told = Input.of_file("image", image).record()
            record |= {"inputs": [told], "config": portable(config).to_dict()}
        else:
            from gouache.figures.painters import Painters
            from gouache.figures.recipe import Cell

            _fetch({**own.defaults, **given}, quiet=True)
            done = Painters(world, given, "").paint(Cell(prompt), seed, None)
            picture = done.picture
            record |= {"prompt": prompt, "seconds": done.seconds, **done.record}
        save_picture(picture, place, record, prompt if image is None else "")
        save_picture(strip(picture, config.cutouts, seed), grid)
        write_bytes(about, (dump_json(record, indent=1) + "\n").encode())
    print(grid)
    return 0


def _fetch(settings: Mapping[str, Any], quiet: bool, generator: bool = True) -> None:
    from gouache.apps.fetching import fetch_missing

    config = make_config("pocket", **{k: settings[k] for k in ("generator", "perceptor")})
    if generator:
        fetch_missing([("generator", config.generator)], quiet)
    fetch_missing([("perceptor", name) for name, _ in config.guides], quiet)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"seeds is {text!r:.60}; write whole numbers: 0,1,2") from None
    if min(found) < 0 or len(set(found)) != len(found):
        raise ConfigError(f"seeds is {text!r:.60}; expected numbers from 0, each once")
    return found


def _names(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if len(set(names)) != len(names):
        raise ConfigError(f"a system is named twice in {text!r:.80}; once is enough")
    return names


def _read_prompts(path: Path | None) -> tuple[str, ...]:
    if path is None:
        return ()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        reason = error.strerror or str(error)
        raise PromptError(f"the prompts in {path} cannot be read: {reason}") from None
    except UnicodeDecodeError:
        raise PromptError(f"the prompts in {path} are not UTF-8 text") from None
    found = tuple(line.strip() for line in lines if line.strip())
    if not 0 < len(found) <= MAX_PROMPTS:
        raise PromptError(
            f"{path} holds {len(found)} prompts; expected one per line, at most {MAX_PROMPTS}"
        )
    if len(set(found)) != len(found):
        raise PromptError(f"{path} holds a prompt twice; once is enough")
    return found


__all__ = ["figures"]
