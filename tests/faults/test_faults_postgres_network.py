"""The network between the writers and Postgres is cut and healed."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator

import network_namespaces
import pytest
from network_namespaces import CUTS, Cable
from postgres_crew import Crew, await_that, counts_of, judged
from postgres_servers import PostgresServer
from reporting import LONG, Progress, report
from store_work import die_with_parent

from store import DatabaseUnavailable, PlanStore, postgres_connection, postgres_waker
from store.database import connect
from store.events import RouteChosen
from store.schema import upgrade

MISSING = network_namespaces.missing()
CUTS_WANTED = 200 if LONG else 5
WRITERS = 3
ROUTE = RouteChosen(target="y", symbol=None, route="R", reason="r")
# What takes seven seconds by default takes two here; that the defaults are heard is the last test.
IMPATIENT = {"keepalives_idle": "1", "keepalives_interval": "1", "keepalives_count": "1"}
IMPATIENT_SERVER = {f"tcp_{name}": value for name, value in IMPATIENT.items()}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=MISSING or "nothing is missing"),
    pytest.mark.timeout(7200 if LONG else 300),
]


class Line:
    """A server at one end of a cable; its database is asked from the other end, or from beside the server."""

    def __init__(self) -> None:
        self.cable = Cable()
        self.cable.lay()
        self.server = PostgresServer(
            settings={"listen_addresses": self.cable.hosts["server"]},
            inside=self.cable.inside("server"),
            trusted="10.213.7.0/24",
        )
        self.server.initialize()
        self.server.start()
        upgrade(self.near)

    @property
    def near(self) -> str:
        """The address beside the server, which no cut concerns."""
        return self.server.address()

    @property
    def far(self) -> str:
        """The address from the other end of the cable."""
        return f"postgresql://postgres@{self.cable.hosts['server']}/postgres"

    def remove(self) -> None:
        self.cable.heal()
        self.server.remove()
        self.cable.remove()


@pytest.fixture
def line() -> Iterator[Line]:
    """A fresh server with its cable."""
    one = Line()
    yield one
    one.remove()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ends give an unreachable peer up after two seconds."""
    ours = {**postgres_connection._OURS, **IMPATIENT, "tcp_user_timeout": "2000", "connect_timeout": "2"}
    theirs = {**postgres_connection._THEIRS, **IMPATIENT_SERVER, "tcp_user_timeout": "2s"}
    monkeypatch.setattr(postgres_connection, "_OURS", ours)
    monkeypatch.setattr(postgres_connection, "_THEIRS", theirs)


def cut_and_heal(line: Line, cuts: int, campaign: str) -> None:
    """Cut the cable under writers: each is told so while it is cut, and goes on once it is healed."""
    chance = random.Random(4)  # noqa: S311 - the same moments every time
    crew, progress = Crew(line.far, before=line.cable.enter_client), Progress(campaign, cuts)
    try:
        for number in range(WRITERS):
            crew.start(number)
        for number in range(cuts):
            crew.await_told(chance.randrange(10, 60))
            line.cable.cut(CUTS[number % len(CUTS)])
            crew.await_cut_off(WRITERS)
            line.cable.heal()
            crew.await_cut_off(0)
            progress.at(number)
        crew.await_told(50)
        crew.finish()
    finally:
        crew.close()
    found = judged(line.near, crew.lines)
    report(campaign, faults=cuts, seconds=progress.seconds, **counts_of(line.near, crew, found))
    assert found.clean, found


@pytest.mark.usefixtures("impatient")
def test_writers_are_told_of_a_cut_network_and_go_on_when_it_is_healed(line: Line) -> None:
    """Nothing acknowledged is lost and nothing is recorded twice, whichever direction was cut."""
    cut_and_heal(line, CUTS_WANTED, "network cuts, Postgres")


def cut_off_inside_a_transaction(line: Line) -> int:
    """Return the process id of a writer that holds the log's lock, is frozen and out of reach."""
    pid = os.fork()
    if pid == 0:
        die_with_parent()
        line.cable.enter_client()
        with PlanStore(connect(line.far))._turn() as turn:
            turn.tx.query("SELECT 1")
            os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(0)
    assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
    line.cable.cut("server's link down")
    return pid


@pytest.mark.usefixtures("impatient")
def test_a_writer_cut_off_inside_its_transaction_does_not_stop_the_others(line: Line) -> None:
    """The server notices that nobody is there and gives the turn to the next writer."""
    pid = cut_off_inside_a_transaction(line)
    try:
        with PlanStore(connect(line.near)) as store:
            assert store.record("n_1", [ROUTE]) == (1,)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def host_at_the_other_end(line: Line) -> int:
    """Return the process id of a host that shows its presence and has asked the store something."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        die_with_parent()
        line.cable.enter_client()
        store = PlanStore(connect(line.far))
        store.head_seq()
        waker = store.waker("far")
        waker.moved()
        os.write(writing, b"!")
        signal.pause()
        os._exit(waker.fileno())
    assert os.read(reading, 1) == b"!"
    os.close(reading)
    os.close(writing)
    return pid


@pytest.mark.usefixtures("impatient")
def test_a_host_that_is_cut_off_is_not_taken_for_dead_before_its_leases_end(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server drops its writing connection, not its presence; its end is seen at once where it shows."""
    monkeypatch.setattr(postgres_waker, "GRACE_SECONDS", 0.0)
    pid = host_at_the_other_end(line)
    try:
        with PlanStore(connect(line.near)) as store:
            waker = store.waker("near")
            assert not waker.gone(["far"])
            line.cable.cut("server's link down")
            sessions = f"SELECT pid FROM pg_stat_activity WHERE client_addr = '{line.cable.hosts['client']}'"
            assert len(line.server.ask(sessions)) == 2
            await_that(lambda: len(line.server.ask(sessions)) < 2, "end of the writing connection")
            deadline = time.monotonic() + 2.5  # in which the server drops every session it shall drop
            while time.monotonic() < deadline:
                assert not waker.gone(["far"])
                assert len(line.server.ask(sessions)) == 1
            line.cable.heal()
            os.kill(pid, signal.SIGKILL)
            assert await_that(lambda: waker.gone(["far"]), "end of the host") == {"far"}
            waker.close()
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_without_the_servers_deadlines_a_writer_out_of_reach_stops_all_others(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By Postgres's own defaults the lock of a vanished writer is held for two hours: the test has teeth."""
    monkeypatch.setattr(postgres_connection, "_THEIRS", {"synchronous_commit": "on"})
    monkeypatch.setattr(postgres_connection, "ANSWER_SECONDS", 3.0)
    pid = cut_off_inside_a_transaction(line)
    try:
        with PlanStore(connect(line.near)) as store, pytest.raises(DatabaseUnavailable, match="no answer"):
            store.record("n_1", [ROUTE])
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    report("network cuts, Postgres", mutants=1, mutants_caught=1)


if LONG:  # a cut is heard in seven to ten seconds by default

    def test_the_default_deadlines_hear_a_cut(line: Line) -> None:
        """With no setting changed, writers are told of each sort of cut and go on."""
        cut_and_heal(line, len(CUTS), "network cuts by default settings, Postgres")
