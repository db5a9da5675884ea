"""`gouache models`: what can be painted with, and the files of it on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gouache.apps.printing import print_json
from gouache.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from gouache.weights.catalogue import Entry

app = typer.Typer(
    help="List, fetch and add generators and perceptors.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A model, as `models list` names it.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress; only the result.")]


@app.command("list")
def list_models(
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the tables of the documentation.")
    ] = False,
) -> int:
    """All models that gouache knows by name: shipped, published and added."""
    if json and markdown:
        raise ConfigError("--json and --markdown exclude each other; give one")
    from gouache.weights import catalogue

    published = catalogue.catalogue().values()
    if markdown:
        typer.echo(markdown_tables(published))
        return 0
    rows = [describe(e) for e in [*catalogue.shipped(), *published, *catalogue.added()]]
    if json:
        print_json(rows)
        return 0
    for line in text_table(rows):
        typer.echo(line)
    return 0


@app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Models to fetch.")],
    quiet: Quiet = False,
) -> int:
    """Download models into the cache, so that painting needs no network."""
    from gouache.apps.fetching import make_watch
    from gouache.generators import generators  # registers how they are converted
    from gouache.weights import catalogue
    from gouache.weights.cache import obtain

    entries = []
    shipped = {entry.name for entry in catalogue.shipped()} | set(generators.names())
    for name in names:
        entry = catalogue.find(name)
        if entry is None and "/" in name:
            entry = catalogue.from_hub(name)
        if entry is None and name not in shipped:
            raise unknown(name)
        entries.append(entry)
    for name, entry in zip(names, entries, strict=True):
        if entry is None:
            typer.echo(f"{name} comes with gouache; there is nothing to fetch")
            continue
        with make_watch(quiet) as watch:
            path = obtain(entry, watch)
        typer.echo(f"{name}: {path}")
    return 0


@app.command()
def add(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A checkpoint, or its folder.")],
    config: Annotated[
        Path | None,
        typer.Argument(metavar="[CONFIG]", help="Its YAML or JSON, if not beside it."),
    ] = None,
    name: Annotated[
        str, typer.Option("--name", "-n", metavar="N", help="What to call it from now on.")
    ] = "",
) -> int:
    """Add a local checkpoint: VQGANs are converted into the cache, perceptors stay where they are.

    Reads VQGANs of taming-transformers, latent-diffusion and diffusers, CLIPs of OpenAI and folders
    of transformers; of the paper's other systems, folders of minDALL-E and GLIDE.
    """
    if not name:
        raise ConfigError("give the model a name: gouache models add PATH --name NAME")
    from gouache.generators import CHECKPOINT_SUFFIXES, generators
    from gouache.perceptors import load_perceptor, perceptors
    from gouache.weights import cache
    from gouache.weights.recognise import recognise
    from gouache.weights.records import checked

    if checked(name) in {*generators.names(), *perceptors.names()}:
        raise ModelError(f"{name} is a model that comes with gouache; choose another name")
    if name.endswith(CHECKPOINT_SUFFIXES):
        raise ModelError(f"{name} looks like the name of a file; leave out the suffix")
    if config is not None and not config.is_file():
        raise ModelError(f"there is no file {config}; expected the configuration of {path}")
    found = recognise(path)
    if found.kind != "generator" and config is not None:
        raise ModelError(
            f"{config} would not be read: the configuration of a {found.kind} lies beside its "
            f"weights; put it there as {path.with_suffix('.json').name}"
        )
    if found.kind == "perceptor":
        load_perceptor(path)  # so that what cannot be loaded is refused now, not when painting
    if found.kind == "system":
        _try_system(path, found.family)
    record = cache.add(name, found.kind, found.family, path, config)
    facts = "".join(f", {key.replace('_', ' ')} {value}" for key, value in record.facts.items())
    typer.echo(f"{name}: a {record.kind} ({record.family}{facts}) in {record.path}")
    typer.echo(f'paint with it: gouache "a red apple" --{record.kind} {name}')
    return 0


def _try_system(path: Path, family: str) -> None:
    """Loads it, so that what cannot be loaded is refused now."""
    if family == "mindalle":
        from gouache.systems.mindalle import load_mindalle

        load_mindalle(path)
    else:
        from gouache.systems.glide import BASE_OVER, CLIP_TEXT, load_glide, load_inpainter

        if family == "glide":
            load_glide(path, guided_by="clip" if (path / CLIP_TEXT).is_file() else "free")
        if (path / BASE_OVER).is_file():
            load_inpainter(path)


@app.command()
def verify(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One model; all of them if left out.")
    ] = None,
) -> int:
    """Hash the files of cached models again and compare with what was recorded."""
    from gouache.weights import cache, records

    names = [name] if name is not None else records.names()
    damaged = 0
    for each in names:
        try:
            wrong = cache.verify(each)
        except ModelError as error:
            if name is not None:
                raise
            wrong = [str(error)]
        damaged += bool(wrong)
        for line in wrong or ["as recorded"]:
            typer.echo(f"{each}: {line}")
    if damaged:
        raise ModelError(
            f"{damaged} of {len(names)} models are damaged; run: gouache models remove NAME, "
            "then fetch or add it again"
        )
    return 0


@app.command()
def remove(name: Name) -> int:
    """Remove a model from the cache."""
    from gouache.weights import cache

    record = cache.remove(name)
    typer.echo(f"removed {name}")
    if record is not None and record.path.exists():
        typer.echo(f"its files remain in {record.path}")
    return 0


@app.command()
def path(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A model; the cache if left out.")
    ] = None,
) -> int:
    """Print where the cache, or a model in it, lies."""
    from gouache.weights import cache, catalogue, records

    if name is None:
        typer.echo(records.cache_folder())
        return 0
    entry = catalogue.find(name)
    if entry is None:
        raise unknown(name)
    found = cache.cached(entry)
    if found is None:
        raise ModelError(f"{name} is not in the cache; run: gouache models fetch {name}")
    typer.echo(found)
    return 0


def unknown(name: str) -> ModelError:
    """The error for a name that nothing here has."""
    from gouache.registry import nearest
    from gouache.weights import catalogue
    from gouache.weights.records import KINDS

    names = sorted({name for kind in KINDS for name in catalogue.names(kind)})
    return ModelError(f"no model is called {name!r:.80}; {nearest(name, names)}")


def describe(entry: Entry) -> dict[str, Any]:
    """All that is known of a model, as plain values; what is not known is None."""
    from gouache.weights import cache, records

    found: Path | None
    try:
        found = cache.cached(entry)
        record = None if entry.status == "shipped" else records.read(entry.name)
    except ModelError:  # damaged: `models verify` says how
        found = record = None
    # What a table does not say of a published model is known once it has been converted.
    facts = dict(record.facts) if record is not None else {}
    told = ("name", "kind", "status", "family", "about", "file_size", "licence", "hub")
    numbers = ("downsampling", "codebook_size", "native_size")
    return {
        **{name: getattr(entry, name) for name in told},
        **{name: getattr(entry, name) or facts.get(name) for name in numbers},
        "cached": found is not None,
        "sources": list(entry.sources),
        "sha256": entry.weights.sha256 if entry.weights is not None else None,
        "revision": entry.revision if entry.hub is not None else None,
        "path": str(found) if found is not None else None,
    }


def text_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Aligned lines with a heading."""
    from gouache.weights.watch import human_size

    cells = [("NAME", "KIND", "F", "CODES", "PIXELS", "FILE", "SHA256", "LICENCE", "HERE")]
    for row in rows:
        here = {"shipped": "shipped", "added": "added"}.get(row["status"], "cached")
        size = human_size(row["file_size"]) if row["file_size"] is not None else "unknown"
        numbers = (row["downsampling"], row["codebook_size"], row["native_size"])
        known = "" if row["status"] != "catalogue" else (row["sha256"] or "unknown")[:12]
        cells.append(
            (row["name"], row["kind"], *("" if n is None else str(n) for n in numbers), size,
             known, row["licence"] or "unknown", here if row["cached"] else "")
        )  # fmt: skip
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return [
        "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]


def markdown_tables(entries: Iterable[Entry]) -> str:
    """The tables of docs/models.md: published generators, perceptors, models of depth, systems."""
    from gouache.weights.watch import human_size

    generators = [
        "| name | what | f | codes | trained at | file | sha256 | licence | sources |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    heading = [
        "| name | what | sees | read by | licence | source |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    perceptors, depth = [*heading], [*heading]
    systems = [
        "| name | what | paints | licence | files |",
        "| --- | --- | --- | --- | --- |",
    ]
    for entry in entries:
        side = f"{entry.native_size} px"
        licence = entry.licence or "unknown"
        if entry.kind == "system":
            files = [f"[{file.name}]({file.sources[0]})" for file in entry.parts]
            cells = [f"`{entry.name}`", entry.about, side, licence, " ".join(files)]
            systems.append(f"| {' | '.join(cells)} |")
            continue
        if entry.kind != "generator":
            source = f"[{entry.hub}]({entry.sources[0]})"
            cells = [f"`{entry.name}`", entry.about, side, entry.family, licence, source]
            (depth if entry.kind == "depth" else perceptors).append(f"| {' | '.join(cells)} |")
            continue
        sha256 = entry.weights.sha256 if entry.weights is not None else None
        size = human_size(entry.file_size) if entry.file_size is not None else "unknown"
        cells = [
            f"`{entry.name}`",
            entry.about,
            str(entry.downsampling),
            str(entry.codebook_size or "unknown"),
            side,
            size,
            f"`{sha256[:16]}…`" if sha256 else "unknown",
            licence,
            " ".join(f"[{number}]({url})" for number, url in enumerate(entry.sources, 1)),
        ]
        generators.append(f"| {' | '.join(cells)} |")
    tables = {"Generators": generators, "Perceptors": perceptors, "Depth": depth}
    tables["Systems"] = systems
    return "\n\n".join("\n".join([f"{name}:", "", *rows]) for name, rows in tables.items())


__all__ = ["app"]
