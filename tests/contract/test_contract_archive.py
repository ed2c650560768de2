"""Finished plans in files of their own, and out of the log without a break in its chain."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from keeping_samples import ROUTE, finished, history, opened, rows_of, unguarded
from store_samples import STARTED, SUCCEEDED, Clock, cs_job, plan_of

from store import Failure, LogDamaged, NotFound, PlanStore, WriteRefused, open_store
from store.archive import archive, archive_dir, archives, finished_plans
from store.archive_file import broken_links, read_archive
from store.database import Database, Tx, connect
from store.errors import KeepingRefused
from store.events import DaemonStarted, DaemonStopped
from store.guards import guard_problems
from store.layout import COLUMNS
from store.moments import microseconds_of
from store.retention import Retirement, retire, retirement
from store.seals import read_seals, seal_log
from store.transfer import export_log, import_log
from store.verification import verify


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with opened(database_url) as one:
        yield one


@pytest.fixture
def plans(plan_store: PlanStore, clock: Clock) -> tuple[str, str]:
    """Two finished plans; an open one comes behind them."""
    return history(plan_store, clock)


def micro(clock: Clock, *, hours: float = 0) -> int:
    """The clock's moment, so many hours earlier, as the database has it."""
    return microseconds_of(clock.now - timedelta(hours=hours))


# -- archive ---


def test_an_archive_holds_every_row_of_a_plan_with_its_place_in_the_chain(
    plan_store: PlanStore, database: Database, database_url: str, plans: tuple[str, str], tmp_path: Path
) -> None:
    """All events of plan, fits and planning, as the log has them; each link follows from the file alone."""
    made = archive(database, plans[0], tmp_path, actor="me")
    metadata, rows = read_archive(made.path)
    wanted = [row for row in rows_of(database_url) if row[10] == plans[0] or row[2] == "planning-n_1"]
    found = list(rows)
    assert [row[:-1] for row in found if row[4] != "PlanArchived"] == [
        row for row in wanted if row[4] != "PlanArchived"
    ]
    assert broken_links(made.path) == []
    assert (metadata["plan"], metadata["events"]) == (plans[0], len(found))
    assert (metadata["first_seq"], metadata["last_seq"]) == (found[0][0], found[-1][0]) == (1, made.last_seq)
    assert metadata["counts"]["succeeded"] == 4
    assert metadata["head"]["seq"] == plan_store.head_seq() - 1
    assert pq.read_table(made.path).num_rows == made.events


def test_an_archive_is_recorded_with_its_hash_and_made_once(
    plan_store: PlanStore, database: Database, plans: tuple[str, str], tmp_path: Path
) -> None:
    """PlanArchived names file, SHA-256 and span; a second call finds it and writes nothing."""
    made = archive(database, plans[0], tmp_path, actor="me")
    event = plan_store.events(kinds=["PlanArchived"])[0]
    assert (event.plan, event.actor, event.data["sha256"]) == (plans[0], "me", made.sha256)
    assert event.data["events"] == made.events
    written = made.path.stat().st_mtime_ns
    again = archive(database, plans[0], tmp_path, actor="me")
    assert (made.new, again.new, again.path) == (True, False, made.path)
    assert made.path.stat().st_mtime_ns == written
    assert len(plan_store.events(kinds=["PlanArchived"])) == 1
    assert plan_store.verify().ok


def test_only_finished_plans_are_archived(
    plan_store: PlanStore, database: Database, plans: tuple[str, str], clock: Clock, tmp_path: Path
) -> None:
    """An open plan and an unknown one are refused by name; the age asks for the end of the plan."""
    is_open = plan_store.reading.plans()[-1].id
    with pytest.raises(KeepingRefused, match="is not finished"):
        archive(database, is_open, tmp_path, actor="me")
    with pytest.raises(NotFound):
        archive(database, "p_none", tmp_path, actor="me")
    assert finished_plans(database, before=micro(clock)) == plans
    assert finished_plans(database, before=micro(clock, hours=1.5)) == plans[:1]


