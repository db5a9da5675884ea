"""Four that are painted at once, in a real browser, and what is said while they are."""

from __future__ import annotations

from typing import Any

import pytest

from studio_browser import (
    CHROMIUM,
    LONG,
    TinyStudio,
    deed,
    hold,
    laid_out,
    resize,
    status,
    tune,
    until,
)

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")

SEATS = (
    "[...document.querySelectorAll('#tiles > *')].map(({ className }) => className.split(' ')[0])"
)
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
    until(page, "document.getElementById('pause').textContent.trim() === 'Go on all'")
    page.click("#pause")
    hold(lambda: statuses(studio, page) == ["painting"] * 4)


def test_what_is_discarded_goes_at_once_and_the_others_keep_their_places(
    page: Any, studio: TinyStudio
) -> None:
    four(page)
    held: list[Any] = []
    page.route("**/stop", lambda route: held.append(route))
    before = page.evaluate(BOXES)
    deed(page, 1, "discard")
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


def test_they_keep_their_size_whatever_is_said_below(page: Any) -> None:
    four(page)
    before = page.evaluate(BOXES)
    page.click("#pause")
    until(page, "document.getElementById('pause').textContent.trim() === 'Go on all'")
    deed(page, 1, "discard")  # says so beside how it goes
    for said in ("", ", longer than thought"):
        page.evaluate("(said) => (clock.textContent = `step 9 of 60 · 918 min left${said}`)", said)
        laid_out(page)
        laid_out(page)
        assert page.evaluate(BOXES) == before


def test_what_cannot_be_discarded_comes_back(page: Any) -> None:
    four(page, steps=2)
    until(page, "document.querySelectorAll('#tiles .tile.over').length === 4")

    def refuse(route: Any) -> None:
        if route.request.method != "DELETE":
            return route.continue_()
        return route.fulfill(status=400, json={"error": "the disk is full"})

    page.route("**/api/runs/*", refuse)
    deed(page, 2, "discard")
    page.wait_for_selector("#problem:has-text('the disk is full')")
    until(page, f"{SEATS}.join() === 'tile,tile,tile,tile'")
    assert page.is_hidden("#bin")


def test_discards_in_a_row_are_undone_in_a_row(page: Any, studio: TinyStudio) -> None:
    four(page)
    for number in (4, 1):
        page.click(f"[aria-label^='More: picture {number},']")
        page.click(f"[aria-label^='Discard picture {number},']")
    assert page.evaluate(SEATS) == ["gone", "tile", "tile", "gone"]
    page.click("#restore")  # while they are being stopped
    until(page, f"{SEATS}.join() === 'tile,tile,tile,gone'")
    hold(lambda: len(studio.runs(page)) == 3)


def test_who_has_four_is_not_asked_for_a_sketch_of_each(page: Any, studio: TinyStudio) -> None:
    studio.tries = {"start_tries": 3, "start_steps": 10_000, "start_scale": 1.0}
    four(page)
    page.wait_for_selector("#tiles .state:has-text('this one is ahead')")
    until(page, lambda: all(run["sketches"] for run in studio.runs(page)))
    assert page.locator("#tiles .sketch").count() == 0
    until(
        page,
        "document.getElementById('status').textContent === 'Tries several beginnings of each…'",
    )
    page.click("#four-close")  # to see one, and no more
    page.wait_for_selector("#grid", state="hidden")
    until(page, "document.getElementById('status').textContent.startsWith('3 beginnings')")
    assert page.is_hidden("#grid")


def test_what_is_pressed_while_it_begins_is_gone_on_from_as_it_was_shown(
    page: Any, studio: TinyStudio
) -> None:
    """The beginning that leads is on the tile, and it is not another one that is painted then."""
    studio.tries = {"start_tries": 3, "start_steps": 10_000, "start_scale": 1.0}
    four(page)
    until(page, lambda: all(run["leads"] for run in studio.runs(page)))
    page.wait_for_selector("#tiles .state:has-text('trying 3 beginnings; this one is ahead')")
    studio.pace = 2  # a step of it alone
    second = page.locator("#tiles .pick").nth(1)
    assert "as it is shown" in second.get_attribute("title")
    with page.expect_request("**/sketch") as asked:
        second.click()
    run = studio.runs(page)[1]
    assert run["id"] in asked.value.url
    number = asked.value.post_data_json["number"]
    assert number in (1, 2, 3)
    page.wait_for_selector("#grid", state="hidden")
    status(page, "painting")
    config = studio.studio.runs[run["id"]].config.latents
    assert config.start_choice == number
    page.click("#pause")  # nothing is lost where it is painted already
    status(page, "paused")
    studio.pace = 0.02


