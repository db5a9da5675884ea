"""How a session looks in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gouache import html
from gouache.ops.images import encode, to_pil, together

if TYPE_CHECKING:
    from gouache.engine.session import Session


def session_png(session: Session) -> bytes:
    """The picture as it is now; of a batch all in a grid."""
    return encode(together([to_pil(picture) for picture in session.picture()]))


def session_html(session: Session) -> str:
    """The picture, what it is painted from, and how far it is."""
    config = session.config
    rows: list[tuple[str, object]] = [
        *_prompts(session),
        ("step", f"{session.step_index} of {session.num_steps}"),
        ("size", "x".join(map(str, config.size))),
        ("seed", config.seed),
        ("generator", config.generator),
        ("perceptor", config.perceptor),
        ("device", f"{session.models.device}, {session.models.dtype or 'float32'}"),
    ]
    return html.image(session_png(session), 256) + html.table(rows)


def _prompts(session: Session) -> list[tuple[str, object]]:
    """What is asked now; where pictures are asked different things, who what."""
    asked: dict[str, list[str]] = {}
    for number, own in enumerate(session.stages[session.stage].columns, 1):
        asked.setdefault("  |  ".join(str(target.prompt) for target in own), []).append(str(number))
    if len(asked) == 1:
        return [("prompts", told) for told in asked]
    return [(f"picture {', '.join(whose)}", told) for told, whose in asked.items()]


__all__ = ["session_html", "session_png"]