def test_a_plan_that_goes_on_is_archived_anew_when_it_ends(
    plan_store: PlanStore, database: Database, clock: Clock, tmp_path: Path
) -> None:
    """A retried fit makes the archive an old one; the next one holds all of it, and the old file stays."""
    plan = plan_of(cs_job("y1", families=("LightGBM",)))
    plan_store.accept(plan, source="test", name="one")
    claim = plan_store.claim("w", stage="cpu")[0]
    plan_store.failed(claim, Failure(cause="bad_input", sentence="constant label"))
    first = archive(database, plan.id, tmp_path, actor="me")
    plan_store.retry(claim.fit_id, reason="mended")
    with pytest.raises(KeepingRefused, match="is not finished"):
        archive(database, plan.id, tmp_path, actor="me")
    clock.move(60)
    assert retirement(database, before=micro(clock)).held_by == f"plan {plan.id} is not finished"
    plan_store.succeeded(plan_store.claim("w", stage="cpu")[0], SUCCEEDED)
    clock.move(60)
    assert "is not archived since its last event" in retirement(database, before=micro(clock)).held_by
    second = archive(database, plan.id, tmp_path, actor="me")
    assert second.new
    assert second.events > first.events
    assert first.path != second.path
    assert [one.state for one in archives(database, tmp_path)] == ["kept", "kept"]


def test_a_file_that_was_changed_is_found_by_its_hash(
    plan_store: PlanStore, database: Database, plans: tuple[str, str], tmp_path: Path
) -> None:
    """The list says which archive is missing or not the one that was recorded; it can be made again."""
    one, other = (archive(database, plan, tmp_path, actor="me") for plan in plans)
    one.path.write_bytes(one.path.read_bytes() + b"!")
    other.path.unlink()
    assert [found.state for found in archives(database, tmp_path)] == ["changed", "missing"]
    for plan in plans:
        assert archive(database, plan, tmp_path, actor="me").new
    assert {found.state for found in archives(database, tmp_path)} == {"kept"}


def test_a_row_that_is_read_back_otherwise_is_not_recorded(
    plan_store: PlanStore, database: Database, plans: tuple[str, str], tmp_path: Path
) -> None:
    """A log whose rows do not fit is not archived: no file, no event."""
    with unguarded(database.url) as tx:
        tx.execute("UPDATE event SET actor = 'mallory' WHERE seq = 3")
    with pytest.raises(KeepingRefused, match="event 3 was not read back"):
        archive(database, plans[0], tmp_path, actor="me")
    assert list(archive_dir(tmp_path).iterdir()) == []
    assert plan_store.events(kinds=["PlanArchived"]) == ()


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    """Any other file is named in a sentence."""
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(KeepingRefused, match="no archive"):
        read_archive(tmp_path / "x.parquet")


# -- retention ---


def retired(
    store: PlanStore, database: Database, plans: tuple[str, ...], clock: Clock, place: Path
) -> Retirement:
    """Archive these plans and retire what is old enough."""
    for plan in plans:
        archive(database, plan, place, actor="me")
    return retire(database, before=micro(clock), seals=place / "seals.jsonl")


def test_the_prefix_goes_and_the_chain_holds(
    plan_store: PlanStore, database: Database, plans: tuple[str, str], clock: Clock, tmp_path: Path
) -> None:
    """Only the archived plan's events go; the rest is byte for byte the same, verifies, and goes on."""
    before = rows_of(database.url)
    done = retired(plan_store, database, plans[:1], clock, tmp_path)
    assert (done.first_seq, done.plans) == (1, plans[:1])
    assert done.held_by.startswith(f"plan {plans[1]} is not archived")
    assert rows_of(database.url)[:-1] == before[done.last_seq :]
    assert plan_store.reading.plans()[0].id == plans[1]
    seq = plan_store.record("n_9", [ROUTE])[0]
    assert seq == before[-1][0] + 2
    found = verify(database, outside=read_seals(tmp_path / "seals.jsonl"))
    assert found.problems == ()
    assert found.events == len(before) - done.events + 2
    with database.snapshot() as tx:
        assert list(guard_problems(tx)) == []
        assert tx.query("SELECT seq FROM log_start") == [(done.last_seq,)]
    with pytest.raises(WriteRefused, match="append-only"), database.transaction() as tx:
        tx.execute("DELETE FROM event WHERE seq = ?", (seq,))