def test_who_has_chosen_one_of_four_paints_one_again(page: Any, studio: TinyStudio) -> None:
    four(page, steps=2)
    until(page, "document.querySelectorAll('#tiles .tile.over').length === 4")
    assert "×4" in page.text_content("#paint")
    page.click("#four-close")  # only looks
    page.click("#four")
    assert "×4" in page.text_content("#paint")
    page.locator("#tiles .pick").nth(2).click()
    page.wait_for_selector("#grid", state="hidden")
    assert page.get_attribute("[data-count='1']", "aria-pressed") == "true"
    for button in ("#paint", "#branch"):
        assert "×" not in page.text_content(button)
    assert "Paint new makes one." in page.text_content("#note")
    page.click("#paint")
    hold(lambda: len(studio.runs(page)) == 5)
    status(page, "done")
    page.click("[data-count='4']")  # who sets it has it
    assert "×4" in page.text_content("#paint")


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
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390


# How it goes, and what is pressed beside it.


@pytest.mark.parametrize(("wide", "high"), [(1440, 900), (1100, 800), (820, 1180), (390, 844)])
def test_save_stays_where_it_is_whatever_is_said(page: Any, wide: int, high: int) -> None:
    tune(page, steps=2, size="32x32")
    page.click("#fold")
    page.fill("#prompt", "a red apple")
    page.press("#prompt", "Enter")
    status(page, "done")
    resize(page, wide, high)
    seen = []
    for words in (
        "Done.",
        "Waits for 4 pictures of “a yellow flower in the morning” and for others.",
    ):
        page.evaluate(
            """(words) => {
                document.getElementById("status").textContent = words;
                document.getElementById("clock").textContent = words && "step 12 of 60 · 45 s left";
                document.getElementById("progress").hidden = words === "Done.";
            }""",
            words,
        )
        laid_out(page)
        box = page.locator("#save").bounding_box()
        seen.append([round(box[side]) for side in ("x", "y")])
    assert seen[0] == pytest.approx(seen[1], abs=1)


def counted(page: Any, told: list[tuple[float, float | None]]) -> list[Any]:
    """What is shown of (second, seconds left as the server says)."""
    return page.evaluate(
        """async (told) => {
            const { makeCountdown } = await import("/page/shell/countdown.js");
            const countdown = makeCountdown();
            return told.map(([now, left]) => countdown("a run", left, now));
        }""",
        told,
    )


def test_the_time_left_goes_down_though_its_estimate_wanders(page: Any) -> None:
    told = [(k / 2, 60 - k / 2 + (9 if k % 4 < 2 else -9)) for k in range(80)]
    seen = counted(page, told)
    shown = [round(one["left"], 3) for one in seen]
    assert shown == sorted(shown, reverse=True)
    assert not any(one["longer"] for one in seen)
    assert all(abs(one - (60 - k / 2)) < 16 for k, one in enumerate(shown))


def test_it_goes_up_only_with_a_reason(page: Any) -> None:
    seen = counted(
        page, [(0, 20), (1, 19), (2, 80), (3, 79), (11, 71), (12, 5), (13, None), (14, 50)]
    )
    assert [round(one["left"]) if one["left"] is not None else None for one in seen] == [
        20, 19, 80, 79, 71, 5, None, 50,
    ]  # fmt: skip
    assert [one["longer"] for one in seen] == [False, False, True, True, False, False, False, False]


def test_the_longer_it_is_the_rougher_it_is_told(page: Any) -> None:
    told = page.evaluate(
        """async () => {
            const { clock } = await import("/page/selectors.js");
            return [null, 3.2, 14, 16, 61, 90, 200].map(clock);
        }"""
    )
    assert told == [
        "",
        "4 s left",
        "14 s left",
        "about 20 s left",
        "about 65 s left",
        "about 2 min left",
        "about 4 min left",
    ]


def test_the_size_is_told_in_pixels_of_the_finished_picture(page: Any) -> None:
    sizes = page.locator("#scale option")
    assert sizes.all_text_contents()[:2] == [
        "512 × 512 px",
        "1024 × 1024 px",
    ]  # drawn twice as large
    page.click("[data-shape=landscape]")
    assert sizes.first.text_content() == "576 × 448 px"
    tune(page, size="300x100")
    until(page, "document.querySelector('#scale option:checked').textContent === '300 × 100 px'")
    page.select_option("#setting-scale", "4")
    until(page, "document.querySelector('#scale option:checked').textContent === '1200 × 400 px'")
