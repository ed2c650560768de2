"""The promises of the event log, on every engine."""

from __future__ import annotations

import sqlite3

import psycopg
import pytest
from store_samples import STARTED, cs_job, plan_of

from store import ConcurrentAppend, EventIdReused, PlanStore, WriteRefused, new_event_id
from store import log as event_log
from store.database import Database, connect, sqlite_path
from store.events import FitRetried, LeakFound, PlanningStarted, RouteChosen, UnknownEvent
from store.guards import POSTGRES_GUARDS
from store.log import Draft
from store.memory_database import MemoryDatabase

COPIED = "kind, 1, 1, 'm', NULL, NULL, NULL, NULL, NULL, NULL, data, hash FROM event"
UPSERT = "ON CONFLICT (seq) DO UPDATE SET actor = 'mallory'"
ROUTE = RouteChosen(target="y", symbol=None, route="ROUTE_BOTH", reason="IC 0.04 > 0.02")


def outside(url: str, sql: str) -> None:
    """Run one statement as a stranger with the plain driver and its defaults would."""
    if url.startswith("memory"):
        MemoryDatabase(url).memory.connection.execute(sql)
    elif url.startswith("sqlite"):
        with sqlite3.connect(sqlite_path(url)) as connection:
            connection.execute(sql)
        connection.close()
    else:
        with psycopg.connect(url) as stranger:
            stranger.execute(sql.encode())


def unguarded(url: str, sql: str) -> None:
    """Run one statement as somebody who first takes the guards away, and puts them back."""
    if url.startswith("postgresql"):
        on = "; ".join(f"ALTER TABLE event ENABLE ALWAYS TRIGGER {name}" for name in POSTGRES_GUARDS)
        outside(url, f"ALTER TABLE event DISABLE TRIGGER ALL; {sql}; {on}")
        return
    in_memory = url.startswith("memory")
    held = MemoryDatabase(url).memory.connection if in_memory else sqlite3.connect(sqlite_path(url))
    with held as connection:
        guards = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in guards:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(sql)
        for _, text in guards:
            connection.execute(text)
    if not in_memory:
        held.close()


@pytest.fixture
def filled(plan_store: PlanStore) -> PlanStore:
    plan_store.accept(plan_of(cs_job("y1"), cs_job("y2")), source="test", name="one")
    claim = plan_store.claim("w", stage="cpu")[0]
    plan_store.started(claim, STARTED)
    plan_store.record("n_1", [ROUTE])
    return plan_store


def test_order_is_gapless_and_versions_count_within_their_stream(filled: PlanStore) -> None:
    """Every event has the next seq, and in its stream the next version."""
    events = filled.events()
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    by_stream: dict[str, list[int]] = {}
    for event in events:
        by_stream.setdefault(event.stream, []).append(event.version)
    assert all(versions == list(range(1, len(versions) + 1)) for versions in by_stream.values())
    assert len(by_stream) == 3


def test_a_stale_expected_version_is_refused_and_nothing_is_written(database_url: str) -> None:
    """Two writers that both expect version 0 of a stream: the second gets ConcurrentAppend."""
    database = connect(database_url)
    draft = Draft(stream="planning-x", version=1, event=ROUTE)
    with database.transaction() as tx:
        event_log.append(tx, [draft], actor="a", recorded_at=1)
    with pytest.raises(ConcurrentAppend, match="version 1, not at 0"), database.transaction() as tx:
        event_log.append(tx, [Draft(stream="other", version=1, event=ROUTE), draft], actor="b", recorded_at=2)
    with database.snapshot() as tx:
        assert tx.query("SELECT COUNT(*) FROM event") == [(1,)]
    database.close()


def test_the_same_event_ids_again_append_nothing(plan_store: PlanStore) -> None:
    """A retried append with the same ids returns the seqs of the first."""
    ids = [new_event_id(), new_event_id()]
    first = plan_store.record("n_1", [ROUTE, ROUTE], event_ids=ids)
    assert plan_store.record("n_1", [ROUTE, ROUTE], event_ids=ids) == first == (1, 2)
    assert plan_store.head_seq() == 2


def test_an_event_id_cannot_be_reused_for_another_event(plan_store: PlanStore) -> None:
    """An id in the log names one event: another kind or another stream under it is an error."""
    event_id = new_event_id()
    plan_store.record("n_1", [ROUTE], event_ids=[event_id])
    leak = LeakFound(target="y", feature="x", verdict="BLOCKED", probe="copy", evidence="r = 1.00")
    with pytest.raises(EventIdReused):
        plan_store.record("n_1", [leak], event_ids=[event_id])
    with pytest.raises(EventIdReused):
        plan_store.record("n_2", [ROUTE], event_ids=[event_id])
    assert plan_store.head_seq() == 1


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE event SET actor = 'mallory' WHERE seq = 2",
        "UPDATE event SET seq = 99 WHERE seq = 2",
        "DELETE FROM event WHERE seq = 2",
        "DELETE FROM event",
        f"INSERT INTO event SELECT seq, event_id, stream, version, {COPIED} WHERE seq = 2 {UPSERT}",
        f"INSERT INTO event SELECT seq + 100, event_id, 's', 1, {COPIED} WHERE seq = 2",
    ],
)
def test_an_outside_connection_cannot_change_the_log(filled: PlanStore, database_url: str, sql: str) -> None:
    """UPDATE, DELETE and an insert out of turn are refused for a stranger with the driver's defaults."""
    before = filled.events()
    with pytest.raises((sqlite3.IntegrityError, psycopg.Error), match=r"append-only|gapless|duplicate"):
        outside(database_url, sql)
    assert filled.events() == before
    assert filled.verify().ok