def test_a_name_of_a_model_outlives_the_part_that_gave_it(
    plan_store: PlanStore, database: Database, clock: Clock, tmp_path: Path
) -> None:
    """The alias of a model of a retired plan still names its bundle and who gave it; the log is sound."""
    first = finished(plan_store, "y1")
    model = plan_store.reading.fits(plan=first, states=("succeeded",))[0]
    given = plan_store.promote(model.id, "champion", reason="the best", actor="alice")
    clock.move(3600)
    finished(plan_store, "y2")
    clock.move(3600)
    done = retired(plan_store, database, (first,), clock, tmp_path)
    assert given is not None
    assert given <= done.last_seq
    found = plan_store.reading.promotions()["champion"]
    assert found.seq > done.last_seq
    assert (found.actor, found.data["bundle"], found.data["reason"]) == ("alice", model.bundle, "the best")
    assert verify(database, outside=read_seals(tmp_path / "seals.jsonl")).problems == ()


def test_nothing_is_put_where_the_prefix_was(
    plan_store: PlanStore, database: Database, plans: tuple[str, str], clock: Clock, tmp_path: Path
) -> None:
    """After a retirement the numbers that are gone are not given to anybody again, the first neither."""
    done = retired(plan_store, database, plans[:1], clock, tmp_path)
    columns = ", ".join(name for name in COLUMNS if name not in ("seq", "event_id", "stream"))
    for seq in (1, done.last_seq):
        sql = (
            f"INSERT INTO event (seq, event_id, stream, {columns}) "
            f"SELECT ?, ?, 'forged', {columns} FROM event WHERE version = 1 LIMIT 1"
        )
        with pytest.raises(WriteRefused, match="gapless"), database.transaction() as tx:
            tx.execute(sql, (seq, bytes(16)))


def test_what_is_needed_holds_the_prefix(
    plan_store: PlanStore, database: Database, plans: tuple[str, str], clock: Clock, tmp_path: Path
) -> None:
    """Young, unarchived and unfinished plans keep their events, and those of the planning they came from."""
    first, second = (
        min(event.seq for event in plan_store.events() if event.correlation == planning)
        for planning in ("n_1", "n_2")
    )
    assert (first, retirement(database, before=micro(clock)).events) == (1, 0)
    for plan in plans:
        archive(database, plan, tmp_path, actor="me")
    young = retirement(database, before=micro(clock, hours=1.5))
    assert (young.last_seq, young.plans) == (second - 1, plans[:1])
    assert "or later" in young.held_by or "finished only at" in young.held_by
    is_open = plan_store.reading.plans()[-1]
    whole = retirement(database, before=micro(clock, hours=-1))
    assert whole.held_by == f"plan {is_open.id} is not finished"
    assert whole.last_seq == min(event.seq for event in plan_store.events(plan=is_open.id)) - 1


def test_the_last_event_always_stays(
    plan_store: PlanStore, database: Database, clock: Clock, tmp_path: Path
) -> None:
    """With everything archived and old, the log still ends where it ended."""
    plan = finished(plan_store, "y1")
    clock.move(60)
    done = retired(plan_store, database, (plan,), clock, tmp_path)
    clock.move(60)
    rest = retire(database, before=micro(clock), seals=tmp_path / "seals.jsonl")
    assert rest.last_seq == plan_store.head_seq() - 1
    assert done.last_seq <= rest.last_seq
    assert plan_store.verify().events == 1
    assert [one.state for one in archives(database, tmp_path)] == ["retired"]


def test_a_retired_plan_may_come_again(
    plan_store: PlanStore, database: Database, plans: tuple[str, str], clock: Clock, tmp_path: Path
) -> None:
    """The same plan after its events went is a new one, and its first archive stays beside the second."""
    retired(plan_store, database, plans, clock, tmp_path)
    assert finished(plan_store, "y1", "y2") == plans[0]
    second = archive(database, plans[0], tmp_path, actor="me")
    assert plan_store.verify().problems == ()
    listed = archives(database, tmp_path)
    assert [one.state for one in listed if one.plan == plans[0]].count("retired") == 1
    assert second.path in [one.path for one in listed]


def test_a_plan_goes_whole_or_stays(
    plan_store: PlanStore, database: Database, clock: Clock, tmp_path: Path
) -> None:
    """A plan whose last events lie behind the first ones of a kept plan is not split."""
    outer = plan_of(cs_job("y1", families=("LightGBM",)))
    plan_store.accept(outer, source="test", name="outer")
    claim = plan_store.claim("w", stage="cpu")[0]
    plan_store.accept(plan_of(cs_job("y2")), source="test", name="kept")
    plan_store.started(claim, STARTED)
    plan_store.succeeded(claim, SUCCEEDED)
    clock.move(60)
    archive(database, outer.id, tmp_path, actor="me")
    assert retirement(database, before=micro(clock)).events == 0


