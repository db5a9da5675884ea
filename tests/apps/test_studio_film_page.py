"""Films on the studio's page: asked for, seen while they are painted, gone through, saved."""

from __future__ import annotations

import os
from importlib import resources, util
from pathlib import Path
from typing import Any

import pytest

from gouache.apps.studio.filming import FilmPainter
from studio_browser import (
    CHROMIUM,
    LONG,
    TinyStudio,
    hold,
    more,
    order,
    show,
    status,
    texts,
    until,
)
from studio_client import tiny_reopened

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")

SHOTS = os.environ.get("GOUACHE_SCREENSHOTS")  # a folder: writes studio-*.png
SEEN = "document.getElementById('film-view').dataset.frame === '{}'"
# Of a film that is being painted: no one frame stays in sight.
MOVES = "Number(document.getElementById('film-view').dataset.frame) >= 1"


@pytest.fixture(autouse=True)
def tiny_states(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FilmPainter, "_reopened", tiny_reopened)


def shoot(page: Any, name: str) -> None:
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"studio-{name}.png")


def film(page: Any, words: str = "a fish", seconds: object = 1, fps: object = 6) -> None:
    """A film of few steps is ordered."""
    page.fill("#prompt", words)
    show(page, "tune")
    for name, value in {"steps": 2, "size": "32x32"}.items():
        page.fill(f"#setting-{name}", str(value))
    show(page, "film")
    page.fill("#film-seconds", str(seconds))
    page.fill("#film-fps", str(fps))
    page.evaluate(
        "for (const one of document.querySelectorAll('#panel-film details')) one.open = true"
    )
    page.fill("#film-steps_per_frame", "1")
    page.click("#film-order")


def asked(page: Any) -> dict[str, Any]:
    """What is ordered by the button, which the studio does not get."""
    found: list[Any] = []

    def keep(route: Any) -> None:
        if route.request.method != "POST":
            return route.continue_()
        found.append(route.request.post_data_json)
        return route.fulfill(status=400, json={"error": "not now"})

    page.route("**/api/runs", keep)
    page.click("#film-order")
    until(page, lambda: found)
    page.unroute("**/api/runs")
    return dict(found[0])


def test_a_film_is_painted_seen_gone_through_and_saved(page: Any, studio: TinyStudio) -> None:
    film(page)
    status(page, "done")
    until(page, SEEN.format(5))
    shoot(page, "film")
    assert texts(page, "#clock") == ["6 of 6 frames"]
    assert texts(page, "#film-time") == ["6 / 6 · 0.8 s"]
    page.focus("#film-at")
    for key, frame in (("ArrowLeft", 4), ("Home", 0), ("ArrowRight", 1), ("End", 5)):
        page.keyboard.press(key)
        until(page, SEEN.format(frame))
    assert page.get_attribute("#film-at", "aria-valuetext") == "frame 6 of 6"
    page.keyboard.press("Space")  # plays, from its end on: it comes round
    for frame in (2, 4, 1):
        until(page, SEEN.format(frame))
    page.keyboard.press("Space")
    assert page.get_attribute("#film-play", "aria-label") == "Play"
    assert studio.runs(page)[0]["status"] == "done"  # the space was the player's
    page.locator("#film-at").fill("3")
    until(page, SEEN.format(3))
    for kind in ("mp4", "gif", "webm"):
        with page.expect_download() as saved:
            page.click(f"#film-{kind}")
        assert saved.value.suggested_filename == f"a-fish.{kind}"
    page.click("[data-motion=turn]")
    show(page, "history")
    more(page, "reuse")
    show(page, "film")
    until(page, "document.getElementById('film-zoom').value === '1.012'")
    assert (page.input_value("#film-seconds"), page.input_value("#film-angle")) == ("1", "0")
    show(page, "gallery")
    assert texts(page, "#gallery .thumb span") == ["Film · a fish"]
    page.select_option("#only", "films")
    assert page.locator("#gallery .thumb").count() == 1


