"""The HTTP interface to pictures that are there: thumbnails, names, favourites."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.staticfiles import NotModifiedResponse

from gouache.apps.studio.copies import read_side, small, thumbnail
from gouache.apps.studio.endpoints import Endpoints
from gouache.apps.studio.refusals import NotFoundError
from gouache.apps.studio.runs import Run
from gouache.errors import ConfigError

NAME = 200  # characters
_CHECKED = {"cache-control": "private, no-cache"}  # kept, and asked for whether it is the newest
_LASTING = {"cache-control": "private, max-age=86400, immutable"}


class Library(Endpoints):
    """Endpoints for what was painted before."""

    def routes(self) -> list[Route]:
        run = "/api/runs/{run}"
        node = f"{run}/nodes/{{node:int}}"
        return [
            Route(f"{run}/thumb", self.thumb, methods=["GET"]),
            Route(f"{node}/thumb", self.thumb, methods=["GET"]),
            Route(run, self.change, methods=["PATCH"]),
            Route(node, self.change, methods=["PATCH"]),
        ]

    async def thumb(self, request: Request) -> Response:
        """A small WebP of the run as it is now, or of a point of its history; made once."""
        run, side = self._run(request), read_side(request.query_params.get("side", "320"))
        source = self._source(run, request)
        if source is None:
            frame = run.frame  # a start that is being found
            if not frame:
                raise NotFoundError("nothing is painted yet")
            data = await anyio.to_thread.run_sync(
                lambda: small(Image.open(io.BytesIO(frame)), side), limiter=self.decoding
            )
            return Response(data, media_type="image/webp")
        path = await anyio.to_thread.run_sync(thumbnail, run, source, side, limiter=self.decoding)
        lasting = "node" in request.path_params
        headers = _LASTING if lasting else _CHECKED
        answer = FileResponse(path, headers=headers, stat_result=path.stat())
        if request.headers.get("if-none-match") == answer.headers["etag"]:
            return NotModifiedResponse(answer.headers)
        return answer

    async def change(self, request: Request) -> Response:
        """{name, favourite} of a run, or of a point of its history."""
        run = self._run(request)
        values = _read_change(await self._json(request))
        node = request.path_params.get("node")
        if node is not None and node >= len(run.nodes):
            raise NotFoundError(f"there is no point {node} in the run's history")
        await run_in_threadpool(run.tell, values, node)
        return JSONResponse(self._public(run))

    def _source(self, run: Run, request: Request) -> Path | None:
        """The file of the picture that is asked for, None where nothing is painted yet."""
        node = request.path_params.get("node")
        if node is None:
            return run.newest_picture()
        path = run.path / "nodes" / f"{node}.png"
        if not path.exists():
            raise NotFoundError(f"there is no point {node} in the run's history")
        return path


def _read_change(body: Any) -> dict[str, Any]:
    if not isinstance(body, Mapping) or not body or not body.keys() <= {"name", "favourite"}:
        raise ConfigError('send {"name": "text"}, {"favourite": true} or both')
    values = dict(body)
    if "name" in values:
        name = values["name"]
        if not isinstance(name, str) or len(name) > NAME:
            raise ConfigError(f"name is {name!r:.60}; expected text of at most {NAME} characters")
        values["name"] = " ".join(name.encode("utf-8", "replace").decode().split())
    if not isinstance(values.get("favourite", False), bool):
        raise ConfigError(f"favourite is {values['favourite']!r:.60}; expected true or false")
    return values


__all__ = ["Library"]
