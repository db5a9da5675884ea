"""What a trial by new users found of the studio's page: nothing covers, moves or surprises."""

from __future__ import annotations

from typing import Any

import pytest

from studio_browser import (
    CHROMIUM,
    TinyStudio,
    hold,
    is_drawn,
    laid_out,
    order,
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

SIZES = [(1440, 900), (1920, 1080), (820, 1180), (390, 844), (320, 568), (844, 390), (3840, 2160)]
LONG = 600  # steps: more than any test waits for
TOLD = """() => {
    const long = "The picture cannot be painted at this size here: too many pixels; choose less. ";
    for (const name of ["problem", "note", "warnings"]) {
        document.getElementById(name).textContent = name === "warnings" ? long : long.repeat(2);
        document.getElementById(name).parentNode.hidden = false;
    }
    document.getElementById("bin").hidden = false;
    document.getElementById("status").textContent = long;
    document.getElementById("clock").textContent = "step 12 of 60 2 min left";
    document.getElementById("other-words").hidden = false;
}"""
COVERED = """() => {
    const box = (node) => node.getBoundingClientRect();
    const seen = (node) => node.offsetParent && box(node).width > 0;
    const view = box(document.getElementById("view"));
    const news = box(document.getElementById("news")); // which scrolls
    const said = [...document.querySelectorAll("#news > *")].filter(seen).map(box)
        .map(({ left, right, top, bottom }) =>
            ({ left, right, top: Math.max(top, news.top), bottom: Math.min(bottom, news.bottom) }));
    said.push(box(document.getElementById("going")));
    const middle = { left: (view.left + view.right) / 2, top: (view.top + view.bottom) / 2 };
    const over = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
    const controls = [...document.querySelectorAll("button, input, select, textarea")]
        .filter((node) => seen(node) && !node.closest("#told, #panels"));
    return {
        middle: said.some((one) => one.left < middle.left && middle.left < one.right
            && one.top < middle.top && middle.top < one.bottom),
        covers: controls.filter((node) => said.some((one) => over(one, box(node))))
            .map((node) => node.id),
        shown: said.length,
        out: said.at(-1).bottom > box(document.getElementById("stage")).bottom + 1,
    };
}"""
PLACES = """() => Object.fromEntries(["stop", "further", "paint"].map((id) => {
    const of = id === "further" ? ":is(#pause, #branch):not([hidden])" : `#${id}`;
    const { left, top, width, height } = document.querySelector(of).getBoundingClientRect();
    return [id, [left, top, width, height].map(Math.round)];
}))"""


def height(page: Any, selector: str) -> float:
    return float(page.locator(selector).bounding_box()["height"])


@pytest.mark.parametrize(("wide", "high"), SIZES)
def test_what_is_said_covers_neither_the_pictures_middle_nor_a_control(
    page: Any, wide: int, high: int
) -> None:
    page.set_viewport_size({"width": wide, "height": high})
    page.evaluate(TOLD)
    laid_out(page)  # examples are above what is said, however long that is
    found = page.evaluate(COVERED)
    assert found["shown"] >= 4
    assert not found["middle"]
    assert found["covers"] == []
    assert not found["out"]


def test_enter_in_the_words_paints_and_shift_enter_makes_a_line(
    page: Any, studio: TinyStudio
) -> None:
    tune(page, steps=2, size="32x32")
    assert "Enter" in page.get_attribute("#prompt", "title")
    page.fill("#prompt", "a red")
    page.press("#prompt", "Shift+Enter")
    page.keyboard.type("apple")
    assert page.input_value("#prompt") == "a red\napple"
    page.press("#prompt", "Enter")
    status(page, "done")
    assert page.input_value("#prompt") == "a red\napple"
    assert [run["prompt"].split() for run in studio.runs(page)] == [["a", "red", "apple"]]


@pytest.mark.parametrize("wide", [1440, 820, 390])
def test_a_prompt_of_several_lines_covers_nothing(page: Any, wide: int) -> None:
    page.set_viewport_size({"width": wide, "height": 900})
    page.focus("#prompt")
    lone = height(page, "#prompt")
    page.fill("#prompt", "a red apple\non a table\nin the evening\nand more\nand more")
    hold(lambda: height(page, "#prompt") > 1.8 * lone)
    box = page.locator("#prompt").bounding_box()
    below = page.evaluate(
        """() => [...document.querySelectorAll("#bar button, #bar select, #bar input, #stage")]
            .filter((node) => node.offsetParent).map((node) => node.getBoundingClientRect())
            .map(({ left, top, right, bottom }) => [left, top, right, bottom])"""
    )
    for left, top, right, bottom in below:
        across = min(right, box["x"] + box["width"]) - max(left, box["x"])
        down = min(bottom, box["y"] + box["height"]) - max(top, box["y"])
        assert min(across, down) <= 1
    place = page.evaluate(PLACES)
    page.focus("#paint")  # nothing moves away from under the pointer
    assert page.evaluate(PLACES) == place


def test_the_steps_that_are_told_are_those_that_were_set(page: Any, studio: TinyStudio) -> None:
    order(page, "a red apple ^ a blue fish", 20, "32x32")
    until(
        page, "/^part 2 of 2, step \\d+ of 20/.test(document.getElementById('clock').textContent)"
    )
    status(page, "done")
    told = page.evaluate(
        """async () => {
            const { stepOf } = await import("/page/selectors.js");
            const part = { kind: "paint", status: "painting", step: 12 };
            const run = { ...part, num_steps: 60, steps: [60] };
            return [run, { ...run, status: "starting" },
                { ...run, kind: "edit", num_steps: 80, steps: [80] },
                { ...run, num_steps: 90, steps: [30, 60], step: 40 }].map(stepOf);
        }"""
    )
    assert told == [
        "step 12 of 60",
        "",  # sketches have steps of their own
        "the change, step 12 of 80",
        "part 2 of 2, step 10 of 60",
    ]


def test_no_button_moves_while_a_run_goes_on(page: Any, studio: TinyStudio) -> None:
    studio.pace = 0.05
    order(page, "a red apple", LONG, "32x32")
    status(page, "painting")
    places = page.evaluate(PLACES)
    page.fill("#prompt", "a green pear")
    assert page.evaluate(PLACES) == places
    page.click("#pause")
    status(page, "paused")
    assert page.evaluate(PLACES) == places
    page.wait_for_selector("#other-words")
    assert page.evaluate(PLACES) == places
    page.fill("#prompt", "a yellow pear")
    until(page, "document.getElementById('pause').textContent.includes('new words')")
    assert page.evaluate(PLACES) == places
    text, button = (page.locator(one).bounding_box() for one in ("#pause .name", "#pause"))
    assert button["y"] <= text["y"]
    assert text["y"] + text["height"] <= button["y"] + button["height"]
    stroke(page, 0.5)
    assert page.evaluate(PLACES) == places
    page.click("#stop")
    status(page, "stopped")


def test_the_tint_of_a_mask_is_not_over_a_try_after_a_reload(page: Any) -> None:
    def plainly(route: Any) -> None:
        """As a tiny studio paints: without an edit."""
        document = route.request.post_data_json
        if document is None:
            return route.continue_()
        for name in ("edit", "image", "parent"):
            document.pop(name, None)
        document["settings"]["steps"] = 2
        return route.continue_(post_data=document)

    page.route("**/api/runs", plainly)
    order(page, "a red apple", 2, "32x32")
    status(page, "done")
    show(page, "change")
    page.click("#mask-brush")
    stroke(page, 0.5)
    page.fill("#replace", "a green pear")
    page.click("#repaint")
    page.wait_for_selector("#tries li >> nth=1")
    status(page, "done")
    page.wait_for_selector("#mask", state="hidden")
    page.reload()
    page.wait_for_selector("#setting-steps", state="attached")
    status(page, "done")
    hold(lambda: is_drawn(page, "mask"))
    page.wait_for_selector("#mask", state="hidden")
    assert page.locator("#tries li").count() == 2  # and they can be chosen from
    page.locator("#tries button", has_text="Before").click()
    page.wait_for_selector("#mask")


SHAPES = """(selector) => [...document.querySelectorAll(selector)]
    .filter((one) => one.offsetParent).map((one) => one.getBoundingClientRect())
    .map(({ width, height }) => width / height)"""


@pytest.mark.parametrize("wide", [1440, 820, 390])
def test_tiles_and_thumbnails_have_the_shape_of_their_picture(
    page: Any, studio: TinyStudio, wide: int
) -> None:
    page.set_viewport_size({"width": wide, "height": 900})
    tune(page, steps=3, size="96x32")
    page.click("#fold")
    page.click("[data-count='4']")
    page.fill("#prompt", "a red apple")
    page.press("#prompt", "Enter")
    until(page, "document.querySelectorAll('#tiles .tile:not(.forms)').length === 4")
    assert page.evaluate(SHAPES, ".pick") == pytest.approx([3] * 4, rel=0.05)
    room = page.evaluate(
        """() => [...document.querySelectorAll(".room")].every((room) => {
            const [a, b] = [room, room.firstChild].map((one) => one.getBoundingClientRect());
            const fits = b.width <= a.width + 1 && b.height <= a.height + 1;
            return fits && (b.width > 0.97 * a.width || b.height > 0.97 * a.height);
        })"""
    )
    assert room  # as large as there is room
    show(page, "gallery")
    until(page, "document.querySelectorAll('#gallery .thumb img[src]').length === 4")
    assert page.evaluate(SHAPES, "#gallery .thumb img") == pytest.approx([3] * 4, rel=0.05)


def test_what_is_not_plain_is_explained(page: Any, studio: TinyStudio) -> None:
    assert texts(page, "#choices [data-count]") == ["One", "Four"]
    assert page.is_hidden("#four-hint")
    tune(page, steps=2, size="32x32")
    page.click("[data-count='4']")
    page.fill("#prompt", "a red apple")
    page.press("#prompt", "Enter")
    until(page, "document.querySelectorAll('#tiles .tile:not(.forms)').length === 4")
    hint = " ".join(page.text_content("#four-hint").split())
    page.locator("#tiles .more").first.click()
    for at, name in enumerate(("Favourite", "Compare", "More", "Vary", "Evolve", "Discard")):
        assert name in hint
        title = page.locator("#tiles .deeds").first.locator("button").nth(at).get_attribute("title")
        assert title.startswith(f"{name}: ")
    page.keyboard.press("Escape")
    page.click("#four-known")
    assert page.is_hidden("#four-hint")
    page.reload()
    page.wait_for_selector("#tiles .tile")
    assert page.is_hidden("#four-hint")
    page.click("#new-sheet")
    stroke(page, 0.5)
    page.wait_for_selector("#near")
    seen = []
    for value in ("0", "20", "50", "100"):
        page.fill("#near", value)
        seen.append(page.text_content("#near-is"))
    assert seen == ["free", "a hint of it", "keeps places", "keeps shapes"]
    assert "places" in page.get_attribute("#nearness", "title")


def test_what_saves_says_that_it_saves(page: Any) -> None:
    order(page, "a red apple", 2, "32x32")
    status(page, "done")
    page.click("#save")
    assert texts(page, "#exports a") == [
        "Save as PNG, 32 × 32",
        *(f"{side} × {side}" for side in (64, 128, 256)),
        "Save settings",
        "Save film (MP4)",
        "Save film (GIF)",
    ]


def test_the_trash_is_looked_at_brought_back_from_and_emptied(
    page: Any, studio: TinyStudio
) -> None:
    for words in ("a red apple", "a blue fish"):
        order(page, words, 2, "32x32")
        until(page, f"document.querySelector('#prompt').value === '{words}'")
        status(page, "done")
        hold(lambda: page.evaluate("1") and all(one["picture"] for one in studio.runs(page)))
    show(page, "gallery")
    until(page, "document.querySelectorAll('#gallery .thumb').length === 2")
    page.click("#mark-all")
    page.click("#marked-delete")
    until(page, "document.querySelectorAll('#gallery .thumb').length === 0")
    page.click("#trash-open")
    until(page, "document.querySelectorAll('#trash-list img[src]').length === 2")
    until(
        page, "[...document.querySelectorAll('#trash-list img')].every((one) => one.naturalWidth)"
    )
    assert page.is_hidden("#gallery")
    assert all("gone in 7 days" in text for text in texts(page, "#trash-list li"))
    page.locator("#trash-list li", has_text="a red apple").locator("button").click()
    until(page, "document.querySelectorAll('#trash-list li').length === 1")
    hold(lambda: [one["prompt"] for one in studio.runs(page)] == ["a red apple"])
    page.click("#trash-empty")
    assert "good" in page.text_content("#trash-empty")  # asked once more
    assert page.locator("#trash-list li").count() == 1
    page.click("#trash-empty")
    until(page, "document.querySelectorAll('#trash-list li').length === 0")
    assert page.is_hidden("#trash-empty")
    told = page.evaluate("fetch('/api/trash').then((answer) => answer.json())")
    assert told["runs"] == []
    page.click("#trash-open")
    until(page, "document.querySelectorAll('#gallery .thumb').length === 1")
    assert page.is_hidden("#trash")


def test_two_tabs_with_four_each_are_told_of_all(page: Any, studio: TinyStudio) -> None:
    studio.pace = 0.01
    other = page.context.new_page()
    other.set_default_timeout(60_000)
    other.goto(studio.address)
    other.wait_for_selector("#setting-steps", state="attached")
    streams: dict[Any, list[str]] = {page: [], other: []}
    for one in (page, other):
        one.on("request", lambda request, one=one: streams[one].append(request.url))
        tune(one, steps=LONG, size="32x32")
        one.click("#fold")
        one.click("[data-count='4']")
        one.fill("#prompt", "a red apple")
        one.press("#prompt", "Enter")
        one.wait_for_selector("#tiles .tile >> nth=3")
    ids = {run["id"]: run["group"] for run in studio.runs(page)}
    for one, urls in streams.items():  # the newest stream of each tab is the only one that is open
        until(one, lambda urls=urls: [url for url in urls if "/events" in url][-1].count(",") == 3)
    assert len(set(ids.values())) == 2
    until(page, "[...document.querySelectorAll('#tiles img')].every((one) => one.naturalWidth)")
    assert other.evaluate("fetch('/api/runs').then((answer) => answer.ok)")  # there is room
    for run in ids:
        page.evaluate(f"fetch('/api/runs/{run}/stop', {{ method: 'POST' }})")
    for tab in (page, other):
        until(tab, "document.querySelectorAll('#tiles .tile:not(.forms)').length === 4")
    other.close()


def test_frames_fade_into_each_other(page: Any, studio: TinyStudio) -> None:
    studio.pace = 0.4
    order(page, "a slow sun", LONG, "32x32")
    status(page, "painting")
    until(page, "Number(view.dataset.frame) > 2")
    frame, blends = page.evaluate("[view.dataset.frame, view.dataset.blends || 0].map(Number)")
    until(page, f"Number(view.dataset.frame) > {frame + 1}")
    until(page, f"Number(view.dataset.blends || 0) > {blends + 4}")
    page.click("#pause")
    status(page, "paused")
    page.click("#new-sheet")  # no fade goes on over another sheet
    until(page, "!document.body.dataset.status")
    assert page.is_visible("#empty")


FOUR = "document.querySelectorAll('#tiles .tile:not(.forms)').length === 4"


def four(page: Any) -> None:
    """Four small pictures are painted and lie over the easel."""
    tune(page, steps=3, size="32x32")
    page.click("#fold")
    page.click("[data-count='4']")
    page.fill("#prompt", "a red apple")
    page.press("#prompt", "Enter")
    until(page, FOUR)


def shown(page: Any, selector: str) -> str:
    return str(page.text_content(selector) or "").strip()


def test_what_a_step_is_told_of_and_the_time_left_are_apart(page: Any, studio: TinyStudio) -> None:
    studio.pace = 0.1
    order(page, "a slow sun", LONG, "32x32")
    until(page, rf"/^step \d+ of {LONG} · (about )?\d+ (s|min) left$/.test(clock.textContent)")
    page.click("#stop")
    status(page, "stopped")
    until(page, rf"/^step \d+ of {LONG}$/.test(clock.textContent)")


@pytest.mark.parametrize("wide", [1440, 1920])
def test_examples_do_not_cover_the_sheet_beside_a_panel(page: Any, wide: int) -> None:
    resize(page, wide, wide * 5 // 8)
    until(page, "examples.offsetParent !== null")
    show(page, "tune")
    covered = """(() => {
        const [one, sheet] = [examples, view].map((node) => node.getBoundingClientRect());
        return one.width > 0 && one.right > sheet.left + 1;
    })()"""
    until(page, f"!{covered}")
    page.click("#fold")
    until(page, "examples.offsetParent !== null")
    until(page, f"!{covered}")


def test_several_say_that_one_is_pressed_to_go_on(page: Any, studio: TinyStudio) -> None:
    four(page)
    until(page, "document.getElementById('status').textContent.startsWith('Done. Press one')")
    assert "Press a picture" in shown(page, "#four-hint")
    assert page.locator(".pick").nth(1).get_attribute("title").startswith("Choose this one")
    page.locator(".pick").nth(1).click()
    until(page, "document.getElementById('status').textContent === 'Done. It is in the gallery.'")
    until(page, "document.getElementById('branch').textContent.trim() === 'Go on'")
    assert shown(page, "#paint") == "Paint new"


def test_of_several_it_is_said_how_many_are_done(page: Any) -> None:
    told = page.evaluate(
        """async () => {
            const { statusLine } = await import("/page/selectors.js");
            const { INITIAL } = await import("/page/store.js");
            const run = (id, status) => ({ id, status, group: "g", nodes: [], kind: "paint" });
            const state = (...runs) => ({ ...INITIAL, shown: { run: "a", node: null },
                runs: new Map(runs.map((one) => [one.id, one])) });
            return [
                [run("a", "painting"), run("b", "done")],
                [run("a", "done"), run("b", "painting")],
                [run("a", "done")],
            ].map((runs) => statusLine(state(...runs)));
        }"""
    )
    assert told == [
        "Paints. Press one to choose it.",
        "1 of 2 done. Press one to choose it.",
        "Done. It is in the gallery.",
    ]


def test_a_point_of_the_history_is_told_with_its_own_step(page: Any, studio: TinyStudio) -> None:
    order(page, "a red apple", 4, "32x32")
    status(page, "done")
    show(page, "history")
    page.locator("#tree .thumb").first.click()
    until(page, "clock.textContent === 'step 0 of 4' && progress.value === 0")
    page.locator("#tree .thumb").last.click()
    until(page, "clock.textContent === 'step 4 of 4' && progress.value === 1")


def test_the_history_opens_where_the_picture_is(page: Any, studio: TinyStudio) -> None:
    resize(page, 1440, 620)
    order(page, "a red apple", 2, "32x32")
    status(page, "done")
    page.click("#fold")
    for at in range(1, 5):
        page.click("#branch")
        hold(lambda at=at: len([run for run in studio.runs(page) if run["picture"]]) == at + 1)
        status(page, "done")
    show(page, "history")
    until(
        page,
        """(() => {
            const one = document.querySelector("#tree .thumb[aria-pressed=true]");
            const box = one?.getBoundingClientRect();
            return one && box.top >= 0 && box.bottom <= innerHeight;
        })()""",
    )
    page.click("#fold")
    page.evaluate("document.getElementById('tree').scrollTop = 0")
    show(page, "history")
    until(page, "document.getElementById('tree').scrollTop > 0")
    assert page.evaluate("document.getElementById('panel-history').scrollTop") == 0


def test_the_way_back_from_the_trash_is_named(page: Any) -> None:
    show(page, "gallery")
    assert shown(page, "#trash-open") == "Trash"
    page.click("#trash-open")
    until(page, "document.getElementById('trash-open').textContent === 'Back to the gallery'")
    page.click("#trash-open")
    until(page, "document.getElementById('trash-open').textContent === 'Trash'")


def test_what_is_done_to_a_tile_is_beside_its_picture(page: Any, studio: TinyStudio) -> None:
    resize(page, 1440, 900)
    four(page)
    page.click("[data-count='1']")
    sides = page.evaluate(
        """() => [...document.querySelectorAll("#tiles .tile")].flatMap((tile) =>
            [".pick", ".deeds"].map((one) => tile.querySelector(one).getBoundingClientRect()))
            .map(({ left, right, top, bottom }) => [left, right, top, bottom].map(Math.round))"""
    )
    for pick, deeds in zip(sides[::2], sides[1::2], strict=True):
        assert 0 <= deeds[0] - pick[1] < 24  # at its right
        assert pick[2] - 2 <= deeds[2]
        assert deeds[3] <= pick[3] + 2
    bars = "[...document.querySelectorAll('.tile progress')].map((bar) => bar.offsetHeight)"
    assert page.evaluate(bars) == [4] * 4  # their room stays


@pytest.mark.parametrize(("wide", "high"), [(390, 844), (320, 568), (844, 390)])
def test_four_have_room_on_a_phone(page: Any, studio: TinyStudio, wide: int, high: int) -> None:
    four(page)
    resize(page, wide, high)
    until(
        page,
        """(() => {
            const boxes = [...document.querySelectorAll("#tiles .tile")].map((tile) =>
                [".pick", ".deeds"].map((one) => tile.querySelector(one).getBoundingClientRect()));
            const [[pick, deeds], , [below]] = boxes;
            const apart = pick.bottom <= deeds.top + 1 || pick.right <= deeds.left + 1;
            const clear = Math.max(pick.bottom, deeds.bottom) <= below.top + 1
                || Math.max(pick.right, deeds.right) <= below.left + 1;
            return pick.width > 60 && apart && clear;
        })()""",
    )
    page.evaluate("document.getElementById('four-close').click()")
    until(page, f"(document.querySelector('#branch .name').offsetWidth > 1) === ({wide} > 359)")
