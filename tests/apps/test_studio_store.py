"""The rules of the page's script: one store, modules that update their nodes in place."""

from __future__ import annotations

import mimetypes
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studio_browser import (
    CHROMIUM,
    LONG,
    TinyStudio,
    hold,
    order,
    show,
    status,
    stroke,
    texts,
    until,
)

PAGE = Path(__file__).parents[2] / "src/gouache/apps/studio/page"
SCRIPTS = {
    path.relative_to(PAGE).as_posix(): path.read_text() for path in sorted(PAGE.rglob("*.js"))
}
SLICES = ("common.js", *(name for name in SCRIPTS if name.endswith("/slice.js")))
PURE = ("store.js", "selectors.js", "values.js", *SLICES)

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")


def imports(name: str) -> set[str]:
    """The scripts that one imports, as named in SCRIPTS."""
    found = re.findall(r'from "(\..*)"', SCRIPTS[name])
    return {posixpath.normpath(posixpath.join(posixpath.dirname(name), one)) for one in found}


# How the script is built.


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_state_beside_the_store(name: str) -> None:
    """What is not in a function or a class is a constant by its name, or a function."""
    assert re.findall(r"^(?:export )?(?:let|var)\b.*", SCRIPTS[name], re.M) == []
    for made in re.findall(r"^(?:export )?const (.*)", SCRIPTS[name], re.M):
        assert re.match(r"[A-Z_]+ = (?!new )|[\w$]+ = \([\w{},.= ]*\) =>", made), made


@pytest.mark.parametrize("name", PURE)
def test_the_state_knows_neither_page_nor_server(name: str) -> None:
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", SCRIPTS[name], flags=re.S)  # comments may name them
    for word in ("document", "window", "fetch", "Event", "setTimeout", "Date", "random", "Storage"):
        assert not re.search(rf"\b{word}\b", text), word
    assert imports(name) <= set(PURE)


def test_one_place_asks_the_server_and_one_changes_the_state() -> None:
    def users(pattern: str) -> list[str]:
        return [name for name, text in SCRIPTS.items() if re.search(pattern, text)]

    assert users(r"\bfetch\(|\bEventSource\(") == ["api.js"]
    assert users(r"\.state = ") == ["store.js"]
    assert users(r"new Store\(") == ["studio.js"]


def test_modules_import_in_one_direction() -> None:
    needed = {name: imports(name) for name in SCRIPTS}
    placed: set[str] = set()
    while len(placed) < len(needed):
        ready = {name for name, needs in needed.items() if needs <= placed} - placed
        assert ready, {name: needs - placed for name, needs in needed.items() if needs - placed}
        placed |= ready


def test_parts_do_not_know_each_other() -> None:
    """Only what joins them imports more than one: the store, the buttons and the page."""
    for name in SCRIPTS:
        part = posixpath.dirname(name)
        others = {posixpath.dirname(one) for one in imports(name)} - {part, ""}
        assert not part or not others, (name, others)
        assert part or not others or name in ("store.js", "buttons.js", "studio.js"), name


# The store, in a browser that has nothing but the scripts.

PRELUDE = """async (argument) => {
    const { INITIAL, Store, reduce } = await import("/page/store.js");
    const selectors = await import("/page/selectors.js");
    const { changed } = await import("/page/values.js");
    const { keyed, made } = await import("/page/nodes.js");
    const run = (id, more = {}) => ({
        id, prompt: id, words: null, kind: "paint", parent: "", status: "painting", step: 1,
        num_steps: 9, seconds_left: null, size: [32, 32], nodes: [], error: "", notes: [],
        version: 1, picture: false, shown: true, position: 0, ...more,
    });
    const news = (id, losses, from, more = {}) =>
        ({ type: "news", told: { ...run(id, more), losses, losses_from: from } });
    const INFO = {
        presets: { small: { steps: 60 }, large: { steps: 200, size: [256, 256] } },
        models: {},
        film: [{ name: "zoom", default: "1" }],
        settings: [
            { name: "prompt", section: "", default: "" },
            { name: "perceptor", section: "", default: ["small"] },
            { name: "steps", section: "", default: 100 },
            { name: "size", section: "", default: [128, 128] },
            { name: "edge", section: "edit", default: 3 },
        ],
    };
    const after = (state, ...actions) => actions.reduce(reduce, state);
    const begun = (runs, kept = {}) =>
        after(INITIAL, { type: "listed", runs }, { type: "begun", info: INFO, kept });
    const differ = (a, b) => Object.keys(a).filter((part) => a[part] !== b[part]).sort();
    """


class Scripts:
    def __init__(self, page: Any) -> None:
        self._page = page

    def __call__(self, body: str) -> Any:
        return self._page.evaluate(PRELUDE + body + "}")


