"""A primary that dies under its writers, and a standby that takes its place."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from postgres_crew import Crew, await_that, counts_of, judged
from postgres_servers import PostgresServer, free_port
from reporting import LONG, Progress, report

from store.schema import upgrade

FAILOVERS = 20 if LONG else 1
WRITERS = 3


class Pair:
    """Two servers; the one that is not the primary is its standby, or about to become it."""

    def __init__(self) -> None:
        self.ports = (free_port(), free_port())
        self.servers = [
            PostgresServer(settings={"listen_addresses": "127.0.0.1", "port": str(port)})
            for port in self.ports
        ]
        self.primary, self.standby = self.servers

    def begin(self) -> str:
        """Start the primary and return the address of its database, which names both servers."""
        self.primary.initialize()
        self.primary.start()
        with self.primary.connected() as connection:
            connection.execute("CREATE DATABASE plans")
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        address = f"postgresql://postgres@{hosts}/plans"
        upgrade(address)
        return address

    def follow(self) -> None:
        """Make the other server a standby that has all the primary has."""
        self.standby.copy_from(self.primary.address())
        self.standby.start()
        sql = "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"
        await_that(lambda: self.primary.ask(sql), "standby that follows")

    def wait_for_standby(self) -> None:
        """From now on a commit is acknowledged when the standby has it too."""
        self.primary.set("synchronous_standby_names", "*")
        sql = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"
        await_that(lambda: self.primary.ask(sql), "synchronous standby")

    def fail_over(self) -> None:
        """The primary's machine dies; the standby is promoted and stands alone."""
        self.primary.power_off()
        self.standby.promote()
        self.primary, self.standby = self.standby, self.primary
        self.primary.set("synchronous_standby_names", "")

    def remove(self) -> None:
        for server in self.servers:
            server.remove()


@contextmanager
def writers(url: str) -> Iterator[Crew]:
    """A crew at work, killed at the end unless it has ended."""
    crew = Crew(url)
    try:
        for number in range(WRITERS):
            crew.start(number)
        yield crew
    finally:
        crew.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two servers, not started."""
    both = Pair()
    yield both
    both.remove()


@pytest.mark.slow
@pytest.mark.timeout(3600 if LONG else 300)
def test_writers_go_on_with_the_standby_and_lose_nothing(pair: Pair) -> None:
    """With a synchronous standby, all that was acknowledged is on the server that is promoted."""
    url, chance = pair.begin(), random.Random(2)  # noqa: S311 - the same moments every time
    progress = Progress("failovers, Postgres", FAILOVERS)
    with writers(url) as crew:
        for number in range(FAILOVERS):
            pair.follow()
            pair.wait_for_standby()
            crew.await_told(chance.randrange(20, 100))
            pair.fail_over()
            crew.await_told(20)
            progress.at(number)
        crew.finish()
    found = judged(url, crew.lines)
    counts = counts_of(url, crew, found)
    report("failovers, Postgres", faults=FAILOVERS, seconds=progress.seconds, **counts)
    assert found.clean, found
    assert len(crew.told("U")) >= FAILOVERS, "no writer noticed"


@pytest.mark.slow
def test_the_audit_catches_a_standby_that_was_away(pair: Pair) -> None:
    """A standby that nobody waits for lacks what was acknowledged while it was away; the audit says so."""
    url = pair.begin()
    pair.follow()
    with writers(url) as crew:
        crew.await_told(20)
        pair.standby.stop()
        crew.await_told(50)
        pair.primary.power_off()
        crew.shared.stop()
        pair.standby.start()
        pair.standby.promote()
        crew.finish()
    found = judged(url, crew.lines)
    report("failovers, Postgres", mutants=1, mutants_caught=int(found.lost > 0), mutant_lost=found.lost)
    assert found.lost > 0
