"""An hour at the easel: what was marked, tried, drawn and written stays with its picture."""

from __future__ import annotations

from importlib import resources, util
from typing import Any

import pytest

from gouache.editing.config import EditConfig
from gouache.editing.mask import Mask, require_some
from gouache.errors import ImageError
from studio_browser import (
    CHROMIUM,
    LONG,
    TinyStudio,
    alpha_at,
    edits,
    hold,
    is_drawn,
    order,
    ready,
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

BAR = "document.getElementById('prompt').value"


def painted(page: Any, words: str, size: str = "32x32") -> None:
    order(page, words, 2, size)
    until(page, f"view.width === {size.split('x')[0]}")
    status(page, "done")


def pick(page: Any, words: str) -> None:
    """Shows a picture of the gallery."""
    show(page, "gallery")
    page.locator("#gallery .thumb", has_text=words).click()
    until(page, f"{BAR} === '{words}'")


def marked(page: Any, y: float = 0.5) -> None:
    page.keyboard.press("m")
    stroke(page, y)


def attempt(page: Any, words: str, count: int) -> None:
    """Repaints what is marked; there are `count` tries then."""
    show(page, "change")
    page.fill("#replace", words)
    page.press("#replace", "Enter")
    page.wait_for_selector(f"#tries li >> nth={count}")
    status(page, "done")


def before(page: Any) -> None:
    page.locator("#tries button", has_text="Before").click()
    until(page, "document.querySelector('#tries [aria-pressed=true]').textContent === 'Before'")


# What is marked, and the tries.


def test_a_mask_and_its_tries_come_back_with_their_picture(page: Any) -> None:
    painted(page, "a red apple")
    painted(page, "a blue fish", "48x24")
    asked = edits(page)
    marked(page)
    attempt(page, "a green fish", 1)
    for _ in range(2):
        pick(page, "a red apple")
        until(page, "view.width === 32")
        assert alpha_at(page, 0.5, 0.5, "mask") == 0
        show(page, "change")
        assert page.is_hidden("#trying")
        marked(page, 0.2)  # each picture has its own
        pick(page, "a blue fish")
        until(page, "view.width === 48")
        assert alpha_at(page, 0.5, 0.5, "mask") > 0
        assert alpha_at(page, 0.5, 0.2, "mask") == 0
        show(page, "change")
        assert texts(page, "#tries li") == ["Before", "a green fish"]
        page.reload()
        ready(page)
        status(page, "done")
        hold(lambda: is_drawn(page, "mask"))
    attempt(page, "a pink fish", 2)  # from Before, on the same mask
    assert texts(page, "#tries li") == ["Before", "a green fish", "a pink fish"]
    assert asked[0]["image"] == asked[1]["image"]
    assert asked[0]["parent"].split("/")[0] == asked[1]["parent"].split("/")[0]


def test_tries_stay_side_by_side_with_another_mask(page: Any) -> None:
    painted(page, "a red apple")
    asked = edits(page)
    marked(page)
    attempt(page, "a green pear", 1)
    stroke(page, 0.2)  # on a try: more of the picture before
    attempt(page, "a blue pear", 2)
    before(page)
    attempt(page, "a pink pear", 3)
    assert texts(page, "#tries li") == ["Before", "a green pear", "a blue pear", "a pink pear"]
    first, second, third = (one["edit"]["mask"] for one in asked)
    assert first != second == third
    assert {one["image"] for one in asked} == {asked[0]["image"]}


def test_the_try_that_is_kept_leads_back_to_the_others(page: Any) -> None:
    painted(page, "a red apple")
    edits(page)
    marked(page)
    for count, words in enumerate(("a green pear", "a blue pear"), 1):
        attempt(page, words, count)
    page.click("#keep-try")
    until(page, "document.getElementById('trying').hidden")
    assert not is_drawn(page, "mask")
    page.click("#tries-back")
    until(page, "document.querySelectorAll('#tries li').length === 3")
    assert texts(page, "#tries li") == ["Before", "a green pear", "✓ a blue pear"]
    hold(lambda: is_drawn(page, "mask"))
    assert page.is_hidden("#tries-back")


def test_a_try_is_compared_with_the_picture_before(page: Any) -> None:
    painted(page, "a red apple")
    edits(page)
    marked(page)
    attempt(page, "a green pear", 1)
    page.click("#compare-try")
    page.wait_for_selector("#versus[open]")
    name = page.text_content("#versus-names")
    assert name.index("a red apple") < name.index("a green pear")


def test_a_part_is_changed_without_a_word_of_masks(page: Any) -> None:
    painted(page, "a red apple")
    show(page, "change")
    assert page.text_content("#repaint") == "Repaint all of it"
    marked(page)
    assert page.text_content("#repaint") == "Repaint what I marked"
    assert "mask" not in page.locator("#panel-change").inner_text().lower()
    sliders = """[...document.querySelectorAll("input[type=range]")]
        .filter((one) => one.offsetParent && one.labels[0])
        .map((one) => one.labels[0].firstChild.data.trim())"""
    names = page.evaluate(sliders)
    assert "Brush size" in names
    assert len(names) == len(set(names))
    page.fill("#mask-grow", "9")
    assert page.text_content("#mask-grow-is") == "9 px"
    asked = edits(page)
    attempt(page, "a green pear", 1)
    assert asked[0]["edit"]["settings"]["grow"] == 9


def refusal(seen: float, share: float) -> str:
    """What the server says of words that mark nothing, or everything."""
    torch = pytest.importorskip("torch")
    side = 10
    selected = (torch.arange(side * side) < share * side * side).view(side, side)
    mask = Mask("a green dragon", torch.zeros(side, side), selected, 0.5, EditConfig(), seen)
    with pytest.raises(ImageError) as error:
        require_some(mask)
    return str(error.value)


@pytest.mark.parametrize(("seen", "share"), [(0.001, 0.3), (0.5, 0), (0.5, 1)])
def test_what_is_not_found_is_told_in_plain_words(page: Any, seen: float, share: float) -> None:
    painted(page, "a red apple")
    told = refusal(seen, share)
    page.route("**/api/masks", lambda route: route.fulfill(status=400, json={"error": told}))
    show(page, "change")
    page.fill("#phrase", "a green dragon")
    page.press("#phrase", "Enter")
    until(page, "document.getElementById('mask-note').textContent.startsWith('“a green dragon”')")
    said = page.text_content("#mask-note")
    assert "draw over" in said
    for word in ("score", "threshold", "min_", "mask"):
        assert word not in said


# Strokes on a picture that is being painted.


@pytest.fixture
def running(page: Any) -> Any:
    order(page, "a slow sun", LONG, "32x32")
    status(page, "painting")
    until(page, "Number(view.dataset.frame) > 1")
    yield page
    page.unroute("**/draw*")
    page.click("#stop")
    status(page, "stopped")


def color(page: Any) -> list[int]:
    """Of the middle of the picture, without what lies over it."""
    found = page.evaluate("[...view.getContext('2d').getImageData(16, 16, 1, 1).data]")
    return [int(value) for value in found[:3]]


def test_strokes_are_in_the_history_where_they_were_taken_in_and_not_before(
    running: Any, studio: TinyStudio
) -> None:
    show(running, "history")
    red = [216, 67, 43]
    points = running.locator("#tree .thumb")
    held: list[Any] = []
    running.route("**/draw*", lambda route: held.append(route))
    stroke(running, 0.5)
    until(running, lambda: held)
    assert alpha_at(running, 0.5, 0.5) == 255  # on their way, over the picture that they go to
    points.first.click()
    until(running, "view.dataset.frame === ''")
    before = color(running)
    assert alpha_at(running, 0.5, 0.5) == 0  # and not over an earlier one
    running.click("#tree .live")
    assert alpha_at(running, 0.5, 0.5) == 255
    held[0].continue_()
    hold(lambda: kinds(running, studio) == ["start", "drawn"])
    until(running, "document.querySelectorAll('#tree .thumb').length === 3")
    points.nth(1).click()
    running.wait_for_selector("#status:has-text('Your strokes as they were taken in at step')")
    until(running, "view.dataset.frame === ''")
    assert all(abs(a - b) < 40 for a, b in zip(color(running), red, strict=True))
    points.first.click()
    running.wait_for_selector("#status:has-text('A point of the history')")
    hold(lambda: color(running) == before)
    assert alpha_at(running, 0.5, 0.5) == 0
    running.click("#tree .live")


def kinds(page: Any, studio: TinyStudio) -> list[str]:
    return [node["kind"] for node in studio.runs(page)[0]["nodes"]]


def test_strokes_are_undone_until_they_are_taken_in(running: Any, studio: TinyStudio) -> None:
    held: list[Any] = []
    undrawn: list[str] = []
    running.route("**/draw*", lambda route: held.append(route))
    running.on("request", lambda one: undrawn.append(one.url) if "/undraw" in one.url else None)
    stroke(running, 0.5)
    assert "Undo works till then" in running.text_content("#status")
    until(running, lambda: held)  # on its way, and nobody has it yet
    assert running.is_enabled("#undo")
    assert "Undo works till then" in running.text_content("#status")
    running.keyboard.press("Control+z")
    assert not is_drawn(running)
    running.keyboard.press("Control+Shift+z")
    assert alpha_at(running, 0.5, 0.5) > 0
    running.keyboard.press("Control+z")
    held[0].abort()
    running.unroute("**/draw*")
    stroke(running, 0.3)
    hold(lambda: kinds(running, studio) == ["start", "drawn"])  # that one only
    until(running, "document.getElementById('note').textContent.includes('in the picture now')")
    assert running.is_disabled("#undo")
    step = studio.runs(running)[0]["nodes"][1]["step"]
    until(running, f"document.getElementById('status').textContent.includes('at step {step}')")
    assert undrawn == []  # the server had none of them


def test_strokes_that_the_server_has_are_called_back(running: Any, studio: TinyStudio) -> None:
    running.route("**/draw*", lambda route: route.fulfill(json={}))  # it waits for a long step
    called: list[Any] = []
    running.route("**/undraw", lambda route: called.append(route))
    stroke(running, 0.5)
    stroke(running, 0.3)
    with running.expect_request("**/draw*"):
        pass
    running.keyboard.press("Control+z")
    until(running, lambda: called)
    assert (alpha_at(running, 0.5, 0.3), alpha_at(running, 0.5, 0.5)) == (0, 255)
    assert running.is_enabled("#undo")
    called[0].fulfill(status=400, json={"error": "the strokes are in the picture already"})
    until(running, "document.getElementById('note').textContent.includes('a moment before')")
    running.unroute("**/draw*")
    hold(lambda: kinds(running, studio) == ["start", "drawn"])  # what was not undone
    running.unroute("**/undraw")


# Words.


def words(page: Any) -> str:
    return str(page.input_value("#prompt"))


def test_the_words_follow_the_picture_that_is_shown(page: Any) -> None:
    painted(page, "a red apple")
    order(page, "a slow sun", LONG, "32x32")
    status(page, "painting")
    page.click("#pause")
    status(page, "paused")
    page.fill("#prompt", "a moon")
    page.click("#pause")  # goes on, in other words
    status(page, "painting")
    page.click("#stop")
    status(page, "stopped")
    page.fill("#prompt", "a fox")  # neither sent nor a picture's
    show(page, "history")
    page.locator("#tree .thumb", has_text="new words").click()
    assert words(page) == "a fox"
    page.fill("#prompt", "")
    page.locator("#tree .thumb").last.click()
    until(page, f"{BAR} === 'a moon'")
    pick(page, "a red apple")
    edits(page)
    marked(page)
    attempt(page, "a green pear", 1)
    assert words(page) == "a red apple"  # the part is another, the picture the same
    show(page, "gallery")
    page.locator("#gallery .thumb", has_text="a moon").click()
    until(page, f"{BAR} === 'a moon'")
    page.locator("#gallery .thumb", has_text="a green pear").click()
    until(page, f"{BAR} === 'a red apple'")
    show(page, "change")
    before(page)
    assert words(page) == "a red apple"


# The bar, and how it begins.


def test_the_bar_is_whole_beside_a_drawing(page: Any) -> None:
    resize(page, 1440, 900)
    page.fill("#prompt", "a lighthouse on a hill at dusk")
    until(page, "document.querySelectorAll('#chips li').length === 1")
    stroke(page, 0.5)
    page.wait_for_selector("#near")
    assert page.evaluate("parts.scrollWidth <= parts.clientWidth")
    right = page.evaluate("document.querySelector('#chips li').getBoundingClientRect().right")
    assert right < page.locator("#nearness").bounding_box()["x"]
    assert page.evaluate("document.getElementById('below').scrollWidth <= innerWidth")


def test_nearness_is_offered_where_it_counts(page: Any, studio: TinyStudio) -> None:
    stroke(page, 0.5)
    page.wait_for_selector("#near")
    assert page.text_content("#near-is") == "keeps colours"  # without being asked
    with page.expect_request(lambda one: one.url.endswith("/api/runs") and one.post_data) as asked:
        order(page, "a slow sun", LONG, "32x32")
    assert asked.value.post_data_json["near"] > 0
    status(page, "painting")
    assert page.is_hidden("#nearness")
    stroke(page, 0.5)
    page.fill("#near", "35")
    with page.expect_request("**/draw*") as laid:
        stroke(page, 0.3)
    assert laid.value.url.endswith("?near=0.35")
    until(page, "document.getElementById('note').textContent.includes('in the picture now')")
    assert page.is_visible("#near")  # for the next ones
    page.click("#pause")
    status(page, "paused")
    page.fill("#near", "80")
    with page.expect_request("**/draw*") as laid:
        stroke(page, 0.5)
        page.click("#pause")
    assert laid.value.url.endswith("?near=0.8")
    status(page, "painting")
    page.click("#pause")
    status(page, "paused")
    page.click("#stop")
    status(page, "stopped")


def test_a_beginning_shows_the_sheet_and_one_line(page: Any, studio: TinyStudio) -> None:
    held: list[Any] = []
    page.route(
        "**/api/runs",
        lambda one: held.append(one) if one.request.method == "POST" else one.continue_(),
    )
    page.fill("#prompt", "a slow sun")
    studio.tries = {"start_tries": 3, "start_steps": 10_000, "start_scale": 1.0}
    tune(page, steps=LONG, size="32x32")
    page.click("#paint")
    page.wait_for_selector("#skeleton:not([hidden])")
    assert page.locator("#skeleton").bounding_box() == page.locator("#under").bounding_box()
    said = """[...document.querySelectorAll("#stage *")].filter((one) =>
        one.offsetParent && !one.children.length && !one.ariaHidden
        && one.textContent === "Sends the order…").length"""
    assert page.evaluate(said) == 1  # beside the one on the sheet, which is for the eye
    assert page.text_content("#loading") == "Sends the order…"
    held[0].continue_()
    page.unroute("**/api/runs")
    until(page, "document.querySelectorAll('#tiles .sketch').length === 3")
    assert page.evaluate("getComputedStyle(progress).visibility") == "hidden"  # nobody can tell
    assert page.is_hidden("#save")
    studio.pace = 2
    page.click("#take-best")
    status(page, "painting")
    until(page, "clock.textContent.startsWith('step 0 ')")
    assert page.is_hidden("#save")  # nothing is painted yet
    studio.pace = 0.02
    page.wait_for_selector("#save:not([hidden])")
    page.click("#stop")
    status(page, "stopped")


# For everybody.


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_tries_and_a_beginning_are_in_the_way_of_nobody(
    page: Any, studio: TinyStudio, theme: str
) -> None:
    """No finding of axe with tries on a marked part, after one is kept, and while one begins."""
    if not util.find_spec("axe_playwright_python"):
        pytest.skip("axe is not installed")
    page.emulate_media(color_scheme=theme)
    page.evaluate(resources.files("axe_playwright_python").joinpath("axe.min.js").read_text())
    seen: list[str] = []

    def look(state: str) -> None:
        for one in page.evaluate("axe.run()")["violations"]:
            seen.extend(f"{state}: {one['id']} {node['target']}" for node in one["nodes"])

    resize(page, 1440, 900)
    painted(page, "a red apple")
    edits(page)
    marked(page)
    attempt(page, "a green pear", 1)
    look("tries")
    resize(page, 390, 844)
    look("tries on a phone")
    resize(page, 1440, 900)
    page.click("#keep-try")
    page.wait_for_selector("#tries-back")
    look("a try that is kept")
    page.unroute("**/api/runs")
    held: list[Any] = []
    page.route(
        "**/api/runs",
        lambda one: held.append(one) if one.request.method == "POST" else one.continue_(),
    )
    order(page, "a slow sun", LONG, "32x32")
    until(page, lambda: held)
    look("the order is sent")
    studio.tries = {"start_tries": 3, "start_steps": 10_000, "start_scale": 1.0}
    held[0].continue_()
    page.unroute("**/api/runs")
    status(page, "starting")
    look("a start is found")
    until(page, "document.querySelectorAll('#tiles .sketch').length === 3")
    look("sketches")
    studio.pace = 1
    page.click("#take-best")
    status(page, "painting")
    stroke(page, 0.5)
    look("strokes while it is painted")
    page.click("#stop")
    status(page, "stopped")
    assert sorted(set(seen)) == []
