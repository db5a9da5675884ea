"""Who is painted when: fair turns, one place in the queue for a run, a painter that goes on."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gouache.apps.studio.orders import Limits
from gouache.apps.studio.runs import Run, load_runs
from gouache.apps.studio.turns import QueueFullError, Turns
from gouache.apps.studio.worker import Studio
from gouache.errors import ConfigError, GouacheError
from studio_tiny import Gate, gated, order, reaches, tiny_build, until


@pytest.fixture
def studio(tmp_path: Path, gate: Gate) -> Iterator[Studio]:
    with gated(tmp_path / "runs", gate, Limits(queue=30, queue_each=8)) as studio:
        yield studio


def paused(studio: Studio, gate: Gate, owner: str = "ada") -> Run:
    gate.open.clear()
    run = studio.submit(order(), owner)
    reaches(run, "painting")
    studio.pause(run)
    gate.open.set()
    reaches(run, "paused")
    return run


def together(count: int, call: Callable[[], Any]) -> list[bool]:
    """Which of `count` concurrent calls were taken."""
    barrier = threading.Barrier(count)

    def one(_: int) -> bool:
        barrier.wait()
        try:
            call()
        except ConfigError:
            return False
        return True

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_a_run_is_queued_once_however_often_it_is_continued(
    studio: Studio, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = paused(studio, gate)
    gate.open.clear()
    blocking = studio.submit(order("another"), "bob")
    reaches(blocking, "painting")
    changed = Run.changed

    def slow(self: Run, **values: Any) -> None:
        time.sleep(0.02)  # for the others to come in between, if they can
        changed(self, **values)

    monkeypatch.setattr(Run, "changed", slow)
    taken = together(12, lambda: studio.go_on(run, "a blue pear"))
    monkeypatch.undo()
    assert taken.count(True) == 1
    assert studio.position(run) == 1
    gate.open.set()
    reaches(run, "done")
    studio.delete(run)
    last = studio.submit(order("the last"), "bob")
    reaches(last, "done")


def test_deleting_and_continuing_at_once_leaves_the_painter_alive(
    studio: Studio, gate: Gate
) -> None:
    for _ in range(5):
        run = paused(studio, gate)
        run.status = "interrupted"  # which both may be asked of
        together(2, lambda run=run: studio.go_on(run))  # type: ignore[misc]
        calls = iter([lambda run=run: studio.delete(run), lambda run=run: studio.go_on(run)] * 2)
        together(4, lambda calls=calls: next(calls)())  # type: ignore[misc]
        reaches(studio.submit(order("after"), "bob"), "done")


def test_a_run_that_is_gone_from_the_list_while_it_waits(studio: Studio, gate: Gate) -> None:
    first, second = studio.submit(order(), "ada"), studio.submit(order("two"), "ada")
    reaches(first, "painting")
    del studio.runs[second.id]
    gate.open.set()
    reaches(studio.submit(order("three"), "ada"), "done")


@pytest.mark.parametrize("error", [MemoryError, KeyError, RecursionError, ValueError])
@pytest.mark.parametrize("name", ["changed", "save_about", "noted"])
def test_mistakes_in_bookkeeping_fail_one_run(
    studio: Studio, gate: Gate, monkeypatch: pytest.MonkeyPatch, error: type[Exception], name: str
) -> None:
    gate.open.set()
    first = studio.submit(order(), "ada")
    reaches(first, "done")
    thread = studio._posts[0].thread
    true = getattr(Run, name)

    def broken(self: Run, *told: Any, **more: Any) -> Any:
        if threading.current_thread() is thread and self.config.title == "broken":
            raise error("x")
        return true(self, *told, **more)

    monkeypatch.setattr(Run, name, broken)
    bad = studio.submit(order("broken"), "ada")
    good = studio.submit(order("good"), "ada")
    reaches(good, "done")
    reaches(bad, "failed", "done")
    assert (bad.status == "failed") == (name != "noted")
    assert studio._posts[0].thread is thread
    assert thread.is_alive()


@pytest.mark.parametrize("error", [MemoryError, SystemExit, KeyboardInterrupt, GeneratorExit])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_lost_thread_is_replaced_and_its_run_marked(
    tmp_path: Path, error: type[BaseException]
) -> None:
    def build(asked: Any) -> Any:
        if asked.config.title == "deadly":
            raise error
        return tiny_build(asked)

    studio = Studio(tmp_path / "runs", build=build)
    lost = studio.submit(order("deadly"), "ada")
    waiting = studio.submit(order("waits"), "bob")
    until(lambda: studio.position(waiting) == 0 and waiting.status == "done")
    reaches(lost, "failed", "interrupted")
    assert lost.error
    assert studio.position(lost) == 0
    [kept] = [run for run in load_runs(studio.root) if run.id == lost.id]
    assert kept.status == lost.status
    studio.close()


def test_visitors_take_turns_and_continuing_counts(studio: Studio, gate: Gate) -> None:
    resumed = paused(studio, gate, "greedy")
    gate.open.clear()
    gate.begun.clear()
    reaches(studio.submit(order("first"), "greedy"), "painting")
    for k in range(4):
        studio.submit(order(f"greedy {k}"), "greedy")
    calm = studio.submit(order("calm"), "calm")
    studio.go_on(resumed)  # before the visitor's own, not before the others'
    runs = {run.config.title: run for run in studio.runs.values()}
    assert studio.position(resumed) == 1
    assert studio.position(calm) == 2
    assert [studio.position(runs[f"greedy {k}"]) for k in range(4)] == [3, 4, 5, 6]
    gate.open.set()
    reaches(runs["greedy 3"], "done")
    assert gate.begun == ["first", "calm", *(f"greedy {k}" for k in range(4))]


def test_one_visitor_cannot_fill_the_queue(studio: Studio, gate: Gate) -> None:
    first = paused(studio, gate)
    gate.open.clear()
    reaches(studio.submit(order("blocks"), "ada"), "painting")
    for _ in range(8):
        studio.submit(order(), "ada")
    with pytest.raises(QueueFullError, match="8 pictures of yours"):
        studio.submit(order(), "ada")
    with pytest.raises(QueueFullError, match="8 pictures of yours"):
        studio.go_on(first)
    assert first.status == "paused"
    assert studio.position(studio.submit(order(), "bob")) == 2
    assert len(list((studio.root / "runs").iterdir())) == len(studio.runs)


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=60))
def test_no_visitor_is_served_twice_while_another_waits(moves: list[tuple[int, bool]]) -> None:
    """Whoever waits is served after each other visitor at most once."""
    turns, number = Turns(100, 100), 0
    overtaken: Counter[str] = Counter()  # of who waits: served since, by visitor
    for owner, add in moves:
        if add:
            run = Run(f"{number}", f"{owner}", Path(), config=order().config)
            number += 1
            turns.add(run)
            turns.add(run)  # once is enough
        elif (served := turns.next()) is not None:
            for other in turns._lines:
                if other != served.owner:
                    overtaken[f"{other}<{served.owner}"] += 1
            for key in [key for key in overtaken if key.startswith(f"{served.owner}<")]:
                del overtaken[key]
        assert all(count <= 1 for count in overtaken.values())
    order_told = sorted((run for line in turns._lines.values() for run in line), key=turns.position)
    assert [turns.next() for _ in order_told] == order_told
    assert turns.next() is None


@pytest.mark.parametrize("words", ["a red apple:0", "", "   ", "a ^ b", "a:0 | b:0", "a | ", "\0"])
def test_words_that_cannot_be_painted_leave_the_run_paused(
    studio: Studio, gate: Gate, words: str
) -> None:
    run = paused(studio, gate)
    with pytest.raises(GouacheError) as told:
        studio.go_on(run, words)
    assert "\n" not in str(told.value)
    assert (run.status, studio.position(run), run.error) == ("paused", 0, "")
    run.session = None  # as of one that left the memory
    with pytest.raises(GouacheError):
        studio.go_on(run, words)
    assert run.status == "paused"


def test_a_new_run_of_nothing_is_refused(studio: Studio) -> None:
    with pytest.raises(ConfigError, match="weight 0"):
        studio.submit(order("a red apple:0"), "ada")
    assert studio.runs == {}
    assert list((studio.root / "runs").iterdir()) == []


def test_words_that_fail_later_pause_the_run_again(
    studio: Studio, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = paused(studio, gate)
    monkeypatch.setattr("gouache.apps.studio.worker.check_words", lambda run, text: None)
    studio.go_on(run, "a red apple:0")
    until(lambda: run.error != "")
    reaches(run, "paused")
    monkeypatch.undo()
    studio.go_on(run, "a blue pear")
    reaches(run, "done")
    assert run.config.title == "a blue pear"


def test_a_run_is_painted_before_ones_own_others_which_go_on_by_themselves(
    studio: Studio, gate: Gate
) -> None:
    """Of a group that is painted all let it pass; nobody else's are touched."""
    three = studio.submit_all(replace(order("three", steps=[12]), count=3), "ada")
    for run in three:
        reaches(run, "painting")
    waits = studio.submit(order("waits"), "ada")
    wanted = studio.submit(order("wanted"), "ada")
    stranger = studio.submit(order("a stranger's"), "bob")
    studio.put_first(wanted)
    assert all(run.wish == "pause" for run in three)
    assert studio.position(wanted) < studio.position(waits)
    assert stranger.wish == ""
    gate.open.set()
    for run in (wanted, waits, stranger, *three):
        reaches(run, "done")
    assert gate.begun[3:] == ["wanted", "a stranger's", "waits"]
    assert all(run.step == 12 for run in three)
    with pytest.raises(ConfigError, match="queued"):
        studio.put_first(wanted)


def test_who_let_another_pass_does_as_it_is_told_meanwhile(studio: Studio, gate: Gate) -> None:
    before = studio.submit(order("before", steps=[12]), "ada")
    reaches(before, "painting")
    wanted = studio.submit(order("wanted"), "ada")
    studio.put_first(wanted)
    studio.stop(before)
    gate.open.set()
    reaches(before, "stopped")
    reaches(wanted, "done")
