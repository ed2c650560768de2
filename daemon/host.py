"""The parts that a drain and the daemon share, and one turn of their loop."""

from __future__ import annotations

import select
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from types import FrameType

import structlog

from daemon.artefacts.keeper import keeper_of
from daemon.bell import Bell
from daemon.dispatcher import start_child
from daemon.engine.dispatching import AnyDispatcher, dispatching
from daemon.identity import Identity, own_identity
from daemon.news import Tell, keep_quiet
from daemon.panel_away import only_with_panel
from daemon.rescuer import Rescuer
from daemon.settings import Settings
from daemon.stopping import STOP_SIGNALS
from daemon.timetable import RESCUE, Timetable
from daemon.workplace import FitPlaces
from executors.contract import FitSpec
from executors.process import Child
from executors.warm import WarmServers
from store.patience import PATIENCE
from store.plan_store import PlanStore

log = structlog.get_logger("host")

RESCUE_SECONDS_MAX = 2.0
PRESENCE_SECONDS = 0.2  # between two questions to the database who is still connected


class Host:
    """Dispatcher, rescuer, timetable and bell over one store; everything is done in the loop's thread.

    `dispatch` makes the dispatcher, where it is another than that of the settings: of processes here, or of a
    cluster.
    """

    def __init__(
        self,
        settings: Settings,
        store: PlanStore,
        *,
        plans: Collection[str] | None = None,
        tell: Tell = keep_quiet,
        identity: Identity | None = None,
        dispatch: Callable[..., AnyDispatcher] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.identity = identity or own_identity()
        self.bell = Bell()
        self.timetable = Timetable(self.bell)
        self.timetable.every(min(RESCUE_SECONDS_MAX, settings.lease_seconds / 3), RESCUE)
        self.rescuer = Rescuer(store, self.identity, tell=tell)
        self.servers = WarmServers(clock=clock)
        begin = self._start_warm if settings.warm_children else start_child
        self.keeper = keeper_of(settings, store, begin, clock=clock)
        self.dispatcher = (dispatch or dispatching(settings))(
            settings,
            store,
            worker=self.identity.worker,
            plans=plans,
            tell=tell,
            begin=only_with_panel(begin) if self.keeper is None else self.keeper.begin,
            clock=clock,
        )
        self.also: list[Callable[[], Collection[int]]] = []  # further descriptors to wait for
        self._waker = store.waker(self.identity.worker)
        self._moved, self._presence_at = True, float("-inf")
        self.stopping: str | None = None
        self._stops_heard = 0
        self._settings, self._clock = settings, clock

    def start(self) -> None:
        """Take back what a killed predecessor left, and begin to ring."""
        if self.keeper is not None:
            self.keeper.start()
        self.rescuer.begin()
        self.timetable.start()

    def reload(self, settings: Settings) -> None:
        """Work by these settings from now on, as far as `live` names them."""
        self._settings = settings
        self.dispatcher.reload(settings)

    @property
    def live(self) -> frozenset[str]:
        """The settings that hold from `reload` on."""
        return self.dispatcher.live | {"stop_seconds"}

    def turn(self) -> frozenset[str]:
        """Hear what rang, hear the children, fill the slots; returns what rang and is not the host's own."""
        self.dispatcher.beat()  # between any two steps that may each wait for a silent database
        rang = self.heard()
        self.dispatcher.beat()
        self.rescuer.hear()
        self.rescuer.look(moved=self._moved)
        self._moved = False
        self.dispatcher.beat()
        if self.keeper is not None:
            self.keeper.mover.hear()
        self.dispatcher.tick()
        self.dispatcher.beat()
        self.servers.tend()
        return rang

    def wait(self, seconds: float) -> None:
        """Wait for a report, a ring, a word in the log, the end of a process; at most so many seconds."""
        deadline = time.monotonic() + seconds
        while True:
            patience = self._waker.patience(expecting=self.dispatcher.expecting)
            left = max(0.0, deadline - time.monotonic())
            hint = self._waker.fileno()
            ready = self._poll(hint).poll(min(left, patience) * 1000)
            self._moved = self._waker.moved() or self._moved
            self._ask_presence()
            if self._moved or left <= patience or any(descriptor != hint for descriptor, _ in ready):
                return

    def _start_warm(self, spec: FitSpec, places: FitPlaces) -> Child:
        return self.servers.start(spec, log_path=places.log, spec_path=places.spec)

    def _poll(self, hint: int) -> select.poll:
        """Return all descriptors to wait for, with that of the waker if it has one now."""
        poll = select.poll()
        children = [run.child.fileno() for run in self.dispatcher.running if run.child.returncode is None]
        mover = -1 if self.keeper is None else self.keeper.mover.fileno()
        others = (descriptor for descriptors in self.also for descriptor in descriptors())
        for descriptor in (hint, self.bell.fileno(), mover, *self.rescuer.descriptors(), *children, *others):
            if descriptor >= 0:
                poll.register(descriptor, select.POLLIN)
        return poll

    def _ask_presence(self) -> None:
        """Ask the database from time to time whose connection has ended, and rescue what they held."""
        if not self.rescuer.others or time.monotonic() < self._presence_at:
            return
        self._presence_at = time.monotonic() + max(PRESENCE_SECONDS, self.rescuer.pace())
        gone = self._waker.gone(self.rescuer.others)
        if gone:
            self.rescuer.rescue(gone)
            self._moved = True

    def stop(self, cause: str) -> int:
        """Let all fits save their state and stop, within the limit of the settings; all are given back.

        A second signal ends them at once; their last checkpoints stay. Returns how many had to be ended.
        """
        deadline = self._clock() + self._settings.stop_seconds
        heard_before = self._stops_heard
        self.dispatcher.ask_to_stop(cause)
        while self.dispatcher.running and self._clock() < deadline and self._stops_heard == heard_before:
            self.wait(min(self._settings.poll_seconds, max(0.0, deadline - self._clock())))
            self.heard()
            self.dispatcher.listen()
        return self.dispatcher.end_all()

    def close(self) -> None:
        """End what still runs and let go of the timetable and the bell."""
        self.dispatcher.end_all()
        if self.keeper is not None:
            self.keeper.close()
        self.servers.close()
        self.timetable.stop()
        self.rescuer.close()
        self._waker.close()
        self.bell.close()

    @contextmanager
    def minding_signals(self, *also: signal.Signals) -> Iterator[None]:
        """While inside, SIGTERM and SIGINT ring instead of ending the process (in the main thread only).

        So do the signals in `also`, by their names.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._ring) for number in (*STOP_SIGNALS, *also)}
        try:
            yield
        finally:
            for number, action in before.items():
                signal.signal(number, action)
            PATIENCE.rest()

    def _ring(self, number: int, _frame: FrameType | None) -> None:
        if number in STOP_SIGNALS:
            PATIENCE.hurry()
        self.bell.ring(signal.Signals(number).name)

    def heard(self) -> frozenset[str]:
        """Hear what rang: do what is the host's own, and return the rest."""
        rang = self.bell.heard()
        for number in STOP_SIGNALS:  # first: no error of what follows may cost a stop
            if number.name in rang:
                self._stops_heard += 1
                self.stopping = self.stopping or f"stopped by {number.name}"
        if RESCUE in rang:
            self.rescuer.rescue()
        return rang - {RESCUE, *(number.name for number in STOP_SIGNALS)}
