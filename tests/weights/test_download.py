"""Downloads from a server that misbehaves: a verified file or one clear line, nothing between."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from gouache.errors import OutputError
from gouache.weights import download as module
from gouache.weights.download import download
from gouache.weights.watch import SourceError
from weights.flaky import Flaky, flaky_server, hang_up, serve, status, without_length

DATA = random.Random(0).randbytes(1_000_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


class Silent:
    def note(self, message: str) -> None: ...

    def progress(self, label: str, done: int, total: int | None) -> None: ...


class Interrupting(Silent):
    """Ctrl-C when so many bytes are there."""

    def __init__(self, after: int) -> None:
        self.after = after

    def progress(self, label: str, done: int, total: int | None) -> None:
        if done >= self.after:
            raise KeyboardInterrupt


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Flaky]:
    monkeypatch.setattr(module, "PAUSE", 0.0)
    with flaky_server() as flaky:
        yield flaky


def fetch(server: Flaky, folder: Path, *, sha256: str | None = SHA256, **more: object) -> str:
    return download(
        f"{server.url}/f", folder / "f", Silent(), sha256=sha256, **more  # type: ignore[arg-type]
    )  # fmt: skip


def whole(folder: Path) -> None:
    """The file is there, and nothing else."""
    assert (folder / "f").read_bytes() == DATA
    assert [path.name for path in folder.iterdir()] == ["f"]


def refused(server: Flaky, folder: Path, match: str, **more: object) -> None:
    with pytest.raises(SourceError, match=match) as error:
        fetch(server, folder, **more)
    assert "\n" not in str(error.value)
    assert not (folder / "f").exists()


def part(folder: Path) -> bytes:
    return (folder / "f.part").read_bytes()


def test_a_file_arrives(server: Flaky, tmp_path: Path) -> None:
    server.routes["/f"] = [serve(DATA)]
    assert fetch(server, tmp_path) == SHA256
    whole(tmp_path)


def test_progress_begins_at_nothing_and_ends_at_all(server: Flaky, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []

    class Watch(Silent):
        def progress(self, label: str, done: int, total: int | None) -> None:
            assert label == "f"
            seen.append((done, total))

    server.routes["/f"] = [serve(DATA)]
    download(f"{server.url}/f", tmp_path / "f", Watch())
    assert seen[0] == (0, len(DATA))
    assert seen[-1] == (len(DATA), len(DATA))
    assert seen == sorted(seen)


def test_a_cut_connection_is_taken_up_where_it_broke(server: Flaky, tmp_path: Path) -> None:
    server.routes["/f"] = [serve(DATA, stop_after=300_000)] * 2 + [serve(DATA)]
    fetch(server, tmp_path, sha256=None)
    whole(tmp_path)
    first, *rest = server.of("/f")
    assert "Range" not in first.headers
    assert len(rest) == 2
    assert all(request.headers["If-Range"] == '"v1"' for request in rest)
    assert server.sent["/f"] < 1.6 * len(DATA)


def test_a_connection_that_is_always_cut_still_ends(server: Flaky, tmp_path: Path) -> None:
    server.routes["/f"] = [serve(DATA, stop_after=70_000)]
    fetch(server, tmp_path)
    whole(tmp_path)
    assert len(server.of("/f")) < 30


def test_an_interrupted_download_is_resumed_by_the_next_call(server: Flaky, tmp_path: Path) -> None:
    server.routes["/f"] = [serve(DATA)]
    with pytest.raises(KeyboardInterrupt):
        download(f"{server.url}/f", tmp_path / "f", Interrupting(500_000))
    assert not (tmp_path / "f").exists()
    kept = len(part(tmp_path))
    assert kept >= 500_000
    fetch(server, tmp_path, sha256=None)
    whole(tmp_path)
    assert server.requests[-1].headers["Range"] == f"bytes={kept}-"


def test_a_file_that_changed_meanwhile_is_fetched_anew(server: Flaky, tmp_path: Path) -> None:
    server.routes["/f"] = [serve(bytes(len(DATA)), etag='"old"', stop_after=500_000), serve(DATA)]
    fetch(server, tmp_path, sha256=None)
    whole(tmp_path)


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_word_on_its_state_only_a_sum_allows_resuming(
    server: Flaky, tmp_path: Path, etag: str | None
) -> None:
    server.routes["/f"] = [serve(DATA, etag=etag, stop_after=500_000), serve(DATA, etag=etag)]
    fetch(server, tmp_path, sha256=None)
    whole(tmp_path)
    assert "Range" not in server.requests[-1].headers

    (tmp_path / "f").unlink()
    server.routes["/f"] = [serve(DATA, etag=etag, stop_after=500_000), serve(DATA, etag=etag)]
    fetch(server, tmp_path)
    whole(tmp_path)
    assert "Range" in server.requests[-1].headers


def test_with_a_sum_another_mirror_goes_on_with_the_half_file(
    server: Flaky, tmp_path: Path
) -> None:
    server.routes["/g"] = [serve(DATA, stop_after=500_000), status(404)]
    with pytest.raises(SourceError, match="404"):
        download(f"{server.url}/g", tmp_path / "f", Silent(), sha256=SHA256)
    server.routes["/f"] = [serve(DATA)]
    fetch(server, tmp_path)
    whole(tmp_path)
    assert server.sent["/f"] <= 500_000 + (1 << 16)
    assert "If-Range" not in server.requests[-1].headers


def test_a_wrong_half_file_is_thrown_away_and_fetched_anew(server: Flaky, tmp_path: Path) -> None:
    (tmp_path / "f.part").write_bytes(bytes(400_000))
    server.routes["/f"] = [serve(DATA)]
    fetch(server, tmp_path)
    whole(tmp_path)
    assert len(server.of("/f")) == 2


@pytest.mark.parametrize("size", [len(DATA), len(DATA) + 5])
def test_a_half_file_that_is_all_of_it_or_more(server: Flaky, tmp_path: Path, size: int) -> None:
    (tmp_path / "f.part").write_bytes((DATA + b"extra")[:size])
    server.routes["/f"] = [serve(DATA)]
    fetch(server, tmp_path)
    whole(tmp_path)


@pytest.mark.parametrize("answer", [serve(DATA, ranges=False), serve(DATA, first=7)])
def test_servers_that_cannot_resume(server: Flaky, tmp_path: Path, answer: object) -> None:
    server.routes["/f"] = [serve(DATA, stop_after=500_000), answer]  # type: ignore[list-item]
    fetch(server, tmp_path, sha256=None)
    whole(tmp_path)


def test_wrong_bytes_are_refused_and_removed(server: Flaky, tmp_path: Path) -> None:
    server.routes["/f"] = [serve(DATA[:-1] + b"x")]
    refused(server, tmp_path, f"another file.*expected {SHA256}")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_size_is_refused_before_the_body(server: Flaky, tmp_path: Path) -> None:
    server.routes["/f"] = [serve(DATA)]
    refused(server, tmp_path, "1000000 bytes, expected 999999", sha256=None, size=len(DATA) - 1)
    assert list(tmp_path.iterdir()) == []


def test_a_body_shorter_than_its_length(server: Flaky, tmp_path: Path) -> None:
    server.routes["/f"] = [serve(DATA, length=len(DATA) + 10, ranges=False)]
    refused(server, tmp_path, ".")
    assert 1 < len(server.of("/f")) < 10


def test_a_body_longer_than_its_length(server: Flaky, tmp_path: Path) -> None:
    server.routes["/f"] = [serve(DATA, length=len(DATA) - 10)]
    refused(server, tmp_path, "another file")
    assert list(tmp_path.iterdir()) == []


def test_a_body_without_a_length(server: Flaky, tmp_path: Path) -> None:
    server.routes["/f"] = [without_length(DATA)]
    fetch(server, tmp_path)
    whole(tmp_path)
    (tmp_path / "f").unlink()
    server.routes["/f"] = [without_length(DATA + bytes(500_000))]
    refused(server, tmp_path, "more than the 1000000 bytes", size=len(DATA))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410])
def test_a_refusal_is_final(server: Flaky, tmp_path: Path, code: int) -> None:
    server.routes["/f"] = [status(code)]
    refused(server, tmp_path, str(code))
    assert len(server.of("/f")) == 1


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_busy_server_is_asked_again(server: Flaky, tmp_path: Path, code: int) -> None:
    server.routes["/f"] = [status(code, Retry_After="0"), hang_up, serve(DATA)]
    fetch(server, tmp_path)
    whole(tmp_path)
    (tmp_path / "f").unlink()
    server.routes["/f"] = [status(code)]
    refused(server, tmp_path, str(code))


def test_the_server_says_how_long_to_wait(
    server: Flaky, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(module.time, "sleep", waited.append)
    soon, late = status(503, Retry_After="7"), status(503, Retry_After="9999")
    server.routes["/f"] = [soon, late, serve(DATA)]
    fetch(server, tmp_path)
    assert [seconds for seconds in waited if seconds] == [7, module.MAX_PAUSE]


def test_redirections_are_followed_but_not_forever(server: Flaky, tmp_path: Path) -> None:
    server.routes |= {"/f": [status(302, Location="/g")], "/g": [serve(DATA)]}
    fetch(server, tmp_path)
    whole(tmp_path)
    (tmp_path / "f").unlink()
    server.routes["/f"] = [status(302, Location="/f")]
    refused(server, tmp_path, "redirect")


def test_compressed_answers_are_refused(server: Flaky, tmp_path: Path) -> None:
    server.routes["/f"] = [serve(DATA, Content_Encoding="gzip")]
    refused(server, tmp_path, "encoding", sha256=None)


def test_nobody_answers(server: Flaky, tmp_path: Path) -> None:
    server.url = "http://127.0.0.1:1"
    refused(server, tmp_path, ".")
    server.url = "http://[::1"
    refused(server, tmp_path, ".")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is full")  # noqa: PTH110
def test_a_full_disk_leaves_nothing_behind(server: Flaky, tmp_path: Path) -> None:
    (tmp_path / "f.part").symlink_to("/dev/full")
    server.routes["/f"] = [serve(DATA)]
    with pytest.raises(OutputError, match="no space is left"):
        fetch(server, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_too_little_space_is_said_before_anything_is_fetched(
    server: Flaky, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = module.shutil.disk_usage(tmp_path)._replace(free=999_999)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: usage)
    server.routes["/f"] = [serve(DATA)]
    with pytest.raises(OutputError, match=r"needs 1.0 MB .* GOUACHE_CACHE"):
        fetch(server, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_anything_that_can_happen_in_any_order(server: Flaky, tmp_path: Path) -> None:
    """The file under its name is always the right one."""
    rng = random.Random(1)
    outcomes = set()
    for number in range(25):
        folder = tmp_path / str(number)
        folder.mkdir()
        answers = [
            serve(DATA, stop_after=rng.randrange(len(DATA))),
            serve(DATA, etag=None, stop_after=rng.randrange(len(DATA))),
            serve(DATA, ranges=False, stop_after=rng.randrange(len(DATA))),
            serve(DATA, first=rng.randrange(len(DATA))),
            serve(DATA, length=rng.randrange(len(DATA) + 100)),
            serve(rng.randbytes(len(DATA)), stop_after=rng.randrange(len(DATA))),
            serve(rng.randbytes(len(DATA))),
            status(rng.choice([403, 404, 416, 500, 503]), Retry_After="0"),
            hang_up,
            serve(DATA),
        ]
        server.routes["/f"] = [rng.choice(answers) for _ in range(5)] + [serve(DATA)]
        try:
            fetch(server, folder)
            whole(folder)
            outcomes.add("whole")
        except SourceError:
            outcomes.add("refused")
            assert not (folder / "f").exists()
            server.routes["/f"] = [serve(DATA)]
            fetch(server, folder)  # whatever was left does no harm
            whole(folder)
    assert outcomes == {"whole", "refused"}
