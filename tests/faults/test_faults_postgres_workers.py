"""Workers on Postgres that are killed at any moment, or freeze past their lease and wake up too late."""

from __future__ import annotations

import os
import random
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from campaigns import must_be_caught, must_be_sound
from crew import Crew
from postgres_crew import judged
from reporting import LONG, Progress
from store_mutants import plant
from store_work import POLICY, die_with_parent
from zombie_campaign import AT_ONCE, Campaign

from store import DatabaseUnavailable, PlanStore, postgres_connection
from store.events import RouteChosen
from store.postgres_database import PostgresDatabase, PostgresTx
from store.state import STATE_TYPES

KILLS = 2_000 if LONG else 100
ZOMBIES = 1_000 if LONG else 60
KILLED, FROZEN = "kill -9 of workers, Postgres", "zombies, Postgres"
TABLES = frozenset(kind.TABLE for kind in STATE_TYPES)
ROUTE = RouteChosen(target="y", symbol=None, route="R", reason="r")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600 if LONG else 300)]


class LateDatabase(PostgresDatabase):
    """Events are committed first, their projections in a second transaction."""

    @contextmanager
    def transaction(self, *, shared: bool = False) -> Iterator[PostgresTx]:
        """Open the first of the two."""
        late: list[tuple[str, str, tuple[Any, ...]]] = []
        with super().transaction(shared=shared) as tx:
            for name in ("insert", "update"):
                setattr(tx, name, put_aside(name, getattr(tx, name), late))
            yield tx
        if late:
            with super().transaction() as second:
                for name, table, rest in late:
                    getattr(second, name)(table, *rest)


def put_aside(
    name: str, real: Callable[..., object], late: list[tuple[str, str, tuple[Any, ...]]]
) -> Callable[..., object]:
    """The operation `real`, except on projections: what would be written there is kept for later."""

    def operation(table: str, *rest: Any) -> object:
        return late.append((name, table, rest)) if table in TABLES else real(table, *rest)

    return operation


def killed(url: str, faults: int, database: type[PostgresDatabase] = PostgresDatabase) -> dict[str, Any]:
    """Kill so many of four workers, each replaced by one that repeats its last word; returns the counts."""
    progress = Progress(KILLED, faults)
    chance = random.Random(1)  # noqa: S311 - the same kills every time
    crew, done = Crew(Path(), opener=lambda: PlanStore(database(url), policy=POLICY)), 0
    try:
        while done < faults and not crew.problems:
            crew.await_lines(chance.randrange(6))
            select.select([], [], [], chance.random() * 0.005)  # into the middle of whatever is under way
            crew.kill_one()
            done += 1
            progress.at(done)
        crew.kill_all()
    finally:
        crew.close()
    found = judged(url, crew.told, ended=False)
    found.problems += crew.problems
    return {"faults": done, "seconds": progress.seconds, "repeated": crew.repeated, **found.counts()}


def test_killed_workers_lose_nothing_and_repeat_nothing(postgres_url: str) -> None:
    """Through all kills what was acknowledged is there, once; in the end every fit has ended."""
    found = killed(postgres_url, KILLS)
    must_be_sound(KILLED, found)
    assert found["faults"] == KILLS
    assert found["acknowledged"] > KILLS
    assert found["repeated"] > 0, "no word of unknown fate was repeated"


def test_the_kills_catch_projections_outside_the_transaction(postgres_url: str) -> None:
    """A kill between the two commits leaves a row that the log does not lead to."""
    must_be_caught(KILLED, "late projections", killed(postgres_url, 60, LateDatabase))


class PostgresCampaign(Campaign):
    """The campaign of the zombies over a database of Postgres."""

    def __init__(self, url: str, mutant: str) -> None:
        super().__init__(Path(), mutant, 1)
        self.url = url

    def open(self) -> PlanStore:
        """The store on the shared clock; a planted fault stays in the process that opens it."""
        plant(self.mutant)
        return PlanStore(PostgresDatabase(self.url), policy=POLICY, clock=self.clock)


def woken(url: str, faults: int, mutant: str = "") -> dict[str, Any]:
    """Wake so many zombies, twenty at a time, when others have their fits; returns the counts."""
    campaign, progress = PostgresCampaign(url, mutant), Progress(FROZEN, faults)
    for number in range(-(-faults // AT_ONCE)):
        campaign.round(number)
        progress.at(number * AT_ONCE)
        if campaign.problems:
            break
    found = judged(url, campaign.told, ended=False)
    taken = [line for line in campaign.late if line.startswith("L taken")]
    found.stale = max(found.stale, len(taken))
    found.problems += [*campaign.problems, *(f"a late word was taken: {line[8:]}" for line in taken)]
    refused = len(campaign.late) - len(taken)
    return {"faults": len(campaign.late), "refused": refused, "seconds": progress.seconds, **found.counts()}


def test_every_late_word_of_a_zombie_is_refused_on_postgres(postgres_url: str) -> None:
    """Whatever a frozen worker says when it wakes, under whatever name, its successor's word stands alone."""
    found = woken(postgres_url, ZOMBIES)
    must_be_sound(FROZEN, found)
    assert found["refused"] == found["faults"] == ZOMBIES
    assert found["completions"] == ZOMBIES


@pytest.mark.parametrize("mutant", ["no fence", "renew without number"])
def test_the_zombies_on_postgres_catch_a_store_without_its_fence(postgres_url: str, mutant: str) -> None:
    """A store that asks nobody for the fence takes late words; one that renews without it, late renewals."""
    must_be_caught(FROZEN, mutant, woken(postgres_url, AT_ONCE, mutant), by=("stale",))


def test_a_writer_frozen_inside_its_transaction_gives_way_to_the_others(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends the session that holds the log and says nothing; what it says later is refused."""
    impatient = {**postgres_connection._THEIRS, "idle_in_transaction_session_timeout": "1s"}
    monkeypatch.setattr(postgres_connection, "_THEIRS", impatient)
    pid = os.fork()
    if pid == 0:
        die_with_parent()
        store, code = PlanStore(PostgresDatabase(postgres_url)), 1
        try:
            with store._turn() as turn:
                turn.append_next("n_frozen", [ROUTE], actor="frozen")
                turn.tx.query("SELECT 1")
                os.kill(os.getpid(), signal.SIGSTOP)
        except DatabaseUnavailable:
            code = 0 if store.record("n_frozen", [ROUTE]) == (2,) else 2
        finally:
            os._exit(code)
    assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
    with PlanStore(PostgresDatabase(postgres_url)) as store:
        assert store.record("n_awake", [ROUTE]) == (1,)
        os.kill(pid, signal.SIGCONT)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert [event.stream for event in store.events()] == ["planning-n_awake", "planning-n_frozen"]
