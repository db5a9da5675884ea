"""How a system paints besides its words and seed: options, read and checked before it is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gouache.errors import ConfigError
from gouache.settings.codec import Setting

TRAINED_STEPS = 1000


def _option(name: str, kind: type, help: str, **meta: Any) -> Setting:
    """Where it is not given, each system has a value of its own."""
    return Setting(name, "system", kind, None, {"help": help, **meta})


OPTIONS = (
    _option("guidance_scale", float, "how closely the words are followed", low=0.0, high=100_000.0),
    _option(
        "temperature",
        float,
        "of codes: below 1 the likely ones more often; of glide: of the noise that is enlarged",
        above=0.0,
        high=100.0,
    ),
    _option("top_k", int, "only so many of the likeliest codes; 0 for all", low=0, high=1 << 20),
    _option(
        "top_p", float, "only the likeliest codes that make up this share", above=0.0, high=1.0
    ),
    _option(
        "sampler",
        str,
        "of diffusion: with new noise at each step, or without",
        choices=("ancestral", "ddim"),
    ),
    _option(
        "respacing",
        str,
        "which of diffusion's steps are taken: 30, ddim50, 10,10,3,2,2 or fast27; "
        "a number may be given by --steps",
    ),
)
# Names of those that each system has.
MINDALLE = ("temperature", "top_k", "top_p")
POCKET_AR = ("guidance_scale", *MINDALLE)
POCKET_DIFFUSION = ("guidance_scale", "sampler", "respacing")
GLIDE = (*POCKET_DIFFUSION, "temperature")


def split_options(
    given: Mapping[str, Any], takes: Sequence[str] | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Flat names -> options, read and checked, and what is none.

    Args:
        given: names to values, as texts or not.
        takes: options that the system has; None where it tells only when it is loaded. `steps` is
            another word for `respacing`.

    Raises:
        ConfigError: a value is none, or given twice. An option that the system lacks is left with
            what is none.
    """
    known = {one.name: one for one in OPTIONS if takes is None or one.name in takes}
    rest, options = dict(given), {}
    if "steps" in rest and takes is not None and "respacing" in takes:
        if "respacing" in rest:
            raise ConfigError("steps and respacing say the same; give one of them")
        steps = rest.pop("steps")
        several = isinstance(steps, (list, tuple))
        rest["respacing"] = ",".join(map(str, steps)) if several else str(steps)
    for name, option in known.items():
        if name in rest:
            value = rest.pop(name)
            whole = name == "respacing" and isinstance(value, int)
            options[name] = option.read(str(value) if whole else value)
    if "respacing" in options:
        from gouache.systems.diffusion import spaced_steps

        spaced_steps(TRAINED_STEPS, options["respacing"])
    return options, rest


__all__ = ["GLIDE", "MINDALLE", "OPTIONS", "POCKET_AR", "POCKET_DIFFUSION", "split_options"]
