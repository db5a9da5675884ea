"""What confused at first sight: what a picture waits for, what moves under the pointer, notes."""

from __future__ import annotations

from typing import Any

import pytest

from gouache.apps.studio.pace import Pace
from studio_browser import (
    CHROMIUM,
    LONG,
    TinyStudio,
    order,
    resize,
    says,
    show,
    status,
    stroke,
    tune,
    until,
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")


# What a picture waits for.


def waiting(page: Any) -> None:
    """Four flowers are painted, and a boat waits for them, which is shown."""
    page.click("[data-count='4']")
    order(page, "a yellow flower", LONG, "32x32")
    until(page, "document.querySelectorAll('#tiles .tile').length === 4")
    status(page, "painting")
    page.click("[data-count='1']")
    page.fill("#prompt", "a boat")
    page.press("#prompt", "Enter")
    status(page, "queued")


def test_what_waits_says_for_what_and_how_long(page: Any, studio: TinyStudio) -> None:
    waiting(page)
    told = "Waits for 4 pictures of “a yellow flower”."
    until(page, f"document.getElementById('status').textContent === '{told}'")
    until(page, "/^about \\d+ min$/.test(document.getElementById('clock').textContent)")
    for width, height in ((1440, 900), (390, 844)):
        resize(page, width, height)
        for button in ("#paint-first", "#stop-those"):
            box = page.locator(button).bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
            assert box["y"] + box["height"] <= height
    page.focus("#paint-first")
    page.keyboard.press("Enter")
    status(page, "painting")
    assert page.is_hidden("#paint-first")
    until(page, lambda: [run["status"] for run in studio.runs(page)].count("queued") == 4)
    page.click("#stop")
    status(page, "stopped")
    until(page, lambda: [run["status"] for run in studio.runs(page)].count("painting") >= 3)


def test_what_it_waits_for_is_stopped_together(page: Any, studio: TinyStudio) -> None:
    waiting(page)
    page.click("#stop-those")
    status(page, "painting")
    assert [run["status"] for run in studio.runs(page)] == [*["stopped"] * 4, "painting"]
    assert page.is_hidden("#stop-those")


# What is pressed stays where it is.


PLACES = """() => [":is(#pause, #branch):not([hidden])", "#stop", "#paint"].map((one) => {
    const { left, top, width, height } = document.querySelector(one).getBoundingClientRect();
    return [left, top, width, height].map(Math.round).join();
})"""


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (820, 1180), (390, 844)])
def test_go_on_and_paint_new_keep_their_places(page: Any, width: int, height: int) -> None:
    resize(page, width, height)
    places = page.evaluate(PLACES)
    assert "no picture yet" in page.get_attribute("#branch", "title")
    tune(page, steps=LONG, size="32x32")
    page.keyboard.press("Escape")
    page.fill("#prompt", "a red apple")
    page.press("#prompt", "Enter")
    status(page, "painting")
    assert page.evaluate(PLACES) == places
    page.click("#pause")
    status(page, "paused")
    assert says(page, "#pause") == "Go on"
    assert page.evaluate(PLACES) == places
    page.click("#stop")
    status(page, "stopped")
    assert page.evaluate(PLACES) == places
    stroke(page, 0.5)
    until(page, "document.getElementById('branch').className === 'main'")
    assert page.evaluate(PLACES) == places
    assert (says(page, "#branch"), says(page, "#paint")) == ("Go on", "Paint new")
    page.click("#branch")
    status(page, "painting")
    page.click("#stop")
    status(page, "stopped")


def box(page: Any, selector: str) -> list[int]:
    found = page.locator(selector).bounding_box()
    return [round(found[side]) for side in ("x", "y", "width", "height")]


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_nothing_in_the_history_jumps_when_a_painting_ends(
    page: Any, width: int, height: int
) -> None:
    order(page, "a red apple", LONG, "32x32")
    status(page, "painting")
    resize(page, width, height)
    show(page, "history")
    page.wait_for_selector("#queue li")
    there = ("#name", "#compare", "#history-more", "#tree .thumb >> nth=0")
    places = [box(page, one) for one in there]
    page.evaluate("document.getElementById('stop').click()")
    status(page, "stopped")
    page.wait_for_selector("#waiting", state="hidden")
    assert [box(page, one) for one in there] == places


