"""Files over HTTP: resumed, verified, and under their name only when they are whole.

httpx2 does the talking. It is what huggingface_hub itself is built on, so it comes at no cost, and
it is maintained where httpx has come to rest. Beside requests it has timeouts by default, reads raw
bytes (resuming needs offsets in what was sent, not in what was decoded) and says when a body ends
before the length that was promised.

It is here for `imagenet-f16-1024`: its publishers have it on their own server only, and the copy
that the hub is known to have calls its tensors otherwise; and for minDALL-E and GLIDE. All other
models of the catalogue have a source on the hub; plain addresses are their second choice.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
import shutil
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gouache._version import __version__
from gouache.atomic import output_errors
from gouache.errors import ModelError, OutputError
from gouache.weights.fingerprint import fingerprint
from gouache.weights.records import write_json
from gouache.weights.watch import SourceError, Watch, human_size, need

TRIES = 3  # in a row without a single new byte
MAX_TRIES = 50  # altogether, per source
PAUSE = 1.0  # seconds, doubled at each try in a row
MAX_PAUSE = 30.0
_TIMEOUT = 30.0  # seconds without an answer or a byte
_RETRY = {408, 425, 429, 500, 502, 503, 504}
_RANGE = re.compile(r"bytes (?P<first>\d+)-(?P<last>\d+)/(?P<total>\d+|\*)\Z")


class _Broken(Exception):
    """The connection failed in a way that another try may mend, after `pause` seconds."""

    def __init__(self, message: str, pause: float | None = None) -> None:
        super().__init__(message)
        self.pause = pause


def download(
    url: str,
    target: Path,
    watch: Watch,
    *,
    sha256: str | None = None,
    size: int | None = None,
) -> str:
    """Fetches `url` to `target` and returns the sha256 of the file.

    Half files are kept as `target` + ".part" and resumed, by this call or a later one. Where
    `sha256` or `size` is given, anything else is refused. `SourceError` where this address does not
    give the file, `OutputError` where it cannot be written; a full disk leaves nothing behind.
    """
    part = _Part(target, url, watch, sha256, size)
    for fresh in (False, True):
        if fresh:  # what was resumed was wrong: perhaps only the part from last time
            part.drop()
        resumed = part.offset() > 0
        _transfer(part)
        found = fingerprint(part.path)
        if sha256 is None or found == sha256:
            with output_errors(target):
                part.path.replace(target)
            part.drop()
            return found
        part.drop()
        if not resumed:
            break
    raise SourceError(f"sent another file (sha256 {found}, expected {sha256})")


class _Part:
    """The half file, and beside it from which address and state of it (ETag) the bytes are."""

    def __init__(
        self, target: Path, url: str, watch: Watch, sha256: str | None, size: int | None
    ) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self.origin = target.with_name(f"{target.name}.part.json")
        self.url, self.sha256, self.size = url, sha256, size
        self.tell = functools.partial(watch.progress, target.name)  # (done, total) bytes

    def bytes(self) -> int:
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def offset(self) -> int:
        """Where to go on: at 0 where nothing tells that the rest would fit what is there."""
        # With a known sum a wrong guess is found out; without one only the server's word helps.
        return self.bytes() if self.sha256 is not None or self.validator() else 0

    def validator(self) -> str | None:
        """The ETag or date under which this address sent the bytes that are there."""
        try:
            origin = json.loads(self.origin.read_bytes())
            return str(origin["validator"]) if origin["url"] == self.url else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def note(self, headers: Any) -> None:
        etag = headers.get("etag", "")
        strong = etag if etag and not etag.startswith("W/") else headers.get("last-modified", "")
        if strong:
            write_json(self.origin, {"url": self.url, "validator": strong})
        else:
            self.origin.unlink(missing_ok=True)

    def drop(self) -> None:
        for path in (self.path, self.origin):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _transfer(part: _Part) -> None:
    """Tries until the whole file is in `part.path`."""
    httpx = need("httpx2", "fetching models")
    idle = 0
    headers = {"User-Agent": f"gouache/{__version__}", "Accept-Encoding": "identity"}
    with httpx.Client(follow_redirects=True, timeout=_TIMEOUT, headers=headers) as client:
        for _ in range(MAX_TRIES):
            before = part.bytes()
            try:
                try:
                    _attempt(client, part)
                    return
                except httpx.TransportError as error:
                    raise _Broken(_reason(error)) from None
                except (httpx.HTTPError, httpx.InvalidURL) as error:
                    raise SourceError(_reason(error)) from None
            except _Broken as error:
                idle = 0 if part.bytes() > before else idle + 1
                last = error
            if idle >= TRIES:
                break
            pause = PAUSE * 2 ** max(0, idle - 1) if last.pause is None else last.pause
            time.sleep(min(pause, MAX_PAUSE))
    raise SourceError(str(last))


def _attempt(client: Any, part: _Part) -> None:
    offset = part.offset()
    headers = {"Range": f"bytes={offset}-"} if offset else {}
    if offset and (validator := part.validator()):
        headers["If-Range"] = validator
    with client.stream("GET", part.url, headers=headers) as response:
        status = response.status_code
        if status == 416 and offset and offset == _total_of(response):
            return  # everything was there already
        if status == 416 or (status == 206 and not _continues(response, offset)):
            part.drop()
            raise _Broken(f"answers {status} to a request for the rest of the file")
        if status in _RETRY:
            raise _Broken(_status(response), _retry_after(response))
        if status not in (200, 206):
            raise SourceError(_status(response))
        if response.headers.get("content-encoding", "identity") != "identity":
            raise SourceError("sends the file in another encoding than the one asked for")
        offset = offset if status == 206 else 0
        total = _total_of(response)
        if part.size is not None and total is not None and total != part.size:
            part.drop()
            raise SourceError(f"has a file of {total} bytes, expected {part.size}")
        _check_space(part.path.parent, (total or part.size or 0) - offset)
        part.note(response.headers)
        _write(response, part, offset, total)


def _write(response: Any, part: _Part, offset: int, total: int | None) -> None:
    limit = total if total is not None else part.size
    done = offset
    part.tell(done, limit)
    with _no_half_file_on_a_full_disk(part), part.path.open("ab" if offset else "wb") as file:
        for chunk in response.iter_raw():  # as it comes: what is waited for would be lost
            file.write(chunk)
            done += len(chunk)
            if limit is not None and done > limit:
                break
            part.tell(done, limit)
    if limit is not None and done > limit:
        part.drop()
        raise SourceError(f"sends more than the {limit} bytes expected")
    if limit is not None and done < limit:
        raise _Broken(f"ended after {done} of {limit} bytes")


@contextlib.contextmanager
def _no_half_file_on_a_full_disk(part: _Part) -> Any:
    try:
        with output_errors(part.path):
            yield
    except OutputError:
        part.drop()
        raise


def _check_space(folder: Path, needed: int) -> None:
    with output_errors(folder):
        free = shutil.disk_usage(folder).free
    if needed > free:
        raise OutputError(
            f"the download needs {human_size(needed)} in {folder}, which has {human_size(free)}; "
            "free some space, or choose another folder by GOUACHE_CACHE"
        )


def _continues(response: Any, offset: int) -> bool:
    found = _RANGE.match(response.headers.get("content-range", ""))
    return found is not None and int(found["first"]) == offset


def _total_of(response: Any) -> int | None:
    """Bytes of the whole file, where the answer tells."""
    if response.status_code == 200:
        length = response.headers.get("content-length", "")
    else:
        length = response.headers.get("content-range", "").rpartition("/")[2]
    return int(length) if length.isdecimal() else None


def _retry_after(response: Any) -> float | None:
    seconds = response.headers.get("retry-after", "")
    return float(seconds) if seconds.isdecimal() else None


def _status(response: Any) -> str:
    return f"{response.status_code} {response.reason_phrase}".strip()


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:100] or type(error).__name__


def host_of(url: str) -> str:
    """The part of an address that tells people where it leads."""
    try:
        return urlsplit(url).netloc or url[:40]
    except ValueError:
        raise ModelError(f"{url!r:.80} is no address") from None


__all__ = ["download", "host_of"]
