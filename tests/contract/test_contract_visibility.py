"""Whoever follows the log by ``seq > cursor`` meets every event, however slowly it was written."""

from __future__ import annotations

import ctypes
import mmap
import os
import random
import re
import signal
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import psycopg
import pytest
from reporting import LONG, Progress, report
from store_samples import cs_job, plan_of

from store import Claim, PlanStore, leases, postgres_database
from store.database import Database, Row, Statement, connect
from store.events import FitProgressed, RouteChosen
from store.log import HEAD
from store.postgres_database import PostgresDatabase, PostgresTx
from store.turn import Turn

EVENTS = 100_000 if LONG else 20_000
MUTANT_EVENTS = 3_000
WRITERS = 8
SLOW_PERCENT, BIG_PERCENT, BIG = 2, 1, 300  # of the transactions; the size of a big one
POLLS_PASSED = 3  # of the reader, while a slow transaction keeps its place and does not commit
PATIENCE_SECONDS = 120.0
ROUTE = RouteChosen(target="y", symbol=None, route="R", reason="r")
ENGINES = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


class Shared:
    """What forked writers and the reader count: polls in cell 0, slow transactions of a writer behind it."""

    def __init__(self) -> None:
        self._cells = (ctypes.c_int64 * (WRITERS + 1)).from_buffer(mmap.mmap(-1, 8 * (WRITERS + 1)))

    @property
    def polls(self) -> int:
        """How often the reader has looked."""
        return int(self._cells[0])

    def polled(self) -> None:
        """The reader has looked once more."""
        self._cells[0] += 1

    def slow(self, number: int) -> None:
        """A writer begins a slow transaction."""
        self._cells[number] += 1

    @property
    def slow_ones(self) -> int:
        """The slow transactions of all writers."""
        return sum(self._cells[1:])


class Writer:
    """One process that writes: of plannings, alone on the log, and about fits, beside others."""

    def __init__(self, database: Database, number: int, shared: Shared) -> None:
        self.database, self.store, self.shared, self.number = database, PlanStore(database), shared, number
        self.chance = random.Random(number)  # noqa: S311 - the same sizes every time
        self.written = 0

    def write(self, wanted: int, kinds: str) -> None:
        """Append events in transactions of mixed sizes, some of which take their place and commit late."""
        claims = self.store.claim(f"w{self.number}", stage="cpu", limit=2) if "words" in kinds else ()
        while self.written < wanted:
            big = self.chance.randrange(100) < BIG_PERCENT
            slow = self.chance.randrange(100) < SLOW_PERCENT
            if claims and ("plannings" not in kinds or (not big and self.chance.randrange(2))):
                self.word(self.chance.choice(claims), slow=slow)
            else:
                self.decisions(BIG if big else self.chance.randint(1, 3), slow=slow)

    def decisions(self, count: int, *, slow: bool) -> None:
        """Append events of a planning."""
        stream, events = f"n_{self.number}_{self.written}", [ROUTE] * count
        if slow:
            with self.database.transaction() as tx:
                turn = Turn(tx)
                turn.append_next(stream, events, actor="slow")
                self.hold(turn)
        else:
            self.store.record(stream, events)
        self.written += count

    def word(self, claim: Claim, *, slow: bool) -> None:
        """Append an event of a fit."""
        word = FitProgressed(step=self.written, steps_total=0)
        if slow and self.database.engine == "postgresql":
            with self.database.transaction(shared=True) as tx:
                turn = Turn(tx, asked=leases.questions(claim, None), shared=True)
                leases.say(turn, claim, word)
                self.hold(turn)
        else:
            self.store.progressed(claim, word)
        self.written += 1

    def hold(self, turn: Turn) -> None:
        """Take the place in the log, and stay there until the reader has looked some times."""
        self.shared.slow(self.number)
        turn.flush()
        turn.tx.query("SELECT 1")  # whatever waits to travel with the commit is in its place now
        seen, deadline = self.shared.polls, time.monotonic() + PATIENCE_SECONDS
        while self.shared.polls < seen + POLLS_PASSED:
            assert time.monotonic() < deadline, "the reader does not look any more"
            time.sleep(0.0005)