def test_an_archive_that_is_gone_holds_its_plan(
    plan_store: PlanStore, database: Database, plans: tuple[str, str], clock: Clock, tmp_path: Path
) -> None:
    """The file is looked at before the events go: a missing or changed one keeps them."""
    made = archive(database, plans[0], tmp_path, actor="me")
    made.path.write_bytes(b"")
    found = retire(database, before=micro(clock), seals=tmp_path / "seals.jsonl")
    assert found.events == 0
    assert "has an archive that is changed" in found.held_by


def test_a_pause_and_a_daemon_at_work_are_not_forgotten(
    plan_store: PlanStore, database: Database, clock: Clock, tmp_path: Path
) -> None:
    """Events that what is in force now rests upon stay, however old they are."""
    here = DaemonStarted(worker="w", host="h", version="1", boot_id="b")
    plan_store.record("n_0", [ROUTE])
    clock.move(60)
    plan_store.daemon_started(here)
    clock.move(60)
    plan_store.record("n_1", [ROUTE, ROUTE])
    clock.move(60)
    found = retirement(database, before=micro(clock))
    assert (found.last_seq, found.held_by) == (1, "the daemon of host h is at work since then")
    plan_store.daemon_said(DaemonStopped(worker="w", host="h", cause="SIGTERM"))
    plan_store.pause(host="h", reason="hot")
    clock.move(60)
    plan_store.record("n_1", [ROUTE, ROUTE])
    clock.move(60)
    found = retirement(database, before=micro(clock))
    assert "work is paused since then (hot)" in found.held_by
    retire(database, before=micro(clock), seals=tmp_path / "seals.jsonl")
    assert plan_store.verify().ok
    with database.snapshot() as tx:
        assert tx.query("SELECT reason FROM pause") == [("hot",)]


def test_a_log_that_does_not_verify_is_not_cut(
    plan_store: PlanStore, database: Database, plans: tuple[str, str], clock: Clock, tmp_path: Path
) -> None:
    """Nothing is retired from a damaged log: what is left could not be told from what went."""
    archive(database, plans[0], tmp_path, actor="me")
    with unguarded(database.url) as tx:
        tx.execute("UPDATE event SET actor = 'mallory' WHERE seq = 3")
    count = len(rows_of(database.url))
    with pytest.raises((KeepingRefused, LogDamaged), match="event 3"):
        retire(database, before=micro(clock), seals=tmp_path / "seals.jsonl")
    assert len(rows_of(database.url)) == count


def test_a_cut_by_somebody_else_is_found(
    plan_store: PlanStore, database: Database, plans: tuple[str, str], tmp_path: Path
) -> None:
    """Who cuts the beginning off and writes log_start himself has no seal for it."""
    seal_log(database.url, tmp_path / "seals.jsonl")
    with unguarded(database.url) as tx:
        link = bytes(tx.query("SELECT hash FROM event WHERE seq = 3")[0][0])
        tx.execute("DELETE FROM event WHERE seq <= 3")
        tx.execute("INSERT INTO log_start (seq, hash, cut_at) VALUES (3, ?, 1)", (link,))
    plan_store.rebuild()
    assert "its oldest part was cut off by somebody else" in plan_store.verify().problems[0]


def test_a_retired_log_can_be_moved_and_moved_back(
    plan_store: PlanStore, database: Database, plans: tuple[str, str], clock: Clock, tmp_path: Path
) -> None:
    """An export carries where the log begins; an import takes streams that begin at any version."""
    plan_store.record("n_2", [ROUTE])
    retired(plan_store, database, plans[:1], clock, tmp_path)
    path = export_log(database, tmp_path / "log.jsonl").path
    copy = f"sqlite:///{tmp_path}/copy.db"
    with open_store(copy) as store, opened(copy) as there:
        import_log(there, path)
        assert rows_of(copy) == rows_of(database.url)
        assert verify(there, outside=read_seals(tmp_path / "seals.jsonl")).problems == ()
        store.record("n_2", [ROUTE])
        assert store.verify().problems == ()


