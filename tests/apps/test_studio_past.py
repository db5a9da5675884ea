"""What was painted before, in a real browser: a choice of four, history, gallery, comparison."""

from __future__ import annotations

import io
import json
import zipfile
from importlib import resources, util
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from studio_browser import (
    CHROMIUM,
    LONG,
    TinyStudio,
    deed,
    hold,
    laid_out,
    more,
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

DAY = 86400


@pytest.fixture
def page(page: Any) -> Any:
    resize(page, 1440, 900)
    return page


def sent(page: Any, method: str, path: str, **body: Any) -> Any:
    """As another window of the same visitor."""
    return page.evaluate(
        """async ([method, path, body]) => {
            const answer = await fetch("/api/runs" + path, {
                method, headers: { "Content-Type": "application/json" },
                body: method === "GET" ? undefined : JSON.stringify(body),
            });
            const told = await answer.json();
            if (!answer.ok) throw new Error(told.error);
            return told;
        }""",
        [method, path, body],
    )


def painted(page: Any, prompt: str, steps: int = 2, size: str = "32x32", **more: Any) -> Any:
    """A picture that is done and known to the page."""
    told = sent(page, "POST", "", prompt=prompt, settings={"steps": steps, "size": size}, **more)
    ids = [run["id"] for run in told["runs"]]

    def are_done() -> bool:
        found = {run["id"]: run["status"] for run in sent(page, "GET", "")["runs"]}
        return all(found[one] == "done" for one in ids)

    hold(are_done)
    reloaded(page)
    return told


def chosen(page: Any, prompt: str) -> None:
    """Shows a picture of the gallery."""
    show(page, "gallery")
    page.locator("#gallery .thumb", has_text=prompt).first.click()
    until(page, f"document.querySelector('#tree .run')?.textContent.includes({prompt!r})")


def shown_sources(page: Any) -> list[str]:
    return page.evaluate(
        "['before', 'after'].map((id) => document.getElementById(id).getAttribute('src'))"
    )


def focused(page: Any) -> str:
    return page.evaluate("document.activeElement.textContent")


# A start to choose.


@pytest.fixture
def sketched(page: Any, studio: TinyStudio) -> Any:
    """A page whose picture waits for one of three sketches to be chosen."""
    studio.tries = {"start_tries": 3, "start_steps": 10_000, "start_scale": 1.0}
    order(page, "a red apple", LONG, "32x32")
    until(page, "document.querySelectorAll('#tiles .sketch').length === 3")
    return page


@pytest.mark.parametrize("number", [2, 0])
def test_a_sketch_is_gone_on_from_or_the_best_is_taken(
    sketched: Any, studio: TinyStudio, number: int
) -> None:
    page = sketched
    assert page.get_attribute("body", "data-status") == "starting"
    until(
        page, "[...document.querySelectorAll('#tiles img')].every((one) => one.naturalWidth === 32)"
    )
    with page.expect_request("**/sketch") as asked:
        page.click(f"#tiles li:nth-child({number}) .pick" if number else "#take-best")
    assert asked.value.post_data_json == {"number": number}
    status(page, "painting")
    assert page.is_hidden("#grid")


@pytest.mark.parametrize(
    ("wide", "high"), [(1440, 900), (1280, 800), (820, 1180), (390, 844), (320, 568)]
)
def test_the_beginning_that_leads_is_large_and_forms(
    sketched: Any, studio: TinyStudio, wide: int, high: int
) -> None:
    page = sketched
    page.click("#fold")
    resize(page, wide, high)

    def said() -> list[str]:
        leads = studio.runs(page)[0]["leads"]  # another one may lead in a moment
        return [f"Choose beginning {k}{' (best so far)' * (k == leads)}" for k in (1, 2, 3)]

    names = "[...document.querySelectorAll('#tiles .pick')].map((one) => one.ariaLabel)"
    hold(lambda: page.evaluate(names) == said())
    # The picture is where it is painted on, and something of it is to be seen and changes.
    box = page.locator("#view").bounding_box()
    grid = page.locator("#grid").bounding_box()
    assert page.evaluate("grid.scrollWidth <= grid.clientWidth + 1")  # nothing is cut off
    assert grid["width"] * grid["height"] < 0.75 * box["width"] * box["height"]
    looks = "view.toDataURL()"
    before = page.evaluate(looks)
    until(page, lambda: page.evaluate(looks) != before)
    for one in ("#take-best", "#tiles li:nth-child(1) .pick", "#status", "#stop"):
        found = page.locator(one).evaluate(
            """(node) => {
                const { x, y, width, height } = node.getBoundingClientRect();
                return node.contains(document.elementFromPoint(x + width / 2, y + height / 2));
            }"""
        )
        assert found or one == "#status", one  # which lets pass what is pressed
    page.click("#take-best")
    status(page, "painting")
    assert page.locator("#view").bounding_box() == box


# Four to choose from.


def four(page: Any, steps: int = LONG) -> list[str]:
    """Four that form, as a grid; their ids."""
    settings = {"steps": steps, "size": "32x32"}
    told = sent(page, "POST", "", prompt="four moons", count=4, settings=settings)
    reloaded(page)
    show(page, "gallery")
    page.locator("#gallery .thumb", has_text="four moons").first.click()
    page.wait_for_selector("#grid")
    until(page, "document.querySelectorAll('#tiles .pick img[src]').length === 4")
    return [run["id"] for run in told["runs"]]


def test_four_form_together_and_one_is_seen_alone(page: Any, studio: TinyStudio) -> None:
    ids = four(page)
    first = page.evaluate("[...document.querySelectorAll('#tiles img')].map(({ src }) => src)")
    assert len(set(first)) == 4
    for k in range(4):  # all of them go on
        until(page, f"document.querySelectorAll('#tiles img')[{k}].src !== {first[k]!r}")
    page.locator(".pick").nth(2).click()
    page.wait_for_selector("#grid", state="hidden")
    status(page, "painting")
    assert page.evaluate("document.querySelector('#tree .run').textContent").startswith(
        "four moons"
    )
    page.click("#four")
    assert page.locator("#tiles .tile").count() == 4
    assert {run["id"] for run in studio.runs(page)} == set(ids)


def test_of_four_some_are_kept_and_the_others_come_back_if_they_are_missed(
    page: Any, studio: TinyStudio
) -> None:
    ids = four(page)
    deed(page, 3, "discard")  # while it is painted
    until(page, "document.querySelectorAll('#tiles .tile').length === 3")
    page.locator(".tile .keep").nth(1).click()
    until(page, "document.querySelectorAll('.tile')[1].classList.contains('kept')")
    page.click("#four-others")
    hold(lambda: [run["id"] for run in studio.runs(page)] == [ids[1]])
    until(
        page, "document.body.dataset.status === 'painting'"
    )  # another of the four, no empty sheet
    assert studio.runs(page)[0]["favourite"]
    until(page, "document.getElementById('bin').textContent.includes('2 pictures')")
    page.click("#restore")
    hold(lambda: {run["id"] for run in studio.runs(page)} == set(ids[:3]))
    page.wait_for_selector("#bin", state="hidden")


def test_those_that_form_stay_in_sight_when_they_are_done(page: Any) -> None:
    for one in four(page):
        sent(page, "POST", f"/{one}/stop")
    until(page, "document.querySelectorAll('.tile .vary:enabled').length === 4")
    assert page.is_visible("#grid")
    page.click("#four-close")
    assert page.is_hidden("#grid")
    reloaded(page)
    assert page.is_hidden("#grid")


def settled(page: Any) -> None:
    """All four are done."""
    until(page, "document.querySelectorAll('#tiles .tile .vary:enabled').length === 4")


def test_a_picture_is_varied_and_two_are_crossed(page: Any, studio: TinyStudio) -> None:
    root = painted(page, "a red apple")["id"]
    chosen(page, "a red apple")
    show(page, "history")
    more(page, "vary")
    page.wait_for_selector("#grid")
    settled(page)
    children = [run for run in studio.runs(page) if run["how"] == "vary"]
    assert [run["parents"] for run in children] == [[f"{root}/1"]] * 4
    assert len({run["seed"] for run in children}) == 4
    assert texts(page, "#tree .from")[1:] == ["varied from “finished, 2 steps”"] * 4

    page.fill("#spread", "90")
    with page.expect_request("**/api/runs") as asked:
        deed(page, 1, "vary")
    second = children[1]["id"]
    assert asked.value.post_data_json["vary"] == {"of": f"{second}/1", "strength": 0.9}
    until(page, f"document.querySelectorAll('#tree .run').length === {1 + 4 + 4}")
    settled(page)

    deed(page, 0, "evolve")
    assert page.locator(".tile.first").count() == 1
    with page.expect_request("**/api/runs") as asked:
        page.locator(".tile .compare", has_text="with this").nth(1).click()
    until(page, f"document.querySelectorAll('#tree .run').length === {1 + 4 + 4 + 4}")
    settled(page)
    crossed = [run for run in studio.runs(page) if run["how"] == "evolve"]
    assert [run["parents"] for run in crossed] == [asked.value.post_data_json["evolve"]["of"]] * 4
    assert len(set(crossed[0]["parents"])) == 2
    assert "evolved from a red apple and a red apple" in texts(page, "#tree .from")


def test_all_says_how_many_there_are(page: Any) -> None:
    four(page)
    deed(page, 3, "discard")
    until(page, "document.querySelectorAll('#tiles .tile').length === 3")
    page.click("#four-close")
    assert page.text_content("#four") == "All three"


def test_of_several_tries_on_a_part_one_is_seen_large_and_kept(
    page: Any, studio: TinyStudio
) -> None:
    painted(page, "a red apple")
    chosen(page, "a red apple")

    def plainly(route: Any) -> None:  # tiny models edit nothing
        if route.request.method != "POST":
            return route.continue_()
        document = route.request.post_data_json
        document.pop("edit")
        document["settings"]["steps"] = LONG
        return route.continue_(post_data=document)

    page.route("**/api/runs", plainly)
    show(page, "change")
    page.click("#mask-brush")
    stroke(page, 0.5)
    page.select_option("#tries-count", "3")
    page.fill("#replace", "a green pear")
    page.press("#replace", "Enter")
    page.wait_for_selector("#tries li >> nth=3")
    page.wait_for_selector("#grid")
    tries = page.locator("#tries button")
    tries.nth(2).click()
    page.wait_for_selector("#grid", state="hidden")  # though they are being painted
    assert tries.nth(2).get_attribute("aria-pressed") == "true"
    page.click("#four")
    page.click("#keep-try")
    page.wait_for_selector("#grid", state="hidden")
    hold(lambda: [run["favourite"] for run in studio.runs(page)].count(True) == 1)
    shown = "document.querySelector('#tree .run[aria-current]').textContent"
    until(page, f"{shown}.startsWith('★ a green pear')")


def test_what_was_found_is_told_as_long_as_there_is_a_mask(page: Any) -> None:
    painted(page, "a red apple")
    chosen(page, "a red apple")
    picture = page.request.get(page.url + page.get_attribute("#tree img", "src").lstrip("/")).body()
    found = {"id": "0" * 32, "share": 0.24}
    page.route("**/api/masks", lambda route: route.fulfill(json=found))
    page.route(
        f"**/api/images/{found['id']}",
        lambda route: route.fulfill(body=picture, content_type="image/png"),
    )
    show(page, "change")
    page.fill("#phrase", "an apple")
    page.click("#find")
    until(page, "document.getElementById('mask-note').textContent.startsWith('Marked: 24 %')")
    page.click("#mask-none")
    until(page, "document.getElementById('mask-note').textContent.startsWith('Nothing is marked')")


# History.


def test_the_history_is_a_tree_with_names_and_favourites(page: Any, studio: TinyStudio) -> None:
    root = painted(page, "a lighthouse")["id"]
    for words, point in (("in a storm", 1), ("at night", 0)):
        painted(page, words, parent=f"{root}/{point}", image=f"{root}/{point}")
    chosen(page, "a lighthouse")
    show(page, "history")
    branches = page.locator("#tree .fork > li > .run")
    # In the order of the points that they come from.
    assert [text.partition(" ·")[0] for text in branches.all_text_contents()] == [
        "at night",
        "in a storm",
    ]
    assert texts(page, "#tree .from") == [
        "",
        "goes on from “beginning”",
        "goes on from “finished, 2 steps”",
    ]
    until(page, "[...document.querySelectorAll('#tree img')].every((one) => one.naturalWidth > 0)")
    assert page.locator("#tree .thumb").count() == 6

    page.fill("#name", "the good one")
    page.keyboard.press("Enter")
    page.click("#favourite")
    page.locator("#tree .thumb").first.click()  # a point has a name of its own
    until(page, "document.getElementById('name').value === ''")
    page.fill("#name", "the first light")
    page.keyboard.press("Enter")

    def kept() -> bool:
        run = studio.runs(page)[0]
        names = run["name"], run["nodes"][0]["name"]
        return run["favourite"] and names == ("the good one", "the first light")

    hold(kept)
    reloaded(page)
    assert texts(page, "#tree .run")[0] == "★ the good one · done"
    assert "beginning: the first light" in texts(page, "#tree .thumb")[0]
    show(page, "history")
    page.fill("#name", "never mind")
    page.keyboard.press("Escape")
    assert page.input_value("#name") == "the good one"


def test_a_name_that_is_being_written_stays_while_lists_refresh(timed: Any) -> None:
    page = timed
    painted(page, "a lighthouse")
    chosen(page, "a lighthouse")
    show(page, "history")
    page.locator("#name").press_sequentially("half a na")
    sent(page, "POST", "", prompt="another", settings={"steps": 2, "size": "32x32"})
    page.clock.run_for(15_000)  # it looks less often while nothing is painted
    page.locator("#gallery .thumb", has_text="another").wait_for(state="attached")
    assert page.input_value("#name") == "half a na"
    assert page.evaluate("document.activeElement.id") == "name"


def test_a_run_that_can_go_on_is_found_again_from_a_point_of_its_history(page: Any) -> None:
    sent(page, "POST", "", prompt="a slow sun", settings={"steps": LONG, "size": "32x32"})
    reloaded(page)
    chosen(page, "a slow sun")
    show(page, "history")
    page.locator("#tree .thumb").first.click()
    until(page, "document.getElementById('status').textContent.startsWith('A point')")
    page.locator("#tree .thumb.live").click()
    until(page, "document.getElementById('status').textContent.startsWith('Paints')")
    assert page.locator("#tree .thumb.live[aria-pressed=true]").count() == 1


def test_the_arrow_keys_lead_through_history_and_gallery(page: Any) -> None:
    for words in ("one apple", "two apples", "three apples"):
        painted(page, words)
    show(page, "gallery")
    assert page.locator('#gallery .thumb[tabindex="0"]').count() == 1
    page.focus("#gallery .thumb")
    seen = []
    for key in ("ArrowRight", "End", "ArrowLeft", "Home", "ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
        seen.append(focused(page))
    two, one, three = "two apples", "one apple", "three apples"
    assert seen == [two, one, two, three, one, three]
    page.keyboard.press("f")
    page.locator("#gallery .star[aria-pressed=true]").wait_for()
    page.keyboard.press("x")
    assert page.locator(".mark:checked").count() == 1
    page.keyboard.press("Delete")
    until(page, "document.querySelectorAll('#gallery .thumb').length === 2")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement !== document.body")


def test_the_arrow_down_leads_to_what_is_below(page: Any) -> None:
    for words in ("four", "three", "two", "one"):  # two in a row, the newest first
        painted(page, words)
    show(page, "gallery")
    page.locator("#gallery .thumb", has_text="two").focus()
    page.keyboard.press("ArrowDown")
    assert focused(page) == "four"


# Gallery.


def aged(studio: TinyStudio, page: Any, days: dict[str, int]) -> None:
    """Pictures of earlier days, by their words."""
    for run in studio.studio.runs.values():
        if run.config.title in days:
            run.created -= days[run.config.title] * DAY
            run.save_about()
    reloaded(page)


def test_the_gallery_is_sought_by_words_days_and_kinds(page: Any, studio: TinyStudio) -> None:
    for words in ("a red apple", "a red sun", "a blue moon"):
        painted(page, words)
    aged(studio, page, {"a red sun": 1, "a blue moon": 40})
    show(page, "gallery")
    assert texts(page, ".day h3")[:2] == ["Today", "Yesterday"]
    assert len(texts(page, ".day h3")) == 3

    def found(words: str) -> list[str]:
        page.fill("#sought", words)
        return texts(page, "#gallery .thumb")

    assert found("red") == ["a red apple", "a red sun"]
    assert found("sun RED") == ["a red sun"]
    assert found("yesterday") == ["a red sun"]
    assert found("green") == []
    assert page.text_content("#gallery-empty") == "Nothing like this."
    found("")
    page.locator("li", has_text="a blue moon").locator(".star").click()
    page.select_option("#only", "favourites")
    until(page, "document.querySelectorAll('#gallery .thumb').length === 1")
    assert texts(page, "#gallery .thumb") == ["a blue moon"]


def test_thumbnails_are_large_and_keep_the_shape_of_their_pictures(page: Any) -> None:
    painted(page, "wide", size="64x32")
    painted(page, "tall", size="32x64")
    show(page, "gallery")

    def boxes(side: str) -> list[int]:
        until(
            page, "[...document.querySelectorAll('#gallery img')].every((one) => one.naturalWidth)"
        )
        found = page.locator("#gallery .thumb img").all()
        return [round(one.bounding_box()[side]) for one in found]

    [tall, wide] = boxes("width")
    assert tall == wide >= 120
    assert boxes("height") == pytest.approx([2 * tall, wide / 2], abs=1)
    sources = page.evaluate("[...document.querySelectorAll('#gallery img')].map((one) => one.src)")
    assert all("/thumb?side=" in source for source in sources)
    page.click("#gallery-wide")
    until(page, f"document.querySelector('#gallery img').clientWidth >= {tall + 60}")
    page.locator("#gallery .thumb").first.click()  # what is chosen is seen
    until(page, "document.body.dataset.gallery === ''")


def test_no_picture_moves_when_one_is_marked(page: Any) -> None:
    for words in ("one", "two", "three"):
        painted(page, words)
    show(page, "gallery")
    places = """[...document.querySelectorAll("#gallery .thumb")].map((node) => {
        const { x, y } = node.getBoundingClientRect();
        return [x, y];
    })"""
    before = page.evaluate(places)
    page.locator(".mark").first.click()
    page.wait_for_selector("#marked-bar")
    assert page.evaluate(places) == before
    page.click("#marked-none")
    assert page.evaluate(places) == before


def test_what_waits_is_in_the_gallery(page: Any, studio: TinyStudio) -> None:
    for words in ("a slow sun", "a moon that waits"):
        sent(page, "POST", "", prompt=words, settings={"steps": LONG, "size": "32x32"})
    reloaded(page)
    show(page, "gallery")
    until(page, "document.querySelectorAll('#gallery .thumb').length === 2")
    [moon, sun] = texts(page, "#gallery .thumb")
    assert moon == "Waits · a moon that waits"
    assert sun in ("Paints · a slow sun", "Finds a start · a slow sun")
    box = page.locator(".blank .thumb").first.bounding_box()
    assert box["height"] > 0.9 * box["width"]  # there is room for its picture
    page.select_option("#only", "open")
    assert page.locator("#gallery .thumb").count() == 2
    page.locator("#gallery .thumb", has_text="moon").focus()
    page.keyboard.press("Space")  # there is nothing to see large
    page.wait_for_selector("#problem:has-text('no picture yet')")
    assert page.is_hidden("#lightbox")
    page.locator("#gallery .thumb", has_text="moon").click()
    until(page, "document.getElementById('status').textContent === 'Waits for “a slow sun”.'")
    page.locator("#gallery .thumb", has_text="moon").focus()
    page.keyboard.press("Delete")
    hold(lambda: len(studio.runs(page)) == 1)


def test_every_picture_has_a_caption(page: Any, studio: TinyStudio) -> None:
    painted(page, "a red apple")
    for run in studio.studio.runs.values():
        run.name, run.prompt = "", ""
    reloaded(page)
    show(page, "gallery")
    assert texts(page, "#gallery .thumb") == ["Without words"]


def test_marked_pictures_are_saved_compared_and_deleted_together(
    page: Any, studio: TinyStudio
) -> None:
    words = ["one", "two", "three", "four"]
    for one in words:
        painted(page, one)
    show(page, "gallery")
    marks = page.locator(".mark")
    marks.nth(0).click()
    marks.nth(2).click(modifiers=["Shift"])  # and what is between
    assert page.text_content("#marked-count") == "3 marked"
    with page.expect_download() as download:
        page.click("#marked-zip")
    names = zipfile.ZipFile(Path(download.value.path())).namelist()
    assert sum(name.endswith(".png") for name in names) == 3
    marks.nth(1).click()
    page.click("#marked-compare")
    page.wait_for_selector("#versus[open]")
    page.click("#close")
    page.click("#marked-delete")
    hold(lambda: [run["prompt"] for run in studio.runs(page)] == ["one", "three"])
    page.wait_for_selector("#marked-bar", state="hidden")
    page.click("#restore")
    hold(lambda: len(studio.runs(page)) == 4)
    until(page, "document.querySelectorAll('#gallery .thumb').length === 4")


def test_what_was_deleted_comes_back_after_a_reload_too(page: Any, studio: TinyStudio) -> None:
    painted(page, "a red apple")
    chosen(page, "a red apple")
    show(page, "history")
    more(page, "delete")
    hold(lambda: studio.runs(page) == [])
    page.wait_for_selector("#empty")
    page.locator("#restore").wait_for()
    reloaded(page)
    show(page, "gallery")
    page.click("#undelete")
    page.locator("#gallery .thumb", has_text="a red apple").wait_for(state="attached")
    until(page, "document.querySelector('#tree .run').textContent === 'a red apple · done'")


# One large, and two compared.


def test_the_lightbox_is_used_by_keys(page: Any, studio: TinyStudio) -> None:
    for words in ("one", "two", "three"):
        painted(page, words)
    show(page, "gallery")
    page.focus("#gallery .thumb")
    page.keyboard.press("Space")
    page.wait_for_selector("#lightbox[open]")
    assert page.text_content("#large-name") == "three"
    until(page, "document.getElementById('large').naturalWidth === 32")
    assert page.locator("#large").bounding_box()["width"] > 400
    page.keyboard.press("ArrowRight")
    assert page.text_content("#large-name") == "two"
    page.keyboard.press("f")
    until(page, "document.getElementById('large-star').getAttribute('aria-pressed') === 'true'")
    page.keyboard.press("Delete")
    until(page, "document.getElementById('large-name').textContent === 'one'")
    page.keyboard.press("z")  # brings it back
    hold(lambda: len(studio.runs(page)) == 3)
    page.keyboard.press("Home")
    assert page.text_content("#large-name") == "three"
    page.keyboard.press("Escape")
    page.wait_for_selector("#lightbox", state="hidden")
    assert focused(page) == "three"  # where it was


def test_two_pictures_are_compared_in_three_ways_from_anywhere(page: Any) -> None:
    root = painted(page, "a red apple")["id"]
    other = painted(page, "a blue fish")["id"]
    chosen(page, "a red apple")
    show(page, "history")
    page.click("#compare")
    assert "press the other" in page.text_content("#note")
    page.locator("#tree .thumb").first.click()  # history with history
    page.wait_for_selector("#versus[open]")
    assert shown_sources(page) == [f"/api/runs/{root}/picture.png", f"/api/runs/{root}/nodes/0.png"]
    page.fill("#split", "30")
    assert "inset(0px 70% 0px 0px)" in page.get_attribute("#before", "style")
    page.keyboard.press("2")
    left, right = (page.locator(one).bounding_box() for one in ("#before", "#after"))
    assert left["x"] + left["width"] <= right["x"]
    assert page.is_hidden("#split")
    page.keyboard.press("3")
    page.fill("#split", "25")
    assert page.evaluate("document.getElementById('before').style.opacity") == "0.75"
    page.keyboard.press("x")
    assert shown_sources(page)[0].endswith("nodes/0.png")
    page.keyboard.press("Escape")
    page.wait_for_selector("#versus", state="hidden")

    page.click("#compare")  # what is on the easel with one of the gallery
    show(page, "gallery")
    page.locator("#gallery .thumb", has_text="a blue fish").click()
    page.wait_for_selector("#versus[open]")
    assert shown_sources(page) == [f"/api/runs/{one}/picture.png" for one in (root, other)]
    page.keyboard.press("Escape")
    page.wait_for_selector("#versus", state="hidden")

    page.focus("#gallery .thumb")  # the lightbox with the gallery
    page.keyboard.press("Space")
    page.keyboard.press("c")
    page.locator("#gallery .thumb", has_text="a red apple").click()
    page.wait_for_selector("#versus[open]")
    assert shown_sources(page) == [f"/api/runs/{one}/picture.png" for one in (other, root)]
    page.keyboard.press("Escape")
    page.wait_for_selector("#versus", state="hidden")

    page.click("#tab-history")
    page.click("#compare")
    page.keyboard.press("Escape")
    until(page, "document.getElementById('compare').textContent === 'Compare…'")


def test_the_divider_of_two_pictures_is_where_the_pointer_is(page: Any) -> None:
    for words in ("one", "two"):
        painted(page, words)
    show(page, "gallery")
    for k in (0, 1):
        page.locator(".mark").nth(k).click()
    page.click("#marked-compare")
    until(page, "[before, after].every((one) => one.naturalWidth === 32)")
    laid_out(page)
    box = page.locator("#before").bounding_box()
    assert box["width"] < 0.7 * page.locator("#two").bounding_box()["width"]
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    for share, kept in ((0.123, 0.123), (0.9, 0.9), (-0.2, 0), (1.1, 1)):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + 20)
        cut = page.evaluate("document.getElementById('before').style.clipPath")
        assert 1 - float(cut.split()[1].rstrip("%")) / 100 == pytest.approx(kept, abs=0.002), share
    page.mouse.up()


# Saving.


def test_a_picture_is_saved_at_every_size(page: Any, studio: TinyStudio) -> None:
    painted(page, "a red apple", size="64x32")
    chosen(page, "a red apple")
    page.click("#save")
    sizes = texts(page, "#export-size option")
    assert sizes == ["64 × 32, as it is", *(f"{32 * k} × {16 * k}, larger" for k in (4, 8, 16))]
    page.keyboard.press("Escape")

    def saved(size: str, kind: str) -> Image.Image:
        page.click("#save")  # it closes with each use
        page.select_option("#export-size", size)
        page.select_option("#export-format", kind)
        with page.expect_download() as download:
            page.click("#save-png")
        return Image.open(io.BytesIO(Path(download.value.path()).read_bytes()))

    for side, kind in ((64, "png"), (512, "jpeg"), (256, "webp")):
        picture = saved(str(side), kind)
        assert (picture.size, picture.format) == ((side, side // 2), kind.upper())
        until(page, "document.body.innerText.includes('where this browser keeps downloads')")
    page.click("#save")
    with page.expect_download() as download:
        page.click("#save-json")
    assert json.loads(Path(download.value.path()).read_text())["prompt"] == "a red apple"


# For everybody.


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_is_in_the_way_of_anybody(page: Any, theme: str) -> None:
    """No finding of axe while four form, in history, gallery, lightbox and comparison."""
    if not util.find_spec("axe_playwright_python"):
        pytest.skip("axe is not installed")
    page.emulate_media(color_scheme=theme)
    axe = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
    seen: list[str] = []

    def look(state: str) -> None:
        if not page.evaluate("'axe' in window"):
            page.evaluate(axe)
        found = page.evaluate("axe.run()")["violations"]
        seen.extend(
            f"{state}: {one['id']} {node['target']}" for one in found for node in one["nodes"]
        )

    root = painted(page, "a red apple")["id"]
    painted(page, "a green apple", parent=f"{root}/1", image=f"{root}/1")
    four(page)
    page.locator(".tile .keep").first.click()
    look("four")
    page.hover(".pick >> nth=1")
    look("one of four")
    deed(page, 3, "discard")
    page.wait_for_selector("#bin")
    look("thrown away")
    page.click("#stop")
    until(page, "document.querySelectorAll('#tiles .tile .vary:enabled').length === 3")
    look("four that are stopped")
    deed(page, 0, "evolve")
    look("the other to cross it with")
    page.keyboard.press("Escape")
    resize(page, 390, 844)
    look("four on a phone")
    resize(page, 1440, 900)
    page.click("#four-close")
    sent(page, "POST", "", prompt="a slow sun", settings={"steps": LONG, "size": "32x32"})
    sent(page, "POST", "", prompt="a moon that waits", settings={"steps": LONG, "size": "32x32"})
    reloaded(page)
    chosen(page, "a red apple")
    show(page, "history")
    page.click("#save-too")
    look("history")
    page.keyboard.press("Escape")
    page.click("#history-more")
    look("the menu of the history")
    page.keyboard.press("Escape")
    show(page, "gallery")
    page.click("[aria-label='Mark a red apple']")
    look("gallery")
    page.click("#gallery-wide")
    look("wide gallery")
    page.locator("#gallery .thumb", has_text="a red apple").focus()
    page.keyboard.press("Space")
    page.wait_for_selector("#lightbox[open]")
    look("lightbox")
    page.keyboard.press("Escape")
    page.click("[aria-label='Mark a green apple']")
    page.click("#marked-compare")
    for way in ("slide", "beside", "onion"):
        page.click(f"#versus-{way}")
        look(way)
    page.keyboard.press("Escape")
    page.click("#marked-delete")
    page.click("#trash-open")
    page.wait_for_selector("#trash-list li")
    page.click("#trash-empty")
    look("trash")
    show(page, "film")
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    look("film")
    show(page, "tune")
    look("every setting")
    resize(page, 390, 844)
    look("settings on a phone")
    assert sorted(set(seen)) == []


# What the bar has of a picture that is opened.


@pytest.fixture
def two(page: Any) -> Any:
    """A page that has painted two pictures, the second of which is shown."""
    for words in ("a red apple", "a blue fish"):
        order(page, words, 2, "32x32")
        until(page, f"document.querySelector('#tree .run')?.textContent === '{words} · done'")
    return page


def bar(page: Any) -> tuple[str, str]:
    return page.input_value("#prompt"), page.input_value("#setting-seed")


def test_a_picture_that_is_opened_brings_its_words_and_seed(two: Any, studio: TinyStudio) -> None:
    page = two
    if page.get_attribute("#lock", "aria-pressed") == "true":
        page.click("#lock")
    page.click("#paint")  # another fish, with another seed
    until(page, "document.querySelectorAll('#gallery .thumb').length === 3")
    status(page, "done")
    seeds = [str(run["seed"]) for run in studio.runs(page)]
    chosen(page, "a red apple")
    assert bar(page) == ("a red apple", seeds[0])
    show(page, "history")
    page.click("#branch")
    hold(lambda: len(studio.runs(page)) == 4)
    assert studio.runs(page)[3]["prompt"] == "a red apple"
    status(page, "done")


def test_words_that_were_written_and_a_locked_seed_stay(two: Any) -> None:
    page = two
    tune(page, seed=77)
    page.fill("#prompt", "a green pear")
    chosen(page, "a red apple")
    assert bar(page) == ("a green pear", "77")
    assert "What you wrote stays" in page.text_content("#note")
    chosen(page, "a blue fish")  # and once more
    assert bar(page) == ("a green pear", "77")
    page.fill("#prompt", "")
    chosen(page, "a red apple")
    assert bar(page) == ("a red apple", "77")
    assert page.text_content("#note") == ""
