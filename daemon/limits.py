"""What a fit may take: time and memory; how long it may be silent; what is said of one that took more.

The limits are kept by the parent, whatever state the fit's process is in. A fit that says nothing is told
of. One that does not work either, nor anything it started, hangs: it is ended and goes on in a new attempt.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog

from daemon.artefacts.kept_child import KeptChild
from daemon.settings import Settings
from executors.contract import Checkpointed, Failed, Outcome, Progressed, Report, Started, Stopped, Succeeded

LOOK_SECONDS = 1.0
MIB = 1 << 20
TIME, MEMORY, HUNG = "time_limit", "out_of_memory", "hung"
IDLE_SHARE = 1e-3  # of a core: with less a process waits, whatever it waits with
TICKS = 5  # of CPU time, the clock being coarse


class Watched(Protocol):
    """What is needed of the process whose limits are kept."""

    @property
    def pid(self) -> int:
        """Its number; before it is forked, that of the server that will."""

    def stop(self) -> None:
        """Ask it to save its state and end."""

    def kill(self) -> None:
        """End it now."""


class Limits:
    """Keeps one attempt within the limits of the settings; times are seconds of the runner's clock."""

    def __init__(self, settings: Settings, *, name: str, family: str, began_at: float, log: Path) -> None:
        self._settings, self._name, self._log = settings, name, log
        self._seconds_of_family = settings.family_seconds_max.get(family)
        self._seconds_max = self._seconds_of_family or settings.fit_seconds_max
        self._idleness = Idleness(settings.fit_hung_seconds)
        self._began_at = self._heard_at = self._look_at = self._seen_at = began_at
        self._kill_at: float | None = None
        self._broken: str | None = None
        self._taken_bytes = 0
        self._cpu_seconds = 0.0  # when it was last heard
        self._silent = False
        self._pid: int | None = None  # known from its first word: before that it may not be forked yet
        self._step: int | None = None
        self._steps_total: int | None = None
        self._saved_step: int | None = None

    def hear(self, report: Report, now: float) -> None:
        """Take note of how far the fit has come, and that it spoke."""
        self._heard_at, self._silent = now, False
        self._idleness.heard(now)
        match report:
            case Started(pid=pid, resumed_from_step=step):
                self._pid, self._step, self._saved_step = pid, step, step
            case Progressed(step=step, steps_total=total):
                self._step, self._steps_total = step, total
            case Checkpointed(step=step) | Stopped(step=step):
                self._saved_step = step or None
            case _:
                pass

    def keep(self, child: Watched, now: float) -> None:
        """Stop the fit when its time is over; end it when that takes long, it takes too much, or it hangs."""
        if isinstance(child, KeptChild) and child.is_waiting:
            self._wait(now)
            return
        self._seen_at, seconds_max = now, self._seconds_max
        if self._kill_at is not None and now >= self._kill_at:
            child.kill()
        elif self._broken is None and seconds_max is not None and now - self._began_at >= seconds_max:
            self._broken, self._kill_at = TIME, now + self._settings.stop_seconds
            child.stop()
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            self._look_at_memory(child)
            self._look_at_silence(now)
            self._look_at_idleness(child, now)

    def _wait(self, now: float) -> None:
        """Let time pass in which nothing is trained: what the fit needs, or leaves, is on its way."""
        self._began_at += now - self._seen_at
        self._seen_at = self._heard_at = now
        self._idleness.heard(now)

    def verdict(self, outcome: Outcome) -> Outcome:
        """Return how the attempt ended in view of its limits: one that went over them failed for that."""
        if self._broken is None or isinstance(outcome, Succeeded):
            return outcome
        if isinstance(outcome, Failed) and outcome.cause not in {"internal", "lost_worker", self._broken}:
            return outcome
        if isinstance(outcome, Stopped):
            self._saved_step = outcome.step or None
        settings = self._settings
        if self._broken == HUNG:
            sentence = (
                f"the fit hung: it neither reported nor worked for {settings.fit_hung_seconds:g} s "
                f"(fit_hung_seconds), {self._place()}"
            )
            return Failed(cause=HUNG, sentence=sentence, where=f"log {self._log}", retryable=True)
        if self._broken == TIME:
            setting = "fit_seconds_max" if self._seconds_of_family is None else "family_seconds_max"
            limit = f"took longer than its limit of {self._seconds_max:g} s ({setting})"
        else:
            limit = (
                f"took {self._taken_bytes / MIB:,.0f} MiB of memory, more than its limit of "
                f"{(settings.fit_memory_bytes or 0) / MIB:,.0f} MiB (fit_memory_bytes)"
            )
        sentence = f"the fit {limit}, {self._place()}; raise the limit, then: trainwright retry {self._name}"
        return Failed(cause=self._broken, sentence=sentence, where=f"log {self._log}", retryable=False)

    def _place(self) -> str:
        """Return how far it came and what is kept."""
        total = f" of {self._steps_total}" if self._steps_total is not None else ""
        came = "before its first step" if self._step is None else f"at step {self._step}{total}"
        if self._saved_step is None:
            return f"{came}; nothing of it is kept"
        return f"{came}; its state after step {self._saved_step} is kept and is where it goes on"

    def _look_at_memory(self, child: Watched) -> None:
        limit = self._settings.fit_memory_bytes
        if limit is None or self._broken == MEMORY or self._pid is None:
            return
        taken = own_memory_bytes(self._pid, above=limit)
        if taken > limit:
            self._broken, self._taken_bytes = MEMORY, taken
            child.kill()

    def _look_at_silence(self, now: float) -> None:
        """Say once, in the log, that a fit says nothing, and whether it works at all."""
        worked = 0.0 if self._pid is None else cpu_seconds(self._pid)
        if self._heard_at >= now - LOOK_SECONDS:
            self._cpu_seconds = worked
        silent_seconds = now - self._heard_at
        if self._silent or silent_seconds < self._settings.fit_silent_seconds:
            return
        self._silent = True
        structlog.get_logger("limits").warning(
            "fit says nothing",
            name=self._name,
            pid=self._pid,
            silent_seconds=round(silent_seconds),
            cpu_seconds=round(worked - self._cpu_seconds, 1),
            step=self._step,
            log=str(self._log),
        )

    def _look_at_idleness(self, child: Watched, now: float) -> None:
        """End a fit that neither says anything nor works."""
        if self._broken is None and self._idleness.is_over(self._pid or child.pid, now):
            self._broken, self._kill_at = HUNG, now
            structlog.get_logger("limits").warning(
                "fit hangs and is ended", name=self._name, pid=self._pid, step=self._step, log=str(self._log)
            )
            child.kill()


