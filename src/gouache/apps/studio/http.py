"""The studio's HTTP interface (docs/studio.md): JSON in and out, one line for each mistake."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import math
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from gouache._version import __version__
from gouache.apps.studio.archives import settings_document
from gouache.apps.studio.connections import Closing, Ending
from gouache.apps.studio.endpoints import Endpoints, Shared, owner_asking, picture_name
from gouache.apps.studio.film_orders import film_table, read_any_order
from gouache.apps.studio.frames import Frame
from gouache.apps.studio.guard import Guard
from gouache.apps.studio.library import Library
from gouache.apps.studio.metrics import Health
from gouache.apps.studio.orders import (
    flat_settings,
    presets_table,
    read_id,
    settings_table,
)
from gouache.apps.studio.outpainting import as_edit
from gouache.apps.studio.owners import may_see, settled_owner
from gouache.apps.studio.refusals import HANDLERS, NotFoundError
from gouache.apps.studio.runs import Run
from gouache.apps.studio.uploads import lay_together, read_strokes
from gouache.apps.studio.worker import Studio, make_film
from gouache.apps.studio.workshop import Workshop
from gouache.editing.mask import Mask, check_phrase, find_mask
from gouache.errors import ConfigError, OutputError
from gouache.placing import format_place
from gouache.prompts import parse_prompts
from gouache.runs.outputs import slug

PAGE = Path(__file__).parent / "page"
POLL = 0.03  # seconds between two looks for news
MOST_HEARD = 16  # runs in one stream of events
_NOT_KEPT = {"cache-control": "no-store"}
_LASTING = {"cache-control": "private, max-age=86400, immutable"}
_ABOUT_EVERY = 15.0  # seconds after which a silent stream says that it is alive


@dataclasses.dataclass
class _Told:
    """What a stream of events has told of a run."""

    run: Run
    seen: tuple[int, int] | None = None  # version and place in the queue
    shown: Frame | None = None
    sent: int = 0  # losses


class Interface(Endpoints):
    """Orders, runs and what is seen of them while they are painted."""

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self.masks = Workshop("masks")
        self.films = Workshop("films")
        self._drawing = threading.Lock()

    async def info(self, request: Request) -> Response:
        """What the studio can do, for pages and clients."""
        limits = vars(self.studio.limits)
        document = {"version": __version__, "limits": limits, "models": self.models}
        presets = presets_table(self.models["perceptor"])
        tables = {"settings": settings_table(), "film": film_table(), "presets": presets}
        return JSONResponse({**document, **tables})

    async def prompt(self, request: Request) -> Response:
        """Reads a prompt: stages of parts with text, weight, stop and place ("" for everywhere)."""
        body = await self._json(request)
        text = body.get("prompt") if isinstance(body, dict) else None
        if not isinstance(text, str):
            raise ConfigError('send {"prompt": "text"}')
        stages = [
            [
                {
                    "text": part.text,
                    "weight": part.weight,
                    "stop": part.stop if abs(part.stop) < 1e9 else None,
                    "place": format_place(part.place) if part.place else "",
                    "source": _bare(part),
                }
                for part in stage
            ]
            for stage in parse_prompts(text)
        ]
        return JSONResponse({"stages": stages})

    async def add_image(self, request: Request) -> Response:
        """Takes a picture file as the body; gives its id."""
        async with self.bodies.read(request, self.studio.limits.upload_bytes) as data:
            name, picture = await anyio.to_thread.run_sync(
                self.uploads.add, data, owner_asking(request), limiter=self.decoding
            )
        return JSONResponse({"id": name, "width": picture.width, "height": picture.height}, 201)

    async def image(self, request: Request) -> Response:
        name = read_id(request.path_params["name"], "the picture's id")
        try:
            return FileResponse(self.uploads.path(name, owner_asking(request)))
        except ConfigError as error:
            raise NotFoundError(str(error)) from None

    async def mask(self, request: Request) -> Response:
        """Finds what a phrase names: {image, phrase} -> the id of a mask, its share, its score."""
        body = await self._json(request)
        if not isinstance(body, dict) or not isinstance(body.get("phrase"), str):
            raise ConfigError('send {"image": ID, "phrase": "a red apple"}')
        path = self._find_image(owner_asking(request))(picture_name(body.get("image")))
        phrase, owner = body["phrase"], owner_asking(request)
        check_phrase(phrase)

        def work() -> tuple[Mask, str]:
            found = find_mask(path, phrase)
            return found, self.uploads.keep(found.to_pil().convert("RGB"), owner)

        found, name = await self.masks.run(owner, work, request.is_disconnected)
        told = {"id": name, "share": round(found.share, 4), "score": round(found.seen, 4)}
        return JSONResponse(told, 201)

    async def submit(self, request: Request) -> Response:
        """Queues a run, or a group of them: the first one, and all in `runs`."""
        document, owner = await self._json(request), owner_asking(request)
        find = self._find_image(owner)

        def work() -> list[Run]:
            keep = partial(self.uploads.keep, owner=owner)
            asked = as_edit(document, self.studio.limits, find, keep)
            asked = self._as_parent(asked, owner)
            order = read_any_order(asked, self.studio.limits, find, self.models)
            return self.studio.submit_all(order, owner)

        told = [self._public(run) for run in await run_in_threadpool(work)]
        return JSONResponse({**told[0], "runs": told}, 201)

    def _as_parent(self, document: Any, owner: str) -> Any:
        """What varies or crosses pictures without words of its own has those of the first one, and
        its settings."""
        if not isinstance(document, dict) or "prompt" in document:
            return document
        kind = next((name for name in ("vary", "evolve") if name in document), "")
        of = document[kind].get("of") if kind and isinstance(document[kind], dict) else None
        first = of[0] if isinstance(of, list) and of else of
        run = self.studio.runs.get(first.partition("/")[0]) if isinstance(first, str) else None
        if run is None or not may_see(owner, run.owner):
            return document
        given = document.get("settings", {})
        settings = {**flat_settings(run.config), **given} if isinstance(given, dict) else given
        return {**document, "prompt": run.config.title, "settings": settings}

    async def runs(self, request: Request) -> Response:
        """All runs of this visitor, oldest first."""
        who = owner_asking(request)
        own = [run for run in list(self.studio.runs.values()) if may_see(who, run.owner)]
        return JSONResponse({"runs": [self._public(run) for run in own]})

    async def run(self, request: Request) -> Response:
        run = self._run(request)
        details = {"settings": flat_settings(run.config), "losses": list(run.totals)}
        return JSONResponse(self._public(run) | details)

    async def act(self, request: Request) -> Response:
        """pause, stop (or cancel), continue (with another prompt, if one is sent), first (before
        what is painted now), draw, undraw, sketch."""
        run, action = self._run(request), request.path_params["action"]
        studio = self.studio
        if action == "pause":
            await run_in_threadpool(studio.pause, run)
        elif action in ("stop", "cancel"):
            await run_in_threadpool(studio.stop, run)
        elif action == "continue":
            body = await self._json(request, empty={})
            prompt = body.get("prompt") if isinstance(body, dict) else body
            if prompt is not None and not isinstance(prompt, str):
                raise ConfigError('send nothing, or {"prompt": "text"}')
            await run_in_threadpool(studio.go_on, run, prompt)
        elif action == "first":
            await run_in_threadpool(studio.put_first, run)
        elif action == "draw":
            near = _near(request)
            async with self.bodies.read(request, studio.limits.upload_bytes) as data:
                await anyio.to_thread.run_sync(self._draw, run, data, near, limiter=self.decoding)
        elif action == "undraw":
            await run_in_threadpool(studio.undraw, run)
        elif action == "sketch":
            body = await self._json(request)
            number = body.get("number") if isinstance(body, dict) else None
            if not isinstance(number, int) or isinstance(number, bool):
                raise ConfigError('send {"number": 2}, or 0 for the best so far')
            await run_in_threadpool(studio.choose, run, number)
        else:
            raise NotFoundError(f"a run cannot {action!r:.40}")
        return JSONResponse(self._public(run))

    def _draw(self, run: Run, data: bytes, near: float) -> None:
        """Lays strokes over those that wait already: a paused run keeps one layer."""
        with self._drawing:
            self.studio.draw(run, read_strokes(data, run.config.size), near)
            self.studio.join_drawings(run, lay_together)

    async def events(self, request: Request) -> Response:
        """Server-sent events until it has ended: the run as it changes, and frames of it."""
        return self._stream(request, [self._run(request)])

    async def all_events(self, request: Request) -> Response:
        """Those of several runs in one stream, until all have ended; `runs` are ids with commas."""
        found = []
        for name in self._names(request, "runs", MOST_HEARD):
            with suppress(NotFoundError):  # it was deleted meanwhile, and the others are told of
                found.append(self._own(name, request))
        if not found:
            raise NotFoundError("none of these runs is yours")
        return self._stream(request, found)

    def _stream(self, request: Request, runs: Sequence[Run]) -> Response:
        return StreamingResponse(self._news(request, runs), media_type="text/event-stream")

    async def _news(self, request: Request, runs: Sequence[Run]) -> AsyncIterator[str]:
        told, silent = [_Told(run) for run in runs], 0.0
        while told and not await request.is_disconnected():
            for one in list(told):
                ended = one.run.ended  # before what is sent, so that the last state is sent
                async for event in self._since(one):
                    silent = 0.0
                    yield event
                if ended:
                    told.remove(one)
            if silent > _ABOUT_EVERY:
                silent = 0.0
                yield ": still here\n\n"
            if told:
                await asyncio.sleep(POLL)
            silent += POLL

    async def _since(self, told: _Told) -> AsyncIterator[str]:
        """What is new of a run: a frame, and the run itself."""
        run = told.run
        now = run.version, self.studio.position(run)
        if now == told.seen:
            return
        told.seen = now
        step, frame = run.step, run.frame
        if frame is not None and frame is not told.shown:
            told.shown = frame
            image = {"run": run.id, "step": step, "image": await run_in_threadpool(_url, frame)}
            yield f"event: frame\ndata: {json.dumps(image)}\n\n"
        losses = run.totals[told.sent :]
        news = self._public(run) | {"losses": losses, "losses_from": told.sent}
        told.sent += len(losses)
        yield f"data: {json.dumps(news)}\n\n"

    async def frame(self, request: Request) -> Response:
        """What is to be seen now, JPEG."""
        run = self._run(request)
        if (frame := run.frame) is not None:
            jpeg = await run_in_threadpool(_jpeg, frame)
            return Response(jpeg, media_type="image/jpeg")
        if newest := run.newest_picture():
            return FileResponse(newest)
        raise NotFoundError("nothing is painted yet")

    async def sketch(self, request: Request) -> Response:
        """A try of a start as it is now, WebP; while the start is found."""
        run, number = self._run(request), request.path_params["number"]
        sketch = run.sketches.get(number)
        if sketch is None:
            raise NotFoundError(f"there is no sketch {number} now")
        return Response(sketch.image, media_type="image/webp", headers=_NOT_KEPT)

    async def picture(self, request: Request) -> Response:
        run = self._run(request)
        path = run.newest_picture() if run.ended else run.picture_path
        return self._file(run, path, "png")

    async def node(self, request: Request) -> Response:
        run = self._run(request)
        return self._file(run, run.node_path(request.path_params["node"]), "png")

    async def film_frame(self, request: Request) -> Response:
        """A frame of a film, PNG; it never changes."""
        run, number = self._run(request), request.path_params["frame"]
        if run.film is None or number >= run.painted:
            raise NotFoundError(f"there is no frame {number}; {run.painted} are painted")
        return FileResponse(run.frame_path(number), headers=_LASTING)

    async def settings(self, request: Request) -> Response:
        """The settings as a file: what `--config` of the command line reads."""
        run = self._run(request)
        headers = {"content-disposition": f'attachment; filename="{slug(run.title)}.json"'}
        return JSONResponse(settings_document(run), headers=headers)

    async def film(self, request: Request) -> Response:
        run, kind = self._run(request), request.path_params["kind"]
        if kind not in ("mp4", "gif", "webm"):
            raise NotFoundError(f"a film is mp4, gif or webm, not {kind!r:.20}")
        gone = request.is_disconnected
        path = await self.films.run(owner_asking(request), lambda: make_film(run, kind), gone)
        return self._file(run, path, kind)

    def _file(self, run: Run, path: Path | None, kind: str) -> Response:
        if path is None or not path.exists():
            raise NotFoundError("that is not painted yet")
        return FileResponse(
            path,
            filename=f"{slug(run.title)}.{kind}",
            content_disposition_type="inline",
        )


def _near(request: Request) -> float:
    """How near to strokes their colours stay; `ConfigError` for no number from 0 to 1."""
    text = request.query_params.get("near", "0")
    with suppress(ValueError):
        if 0 <= (near := float(text)) <= 1:
            return near
    raise ConfigError(f"near is {text!r:.40}; expected a number from 0 to 1")


def _jpeg(frame: Frame) -> bytes:
    return frame.jpeg


def _url(frame: Frame) -> str:
    return frame.url


def _bare(part: Any) -> str:
    """A prompt's text with its escapes, without weight, stop and place."""
    return str(dataclasses.replace(part, weight=1.0, stop=-math.inf, place=None))


