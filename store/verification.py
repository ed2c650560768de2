"""The check of a database: order, versions, hash chain, seals, guards, and tables against a fresh fold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from store.chain import Place, start_of
from store.comparing import differences
from store.database import Database, Row, Tx, is_memory
from store.errors import DatabaseUnavailable, DatabaseUnsafe
from store.guards import guard_problems
from store.log import link_fits
from store.rebuilding import fold_log
from store.records import Info, Verification
from store.seals import Seal, SealCheck, seals_of

PROBLEMS_MAX = 100
_WAL_RESET_FIXED = ((3, 51, 3), (3, 50, 7), (3, 44, 6))  # https://sqlite.org/wal.html, "the WAL-reset bug"


class _Chain:
    """Follows the log row by row and keeps the problems it meets."""

    def __init__(self, start: Place) -> None:
        self.problems: list[str] = []
        self._start = start
        self.seq = start.seq
        self._hash = start.hash
        self._versions: dict[str, int] = {}
        self._broken = False

    def see(self, row: Row) -> None:
        """Check one row against all rows before it."""
        seq, stream, version = int(row[0]), str(row[2]), int(row[3])
        if seq != self.seq + 1:
            self._note(f"event {seq}: it follows event {self.seq}; the events between are missing")
        # behind a retired part a stream may go on at any version
        expected = self._versions.get(stream, version - 1 if self._start.seq else 0) + 1
        if version != expected:
            self._note(f"event {seq}: stream {stream} goes on at version {version} where {expected} belongs")
        if not self._broken and not link_fits(self._hash, row):
            self._broken = True
            self._note(
                f"event {seq} ({row[4]} of {stream}): the hash does not fit: it or the row before was changed"
            )
        self.seq, self._hash = seq, bytes(row[15])
        self._versions[stream] = version

    def _note(self, problem: str) -> None:
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(problem)


def verify(database: Database, *, outside: Sequence[Seal] = ()) -> Verification:
    """Return the verdict on one snapshot of the database; each problem names the first place it shows.

    `outside` are the seals of the file beside the results, read before: they find what was changed by
    somebody who computed the chain anew, and what was cut off at the end.
    """
    problems: list[str] = []
    try:
        with database.snapshot() as tx:
            problems += [*_integrity_problems(tx), *guard_problems(tx)]
            start = start_of(tx)
            chain = _Chain(start)
            inside = SealCheck(seals_of(tx), start, where="in the database")
            beside = SealCheck(outside, start, where="outside the database")

            def witness(row: Row) -> None:
                chain.see(row)
                inside.see(row)
                beside.see(row)

            rows, events = fold_log(tx, witness=witness)
            inside.end(chain.seq)
            if outside:
                beside.end(chain.seq)
            problems += [*chain.problems, *inside.problems, *beside.problems]
            problems += (one.sentence for one in differences(tx, rows))
    except (DatabaseUnavailable, DatabaseUnsafe) as error:
        return Verification(ok=False, events=0, problems=(*problems, str(error)))
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
