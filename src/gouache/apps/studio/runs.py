"""Runs as the studio keeps them: a run folder each, which is the whole database."""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from gouache.apps.studio.frames import Frame
from gouache.apps.studio.noting import Note
from gouache.apps.studio.owners import settled_owner
from gouache.atomic import write_bytes
from gouache.errors import GouacheError, OutputError
from gouache.films.config import FilmConfig
from gouache.films.folders import FRAMES
from gouache.output.pictures import dump_json
from gouache.settings.config import PaintConfig

if TYPE_CHECKING:
    from gouache.apps.studio.orders import Order
    from gouache.engine import Session
    from gouache.films.film import Film
    from gouache.output.run_folder import RunFolder

ENDED = ("done", "stopped", "failed", "cancelled", "interrupted")
STATE = "state.safetensors"
ORDER = "order.json"  # what was asked, until it is begun: a queue survives its server
ABOUT = "studio.json"  # beside settings.json: whose run it is, where it came from, how it went


_PATH = re.compile(
    r"(?<![\w/.:])(?:/[^\s/'\"<>|;,]+){1,}/(?=[^\s/'\"<>|;,])|[A-Za-z]:\\(?:[^\s\\]+\\)+"
)


class Sketch(NamedTuple):
    """A try of a start, as it is now."""

    step: int
    image: bytes  # WebP


