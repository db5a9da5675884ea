"""Who may talk to the studio, and as whom: before any request is looked at."""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import os
import re
import secrets
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gouache.apps.studio.owners import LOCAL, TOKEN, owner_called, owner_of

COOKIE = "gouache_studio"
OPEN = ("/healthz", "/readyz")  # whoever watches the machine has neither a name for it nor a key
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_YEARS = 10 * 365 * 24 * 3600
_HEADERS = {
    # Nothing comes from elsewhere, and no other page may frame or embed this one.
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; "
    "style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


class Guard:
    """Checks the host name and the password, and knows each visitor by a cookie.

    `hosts`: names by which the studio may be reached, None for any; without the check a page
    elsewhere could reach it through a name of its own (DNS rebinding). The address that a request
    came in at is always one of them, and with `any_address` every IP address is: a page can bring
    a name of its own, but no address. `auth`: "user:password". With `local` there is one owner,
    whatever name or browser is used; with `user_header` those whom a proxy names in it, and no
    others. Who asks is in `scope["state"]["owner"]`.
    """

    def __init__(
        self,
        app: ASGIApp,
        hosts: Collection[str] | None,
        auth: str | None,
        *,
        any_address: bool = False,
        local: bool = False,
        user_header: str = "",
    ) -> None:
        self._app = app
        self._hosts = None if hosts is None else {host_name(name) for name in hosts}
        self._auth = auth
        self._any_address = any_address
        self._local = local
        self._user_header = user_header
        self._guesses = Guesses()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        owner, token = self._visitor(headers)
        if refusal := self._refused(headers, scope, "" if token else owner):
            await refusal(scope, receive, send)
            return
        scope.setdefault("state", {})["owner"] = owner

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    sent.setdefault(name, value)
                if token:
                    cookie = f"{COOKIE}={token}; Path=/; Max-Age={_YEARS}; HttpOnly"
                    if headers.get("x-forwarded-proto") == "https":  # so a proxy says
                        cookie = f"{cookie}; Secure"
                    sent.append("set-cookie", f"{cookie}; SameSite=Strict")
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _visitor(self, headers: Headers) -> tuple[str, str]:
        """Who asks ("" for nobody knows whom), and the token of a new visitor."""
        if self._user_header:
            names = headers.getlist(self._user_header)  # two: one of them is not the proxy's
            name = names[0].strip() if len(names) == 1 else ""
            return (owner_called(name) if name else ""), ""
        return (LOCAL, "") if self._local else _owner(headers.get("cookie", ""))

    def _refused(self, headers: Headers, scope: Scope, visitor: str) -> JSONResponse | None:
        host = headers.get("host", "")
        if not self._is_called(host_name(host), scope):
            return _error(
                421,
                f"this studio is not called {host!r:.60}; open it by its address, as localhost on "
                "its own machine, or start it with --allow-host NAME",
            )
        if self._auth is not None and (refusal := self._unknown(headers, scope, visitor)):
            return refusal
        if self._user_header and not visitor:
            return _error(401, f"the proxy does not say in {self._user_header} who you are")
        origin = headers.get("origin")
        writes = scope["method"] not in ("GET", "HEAD")
        foreign = bool(writes and origin and origin.partition("://")[2] != host)
        # Browsers say it when a page of another origin embeds or fetches something.
        elsewhere = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if foreign or (elsewhere and scope["path"].startswith("/api/")):
            return _error(403, "requests from other pages are refused")
        return None

    def _is_called(self, name: str, scope: Scope) -> bool:
        if self._hosts is None or name in self._hosts:
            return True
        if not _is_address(name):
            return False
        server = scope.get("server")
        return self._any_address or (server is not None and host_name(server[0]) == name)

    def _unknown(self, headers: Headers, scope: Scope, visitor: str) -> JSONResponse | None:
        assert self._auth is not None
        client = scope.get("client")
        address = client[0] if client else ""
        if wait := self._guesses.wait(address, visitor):
            refusal = _error(429, f"too many wrong passwords; try again in {wait} seconds")
            refusal.headers["retry-after"] = str(wait)
            return refusal
        given = headers.get("authorization", "")
        if _knows(given, self._auth):
            self._guesses.right(address, visitor)
            return None
        if given:
            self._guesses.wrong(address)
        refusal = _error(401, "a user name and a password are needed")
        refusal.headers["www-authenticate"] = 'Basic realm="gouache studio"'
        return refusal


class Guesses:
    """Counts wrong passwords by address: after `free` of them each costs a longer wait.

    During the wait nothing is compared, so that a right guess is not told from a wrong one. A
    visitor whose cookie came with the right password before does not wait for others at the same
    address (a proxy, say).
    """

    free = 5
    longest = 300  # seconds
    forgotten = 3600  # seconds after the last wait
    kept = 4096  # addresses and visitors that are remembered

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()  # count, until when
        self._known: OrderedDict[str, None] = OrderedDict()

    def wait(self, address: str, visitor: str = "") -> int:
        """Whole seconds until the next guess is looked at; 0 for now."""
        if visitor and visitor in self._known:
            return 0
        _, until = self._wrong.get(_network(address), (0, 0.0))
        return max(0, int(until - self._clock() + 0.999))

    def wrong(self, address: str) -> None:
        """Notes a wrong password."""
        network, now = _network(address), self._clock()
        count, until = self._wrong.pop(network, (0, now))
        count = 1 if now - until > self.forgotten else count + 1
        over = count - self.free
        delay = min(self.longest, 2 ** min(over, 20)) if over >= 0 else 0
        self._wrong[network] = count, now + delay
        if len(self._wrong) > self.kept:
            self._wrong.popitem(last=False)

    def right(self, address: str, visitor: str = "") -> None:
        """Notes that the right password came, and with whose cookie."""
        if visitor in self._known:  # whose requests must not clear the way for a guesser
            self._known.move_to_end(visitor)
            return
        if visitor:
            self._known[visitor] = None
            if len(self._known) > self.kept:
                self._known.popitem(last=False)
        self._wrong.pop(_network(address), None)


def host_name(host: str) -> str:
    """A Host header, or a name as people write it -> the name alone, addresses in one spelling."""
    name = host.strip().lower()
    if name.startswith("["):  # IPv6
        name, _, rest = name[1:].partition("]")
        if rest and not re.fullmatch(r":\d*", rest):
            return ""
    elif name.count(":") == 1:
        name, _, port = name.partition(":")
        if not re.fullmatch(r"\d*", port):
            return ""
    name = name.partition("%")[0]  # the zone of a link-local address
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name.removesuffix(".")
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def own_names(host: str, bound: str, allowed: Collection[str] = ()) -> tuple[set[str], bool]:
    """What a studio started with `--host host` and listening at the address `bound` is called.

    Also whether any IP address is good as its name: it is where it listens everywhere.
    """
    names = {*LOOPBACK_NAMES, host_name(host), host_name(bound), *map(host_name, allowed)}
    everywhere = ipaddress.ip_address(host_name(bound)).is_unspecified
    if not is_local(bound):
        machine = socket.gethostname().lower()
        names |= {machine, f"{machine.partition('.')[0]}.local"}
    return names - {""}, everywhere


def is_local(bound: str) -> bool:
    """Whether only this machine reaches what listens at this address."""
    return ipaddress.ip_address(host_name(bound)).is_loopback


def hide_folders(text: str, root: Path) -> str:
    """A message without folders of this machine and without a visitor's name."""
    hidden = [(root, "the studio's folder"), (Path.home(), "~"), (Path.cwd(), ".")]
    for folder, shown in hidden:
        for spelling in (str(folder.absolute()), os.path.realpath(folder), str(folder)):
            if len(spelling) > 1:  # neither "/" nor "."
                text = text.replace(spelling, shown)
    return re.sub(r"/images/[^/\s]+/", "/images/", text)


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": message}, status)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _network(address: str) -> str:
    """What one person is likely to hold: an IPv4 address, or 64 bits of an IPv6 one."""
    name = host_name(address)
    if ":" not in name:
        return name
    return str(ipaddress.ip_network(f"{name}/64", strict=False))


def _knows(header: str, auth: str) -> bool:
    kind, _, coded = header.partition(" ")
    try:
        given = base64.b64decode(coded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    # Sums are of one length, so that the time tells nothing of the password's.
    sums = (hashlib.sha256(text).digest() for text in (given, auth.encode()))
    return kind.lower() == "basic" and secrets.compare_digest(*sums)


def _owner(cookies: str) -> tuple[str, str]:
    """Who asks, and the token of a new visitor ("" for one that has a cookie)."""
    try:
        morsel = SimpleCookie(cookies).get(COOKIE)
    except CookieError:
        morsel = None
    if morsel is not None and TOKEN.fullmatch(morsel.value):
        return owner_of(morsel.value), ""
    token = secrets.token_hex(16)
    return owner_of(token), token


__all__ = [
    "COOKIE",
    "Guard",
    "Guesses",
    "hide_folders",
    "host_name",
    "is_local",
    "own_names",
]
