"""Command-line options made from the settings themselves: one source for name, default and help.

typer reads a function's signature; `with_settings` extends a command's signature by one option per
setting. Options that are not given stay `None`: defaults never override presets and files.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from gouache.editing.config import MASK_SETTINGS, edit_settings
from gouache.settings.config import AUGMENTATIONS, PRESETS, Setting, settings

_PANELS = {
    "": "Picture",
    "cutouts": "Cutouts",
    "latents": "Latent",
    "optimization": "Optimiser",
    "guidance": "Guidance",
    "edit": "Edit",
}
# Where a list is given by repeating an option, the option is in the singular.
_SINGULAR = {
    "image_prompts": "image_prompt",
    "noise_prompts": "noise_prompt",
    "perceptor": "perceptor",
    "losses": "loss",
}
# Given as positional arguments.
_POSITIONAL = ("prompt",)


def option_name(setting: Setting) -> str:
    """ "num_cutouts" -> "--num-cutouts"."""
    return "--" + _SINGULAR.get(setting.name, setting.name).replace("_", "-")


def describe(setting: Setting) -> str:
    """Help text with range or choices and the default."""
    parts = [setting.help]
    if (choices := setting.meta.get("choices")) and choices != AUGMENTATIONS:
        parts.append(f"({', '.join(choices)})")
    elif choices:
        parts.append(f"({','.join(choices)})")
    default = setting.default
    if setting.name == "size":
        default = "x".join(map(str, default))
    elif isinstance(default, tuple):  # what is repeated is no list with commas
        default = (" + " if setting.name in _SINGULAR else ",").join(map(str, default))
    if default not in ("", None) and setting.name != "augment":
        parts.append(f"[default: {default}]")
    return " ".join(parts)


def _parameter(setting: Setting) -> inspect.Parameter:
    name = _SINGULAR.get(setting.name, setting.name)
    panel = _PANELS[setting.section]
    declarations = [option_name(setting)]
    kind: Any
    if setting.type is bool:
        declarations = [f"{declarations[0]}/--no-{declarations[0][2:]}"]
        kind = bool | None
    elif setting.name in _SINGULAR:
        kind = list[str] | None
    elif setting.type in (int, float):
        kind = setting.type | None
    else:  # sizes, steps and augmentations are parsed by the settings themselves
        kind = str | None
    option = typer.Option(
        *declarations, help=describe(setting), rich_help_panel=panel, show_default=False
    )
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, option]
    )


PAINT = tuple(settings())
EDIT = (*edit_settings(), *settings())
MASK = tuple(setting for setting in edit_settings() if setting.name in MASK_SETTINGS)


def with_settings(chosen: Sequence[Setting]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds an option for each setting; the given ones reach the command as the mapping `given`."""
    return functools.partial(_with_settings, chosen)


def _with_settings(chosen: Sequence[Setting], command: Callable[..., Any]) -> Callable[..., Any]:
    extra = {p.name: p for p in map(_parameter, chosen) if p.name not in _POSITIONAL}
    plural = {singular: name for name, singular in _SINGULAR.items()}
    hints = typing.get_type_hints(command, include_extras=True)
    own = [
        p.replace(annotation=hints.get(p.name, p.annotation), kind=inspect.Parameter.KEYWORD_ONLY)
        for p in inspect.signature(command).parameters.values()
        if p.name != "given"
    ]

    @functools.wraps(command)
    def wrapper(**values: Any) -> Any:
        given = {}
        for name in extra:
            value = values.pop(name)
            if value is not None and value != []:
                given[plural.get(name, name)] = value
        return command(**values, given=given)

    wrapper.__signature__ = inspect.Signature([*own, *extra.values()])  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in [*own, *extra.values()]}
    return wrapper


PRESET_HELP = (
    f"starting point of all settings: auto, {', '.join(sorted(PRESETS))}; auto is by the "
    "perceptors, photo for both shipped ones, paper for published ones"
)