@dataclass(eq=False)
class Run:
    """One painting. Only the worker touches `session` and `folder`; the rest under `lock`.

    `owner` is what `guard.owner_of` makes of a visitor's token; runs of one `group` were asked for
    together and are painted in turn, a step each.
    status: queued, starting, painting, paused; or how it ended: done, stopped (by hand, the picture
    is there), failed, cancelled (before it began), interrupted (the server ended; can go on).
    """

    id: str
    owner: str
    path: Path
    config: PaintConfig
    parent: str = ""
    group: str = ""
    how: str = ""  # it came about: vary, evolve, edit, branch, "" by itself
    parents: tuple[str, ...] = ()  # RUN/NODE, or RUN
    kind: str = "paint"
    film: FilmConfig | None = None  # of a film
    painted: int = 0  # frames of it
    name: str = ""  # what its owner calls it
    favourite: bool = False
    created: float = 0.0
    status: str = "queued"
    step: int = 0
    num_steps: int = 0
    error: str = ""
    notes: dict[str, Note] = field(default_factory=dict)  # of each kind of warning the first
    totals: list[float] = field(default_factory=list)
    nodes: list[dict[str, Any]] = field(default_factory=list)
    seconds_left: float | None = None
    order: Order | None = field(default=None, repr=False)
    session: Session | Film | None = field(default=None, repr=False)
    folder: RunFolder | None = field(default=None, repr=False)
    frame: Frame | None = field(default=None, repr=False)
    doing: str = ""  # while a start is found: in a few words
    sketches: dict[int, Sketch] = field(default_factory=dict, repr=False)  # then, by number
    leads: int | None = None  # the sketch that is the best so far
    choice: int | None = None  # of a sketch to go on from at once; 0 is the best
    version: int = 0  # counts what is to be seen
    wish: str = ""  # "", pause or stop: the worker looks between two steps
    drawings: list[Path] = field(default_factory=list, repr=False)  # PNG with alpha, not laid yet
    laying: int = 0  # so many of them, the first, are being laid
    sealed: bool = False  # nothing more is laid into it
    prompt: str | None = None  # a new one, from the next step on
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    saving: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def new(cls, root: Path, owner: str, order: Order, group: str = "") -> Run:
        """A run with a new folder's name; nothing is written yet."""
        name = secrets.token_hex(16)
        return cls(
            id=name,
            owner=owner,
            path=root / "runs" / name,
            config=order.config,
            parent=order.parent,
            group=group,
            how=order.how,
            parents=order.parents,
            kind="film" if order.film else "edit" if order.edit else "paint",
            film=order.film,
            created=time.time(),
            num_steps=sum(order.config.steps),
            order=order,
        )

    @property
    def picture_path(self) -> Path:
        return self.path / "picture.png"

    @property
    def shelf(self) -> str:
        """The folder in the run's own that what is painted goes into."""
        return "steps" if self.film is None else FRAMES

    def frame_path(self, number: int) -> Path:
        """A frame of a film."""
        return self.path / FRAMES / f"{number:05d}.png"

    @property
    def begun(self) -> bool:
        """Is there a picture to go on from?"""
        return self.session is not None or (self.path / STATE).exists()

    @property
    def can_go_on(self) -> bool:
        return self.begun or (self.path / ORDER).exists()

    @property
    def title(self) -> str:
        """What its files are called by."""
        return self.name or self.config.title

    @property
    def origin(self) -> dict[str, Any]:
        """What its pictures' files tell of where they come from in the studio."""
        return {"run": self.id, "how": self.how, "parents": list(self.parents)}

    def node_path(self, number: int) -> Path:
        """The picture of a point of the history."""
        return self.path / "nodes" / f"{number}.png"

    def newest_picture(self) -> Path | None:
        """The file that shows it best now, None before anything was painted."""
        steps = sorted(self.path.glob(f"{self.shelf}/*.png"))
        nodes = self.path.glob("nodes/*.png")
        newest = sorted(nodes, key=lambda path: int(path.stem))
        for path in [self.picture_path, *steps[-1:], *newest[-1:]]:
            if path.exists():
                return path
        return None

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    def changed(self, **values: Any) -> None:
        """Sets attributes and lets watchers know."""
        with self.lock:
            for name, value in values.items():
                setattr(self, name, value)
            self.version += 1

    def noted(self, message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        """Keeps a warning of ours for the page to show: words that are unknown or cut off."""
        if category.__module__.startswith("gouache."):
            differs = getattr(category, "all_differ", False)
            with self.lock:
                self.notes.setdefault(
                    f"{category.__name__} {message if differs else ''}", Note.of(message, category)
                )

    def save_about(self) -> None:
        """Writes what the run folder itself does not tell."""
        with self.saving:  # the one who writes last writes the newest
            write_bytes(self.path / ABOUT, dump_json(self.about()).encode())

    def tell(self, values: Mapping[str, Any], node: int | None = None) -> None:
        """Keeps `name` or `favourite`, or both, of the run or of a point of its history.

        `OutputError` where they cannot be written; then they are as before.
        """
        with self.lock:
            told: dict[str, Any] = vars(self) if node is None else self.nodes[node]
            before = {name: told.get(name, type(value)()) for name, value in values.items()}
            told.update(values)
        try:
            self.save_about()
        except OutputError:
            with self.lock:
                told.update(before)
            raise
        self.changed()

    def about(self) -> dict[str, Any]:
        with self.lock:
            return self._told()

    def _told(self) -> dict[str, Any]:
        return {
            "owner": self.owner,
            "parent": self.parent,
            "group": self.group,
            "how": self.how,
            "parents": list(self.parents),
            "kind": self.kind,
            "name": self.name,
            "favourite": self.favourite,
            "created": self.created,
            "status": self.status,
            "step": self.step,
            "num_steps": self.num_steps,
            "error": self.error,
            "nodes": [dict(node) for node in self.nodes],
            "prompt": self.config.title,
            "words": self.prompt,
        }

    def public(self) -> dict[str, Any]:
        """What its owner may see of it, without the settings."""
        with self.lock:
            return {
                "id": self.id,
                "prompt": self.config.title,
                "words": self.prompt,  # from the next step on, None for the same
                "kind": self.kind,
                "name": self.name,
                "favourite": self.favourite,
                "parent": self.parent,
                "group": self.group,
                "how": self.how,
                "parents": list(self.parents),
                "created": self.created,
                "status": self.status,
                "step": self.step,
                "num_steps": self.num_steps,
                "steps": list(self.config.steps),  # of every stage, or of each
                "film": self.film
                and {
                    "frames": self.film.num_frames,
                    "painted": self.painted,
                    "fps": self.film.fps,
                    "settings": self.film.to_dict(),
                },
                "seconds_left": self.seconds_left,
                "doing": self.doing,
                "sketches": [
                    {"number": k, "step": one.step, "url": f"/api/runs/{self.id}/sketches/{k}"}
                    for k, one in sorted(self.sketches.items())
                ],
                "leads": self.leads,
                "choice": self.choice,
                "seed": self.config.seed,
                "size": list(self.config.size),
                "scale": self.config.scale,
                "nodes": [{"name": "", "favourite": False, **node} for node in self.nodes],
                "error": without_paths(self.error, self.path.parents[1]),
                "notes": [
                    {
                        "kind": note.kind,
                        "text": without_paths(note.text, self.path.parents[1]),
                        **note.details,
                    }
                    for note in self.notes.values()
                ],
                "version": self.version,
                "picture": self.picture_path.exists(),
                "shown": self.frame is not None,  # there is something to see, before any step too
            }


R = TypeVar("R", bound=Run)


def load_runs(root: Path, folder: str = "runs") -> list[Run]:
    """The runs of earlier servers, oldest first; folders that cannot be read are left alone.

    A run that was under way when its server ended is `interrupted` and can go on; one that waited
    still waits.
    """
    found = []
    for path in sorted((root / folder).glob("*")):
        with suppress(OSError, ValueError, KeyError, TypeError, GouacheError):
            found.append(load_run(path, Run))
    return sorted(found, key=lambda run: run.created)


def load_run(path: Path, kind: type[R]) -> R:
    """The run in a folder; one of several errors where that cannot be read."""
    about = json.loads((path / ABOUT).read_bytes())
    settings = json.loads((path / "settings.json").read_bytes())
    run = kind(
        id=path.name,
        owner=str(about["owner"]),
        path=path,
        config=PaintConfig.from_dict(settings["config"]),
        parent=str(about["parent"]),
        group=str(about.get("group", "")),
        how=str(about.get("how", _how(about))),
        parents=tuple(map(str, about.get("parents", [about["parent"]][: bool(about["parent"])]))),
        kind=str(about["kind"]),
        film=None if (film := settings.get("film")) is None else FilmConfig.from_dict(film),
        name=str(about.get("name", "")),
        favourite=about.get("favourite") is True,
        created=float(about["created"]),
        status=str(about["status"]),
        step=int(about["step"]),
        num_steps=int(about["num_steps"]),
        error=str(about["error"]),
        nodes=[dict(node) for node in about["nodes"]],
        drawings=sorted(path.glob("drawings/*.png")),
        prompt=None if about.get("words") is None else str(about["words"]),
    )
    run.config = run.config.updated(prompt=str(about.get("prompt", run.config.title)))
    if not run.ended and not (run.status == "queued" and run.can_go_on):
        run.status = "interrupted" if run.can_go_on else "failed"
        run.error = "" if run.can_go_on else "the server ended before it began"
    if run.status in ("queued", "interrupted"):
        steps = sorted(path.glob("steps/*.png"))
        run.step = int(steps[-1].stem) if steps else run.step
    if run.film is not None:
        run.painted = sum(1 for _ in path.glob(f"{FRAMES}/*.png"))
    return run


def _how(about: dict[str, Any]) -> str:
    """Of a run of an earlier version."""
    return "edit" if about["kind"] == "edit" else "branch" if about["parent"] else ""


def hide_tokens(root: Path) -> None:
    """Puts visitors' names in the place of the tokens that earlier versions kept in `root`."""
    for path in (root / "runs").glob(f"*/{ABOUT}"):
        with suppress(OSError, ValueError, KeyError, TypeError, OutputError):
            about = json.loads(path.read_bytes())
            if (owner := settled_owner(about["owner"])) != about["owner"]:
                write_bytes(path, dump_json({**about, "owner": owner}).encode())
    for path in (root / "images").glob("*"):
        if (owner := settled_owner(path.name)) != path.name:
            with suppress(OSError):
                path.rename(path.with_name(owner))


def without_paths(message: str, root: Path) -> str:
    """A message for visitors: of files on this machine they read the names only."""
    for folder in {str(root), str(root.absolute()), str(root.resolve())}:
        if len(folder) > 1:
            message = message.replace(folder, "the studio's folder")
    return _PATH.sub("", message)


__all__ = [
    "ABOUT",
    "ENDED",
    "ORDER",
    "STATE",
    "Run",
    "Sketch",
    "hide_tokens",
    "load_run",
    "load_runs",
    "without_paths",
]
