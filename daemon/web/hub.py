"""The hub: one look at the log for all pages that listen, one rendering for all that show the same.

It lives in the event loop; it reads in one thread beside it and renders in another. Each page is sent the
events behind those it has, in the order of the log and each once, and the parts that have changed. Rendering
keeps to a share of a core, and no event waits for it: the parts of a busy log come a little later.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import structlog

from daemon.web.messages import HEARTBEAT, Message, encoded
from daemon.web.news import News
from daemon.web.view import View

LOOK_SECONDS = 0.1  # between two questions for the head of the log
ROUND_SECONDS = 0.25  # between two messages to one view
TICK_SECONDS = 5.0  # between two renderings when nothing happened: clocks, loads, who is alive
HEARTBEAT_SECONDS = 15.0  # between two signs of life to a page that has nothing to hear
SHARE = 0.05  # of a core for renderings in the long run
SAVED_SECONDS = 0.3  # of it that may be spent at once after a quiet time
TELL_SECONDS = 60.0  # between two lines of what fails

log = structlog.get_logger("page")
Render = Callable[[View], Mapping[str, str]]
T = TypeVar("T")


@dataclasses.dataclass(slots=True, eq=False)
class Listener:
    """One open page: how far it has come, and what waits to be sent to it.

    Attributes:
        view: what it shows.
        queued: seq of the last event that it has or that waits for it.
        is_whole: whether it was given every part of its view once.
        pending: what waits.
        woken: set while something waits, if only a sign of life.
        woken_at: when that was last.
    """

    view: View
    queued: int
    is_whole: bool = False
    pending: Message | None = None
    woken: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)
    woken_at: float = 0.0

    def give(self, message: Message, now: float) -> None:
        """Let a message wait for the page, put together with one that waits already."""
        self.pending = message if self.pending is None else self.pending.then(message)
        self.wake(now)

    def wake(self, now: float) -> None:
        """Have what waits be sent, or a sign of life."""
        self.woken_at = now
        self.woken.set()

    def take(self) -> bytes:
        """Take what waits, as it goes over the wire: a sign of life where there is nothing."""
        self.woken.clear()
        message, self.pending = self.pending, None
        return HEARTBEAT if message is None else message.text(self.queued)


@dataclasses.dataclass(slots=True, eq=False)
class Room:
    """All pages that show the same, with the parts as they were last rendered, encoded."""

    view: View
    listeners: set[Listener] = dataclasses.field(default_factory=set)
    parts: dict[str, str] = dataclasses.field(default_factory=dict)
    rendered_seq: int = -1
    rendered_at: float = float("-inf")
    told_at: float = float("-inf")
    rests_until: float = float("-inf")  # after a rendering that failed

    @property
    def has_new(self) -> bool:
        """Whether a page has just come that was given nothing yet."""
        return any(not listener.is_whole for listener in self.listeners)


class Hub:
    """Keeps every listening page up to date until it is closed."""

    def __init__(
        self,
        news: News,
        render: Render,
        *,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.thread_time,
        rendered: Callable[[], object] = lambda: None,
    ) -> None:
        self._news, self._render, self._clock, self._cpu_clock = news, render, clock, cpu_clock
        self._rendered = rendered
        self._rooms: dict[View, Room] = {}
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="hub-reading")
        self._rendering = ThreadPoolExecutor(1, thread_name_prefix="hub-rendering")
        self._tasks: dict[Callable[[], Awaitable[None]], asyncio.Task[None]] = {}
        self._head: int | None = None  # of the log; None while it does not answer
        self._credit, self._credited_at = SAVED_SECONDS, clock()
        self._tell_at = float("-inf")
        self.closed = False

    def join(self, view: View, after: int | None) -> Listener:
        """Let a page listen; it is sent all that came behind `after`, None for what comes from now on."""
        listener = Listener(view=view, queued=-1 if after is None else after, woken_at=self._clock())
        self._rooms.setdefault(view, Room(view=view)).listeners.add(listener)
        for work in (self.look, self.renew):
            if work not in self._tasks or self._tasks[work].done():
                self._tasks[work] = asyncio.get_running_loop().create_task(self._repeat(work))
        return listener

    def leave(self, listener: Listener) -> None:
        """Forget a page."""
        room = self._rooms.get(listener.view)
        if room is not None:
            room.listeners.discard(listener)
            if not room.listeners:
                del self._rooms[listener.view]

    def close(self) -> None:
        """End every page's stream; called inside the event loop."""
        self.closed = True
        for listener in self._listeners():
            listener.woken.set()

    async def finish(self) -> None:
        """Let go of the threads and their connections; called when nobody listens any more."""
        self.close()
        for task in self._tasks.values():
            task.cancel()
        for thread in (self._reading, self._rendering):
            await asyncio.get_running_loop().run_in_executor(thread, self._news.close)
            thread.shutdown(wait=False)

    @property
    def count(self) -> int:
        """How many pages listen."""
        return sum(len(room.listeners) for room in self._rooms.values())

    async def _repeat(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do it again and again while anybody listens."""
        while self._rooms and not self.closed:
            await work()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Look at the log and bring every page the new events; a log that does not answer is asked again."""
        self._show_life()
        self._head = await self._beside(self._reading, self._news.head)
        if self._head is not None:
            await self._bring_events(self._head)

    async def renew(self) -> None:
        """Render what is due and bring every page the parts that changed; nothing while the log is silent."""
        if (head := self._head) is not None:
            for room in self._due(head):
                await self._bring_parts(room, head)

    def _show_life(self) -> None:
        now = self._clock()
        for listener in self._listeners():
            if now - listener.woken_at >= HEARTBEAT_SECONDS:
                listener.wake(now)

    async def _bring_events(self, head: int) -> None:
        """Queue the events behind what each page has; those at the same place share them."""
        now = self._clock()
        places: dict[int, list[Listener]] = {}
        for room in self._rooms.values():
            behind = [listener for listener in room.listeners if listener.queued != head]
            if behind and (room.has_new or now - room.told_at >= ROUND_SECONDS):
                room.told_at = now
                for listener in behind:
                    places.setdefault(listener.queued, []).append(listener)
        for after, listeners in places.items():
            message = await self._beside(self._reading, partial(self._news.behind, after, head))
            if message is not None:
                for listener in listeners:
                    listener.queued = head
                    listener.give(message, now)

    def _due(self, head: int) -> Iterator[Room]:
        """Yield the rooms to be rendered, the one that has waited longest first, while there is credit."""
        for room in sorted(self._rooms.values(), key=lambda room: room.rendered_at):
            now = self._clock()
            waited = now - room.rendered_at
            wanted = room.rendered_seq != head or waited >= TICK_SECONDS or room.has_new
            rested = waited >= ROUND_SECONDS and now >= room.rests_until
            if wanted and rested and self._rooms.get(room.view) is room and self._has_credit(now):
                yield room

    async def _bring_parts(self, room: Room, head: int) -> None:
        """Render a view and queue what has changed; a page that has had nothing yet gets all of it."""
        room.rendered_at = self._clock()
        made = await self._beside(self._rendering, partial(self._made, room.view))
        if made is None:
            room.rests_until = self._clock() + TICK_SECONDS
            return
        parts, seconds = made
        self._credit -= seconds
        changed = {name: text for name, text in parts.items() if room.parts.get(name) != text}
        room.parts, room.rendered_seq = parts, head
        update, whole = Message(parts=changed), Message(parts=parts)
        now = self._clock()
        for listener in room.listeners:
            if listener.queued < 0:
                continue  # it is not settled yet from where on it listens: all of it comes with the next
            if not listener.is_whole:
                listener.is_whole = True
                listener.give(whole, now)
            elif changed:
                listener.give(update, now)

    def _made(self, view: View) -> tuple[dict[str, str], float]:
        began_at = self._cpu_clock()
        parts = {name: encoded(html) for name, html in self._render(view).items()}
        self._rendered()
        return parts, self._cpu_clock() - began_at

    def _has_credit(self, now: float) -> bool:
        self._credit = min(SAVED_SECONDS, self._credit + SHARE * (now - self._credited_at))
        self._credited_at = now
        return self._credit > 0

    async def _beside(self, thread: ThreadPoolExecutor, work: Callable[[], T]) -> T | None:
        """Do work in a thread beside the loop; None where it failed, which is told now and then."""
        task = asyncio.wrap_future(thread.submit(work))
        await asyncio.wait((task,))
        error = task.exception()
        if error is None:
            return task.result()
        if self._clock() >= self._tell_at:
            self._tell_at = self._clock() + TELL_SECONDS
            log.warning("listening pages hear nothing new; trying again", cause=repr(error), exc_info=error)
        return None

    def _listeners(self) -> list[Listener]:
        return [listener for room in self._rooms.values() for listener in room.listeners]
