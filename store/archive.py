"""Archive: what the log says of a finished plan, in a file of its own, checked and then recorded.

That is every event of the plan and of its fits, and of the planning it came from. A plan that was archived
since its last event may be retired from the log (`store.retention`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from store import log
from store.archive_file import Linked, linked, read_archive, require_equal, write_archive
from store.chain import head_of, start_of
from store.database import Database, Tx
from store.durable import appearing, unwritable
from store.errors import KeepingRefused, NotFound
from store.events import PlanArchived
from store.ids import ARCHIVE_STREAM, planning_stream
from store.layout import SELECT_EVENT
from store.moments import iso_utc, moment_of
from store.turn import Turn

VERSION = 1
_COUNTS = ("jobs", "fits", "succeeded", "failed", "unavailable", "cancelled")
_CONCERNED = "(plan = ? OR stream = ?) AND kind <> 'PlanArchived'"
_WITH_BEFORE = SELECT_EVENT.replace(
    " FROM event", ", (SELECT p.hash FROM event AS p WHERE p.seq = event.seq - 1) FROM event"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A plan's archive: its file, the SHA-256 that was recorded, and which events it holds.

    Attributes:
        state: ``kept``; ``missing`` or ``changed`` when the file is not what was recorded; ``retired`` when
            the log no longer has the plan's events, and the file is what there is.
        new: whether it was written now.
    """

    plan: str
    name: str
    path: Path
    sha256: str
    events: int
    first_seq: int
    last_seq: int
    state: str = "kept"
    new: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """A finished plan, the stream of the planning it came from, and what the file says of it."""

    id: str
    name: str
    planning: str
    metadata: dict[str, Any]


def archive_dir(results_dir: Path) -> Path:
    """Return the folder of the archives."""
    return results_dir.absolute() / "archive"


def finished_plans(database: Database, *, before: int) -> tuple[str, ...]:
    """Return the plans that were completed before a moment (microseconds since the epoch), oldest first."""
    sql = "SELECT plan_id FROM plan WHERE state = 'completed' AND completed_at < ? ORDER BY accepted_seq"
    with database.snapshot() as tx:
        return tuple(str(row[0]) for row in tx.query(sql, (before,)))


def archive(database: Database, plan_id: str, results_dir: Path, *, actor: str) -> Archive:
    """Write a finished plan's archive, read it back, and record it; once after its last event.

    Raises NotFound, KeepingRefused: the plan is not finished, the file cannot be written, or what was read
    back is not what was written.
    """
    with database.snapshot() as tx:
        plan = _finished_plan(tx, plan_id)
        known = archived_as(tx, plan_id)
        if known is not None and state_of_file(known) == "kept":
            return _archive_of(known, plan.name)
        first, last = plan.metadata["first_seq"], plan.metadata["last_seq"]
        path = archive_dir(results_dir) / f"{plan_id}-{first}-{last}.parquet"  # the same plan may come again
        with appearing(path, replace=True) as partial:
            write_archive(partial, _rows(tx, plan), plan.metadata)
            require_equal(partial, _rows(tx, plan))
            digest = sha256_of(partial)
    event = PlanArchived(
        plan=plan_id,
        path=str(path),
        sha256=digest,
        events=plan.metadata["events"],
        first_seq=first,
        last_seq=last,
    )
    _record(database, event, actor)
    return _archive_of(event, plan.name, new=True)


def archives(database: Database, results_dir: Path) -> tuple[Archive, ...]:
    """Return the archives that the log or the folder knows, each with the state of its file."""
    with database.snapshot() as tx:
        rows = tx.query(f"{SELECT_EVENT} WHERE stream = ? ORDER BY seq", (ARCHIVE_STREAM,))
        names = {str(row[0]): str(row[1]) for row in tx.query("SELECT plan_id, name FROM plan")}
        start = start_of(tx).seq
    found: dict[Path, Archive] = {}
    for event in (log.recorded_of(row).event for row in rows):
        if isinstance(event, PlanArchived):
            state = state_of_file(event)
            gone = state == "kept" and event.last_seq <= start
            name = names.get(event.plan, "")
            found[Path(event.path)] = _archive_of(event, name, state="retired" if gone else state)
    for path in sorted(archive_dir(results_dir).glob("*.parquet")):
        if path not in found or not found[path].name:
            found[path] = _retired(path)
    return tuple(found.values())


