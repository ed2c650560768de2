"""The swap of a restore on Postgres: a new schema is filled and verified, then its tables take their place.

Statements about tables are part of a transaction: whoever reads sees the old log or the new one, never a
part. The old tables are kept in a schema of their own, and the new ones get their rights.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from urllib.parse import quote, unquote

from store.chain import Place
from store.database import Database, Tx, connect
from store.errors import KeepingRefused

_OPTIONS = re.compile(r"([?&]options=)([^&]*)")


def restore_schema(
    url: str, fill: Callable[[str], tuple[Place, int]], stamp: str
) -> tuple[Place, int, str | None]:
    """Let `fill` make and verify a log in a new schema, then let it take the place of the one there.

    Returns the new head, the count of events, and the schema in which the old tables lie, None when they
    had no event. Raises KeepingRefused (others are connected, the role may not), and what `fill` raises.
    """
    stamp = stamp.lower()
    side, database = f"restore_{stamp}", connect(url)
    try:
        _require_alone(database)
        with database.transaction() as tx:
            _require_may_create(tx)
            tx.execute(f"CREATE SCHEMA {side}")
        try:
            head, events = fill(in_schema(url, side))
            with database.transaction() as tx:
                aside = _swap(tx, side, f"before_restore_{stamp}")
        except BaseException:
            with database.transaction() as tx:
                tx.execute(f"DROP SCHEMA IF EXISTS {side} CASCADE")
            raise
        return head, events, f"schema {aside}" if aside else None
    finally:
        database.close()


def in_schema(url: str, schema: str) -> str:
    """Return the address with the schema as the only one that is searched."""
    option = f"-csearch_path={schema}"
    found = _OPTIONS.search(url)
    if found:
        merged = quote(f"{unquote(found[2])} {option}", safe="")
        return url[: found.start()] + found[1] + merged + url[found.end() :]
    return f"{url}{'&' if '?' in url else '?'}options={quote(option, safe='')}"


def _require_alone(database: Database) -> None:
    """Raise KeepingRefused when a store of ours is connected from anywhere."""
    sql = (
        "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND application_name = 'trainwright'"
    )
    with database.snapshot() as tx:
        others = int(tx.query(sql)[0][0])
    if others:
        raise KeepingRefused(
            what=f"{others} other connections of Trainwright use the database",
            where=database.url,
            fix="Stop the daemons, runs and pages on every host, then repeat the command",
            exit_code=75,
        )


def _require_may_create(tx: Tx) -> None:
    user, may = tx.query(
        "SELECT current_user, has_database_privilege(current_database(), 'CREATE') "
        "AND COALESCE((SELECT pg_has_role(current_user, relowner, 'USAGE') FROM pg_class "
        "WHERE oid = to_regclass('event')), true)"
    )[0]
    if not may:
        raise KeepingRefused(
            what=f"the role {user} may not replace the tables; their owner can, with CREATE on the database",
            where="database",
            fix="Set TRAINWRIGHT_DATABASE_URL to an address of the owner and repeat the command",
        )


def _swap(tx: Tx, side: str, aside: str) -> str | None:
    """Move the tables there to `aside` and those of `side` into their place.

    Returns `aside`, None if dropped.
    """
    home = str(tx.query("SELECT current_schema()")[0][0])
    fresh = _tables(tx, side)
    old = [name for name in _tables(tx, home) if name in fresh]
    has_events = "event" in old and bool(tx.query(f'SELECT 1 FROM "{home}".event LIMIT 1'))
    rights = _rights(tx, home, old)
    tx.execute(f"CREATE SCHEMA {aside}")
    ours = {name for name, _ in _functions(tx, side)}
    _move(tx, home, aside, old, ours)
    _move(tx, side, home, fresh, ours)
    for statement in rights:
        tx.execute(statement)
    tx.execute(f"DROP SCHEMA {side}")
    if has_events:
        return aside
    tx.execute(f"DROP SCHEMA {aside} CASCADE")
    return None


def _tables(tx: Tx, schema: str) -> list[str]:
    sql = "SELECT tablename FROM pg_tables WHERE schemaname = ? ORDER BY tablename"
    return [str(row[0]) for row in tx.query(sql, (schema,))]


def _move(tx: Tx, here: str, there: str, tables: Sequence[str], functions: Collection[str]) -> None:
    """Move tables, and the functions of these names, from one schema to another."""
    for name in tables:
        tx.execute(f'ALTER TABLE "{here}"."{name}" SET SCHEMA "{there}"')
    for name, arguments in _functions(tx, here):
        if name in functions:
            tx.execute(f'ALTER FUNCTION "{here}"."{name}"({arguments}) SET SCHEMA "{there}"')


def _functions(tx: Tx, schema: str) -> list[tuple[str, str]]:
    """Return the names and argument lists of the functions in a schema."""
    sql = (
        "SELECT proname, pg_get_function_identity_arguments(oid) FROM pg_proc "
        "WHERE pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = ?) ORDER BY proname"
    )
    return [(str(row[0]), str(row[1])) for row in tx.query(sql, (schema,))]


def _rights(tx: Tx, schema: str, tables: list[str]) -> list[str]:
    """Return the statements that give tables of the same names the owners and rights of these."""
    statements = []
    for name in tables:
        sql = (
            "SELECT pg_get_userbyid(c.relowner), a.privilege_type, pg_get_userbyid(a.grantee), a.grantee = 0 "
            "FROM pg_class AS c LEFT JOIN LATERAL aclexplode(c.relacl) AS a ON a.grantee <> c.relowner "
            "WHERE c.relname = ? AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = ?)"
        )
        for owner, privilege, grantee, everybody in tx.query(sql, (name, schema)):
            statements.append(f'ALTER TABLE "{schema}"."{name}" OWNER TO "{owner}"')
            if privilege is not None:
                to = "PUBLIC" if everybody else f'"{grantee}"'
                statements.append(f'GRANT {privilege} ON "{schema}"."{name}" TO {to}')
    return list(dict.fromkeys(statements))
