"""The bot: takes orders of people in a chat, and brings each one's message up to date.

An order is on the disk (its runs, then its entry in the book) before it is acknowledged. It has one
message, which is edited until it shows the result: to do that twice shows nothing twice.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from gouache.apps.bot import orders
from gouache.apps.bot.adapter import (
    Adapter,
    DeliveryError,
    Event,
    GoneError,
    Message,
    Ordered,
    Pressed,
)
from gouache.apps.bot.book import DAY, Book, Entry, key_of, recent
from gouache.apps.bot.orders import Limits, has_picture
from gouache.apps.bot.telling import Teller
from gouache.apps.studio.orders import installed_models, read_order
from gouache.apps.studio.owners import owner_of
from gouache.apps.studio.runs import Run
from gouache.apps.studio.worker import Studio
from gouache.errors import ConfigError, GouacheError
from gouache.prompts import one_line

RESTARTS = 3  # of the bot without a step of the order in between; then it is given up
_FINAL = ("done", "stopped", "failed", "cancelled")


class Bot:
    """Between a chat service and the studio's thread, which paints.

    `run` serves until it is cancelled; the studio is whoever made it's to close.
    """

    def __init__(self, studio: Studio, adapter: Adapter, limits: Limits | None = None) -> None:
        self.book = Book(studio.root)
        self._studio = studio
        self._adapter = adapter
        self._limits = limits or Limits()
        self._teller = Teller(studio.root, adapter.text_limit, adapter.file_limit)
        self._models = installed_models()
        self._taking = asyncio.Lock()  # one after the other, so that limits hold
        self._answering: set[str] = set()  # orders whose first message is on its way
        self._shown: dict[str, tuple[Any, ...]] = {}  # what each open order's message shows
        self._complained: set[str] = set()

    async def run(self) -> None:
        """Goes on with what an earlier process accepted, and serves."""
        await asyncio.to_thread(self._go_on)
        telling = asyncio.create_task(self._keep_telling())
        try:
            await self._adapter.serve(self.handle)
        finally:
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling

    async def handle(self, event: Event) -> None:
        """Takes an order or a button, and answers. An event that is told again is not taken."""
        async with self._taking:
            key = key_of(self._adapter.name, event.id)
            if key in self.book:
                return
            try:
                taken = await asyncio.to_thread(self._take, event, key)
            except GouacheError as error:
                taken = self._teller.line(error)
            except Exception as error:  # a mistake of ours ends nobody else's orders
                taken = self._teller.line(f"this failed unexpectedly ({one_line(error, 120)})")
        if isinstance(taken, str):
            with suppress(GouacheError):
                await self._adapter.answer(event, Message(taken), private=True)
            return
        try:
            message = await asyncio.to_thread(self._progress, taken)
            taken.message = await self._adapter.answer(event, message)
            await asyncio.to_thread(self.book.save, taken)
        except GouacheError:
            pass  # it is in the book: its message comes as soon as it can
        finally:
            self._answering.discard(taken.key)

    def _take(self, event: Event, key: str) -> Entry | str:
        """What is answered: an order for all to see, or a line for who asked."""
        if isinstance(event, Ordered):
            return self._order(event, key, "imagine", orders.imagined(event.options))
        assert isinstance(event, Pressed)
        do, _, name = event.action.partition(":")
        if do in ("cancel", "again"):
            entry = self.book.get(name)
            if entry is None:
                raise ConfigError("this order is not known any more; order it again")
            if do == "cancel":
                return self._cancel(entry, self._owner(event))
            return self._order(event, key, "again", orders.again(entry.document))
        run = self._studio.runs.get(name)
        if do not in ("vary", "evolve", "choose", "film"):
            raise ConfigError(f"there is no button {one_line(do, 40)!r} any more; order it again")
        if run is None or not has_picture(run):
            raise ConfigError("this picture is not there any more; choose another one")
        if do == "choose":
            self.book.choose(self._owner(event), run.id)
            return "chosen: Evolve on another picture crosses it with this one"
        if do == "film":
            return self._accept(event, key, "film", [run], {})
        if do == "vary":
            return self._order(event, key, do, orders.varied(run))
        partner = self._partner(self._owner(event), run)
        return self._order(event, key, do, orders.evolved(run, partner))

    def _owner(self, event: Event) -> str:
        return owner_of(f"{self._adapter.name} {event.user}")

    def _order(self, event: Event, key: str, what: str, document: dict[str, Any]) -> Entry:
        runs = self._studio.runs
        order = read_order(
            document,
            self._studio.limits,
            lambda name: orders.find_image(runs, name),
            self._models,
        )
        owner = self._owner(event)
        self._admit(owner, order.count)
        painted = self._studio.submit_all(order, owner)
        try:
            return self._accept(event, key, what, painted, document)
        except BaseException:
            self._stop(painted)
            raise

    def _accept(
        self, event: Event, key: str, what: str, runs: Sequence[Run], document: dict[str, Any]
    ) -> Entry:
        owner = self._owner(event)
        if what == "film":
            self._admit(owner, 0)
        names = [run.id for run in runs]
        entry = Entry(key, owner, event.channel, what, names, document, time.time())
        self._answering.add(key)
        try:
            self.book.add(entry)
        except BaseException:
            self._answering.discard(key)
            raise
        return entry

    def _admit(self, owner: str, pictures: int) -> None:
        """`ConfigError` where this is too much, of this person or of all."""
        limits, waiting = self._limits, self.book.open()
        own = sum(entry.owner == owner for entry in waiting)
        if own >= limits.waiting:
            raise ConfigError(
                f"{own} orders of yours wait, at most {limits.waiting} may; cancel one or try "
                "again later"
            )
        if len(waiting) >= limits.queue:
            raise ConfigError(f"{len(waiting)} orders wait, which is all there may; try later")
        entries = [entry for entry in recent(self.book.of(owner)) if entry.paints]
        had = [entry for entry in entries for _ in self._counted(entry)]
        if pictures and len(had) + pictures > limits.daily:
            hours = (min(entry.created for entry in had) + DAY - time.time()) / 3600 if had else 24
            raise ConfigError(
                f"you had {len(had)} pictures in 24 hours and ask for {pictures}; at most "
                f"{limits.daily} are painted for one person: ask for fewer, or in {hours:.1f} hours"
            )

    def _counted(self, entry: Entry) -> list[str]:
        """The pictures of an order that were, or will be, painted."""
        runs = self._studio.runs
        return [
            name
            for name in entry.runs
            if name not in runs or runs[name].status not in ("cancelled", "failed")
        ]

    def _partner(self, owner: str, run: Run) -> Run:
        """What a picture is crossed with: the one that was chosen, else this person's last one."""
        own = [name for entry in self.book.of(owner) if entry.paints for name in entry.runs]
        for name in (self.book.chosen(owner), *reversed(own)):
            found = self._studio.runs.get(name)
            if found is not None and found is not run and has_picture(found):
                return found
        raise ConfigError(
            "there is no other picture of yours to cross it with; order one, or press Choose on one"
        )

    def _cancel(self, entry: Entry, owner: str) -> str:
        if entry.owner != owner:
            raise ConfigError("only who ordered it may cancel it")
        if entry.answered:
            raise ConfigError("this order is finished already")
        entry.cancelled = True
        self.book.save(entry)
        if entry.paints:
            self._stop(self._runs(entry))
        return "cancelled"

    def _stop(self, runs: Sequence[Run]) -> None:
        for run in runs:
            with suppress(GouacheError):  # it has ended by itself
                self._studio.stop(run)

    def _runs(self, entry: Entry) -> list[Run]:
        known = self._studio.runs
        return [known[name] for name in entry.runs if name in known]

    def _go_on(self) -> None:
        """Continues what was painted when the process before this one ended."""
        for entry in self.book.open():
            runs = self._runs(entry)
            if not entry.paints:
                continue
            if entry.cancelled:
                self._stop(runs)
                continue
            begun = [run for run in runs if run.status == "interrupted"]
            if not begun:
                continue
            reached = sum(run.step for run in runs)
            entry.restarts = 1 if reached > entry.reached else entry.restarts + 1
            entry.reached = reached
            self.book.save(entry)
            if entry.restarts <= RESTARTS:
                for run in reversed(begun):  # each is put first
                    self._studio.go_on(run)

    async def _keep_telling(self) -> None:
        while True:
            for entry in sorted(self.book.open(), key=self._waits):
                if entry.key in self._answering:
                    continue
                try:
                    if await self._tell(entry) and self._waits(entry):
                        break  # places in the queue change for many at once: one a round
                except GoneError as error:
                    await self._gone(entry, error)
                except DeliveryError as error:
                    self._complain("service", f"{self._adapter.name}: {self._teller.line(error)}")
                except Exception as error:  # the others' messages go on
                    self._complain(
                        entry.key, f"order {entry.key}: {self._teller.line(one_line(error))}"
                    )
            await asyncio.sleep(self._adapter.edit_seconds)

    async def _tell(self, entry: Entry) -> bool:
        """Brings an order's message up to date; whether there was news."""
        if entry.answered:  # which could not be written before
            await asyncio.to_thread(self.book.save, entry)
            return False
        runs = self._runs(entry)
        final = not entry.paints or self._ended(entry, runs)
        if not entry.message:
            found = await self._adapter.find(entry.channel, f"cancel:{entry.key}")
            if found is None:
                message = await asyncio.to_thread(self._progress, entry)
                found = await self._adapter.send(entry.channel, message)
            entry.message = found
            await asyncio.to_thread(self.book.save, entry)
        elif not final:
            mark = (self._before(runs), *(run.version for run in runs))
            if self._shown.get(entry.key) == mark:
                return False
            message = await asyncio.to_thread(self._progress, entry)
            await self._adapter.edit(entry.channel, entry.message, message)
            self._shown[entry.key] = mark
        if final:
            message = await asyncio.to_thread(self._result, entry)
            await self._adapter.edit(entry.channel, entry.message, message)
            entry.answered = True
            await asyncio.to_thread(self.book.save, entry)
            self._shown.pop(entry.key, None)
        return True

    def _waits(self, entry: Entry) -> bool:
        """Whether its message tells only its place in the queue."""
        statuses = {run.status for run in self._runs(entry)}
        return bool(entry.message) and entry.paints and statuses == {"queued"}

    def _ended(self, entry: Entry, runs: Sequence[Run]) -> bool:
        given_up = entry.cancelled or entry.restarts > RESTARTS
        final = (*_FINAL, "interrupted") if given_up else _FINAL
        return all(run.status in final and self._studio.settled(run) for run in runs)

    def _before(self, runs: Sequence[Run]) -> int:
        """How many pictures are painted before the first of an order that waits."""
        return max(0, min((self._studio.position(run) for run in runs), default=0) - 1)

    def _progress(self, entry: Entry) -> Message:
        runs = self._runs(entry)
        return self._teller.progress(entry, runs, self._before(runs))

    def _result(self, entry: Entry) -> Message:
        runs = self._runs(entry)
        try:
            make = self._teller.result if entry.paints else self._teller.film
            return make(entry, runs)
        except GouacheError as error:
            return self._teller.failed(entry, runs, str(error))

    async def _gone(self, entry: Entry, error: GoneError) -> None:
        """The message was deleted: another takes its place. Without a channel the order ends."""
        if entry.message:
            entry.message = ""
        else:
            self._complain(entry.key, f"order {entry.key}: {self._teller.line(error)}")
            entry.answered = True
            self._stop(self._runs(entry) if entry.paints else ())
        with suppress(GouacheError):
            await asyncio.to_thread(self.book.save, entry)

    def _complain(self, key: str, line: str) -> None:
        """Once for each order, to whoever runs the bot; never words of people."""
        if key not in self._complained:
            self._complained.add(key)
            print(f"gouache: {line}", file=sys.stderr)


__all__ = ["RESTARTS", "Bot"]
