"""The composition root: builds the parts of the training host, starts them and stops them in order.

`drain` and `serve` turn the same loop: hear the children, fill the slots, look at what rang. `run` and
`train` on the command line are a drain; the daemon is a serve. There is one execution path.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping
from contextlib import ExitStack, closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import structlog

from daemon.admission import admit, completed, rehearse
from daemon.drained import Drained
from daemon.duty import Duty
from daemon.host import Host
from daemon.identity import Identity, is_dead, own_identity
from daemon.inbox import Inbox
from daemon.intake import Intake
from daemon.lock import held_lock
from daemon.logs import log_to_file
from daemon.news import FitEnded, News, Tell, keep_quiet
from daemon.notify import Notifier
from daemon.sealing import Sealer
from daemon.settings import Settings
from daemon.surveying import Survey
from daemon.timetable import ALIVE, RESCAN
from daemon.watcher import Watcher
from daemon.workplace import Workplace
from store.errors import DatabaseUnavailable, PlanRejected
from store.events import DaemonStarted, DaemonStopped
from store.plan_document import load_plan_directory
from store.plan_store import PlanStore, open_store
from store.records import Accepted

log = structlog.get_logger("service")

FAILING_SECONDS_MAX = 30.0  # turns that fail for so long end the daemon; its manager starts it anew
FAILED_TURN_SECONDS = 0.5
FIT_FAILED = 1
IDLE_SECONDS = 1.0


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
    with closing(Host(settings, store, plans=plans, tell=tell)) as host, host.minding_signals():
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


def serve(settings: Settings, *, until_idle: bool = False) -> int:
    """Be the daemon until SIGTERM or SIGINT (or, `until_idle`, until nothing is left); returns the exit code.

    That is 0, or 1 when `until_idle` and a fit failed for good meanwhile.

    Raises:
        AlreadyServing: another daemon works on the same results directory (exit 75).
        InboxUnsafe: everybody may write into the drop folder.
        StoreError: the event log cannot be opened.
    """
    place, identity = Workplace.of(settings), own_identity()
    notifier = Notifier.from_environment(os.environ)
    with ExitStack() as stack:
        stack.enter_context(held_lock(place.lock_path, f"pid {identity.pid} on {identity.host}"))
        store = stack.enter_context(open_store(settings.database_url))
        service = Service(settings, store, notifier, identity)
        stack.callback(service.close)
        stack.enter_context(service.host.minding_signals())
        service.start()
        service.work(until_idle=until_idle)
        service.stop()
    return FIT_FAILED if until_idle and service.fits_failed else 0


class Service:
    """The daemon: a host, the drop folder, and the words to the service manager."""

    def __init__(self, settings: Settings, store: PlanStore, notifier: Notifier, identity: Identity) -> None:
        self._settings, self._store, self._notifier = settings, store, notifier
        self.fits_failed = 0
        self.host = Host(settings, store, identity=identity, tell=self._note)
        self.inbox = Inbox(settings.inbox_dir, settle_seconds=settings.settle_seconds)
        self.intake = Intake(settings, store, self.inbox)
        sealer = Sealer(settings.database_url, settings.results_dir, self.host.timetable)
        self.duties: tuple[Duty, ...] = (sealer,)
        self._watcher = Watcher(settings.inbox_dir, self.host.bell)
        self._look_at = 0.0  # what is not settled is looked at again then, in seconds of the monotonic clock

    def start(self) -> None:
        """Record the start, take back what a killed predecessor left, and begin to watch."""
        self.inbox.open()
        here = self.host.identity
        before = self._store.daemon_started(
            DaemonStarted(
                worker=here.worker,
                host=here.host,
                version=version("trainwright"),
                boot_id=here.boot_id,
                pid=here.pid,
                cpu_slots=self._settings.cpu_slots,
                gpu_slots=self._settings.gpu_slots,
                memory_bytes=self._settings.memory_bytes,
            ),
            is_dead=lambda worker: is_dead(worker, here=here),
        )
        log.info("daemon started", worker=here.worker, previous_stop=before.cause, clean=before.clean)
        self._watcher.start()
        self.host.timetable.every(self._settings.rescan_seconds, RESCAN)
        for duty in self.duties:
            duty.start()
        if self._notifier.watchdog_seconds is not None:
            self.host.timetable.every(self._notifier.watchdog_seconds / 3, ALIVE)
        self.host.start()
        self.host.bell.ring(RESCAN)
        self._notifier.ready(self.status())

    def work(self, *, until_idle: bool = False) -> None:
        """Turn the loop until told to stop. A turn that fails is logged and the next one is taken.

        Raises:
            Exception: every turn failed for a while; the service manager starts the daemon anew.
        """
        failing_since: float | None = None
        while self.host.stopping is None:
            try:
                self._turn()
                failing_since = None
                if until_idle and self._is_idle():
                    self.host.stopping = "nothing is left to do"
            except DatabaseUnavailable as error:
                log.warning("the event log does not answer; trying again", cause=str(error))
            except Exception as error:  # the edge of the service's loop
                log.exception("a turn failed")
                failing_since = failing_since or time.monotonic()
                if not self.intake.blame(error) and time.monotonic() - failing_since > FAILING_SECONDS_MAX:
                    raise
                time.sleep(FAILED_TURN_SECONDS)
            self.host.wait(self._patience())

    def stop(self) -> None:
        """Stop the fits within the limit, give them back, record the stop."""
        cause = self.host.stopping or "stopped"
        self._notifier.stopping(f"stopping: {cause}", within_seconds=self._settings.stop_seconds)
        log.info("daemon stopping", cause=cause, running=len(self.host.dispatcher.running))
        self.intake.close()
        self.host.stop(cause)
        here = self.host.identity
        self._store.daemon_said(DaemonStopped(worker=here.worker, host=here.host, cause=cause))
        for duty in self.duties:
            duty.stop()
        log.info("daemon stopped", cause=cause)

    def close(self) -> None:
        """Let go of everything, whatever happened before."""
        self.intake.close()
        self._watcher.stop()
        for duty in self.duties:
            duty.close()
        self.host.close()
        self.inbox.close()

    def status(self) -> str:
        """Return what the daemon is at, in a line."""
        running = [runner.name for runner in self.host.dispatcher.running]
        if not running:
            return f"waiting for plans in {self._settings.inbox_dir}"
        more = f" and {len(running) - 3} more" if len(running) > 3 else ""
        return f"training {', '.join(running[:3])}{more}"

    def _note(self, news: News) -> None:
        if isinstance(news, FitEnded) and news.outcome == "failed":
            self.fits_failed += 1

    def _turn(self) -> None:
        rang = self.host.turn()
        look = RESCAN in rang or (self.inbox.unsettled and time.monotonic() >= self._look_at)
        if look:
            patience = max(self._settings.poll_seconds, self._settings.settle_seconds / 8)
            self._look_at = time.monotonic() + patience
        self.intake.turn(look=look, moved_in=self._watcher.moved_in() if look else ())
        for duty in self.duties:
            duty.turn(rang)
        if ALIVE in rang:
            self._notifier.alive(self.status())

    def _patience(self) -> float:
        """Return how long to wait for something to ring."""
        busy = self.host.dispatcher.running or self.intake.busy or self.inbox.unsettled
        return self._settings.poll_seconds if busy else max(self._settings.poll_seconds, IDLE_SECONDS)

    def _is_idle(self) -> bool:
        if self.host.dispatcher.running or self.intake.busy or self.inbox.unsettled:
            return False
        return not any(row.open for row in self._store.reading.plans())