class Idleness:
    """For how long a process has neither said anything nor worked, nor anything of its group.

    Only time in which somebody looked counts: a machine that slept, or a daemon that was frozen together with
    its fits, goes on counting where it was. A process that speaks now and then is never looked at, for a look
    goes through all processes of the machine.
    """

    def __init__(self, seconds_max: float, worked: Callable[[int], float] | None = None) -> None:
        self._seconds_max = seconds_max  # 0: it may for ever
        self._worked_by = worked or group_cpu_seconds
        self._look_seconds = min(LOOK_SECONDS * 60, max(LOOK_SECONDS, seconds_max / 20))
        self._least = max(seconds_max * IDLE_SHARE, TICKS / os.sysconf("SC_CLK_TCK"))
        self._looked_at: float | None = None  # or heard at
        self._worked: float | None = None  # None: not looked at since it spoke
        self._idle_seconds = 0.0

    def heard(self, now: float) -> None:
        """It said something."""
        self._looked_at, self._worked, self._idle_seconds = now, None, 0.0

    def is_over(self, pid: int, now: float) -> bool:
        """Look from time to time whether a process works; return whether it has been idle for too long."""
        if self._looked_at is None:
            self._looked_at = now
        gap = now - self._looked_at
        if not self._seconds_max or gap < self._look_seconds:
            return False
        self._looked_at, worked = now, self._worked_by(pid)
        if self._worked is None or abs(worked - self._worked) > self._least:
            self._idle_seconds, self._worked = 0.0, worked
        else:
            self._idle_seconds += min(gap, 2 * self._look_seconds)
        return self._idle_seconds >= self._seconds_max


def own_memory_bytes(pid: int, *, above: int = 0) -> int:
    """Return how much memory is a process's own, 0 when it is gone; exact only where it is more than `above`.

    Pages it shares with the server it was forked from are in its count of anonymous memory (proc(5), RssAnon)
    but not its own; they are told apart only where that count is too high, for that takes the kernel a while.
    """
    anonymous = _kilobytes(Path(f"/proc/{pid}/status"), "RssAnon:") * 1024
    if anonymous <= above:
        return anonymous
    return _kilobytes(Path(f"/proc/{pid}/smaps_rollup"), "Private_Dirty:") * 1024


def cpu_seconds(pid: int) -> float:
    """Return how long a process has worked, in user and system time; 0 when it is gone."""
    return sum(int(ticks) for ticks in _stat_fields(pid)[11:13]) / os.sysconf("SC_CLK_TCK")


def group_cpu_seconds(leader: int) -> float:
    """Return how long the processes of a group have worked, in user and system time, with those that ended.

    A fit may leave its work to processes of its own and wait for them. This looks at every process there is.
    """
    total = 0
    with os.scandir("/proc") as entries:
        for entry in entries:
            fields = _stat_fields(int(entry.name)) if entry.name.isdecimal() else []
            if fields and int(fields[2]) == leader:
                total += sum(int(ticks) for ticks in fields[11:15])
    return total / os.sysconf("SC_CLK_TCK")


def _stat_fields(pid: int) -> list[bytes]:
    """Return the fields of proc(5)'s stat from the state on; none when the process is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return []
    return stat[stat.rindex(b")") + 2 :].split()


def _kilobytes(path: Path, name: str) -> int:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)
