"""The guards of the table `event`: triggers that refuse UPDATE, DELETE, TRUNCATE, an insert out of turn.

Who retires or imports events lifts one guard inside the transaction that does it: statements about triggers
are part of a transaction on both engines, so that the guard is back for everybody else, whatever happens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from store.database import Tx
from store.errors import KeepingRefused

GUARDS = ("event_gapless", "event_no_delete", "event_no_update")
POSTGRES_GUARDS = (*GUARDS, "event_no_truncate")


@contextmanager
def lifted(tx: Tx, guard: str) -> Iterator[None]:
    """Lift one guard for the rest of the block, within the transaction.

    Raises KeepingRefused for a non-owner.
    """
    if tx.engine == "sqlite":
        found = tx.query("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = ?", (guard,))
        off = [f"DROP TRIGGER {guard}"] if found else []
        on = [str(row[0]) for row in found]
    else:
        require_owner(tx)
        off = [f"ALTER TABLE event DISABLE TRIGGER {guard}"]
        on = [f"ALTER TABLE event ENABLE ALWAYS TRIGGER {guard}"]
    for sql in off:
        tx.execute(sql)
    yield
    for sql in on:
        tx.execute(sql)


def require_owner(tx: Tx) -> None:
    """Raise KeepingRefused unless this session may lift the guards, which on Postgres only the owner may."""
    if tx.engine == "sqlite":
        return
    sql = (
        "SELECT current_user, pg_get_userbyid(relowner), pg_has_role(current_user, relowner, 'USAGE') "
        "FROM pg_class WHERE oid = 'event'::regclass"
    )
    user, owner, may = tx.query(sql)[0]
    if not may:
        raise KeepingRefused(
            what=f"the role {user} may only add to the log; only its owner {owner} can do this",
            where="table event",
            fix=f"Set TRAINWRIGHT_DATABASE_URL to an address of the role {owner} and repeat the command",
        )


def guard_problems(tx: Tx) -> Iterator[str]:
    """Yield a problem for each guard that is missing, switched off or refuses nothing."""
    if tx.engine == "sqlite":
        sql = (
            "SELECT name FROM sqlite_master "
            "WHERE type = 'trigger' AND tbl_name = 'event' AND sql LIKE '%RAISE(ABORT%'"
        )
        wanted: tuple[str, ...] = GUARDS
    else:
        sql = (
            "SELECT t.tgname FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid "
            "WHERE t.tgrelid = 'event'::regclass AND t.tgenabled = 'A' AND p.prosrc LIKE '%RAISE EXCEPTION%'"
        )
        wanted = POSTGRES_GUARDS
    present = {str(row[0]) for row in tx.query(sql)}
    for name in wanted:
        if name not in present:
            yield f"the guard {name} of the table event is missing or off: the log could have been changed"