@pytest.fixture(scope="module")
def scripts(browser: Any) -> Iterator[Scripts]:
    def answer(route: Any) -> None:
        path = PAGE / route.request.url.partition("/page/")[2]
        kind = mimetypes.guess_type(path.name)[0] if path.is_file() else "text/html"
        body = path.read_text() if path.is_file() else "<!doctype html><body></body>"
        route.fulfill(body=body, content_type=kind)

    page = browser.new_context().new_page()
    page.route("http://127.0.0.1/**", answer)
    page.goto("http://127.0.0.1/nothing")
    yield Scripts(page)
    page.context.close()


@needs_chromium
def test_news_of_a_run_that_is_not_shown_changes_that_run_alone(scripts: Scripts) -> None:
    found = scripts("""
        const before = after(
            begun([run("a"), run("b")], { run: "a" }),
            { type: "pictured", place: "a", key: "a@1", frame: 1 },
            news("a", [3, 2], 0),
        );
        const once = after(before, news("b", [9, 8], 0, { step: 2 }));
        const now = after(once, news("b", [7, 6], 1, { step: 3 }));
        const gone = after(now, news("deleted", [1], 0));
        return {
            parts: differ(before, now),
            shown: now.runs.get("a") === before.runs.get("a") && now.losses.a === before.losses.a,
            picture: selectors.wantedPicture(now).key === now.sheet.key,
            step: now.runs.get("b").step, losses: now.losses.b,
            watched: selectors.watched(now), unknown: gone === now,
        };
    """)
    assert found == {
        "parts": ["losses", "runs"],
        "shown": True,
        "picture": True,
        "step": 3,
        "losses": [9, 7, 6],
        "watched": ["a"],
        "unknown": True,
    }


@needs_chromium
def test_a_state_is_never_changed(scripts: Scripts) -> None:
    """Each action, on a state that nobody can write to."""
    types: list[str] = []
    for name in SLICES:
        reducers = SCRIPTS[name].partition("const REDUCERS = {")[2].partition("\n};")[0]
        types += re.findall(r"^  (\w+)(?:\(state|: \(state|,$)", reducers, re.M)
    done = scripts("""
        const deep = (one) => {
            if (one === null || typeof one !== "object" || Object.isFrozen(one)) return one;
            if (one instanceof Map) {
                one.set = one.delete = () => { throw new Error("a map was changed"); };
                [...one.values()].forEach(deep);
            } else Object.values(one).forEach(deep);
            return one instanceof Map ? one : Object.freeze(one);
        };
        deep({ ...INITIAL });
        const part = { source: "a", text: "a", weight: 1, stop: null };
        const actions = [
            { type: "reached", alive: true },
            { type: "listed", runs: [run("a"), run("b"), run("c", { status: "done" })] },
            { type: "begun", info: INFO, kept: { likes: [{ id: "x", url: "", weight: 1 }] } },
            news("a", [1], 0), { type: "recalled", run: "c", losses: [1] },
            { type: "followed", run: run("b"), here: false },
            { type: "ordered", run: run("d", { status: "queued" }), here: true },
            { type: "chosen", run: "c", node: 0 },
            { type: "pictured", place: "c/0", key: "c/0", frame: "" },
            { type: "paired", pair: { what: "compare", first: { run: "a", node: null } } },
            { type: "versus", versus: { first: {}, second: {} } }, { type: "turned", way: "onion" },
            { type: "sifted", sought: "a" }, { type: "marked", runs: ["a", "b"] },
            { type: "gridded", group: "g", open: true }, { type: "spread", spread: 0.1 },
            { type: "enlarged", picture: { run: "a", node: null } },
            { type: "edited", run: "a", node: 0, values: { name: "x" } },
            { type: "leaves", runs: ["b"], what: "b" },
            { type: "left", runs: ["b"], stay: [] }, { type: "awaited" },
            { type: "binRead" }, { type: "recovered" },
            { type: "explained" }, { type: "binned", runs: [run("b")] },
            { type: "unbinned", runs: ["b"] },
            { type: "held", tool: "mask" },
            { type: "drawn", layers: { strokes: { empty: false }, mask: { empty: true } },
              undo: { past: 1, future: 0 }, picture: true,
              sheets: { list: [{ id: 1 }], active: 1, laid: [] } },
            { type: "tried", base: { place: "c/0" }, tries: [{ id: "b", words: "a pear" }] },
            { type: "counted", count: 2 }, { type: "settledOn" }, { type: "grown", left: 16 },
            { type: "wrote", field: "words", text: "a" },
            { type: "parsed", words: "a", stages: [[part]] },
            { type: "weighed", stage: 0, part: 0, key: "weight", value: 2 },
            { type: "set", name: "perceptor", value: "large" },
            { type: "brought", run: "a", words: true },
            { type: "filled", settings: { steps: 5 } }, { type: "rolled", seed: 7 },
            { type: "chose", count: 4 }, { type: "unsaid", stage: 0, part: 0 },
            { type: "started", picture: { id: "p", url: "" } },
            { type: "liked", picture: { id: "q", url: "", weight: 1 } },
            { type: "likedMore", key: 0, weight: null },
            { type: "busy", kind: "order", on: true }, { type: "asked", run: "a", what: "Stops" },
            { type: "sent", sent: { run: "a", version: 1 } }, { type: "answered", run: "a" },
            { type: "unfolded", panel: "tune" },
            { type: "directed", motion: "out" }, { type: "typedIn", name: "zoom", value: "1.1" },
            { type: "ended", place: "c/0" },
            { type: "refilmed", settings: { frames: 0, seconds: 2, fps: 6, zoom: "1.1" } },
            { type: "screened", run: "c", frame: 3, playing: true },
            { type: "noticed", note: "x" }, { type: "newSheet" },
        ];
        actions.reduce((state, action) => deep(reduce(state, deep(action))), INITIAL);
        return actions.map(({ type }) => type);
    """)
    assert sorted(done) == sorted(types)


