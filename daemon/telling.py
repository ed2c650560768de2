"""People are told: each channel follows the event log in a thread of its own and repeats until it is heard.

What has happened is in the log, so nothing is kept beside it but how far each channel has come. A restart
goes on there: it loses no notice, and one that it repeats has the id it had before.

Of several hosts that work on one log and have the same channel, one follows the log for all of them. When it
is gone, the next one goes on where it was. What is no event is told by the host that it is about.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from daemon.channels import Channel, NotDelivered, channels_of
from daemon.cursor import Cursor, open_cursor
from daemon.identity import Identity
from daemon.notices import EVENT_KINDS, QUIET_SECONDS, Notice, notice_of
from daemon.settings import Settings
from daemon.stuck import Stuck
from store.errors import StoreError
from store.ids import new_event_id
from store.plan_store import PlanStore
from store.residence import NoResidence, Residence

log = structlog.get_logger("telling")

LOOK_SECONDS = 1.0  # between two questions whether something happened
PAGE = 200
EXTRA_MAX = 100  # notices that are no events kept for a channel that is down, the newest
WAIT_SECONDS, WAIT_SECONDS_MAX = 1.0, 300.0  # before a notice is tried again: doubled each time
TRIES_MIN, GIVE_UP_SECONDS = 12, 86_400.0  # both must be over before a notice is given up
TRIES_REFUSED = 5  # of a notice whose receiver took offence at it
NOTED_SECONDS = 60.0  # how often it is noted that there was nothing to tell
CLOSING_SECONDS = 5.0
REVIVE_SECONDS = 60.0  # before a courier that a defect of ours has ended is sent out again


class Courier:
    """Brings notices to one channel, in the order of the log, each at least once.

    Without a cursor it leaves the log to another host, and tells only what it is given.
    """

    def __init__(
        self,
        channel: Channel,
        store: PlanStore,
        cursor: Cursor | None,
        *,
        settings: Settings,
        host: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.channel, self._store, self.cursor = channel, store, cursor
        self._wanted, self._host, self._clock = frozenset(settings.notify_on), host, clock
        self._stuck = Stuck(settings.stuck_seconds, host=host, clock=clock)
        self._extra: deque[Notice] = deque(maxlen=EXTRA_MAX)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"telling {channel.name}", daemon=True)
        self._note_at = clock() + NOTED_SECONDS
        self._log = log.bind(channel=channel.name)

    def start(self) -> None:
        """Begin, in a thread."""
        self._thread.start()

    @property
    def is_lost(self) -> bool:
        """Whether it has ended though nobody asked it to: a defect of ours, told in the log."""
        return not self._thread.is_alive() and not self._ending.is_set()

    def take(self, notice: Notice) -> None:
        """Take a notice that is no event along at the next turn (called from the loop)."""
        if notice.kind in self._wanted:
            self._extra.append(notice)

    def finish(self) -> None:
        """Let what happened until now be told, with one try each, then end; does not wait."""
        self._ending.set()

    def join(self, seconds: float) -> None:
        """Wait for the end; what is under way then is cut off and comes again after the next start."""
        self._thread.join(seconds)
        if self._thread.is_alive():
            self.channel.close()
            self._thread.join(1.0)

    def _run(self) -> None:
        try:
            while not self._ending.is_set():
                self.turn()
                self._ending.wait(LOOK_SECONDS)
            self.turn()
            if self.cursor is not None:
                self.cursor.save(self._store)
        finally:
            self._store.close()

    def turn(self) -> None:
        """Tell what has happened since the last turn, and whether all is stuck; takes its time."""
        if (cursor := self.cursor) is not None:
            try:
                if not self._follow(cursor):
                    return
                stuck = self._stuck.look(self._store.reading)
            except StoreError as error:
                stuck = self._stuck.unanswered(error)
            if stuck is not None:
                self.take(stuck)
        while self._extra:
            notice = self._extra[0]
            if not self.carry(notice):
                return
            with suppress(ValueError):  # a full queue may have let go of it meanwhile
                self._extra.remove(notice)

    def _follow(self, cursor: Cursor) -> bool:
        """Tell the events behind the cursor; False when the end or another host came before all were told."""
        reading = self._store.reading
        head = self._store.head_seq()
        while cursor.seq < head:
            page = reading.events(after=cursor.seq, limit=PAGE, kinds=EVENT_KINDS)
            for event in page:
                notice = notice_of(event, reading, host=self._host)
                told = notice is not None and self._is_news(notice, cursor)
                if notice is not None and told and not self.carry(notice, cursor):
                    return False
                cursor.seq = event.seq
                if notice is not None and told:
                    cursor.told_at[_swarm(notice)] = notice.at
                    cursor.save(self._store)
            if len(page) < PAGE:
                cursor.seq = max(head, cursor.seq)
        if cursor.seq != cursor.saved_seq and self._clock() >= self._note_at:
            self._note_at = self._clock() + NOTED_SECONDS
            cursor.save(self._store)
        return True

    def _is_news(self, notice: Notice, cursor: Cursor) -> bool:
        """Whether people asked for its kind, and were not told of it just before."""
        if notice.kind not in self._wanted:
            return False
        quiet, last = QUIET_SECONDS.get(notice.kind), cursor.told_at.get(_swarm(notice))
        return quiet is None or last is None or not timedelta() <= notice.at - last < timedelta(seconds=quiet)

    def carry(self, notice: Notice, cursor: Cursor | None = None) -> bool:
        """Bring one notice over, however often it takes; False when the end came before it arrived.

        So it is when the `cursor` it is told for has gone to another host.
        """
        tries, wait = 0, WAIT_SECONDS
        while True:
            tries += 1
            try:
                self.channel.deliver(notice)
            except NotDelivered as error:
                self._log.warning(
                    "people were not told", id=notice.id, kind=notice.kind, cause=str(error), tries=tries
                )
                if self._is_hopeless(notice, error, tries):
                    self._log.error("a notice is given up", id=notice.id, kind=notice.kind, tries=tries)
                    return True
            else:
                self._log.info(
                    "people were told",
                    id=notice.id,
                    kind=notice.kind,
                    sentence=notice.sentence,
                    seq=notice.seq,
                )
                return True
            if self._ending.wait(wait) or (cursor is not None and cursor is not self.cursor):
                return False
            wait = min(2 * wait, WAIT_SECONDS_MAX)

    def _is_hopeless(self, notice: Notice, error: NotDelivered, tries: int) -> bool:
        if error.refused:
            return tries >= TRIES_REFUSED
        age = (datetime.now(UTC) - notice.at).total_seconds()
        return tries >= TRIES_MIN and age >= GIVE_UP_SECONDS


def _swarm(notice: Notice) -> str:
    """Return what a notice shares with those that say the same: its kind, and the host it is about."""
    return f"{notice.kind} {notice.data.get('host') or ''}".rstrip()


class Telling:
    """The duty: one courier for each channel that is set up, none where none is."""

    live = frozenset({"webhook_url", "webhook_secret_file", "notify_command", "notify_on", "stuck_seconds"})

    def __init__(
        self,
        settings: Settings,
        store: PlanStore,
        here: Identity,
        *,
        residence: Residence | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._store, self._here, self._clock = settings, store, here, clock
        self._residence = residence or NoResidence()
        self._channels: tuple[Channel, ...] = ()
        self._couriers: dict[str, Courier] = {}
        self._look_at = float("-inf")

    def start(self) -> None:
        """Begin to follow the log, from where each channel was, or from now on."""
        self._channels, self._look_at = channels_of(self._settings), float("-inf")
        self.turn(frozenset())

    def turn(self, rang: frozenset[str]) -> None:  # noqa: ARG002 (the couriers look by themselves)
        """Let those follow the log whose duty it is here, and send out the couriers that are missing."""
        for known in self._couriers.values():
            self._choose(known)
        if self._clock() < self._look_at:
            return
        self._look_at = self._clock() + REVIVE_SECONDS
        for channel in self._channels:
            courier = self._couriers.get(channel.name)
            if courier is None or courier.is_lost:
                self._couriers[channel.name] = self._sent_out(channel)

    def say(self, kind: str, sentence: str, *, then: str = "", data: Mapping[str, Any] | None = None) -> None:
        """Tell people of what is no event of the log; kept in memory until it is heard."""
        notice = Notice(
            id=new_event_id().hex(),
            kind=kind,
            at=datetime.now(UTC),
            host=self._here.host,
            sentence=" ".join(sentence.split()),
            next=then,
            data=data or {},
        )
        for courier in self._couriers.values():
            courier.take(notice)

    def reload(self, settings: Settings) -> None:
        """Go on with other settings; what the old channels had under way comes again by the new ones."""
        before, self._settings = self._settings, settings
        if any(getattr(before, name) != getattr(settings, name) for name in self.live):
            self.close()
            self.start()

    def stop(self) -> None:
        """Tell what happened until now, within a few seconds; the rest comes after the next start."""
        self._end(CLOSING_SECONDS)

    def close(self) -> None:
        """End the couriers now."""
        self._end(0.0)

    def _sent_out(self, channel: Channel) -> Courier:
        courier = Courier(channel, self._store, None, settings=self._settings, host=self._here.host)
        self._choose(courier)
        courier.start()
        return courier

    def _choose(self, courier: Courier) -> None:
        """Let a courier follow the log, from where its channel was, while this host has that duty.

        Raises:
            StoreError: the event log does not answer.
        """
        name = courier.channel.name
        if not self._residence.has(duty_of(name)):
            courier.cursor = None
        elif courier.cursor is None:
            old = telling_dir(self._settings.results_dir) / f"{name}.json"
            courier.cursor = open_cursor(duty_of(name), self._store, file=old)

    def _end(self, within_seconds: float) -> None:
        couriers, self._couriers, self._channels = list(self._couriers.values()), {}, ()
        for courier in couriers:
            courier.finish()
        deadline = time.monotonic() + within_seconds
        for courier in couriers:
            courier.join(max(0.0, deadline - time.monotonic()))
            self._residence.leave(duty_of(courier.channel.name))  # other hosts may have the channel still


def duty_of(channel: str) -> str:
    """Return the name of the duty to tell by a channel, and of the bookmark how far it has come."""
    return f"telling {channel}"


def telling_dir(results_dir: Path) -> Path:
    """Return where earlier versions noted how far each channel has come."""
    return results_dir / "telling"
