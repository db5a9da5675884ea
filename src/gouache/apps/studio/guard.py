"""Who may talk to the studio, and as whom: before any request is looked at."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "gouache_studio"
_TOKEN = re.compile(r"[0-9a-f]{32}")
_YEARS = 10 * 365 * 24 * 3600
_HEADERS = {
    # Nothing comes from elsewhere, and no other page may frame this one.
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; "
    "style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


class Guard:
    """Checks the host name and the password, and knows each visitor by a cookie.

    `hosts`: names by which the studio may be reached, None for any; without the check a page
    elsewhere could reach it through a name of its own (DNS rebinding). `auth`: "user:password".
    The visitor's token is in `scope["state"]["owner"]`.
    """

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...] | None, auth: str | None) -> None:
        self._app = app
        self._hosts = hosts
        self._auth = auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if refusal := self._refused(headers, scope["method"]):
            await refusal(scope, receive, send)
            return
        owner, new = _owner(headers.get("cookie", ""))
        scope.setdefault("state", {})["owner"] = owner

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    sent[name] = value
                if new:
                    cookie = f"{COOKIE}={owner}; Path=/; Max-Age={_YEARS}; HttpOnly"
                    sent.append("set-cookie", f"{cookie}; SameSite=Strict")
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _refused(self, headers: Headers, method: str) -> JSONResponse | None:
        host = headers.get("host", "")
        if self._hosts is not None and _name(host) not in self._hosts:
            return _error(421, f"this studio is not called {host!r:.60}; open it as localhost")
        if self._auth is not None and not _knows(headers.get("authorization", ""), self._auth):
            response = _error(401, "a user name and a password are needed")
            response.headers["www-authenticate"] = 'Basic realm="gouache studio"'
            return response
        origin = headers.get("origin")
        if method not in ("GET", "HEAD") and origin and origin.partition("://")[2] != host:
            return _error(403, "requests from other pages are refused")
        return None


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": message}, status)


def _name(host: str) -> str:
    if host.startswith("["):  # IPv6
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()


def _knows(header: str, auth: str) -> bool:
    kind, _, coded = header.partition(" ")
    try:
        given = base64.b64decode(coded, validate=True)
    except (binascii.Error, ValueError):
        return False
    return kind.lower() == "basic" and secrets.compare_digest(given, auth.encode())


def _owner(cookies: str) -> tuple[str, bool]:
    """The visitor's token, and whether it is a new one."""
    try:
        morsel = SimpleCookie(cookies).get(COOKIE)
    except CookieError:
        morsel = None
    if morsel is not None and _TOKEN.fullmatch(morsel.value):
        return morsel.value, False
    return secrets.token_hex(16), True


__all__ = ["COOKIE", "Guard"]
