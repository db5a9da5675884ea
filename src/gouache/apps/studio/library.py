"""The HTTP interface to pictures that are there: thumbnails, names, the trash, ZIP files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.staticfiles import NotModifiedResponse

from gouache.apps.studio.archives import Entry, zipped
from gouache.apps.studio.copies import (
    KINDS,
    MOST_SIDE,
    exported,
    read_side,
    read_whole,
    thumbnail,
)
from gouache.apps.studio.endpoints import Endpoints, Shared, owner_asking, picture_name
from gouache.apps.studio.fitting import brought, read_fit
from gouache.apps.studio.owners import may_see
from gouache.apps.studio.reading import is_settings, parse_settings, read_document
from gouache.apps.studio.refusals import NotFoundError
from gouache.apps.studio.runs import Run
from gouache.apps.studio.trash import DAYS
from gouache.apps.studio.workshop import Workshop
from gouache.errors import ConfigError
from gouache.ops.images import read_picture
from gouache.runs.outputs import slug

NAME = 200  # characters
MOST_ZIPPED = 400  # whose ids a server takes in one address
_CHECKED = {"cache-control": "private, no-cache"}  # kept, and asked for whether it is the newest
_LASTING = {"cache-control": "private, max-age=86400, immutable"}


class Library(Endpoints):
    """Endpoints for what was painted before."""

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self.exports = Workshop("exports")

    def routes(self) -> list[Route]:
        run = "/api/runs/{run}"
        node = f"{run}/nodes/{{node:int}}"
        return [
            Route(f"{run}/thumb", self.thumb, methods=["GET"]),
            Route(f"{node}/thumb", self.thumb, methods=["GET"]),
            Route(f"{run}/export", self.export, methods=["GET"]),
            Route(f"{node}/export", self.export, methods=["GET"]),
            Route(run, self.change, methods=["PATCH"]),
            Route(node, self.change, methods=["PATCH"]),
            Route(run, self.delete, methods=["DELETE"]),
            Route(f"{run}/restore", self.restore, methods=["POST"]),
            Route("/api/trash", self.trash, methods=["GET"]),
            Route("/api/trash/{run}/thumb", self.binned_thumb, methods=["GET"]),
            Route("/api/zip", self.zip, methods=["GET"]),
            Route("/api/read", self.read, methods=["POST"]),
            Route("/api/uploads", self.bring, methods=["POST"]),
        ]

    async def thumb(self, request: Request) -> Response:
        """A small WebP of the run as it is now, or of a point of its history; made once."""
        run, side = self._run(request), read_side(request.query_params.get("side", "320"))
        source = self._source(run, request)
        if source is None:
            frame = run.frame  # a start that is being found
            if frame is None:
                raise NotFoundError("nothing is painted yet")
            return Response(await run_in_threadpool(lambda: frame.webp), media_type="image/webp")
        path = await anyio.to_thread.run_sync(thumbnail, run, source, side, limiter=self.decoding)
        lasting = "node" in request.path_params
        headers = _LASTING if lasting else _CHECKED
        try:
            told = path.stat()
        except FileNotFoundError:  # its run went into the trash meanwhile
            raise NotFoundError("the picture is not here any more") from None
        answer = FileResponse(path, headers=headers, stat_result=told)
        if request.headers.get("if-none-match") == answer.headers["etag"]:
            return NotModifiedResponse(answer.headers)
        return answer

    async def export(self, request: Request) -> Response:
        """The picture, or a point of the history, as `format` png, jpeg or webp; of any `side`."""
        run, asked = self._run(request), request.query_params
        kind = KINDS.get(asked.get("format", "png"))
        if kind is None:
            raise ConfigError(f"format is {asked['format']!r:.20}; expected {', '.join(KINDS)}")
        side = read_whole(asked["side"], "side", 16, MOST_SIDE) if "side" in asked else 0
        source = self._source(run, request)
        if source is None:
            raise NotFoundError("nothing is painted yet")
        work = partial(exported, run, source, side, kind)
        path = await self.exports.run(owner_asking(request), work, request.is_disconnected)
        point = f"-point-{source.stem}" if "node" in request.path_params else ""
        size = f"-{side}" if side else ""
        return FileResponse(path, filename=f"{slug(run.title)}{point}{size}.{kind}")

    async def change(self, request: Request) -> Response:
        """{name, favourite} of a run, or of a point of its history."""
        run = self._run(request)
        values = _read_change(await self._json(request))
        node = request.path_params.get("node")
        if node is not None and node >= len(run.nodes):
            raise NotFoundError(f"there is no point {node} in the run's history")
        await run_in_threadpool(run.tell, values, node)
        return JSONResponse(self._public(run))

    async def delete(self, request: Request) -> Response:
        """Puts a run into the trash; with `forever=true` it is gone at once, from there too."""
        forever = request.query_params.get("forever") == "true"
        binned = self._binned(request)
        if forever and binned is not None:
            await run_in_threadpool(self.studio.trash.remove, binned)
        else:
            work = partial(self.studio.delete, self._run(request), forever=forever)
            await run_in_threadpool(work)
        return JSONResponse({"deleted": True, "days": 0 if forever else DAYS})

    async def restore(self, request: Request) -> Response:
        """Brings a run back from the trash."""
        run = self._binned(request)
        if run is None:
            raise NotFoundError("there is no such run of yours in the trash")
        await run_in_threadpool(self.studio.restore, run)
        return JSONResponse(self._public(run))

    async def trash(self, request: Request) -> Response:
        """What this visitor deleted, and the days that it is kept."""
        who, binned = owner_asking(request), list(self.studio.trash.runs.values())
        own = [run for run in binned if may_see(who, run.owner)]
        told = [run.public() | {"until": self.studio.trash.ends(run)} for run in own]
        return JSONResponse({"runs": told, "days": DAYS})

    async def binned_thumb(self, request: Request) -> Response:
        """A small WebP of a run in the trash."""
        run, side = self._binned(request), read_side(request.query_params.get("side", "320"))
        source = None if run is None else run.newest_picture()
        if run is None or source is None:
            raise NotFoundError("there is no such picture of yours in the trash")

        def work() -> Path:
            with self.studio.trash.seen(run):
                return thumbnail(run, source, side)

        path = await anyio.to_thread.run_sync(work, limiter=self.decoding)
        return FileResponse(path, headers=_CHECKED)

    async def zip(self, request: Request) -> Response:
        """Pictures and films with their settings; `runs`: ids of runs, or RUN/NODE, with commas."""
        names = self._names(request, "pictures", MOST_ZIPPED)
        found = [entry for name in names if (entry := self._entry(name, request)) is not None]
        if not found:
            raise NotFoundError("none of these has a picture yet")
        films = [entry for entry in found if entry.is_film]
        if films:  # their files are made before anything is answered
            gone = request.is_disconnected
            await self.exports.run(
                owner_asking(request), lambda: [entry.files for entry in films], gone
            )
        headers = {"content-disposition": 'attachment; filename="gouache.zip"'}
        return StreamingResponse(zipped(found), media_type="application/zip", headers=headers)

    async def read(self, request: Request) -> Response:
        """The words, settings and origin in a picture of gouache, or in a file of settings."""
        owner, studio = owner_asking(request), self.studio

        def work(data: bytes) -> dict[str, Any]:
            given = (
                parse_settings if is_settings(data) else partial(self.uploads.document, owner=owner)
            )
            return read_document(given(data), studio.limits, self.models)

        async with self.bodies.read(request, studio.limits.upload_bytes) as data:
            found = await anyio.to_thread.run_sync(work, data, limiter=self.decoding)
        return JSONResponse(found)

    async def bring(self, request: Request) -> Response:
        """Takes a picture (a file as the body, or `image=ID`) at the size and place asked for."""
        owner, asked = owner_asking(request), request.query_params
        fit, name = read_fit(asked, self.studio.limits), asked.get("image")

        def work(data: bytes) -> dict[str, Any]:
            if name is None:
                picture = self.uploads.picture(data, owner)
            else:
                picture = read_picture(self._find_image(owner)(picture_name(name)))
            found, mask = brought(picture, fit)
            return {
                "id": self.uploads.keep(found, owner),
                "mask": mask and self.uploads.keep(mask.convert("RGB"), owner),
                "width": found.width,
                "height": found.height,
            }

        async with self.bodies.read(request, self.studio.limits.upload_bytes) as data:
            kept = await anyio.to_thread.run_sync(work, data, limiter=self.decoding)
        return JSONResponse(kept, 201)

    def _entry(self, name: str, request: Request) -> Entry | None:
        """What goes into the ZIP file for an id, None for a run without a picture."""
        run, _, node = picture_name(name).partition("/")
        one = self._own(run, request)
        if node:
            return Entry(one, self._find_image(owner_asking(request))(name))
        path = one.newest_picture()
        return None if path is None else Entry(one, path)

    def _binned(self, request: Request) -> Run | None:
        run = self.studio.trash.runs.get(request.path_params["run"])
        return run if run is not None and may_see(owner_asking(request), run.owner) else None

    def _source(self, run: Run, request: Request) -> Path | None:
        """The file of the picture that is asked for, None where nothing is painted yet."""
        node = request.path_params.get("node")
        if node is None:
            return run.newest_picture()
        path = run.node_path(node)
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