@needs_chromium
def test_a_list_of_all_runs_and_the_one_that_is_shown(scripts: Scripts) -> None:
    found = scripts("""
        const watching = begun([run("a", { version: 7 })], { run: "a" });
        const listed = (state, ...runs) => after(state, { type: "listed", runs });
        const ended = begun([run("a", { status: "interrupted" })], { run: "a" });
        const shown = after(ended, { type: "pictured", place: "a", key: "a@1", frame: 1 });
        const on = listed(shown, run("a", { version: 2 }));
        const gone = listed(shown, run("b"));
        return {
            older: listed(watching, run("a", { version: 3 })).runs.get("a").version,
            newest: listed(ended, run("a", { status: "done" })).runs.get("a").status,
            on: [selectors.watched(on), on.sheet.picture],
            gone: [gone.shown, gone.sheet.picture, gone.notices.note !== ""],
        };
    """)
    assert found == {
        "older": 7,
        "newest": "done",
        "on": [["a"], True],
        "gone": [None, True, True],
    }


@needs_chromium
def test_all_modules_see_each_state_and_the_newest_last(scripts: Scripts) -> None:
    found = scripts("""
        const store = new Store();
        const seen = { first: [], second: [] };
        const module = (name, then = () => {}) =>
            ({ update({ notices }) { seen[name].push(notices.note); then(notices.note); } });
        store.mount(module("first", (note) => {
            if (note === "one") store.dispatch({ type: "noticed", note: "two" });
        }));
        store.mount(module("second"));
        store.dispatch({ type: "noticed", note: "one" });
        store.dispatch({ type: "noticed", note: "two" });
        let error = "";
        try { store.dispatch({ type: "unheard" }); } catch (thrown) { error = thrown.message; }
        return { ...seen, error };
    """)
    assert found == {
        "first": ["", "one", "two"],
        "second": ["", "one", "two"],
        "error": "unknown action: unheard",
    }


@needs_chromium
def test_what_was_not_changed_in_the_form_follows_the_perceptor(scripts: Scripts) -> None:
    found = scripts("""
        const set = (name, value) => ({ type: "set", name, value });
        const plain = begun([]);
        const typed = after(plain, set("steps", "77"), set("perceptor", "large"));
        return [
            changed(plain), plain.form.steps,
            changed(typed), typed.form.size, typed.sheet.blank.width,
            changed(after(typed, set("edge", "5")), true),
            changed(after(plain, set("perceptor", "own"))),
        ];
    """)
    assert found == [
        {},
        "60",
        {"perceptor": ["large"], "steps": 77},
        "256x256",
        256,
        {"edge": 5},
        {"perceptor": ["own"], "steps": 100, "size": "128x128"},
    ]


@needs_chromium
def test_a_list_keeps_its_nodes_focus_and_selection(scripts: Scripts) -> None:
    found = scripts("""
        const list = document.body.appendChild(made("ul"));
        const make = () => made("li", {}, made("input"), made("button"));
        const fill = (item, [id, words]) => (item.lastChild.textContent = words);
        const show = (...items) => keyed(list, items, ([id]) => id, make, fill);
        const names = () => [...list.children].map((item) => item.key + item.lastChild.textContent);
        show([0, "a"], [1, "b"], [2, "c"]);
        const field = list.children[1].firstChild;
        field.value = "typed";
        field.focus();
        field.setSelectionRange(1, 3);
        const kept = () => document.activeElement === field &&
            [field.selectionStart, field.selectionEnd, field.value].join() === "1,3,typed";
        const results = [];
        for (const items of [
            [[3, "new"], [0, "a"], [1, "other"], [2, "c"]],
            [[1, "b"], [2, "c"], [3, "d"]],
            [[3, "d"], [2, "c"], [1, "b"], [0, "e"]],
        ]) {
            show(...items);
            results.push(kept(), names().join() === items.map(([id, words]) => id + words).join());
        }
        show([3, "d"], [2, "c"], [0, "e"]);
        const then = document.activeElement === list;
        list.remove();
        return { results, then };
    """)
    assert found == {"results": [True] * 6, "then": True}


