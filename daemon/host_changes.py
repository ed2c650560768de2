"""What people do to a host: let it drain, take it back, remove it; for command line, page and API.

A rehearsal answers what the word itself would, and says nothing to the log.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from daemon.identity import is_dead
from daemon.views.words import counted, span
from store.errors import HostAlive
from store.host_reading import FRESH_SECONDS
from store.ids import host_of
from store.moments import moment_of
from store.plan_store import PlanStore
from store.reading import Reader
from store.records import HostRow, Rescue


@dataclass(frozen=True, slots=True, kw_only=True)
class HostChange:
    """What came of a word about a host.

    Attributes:
        word: drain, return or remove.
        already: whether it stood so before, and nothing was said.
        give_back: whether fits at work there are given back.
        running: fits that were at work there.
        taken_back: those of them that were taken from it.
        lost_seconds: of work since their last checkpoints.
    """

    word: str
    host: str
    reason: str
    actor: str
    already: bool = False
    dry_run: bool = False
    give_back: bool = False
    running: tuple[str, ...] = ()
    taken_back: tuple[str, ...] = ()
    lost_seconds: float = 0.0

    @property
    def document(self) -> dict[str, Any]:
        """All of it for programs."""
        return dataclasses.asdict(self)

    @property
    def words(self) -> str:
        """What it comes to, in a sentence."""
        if self.word == "return":
            return "it does not drain" if self.already else "it claims again"
        if self.word == "drain":
            return (
                f"{'it drains already' if self.already else 'it claims nothing more'}; {self._running_words}"
            )
        if self.already:
            return "it is removed already"
        if self.dry_run:
            return f"it is forgotten until its daemon starts again; {self._running_words}"
        lost = f", {span(self.lost_seconds)} of work lost" if self.taken_back else ""
        return f"it is forgotten until its daemon starts again; {_taken_words(len(self.taken_back))}{lost}"

    @property
    def _running_words(self) -> str:
        count = len(self.running)
        if self.word == "remove":
            return _taken_words(count)
        if not count:
            return "nothing runs there"
        are = "is" if count == 1 else "are"
        what = f"{are} given back, to go on elsewhere" if self.give_back else "may end there"
        return f"{counted(count, 'fit')} {what}"


def drain(
    store: PlanStore, host: str, *, give_back: bool, reason: str, actor: str, dry_run: bool = False
) -> HostChange:
    """Let a host claim nothing more; raises NotFound."""
    row = store.reading.host(host)
    already = row.draining is not None and row.give_back == give_back
    if not already and not dry_run:
        store.drain_host(host, reason=reason, give_back=give_back, actor=actor)
    return HostChange(
        word="drain",
        host=host,
        reason=reason,
        actor=actor,
        already=already,
        dry_run=dry_run,
        give_back=give_back,
        running=at_work(store.reading, row),
    )


def take_back_host(
    store: PlanStore, host: str, *, reason: str, actor: str, dry_run: bool = False
) -> HostChange:
    """Let a host that drains claim again; raises NotFound."""
    already = store.reading.host(host).draining is None
    if not already and not dry_run:
        store.return_host(host, reason=reason, actor=actor)
    return HostChange(word="return", host=host, reason=reason, actor=actor, already=already, dry_run=dry_run)


def remove(
    store: PlanStore, host: str, *, force: bool, reason: str, actor: str, dry_run: bool = False
) -> HostChange:
    """Take a host out of the log's sight and its fits back; raises NotFound, HostAlive."""
    reader = store.reading
    row = reader.host(host)
    running = at_work(reader, row)
    dead = is_dead(row.worker, alone=not reader.is_shared)
    taken: tuple[Rescue, ...] = ()
    if dry_run:
        if not force and not dead:
            _require_silent(row, moment_of(reader.now()))
    else:
        taken = store.remove_host(
            host, reason=reason, actor=actor, force=force, is_dead=row.worker.__eq__ if dead else None
        )
    return HostChange(
        word="remove",
        host=host,
        reason=reason,
        actor=actor,
        already=row.removed_at is not None and not taken,
        dry_run=dry_run,
        running=running,
        taken_back=tuple(f"{one.job_id}/{one.family}" for one in taken),
        lost_seconds=sum(one.lost_seconds for one in taken),
    )


def at_work(reader: Reader, row: HostRow) -> tuple[str, ...]:
    """Return the names of the fits that are claimed or run on a host, its agents' among them."""
    return tuple(
        fit.name
        for fit in reader.fits(states=("claimed", "running"))
        if fit.worker is not None and host_of(fit.worker) == row.host
    )


def _require_silent(row: HostRow, now: datetime) -> None:
    """Raise HostAlive for a host that was heard of lately, as its removal would."""
    age = None if row.beat_at is None else (now - row.beat_at).total_seconds()
    if row.state == "working" and row.removed_at is None and age is not None and age < FRESH_SECONDS:
        raise HostAlive(host=row.host, worker=row.worker, beat_seconds=age)


def _taken_words(count: int) -> str:
    if not count:
        return "it has no fit at work"
    return f"{counted(count, 'fit')} {'is' if count == 1 else 'are'} taken back"
