"""`gouache styles`: what pictures can be begun in, and how to ask for it."""

from __future__ import annotations

from typing import Annotated

import typer

from gouache.apps.printing import print_json


def styles(
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> int:
    """Styles and weather that a prompt may name, each with words that ask for it."""
    from gouache.styles import examples  # imports torch

    rows = examples()
    if json:
        print_json([{"name": name, "example": example} for name, example in rows.items()])
        return 0
    width = max(map(len, rows))
    for name, example in rows.items():
        typer.echo(f"{name:{width}}  {example}")
    return 0


__all__ = ["styles"]
