"""The check of a database: order, versions, hash chain, guards, and projections against a fresh fold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from store.database import Database, Row, Tx, is_memory
from store.errors import DatabaseUnavailable
from store.log import GENESIS, link_fits
from store.projections import MemoryRows, columns_of, row_of, select_all
from store.rebuilding import fold_log
from store.records import Info, Verification
from store.state import STATE_TYPES

GUARDS = ("event_gapless", "event_no_delete", "event_no_update")
POSTGRES_GUARDS = (*GUARDS, "event_no_truncate")
PROBLEMS_MAX = 100
_WAL_RESET_FIXED = ((3, 51, 3), (3, 50, 7), (3, 44, 6))  # https://sqlite.org/wal.html, "the WAL-reset bug"


class _Chain:
    """Follows the log row by row and keeps the problems it meets."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._seq = 0
        self._hash = GENESIS
        self._versions: dict[str, int] = {}
        self._broken = False

    def see(self, row: Row) -> None:
        """Check one row against all rows before it."""
        seq, stream, version, link = int(row[0]), str(row[2]), int(row[3]), bytes(row[15])
        if seq != self._seq + 1:
            self._note(f"event {seq}: it follows event {self._seq}; the events between are missing")
        expected = self._versions.get(stream, 0) + 1
        if version != expected:
            self._note(f"event {seq}: stream {stream} goes on at version {version} where {expected} belongs")
        if not self._broken and not link_fits(self._hash, row):
            self._broken = True
            self._note(
                f"event {seq} ({row[4]} of {stream}): the hash does not fit: it or the row before was changed"
            )
        self._seq, self._hash = seq, link
        self._versions[stream] = version

    def _note(self, problem: str) -> None:
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(problem)


def verify(database: Database) -> Verification:
    """Return the verdict on one snapshot of the database; each problem names the first place it shows."""
    chain = _Chain()
    try:
        with database.snapshot() as tx:
            problems = [*_integrity_problems(tx), *_guard_problems(tx)]
            rows, events = fold_log(tx, witness=chain.see)
            problems += [*chain.problems, *_projection_problems(tx, rows)]
    except DatabaseUnavailable as error:
        return Verification(ok=False, events=0, problems=(*chain.problems, str(error)))
    return Verification(ok=not problems, events=events, problems=tuple(problems[:PROBLEMS_MAX]))


def database_info(database: Database) -> Info:
    """Return engine, size, counts and warnings of a database."""
    with database.snapshot() as tx:
        version = _engine_version(tx)
        events, plans, fits = (
            int(tx.query(f"SELECT COUNT(*) FROM {table}")[0][0]) for table in ("event", "plan", "fit")
        )
        schema = str(tx.query("SELECT version_num FROM alembic_version")[0][0])
        size = _size_bytes(tx, database.url)
    return Info(
        url=database.url,
        engine=database.engine,
        engine_version=version,
        schema=schema,
        events=events,
        plans=plans,
        fits=fits,
        size_bytes=size,
        warnings=tuple(_warnings(database, version)),
    )


def _integrity_problems(tx: Tx) -> Iterator[str]:
    if tx.engine == "sqlite":
        for (text,) in tx.query("PRAGMA integrity_check"):
            if text != "ok":
                yield f"the file is damaged: {text}"


def _guard_problems(tx: Tx) -> Iterator[str]:
    """Yield a problem for each trigger on the log that is missing or switched off."""
    if tx.engine == "sqlite":
        sql = (
            "SELECT name FROM sqlite_master "
            "WHERE type = 'trigger' AND tbl_name = 'event' AND sql LIKE '%RAISE(ABORT%'"
        )
        wanted: tuple[str, ...] = GUARDS
    else:
        sql = "SELECT tgname FROM pg_trigger WHERE tgrelid = 'event'::regclass AND tgenabled = 'A'"
        wanted = POSTGRES_GUARDS
    present = {str(row[0]) for row in tx.query(sql)}
    for name in wanted:
        if name not in present:
            yield f"the guard {name} of the table event is missing or off: the log could have been changed"


def _projection_problems(tx: Tx, rows: MemoryRows) -> Iterator[str]:
    """Yield a problem for each row that the log does not lead to, or that is missing."""
    for kind in STATE_TYPES:
        width = len(kind.KEY)
        columns = columns_of(kind)
        places = [columns.index(name) for name in kind.KEY]
        wanted = {state.key: row_of(state) for state in rows.of(kind).values()}
        for row in tx.stream(select_all(kind)):
            key = tuple(row[place] for place in places)
            expected = wanted.pop(key, None)
            named = "/".join(str(part) for part in key[:width])
            if expected is None:
                yield f"table {kind.TABLE}: row {named} is in no event"
            elif expected != tuple(row):
                differing = [name for name, a, b in zip(columns, expected, row, strict=True) if a != b]
                yield f"table {kind.TABLE}: row {named} differs from the log in {', '.join(differing)}"
        for key in wanted:
            yield f"table {kind.TABLE}: row {'/'.join(str(part) for part in key)} is missing"


def _engine_version(tx: Tx) -> str:
    sql = "SELECT sqlite_version()" if tx.engine == "sqlite" else "SHOW server_version"
    return str(tx.query(sql)[0][0])


def _size_bytes(tx: Tx, url: str) -> int:
    if is_memory(url):
        pages, bytes_each = (tx.query(f"PRAGMA {name}")[0][0] for name in ("page_count", "page_size"))
        return int(pages * bytes_each)
    if tx.engine == "sqlite":
        file = Path(str(tx.query("SELECT file FROM pragma_database_list WHERE name = 'main'")[0][0]))
        sides = (file, file.with_name(file.name + "-wal"))
        return sum(side.stat().st_size for side in sides if side.exists())
    return int(tx.query("SELECT pg_database_size(current_database())")[0][0])


def _warnings(database: Database, version: str) -> Iterator[str]:
    if is_memory(database.url):
        yield "It is kept in memory only: everything in it is lost when this process ends."
    elif database.engine == "sqlite" and not _is_wal_reset_fixed(version):
        yield (
            f"SQLite {version} has the WAL-reset bug: a rare race of two checkpoints can lose commits. "
            "Use SQLite 3.51.3 or newer, or Postgres, where several processes write at once."
        )


def _is_wal_reset_fixed(version: str) -> bool:
    """Return whether a SQLite version has the fix, in its own branch or by being newer."""
    found = tuple(int(part) for part in version.split(".")[:3])
    newest = _WAL_RESET_FIXED[0]
    return found >= newest or any(found[:2] == fixed[:2] and found >= fixed for fixed in _WAL_RESET_FIXED)
