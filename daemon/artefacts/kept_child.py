"""A fit whose artefacts lie elsewhere: what it needs is fetched before its start, what it leaves put away.

It has the face of the fit's process. That a state is saved is reported once it is put away, and a success
once the model is; meanwhile the fit goes on, and whoever follows it keeps its lease.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog

from daemon.artefacts.fetching import Fetching
from daemon.artefacts.keys import bundle_key, checkpoint_key, log_key, states_prefix
from daemon.artefacts.mover import Mover
from daemon.artefacts.moves import DONE, FULL, PUT, PUT_FILE, REMOVE, Move
from daemon.workplace import FitPlaces
from executors.contract import Checkpointed, Failed, FitSpec, Outcome, Report, Stopped, Succeeded
from executors.errors import BadSpec

KEPT = 2  # states of a fit, elsewhere as here
TRIES_OF_TIDYING = 20
LOG_BYTES_MAX = 262_144  # of a log that is put there again with each state

log = structlog.get_logger("artefacts")


class Started(Protocol):
    """What is needed of the fit's own process; `executors.process.Child` is one."""

    @property
    def pid(self) -> int:
        """Its number."""

    @property
    def returncode(self) -> int | None:
        """Exit code, None while it lives."""

    def fileno(self) -> int:
        """A descriptor readable when there is something to hear; -1 for none."""

    def reports(self) -> list[Report]:
        """Reports since the last call."""

    def outcome(self) -> Outcome | None:
        """How it ended, None while it lives."""

    def stop(self) -> None:
        """Ask it to save its state and end."""

    def kill(self) -> None:
        """End it now."""

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait for its end; whether it has ended."""

    def close(self) -> None:
        """Let go of its pipes."""


Begin = Callable[[FitSpec, FitPlaces], Started]


class KeptChild:
    """One fit between its claim and the moment when all of it is put away."""

    def __init__(
        self, spec: FitSpec, places: FitPlaces, mover: Mover, fetching: Fetching, begin: Begin
    ) -> None:
        self._spec, self._places, self._mover, self._begin = spec, places, mover, begin
        self._fetching: Fetching | None = fetching
        self._child: Started | None = None
        self._states = _States(spec, places, mover)
        self._ready: list[Report] = []
        self._bundle: Move | None = None
        self._last: Outcome | None = None  # of the fit's own process
        self._end: Outcome | None = None
        self._is_killed = False
        self.given_back_because: str | None = None
        self._fetch()

    @property
    def pid(self) -> int:
        """The fit's process; before it starts, the one that will start it."""
        return os.getpid() if self._child is None else self._child.pid

    @property
    def is_waiting(self) -> bool:
        """Whether nothing is trained: what it needs is fetched, or what it left is put away."""
        return self._child is None or self._last is not None

    @property
    def has_trained(self) -> bool:
        """Whether its process has ended: others can have its place."""
        return self._last is not None

    @property
    def returncode(self) -> int | None:
        """Exit code once all is put away, None before."""
        self._go_on()
        if self._end is None:
            return None
        code = None if self._child is None else self._child.returncode
        return 1 if code is None else code

    def fileno(self) -> int:
        """The descriptor of the fit's process; -1 where the mover's is the one to wait for."""
        return -1 if self._child is None or self._last is not None else self._child.fileno()

    def reports(self) -> list[Report]:
        """Reports since the last call; of a saved state once it is put away."""
        self._go_on()
        ready, self._ready = self._ready, []
        return ready

    def outcome(self) -> Outcome | None:
        """How it ended, None before all is put away."""
        self._go_on()
        return self._end

    def stop(self) -> None:
        """Ask the fit to save its state and end."""
        if self._child is not None:
            self._child.stop()
        elif self._end is None:
            self._give_back("stopped before its start")

    def kill(self) -> None:
        """End it now; what is not put away by now is not waited for."""
        self._is_killed = True
        if self._child is not None:
            self._child.kill()
        elif self._end is None:
            self._give_back("ended before its start")

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait for the end of the fit's own process; whether it has ended."""
        return self._child is None or self._child.wait(timeout_seconds)

    def close(self) -> None:
        """Let go of the process; the states of a fit that has succeeded are needed no more."""
        if self._child is not None:
            self._child.close()
        self._drop_all()
        if isinstance(self._end, Succeeded) and not self._is_killed:
            prefix = states_prefix(self._spec.plan, self._spec.fit)
            self._mover.ask(REMOVE, prefix, self._places.work, tries_max=TRIES_OF_TIDYING)

    def _go_on(self) -> None:
        if self._end is not None:
            return
        self._mover.hear()
        if self._child is None:
            self._fetch()
        else:
            self._hear(self._child)

    def _fetch(self) -> None:
        """Start the fit once all it needs is here. What is wrong with its start is raised, or its outcome."""
        fetching = self._fetching
        if fetching is None or not fetching.is_over:
            return
        fetching.note_states()
        if fetching.full is not None:
            self._finish(Failed(cause="disk_full", sentence=fetching.full, where="daemon", retryable=True))
        elif (sentence := fetching.lacks_part) is not None:  # given back it would be claimed again at once
            self._finish(Failed(cause="internal", sentence=sentence, where="daemon", retryable=True))
        elif fetching.lacks is not None:
            self._give_back(fetching.lacks)
        elif not fetching.has_waited:
            self._child, self._fetching = self._begin(fetching.spec, self._places), None
        else:
            self._start_late(fetching.spec)

    def _start_late(self, spec: FitSpec) -> None:
        try:
            self._child, self._fetching = self._begin(spec, self._places), None
        except BadSpec as error:
            self._finish(Failed(cause="bad_input", sentence=str(error), where="daemon", retryable=False))
        except OSError as error:
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            cause = "disk_full" if is_full else "internal"
            self._finish(Failed(cause=cause, sentence=str(error), where="daemon", retryable=True))

    def _hear(self, child: Started) -> None:
        ended = child.returncode is not None  # asked first: nothing can be reported after it
        for report in child.reports():
            if isinstance(report, Checkpointed):
                self._states.keep(report)
            else:
                self._ready.append(report)
        self._ready += self._states.put_away()
        if ended and self._last is None:
            self._last = child.outcome()
            self._put_away_the_rest()
        if self._last is not None:
            self._finish_if_done(self._last)

    def _put_away_the_rest(self) -> None:
        spec = self._spec
        if isinstance(self._last, Succeeded):
            key = bundle_key(spec.plan, spec.fit, self._last.bundle_sha256)
            self._bundle = self._mover.ask(PUT, key, Path(self._last.bundle), is_urgent=True)
        key = log_key(spec.plan, spec.fit, spec.attempt)
        self._mover.ask(PUT_FILE, key, self._places.log, tries_max=TRIES_OF_TIDYING)

    def _finish_if_done(self, last: Outcome) -> None:
        match last:
            case Succeeded() if self._bundle is not None and self._bundle.outcome == DONE:
                self._finish(last)
            case Succeeded() if self._is_killed:
                self.given_back_because = "its model was not put away in time"
                self._finish(Stopped(step=self._states.step))
            case Succeeded() if self._bundle is not None and self._bundle.outcome is not None:
                sentence = f"its model could not be put away: {self._bundle.words}"
                cause = "disk_full" if self._bundle.outcome == FULL else "internal"
                self._finish(Failed(cause=cause, sentence=sentence, where="daemon", retryable=True))
            case Stopped() if self._states.is_busy and not self._is_killed:
                return
            case Stopped() if self._states.is_busy:
                self._finish(Stopped(step=self._states.step))  # nobody has a later one
            case Stopped() | Failed():
                self._finish(last)

    def _give_back(self, cause: str) -> None:
        self.given_back_because = cause
        self._finish(Stopped(step=self._states.step))

    def _finish(self, end: Outcome) -> None:
        self._end = end
        self._drop_all()

    def _drop_all(self) -> None:
        self._states.drop()
        if self._fetching is not None:
            self._fetching.drop()
        if self._bundle is not None:
            self._mover.drop(self._bundle)


