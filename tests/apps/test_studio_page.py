"""The studio's page, used in a real browser by a real hand on the mouse."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studio_browser import (
    CHROMIUM,
    hold,
    more,
    order,
    reloaded,
    show,
    status,
    stroke,
    until,
    visit,
)
from studio_server import Server

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")

SHOTS = os.environ.get("GOUACHE_SCREENSHOTS")  # a folder: writes docs/images/studio-*.png


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Where others may come too, so that the visitors of the tests do not see each other; a studio
    for this machine alone has one owner."""
    folder = tmp_path_factory.mktemp("studio") / "runs"
    with Server(folder, "--allow-host", "studio.example") as server:
        yield server


def shoot(page: Any, name: str) -> None:
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"studio-{name}.png", full_page=True)


def frames(page: Any, count: int) -> list[str]:
    """Waits for so many frames that differ, as data URLs."""
    seen: list[str] = []
    while len(seen) < count:
        number = page.get_attribute("#view", "data-frame")
        until(page, f"document.getElementById('view').dataset.frame != '{number}'")
        picture = page.evaluate("document.getElementById('view').toDataURL()")
        if picture not in seen:
            seen.append(picture)
    return seen


def color_at(page: Any, x: float, y: float) -> list[int]:
    """The mean colour of a small square of the picture around a place given as shares."""
    return page.evaluate(
        """([x, y]) => {
            const view = document.getElementById('view');
            const side = Math.round(view.width / 10);
            const left = view.width * x - side / 2, top = view.height * y - side / 2;
            const data = view.getContext('2d').getImageData(left, top, side, side).data;
            const sum = [0, 0, 0];
            data.forEach((value, k) => { if (k % 4 < 3) sum[k % 4] += value; });
            return sum.map((one) => Math.round(one / (side * side)));
        }""",
        [x, y],
    )


def test_painting_together(browser: Any, server: Server) -> None:
    page = visit(browser, server.address)
    shoot(page, "empty")
    order(page, "a lighthouse at dusk | watercolour:0.5", 600)
    status(page, "painting")
    assert len(frames(page, 3)) == 3
    assert page.locator("#chips li").count() == 2
    shoot(page, "painting")

    page.click("#pause")
    status(page, "paused")
    page.fill("#color", "#1030e0")
    page.fill("#brush-size", "110")
    stroke(page, 0.5)
    stroke(page, 0.5)
    before = color_at(page, 0.5, 0.5)
    shoot(page, "drawn")
    page.click("#pause")  # which is Go on now
    page.locator("#tree .thumb", has_text="your stroke").wait_for(state="attached")
    frames(page, 1)

    def is_blue() -> bool:
        red, green, blue = color_at(page, 0.5, 0.5)
        return blue > max(110, 1.8 * red, 1.8 * green)

    hold(is_blue, f"it was {before}")

    page.click("#stop")
    status(page, "stopped")
    reloaded(page)
    show(page, "gallery")
    page.wait_for_selector("#gallery .thumb")
    assert page.locator("#gallery .thumb").count() == 1
    assert page.locator("#tree .thumb").count() == 3  # start, drawn on, end
    shoot(page, "gallery")
    assert page.mistakes == []


def test_a_mask_by_phrase_and_a_queue(browser: Any, server: Server) -> None:
    scene = Path(__file__).parents[2] / "src" / "gouache_bench" / "scenes" / "01.png"
    phrase = "a red apple"
    page = visit(browser, server.address)
    page.locator("#file").set_input_files(scene)
    show(page, "tune")
    page.wait_for_selector("#start figure")
    show(page, "change")
    page.fill("#phrase", phrase)
    page.click("#find")
    until(page, "document.getElementById('mask-note').textContent.startsWith('Marked')")
    shoot(page, "mask")
    show(page, "tune")
    page.fill("#setting-steps", "300")
    show(page, "change")
    page.fill("#replace", "a green pear")
    page.click("#repaint")
    page.wait_for_selector('body[data-status="painting"]')
    shoot(page, "repaint")

    order(page, "a blue house", 5, "64x64")
    show(page, "history")
    page.wait_for_selector("#queue .cancel:has-text('Cancel')")
    shoot(page, "queue")
    page.click("#queue .cancel:has-text('Cancel')")
    status(page, "cancelled")
    show(page, "history")
    page.click("#queue .cancel:has-text('Stop')")
    until(page, "document.querySelectorAll('#queue .cancel').length === 0")
    assert page.mistakes == []