@pytest.mark.parametrize("column", ["seq", "stream", "event_id"])
def test_insert_or_replace_is_refused_without_any_pragma(sqlite_url: str, column: str) -> None:
    """SQLite's REPLACE, which fires no DELETE trigger by default, cannot replace by any of the three keys."""
    database = connect(sqlite_url)
    with database.transaction() as tx:
        drafts = [Draft(stream="planning-x", version=version, event=ROUTE) for version in (1, 2, 3)]
        event_log.append(tx, drafts, actor="a", recorded_at=1)
    values = {"seq": "4", "event_id": "zeroblob(16)", "stream": "'fresh'", "version": "1"}
    replaced = {
        "seq": {"seq": "2"},
        "stream": {"stream": "'planning-x'", "version": "2"},
        "event_id": {"event_id": "event_id"},
    }
    values |= replaced[column]
    chosen = ", ".join(values[name] for name in ("seq", "event_id", "stream", "version"))
    with pytest.raises(sqlite3.IntegrityError, match="gapless"):
        outside(sqlite_url, f"INSERT OR REPLACE INTO event SELECT {chosen}, {COPIED} WHERE seq = 2")
    with database.snapshot() as tx:
        assert tx.query("SELECT COUNT(*), MIN(actor), MAX(actor) FROM event") == [(3, "a", "a")]
    database.close()


def test_truncate_is_refused_on_postgres_even_as_a_replica(postgres_url: str) -> None:
    """The guards fire always: also in a session that says it replicates."""
    for sql in ("TRUNCATE event", "SET session_replication_role = replica; DELETE FROM event"):
        database = connect(postgres_url)
        with database.transaction() as tx:
            version = event_log.stream_version(tx, "planning-x") + 1
            event_log.append(
                tx, [Draft(stream="planning-x", version=version, event=ROUTE)], actor="a", recorded_at=1
            )
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            outside(postgres_url, sql)
        database.close()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("UPDATE event SET actor = 'mallory' WHERE seq = 3", "event 3 "),
        ("UPDATE event SET recorded_at = recorded_at + 1 WHERE seq = 2", "event 2 "),
        ("DELETE FROM event WHERE seq = 4", "event 5: it follows event 3"),
        ("UPDATE event SET hash = event_id WHERE seq = 1", "event 1 "),
        ("DELETE FROM event WHERE seq = 6", "table decision: row 6 is in no event"),
    ],
)
def test_verify_names_the_first_bad_row(
    filled: PlanStore, database_url: str, change: str, complaint: str
) -> None:
    """A change behind the guards' back breaks the chain at that row, and verify says which."""
    assert filled.verify().ok
    assert filled.head_seq() == 6
    unguarded(database_url, change)
    verdict = filled.verify()
    assert not verdict.ok
    assert verdict.problems[0].startswith(complaint)


def test_verify_misses_no_guard(filled: PlanStore, database_url: str) -> None:
    """A trigger that was taken away is a problem by itself."""
    on = " ON event" if database_url.startswith("postgresql") else ""
    outside(database_url, f"DROP TRIGGER event_no_delete{on}")
    assert any("event_no_delete" in problem for problem in filled.verify().problems)


def test_a_guard_that_refuses_nothing_is_none(filled: PlanStore, database_url: str) -> None:
    """A trigger of the right name that lets everything pass is found as missing."""
    if database_url.startswith("postgresql"):
        outside(
            database_url,
            "CREATE OR REPLACE FUNCTION event_refuse() RETURNS trigger LANGUAGE plpgsql "
            "AS 'BEGIN RETURN COALESCE(NEW, OLD); END'",
        )
    else:
        outside(database_url, "DROP TRIGGER event_no_delete")
        outside(database_url, "CREATE TRIGGER event_no_delete BEFORE DELETE ON event BEGIN SELECT 1; END")
    assert any("event_no_delete" in problem for problem in filled.verify().problems)


def test_a_forged_next_row_is_found_by_its_hash(filled: PlanStore, database_url: str) -> None:
    """The guards let a stranger append in turn; the chain shows that it was not the store."""
    outside(
        database_url,
        f"INSERT INTO event SELECT seq + 1, hash, 'forged', 1, {COPIED} WHERE seq = 6",
    )
    assert filled.verify().problems[0].startswith("event 7 ")


