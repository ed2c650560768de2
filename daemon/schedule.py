"""The daemon does what is scheduled: plans anew at night, backs its log up, archives, verifies, looks around.

When a run was due and how it ended is kept beside the results, so that a daemon that was away can make up for
what it missed. One entry never runs twice at the same time, nor are two plans made at once, which would be
written to one place and hand in each other's. A clock that is set back runs nothing again that
was run within the last day.

Of several hosts on one log that have the same entry, one does it for all of them; when it is gone, the next
one does what it had not ended. What the daemon does itself (rescan, rescue, seal) each host does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from daemon.bell import Bell
from daemon.crontab import Times
from daemon.errands import Ended, Errand, environment_of, prune_backups, steps_of
from daemon.runner import write_json
from daemon.schedule_entries import BACKUP, PLAN, RINGS, Entry, entries_of
from daemon.schedule_state import FOLDER, STATE, Sharing, State, moment_in, read_state
from daemon.settings import Settings
from daemon.zones import zone_of

log = structlog.get_logger("schedule")

SET_BACK_SECONDS = 60.0  # by which the clock must be behind before it counts as set back
REMEMBERED = timedelta(days=1)
Tell = Callable[..., object]  # a kind of notice, a sentence, then=the next command, data=more


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    entry: Entry
    due_at: datetime
    began_at: datetime
    errand: Errand
    log: Path


class Schedule:
    """Begins what is due, and says how it ended."""

    def __init__(
        self,
        settings: Settings,
        bell: Bell,
        *,
        config: Path | None = None,
        tell: Tell | None = None,
        sharing: Sharing | None = None,
        environ: Mapping[str, str] = os.environ,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.live = frozenset(("schedule", "time_zone"))
        self._bell, self._config, self._tell, self._environ, self._now = bell, config, tell, environ, now
        self._sharing = sharing
        self._folder = settings.results_dir / FOLDER
        self._running: dict[str, _Run] = {}
        self._state: State = {}
        self._due: dict[str, datetime] = {}
        self._seen_at = now()
        self._take(settings)

    def start(self) -> None:
        """Find out what is due when, and what was missed."""
        self._state = read_state(self._folder)
        for entry in self._entries.values():
            self._learn(entry)
        now = self._now()
        for name, entry in self._entries.items():
            if entry.catch_up and self._is_missed(name, now):
                log.warning("scheduled work was missed and is made up for", name=name, do=entry.do)
                self._due[name] = now
            self._state.setdefault(name, {"due_at": now.isoformat()})
        if self._entries:
            self._save()

    def turn(self, rang: frozenset[str]) -> None:
        """Begin what is due, hear what runs."""
        del rang
        for run in list(self._running.values()):
            self._keep_duty(run.entry)
            ended = run.errand.ended()
            if ended is not None:
                self._finish(run, ended)
        now = self._now()
        if now < self._seen_at - timedelta(seconds=SET_BACK_SECONDS):
            self._due = {name: self._next(name, now) for name in self._entries}
        self._seen_at = now
        for name, entry in self._entries.items():
            if self._due[name] <= now and not self._must_wait(entry) and self._is_ours(entry):
                is_done = self._was_done_elsewhere(entry, now)  # a log that does not answer leaves it due
                due_at, self._due[name] = self._due[name], self._times[name].after(now)
                if not is_done:
                    self._begin(entry, due_at, now)

    def reload(self, settings: Settings) -> None:
        """Go by this schedule from now on; what runs goes on, what stays as it was keeps its time."""
        before, due, zone = self._entries, self._due, self._settings.time_zone
        self._take(settings)
        for name in before.keys() - self._entries.keys():
            if self._sharing is not None:
                self._sharing.leave(name)
        if settings.time_zone == zone:
            self._due |= {name: due[name] for name in due if self._entries.get(name) == before[name]}
        for name in self._entries:  # a new one is missed from now on, if the daemon is away when it is due
            self._state.setdefault(name, {"due_at": self._now().isoformat()})
        if self._entries:
            self._save()

    def stop(self) -> None:
        """End what runs: it was begun and not ended, which is known at the next start."""
        for run in self._running.values():
            log.warning("scheduled work is ended with the daemon", name=run.entry.name, do=run.entry.do)
        self.close()

    def close(self) -> None:
        """Leave no process behind."""
        for run in self._running.values():
            run.errand.kill()
        self._running.clear()

    def _take(self, settings: Settings) -> None:
        self._settings, zone = settings, zone_of(settings.time_zone)
        self._entries = {entry.name: entry for entry in entries_of(settings.schedule)}
        self._times = {name: Times(entry.crontab, zone) for name, entry in self._entries.items()}
        now = self._now()
        self._due = {name: self._next(name, now) for name in self._entries}

    def _next(self, name: str, now: datetime) -> datetime:
        """Return when an entry is due next; what a clock up to a day ahead began is not due again."""
        last = moment_in(self._state.get(name, {}), "began_at") or now
        return self._times[name].after(last if now < last <= now + REMEMBERED else now)

    def _is_missed(self, name: str, now: datetime) -> bool:
        """Whether a run fell into a time without a daemon, or was cut off by its end."""
        known = self._state.get(name, {})
        last = moment_in(known, "due_at")
        cut_off = "began_at" in known and "ended_at" not in known
        return cut_off or (last is not None and self._times[name].after(last) <= now)

    def _with_others(self, entry: Entry) -> Sharing | None:
        """Return what shares an entry with other hosts; None for what each host does itself."""
        return None if entry.do in RINGS else self._sharing

    def _is_ours(self, entry: Entry) -> bool:
        """Whether this host does it; what another one does stays due here until that one is gone."""
        sharing = self._with_others(entry)
        if sharing is None:
            return True
        if not sharing.has(entry.name):
            return False
        if sharing.is_at_work(entry.name):  # it lost the duty and not the run: it may have the duty again
            sharing.leave(entry.name)
            return False
        return True

    def _keep_duty(self, entry: Entry) -> None:
        """Take the duty for what runs here again, where it was lost with the connection."""
        if (sharing := self._with_others(entry)) is not None:
            sharing.has(entry.name)

    def _learn(self, entry: Entry) -> None:
        """Take what is known of the last run, whichever host did it; raises StoreError."""
        if (sharing := self._with_others(entry)) is not None:
            found = sharing.learn(entry.name, self._state.get(entry.name, {}))
            self._state |= {entry.name: found} if found else {}

    def _was_done_elsewhere(self, entry: Entry, now: datetime) -> bool:
        """Whether another host has done what was due until now, and ended it."""
        if (sharing := self._with_others(entry)) is None:
            return False
        self._learn(entry)
        by = self._state.get(entry.name, {}).get("host", sharing.host)
        return by != sharing.host and not self._is_missed(entry.name, now)

    def _must_wait(self, entry: Entry) -> bool:
        """Whether another entry is making a plan, and this one wants to."""
        others = (run.entry for name, run in self._running.items() if name != entry.name)
        return entry.do == PLAN and any(other.do == PLAN for other in others)

    def _begin(self, entry: Entry, due_at: datetime, now: datetime) -> None:
        before = self._running.get(entry.name)
        if before is not None:
            sentence = f"it was left out: the run of {before.due_at:%Y-%m-%d %H:%M} is not done yet"
            self._say_failed(entry, sentence, before.log)
            return
        self._state[entry.name] = {"due_at": due_at.isoformat(), "began_at": now.isoformat(), "do": entry.do}
        if (sharing := self._with_others(entry)) is not None:
            self._state[entry.name] |= {"host": sharing.host, "worker": sharing.worker}
        log.info("scheduled work begins", name=entry.name, do=entry.do, due_at=due_at.isoformat())
        if entry.do in RINGS:
            self._bell.ring(entry.do)
            self._state[entry.name] |= {"ended_at": now.isoformat(), "problem": ""}
            self._save()
            return
        self._save(entry)
        path = self._folder / f"{entry.name}.log"
        try:
            errand = Errand(
                steps_of(entry, self._settings, now, self._config),
                log=path,
                environ=environment_of(self._settings, self._environ),
                seconds_max=entry.seconds_max,
            )
        except OSError as error:
            self._note_end(entry, Ended(code=1, sentence=f"it could not be started: {error}"), path, now)
            return
        self._running[entry.name] = _Run(entry=entry, due_at=due_at, began_at=now, errand=errand, log=path)

    def _finish(self, run: _Run, ended: Ended) -> None:
        del self._running[run.entry.name]
        self._note_end(run.entry, ended, run.log, run.began_at)
        if ended.code == 0 and run.entry.do == BACKUP:
            for path in prune_backups(run.entry, self._settings):
                log.info("old backup removed", name=run.entry.name, path=str(path))

    def _note_end(self, entry: Entry, ended: Ended, path: Path, began_at: datetime) -> None:
        now = self._now()
        self._state[entry.name] |= {"ended_at": now.isoformat(), "problem": ended.sentence}
        self._save(entry)
        if ended.sentence:
            self._say_failed(entry, ended.sentence, path, code=ended.code)
        else:
            seconds = max(0.0, round((now - began_at).total_seconds(), 1))
            log.info("scheduled work done", name=entry.name, do=entry.do, seconds=seconds, log=str(path))

    def _say_failed(self, entry: Entry, sentence: str, path: Path, *, code: int | None = None) -> None:
        log.error(
            "scheduled work failed", name=entry.name, do=entry.do, code=code, sentence=sentence, log=str(path)
        )
        if self._tell is not None:
            self._tell(
                "schedule_failed",
                f"scheduled {entry.do} {entry.name} failed: {sentence}",
                then=f"its words are in {path}",
                data={"name": entry.name, "do": entry.do, "log": str(path)},
            )

    def _save(self, entry: Entry | None = None) -> None:
        """Keep what is known, of an entry for all hosts too."""
        if entry is not None and (sharing := self._with_others(entry)) is not None:
            sharing.keep(entry.name, self._state[entry.name])
        try:
            write_json(self._folder / STATE, self._state)
        except OSError as error:
            log.warning("when what was scheduled ran is not kept", cause=str(error))