@contextmanager
def writers(database: Database, wanted: int, shared: Shared, kinds: str) -> Iterator[list[int]]:
    """Fork all writers; yield the process ids, from which those that have ended go away."""
    pids: list[int] = []
    for number in range(1, WRITERS + 1):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                Writer(database, number, shared).write(wanted // WRITERS, kinds)
                code = 0
            except BaseException:  # noqa: BLE001 - the end of a child: it must not return into the test
                traceback.print_exc()
            finally:
                os._exit(code)
        pids.append(pid)
    try:
        yield pids
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def ended(pids: list[int]) -> bool:
    """Whether all writers have ended; one that failed fails the test."""
    for pid in list(pids):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            pids.remove(pid)
            assert os.waitstatus_to_exitcode(status) == 0, "a writer failed"
    return not pids


def followed(
    database: Database, wanted: int, shared: Shared, campaign: str, kinds: str = "plannings and words"
) -> list[int]:
    """Let the writers write, follow the log until they have ended, and return each seq as it was met."""
    met: list[int] = []
    progress = Progress(campaign, wanted)
    with PlanStore(database) as store:
        jobs = [cs_job(f"y{place}", families=("LightGBM",)) for place in range(2 * WRITERS)]
        store.accept(plan_of(*jobs), source="s", name="n")
    with writers(database, wanted, shared, kinds) as pids, PlanStore(database) as reader:
        over = False
        while True:
            page = reader.events(after=met[-1] if met else 0, limit=1000)
            shared.polled()
            met += [event.seq for event in page]
            progress.at(len(met))
            if over and not page:
                return met
            over = ended(pids)
            if not page:
                time.sleep(0.003)  # between two looks


def count_events(database: Database) -> int:
    """How many events the log holds."""
    with database.snapshot() as tx:
        return int(tx.query("SELECT COUNT(*) FROM event")[0][0])


@ENGINES
@pytest.mark.slow
@pytest.mark.timeout(3600 if LONG else 300)
def test_a_reader_behind_a_cursor_misses_no_event_of_a_slow_transaction(database_url: str) -> None:
    """Eight writers, plannings and words about fits, 1 to 300 events at once, some slow: all are met."""
    database, shared = connect(database_url), Shared()
    campaign = f"slow transactions, {'SQLite' if database.engine == 'sqlite' else 'Postgres'}"
    began = time.monotonic()
    met = followed(database, EVENTS, shared, campaign)
    database.close()
    present = count_events(database)
    report(
        campaign,
        faults=shared.slow_ones,
        acknowledged=present,
        lost=present - len(set(met)),
        doubles=len(met) - len(set(met)),
        seconds=time.monotonic() - began,
    )
    assert met == list(range(1, present + 1))
    assert present >= EVENTS
    assert shared.slow_ones > 0
    database.close()


class NaiveTx(PostgresTx):
    """A transaction that takes its numbers from a sequence, as a serial column does, a thousand at a time."""

    def queries(self, asked: Sequence[Statement]) -> list[list[Row]]:
        """Return all rows; the end of the log is where the sequence says."""
        found = super().queries(asked)
        if HEAD in asked[0][0]:
            (seq,) = super().queries([("SELECT nextval('naive') * 1000", ())])[0][0]
            found[0] = [(found[0][0][0], seq, bytes(32))]
        return found


class NaiveDatabase(PostgresDatabase):
    """A database whose writers do not wait for one another."""

    @contextmanager
    def transaction(self, *, shared: bool = False) -> Iterator[PostgresTx]:
        """Open a write transaction without the log's lock."""
        with self._begun(("BEGIN ISOLATION LEVEL READ COMMITTED", ())) as tx:
            yield tx


def without_event_lock(connection: psycopg.Connection[Row]) -> None:
    """Let the function that numbers words take its numbers from the sequence, and wait for nobody."""
    source = str(connection.execute("SELECT pg_get_functiondef('event_append'::regproc)").fetchone()[0])
    unlocked, locks = re.subn(r"PERFORM pg_advisory_xact_lock\([^)]*\);", "", source)
    naive, places = re.subn(r"first := place \+ 1;", "place := nextval('naive') * 1000; \\g<0>", unlocked)
    assert (locks, places) == (1, 1), "there is another way to number words now"
    connection.execute(naive.encode())


@pytest.mark.slow
@pytest.mark.parametrize("kinds", ["plannings", "words"])
def test_a_log_without_its_lock_is_caught_missing_events(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, kinds: str
) -> None:
    """Numbers from a sequence and ``seq > cursor``, as most stores have it, pass over what commits late."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE SEQUENCE naive")
        connection.execute("ALTER TABLE event DISABLE TRIGGER USER")
        without_event_lock(connection)
    monkeypatch.setattr(postgres_database, "PostgresTx", NaiveTx)
    database, shared = NaiveDatabase(postgres_url), Shared()
    campaign = "slow transactions, Postgres"
    met = followed(database, MUTANT_EVENTS, shared, campaign, kinds)
    missed = count_events(database) - len(met)
    report(campaign, mutants=1, mutants_caught=int(missed > 0), mutant_missed=missed)
    assert missed > 0
    database.close()
