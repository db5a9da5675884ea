"""What all endpoints share: who asks, for which run or picture, and JSON that is checked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
from starlette.requests import Request

from gouache.apps.studio.bodies import Bodies
from gouache.apps.studio.orders import installed_models, read_id
from gouache.apps.studio.owners import may_see
from gouache.apps.studio.refusals import NotFoundError
from gouache.apps.studio.runs import Run
from gouache.apps.studio.uploads import DECODINGS, Uploads
from gouache.apps.studio.worker import Studio
from gouache.errors import ConfigError

JSON_BYTES = 2**20


class Shared:
    """What the endpoints have in common: the studio, and bounds on what is held at a time."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.uploads = Uploads(studio.root, studio.limits)
        self.models = installed_models()
        self.bodies = Bodies()
        self.decoding = anyio.CapacityLimiter(DECODINGS)  # others wait without a thread


class Endpoints:
    """Some of the endpoints. All that takes time runs in a thread of its own."""

    def __init__(self, shared: Shared) -> None:
        self.studio, self.uploads, self.models = shared.studio, shared.uploads, shared.models
        self.bodies, self.decoding = shared.bodies, shared.decoding

    def _public(self, run: Run) -> dict[str, Any]:
        return run.public() | {"position": self.studio.position(run)}

    def _run(self, request: Request) -> Run:
        return self._own(request.path_params["run"], request)

    def _own(self, name: str, request: Request) -> Run:
        """The run of that id; `NotFoundError` where it is not this visitor's."""
        run = self.studio.runs.get(name)
        if run is None or not may_see(owner_asking(request), run.owner):
            raise NotFoundError(f"there is no run {name!r:.40} of yours")
        return run

    def _find_image(self, owner: str) -> Callable[[str], Path]:
        """What turns an id into this visitor's file: an upload's, or RUN/NODE."""

        def find(name: str) -> Path:
            name, _, node = name.partition("/")
            if not node:
                return self.uploads.path(name, owner)
            run = self.studio.runs.get(name)
            path = None if run is None else run.node_path(int(node))
            if run is None or not may_see(owner, run.owner) or path is None or not path.exists():
                raise ConfigError(f"there is no picture {name}/{node} of yours")
            return path

        return find

    def _names(self, request: Request, what: str, most: int) -> list[str]:
        """The ids in the query's `runs`, with commas between them, each once: of `what`."""
        names = list(dict.fromkeys(request.query_params.get("runs", "").split(",")))
        if names == [""] or len(names) > most:
            raise ConfigError(
                f"runs names {len(names) * bool(names[0])} {what}; expected 1 to {most} ids with "
                "commas between them"
            )
        return names

    async def _json(self, request: Request, empty: Any = None) -> Any:
        async with self.bodies.read(request, JSON_BYTES) as data:
            return self._parsed(request, data, empty)

    def _parsed(self, request: Request, data: bytes, empty: Any) -> Any:
        if not data and empty is not None:
            return empty
        kind = request.headers.get("content-type", "").partition(";")[0].strip()
        if kind != "application/json":  # other pages cannot send this without being asked
            raise ConfigError(f"content-type is {kind!r:.40}; expected application/json")
        try:
            return json.loads(data, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"the request is not JSON ({error!s:.60})") from None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")


def picture_name(name: Any) -> str:
    if not isinstance(name, str):
        raise ConfigError("image must be the id of an upload, or RUN/NODE")
    first, mark, node = name.partition("/")
    if mark and not (node.isascii() and node.isdigit() and len(node) <= 6):
        raise ConfigError(f"image is {name!r:.60}; expected the id of an upload, or RUN/NODE")
    read_id(first, "image")
    return name


def owner_asking(request: Request) -> str:
    """The visitor, as `guard.Guard` found."""
    return str(request.state.owner)


__all__ = ["JSON_BYTES", "Endpoints", "Shared", "owner_asking", "picture_name"]
