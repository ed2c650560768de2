"""Postgres that crashes, and single processes of it that are killed or freeze, under writers that go on."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count

import psycopg
import pytest
from postgres_crew import Crew, PatientStore, await_that, counts_of, judged
from postgres_servers import PostgresServer
from reporting import LONG, Progress, report

from store import DatabaseUnavailable, postgres_connection
from store.postgres_database import PostgresDatabase, PostgresTx
from store.schema import upgrade

CRASHES = 100 if LONG else 10
FREEZES = 30 if LONG else 3
WRITERS = 3
_NUMBERS = count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server of our own that may be crashed, with real syncs to the disk."""
    one = PostgresServer()
    one.initialize()
    one.start()
    yield one
    one.remove()


@pytest.fixture
def url(server: PostgresServer) -> str:
    """A fresh database of the server, with all tables."""
    name = f"crash{next(_NUMBERS)}"
    with server.connected() as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    address = server.address(name)
    upgrade(address)
    return address


def crash(server: PostgresServer, chance: random.Random, number: int) -> None:
    """Stop the server as a crash does and start it, or kill one of its processes: it recovers by itself."""
    if number % 3 < 2:
        server.stop("immediate")
        server.start()
        return

    os.kill(any_backend(server, chance), signal.SIGKILL)


def any_backend(server: PostgresServer, chance: random.Random | None = None) -> int:
    """One of the processes that serve the writers, once the server answers; without `chance` the newest."""

    def found() -> int:
        try:
            backends = server.backends() or [0]
        except psycopg.OperationalError:
            return 0
        return chance.choice(backends) if chance else backends[-1]

    pid: int = await_that(found, "process of the server for a writer")
    return pid


def freeze(pids: Iterable[int]) -> list[int]:
    """Stop processes and return those that were still there."""
    frozen = []
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            frozen.append(pid)
    return frozen


def crashed_campaign(server: PostgresServer, url: str, crashes: int, seed: int) -> Crew:
    """Crash the server under writers, so many times; all writers end of themselves."""
    chance = random.Random(seed)  # noqa: S311 - the same crashes every time
    crew, progress = Crew(url), Progress("crashes, Postgres", crashes)
    try:
        for number in range(WRITERS):
            crew.start(number)
        for number in range(crashes):
            crew.await_told(chance.randrange(10, 60))
            crash(server, chance, number)
            progress.at(number)
        crew.await_told(20)
        crew.finish()
    finally:
        crew.close()
    return crew


@pytest.mark.slow
@pytest.mark.timeout(3600 if LONG else 300)
def test_no_acknowledged_event_is_lost_when_postgres_crashes(server: PostgresServer, url: str) -> None:
    """Through every crash the acknowledged is kept; what nobody answered is said again and recorded once."""
    began = time.monotonic()
    crew = crashed_campaign(server, url, CRASHES, seed=11)
    found = judged(url, crew.lines)
    seconds = time.monotonic() - began
    report("crashes, Postgres", faults=CRASHES, seconds=seconds, **counts_of(url, crew, found))
    assert found.clean, found
    assert len(crew.told("U")) >= CRASHES, "the crashes went past the writers"


@pytest.mark.slow
@pytest.mark.timeout(3600 if LONG else 300)
def test_a_frozen_server_process_ends_in_an_error_and_its_connection_is_replaced(
    server: PostgresServer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is still frozen its writer is told so and goes on over another, unless all are frozen."""
    monkeypatch.setattr(postgres_connection, "ANSWER_SECONDS", 1.0)
    chance = random.Random(3)  # noqa: S311 - the same processes every time
    crew, progress = Crew(url), Progress("frozen server, Postgres", FREEZES)
    try:
        for number in range(WRITERS):
            crew.start(number)
        for number in range(FREEZES):
            crew.await_told(chance.randrange(5, 30))
            before, whole, mark = set(server.backends()), number % 3 == 2, crew.mark()
            if whole:
                frozen = freeze(process.pid for process in server.processes())
            else:
                frozen = freeze([any_backend(server)])  # of an older one the writer may be gone already
            crew.await_told(1, kinds="U", since=mark)
            if frozen and not whole:
                await_that(lambda old=before: set(server.backends()) - old, "another connection")
            for pid in frozen:
                with suppress(ProcessLookupError):  # it ended with one that was thawed before it
                    os.kill(pid, signal.SIGCONT)
            progress.at(number)
        crew.await_told(20)
        crew.finish()
    finally:
        crew.close()
    found = judged(url, crew.lines)
    counts = counts_of(url, crew, found)
    report("frozen server, Postgres", faults=FREEZES, seconds=progress.seconds, **counts)
    assert found.clean, found


@pytest.mark.slow
def test_the_audit_catches_a_store_that_does_not_wait_for_the_disk(
    server: PostgresServer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With synchronous_commit off a crash takes acknowledged events with it, and the audit says so."""
    weak = {**postgres_connection._THEIRS, "synchronous_commit": "off"}
    monkeypatch.setattr(postgres_connection, "_THEIRS", weak)
    monkeypatch.setattr(postgres_connection, "_require_durable", lambda *_: None)
    crew = crashed_campaign(server, url, 3, seed=5)
    found = judged(url, crew.lines)
    report("crashes, Postgres", mutants=1, mutants_caught=int(found.lost > 0), mutant_lost=found.lost)
    assert found.lost > 0


class DeafDatabase(PostgresDatabase):
    """A database whose every fifth answer to a commit is lost, as when the server dies just behind it."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._commits = 0

    @contextmanager
    def transaction(self, *, shared: bool = False) -> Iterator[PostgresTx]:
        """Commit, and sometimes not say so."""
        with super().transaction(shared=shared) as tx:
            yield tx
        self._commits += 1
        if self._commits % 5 == 0:
            raise DatabaseUnavailable(url=self.url, cause="the answer was lost")


class ForgetfulStore(PatientStore):
    """A store that says a word of unknown fate again as if it were another."""

    FRESH_ID = True


def unheard_campaign(url: str, store_type: type[PatientStore]) -> Crew:
    """Let writers work that do not hear every answer."""
    crew = Crew(url, store_type=store_type, database=DeafDatabase)
    try:
        for number in range(WRITERS):
            crew.start(number)
        crew.await_told(20 * CRASHES)
        crew.finish()
    finally:
        crew.close()
    return crew


@pytest.mark.slow
def test_a_word_whose_answer_was_lost_is_recorded_once(postgres_url: str) -> None:
    """Every fifth commit goes unanswered; said again under its id, each word is in the log once."""
    crew = unheard_campaign(postgres_url, PatientStore)
    found = judged(postgres_url, crew.lines)
    counts = counts_of(postgres_url, crew, found)
    report("lost answers, Postgres", faults=counts["unanswered"], **counts)
    assert found.clean, found
    assert counts["words_recorded_though_unanswered"] > 0


@pytest.mark.slow
def test_the_audit_catches_a_word_repeated_under_another_id(postgres_url: str) -> None:
    """The same without the id: words stand in the log twice, and the audit says so."""
    crew = unheard_campaign(postgres_url, ForgetfulStore)
    found = judged(postgres_url, crew.lines)
    report("lost answers, Postgres", mutants=1, mutants_caught=int(found.doubles > 0), twice=found.doubles)
    assert found.doubles > 0
