"""The `gouache` command: its group, and what every error looks like."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from gouache._version import __version__
from gouache.apps.cli import (
    bot,
    edit,
    figures,
    models,
    paint,
    read,
    studio,
    styles,
    sweep,
    varied,
    video,
)
from gouache.apps.cli.arguments import OneWordValues
from gouache.apps.printing import (
    STREAM_ERRORS,
    discard_stdout,
    flush,
    prepare_streams,
    stdout_failed,
)
from gouache.errors import ConfigError, GouacheError, PromptError
from gouache.interrupts import catch_signals

# typer carries its own copy of click in some versions and uses the installed one in others; the
# base of its public `BadParameter` is the right class in both.
UsageError: Any = typer.BadParameter.__bases__[0]


class PaintByDefault(TyperGroup):
    """`gouache "a red apple"` is `gouache paint "a red apple"`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.list_commands(ctx):
            args = ["paint", *args]
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        # `gouache --steps 10 "a red apple"`: options of paint may come first.
        if args and args[0].startswith("-") and args[0] not in _GROUP_OPTIONS:
            args = ["paint", *args]
        return super().parse_args(ctx, args)


_GROUP_OPTIONS = ("--help", "-h", "--version", "--install-completion", "--show-completion")

app = typer.Typer(
    cls=PaintByDefault,
    name="gouache",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
    help='Paint pictures from words: gouache "a red apple". '
    "A prompt that is also a command's name needs paint before it.",
)
app.command("paint", cls=OneWordValues)(paint.paint)
app.command("four", cls=OneWordValues)(varied.four)
app.command("vary", cls=OneWordValues)(varied.vary)
app.command("evolve", cls=OneWordValues)(varied.evolve)
app.command("edit", cls=OneWordValues)(edit.edit)
app.command("mask")(edit.mask)
app.command("resume")(paint.resume)
app.command("replay")(paint.replay)
app.command("info")(read.info)
app.command("video", cls=OneWordValues)(video.video)
app.command("figures", cls=OneWordValues)(figures.figures)
app.command("studio")(studio.studio)
app.command("styles")(styles.styles)
app.command("bot")(bot.bot)
app.add_typer(sweep.app, name="sweep")
app.add_typer(models.app, name="models")


def _only_in_the_repository(name: str) -> None:
    """A command that the package does not have: a word that was one is not painted unasked."""

    @app.command(
        name,
        hidden=True,
        context_settings={
            "allow_extra_args": True,
            "ignore_unknown_options": True,
            "help_option_names": [],
        },
    )
    def command() -> None:
        raise ConfigError(
            f"{name} is no part of the installed package; in a clone of the repository run: "
            f"pip install -e '.[train,bench]' (to paint the word: gouache paint {name})"
        )


for _name, _package in (("bench", "gouache_bench"), ("train", "gouache_training")):
    if find_spec(_package) is None:
        _only_in_the_repository(_name)
    else:
        import_module(f"{_package}.cli").add_to(app)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"gouache {__version__}")
        raise typer.Exit


@app.callback()
def group(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@lru_cache(maxsize=1)
def _command() -> Any:
    """Made once per process: turning signatures into options takes a while."""
    return typer.main.get_command(app)


def run(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit code. Our errors are one line on stderr and 2."""
    prepare_streams()
    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = _one_line_each()
        return _run(arguments)


def _one_line_each() -> Callable[..., None]:
    """Shows warnings as one line each, and of a kind only the first, unless it says otherwise."""
    seen: set[object] = set()

    def show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        key = (category, str(message)) if getattr(category, "all_differ", False) else category
        if key not in seen:
            seen.add(key)
            print(f"gouache: note: {message}", file=sys.stderr)

    return show


def _run(arguments: list[str] | None) -> int:
    try:
        code = _command().main(args=arguments, standalone_mode=False, prog_name="gouache")
        flush()
    except PromptError as error:
        return _fail(f"{error}\n{error.pointer()}" if error.text else str(error))
    except GouacheError as error:
        return _fail(str(error))
    except UsageError as error:
        return _fail(f"{error.format_message()} See: gouache --help")
    except (typer.Abort, KeyboardInterrupt):
        print("gouache: interrupted", file=sys.stderr)
        return 130
    except typer.Exit as stop:
        return int(stop.exit_code)
    except BrokenPipeError:
        # The reader of our output has gone (`gouache --help | head`); nothing is left to say.
        discard_stdout()
        return 0
    except OSError as error:
        if error.filename is not None or error.errno not in STREAM_ERRORS:
            raise
        return _fail(str(stdout_failed(error)))
    return int(code or 0)


def _fail(message: str) -> int:
    print(f"gouache: {message}", file=sys.stderr)
    return 2


def entry() -> NoReturn:
    """What scripts call that were installed with earlier versions."""
    catch_signals()
    sys.exit(run())
