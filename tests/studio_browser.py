"""The studio's page in a browser: a real one before a studio that paints with the tiny models."""

from __future__ import annotations

import base64
import io
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops

from tiny import TinyGenerator, TinyPerceptor, tiny_config

# The one without windows is the same browser, and takes a third less time.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
SECONDS = 120_000  # as playwright counts: milliseconds
LONG = 20_000  # steps: more than any test waits for, however slow the machine is
PACE = 0.02  # seconds that a step takes
SLOW = float(os.environ.get("GOUACHE_TEST_SLOW", "1"))  # how many times slower pages run
DRAWN = "document.getElementById('{}').getContext('2d').getImageData(0, 0, 4096, 4096).data"


def visit(browser: Any, address: str, width: int = 1360, height: int = 960) -> Any:
    """A page of a visitor of their own; any error in its scripts fails the test."""
    context = browser.new_context(viewport={"width": width, "height": height})
    return _opened(context.new_page(), address)


def visit_after(window: Any, address: str, width: int = 1360, height: int = 960) -> Any:
    """Like `visit`, and quicker: in the same window after the visitor before, who has left."""
    window.clear_cookies()
    page = window.new_page()
    page.set_viewport_size({"width": width, "height": height})
    return _opened(page, address)


def _opened(page: Any, address: str) -> Any:
    page.mistakes = []
    page.on("pageerror", lambda error: page.mistakes.append(str(error)))
    page.on("request", lambda request: page.mistakes.append(request.url) if away(request) else None)
    page.set_default_timeout(SECONDS)
    page.goto(address)
    ready(page)
    return page


def ready(page: Any) -> None:
    """Waits until the page has what the server tells, and is laid out."""
    page.wait_for_selector("body[data-ready]")
    laid_out(page)


def reloaded(page: Any) -> None:
    page.reload()
    ready(page)


def slowed(browser: Any) -> Any:
    """The browser, whose pages run slower if GOUACHE_TEST_SLOW asks for it: to find out what a test
    reads before the page is ready."""
    make = browser.new_context

    def slow(page: Any) -> None:
        page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": SLOW})

    def new_context(**options: Any) -> Any:
        context = make(**options)
        context.on("page", slow)
        return context

    if SLOW > 1:
        browser.new_context = new_context
    return browser


