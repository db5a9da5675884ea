"""Bodies of requests: read piece by piece, and never more of them at a time than fits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from gouache.apps.studio.uploads import TooLargeError
from gouache.errors import ConfigError

ALL_BYTES = 256 * 2**20  # of all bodies that are being read or looked at


class BusyError(ConfigError):
    """Too much is being sent at once."""


class Bodies:
    """What all requests together hold in memory."""

    def __init__(self, most: int = ALL_BYTES) -> None:
        self._most = most
        self.held = 0  # bytes; only the event loop's thread counts

    @asynccontextmanager
    async def read(self, request: Request, most: int) -> AsyncIterator[bytes]:
        """The body, counted until the end of `with`.

        `TooLargeError` for more than `most` bytes, before they are read where their number is told
        first; `BusyError` when all bodies together are too much.
        """
        told = request.headers.get("content-length", "")
        if told.isascii() and told.isdigit() and int(told[:20]) > most:
            raise _too_large(most)
        pieces, size = [], 0
        try:
            async for piece in request.stream():
                size += len(piece)
                self.held += len(piece)
                pieces.append(piece)
                if size > most:
                    raise _too_large(most)
                if self.held > self._most:
                    raise BusyError("too much is being sent to this studio at once; try again")
            data = b"".join(pieces)
            pieces.clear()
            yield data
        finally:
            self.held -= size


def _too_large(most: int) -> TooLargeError:
    return TooLargeError(f"the request has more than {most:,} bytes; send less")


__all__ = ["Bodies", "BusyError"]