def archived_as(tx: Tx, plan_id: str) -> PlanArchived | None:
    """Return the last archiving of a plan, if nothing of the plan happened after it."""
    last = tx.query(f"{SELECT_EVENT} WHERE plan = ? ORDER BY seq DESC LIMIT 1", (plan_id,))
    event = log.recorded_of(last[0]).event if last else None
    return event if isinstance(event, PlanArchived) else None


def state_of_file(event: PlanArchived) -> str:
    """Return ``kept``, ``missing`` or ``changed``: the file against the SHA-256 that was recorded."""
    try:
        return "kept" if sha256_of(Path(event.path)) == event.sha256 else "changed"
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        raise unwritable(Path(event.path), error) from error


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, 64 hex digits; raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _finished_plan(tx: Tx, plan_id: str) -> _Plan:
    sql = f"SELECT name, state, completed_at, accepted_seq, {', '.join(_COUNTS)} FROM plan WHERE plan_id = ?"
    found = tx.query(sql, (plan_id,))
    if not found:
        raise NotFound(noun="plan", name=plan_id)
    name, state, completed_at, accepted_seq, *counts = found[0]
    if state != "completed":
        raise KeepingRefused(
            what=f"plan {plan_id} is not finished: only plans whose fits have all ended are archived",
            where=str(name),
            fix=f"Wait for it, or end it: trainwright cancel --plan {plan_id}",
        )
    told = tx.query("SELECT correlation_id FROM event WHERE seq = ?", (accepted_seq,))
    planning = planning_stream(told[0][0]) if told and told[0][0] not in (None, plan_id) else ""
    span = f"SELECT COUNT(*), MIN(seq), MAX(seq) FROM event WHERE {_CONCERNED}"
    events, first, last = (int(value) for value in tx.query(span, (plan_id, planning))[0])
    head = head_of(tx)
    metadata = {
        "format": "trainwright-plan-archive",
        "version": VERSION,
        "plan": plan_id,
        "name": name,
        "completed_at": iso_utc(moment_of(completed_at)),
        "counts": dict(zip(_COUNTS, counts, strict=True)),
        "events": events,
        "first_seq": first,
        "last_seq": last,
        "head": {"seq": head.seq, "hash": head.hash.hex()},
    }
    return _Plan(id=plan_id, name=str(name), planning=planning, metadata=metadata)


def _rows(tx: Tx, plan: _Plan) -> Iterator[Linked]:
    """Yield the rows that concern a plan, each with the hash of the row before it in the log."""
    start = start_of(tx).hash
    for row in tx.stream(f"{_WITH_BEFORE} WHERE {_CONCERNED} ORDER BY seq", (plan.id, plan.planning)):
        whole = linked(row)
        yield whole if whole[-1] is not None else (*whole[:-1], start)


def _record(database: Database, event: PlanArchived, actor: str) -> None:
    """Append the word that a plan was archived; raises KeepingRefused when it went on meanwhile."""
    with database.transaction() as tx:
        sql = "SELECT COUNT(*) FROM event WHERE plan = ? AND kind <> 'PlanArchived' AND seq > ?"
        if tx.query(sql, (event.plan, event.last_seq))[0][0]:
            raise KeepingRefused(
                what=f"plan {event.plan} went on while it was archived",
                where=event.path,
                fix="Repeat the command when it is finished again",
                exit_code=75,
            )
        turn = Turn(tx)
        turn.append_next(ARCHIVE_STREAM, [event], actor=actor, correlation=event.plan, plan=event.plan)
        turn.flush()


def _archive_of(event: PlanArchived, name: str, *, state: str = "kept", new: bool = False) -> Archive:
    return Archive(
        plan=event.plan,
        name=name,
        path=Path(event.path),
        sha256=event.sha256,
        events=event.events,
        first_seq=event.first_seq,
        last_seq=event.last_seq,
        state=state,
        new=new,
    )


def _retired(path: Path) -> Archive:
    """Return what the file of a plan says that the log no longer has; raises KeepingRefused."""
    metadata, _ = read_archive(path)
    return Archive(
        plan=str(metadata["plan"]),
        name=str(metadata["name"]),
        path=path,
        sha256=sha256_of(path),
        events=int(metadata["events"]),
        first_seq=int(metadata["first_seq"]),
        last_seq=int(metadata["last_seq"]),
        state="retired",
    )