@pytest.mark.parametrize("width", [1440, 1920])
def test_the_row_below_the_words_says_the_same_beside_a_drawing(page: Any, width: int) -> None:
    resize(page, width, 900)
    page.fill("#prompt", "a lighthouse on a hill at dusk")
    page.wait_for_selector("#chips li")
    told = """() => [...document.querySelectorAll("#below button, #chips .word, #below input")]
        .filter((one) => !one.closest("#nearness")).map((one) => {
            const { left, top, width } = one.getBoundingClientRect();
            return [one.innerText, left, top, width].join();
        })"""
    before = page.evaluate(told)
    stroke(page, 0.5)
    page.wait_for_selector("#near")
    assert page.evaluate(told) == before


def test_repaint_stays_where_it_is_when_something_is_marked(page: Any) -> None:
    resize(page, 1440, 900)
    order(page, "a red apple", 2, "32x32")
    status(page, "done")
    show(page, "change")
    place = box(page, "#repaint")
    page.click("#mask-brush")
    stroke(page, 0.5)
    until(page, "document.getElementById('repaint').textContent === 'Repaint what I marked'")
    assert box(page, "#repaint") == place
    page.evaluate(
        """document.getElementById("mask-note").textContent = "29 % of it is marked. Mend it with "
        + "Mark and Unmark, then say what it becomes. That is small: new words may not fit in it. "
        + "Mark more, or make it wider." """
    )
    assert box(page, "#repaint") == place


# Notes.


def test_notes_are_whole_and_beside_the_picture(page: Any) -> None:
    resize(page, 1440, 900)
    order(page, "a red apple", 2, "32x32")
    status(page, "done")
    show(page, "history")
    page.click("#compare")
    whole = """() => {
        const [note, view] = ["note", "view"].map((id) => document.getElementById(id));
        const lies = note.parentNode.getBoundingClientRect();
        return [note.scrollHeight <= note.clientHeight + 2, note.parentNode.offsetHeight <= 60,
            lies.top >= view.getBoundingClientRect().bottom,
            document.getElementById("news-more").hidden];
    }"""
    page.wait_for_selector("#note:has-text('Now press')")
    assert page.evaluate(whole) == [True] * 4
    page.keyboard.press("Escape")
    page.click("[data-count='4']")
    order(page, "a yellow flower", LONG, "32x32")
    until(page, "document.querySelectorAll('#tiles .tile').length === 4")
    status(page, "painting")
    page.locator("#tiles .pick").nth(1).click()
    page.wait_for_selector("#note:has-text('You chose this one')")
    assert "Go on" not in says(page, "#note")  # it goes on by itself
    for panel in ("tune", "history"):
        show(page, panel)
        assert page.evaluate(whole) == [True] * 4


# What is said too early, and what is shown too long.


def test_the_pace_is_that_of_most_steps_and_told_when_enough_are_known() -> None:
    pace = Pace()
    told = [pace.stepped(k, now) for k, now in enumerate([0, 30, 31, 32, 33, 34, 94, 95])]
    assert told[:4] == [None] * 4
    assert told[4:] == [1] * 4  # neither the slow first step nor a pause of the machine


def test_a_mark_is_seen_only_while_a_part_is_changed(page: Any) -> None:
    order(page, "a red apple", 2, "32x32")
    status(page, "done")
    show(page, "change")
    page.click("#mask-brush")
    stroke(page, 0.5)
    page.click("[data-tool=brush]")
    assert page.is_visible("#mask")  # it is what Repaint paints
    show(page, "history")
    page.wait_for_selector("#mask", state="hidden")
    page.locator("#tree .thumb").first.click()
    assert page.is_hidden("#ants")
    show(page, "change")
    page.wait_for_selector("#mask", state="visible")
    page.click("#fold")
    page.wait_for_selector("#mask", state="hidden")
    page.click("[data-tool=unmask]")
    page.wait_for_selector("#mask", state="visible")
