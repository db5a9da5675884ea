"""What goes wrong, as the interface tells it: a status and one line without folders of ours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from gouache.apps.studio.bodies import BusyError
from gouache.apps.studio.guard import hide_folders
from gouache.apps.studio.quotas import DiskQuotaError, TimeQuotaError
from gouache.apps.studio.runs import without_paths
from gouache.apps.studio.turns import DrainingError, QueueFullError
from gouache.apps.studio.uploads import TooLargeError
from gouache.apps.studio.workshop import EagerError
from gouache.errors import ConfigError, GouacheError, OutputError, PromptError


class NotFoundError(ConfigError):
    """Nothing of that name belongs to this visitor."""


_STATUS: dict[type, int] = {
    OutputError: 507,
    TooLargeError: 413,
    NotFoundError: 404,
    QueueFullError: 429,
    TimeQuotaError: 429,
    DiskQuotaError: 507,
    DrainingError: 503,
    EagerError: 429,
    BusyError: 503,
}


async def _own_error(request: Request, error: Exception) -> Response:
    # Where the studio keeps its files is nobody's business but its owner's.
    root = request.app.state.root
    message = without_paths(hide_folders(str(error), root), root)
    told: dict[str, Any] = {"error": " ".join(message.split())}
    if isinstance(error, PromptError):
        told["position"] = error.position
    return JSONResponse(told, _STATUS.get(type(error), 400))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # nobody is there to read it


HANDLERS: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
    GouacheError: _own_error,
    HTTPException: _http_error,
    ClientDisconnect: _gone,
}

__all__ = ["HANDLERS", "NotFoundError"]
