"""The composition root: builds the parts of the training host, starts them and stops them in order.

`drain` and `serve` turn the same loop: hear the children, fill the slots, look at what rang. `run` and
`train` on the command line are a drain; the daemon is a serve. There is one execution path.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import structlog

from daemon.admission import admit, completed, rehearse
from daemon.drained import Drained
from daemon.draining import Draining
from daemon.duties import all_duties
from daemon.holding import lift_leftovers
from daemon.host import Host
from daemon.identity import Identity, own_identity
from daemon.intake import Intake
from daemon.leftovers import marked
from daemon.logs import log_to_file
from daemon.news import FitEnded, News, Tell, keep_quiet
from daemon.notify import Notifier, Pulse
from daemon.reconciling import Reconciling
from daemon.register import Register
from daemon.reloading import Reread, reloaded
from daemon.serving import Serving
from daemon.settings import Settings
from daemon.starting import opened_store
from daemon.status_words import status_words, troubles_of
from daemon.stopping import leaving_at_once
from daemon.surveying import Survey
from daemon.timetable import RESCAN
from daemon.workplace import Workplace
from store.errors import DatabaseUnavailable, PlanRejected, StoreError
from store.plan_document import load_plan_directory
from store.plan_store import PlanStore
from store.records import Accepted
from store.residence import Residence

log = structlog.get_logger("service")

FAILING_SECONDS_MAX = 30.0  # turns that fail for so long end the daemon; its manager starts it anew
FAILED_TURN_SECONDS = 0.5
SILENCE_TOLD_SECONDS = 60.0  # how often the log says that the event log does not answer
FIT_FAILED = 1
IDLE_SECONDS = 1.0
LIVE = frozenset({"rescan_seconds", "poll_seconds"})  # settings that the loop itself takes at once
STEP_SECONDS = 300.0  # what the service manager is asked for before each step of the start
T = TypeVar("T")


def submit_plan(
    settings: Settings,
    store: PlanStore,
    plan: Path | Mapping[str, Any],
    *,
    name: str | None = None,
    source: str | None = None,
    planning_id: str | None = None,
) -> Accepted:
    """Check a plan (a directory, or a document) against the data and record it; the drop folder's own code.

    A rejection is recorded as an event too, then raised.

    Raises:
        PlanRejected: says what is wrong, where in the document, and what to do.
    """
    log_to_file(Workplace.of(settings).log_path)
    said = source or (str(plan) if isinstance(plan, Path) else "command line")
    called = name or (plan.name if isinstance(plan, Path) else "plan")
    try:
        document = load_plan_directory(plan)[0] if isinstance(plan, Path) else plan
        rehearse(settings, document, source=said)
        with closing(Survey(settings, document, source=said)) as survey:
            found = survey.wait()
        whole = completed(settings, document, found, source=said)
    except PlanRejected as rejected:
        store.reject(rejected, name=called)
        raise
    return admit(store, Workplace.of(settings), whole, source=said, name=called, planning_id=planning_id)


def drain(
    settings: Settings, store: PlanStore, plan_ids: Collection[str], *, tell: Tell = keep_quiet
) -> Drained:
    """Run fits in this process's children until those plans are final; SIGINT and SIGTERM stop it cleanly.

    Raises:
        StoreError: the event log cannot be worked with, or knows no such plan.
    """
    log_to_file(Workplace.of(settings).log_path)
    plans = tuple(dict.fromkeys(plan_ids))
    with closing(_drain_host(settings, store, plans, tell)) as host, host.minding_signals():
        lift_leftovers(store, host.identity)
        host.start()
        seen_seq, is_open = -1, True
        while is_open and host.stopping is None:
            host.turn()
            if (head := store.head_seq()) != seen_seq:
                seen_seq = head
                is_open = any(store.reading.plan_row(plan).open for plan in plans)
            if is_open:
                host.wait(settings.poll_seconds)
        host.stop(host.stopping or "the work is done")
    rows = [store.reading.plan_row(plan) for plan in plans]
    return Drained(
        plan_ids=plans,
        succeeded=sum(row.succeeded for row in rows),
        failed=sum(row.failed for row in rows),
        unavailable=sum(row.unavailable for row in rows),
        cancelled=sum(row.cancelled for row in rows),
        interrupted=any(row.open for row in rows),
    )


def _drain_host(settings: Settings, store: PlanStore, plans: tuple[str, ...], tell: Tell) -> Host:
    """Return the host of a drain: under the name this host has for its daemon too."""
    return Host(settings, store, plans=plans, tell=tell, identity=own_identity(settings.host_name))


def serve(
    settings: Settings,
    *,
    until_idle: bool = False,
    config: Path | None = None,
    reread: Reread | None = None,
) -> int:
    """Be the daemon until SIGTERM or SIGINT (or, `until_idle`, until nothing is left); returns the exit code.

    That is 0, or 1 when `until_idle` and a fit failed for good meanwhile. SIGHUP reads the configuration
    again by `reread`; `config` is its file, for the processes that the daemon starts.

    Raises:
        AlreadyServing: another daemon works on the same results directory (exit 75).
        HostTaken: another one works on the same event log under the same host name (exit 75).
        InboxUnsafe: everybody may write into the drop folder.
        StoreError: the event log cannot be opened, and waiting would not mend that.
    """
    identity, notifier = own_identity(settings.host_name), Notifier.from_environment(os.environ)
    with ExitStack() as stack:
        stack.enter_context(leaving_at_once(lambda cause: _leave(notifier, cause)))
        stack.enter_context(marked(os.environ, identity))
        opened = opened_store(settings, identity, notifier, patient=not until_idle)
        store, residence = stack.enter_context(opened)
        service = Service(
            settings, store, notifier, identity, residence=residence, config=config, pages=not until_idle
        )
        service.reread = reread
        stack.callback(service.close)
        stack.enter_context(service.host.minding_signals(signal.SIGHUP))
        service.run(until_idle=until_idle)
    return FIT_FAILED if until_idle and service.fits_failed else 0


def _leave(notifier: Notifier, cause: str) -> NoReturn:
    """End before there is anything to stop; called inside a signal, so nothing here takes a lock."""
    notifier.stopping(f"stopping: {cause}", within_seconds=0)
    line = {"level": "info", "event": "daemon stopped before it was ready", "cause": cause}
    with suppress(OSError):
        os.write(2, f"{json.dumps(line)}\n".encode())
    os._exit(0)


class Service:
    """The daemon: a host, the drop folder, and the words to the service manager."""

    def __init__(
        self,
        settings: Settings,
        store: PlanStore,
        notifier: Notifier,
        identity: Identity,
        *,
        residence: Residence,
        config: Path | None = None,
        pages: bool = True,
    ) -> None:
        self._settings, self._store, self._notifier, self._residence = settings, store, notifier, residence
        self.config = config  # the file the settings were read from, for processes that read it too
        self.reread: Reread | None = None
        self.fits_failed = 0
        self.host = Host(settings, store, identity=identity, tell=self._note)
        self.intake = Intake(settings, store, self.host.bell)
        self.host.also.append(self.intake.descriptors)
        dispatcher = self.host.dispatcher
        self.register = Register(
            settings,
            store,
            identity,
            running=lambda: len(dispatcher.running),
            trouble=lambda: "; ".join(troubles_of(self.host, self._serving)),
        )
        self.duties = all_duties(settings, store, self.host, residence=residence, config=config, pages=pages)
        self._serving = next((duty for duty in self.duties if isinstance(duty, Serving)), None)
        self._draining = next((duty for duty in self.duties if isinstance(duty, Draining)), None)
        self.pulse = Pulse(notifier, self.status)
        self.host.dispatcher.beat = self.intake.beat = self.pulse.beat
        self._is_ready = self._is_reload_asked = False
        self._tell_silence_at = float("-inf")
        self._silent_since: float | None = None  # since when the event log does not answer

    def run(self, *, until_idle: bool = False) -> None:
        """Start, work and stop.

        Raises:
            Exception: the daemon cannot go on; the next one is told why.
        """
        try:
            self.start()
            self.work(until_idle=until_idle)
        except Exception as error:
            self.register.failed(error)
            raise
        self.stop()

    def start(self) -> None:
        """Put in order what a predecessor left, and let every part begin.

        Told to stop meanwhile it goes no further; `stop` undoes what was begun.
        """
        self._say("opening the drop folder")
        self.intake.start()
        began_at = time.time()
        before = self._patiently(self.register.start)
        self._say("putting in order what the daemon before left")
        reconciling = Reconciling(
            self._store, Workplace.of(self._settings), self.host.identity, self.host.rescuer
        )
        self._patiently(
            lambda: reconciling.run(
                began_at=began_at, since=before, going_on=lambda: not self._is_told_to_stop()
            )
        )
        self.host.timetable.every(self._settings.rescan_seconds, RESCAN)
        for duty in self.duties:
            self._patiently(duty.start)
        self._patiently(self.host.start)
        self._say("taking the first turn")

    def work(self, *, until_idle: bool = False) -> None:
        """Turn the loop until told to stop. A turn that fails is logged and the next one is taken.

        READY is said once a whole turn went well: leases were asked for, plans looked for, every part had its
        turn, and the event log answered.

        Raises:
            Exception: every turn failed for a while; the service manager starts the daemon anew.
        """
        failing_since: float | None = None
        while self.host.stopping is None:
            try:
                self._turn()
                self._say_ready()
                failing_since = None
                if until_idle and self._is_idle():
                    self.host.stopping = "nothing is left to do"
            except DatabaseUnavailable as error:
                self._note_silence(error)
                time.sleep(FAILED_TURN_SECONDS)  # what waits to be heard would wake the loop at once
            except Exception as error:  # the edge of the service's loop
                log.exception("a turn failed")
                failing_since = failing_since or time.monotonic()
                if not self.intake.blame(error) and time.monotonic() - failing_since > FAILING_SECONDS_MAX:
                    raise
                time.sleep(FAILED_TURN_SECONDS)
            self.pulse.beat()
            self.host.wait(min(self._patience(), self.pulse.patience))

    def stop(self) -> None:
        """Stop the fits within the limit, give them back, record the stop."""
        cause, began_at = self.host.stopping or "stopped", time.monotonic()
        limit = self._settings.stop_seconds
        self.host.dispatcher.beat = lambda: self._notifier.stopping(
            f"stopping: {cause}", within_seconds=limit
        )
        self.host.dispatcher.beat()
        log.info("daemon stopping", cause=cause, running=len(self.host.dispatcher.running))
        self.intake.close()
        ended = self.host.stop(cause)
        self.register.stopped(cause, seconds=time.monotonic() - began_at, ended=ended)
        for duty in self.duties:
            self.host.dispatcher.beat()
            try:
                duty.stop()
            except StoreError as error:
                log.warning("not finished before the stop", cause=str(error))
        log.info("daemon stopped", cause=cause, seconds=round(time.monotonic() - began_at, 3), ended=ended)

    def close(self) -> None:
        """Let go of everything, whatever happened before."""
        self.intake.close()
        for duty in self.duties:
            duty.close()
        self.host.close()
        self.register.close()

    def status(self) -> str:
        """Return what the daemon is at, in a line."""
        since = self._silent_since
        return status_words(
            silent_seconds=None if since is None else time.monotonic() - since,
            drains=None if self._draining is None else self._draining.words,
            running=[runner.name for runner in self.host.dispatcher.running],
            refuses=self.intake.trouble,
            judging=self.intake.at_hand,
            aside=troubles_of(self.host, self._serving),
            inbox=self._settings.inbox_dir,
        )

    def reload(self) -> None:
        """Read the configuration again: take what can be taken now, and record what came of it."""
        self._notifier.reloading()
        found = reloaded(self._settings, self.reread, (self.host, self.intake, *self.duties), own=LIVE)
        self._settings = found.settings
        self.host.timetable.every(found.settings.rescan_seconds, RESCAN)
        self._notifier.ready(self.status())
        self.register.reloaded(found)

    def _note(self, news: News) -> None:
        if isinstance(news, FitEnded) and news.outcome == "failed":
            self.fits_failed += 1

    def _turn(self) -> None:
        rang = self.host.turn()
        self._is_reload_asked |= signal.SIGHUP.name in rang  # remembered by a turn that fails
        self._store.head_seq()  # raises where the event log does not answer; the fits were heard all the same
        self.intake.turn(rang)
        self._do_duties(rang)
        self.register.turn()
        self._silent_since = None  # not before: a full disk can be read from and takes no word
        if self._is_reload_asked:
            self._is_reload_asked = False
            self.reload()
        if not self._residence.is_held():
            self.host.stopping = "another daemon took the place of this host while its connection was lost"

    def _do_duties(self, rang: frozenset[str], *, first: int = 0) -> None:
        """Give each duty its turn, also behind one that fails; the errors are raised once all had theirs."""
        if first < len(self.duties):
            self.pulse.beat()
            try:
                self.duties[first].turn(rang)
            finally:
                self._do_duties(rang, first=first + 1)

    def _patience(self) -> float:
        """Return how long to wait for something to ring."""
        busy = self.host.dispatcher.running or self.intake.busy
        return self._settings.poll_seconds if busy else max(self._settings.poll_seconds, IDLE_SECONDS)

    def _is_idle(self) -> bool:
        if self.host.dispatcher.running or self.intake.busy:
            return False
        return not any(row.open for row in self._store.reading.plans())

    def _is_told_to_stop(self) -> bool:
        """Hear what rang before there is a loop; what is not the host's own is kept for the first turn."""
        for name in self.host.heard():
            self.host.bell.ring(name)
        return self.host.stopping is not None

    def _patiently(self, step: Callable[[], T]) -> T | None:
        """Take a step of the start, again while the event log does not answer; None once told to stop."""
        while not self._is_told_to_stop():
            try:
                return step()
            except DatabaseUnavailable as error:
                self._note_silence(error)
                time.sleep(FAILED_TURN_SECONDS)
        return None

    def _say_ready(self) -> None:
        if not self._is_ready:
            self._is_ready = True
            self._notifier.ready(self.status())
            log.info("daemon ready", status=self.status())

    def _note_silence(self, error: DatabaseUnavailable) -> None:
        now = time.monotonic()
        self._silent_since = now if self._silent_since is None else self._silent_since
        if now >= self._tell_silence_at:  # on a full disk every second turn may go well
            self._tell_silence_at = now + SILENCE_TOLD_SECONDS
            log.warning("the event log does not answer; trying again", cause=str(error))
        if not self._is_ready:
            self._say(f"waiting for the event log: {error.cause}")

    def _say(self, status: str) -> None:
        self._notifier.starting(status, within_seconds=STEP_SECONDS)