def test_branches_comparison_and_exports(browser: Any, server: Server) -> None:
    page = visit(browser, server.address)
    order(page, "a red sun", 12, "64x64")
    status(page, "done")
    show(page, "history")
    page.locator("#tree .thumb").first.click()
    page.fill("#prompt", "a green sun")
    page.click("#branch")
    show(page, "history")
    page.wait_for_selector("#tree ul ul .thumb")
    status(page, "done")
    page.click("#compare")
    show(page, "history")
    page.locator("#tree .thumb").first.click()
    page.wait_for_selector("#versus[open]")
    page.fill("#split", "30")
    assert "inset" in page.get_attribute("#before", "style")
    shoot(page, "compare")
    page.click("#close")
    page.fill("#prompt", "something else")
    show(page, "history")
    more(page, "reuse")
    until(page, "document.getElementById('prompt').value === 'a green sun'")
    for name, start in (("png", b"\x89PNG"), ("json", b"{"), ("gif", b"GIF8"), ("mp4", b"\0\0\0")):
        with page.expect_download() as download:
            show(page, "history")
            page.click("#save-too")
            page.click(f"#save-{name}")
        page.wait_for_selector("#exports", state="hidden")  # which closes when it is used
        assert Path(download.value.path()).read_bytes().startswith(start)
    assert page.mistakes == []


def test_keyboard_and_phone(browser: Any, server: Server) -> None:
    page = visit(browser, server.address, 390, 840)
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390
    page.focus("#prompt")
    page.keyboard.type("a yellow sun")
    show(page, "tune")
    page.select_option("#setting-perceptor", "pocket")
    page.fill("#setting-steps", "400")
    page.keyboard.press("Control+Enter")
    status(page, "painting")
    page.focus("#strokes")
    page.keyboard.press("Space")
    status(page, "paused")
    page.keyboard.press("Enter")
    for _ in range(5):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")
    drawn = "document.getElementById('strokes').getContext('2d').getImageData(0,0,2000,2000).data"
    assert page.evaluate(f"{drawn}.some((value) => value > 0)")
    shoot(page, "phone")
    page.keyboard.press("Control+z")
    assert not page.evaluate(f"{drawn}.some((value) => value > 0)")
    page.click("#stop")
    status(page, "stopped")
    assert page.mistakes == []


def test_two_visitors_do_not_see_each_other(browser: Any, server: Server) -> None:
    first, second = (visit(browser, server.address) for _ in range(2))
    order(first, "a red apple", 15, "64x64")
    order(second, "a blue fish", 15, "64x64")
    status(first, "done")
    status(second, "done")
    for page, mine in ((first, "a red apple"), (second, "a blue fish")):
        reloaded(page)
        show(page, "gallery")
        page.wait_for_selector("#gallery .thumb")
        assert page.locator("#gallery .thumb").all_text_contents() == [mine]
        assert page.mistakes == []
    one = first.evaluate("fetch('/api/runs').then((r) => r.json())")["runs"][0]["id"]
    answer = second.evaluate(f"fetch('/api/runs/{one}/picture.png').then((r) => r.status)")
    assert answer == 404


def test_scripts_keep_the_page_off_other_hosts() -> None:
    page = Path(__file__).parents[2] / "src/gouache/apps/studio/page"
    for path in page.rglob("*.*"):
        text = path.read_bytes().decode(errors="ignore").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text, path
        assert "https://" not in text, path