def test_a_transaction_that_raises_leaves_nothing(database_url: str) -> None:
    """Events and rows of a transaction that ends in an error are not there."""
    database = connect(database_url)

    def broken() -> None:
        with database.transaction() as tx:
            event_log.append(tx, [Draft(stream="s", version=1, event=ROUTE)], actor="a", recorded_at=1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    with database.snapshot() as tx:
        assert tx.query("SELECT COUNT(*) FROM event") == [(0,)]
    database.close()


def test_a_refused_write_is_an_error_of_the_store(database_url: str) -> None:
    """What the guards refuse inside the store's own transaction comes out as WriteRefused."""
    database = connect(database_url)
    with database.transaction() as tx:
        event_log.append(tx, [Draft(stream="s", version=1, event=ROUTE)], actor="a", recorded_at=1)
    with pytest.raises(WriteRefused, match="append-only"), database.transaction() as tx:
        tx.execute("DELETE FROM event")
    database.close()


@pytest.mark.parametrize(
    "text", ['tab\tquote"back\\slash', "→ σ µ 🎯", "a\0b", "\ud800 lone", "x" * 100_000, "?%s %(a)s {}", ""]
)
def test_any_text_survives_or_is_replaced_but_never_breaks_the_log(plan_store: PlanStore, text: str) -> None:
    """Texts with quotes, symbols, NUL or half surrogates are recorded, and projections equal a rebuild."""
    plan_store.record("n_1", [RouteChosen(target=text, symbol=None, route="R", reason=text)])
    assert plan_store.verify().ok
    if "\0" not in text and not text.startswith("\ud800"):
        assert plan_store.events()[0].data["reason"] == text


def test_numbers_that_json_lacks_become_null(plan_store: PlanStore) -> None:
    """NaN and infinity in a payload are stored as null, live and rebuilt alike."""
    settings = {"a": float("nan"), "b": [float("inf")], "c": 1.5}
    plan_store.record("n_1", [PlanningStarted(data_dir="d", settings=settings)])
    assert plan_store.events()[0].data["settings"] == {"a": None, "b": [None], "c": 1.5}


def test_events_are_filtered_and_paged(filled: PlanStore) -> None:
    """Readers page by seq and filter by plan, fit and kind."""
    assert [event.seq for event in filled.events(after=2, limit=2)] == [3, 4]
    assert [event.kind for event in filled.events(kinds=["RouteChosen", "FitStarted"])] == [
        "FitStarted",
        "RouteChosen",
    ]
    assert filled.events(kinds=[]) == ()
    plan_id = filled.reading.plans()[0].id
    assert [event.kind for event in filled.events(plan=plan_id)][:3] == [
        "PlanAccepted",
        "JobPlanned",
        "JobPlanned",
    ]
    fit_id = filled.reading.fit("cs_y1/LightGBM").id
    assert [event.kind for event in filled.events(fit=fit_id)] == ["FitClaimed", "FitStarted"]


def test_an_event_in_json_has_the_promised_keys(filled: PlanStore) -> None:
    """`to_json` has seq, at (ISO UTC), kind, plan, job, fit, attempt, data."""
    event = filled.events(kinds=["FitStarted"])[0].to_json()
    assert event["at"] == "2026-01-02T03:04:05.000000Z"
    assert (event["kind"], event["job"], event["attempt"]) == ("FitStarted", "cs_y1", 1)
    assert event["data"]["pid"] == 42
    assert event["plan"].startswith("p_")
    assert event["fit"].startswith("f_")


def test_the_database_clock_is_utc_now_in_microseconds(database_url: str) -> None:
    """Without a given clock the database's own is used; it does not go backwards between two questions."""
    database: Database = connect(database_url)
    with database.snapshot() as tx:
        first, second = tx.now(), tx.now()
    assert 1_700_000_000_000_000 < first <= second
    database.close()


def test_unknown_events_are_kept_and_without_effect(filled: PlanStore, database_url: str) -> None:
    """An event of a later version can be read, folded and verified, and changes no projection."""
    database = connect(database_url)
    fit = filled.reading.fit("cs_y1/LightGBM")
    later = UnknownEvent(named="FitPolished", version=3, data={"shine": 9})
    with database.transaction() as tx:
        version = event_log.stream_version(tx, f"fit-{fit.id}") + 1
        draft = Draft(stream=f"fit-{fit.id}", version=version, event=later)
        event_log.append(tx, [draft], actor="a", recorded_at=1)
    database.close()
    filled.rebuild()
    assert filled.verify().ok
    assert filled.reading.fit(fit.id) == fit
    assert filled.events(kinds=["FitPolished"])[0].data == {"shine": 9}


def test_words_without_a_fit_change_nothing(database_url: str) -> None:
    """The fold is total: an event about a fit nobody planned is recorded and without effect."""
    database = connect(database_url)
    with database.transaction() as tx:
        draft = Draft(stream="fit-f_x", version=1, event=FitRetried(), fit="f_x")
        event_log.append(tx, [draft], actor="a", recorded_at=1)
    database.close()
