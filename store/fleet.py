"""The hosts of a log: told to drain, to come back or gone for good, and when each was last heard of.

Draining is a fact of the log: the claim itself asks for it (`store.ready.PAUSES`). A beat is none: it comes
every few seconds and says nothing that must be kept, so it has a table of its own, and wakes nobody.
"""

from __future__ import annotations

from store import rescuing
from store.database import Database
from store.errors import HostAlive
from store.host_events import HostDraining, HostRemoved, HostReturned
from store.host_reading import FRESH_SECONDS, no_host
from store.ids import host_of, host_stream
from store.moments import MICROSECONDS
from store.records import Rescue
from store.retries import RetryPolicy
from store.state import HostState
from store.turn import Turn

_BEAT = """
INSERT INTO beat (host, worker, at, running, trouble) VALUES (?, ?, {now}, ?, ?)
ON CONFLICT (host) DO UPDATE
SET worker = excluded.worker, at = excluded.at, running = excluded.running, trouble = excluded.trouble
"""


def beat(database: Database, host: str, worker: str, *, running: int, trouble: str, now: int | None) -> None:
    """Note that a host is there, with so many fits at work: no event, and outside the order of the log."""
    with database.aside() as tx:
        moment = tx.clock if now is None else str(now)
        tx.execute(_BEAT.format(now=moment), (host, worker, running, trouble))


def drain(turn: Turn, name: str, *, reason: str, give_back: bool, actor: str) -> int | None:
    """Let a host claim nothing more; None where it is told so already. Raises NotFound."""
    known = _known(turn, name)
    if known.draining is not None and known.give_back == give_back:
        return None
    word = HostDraining(host=name, reason=reason, give_back=give_back)
    return turn.append_next(host_stream(name), [word], actor=actor)[0].seq


def give_work(turn: Turn, name: str, *, reason: str, actor: str) -> int | None:
    """Let a host that drains claim again; None where it does not drain. Raises NotFound."""
    if _known(turn, name).draining is None:
        return None
    word = HostReturned(host=name, reason=reason)
    return turn.append_next(host_stream(name), [word], actor=actor)[0].seq


def remove(
    turn: Turn,
    name: str,
    *,
    reason: str,
    actor: str,
    policy: RetryPolicy,
    judged: tuple[str, bool] | None,
    force: bool = False,
) -> tuple[Rescue, ...]:
    """Take a host out of the log's sight, and back whatever its workers hold; returns what they held.

    `judged` is a worker and whether it is known to be dead; a daemon that was started since is not. Where it
    is None nobody asked, and the beat decides. Raises NotFound, and HostAlive for a host that may be at work.
    """
    known = _known(turn, name)
    if not force and judged != (known.worker, True):
        _require_silent(turn, known, asked=judged is not None)
    held = turn.query("SELECT DISTINCT worker FROM lease")
    workers = {str(row[0]) for row in held if row[0] == known.worker or host_of(row[0]) == name}
    taken = rescuing.take_back(turn, workers, cause="host removed", policy=policy)
    if known.removed_at is None:
        turn.append_next(host_stream(name), [HostRemoved(host=name, reason=reason)], actor=actor)
    turn.tx.later("DELETE FROM beat WHERE host = ?", (name,))
    return taken


def _require_silent(turn: Turn, known: HostState, *, asked: bool) -> None:
    """Raise HostAlive for a host that works, or that was heard of a moment ago."""
    if known.state == "stopped" or known.removed_at is not None:
        return
    found = turn.query("SELECT at FROM beat WHERE host = ?", (known.host,))
    age = (turn.now - int(found[0][0])) / MICROSECONDS if found else None
    if asked or (age is not None and age < FRESH_SECONDS):
        raise HostAlive(host=known.host, worker=known.worker, beat_seconds=age)


def _known(turn: Turn, name: str) -> HostState:
    known = turn.rows.get(HostState, name)
    if known is None:
        raise no_host(turn.tx, name)
    return known