class _Dying:
    """A transaction that ends the process at its n-th call; `torn` commits before log_start is written."""

    def __init__(self, tx: Tx, calls: list[int], end: Callable[[], None], *, torn: bool) -> None:
        self._tx, self._calls, self._end, self._torn = tx, calls, end, torn

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._tx, name)
        if not callable(found):
            return found

        def called(*arguments: Any, **named: Any) -> Any:
            self._calls[0] -= 1
            if self._calls[0] == 0:
                self._end()
            if self._torn and arguments[:1] == ("DELETE FROM log_start",):
                self._tx.execute("COMMIT")
                self._tx.execute("BEGIN IMMEDIATE")
            return found(*arguments, **named)

        return called


class DyingDatabase:
    """A database whose write transactions end the process at their n-th call, the last before the commit."""

    def __init__(
        self, database: Database, calls: int, end: Callable[[], None], *, torn: bool = False
    ) -> None:
        self._database, self._calls, self._end, self._torn = database, [calls], end, torn
        self.url, self.engine, self.snapshot = database.url, database.engine, database.snapshot

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        with self._database.transaction() as tx:
            dying: Any = _Dying(tx, self._calls, self._end, torn=self._torn)
            yield dying
            dying.now()


class _End(BaseException):
    """The process ended here."""


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _raise() -> None:
    raise _End


def sound(url: str, place: Path, before: list[tuple[object, ...]], last: int) -> str:
    """Say whether the log is the old one or the new one; fails for anything between."""
    rows = rows_of(url)
    with opened(url) as database:
        assert verify(database, outside=read_seals(place / "seals.jsonl")).problems == ()
        with database.snapshot() as tx:
            start = tx.query("SELECT seq FROM log_start")
    if rows == before:
        assert start == []
        return "old"
    assert rows == before[last:]
    assert start == [(last,)]
    return "new"


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_a_retirement_that_is_killed_anywhere_leaves_the_old_log_or_the_new_one(
    plan_store: PlanStore, database: Database, plans: tuple[str, str], clock: Clock, tmp_path: Path
) -> None:
    """At each call of its transactions in turn: guards, rows, start and projections belong together."""
    archive(database, plans[0], tmp_path, actor="me")
    before, url = rows_of(database.url), database.url
    last = retirement(database, before=micro(clock)).last_seq
    database.close()
    plan_store.close()
    seen = []
    for calls in range(1, 200):
        pid = os.fork()
        if pid == 0:
            try:
                dying: Any = DyingDatabase(connect(url), calls, _die)
                retire(dying, before=micro(clock), seals=tmp_path / "seals.jsonl")
            finally:
                os._exit(0)
        killed = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
        seen.append(sound(url, tmp_path, before, last))
        if not killed:
            break
        assert seen[-1] == "old"
    assert seen[-1] == "new"
    assert len(seen) > 15


@pytest.mark.slow
def test_a_retirement_that_raises_anywhere_is_undone(
    plan_store: PlanStore, database: Database, plans: tuple[str, str], clock: Clock, tmp_path: Path
) -> None:
    """An error at any call leaves the old log, with its guards, to be tried again."""
    archive(database, plans[0], tmp_path, actor="me")
    before = rows_of(database.url)
    last = retirement(database, before=micro(clock)).last_seq
    for calls in range(1, 200):
        dying: Any = DyingDatabase(database, calls, _raise)
        try:
            retire(dying, before=micro(clock), seals=tmp_path / "seals.jsonl")
        except _End:
            assert sound(database.url, tmp_path, before, last) == "old"
        else:
            break
    assert sound(database.url, tmp_path, before, last) == "new"
    assert calls > 15


def test_a_retirement_in_two_transactions_is_caught(
    plan_store: PlanStore, sqlite_url: str, clock: Clock, tmp_path: Path
) -> None:
    """The same campaign against a version that removes the rows before it says where the log begins."""
    with open_store(sqlite_url, clock=clock) as store, opened(sqlite_url) as database:
        plans = history(store, clock)
        archive(database, plans[0], tmp_path, actor="me")
        before = rows_of(sqlite_url)
        last = retirement(database, before=micro(clock)).last_seq
        with pytest.raises(AssertionError, match=r"missing|cut off"):  # noqa: PT012 - it is caught at one of many calls
            for calls in range(1, 200):
                dying: Any = DyingDatabase(database, calls, _raise, torn=True)
                with suppress(_End):
                    retire(dying, before=micro(clock), seals=tmp_path / "seals.jsonl")
                sound(sqlite_url, tmp_path, before, last)
