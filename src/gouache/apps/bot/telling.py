"""What an order's message says and shows: while it waits, while it is painted, and in the end."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from gouache.apps.bot.adapter import Attachment, Button, Message
from gouache.apps.bot.book import Entry
from gouache.apps.bot.orders import has_picture
from gouache.apps.studio.copies import KINDS, exported
from gouache.apps.studio.films import best_kind, make_film
from gouache.apps.studio.runs import Run, without_paths
from gouache.ops.images import encode, together
from gouache.prompts import one_line
from gouache.runs.outputs import slug

SIDE = 512  # pixels; of a preview, at most
_SMALLER = (("webp", 0), ("jpeg", 0), ("jpeg", 1024), ("jpeg", 512))  # formats and sides, in turn
_DO = {"vary": "Vary", "evolve": "Evolve", "choose": "Choose", "film": "Film"}
_HOW = {"vary": "variations", "evolve": "crossed", "again": "again", "film": "the film"}


class Teller:
    """Makes messages for a service; `root` is the studio's folder, of which nobody reads."""

    def __init__(self, root: Path, text_limit: int, file_limit: int) -> None:
        self._root = root
        self._text_limit = text_limit
        self._file_limit = file_limit

    def progress(self, entry: Entry, runs: Sequence[Run], before: int) -> Message:
        """Of an order that is not finished; `before` is how many pictures are painted before it."""
        cancel = ((Button(f"cancel:{entry.key}", "Cancel"),),)
        state = _state(entry, runs, before)
        halted = [run.error for run in runs if run.status == "interrupted" and run.error]
        text = self._text(entry, runs, [state, *halted[:1]])
        frames = [run.frame for run in runs if run.frame is not None] if entry.paints else []
        if not frames:
            return Message(text, (), cancel)
        sheet = together([Image.open(io.BytesIO(frame.jpeg)).convert("RGB") for frame in frames])
        sheet.thumbnail((SIDE, SIDE), reducing_gap=2.0)
        return Message(text, (Attachment("preview.jpg", encode(sheet, "JPEG")),), cancel)

    def result(self, entry: Entry, runs: Sequence[Run]) -> Message:
        """Of one whose pictures are there, as far as they ever will be."""
        painted = [run for run in runs if has_picture(run)]
        notes = list(dict.fromkeys(note.text for run in runs for note in run.notes.values()))
        files, told = self._files(painted)
        lines = [_outcome(entry, runs, painted), *told, *notes]
        return Message(self._text(entry, runs, lines), files, _buttons(entry, painted))

    def film(self, entry: Entry, runs: Sequence[Run]) -> Message:
        """The film of how a picture was painted, made once and kept."""
        if entry.cancelled or not runs or not runs[0].picture_path.exists():
            why = "cancelled" if entry.cancelled else "the picture is not there any more"
            return Message(self._text(entry, runs, [why]))
        run, kind = runs[0], best_kind()
        data = make_film(run, kind).read_bytes()
        name = f"{slug(run.title)}.{kind}"
        if len(data) > self._file_limit:
            line = f"the film has {_size(len(data))}; at most {_size(self._file_limit)} go here"
            return Message(self._text(entry, runs, [line]))
        text = self._text(entry, runs, ["how it was painted"])
        return Message(text, (Attachment(name, data),))

    def failed(self, entry: Entry, runs: Sequence[Run], error: str) -> Message:
        """Of one that cannot be shown."""
        return Message(self._text(entry, runs, [f"failed: {error}"]))

    def line(self, message: object) -> str:
        """A message of ours for people: one line without paths."""
        return one_line(without_paths(str(message), self._root), min(300, self._text_limit))

    def _text(self, entry: Entry, runs: Sequence[Run], lines: Sequence[str]) -> str:
        """The words, cut to what fits, and lines below them."""
        about = _HOW.get(entry.what, "")
        seeds = [run.config.seed for run in runs]
        if seeds:
            last = "" if len(seeds) == 1 else f" to {seeds[-1]}"
            about = f"{about}{', ' if about else ''}seed{'s' if last else ''} {seeds[0]}{last}"
        below = "\n".join(filter(None, [about, *map(self.line, lines)]))
        below = below[: self._text_limit * 3 // 4]
        title, room = runs[0].config.title if runs else "", self._text_limit - len(below) - 1
        if len(title) > room:
            told = f"... (cut here; all {len(title):,} characters are painted)"
            title = title[: max(0, room - len(told))] + told
        return "\n".join(filter(None, [title, below]))

    def _files(self, runs: Sequence[Run]) -> tuple[tuple[Attachment, ...], list[str]]:
        """The pictures with all that tells how they were made; smaller where they do not fit."""
        files: list[Attachment] = []
        told: dict[str, None] = {}
        for number, run in enumerate(runs, 1):
            room = self._file_limit // len(runs)
            path = run.picture_path
            for kind, side in _SMALLER:
                if path.stat().st_size <= room:
                    break
                path = exported(run, run.picture_path, side, KINDS[kind])
                shown = f" of at most {side} pixels a side" if side else ""
                told = {f"PNG takes too much room here; this is {kind.upper()}{shown}": None}
            if path.stat().st_size > room:
                told[f"picture {number} takes too much room here"] = None
                continue
            ending = f"-{number}" if len(runs) > 1 else ""
            name = f"{slug(run.title)}{ending}{path.suffix}"
            files.append(Attachment(name, path.read_bytes()))
        return tuple(files), list(told)


def _state(entry: Entry, runs: Sequence[Run], before: int) -> str:
    if not entry.paints:
        return "making the film"
    if any(run.status in ("painting", "paused") for run in runs):
        done = sum(run.step for run in runs) / max(1, sum(run.num_steps for run in runs))
        seconds = [run.seconds_left for run in runs if run.seconds_left is not None]
        left = f", about {max(seconds):.0f} s left" if seconds else ""
        return f"painting, {done:.0%}{left}"
    if any(run.status == "starting" for run in runs):
        return next((run.doing for run in runs if run.doing), "begins")
    if any(run.status == "interrupted" for run in runs):
        return "halted; it goes on when the bot is started again"
    waits = f"{before} picture{'s' if before > 1 else ''} before it" if before else "next"
    return f"waits for its turn: {waits}"


def _outcome(entry: Entry, runs: Sequence[Run], painted: Sequence[Run]) -> str:
    failed = next((run.error for run in runs if run.status == "failed"), "")
    if failed:
        return f"failed: {failed}"
    if len(runs) < len(entry.runs):
        return "failed: files of this order are gone or damaged"
    if any(run.status == "interrupted" for run in runs) and not entry.cancelled:
        return "failed: the bot ended more than once while it was painted; order it again"
    if painted and all(run.status == "done" for run in runs):
        return "done"
    return "stopped, as it was" if painted else "cancelled"


def _buttons(entry: Entry, painted: Sequence[Run]) -> tuple[tuple[Button, ...], ...]:
    """A row for each thing to do, in it a button for each picture."""
    again = Button(f"again:{entry.key}", "Again")
    if len(painted) == 1:
        run = painted[0].id
        return ((*(Button(f"{do}:{run}", label) for do, label in _DO.items()), again),)
    rows = [
        tuple(Button(f"{do}:{run.id}", f"{label} {k}") for k, run in enumerate(painted, 1))
        for do, label in _DO.items()
        if painted
    ]
    return (*rows, (again,))


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MiB"


__all__ = ["SIDE", "Teller"]
