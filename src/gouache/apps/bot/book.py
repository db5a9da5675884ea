"""The book of orders: who gets which pictures where. On the disk before anything is answered.

root/orders/KEY.json   an order; its pictures are runs of the studio in root/runs/
root/chosen.json       the picture that each person has chosen to cross others with
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gouache.atomic import output_errors, remove_leftovers, write_bytes
from gouache.output.pictures import dump_json

DAY = 24 * 3600.0


@dataclass
class Entry:
    """An order that was accepted.

    `owner` is a sum of who ordered. `what` is imagine, vary, evolve, again or film; `runs` are the
    ids of what is painted for it, of a film the one that it shows. `document` asks the studio for
    the same again.
    """

    key: str
    owner: str
    channel: str
    what: str
    runs: list[str]
    document: dict[str, Any] = field(default_factory=dict, repr=False)
    created: float = 0.0
    message: str = ""  # that answers it, "" until there is one
    answered: bool = False  # with what came of it
    cancelled: bool = False
    reached: int = 0  # steps, when the bot was last started again
    restarts: int = 0  # of the bot, since it got on

    @property
    def paints(self) -> bool:
        return self.what != "film"


class Book:
    """All orders, in the order of their times. For one thread at a time."""

    def __init__(self, root: Path) -> None:
        self._folder, self._chosen_path = root / "orders", root / "chosen.json"
        with output_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self._folder)
        found = [entry for path in self._folder.glob("*.json") if (entry := _read(path))]
        found.sort(key=lambda entry: entry.created)
        self._entries = {entry.key: entry for entry in found}
        self._open = {entry.key: entry for entry in found if not entry.answered}
        try:
            told = json.loads(self._chosen_path.read_bytes())
            self._chosen = {str(owner): str(run) for owner, run in told.items()}
        except (OSError, ValueError, AttributeError):
            self._chosen = {}

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def get(self, key: str) -> Entry | None:
        return self._entries.get(key)

    def open(self) -> list[Entry]:
        """Those that are not answered yet, oldest first."""
        return list(self._open.values())

    def add(self, entry: Entry) -> None:
        """`OutputError` where it cannot be written; then it is not in the book."""
        self.save(entry)
        self._entries[entry.key] = self._open[entry.key] = entry

    def save(self, entry: Entry) -> None:
        """Writes what was changed."""
        write_bytes(self._folder / f"{entry.key}.json", dump_json(asdict(entry)).encode())
        if entry.answered:
            self._open.pop(entry.key, None)

    def of(self, owner: str) -> list[Entry]:
        """What somebody ordered, oldest first."""
        return [entry for entry in self._entries.values() if entry.owner == owner]

    def chosen(self, owner: str) -> str:
        """The run whose picture this person has chosen; "" for none."""
        return self._chosen.get(owner, "")

    def choose(self, owner: str, run: str) -> None:
        chosen = {**self._chosen, owner: run}
        write_bytes(self._chosen_path, dump_json(chosen).encode())
        self._chosen = chosen


def key_of(service: str, event: str) -> str:
    """The name of the order that an event of a service is."""
    return hashlib.sha256(f"{service} {event}".encode()).hexdigest()[:32]


def recent(entries: list[Entry], seconds: float = DAY) -> list[Entry]:
    """Those of the last day."""
    return [entry for entry in entries if time.time() - entry.created < seconds]


def _read(path: Path) -> Entry | None:
    try:
        told = json.loads(path.read_bytes())
        entry = Entry(**told)
        right = entry.key == path.stem and all(isinstance(run, str) for run in entry.runs)
        if not right or not isinstance(entry.created, (int, float)):
            raise ValueError
    except (OSError, ValueError, TypeError):
        print(f"gouache: orders/{path.name} is damaged; this order is lost", file=sys.stderr)
        return None
    return entry


__all__ = ["DAY", "Book", "Entry", "key_of", "recent"]
