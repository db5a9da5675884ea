"""All on the studio's page has its room: notes, close buttons, hints, menus, words, fingers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from studio_browser import (
    CHROMIUM,
    TinyStudio,
    edits,
    hold,
    laid_out,
    order,
    reloaded,
    resize,
    show,
    status,
    stroke,
    texts,
    tune,
    until,
)

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")

LONG = 600  # steps: more than any test waits for
OPEN = "document.getElementById('exports').matches(':popover-open')"
NOTES = [
    {"kind": "laid-out", "text": "two things", "things": ["a red apple | a green pear"]},
    {"kind": "unknown-words", "text": "the guide tiny", "words": ["Apfel", "Birne"]},
    {"kind": "another", "text": "it is said as it is"},
]
# What of the notes is seen: their ids.
SEEN = """() => [...document.querySelectorAll("#news .said")]
    .filter((node) => !node.hidden && node.offsetHeight > 1)
    .map((node) => node.querySelector("p, span").id || node.id)"""
BOXES = """(selector) => [...document.querySelectorAll(selector)]
    .filter((node) => node.offsetParent)
    .map((node) => [node, node.getBoundingClientRect()])
    .map(([node, { left, top, right, bottom }]) =>
        [node.id || node.ariaLabel || node.textContent.trim(), left, top, right, bottom])"""


def done(page: Any, prompt: str = "a red apple", size: str = "32x32") -> None:
    order(page, prompt, 2, size)
    status(page, "done")
    page.click("#fold")


@pytest.fixture
def warned(page: Any) -> Iterator[Any]:
    """The page with a picture of which the studio tells three notes."""

    def add(route: Any) -> None:
        if route.request.method != "GET":
            return route.continue_()
        answer = route.fetch().json()
        return route.fulfill(json={"runs": [one | {"notes": NOTES} for one in answer["runs"]]})

    done(page)
    page.route("**/api/runs", add)
    reloaded(page)
    until(page, "!document.getElementById('warnings').parentNode.hidden")
    yield page
    page.unroute("**/api/runs")


# What is said.


def test_a_note_is_worded_by_its_kind_and_said_until_it_is_read(warned: Any) -> None:
    page = warned
    said = str(page.text_content("#warnings"))
    assert said.startswith("Each thing has its half of the picture: a red apple | a green pear")
    assert "Not understood: “Apfel”, “Birne”" in said
    assert said.endswith("it is said as it is")
    page.click("#warnings-read")
    until(page, "document.getElementById('warnings').parentNode.hidden")
    page.wait_for_timeout(500)  # till that is kept
    reloaded(page)
    assert page.is_hidden("#warnings")  # what was read stays read


def test_of_several_notes_one_line_is_seen_till_all_are_asked_for(warned: Any) -> None:
    page = warned
    page.fill("#setting-seed", "x")
    page.click("#paint")
    until(page, "!document.getElementById('problem').parentNode.hidden")
    assert page.evaluate(SEEN) == ["problem"]  # what went wrong comes first
    assert page.text_content("#news-more") == "1 more"
    page.focus("#news-more")
    page.keyboard.press("Enter")
    assert page.evaluate(SEEN) == ["problem", "warnings"]
    assert page.text_content("#news-more") == "Less"
    page.click("#problem-read")
    until(page, "document.getElementById('problem').parentNode.hidden")
    assert page.evaluate(SEEN) == ["warnings"]
    page.click("#warnings-read")
    until(page, "document.getElementById('news-more').hidden")
    assert page.evaluate(SEEN) == []


def test_a_note_over_the_picture_folds_and_is_not_lost(timed: Any) -> None:
    page = timed
    order(page, "a red apple", 2, "32x96")
    page.clock.run_for(3000)
    status(page, "done")
    page.click("#fold")
    resize(page, 390, 844)
    page.click("#save")
    page.evaluate("document.getElementById('save-json').click()")
    assert page.evaluate(SEEN) == ["note"]
    page.mouse.move(195, 300)
    page.clock.run_for(4000)
    assert page.evaluate(SEEN) == ["note"]
    page.clock.run_for(8000)
    assert page.evaluate(SEEN) == []
    assert page.text_content("#news-more") == "1 note"
    page.click("#news-more")
    assert page.evaluate(SEEN) == ["note"]
    assert "keeps downloads" in str(page.text_content("#note"))


# What is pressed.


@pytest.mark.parametrize(("wide", "high"), [(1440, 700), (390, 700)])
def test_nothing_of_a_panel_lies_under_its_close_button(page: Any, wide: int, high: int) -> None:
    for at in range(3):
        done(page, f"a red apple {at}")
    resize(page, wide, high)
    for panel in ("tune", "layers", "change", "history", "gallery", "film"):
        show(page, panel)
        for share in (0, 0.5, 1):
            under = page.evaluate(
                """([panel, share]) => {
                    const room = document.getElementById(`panel-${panel}`);
                    room.scrollTop = share * room.scrollHeight;
                    const { left, top, right, bottom } = document.getElementById("fold")
                        .getBoundingClientRect();
                    const places = [[left, top], [right, top], [left, bottom], [right, bottom]];
                    const inward = (at, edge) => at + (at === edge ? 1 : -1);
                    const inside = ([x, y]) => [inward(x, left), inward(y, top)];
                    return places.map((place) => document.elementsFromPoint(...inside(place))
                        .find((node) => !node.closest("#fold")))
                        .filter((node) => !node.matches("h2, .panel, #panels"))
                        .map((node) => node.outerHTML.slice(0, 80));
                }""",
                [panel, share],
            )
            assert under == [], (panel, share)


def test_one_button_is_the_first_at_a_time(page: Any) -> None:
    def first() -> list[str]:
        return [str(one[0]) for one in page.evaluate(BOXES, "#acts .main")]

    assert first() == ["paint"]
    stroke(page, 0.5)
    assert first() == ["paint"]
    assert page.is_disabled("#branch")  # Paint starts from the drawing already
    page.click("#undo")
    done(page)
    assert first() == ["paint"]
    assert page.is_enabled("#branch")
    assert "another picture" in page.get_attribute("#paint", "title")
    show(page, "history")
    page.locator("#tree .thumb").first.click()
    until(page, "document.getElementById('branch').classList.contains('main')")
    assert first() == ["branch"]  # a point of the history is there to be gone on from


def test_a_word_means_one_thing(page: Any, studio: TinyStudio) -> None:
    """A favourite has a star and is called so; a try that was gone on with has neither."""
    tune(page, steps=2, size="32x32")
    page.click("[data-count='4']")
    page.fill("#prompt", "a red apple")
    page.press("#prompt", "Enter")
    until(page, "document.querySelectorAll('#tiles .tile.over').length === 4")
    assert texts(page, "#tiles .keep") == ["Favourite"] * 4
    names = """[...document.querySelectorAll("button")]
        .map((node) => node.getAttribute("aria-label") ?? node.textContent.trim())
        .filter((name) => /^Keep(?! its structure)/.test(name))"""
    assert page.evaluate(names) == []


@pytest.mark.parametrize(("wide", "high"), [(1440, 900), (390, 844), (320, 568)])
def test_no_hint_is_cut_off(page: Any, wide: int, high: int) -> None:
    resize(page, wide, high)
    cut: list[str] = []
    for panel in ("", "tune", "change", "gallery"):
        if panel:
            show(page, panel)
        cut += page.evaluate(
            """() => [...document.querySelectorAll("input[placeholder], textarea[placeholder]")]
                .filter((node) => node.offsetParent).filter((node) => {
                    const { fontStyle, fontWeight, fontFamily, paddingLeft, paddingRight } =
                        getComputedStyle(node);
                    const hint = getComputedStyle(node, "::placeholder");
                    const pen = document.createElement("canvas").getContext("2d");
                    pen.font = `${fontStyle} ${fontWeight} ${hint.fontSize} ${fontFamily}`;
                    const around = parseFloat(paddingLeft) + parseFloat(paddingRight);
                    const { width } = pen.measureText(node.placeholder);
                    return width > node.clientWidth - around + 1;
                }).map((node) => node.id)"""
        )
    assert cut == []


def test_the_save_menu_closes_when_it_is_used_or_left(page: Any) -> None:
    done(page)
    page.click("#save")
    with page.expect_download():
        page.click("#save-json")
    until(page, f"!{OPEN}")
    page.click("#save")
    assert page.evaluate(OPEN)
    page.select_option("#export-format", "jpeg")
    assert page.evaluate(OPEN)  # that is no choice yet
    stroke(page, 0.2)
    until(page, f"!{OPEN}")


@pytest.mark.parametrize(("wide", "high"), [(1280, 800), (1440, 900), (1920, 1080)])
def test_tools_have_words_where_there_is_room(page: Any, wide: int, high: int) -> None:
    resize(page, wide, high)
    shown = page.evaluate(
        """() => [...document.querySelectorAll("#rail > button")].map((tool) => {
            const [name, box] = [tool.querySelector(".name"), tool]
                .map((one) => one.getBoundingClientRect());
            const fits = name.width > 10 && name.right <= box.right;
            return [tool.innerText.trim().split(/\\s/)[0], fits, box.bottom];
        })"""
    )
    assert [name for name, _, _ in shown] == [
        *("Brush", "Eraser", "Fill", "Pick", "Mark", "Unmark", "Move", "Grow"),
        *("Undo", "Redo", "Clear", "New"),
    ]
    assert all(fits for _, fits, _ in shown)
    assert all(bottom <= high for _, _, bottom in shown)
    resize(page, 1200, 800)
    assert page.locator("#rail").bounding_box()["width"] < 60


def test_another_picture_is_seen_whole(page: Any) -> None:
    done(page, "a red apple")
    done(page, "a blue fish")
    for _ in range(4):
        page.click("#zoom-in")
    assert page.get_attribute("#zoom-fit", "aria-pressed") == "false"
    show(page, "gallery")
    page.locator("#gallery .thumb", has_text="a red apple").click()
    until(page, "document.getElementById('zoom-fit').getAttribute('aria-pressed') === 'true'")


# Fingers.


@pytest.mark.parametrize(("wide", "high"), [(390, 844), (320, 568)])
def test_on_a_phone_the_zoom_lies_beside_the_sliders(page: Any, wide: int, high: int) -> None:
    resize(page, wide, high)
    zoom = page.locator("#zoom").bounding_box()
    tools = page.locator("#easel-tools").bounding_box()
    assert tools["x"] + tools["width"] <= zoom["x"] + 1
    slider = page.locator("#brush-size").bounding_box()
    assert slider["x"] + slider["width"] <= tools["x"] + tools["width"] - 16


@pytest.mark.parametrize(("wide", "high"), [(390, 844), (320, 568)])
def test_fingers_find_what_is_pressed(page: Any, wide: int, high: int) -> None:
    def small() -> list[str]:
        boxes = page.evaluate(
            BOXES,
            "#acts button, #choices button, #rail > button, #zoom button, "
            "#tiles .deeds button, #tabs button",
        )
        return [
            name
            for name, left, top, right, bottom in boxes
            if min(right - left, bottom - top) < 39.5
        ]

    tune(page, steps=2, size="32x32")
    page.click("#fold")
    resize(page, wide, high)
    assert small() == []
    page.evaluate("document.querySelector('[data-count=\"4\"]').click()")
    page.fill("#prompt", "a red apple")
    page.press("#prompt", "Enter")
    until(page, "document.querySelectorAll('#tiles .tile.over').length === 4")
    laid_out(page)
    assert small() == []


@pytest.mark.parametrize(("wide", "high"), [(390, 844), (320, 568)])
def test_on_a_phone_a_try_is_seen_above_the_others(page: Any, wide: int, high: int) -> None:
    done(page)
    edits(page)
    show(page, "change")
    page.click("#mask-brush")
    stroke(page, 0.5)
    page.fill("#replace", "a green pear")
    page.click("#repaint")
    until(page, "document.querySelectorAll('#tries li').length === 2")
    resize(page, wide, high)
    laid_out(page)

    def apart() -> bool:
        panel, view = (page.locator(one).bounding_box() for one in ("#panels", "#view"))
        return bool(view["y"] + view["height"] <= panel["y"] + 1 and view["height"] > 60)

    hold(apart)
    page.click("#tries li:first-child button")
    hold(apart)
