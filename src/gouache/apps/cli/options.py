"""Command-line options made from the settings themselves: one source for name, default and help.

typer reads a function's signature; `with_settings` extends a command's signature by one option per
setting. Options that are not given stay `None`: defaults never override presets and files.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer

from gouache.editing.config import MASK_SETTINGS, edit_settings
from gouache.films.config import film_settings
from gouache.runs.varied import COUNT, STARTS
from gouache.settings.codec import Setting
from gouache.settings.config import PRESETS, settings
from gouache.systems.options import OPTIONS

_PANELS = {
    "": "Picture",
    "cutouts": "Cutouts",
    "latents": "Latent",
    "optimization": "Optimiser",
    "guidance": "Guidance",
    "edit": "Edit",
    "film": "Film",
    "system": "Other systems (--system)",
}
# Given as positional arguments.
_POSITIONAL = ("prompt",)


def option_name(setting: Setting) -> str:
    """The option's, with underscores: in the singular where a list is given by repeating it."""
    return str(setting.meta.get("option", setting.name))


def _parameter(setting: Setting) -> inspect.Parameter:
    """An option whose value is a text, or several: the setting reads them."""
    name = option_name(setting)
    option = "--" + name.replace("_", "-")
    flag = setting.type is bool
    kind: Any = bool | None if flag else str | None
    if setting.codec.repeats:
        kind = list[str] | None
    declared = typer.Option(
        f"{option}/--no-{option[2:]}" if flag else option,
        help=setting.explain(),
        metavar=None if flag else setting.codec.metavar,
        rich_help_panel=_PANELS[setting.section],
        show_default=False,
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind, declared],
    )


PAINT = tuple(settings())
SYSTEM = OPTIONS
EDIT = (*edit_settings(), *settings())
# `--morph` takes the two pictures that it is about.
VIDEO = (*(s for s in film_settings() if s.name != "morph"), *settings())
FOUR = tuple(setting for setting in PAINT if setting.name != "count")
VARIED = tuple(setting for setting in PAINT if setting.name not in STARTS)
# Variations are several, unless it is said.
VARY = tuple(replace(s, default=COUNT) if s.name == "count" else s for s in VARIED)
MASK = tuple(setting for setting in edit_settings() if setting.name in MASK_SETTINGS)


def with_settings(chosen: Sequence[Setting]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds an option for each setting; the given ones reach the command as the mapping `given`."""
    return functools.partial(_with_settings, chosen)


def _with_settings(chosen: Sequence[Setting], command: Callable[..., Any]) -> Callable[..., Any]:
    extra = {s.name: _parameter(s) for s in chosen if s.name not in _POSITIONAL}
    hints = typing.get_type_hints(command, include_extras=True)
    own = [
        p.replace(annotation=hints.get(p.name, p.annotation), kind=inspect.Parameter.KEYWORD_ONLY)
        for p in inspect.signature(command).parameters.values()
        if p.name != "given"
    ]

    @functools.wraps(command)
    def wrapper(**values: Any) -> Any:
        given = {}
        for name, parameter in extra.items():
            value = values.pop(parameter.name)
            if value is not None and value != []:
                given[name] = value
        return command(**values, given=given)

    wrapper.__signature__ = inspect.Signature([*own, *extra.values()])  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in [*own, *extra.values()]}
    return wrapper


PRESET_HELP = (
    f"starting point of all settings: auto, {', '.join(sorted(PRESETS))}; auto is by the "
    "perceptors, photo for both shipped ones, paper for published ones"
)