# The page.


def posted(page: Any, path: str, **body: Any) -> None:
    """As another window of the same visitor would do it."""
    page.evaluate(
        """([path, body]) => fetch(path, {
            method: "POST",
            headers: { "Content-Type": "application/json" },
            body: JSON.stringify(body),
        })""",
        [f"/api/runs{path}", body],
    )


def held(page: Any, target: Any) -> None:
    target.focus()
    page.evaluate("document.activeElement.mine = true")


def is_held(page: Any) -> bool:
    return bool(page.evaluate("document.activeElement.mine === true"))


@needs_chromium
def test_lists_are_refreshed_around_the_focus(page: Any, studio: TinyStudio) -> None:
    order(page, "a red apple", 2, "32x32")
    status(page, "done")
    order(page, "a slow sun", LONG, "32x32")
    status(page, "painting")
    order(page, "a moon", LONG, "32x32")
    status(page, "queued")
    _, sun, moon = (run["id"] for run in studio.runs(page))

    show(page, "gallery")
    held(page, page.locator("#gallery .thumb", has_text="a red apple"))
    posted(page, f"/{sun}/stop")
    page.locator("#gallery .thumb", has_text="Stopped · a slow sun").wait_for()
    show(page, "gallery")
    page.locator("#gallery .thumb", has_text="Paints · a moon").wait_for()
    assert is_held(page)

    show(page, "history")
    held(page, page.locator("#tree .thumb").first)
    posted(page, f"/{moon}/pause")
    status(page, "paused")
    posted(page, f"/{moon}/continue", prompt="a green pear")
    show(page, "history")
    page.locator("#tree .thumb", has_text="new words").wait_for()
    assert is_held(page)

    show(page, "history")
    held(page, page.locator("#queue .cancel"))
    posted(page, "", prompt="a fish", settings={"steps": LONG, "size": "32x32"})
    page.locator("#queue li", has_text="a fish (waits, number 1)").wait_for()
    assert is_held(page)

    # The row goes with the button that was pressed: another press stops nobody else.
    page.keyboard.press("Enter")
    show(page, "history")
    page.locator("#queue li", has_text="a fish (painting)").wait_for()
    assert page.evaluate("document.activeElement.id") == "queue"
    page.keyboard.press("Enter")
    show(page, "history")
    page.click("#queue .cancel")
    until(page, "document.querySelectorAll('#queue .cancel').length === 0")


@needs_chromium
def test_a_run_that_paints_behind_another_picture_disturbs_nothing(
    page: Any, studio: TinyStudio
) -> None:
    order(page, "a red apple", 2, "48x24")
    status(page, "done")
    order(page, "a slow sun", LONG, "32x32")
    status(page, "painting")
    show(page, "gallery")
    page.locator("#gallery .thumb", has_text="a red apple").click()
    status(page, "done")
    until(page, "view.width === 48 && document.getElementById('empty').hidden")
    stroke(page, 0.5)
    show(page, "change")
    page.fill("#phrase", "an apple on a table")
    page.evaluate("document.getElementById('phrase').setSelectionRange(3, 8)")
    show(page, "history")
    page.locator("#queue li", has_text="a slow sun (painting)").wait_for()
    until(page, "document.getElementById('chips').textContent.includes('a red apple')")

    def seen() -> Any:
        return page.evaluate(
            """() => {
                const $ = (id) => document.getElementById(id);
                const field = document.activeElement;
                return [
                    ...["view", "strokes", "plot"].map((id) => $(id).toDataURL()),
                    ...["clock", "status", "tree", "chips", "note"].map((id) => $(id).innerHTML),
                    document.body.dataset.status, $("prompt").value,
                    field.id, field.selectionStart, field.selectionEnd,
                ];
            }"""
        )

    def behind() -> int:
        return int(next(run["step"] for run in studio.runs(page) if run["status"] == "painting"))

    before, start = seen(), behind()
    hold(lambda: behind() >= start + 60)
    assert seen() == before
    assert texts(page, "#tree .run") == ["a red apple · done"]
    show(page, "history")
    page.click("#queue .cancel")
    until(page, "document.querySelectorAll('#queue .cancel').length === 0")
