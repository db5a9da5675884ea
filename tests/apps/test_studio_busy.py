"""What takes long is bounded, and ends when it is not wanted."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from PIL import Image

from gouache import halting
from gouache.apps.studio.bodies import BusyError
from gouache.apps.studio.http import make_app
from gouache.apps.studio.worker import Studio
from gouache.apps.studio.workshop import EagerError, Workshop
from gouache.editing.crops import embed_crops
from gouache.engine import Session
from gouache.halting import Halted
from studio_tiny import order, reaches, tiny_build, until
from tiny import TinyGenerator, TinyPerceptor, tiny_config, tiny_session


def test_many_mask_requests_leave_the_page_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, begun = threading.Event(), Counter[str]()

    def slow(*_: object, **__: object) -> Any:
        begun["masks"] += 1
        go.wait(60)
        raise AssertionError("nobody waits for this")

    monkeypatch.setattr("gouache.apps.studio.http.find_mask", slow)
    studio = Studio(tmp_path / "runs", build=tiny_build)
    app = make_app(studio)

    async def visit() -> tuple[list[httpx.Response], list[int]]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        visitors = [httpx.AsyncClient(transport=transport, base_url="http://t") for _ in range(8)]
        picture = tmp_path / "x.png"
        Image.new("RGB", (32, 32), "red").save(picture)
        asked = []
        for visitor in visitors:
            sent = await visitor.post("/api/images", content=picture.read_bytes())
            body = {"image": sent.json()["id"], "phrase": "a red apple"}
            asked += [
                asyncio.create_task(visitor.post("/api/masks", json=body, timeout=60))
                for _ in range(10)
            ]
        await asyncio.sleep(0.2)
        pages = [(await visitors[0].get("/")).status_code for _ in range(5)]  # while they are busy
        assert sum(task.done() for task in asked) == 72
        go.set()
        return await asyncio.gather(*asked), pages

    answers, pages = asyncio.run(visit())
    studio.close()
    assert pages == [200] * 5
    refused = [answer for answer in answers if answer.status_code in (429, 503)]
    assert len(refused) == 72
    assert {answer.status_code for answer in refused} == {429, 503}
    assert all("\n" not in answer.json()["error"] for answer in refused)


def test_a_workshop_bounds_each_and_all_and_frees_places() -> None:
    shop, go = Workshop("tests", workers=1, limit=3, each=2), threading.Event()

    async def work() -> None:
        slow = [asyncio.create_task(shop.run(who, lambda: go.wait(60))) for who in "aab"]
        await asyncio.sleep(0)
        with pytest.raises(EagerError):
            await shop.run("a", lambda: 1)
        with pytest.raises(BusyError):
            await shop.run("c", lambda: 1)
        go.set()
        assert await asyncio.gather(*slow) == [True] * 3
        with pytest.raises(ZeroDivisionError):
            await shop.run("a", lambda: 1 // 0)
        assert await shop.run("a", lambda: 5) == 5

    asyncio.run(work())
    assert not shop._taken
    shop.close()


def test_work_ends_when_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gouache.apps.studio.workshop.GONE_EVERY", 0.01)
    shop, ended = Workshop("tests"), threading.Event()

    def endless() -> None:
        try:
            while True:
                halting.check()
                time.sleep(0.001)
        except Halted:
            ended.set()
            raise

    async def gone() -> bool:
        return True

    with pytest.raises(BusyError):
        asyncio.run(shop.run("a", endless, gone))
    assert ended.wait(60)
    shop.close()


def after(count: int) -> Callable[[], bool]:
    """Wanted from the `count`-th question on."""
    asked = iter(range(10**9))
    return lambda: next(asked) >= count


def test_a_halted_step_is_done_again_with_the_same_result() -> None:
    plain, halted = tiny_session(bank_size=5), tiny_session(bank_size=5)
    for session in (plain, halted):
        session.models.memory.chunk = 2
        next(session)
    for questions in range(4):
        with halting.halting(after(questions)), pytest.raises(Halted):
            next(halted)
    for left, right in zip(plain, halted, strict=True):
        assert torch.equal(left.image, right.image)
    assert torch.equal(plain.picture(), halted.picture())


def test_tries_of_a_start_can_be_halted() -> None:
    config = tiny_config(start_tries=8, start_steps=3)
    seen = []
    for questions in (0, 3, 20):
        generator = TinyGenerator()
        with halting.halting(after(questions)), pytest.raises(Halted):
            Session.build(config, generator=generator, perceptor=TinyPerceptor())
        seen.append(generator.decodes)
    assert seen == sorted(seen)


def test_a_search_for_a_mask_can_be_halted() -> None:
    with halting.halting(after(1)), pytest.raises(Halted):
        embed_crops(torch.rand(1, 3, 64, 64), TinyPerceptor())


def test_questions_are_of_one_thread_and_end() -> None:
    told: list[str] = []

    def other() -> None:
        halting.check()
        told.append("went on")

    with halting.halting(lambda: True):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    halting.check()
    assert told == ["went on"]


def test_stop_ends_the_tries_of_a_start(tmp_path: Path) -> None:
    begun = threading.Event()

    def build(asked: Any) -> Session:
        begun.set()
        while True:  # as many tries as it takes
            tiny_build(asked)
            halting.check()

    studio = Studio(tmp_path / "runs", build=build)
    run = studio.submit(order(), "ada")
    assert begun.wait(60)
    studio.stop(run)
    reaches(run, "cancelled")
    begun.clear()
    last = studio.submit(order(), "ada")
    assert begun.wait(60)
    studio.close()
    assert last.status == "queued"  # and so it will be when the server is back


def test_stop_and_pause_end_a_long_step(tmp_path: Path) -> None:
    free, inside = threading.Event(), threading.Event()

    def build(asked: Any) -> Session:
        session = tiny_build(asked)
        advance = session._advance

        def long() -> Any:
            inside.set()
            while not free.is_set():  # chunk after chunk
                halting.check()
                time.sleep(0.001)
            return advance()

        session._advance = long  # type: ignore[method-assign]
        return session

    studio = Studio(tmp_path / "runs", build=build)
    for wish, status in ((studio.stop, "stopped"), (studio.pause, "paused")):
        inside.clear()
        run = studio.submit(order(), "ada")
        assert inside.wait(60)
        wish(run)
        reaches(run, status)
        assert run.step == 0
    free.set()
    studio.go_on(run)
    reaches(run, "done")
    until(lambda: not studio._at_work)
    studio.close()