def test_frames_are_seen_while_it_is_painted_and_it_goes_on(page: Any, studio: TinyStudio) -> None:
    film(page, seconds=60, fps=10)
    status(page, "painting")
    until(page, MOVES)
    until(page, "document.getElementById('clock').textContent.includes('left')")
    page.click("#pause")
    status(page, "paused")
    assert page.is_hidden("#film-on")
    page.click("#pause")
    status(page, "painting")
    page.focus("#film-at")
    page.keyboard.press("Home")  # looked at while others are painted
    until(page, SEEN.format(0))
    painted = "Number(document.getElementById('clock').textContent.split(' ')[0])"
    before = page.evaluate(painted)
    until(page, f"{painted} > {before + 1}")
    assert page.evaluate(SEEN.format(0))
    page.click("#stop")
    status(page, "stopped")
    page.click("#film-on")
    status(page, "painting")
    until(page, f"{painted} > {before + 3}")
    page.click("#stop")
    status(page, "stopped")


def test_motions_make_curves_that_can_be_written_by_hand(page: Any) -> None:
    page.fill("#prompt", "a fish")
    show(page, "film")
    page.click("[data-motion=breathe]")
    page.select_option("#film-speed", "fast")
    assert asked(page)["film"] == {
        "seconds": "4",
        "fps": "12",
        "loop": False,
        "zoom": "1+0.012*cos(6.2832*t/24)",
    }
    page.click("#film-fine summary")
    assert page.input_value("#film-zoom") == "1+0.012*cos(6.2832*t/24)"
    page.fill("#film-zoom", "0:(1.1)")
    page.fill("#film-angle", "")
    page.check("#film-loop")
    assert (asked(page)["film"]["zoom"], asked(page)["film"]["loop"]) == ("0:(1.1)", True)
    page.click("[data-motion=in]")  # another motion takes its place
    assert asked(page)["film"] == {"seconds": "4", "fps": "12", "loop": True, "zoom": "1.024"}
    page.fill("#film-angle", "sin(t")
    page.click("#film-order")
    page.wait_for_selector("#problem:has-text('angle')")


def test_a_picture_is_moved_and_two_are_gone_between(page: Any, studio: TinyStudio) -> None:
    for words in ("a red apple", "a blue fish"):
        order(page, words, 2, "32x32")
        until(page, f"document.querySelector('#tree .run')?.textContent === '{words} · done'")
    show(page, "history")
    more(page, "film-this")
    page.wait_for_selector("#panel-film")
    assert texts(page, "#film-order") == ["Move this picture"]
    page.fill("#film-seconds", "0.5")
    page.click("#film-order")
    hold(lambda: [run["status"] for run in studio.runs(page)] == ["done"] * 3)
    apple, fish, moved = studio.runs(page)
    assert moved["parents"] == [f"{fish['id']}/1"]
    assert (moved["film"]["painted"], moved["size"]) == (6, [32, 32])
    page.click("[data-motion=morph]")
    assert page.is_disabled("#film-order")
    page.click("#film-choices [aria-label='a red apple']")
    page.click("#film-choices [aria-label='a blue fish'] >> nth=1")
    assert texts(page, "#film-choices [aria-pressed=true] span") == ["second", "first"]
    found = asked(page)
    assert found["morph"] == [f"{apple['id']}/1", f"{fish['id']}/1"]
    assert "zoom" not in found["film"]


def test_nothing_is_in_the_way_of_anybody(page: Any, studio: TinyStudio) -> None:
    """No finding of axe with a film, in both themes."""
    if not util.find_spec("axe_playwright_python"):
        pytest.skip("axe is not installed")
    film(page, seconds=200)
    until(page, MOVES)
    page.evaluate(resources.files("axe_playwright_python").joinpath("axe.min.js").read_text())
    seen: list[str] = []
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        for motion in ("in", "morph"):
            page.click(f"[data-motion={motion}]")
            shoot(page, f"film-{theme}-{motion}")
            for one in page.evaluate("axe.run()")["violations"]:
                targets = [node["target"] for node in one["nodes"]]
                seen.append(f"{theme} {motion} {one['id']} {targets}")
    assert seen == []


def test_live_strokes_are_no_films(page: Any, studio: TinyStudio) -> None:
    """What is drawn while the first frame is painted stays where it is."""
    page.fill("#prompt", "a fish")
    show(page, "tune")
    page.fill("#setting-steps", str(LONG // 2))
    page.fill("#setting-size", "32x32")
    show(page, "film")
    page.fill("#film-seconds", "0.2")
    page.click("#film-order")
    status(page, "painting")
    hold(lambda: studio.runs(page)[0]["step"] > 2)
    assert page.is_hidden("#player")
    assert "frame 1 of 2, step" in texts(page, "#clock")[0]
    page.click("#stop")
    status(page, "stopped")