class _States:
    """The saved states of one fit on their way: one at a time, and of those that wait only the newest."""

    def __init__(self, spec: FitSpec, places: FitPlaces, mover: Mover) -> None:
        self._spec, self._mover = spec, mover
        self._outgoing, self._log = places.work / "outgoing", places.log
        self._waiting: Checkpointed | None = None
        self._report: Checkpointed | None = None  # of the one under way
        self._move: Move | None = None
        self._kept: list[str] = []
        self.step = 0  # of the newest one that is put away

    @property
    def is_busy(self) -> bool:
        """Whether a state is not put away yet."""
        return self._move is not None or self._waiting is not None

    def keep(self, report: Checkpointed) -> None:
        """Take a state that was saved; its files are held here, for the fit removes all but its newest."""
        self._hold(report)
        if self._waiting is not None:
            self._let_go(self._waiting)
        self._waiting = report
        if self._move is not None and not self._move.is_under_way and self._move.tries:
            self._forget()  # the place is away: the newer one is asked instead
        self._send()

    def put_away(self) -> list[Report]:
        """Return the reports of states that are put away since the last call."""
        if self._move is None or self._report is None or self._move.outcome is None:
            return []
        move, report = self._move, self._report
        self._forget()
        self._send()
        if move.outcome != DONE:
            log.warning("a state of a fit is not put away", key=move.key, cause=move.words)
            return []
        self._kept = [*self._kept, move.key][-KEPT:]
        self.step = report.step
        self._put_log()
        return [report]

    def _put_log(self) -> None:
        """Put the log there as far as it is, for whoever asks when this host is gone."""
        spec = self._spec
        with contextlib.suppress(OSError):
            if self._log.stat().st_size <= LOG_BYTES_MAX:
                key = log_key(spec.plan, spec.fit, spec.attempt)
                self._mover.ask(PUT_FILE, key, self._log, tries_max=1)

    def drop(self) -> None:
        """Want none of them any more."""
        if self._move is not None:
            self._forget()
        self._waiting = None
        shutil.rmtree(self._outgoing, ignore_errors=True)

    def _send(self) -> None:
        if self._move is not None or self._waiting is None:
            return
        self._report, self._waiting = self._waiting, None
        spec = self._spec
        key = checkpoint_key(spec.plan, spec.fit, spec.fence, self._report.step)
        old = tuple(self._kept[: len(self._kept) + 1 - KEPT]) if key not in self._kept else ()
        self._move = self._mover.ask(PUT, key, self._place(self._report), is_urgent=True, instead_of=old)

    def _forget(self) -> None:
        if self._move is not None and self._report is not None:
            self._mover.drop(self._move)
            self._let_go(self._report)
        self._move = self._report = None

    def _place(self, report: Checkpointed) -> Path:
        return self._outgoing / f"step-{report.step}"

    def _hold(self, report: Checkpointed) -> None:
        """Give the files of a state further names, which the fit does not remove."""
        place = self._place(report)
        shutil.rmtree(place, ignore_errors=True)
        try:
            shutil.copytree(report.path, place, copy_function=_linked)
        except (OSError, shutil.Error) as error:
            log.warning("a state of a fit is gone before it was put away", path=report.path, cause=str(error))

    def _let_go(self, report: Checkpointed) -> None:
        shutil.rmtree(self._place(report), ignore_errors=True)


def _linked(source: str, target: str) -> str:
    """Give a file a second name; a file system that knows none gets a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def reason_of(child: object) -> str | None:
    """Return why a fit was given back by what begins it, None where it was not."""
    return child.given_back_because if isinstance(child, KeptChild) else None
