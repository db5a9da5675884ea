"""The command line run in this process, with the shipped models at a small size; a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gouache.apps.cli.main import run
from gouache.runs.drive import Event, Run, Stepped
from gouache.runs.keep import Keep
from studio_browser import CHROMIUM, TinyStudio, reloaded, slowed, visit, visit_after
from studio_tiny import Gate


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def gouache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """`gouache("paint", "x")` in an empty folder -> exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path) -> Outcome:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Outcome(code, out, err)

    return call


class Killed(BaseException):
    """Nothing in the program may catch what stands for SIGKILL."""


@pytest.fixture
def dies_at(
    gouache: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """`dies_at(2, "paint", "x")`: killed after step 2 was painted and before it is recorded."""
    keep = Keep.__call__

    def call(killed_at: int, *arguments: str | Path) -> None:
        def dying(self: Keep, event: Event, run: Run) -> None:
            if isinstance(event, Stepped) and event.step.index == killed_at:
                raise Killed
            keep(self, event, run)

        with monkeypatch.context() as patch:
            patch.setattr(Keep, "__call__", dying)
            with pytest.raises(Killed):
                gouache(*arguments)

    return call


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield slowed(browser)
        browser.close()


@pytest.fixture(scope="module")
def window(browser: Any) -> Iterator[Any]:
    """What the pages of a file's tests are opened in, one after the other; a new one takes long."""
    window = browser.new_context()
    window.new_page()  # with the last page its window would go
    yield window
    window.close()


@pytest.fixture(scope="module")
def open_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyStudio]:
    """One for all tests of a file: each has a visitor of its own, who sees no other's runs."""
    studio = TinyStudio(tmp_path_factory.mktemp("studio") / "runs")
    yield studio
    studio.close()


@pytest.fixture
def studio(open_studio: TinyStudio) -> Iterator[TinyStudio]:
    """The studio of the file, in which nothing was painted yet."""
    yield open_studio
    open_studio.clear()


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def page(window: Any, studio: TinyStudio) -> Iterator[Any]:
    """The studio's page; no script on it may make a mistake."""
    page = visit_after(window, studio.address)
    yield page
    page.close()
    assert page.mistakes == []


@pytest.fixture
def timed(browser: Any, studio: TinyStudio) -> Iterator[Any]:
    """The page in a window whose clock can be put forward: `timed.clock.run_for(milliseconds)`."""
    page = visit(browser, studio.address)
    page.clock.install()
    reloaded(page)
    yield page
    page.context.close()
    assert page.mistakes == []
