"""Four that are painted at once, in a real browser: stopped, discarded, brought back, each in its place."""

from __future__ import annotations

from typing import Any

import pytest

from studio_browser import CHROMIUM, LONG, TinyStudio, hold, laid_out, resize, status, tune, until

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")

SEATS = "[...document.querySelectorAll('#tiles > *')].map(({ className }) => className.split(' ')[0])"
BOXES = """[...document.querySelectorAll("#tiles .room")].map((node) => {
    const { x, y, width, height } = node.getBoundingClientRect();
    return [x, y, width, height].map(Math.round);
})"""


@pytest.fixture
def page(page: Any) -> Any:
    resize(page, 1440, 900)
    return page


def four(page: Any, steps: int = LONG, size: str = "32x32") -> None:
    tune(page, steps=steps, size=size)
    page.click("#fold")
    page.click("[data-count='4']")
    page.fill("#prompt", "four moons")
    page.press("#prompt", "Enter")
    until(page, "document.querySelectorAll('#tiles .pick img[src]').length === 4")


def statuses(studio: TinyStudio, page: Any) -> list[str]:
    return [run["status"] for run in studio.runs(page)]


def test_each_is_stopped_alone_and_all_at_once(page: Any, studio: TinyStudio) -> None:
    four(page)
    until(page, "document.querySelectorAll('.stop:not([hidden])').length === 4")
    page.locator(".stop").nth(1).click()
    hold(lambda: statuses(studio, page)[1] == "stopped")
    until(page, "document.querySelectorAll('.stop:not([hidden])').length === 3")
    assert statuses(studio, page).count("painting") == 3
    assert page.locator("#stop").text_content().strip() == "Stop all"
    page.click("#stop")
    hold(lambda: statuses(studio, page) == ["stopped"] * 4)
    until(page, "document.getElementById('stop').disabled")
    assert page.locator(".stop:visible").count() == 0
    page.locator(".pick").first.click()
    until(page, "document.getElementById('stop').textContent.trim() === 'Stop'")


def test_all_pause_and_all_go_on(
    page: Any, studio: TinyStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gouache.apps.studio.worker.PARKED", 4)  # none is read from its folder
    four(page)
    hold(lambda: statuses(studio, page) == ["painting"] * 4)
    until(page, "document.getElementById('pause').textContent.trim() === 'Pause all'")
    page.click("#pause")
    hold(lambda: statuses(studio, page) == ["paused"] * 4)
    until(page, "document.getElementById('pause').textContent.trim() === 'Continue all'")
    page.click("#pause")
    hold(lambda: statuses(studio, page) == ["painting"] * 4)


def test_what_is_discarded_goes_at_once_and_the_others_keep_their_places(
    page: Any, studio: TinyStudio
) -> None:
    four(page)
    held: list[Any] = []
    page.route("**/stop", lambda route: held.append(route))
    before = page.evaluate(BOXES)
    page.locator(".tile .discard").nth(1).click()
    seats = ["tile", "gone", "tile", "tile"]
    assert page.evaluate(SEATS) == seats  # though the server has not even heard of it
    assert page.evaluate(BOXES) == before
    assert page.is_visible("#bin")
    until(page, lambda: held)
    with page.expect_response("**/api/runs") as told:  # which still has four
        pass
    assert len(told.value.json()["runs"]) == 4
    laid_out(page)
    assert page.evaluate(SEATS) == seats
    held[0].continue_()
    hold(lambda: len(studio.runs(page)) == 3)
    until(page, "document.getElementById('four').textContent.trim() === 'All three'")
    assert page.evaluate(SEATS) == seats
    page.click("[aria-label='Bring back picture 2']")
    until(page, f"{SEATS}.every((kind) => kind === 'tile')")
    assert page.evaluate(BOXES) == before
    assert page.is_hidden("#bin")


def test_what_cannot_be_discarded_comes_back(page: Any) -> None:
    four(page, steps=2)
    until(page, "document.querySelectorAll('#tiles .tile.over').length === 4")

    def refuse(route: Any) -> None:
        if route.request.method != "DELETE":
            return route.continue_()
        return route.fulfill(status=400, json={"error": "the disk is full"})

    page.route("**/api/runs/*", refuse)
    page.locator(".tile .discard").nth(2).click()
    page.wait_for_selector("#problem:has-text('the disk is full')")
    until(page, f"{SEATS}.join() === 'tile,tile,tile,tile'")
    assert page.is_hidden("#bin")


def test_discards_in_a_row_are_undone_in_a_row(page: Any, studio: TinyStudio) -> None:
    four(page)
    for number in (4, 1):
        page.click(f"[aria-label^='Discard picture {number},']")
    assert page.evaluate(SEATS) == ["gone", "tile", "tile", "gone"]
    page.click("#restore")  # while they are being stopped
    until(page, f"{SEATS}.join() === 'tile,tile,tile,gone'")
    hold(lambda: len(studio.runs(page)) == 3)


def test_who_has_four_is_not_asked_for_a_sketch_of_each(page: Any, studio: TinyStudio) -> None:
    studio.tries = {"start_tries": 3, "start_steps": 10_000, "start_scale": 1.0}
    four(page)
    page.wait_for_selector("#tiles .state:has-text('finds a start')")
    until(page, lambda: all(run["sketches"] for run in studio.runs(page)))
    assert page.locator("#tiles .sketch").count() == 0
    until(page, "document.getElementById('status').textContent === 'Finds a start for each…'")
    page.locator(".pick").nth(1).click()
    page.wait_for_selector("#grid", state="hidden")
    status(page, "starting")
    until(page, "document.getElementById('status').textContent.startsWith('Sketches')")
    assert page.is_hidden("#grid")


def test_four_are_large_and_stand_together(page: Any) -> None:
    four(page, steps=2)
    until(page, "document.querySelectorAll('#tiles .tile.over').length === 4")
    page.click("#four-known")
    laid_out(page)
    boxes = page.evaluate(BOXES)
    assert all(min(box[2:]) >= 320 for box in boxes), boxes
    [left, right] = [boxes[0], boxes[1]]
    assert right[0] - (left[0] + left[2]) < 150  # the buttons of the left one, and no more
    resize(page, 390, 844)
    laid_out(page)
    for one in page.locator("#tiles button:visible").all():
        box = one.bounding_box()
        assert 0 <= box["x"] and box["x"] + box["width"] <= 390
