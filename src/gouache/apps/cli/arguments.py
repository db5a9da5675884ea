"""Values that the shell has split: `--size 128 128` is a size and a stray number, not a prompt."""

from __future__ import annotations

import re
from typing import Any

import typer
from typer.core import TyperCommand

from gouache.apps.cli.options import option_name
from gouache.errors import ConfigError
from gouache.prompts import one_line
from gouache.settings.config import settings

# What is left over of a number: "128", "x128", "x", "0.5", "200,".
_NUMBER = re.compile(r"(?=.)[x×*,:;]?(\d+([.,]\d*)?|\.\d+)?[x×*,:;%]?", re.IGNORECASE)
# What stands between the parts of a value, and the options whose value is a list.
_BETWEEN = {option_name(one): one.parts for one in settings() if one.parts}
_LISTS = {"seeds", *(one.name for one in settings() if one.codec.mark)}


class OneWordValues(TyperCommand):
    """A command that takes words, and refuses numbers that were meant for the option before them.

    Words of a prompt that are numbers go before the options, or in quotes with the other words.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        self._refuse_split_values(args)
        return super().parse_args(ctx, args)

    def _refuse_split_values(self, args: list[str]) -> None:
        taking = {
            name: option
            for option in self.params
            if isinstance(option, typer.core.TyperOption) and not option.is_flag
            for name in option.opts
        }
        place, words, strays = 0, 0, []
        while place < len(args) and args[place] != "--":
            given, equals, value = args[place].partition("=")
            option = taking.get(given)
            place += 1
            if option is None:
                words += not given.startswith("-")
                continue
            if not equals:
                value, place = "".join(args[place : place + 1]), place + 1
            rest = []
            while place < len(args) and _NUMBER.fullmatch(args[place]):
                rest.append(args[place])
                place += 1
            if rest:
                strays.append((given, option.name, value, rest))
        words += len(args) - place
        for given, name, value, rest in strays:
            # `--seed 5 1984` has no other words: then it is the prompt.
            if words or name in _LISTS or len(strays) > 1:
                raise ConfigError(_split(given, str(name), value, rest))


def _split(given: str, name: str, value: str, rest: list[str]) -> str:
    between = _BETWEEN.get(name, ",")
    parts = [part.strip("x×*,:;X") for part in (value, *rest)]
    whole = between.join(part for part in parts if part)
    got = f"{given} takes one word, got {one_line(' '.join([value, *rest]), 60)!r}"
    if name in _BETWEEN or name in _LISTS:
        return (
            f"{got}; write {given} {one_line(whole, 60)} (words of a prompt go before the options)"
        )
    return f"{got}; give it once, and put words of a prompt before the options"


__all__ = ["OneWordValues"]