def laid_out(page: Any) -> None:
    """Waits until the page was laid out anew, and what watches sizes on it has seen that."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


def resize(page: Any, width: int, height: int) -> None:
    """Another size of the window, and the page as it is then."""
    page.set_viewport_size({"width": width, "height": height})
    until(page, f"innerWidth === {width} && innerHeight === {height}")
    laid_out(page)


def away(request: Any) -> bool:
    """Whether something is fetched from elsewhere."""
    return not request.url.startswith(("http://127.0.0.1", "data:", "blob:"))


def show(page: Any, panel: str) -> None:
    """Opens a panel: tune, layers, change, history or gallery."""
    if page.get_attribute("body", "data-panel") != panel:
        page.click(f"#tab-{panel}")
        page.wait_for_selector(f"#panel-{panel}")
        laid_out(page)


def tune(page: Any, **settings: object) -> None:
    """Writes settings into Fine tuning."""
    show(page, "tune")
    for name, value in settings.items():
        page.fill(f"#setting-{name}", str(value))


def edits(page: Any, *more: str) -> list[dict[str, Any]]:
    """Orders of edits; the studio gets them without that, and without `more`, as those of pictures:
    tiny models edit nothing."""
    asked: list[dict[str, Any]] = []

    def plainly(route: Any) -> None:
        if route.request.method != "POST":
            return route.continue_()
        document = route.request.post_data_json
        asked.append(dict(document))
        for name in ("edit", *more):
            document.pop(name, None)
        document["settings"]["steps"] = 2
        return route.continue_(post_data=document)

    page.route("**/api/runs", plainly)
    return asked


def order(page: Any, prompt: str, steps: int, size: str = "128x128") -> None:
    page.fill("#prompt", prompt)
    show(page, "tune")
    page.select_option("#setting-perceptor", "pocket")  # the faster one, where it is the real one
    tune(page, steps=steps, size=size, seed=3)
    page.click("#paint")


def status(page: Any, wanted: str) -> None:
    page.wait_for_selector(f'body[data-status="{wanted}"]')


def until(page: Any, condition: str | Callable[[], Any]) -> None:
    """Waits until it holds: an expression of the page, whose own policy forbids playwright's way,
    which is `eval`; or a function, and what the page asks for is heard meanwhile."""
    if isinstance(condition, str):
        hold(lambda: page.evaluate(condition), condition)
    else:
        hold(lambda: page.evaluate("1") and condition())


def hold(condition: Callable[[], Any], what: str = "") -> None:
    """Waits until it is so."""
    deadline = time.monotonic() + SECONDS / 1000
    while not condition():
        assert time.monotonic() < deadline, what or condition
        time.sleep(0.01)


def stroke(page: Any, y: float, start: float = 0.25, end: float = 0.75) -> None:
    page.locator("#strokes").scroll_into_view_if_needed()
    laid_out(page)
    box = page.locator("#strokes").bounding_box()
    page.mouse.move(box["x"] + start * box["width"], box["y"] + y * box["height"])
    page.mouse.down()
    for share in (0.35, 0.5, 0.65, end):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + y * box["height"])
    page.mouse.up()


def is_drawn(page: Any, sheet: str = "strokes") -> bool:
    """Whether there is anything on a sheet."""
    return bool(page.evaluate(f"{DRAWN.format(sheet)}.some((value) => value > 0)"))


def alpha_at(page: Any, x: float, y: float, sheet: str = "strokes") -> int:
    """How much there is on a sheet at or near a place given as shares, 0 to 255."""
    return int(
        page.evaluate(
            """([id, x, y]) => {
                const sheet = document.getElementById(id);
                const [left, top] = [Math.round(x * sheet.width), Math.round(y * sheet.height)];
                // The page may have moved by a pixel or two between looking and drawing.
                const seen = sheet.getContext('2d').getImageData(left - 4, top - 4, 9, 9).data;
                return Math.max(...seen.filter((_, k) => k % 4 === 3));
            }""",
            [sheet, x, y],
        )
    )


def sheets(page: Any) -> list[Image.Image]:
    """What is seen of strokes and mask."""
    urls = page.evaluate("[strokes.toDataURL(), mask.toDataURL()]")
    return [Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) for url in urls]


def alike(before: list[Image.Image], after: list[Image.Image]) -> bool:
    """Whether they are the same up to rounding, by which parts differ from the whole."""
    pairs = list(zip(before, after, strict=True))
    if any(one.size != other.size for one, other in pairs):
        return False
    alphas = [ImageChops.difference(*(one.getchannel("A") for one in pair)) for pair in pairs]
    return all(one.getextrema()[1] <= 4 for one in alphas)


def more(page: Any, name: str) -> None:
    """Does what the history has in its menu: vary, evolve, film-this, reuse or delete."""
    page.click("#history-more")
    page.click(f"#{name}")


def deed(page: Any, number: int, name: str) -> None:
    """Does what a picture of several has in its menu: vary, evolve or discard."""
    page.locator(".tile .more").nth(number).click()
    page.locator(".tile").nth(number).locator(f".{name}").click()


def says(page: Any, selector: str) -> str:
    """The text of one node."""
    return str(page.text_content(selector) or "").strip()


def texts(page: Any, selector: str) -> list[str]:
    return [text.strip() for text in page.locator(selector).all_text_contents()]


class TinyStudio:
    """A studio in this process that paints in milliseconds; `pace` is a step's time in seconds."""

    def __init__(self, root: Path) -> None:
        from gouache.apps.studio.orders import Limits
        from gouache.apps.studio.worker import Studio

        self.root, self.pace = root, PACE
        self.tries: dict[str, Any] = {}  # settings of starts: sketches to choose from
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.address = f"http://127.0.0.1:{self.port}"
        self._make = lambda: Studio(self.root, Limits(steps=2 * LONG), self._build)
        self.open()

    def open(self) -> None:
        import uvicorn

        from gouache.apps.studio.http import make_app

        self.studio = self._make()
        config = uvicorn.Config(
            make_app(self.studio),
            port=self.port,
            log_level="error",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        hold(lambda: self._server.started, "the server does not start")

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(3)
        self._server.force_exit = True  # browsers hold on to their connections
        self._thread.join(30)
        self.studio.close()

    def clear(self) -> None:
        """Ends and forgets all that was ordered; as new, but for its address."""
        from gouache.apps.studio.runs import ENDED
        from gouache.errors import ConfigError

        if self._server.should_exit:
            self.open()  # a test did not come to that
        runs = list(self.studio.runs.values())
        for run in runs:
            if run.status not in ENDED:
                with suppress(ConfigError):  # it has ended meanwhile
                    self.studio.stop(run)
        hold(lambda: all(run.status in ENDED for run in runs), "runs do not end")
        for run in runs:
            self.studio.delete(run, forever=True)
        self.pace, self.tries = PACE, {}

    def runs(self, page: Any) -> list[dict[str, Any]]:
        """What this page's visitor has."""
        found = page.evaluate("fetch('/api/runs').then((answer) => answer.json())")
        return list(found["runs"])

    def _build(self, asked: Any) -> Any:
        from gouache.engine import Session
        from gouache.films.film import Film

        config = tiny_config(
            prompt=asked.config.title,
            size=asked.config.size,
            steps=asked.config.steps,
            seed=asked.config.seed,
            scale=asked.config.scale,
            init_image="" if asked.image is None else str(asked.image),
            cross_image="" if asked.other is None else str(asked.other),
            init_disturb=asked.config.latents.init_disturb,
            **self.tries,
        )
        if "fails" in config.title:
            raise ValueError("it was asked to fail")
        models = {"generator": TinyGenerator(), "perceptor": TinyPerceptor()}
        if asked.film is not None:
            return self._patient(Film.build(config, asked.film, **models))
        session = Session.build(config, **models)
        advance = session._try_step

        def patient() -> Any:
            time.sleep(self.pace)
            return advance()

        session._try_step = patient  # type: ignore[method-assign]
        return session

    def _patient(self, film: Any) -> Any:
        """A film whose steps take as long as those of pictures."""
        studio = self

        class Patient(type(film)):  # type: ignore[misc]
            def __next__(self) -> Any:
                time.sleep(studio.pace)
                return super().__next__()

        film.__class__ = Patient
        return film
