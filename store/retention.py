"""Retention: the oldest part of the log goes, and the chain holds: it begins behind the last event that went.

Only a whole prefix is retired. It ends before the first event that is still needed: of a plan that is
unfinished, young or not archived, of the planning such a plan came from, of a pause in force, of a daemon
at work. No plan is split, and the last event always stays. The prefix is sealed first, in the table and
outside; then one transaction lifts the guard against DELETE, takes the rows, writes `log_start`, puts the
guard back, and folds the projections anew. Names that models have by events of the prefix are said again
before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from store import promoting, rebuilding
from store.archive import archived_as, state_of_file
from store.backup import require_sound
from store.chain import Place, head_of, start_of
from store.database import Database, Tx
from store.errors import KeepingRefused, LogDamaged
from store.events import PlanArchived
from store.guards import lifted, require_owner
from store.ids import planning_stream
from store.moments import iso_utc, moment_of
from store.seals import read_seals, seal
from store.turn import Turn
from store.verification import verify

Look = Callable[[PlanArchived], str]  # an archiving -> the state of its file
_ROWS_AT_ONCE = 100_000  # of one DELETE: a server that is silent for long is taken for frozen


@dataclass(frozen=True, slots=True, kw_only=True)
class Retirement:
    """The prefix that is or would be retired, from `first_seq` to `last_seq`; 0 events when there is none.

    Attributes:
        plans: ids of the plans whose events go.
        held_by: what the first event that stays is needed for, as a sentence.
    """

    first_seq: int
    last_seq: int
    events: int
    plans: tuple[str, ...]
    held_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """A plan with its first event, or that of the planning it came from, and its last."""

    plan: str
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Need:
    """The first event something needs, and what that is."""

    seq: int
    sentence: str


def retirement(database: Database, *, before: int) -> Retirement:
    """Return what `retire` would do for events before a moment (microseconds since the epoch).

    Changes nothing.
    """
    with database.snapshot() as tx:
        return _retirement(tx, before, state_of_file)


def retire(database: Database, *, before: int, seals: Path) -> Retirement:
    """Retire the oldest part of the log as far as nothing needs it, and return what went.

    Raises KeepingRefused (the log does not verify, this role does not own it, a plan came to need the part
    meanwhile), LogDamaged. Whatever is raised, the log is what it was, or is without that part and sound.
    """
    with database.snapshot() as tx:
        require_owner(tx)
    require_sound(verify(database, outside=read_seals(seals)), what="the log", where=database.url)
    files: dict[str, str] = {}  # SHA-256 of archives, looked at before the transaction and not in it

    def looked_at(event: PlanArchived) -> str:
        files[event.sha256] = state_of_file(event)
        return files[event.sha256]

    with database.snapshot() as tx:
        planned = _retirement(tx, before, looked_at)
    if planned.events == 0:
        return planned
    with database.transaction() as tx:  # by itself: names that were said twice do no harm, lost ones do
        turn = Turn(tx)
        promoting.say_again(turn, planned.last_seq)
        turn.flush()
    seal(database, seals, upto=planned.last_seq)
    with database.transaction() as tx:
        now = _retirement(tx, before, lambda event: files.get(event.sha256, "missing"))
        end = _require_still_free(tx, planned, now)
        with lifted(tx, "event_no_delete"):
            _delete(tx, planned.first_seq, planned.last_seq)
        tx.execute("DELETE FROM log_start")
        tx.execute(
            "INSERT INTO log_start (seq, hash, cut_at) VALUES (?, ?, ?)", (end.seq, end.hash, tx.now())
        )
        rebuilding.rebuild(tx)
    return planned


def _retirement(tx: Tx, before: int, look: Look) -> Retirement:
    """Return the longest prefix that nothing needs."""
    start, head = start_of(tx), head_of(tx)
    spans = [
        _span(tx, *row) for row in tx.query("SELECT plan_id, accepted_seq FROM plan ORDER BY accepted_seq")
    ]
    need = min((*_needs(tx, before, head), *_plan_needs(tx, before, spans, look)), key=lambda one: one.seq)
    last = min(need.seq, head.seq) - 1
    while cut := [one for one in spans if one.first <= last < one.last]:
        last = min(one.first for one in cut) - 1  # a plan goes whole or stays: its streams begin at version 1
    last = max(last, start.seq)
    return Retirement(
        first_seq=start.seq + 1,
        last_seq=last,
        events=last - start.seq,
        plans=tuple(one.plan for one in spans if one.last <= last),
        held_by=need.sentence,
    )


def _needs(tx: Tx, before: int, head: Place) -> Iterator[_Need]:
    """Yield the first event of everything that is kept beside plans."""
    yield _Need(seq=head.seq, sentence="the last event always stays")
    yield from _young(tx, before, f"it is from {iso_utc(moment_of(before))} or later")
    for reason, paused_at in tx.query("SELECT reason, paused_at FROM pause"):
        yield from _young(tx, int(paused_at), f"work is paused since then ({reason or 'no reason given'})")
    for host, started_at in tx.query("SELECT host, started_at FROM host WHERE state = 'working'"):
        yield from _young(tx, int(started_at), f"the daemon of host {host} is at work since then")


def _plan_needs(tx: Tx, before: int, spans: Sequence[_Span], look: Look) -> Iterator[_Need]:
    """Yield the first event of each plan that is kept."""
    found = tx.query("SELECT plan_id, state, completed_at FROM plan")
    known = {str(row[0]): (str(row[1]), row[2]) for row in found}
    for one in spans:
        why = _kept(tx, one.plan, *known[one.plan], before, look)
        if why is not None:
            yield _Need(seq=one.first, sentence=f"plan {one.plan} {why}")


def _young(tx: Tx, moment: int, sentence: str) -> Iterator[_Need]:
    """Yield the first event at or after a moment, if there is one."""
    found = tx.query("SELECT MIN(seq) FROM event WHERE recorded_at >= ?", (moment,))
    if found[0][0] is not None:
        yield _Need(seq=int(found[0][0]), sentence=sentence)


def _kept(tx: Tx, plan_id: str, state: str, completed_at: int | None, before: int, look: Look) -> str | None:
    """Return why a plan is kept, or None."""
    if state != "completed" or completed_at is None:
        return "is not finished"
    if completed_at >= before:
        return f"was finished only at {iso_utc(moment_of(completed_at))}"
    event = archived_as(tx, plan_id)
    if event is None:
        return f"is not archived since its last event (trainwright db archive --plan {plan_id})"
    found = look(event)
    return None if found == "kept" else f"has an archive that is {found}: {event.path}"


def _span(tx: Tx, plan_id: str, accepted_seq: int) -> _Span:
    """Return the first event of a plan or of the planning it came from, and its last one."""
    told = tx.query("SELECT correlation_id FROM event WHERE seq = ?", (accepted_seq,))
    stream = planning_stream(told[0][0]) if told and told[0][0] else ""
    planned = tx.query("SELECT MIN(seq) FROM event WHERE stream = ?", (stream,))[0][0]
    own = "SELECT MIN(seq), MAX(seq) FROM event WHERE plan = ? AND kind <> 'PlanArchived'"
    first, last = tx.query(own, (plan_id,))[0]
    return _Span(
        plan=plan_id, first=min(int(first), int(first if planned is None else planned)), last=int(last)
    )


def _require_still_free(tx: Tx, planned: Retirement, now: Retirement) -> Place:
    """Return the place at the end of the part, now that nobody else can write.

    Raises KeepingRefused, LogDamaged.
    """
    if now.first_seq != planned.first_seq or now.last_seq < planned.last_seq:
        raise KeepingRefused(
            what=f"the part came to be needed meanwhile: {now.held_by}",
            where=f"events {planned.first_seq} to {planned.last_seq}",
            fix="Repeat the command",
            exit_code=75,
        )
    sealed = tx.query("SELECT hash FROM seal WHERE last_seq = ?", (planned.last_seq,))
    found = tx.query("SELECT hash FROM event WHERE seq = ?", (planned.last_seq,))
    if not sealed or not found or bytes(sealed[0][0]) != bytes(found[0][0]):
        raise LogDamaged(seq=planned.last_seq, sentence="its seal is missing or of another hash")
    return Place(seq=planned.last_seq, hash=bytes(found[0][0]))


def _delete(tx: Tx, first: int, last: int) -> None:
    for begin in range(first, last + 1, _ROWS_AT_ONCE):
        end = min(last, begin + _ROWS_AT_ONCE - 1)
        tx.execute("DELETE FROM event WHERE seq BETWEEN ? AND ?", (begin, end))