async def _index(request: Request) -> Response:
    return FileResponse(PAGE / "index.html")


def make_app(
    studio: Studio,
    hosts: Collection[str] | None = None,
    auth: str | None = None,
    *,
    any_address: bool = False,
    local: bool = False,
    user_header: str = "",
) -> Starlette:
    """The ASGI application; everything but the studio as for `Guard`.

    Closes the studio when it ends. Setting `app.state.closing` ends open streams.
    """
    shared = Shared(studio)
    api, library, health = Interface(shared), Library(shared), Health(studio)
    for run in list(studio.runs.values()):  # older versions wrote the visitor's cookie
        if (owner := settled_owner(run.owner)) != run.owner:
            run.owner = owner
            with suppress(OutputError):
                run.save_about()
    closing = Closing()
    guard = Middleware(
        Guard,
        hosts=hosts,
        auth=auth,
        any_address=any_address,
        local=local,
        user_header=user_header,
    )
    Endpoint = Callable[[Request], Awaitable[Response]]
    table: list[tuple[str, str, Endpoint]] = [
        ("GET", "/api/info", api.info),
        ("POST", "/api/prompts", api.prompt),
        ("POST", "/api/images", api.add_image),
        ("GET", "/api/images/{name}", api.image),
        ("POST", "/api/masks", api.mask),
        ("POST", "/api/runs", api.submit),
        ("GET", "/api/runs", api.runs),
        ("GET", "/api/runs/{run}", api.run),
        ("GET", "/api/runs/{run}/events", api.events),
        ("GET", "/api/events", api.all_events),
        ("GET", "/api/runs/{run}/frame.jpg", api.frame),
        ("GET", "/api/runs/{run}/sketches/{number:int}", api.sketch),
        ("GET", "/api/runs/{run}/picture.png", api.picture),
        ("GET", "/api/runs/{run}/nodes/{node:int}.png", api.node),
        ("GET", "/api/runs/{run}/frames/{frame:int}.png", api.film_frame),
        ("GET", "/api/runs/{run}/settings.json", api.settings),
        ("GET", "/api/runs/{run}/timelapse.{kind}", api.film),
        ("POST", "/api/runs/{run}/{action}", api.act),
    ]
    routes = [Route(path, end, methods=[method]) for method, path, end in table]
    page = Route("/", _index, methods=["GET"], middleware=[Middleware(GZipMiddleware)])
    # Before those with an action of any name.
    routes = [*health.routes(), *library.routes(), *routes, page]

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        for workshop in (api.masks, api.films, library.exports):
            workshop.close()
        await run_in_threadpool(studio.close)

    app = Starlette(
        routes=[*routes, Mount("/page", GZipMiddleware(StaticFiles(directory=PAGE)))],
        middleware=[Middleware(Ending, closing=closing), guard],
        exception_handlers=HANDLERS,
        lifespan=lifespan,
    )
    app.state.root = studio.root
    app.state.closing = closing
    return app


__all__ = ["make_app"]
