"""Waiting hosts hear of new work at once, and the database tells them whose connection has ended."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from daemon_samples import PATIENCE_SECONDS, accept, await_that, job

from store import PlanStore, open_store, postgres_waker
from store.waking import Waker


@pytest.fixture
def store(database_url: str) -> Iterator[PlanStore]:
    """A store on each engine in turn."""
    with open_store(database_url) as opened:
        yield opened


@pytest.fixture
def waker(store: PlanStore) -> Iterator[Waker]:
    """The waker of a host that has looked once."""
    with closing(store.waker("far/boot/1/1/1")) as made:
        assert made.moved()
        await_that(lambda: not made.moved(), "rest")
        yield made


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Believe at once what is missing, on a server that has just started too."""
    monkeypatch.setattr(postgres_waker, "GRACE_SECONDS", -1.0)
    monkeypatch.setattr(postgres_waker, "MISSING_SECONDS", 0.0)


def test_whatever_is_recorded_is_noticed_once(store: PlanStore, waker: Waker) -> None:
    """A plan, a claim and a word of somebody else each move the log; without any it stays where it is."""
    for act in (
        lambda: accept(store),
        lambda: store.claim("w", stage="cpu"),
        lambda: store.pause(reason="for a test"),
    ):
        act()
        await_that(waker.moved, "move")
        assert not waker.moved()


def test_a_plan_wakes_a_host_that_only_listens(store: PlanStore, waker: Waker) -> None:
    """The descriptor becomes readable by itself, so an idle host need not ask all the time."""
    await_that(lambda: waker.fileno() >= 0, "descriptor")
    assert waker.patience(expecting=False) >= 0.02
    accept(store)
    poll = select.poll()
    poll.register(waker.fileno(), select.POLLIN)
    assert poll.poll(PATIENCE_SECONDS * 1000)
    await_that(waker.moved, "move")


def test_a_fit_made_ready_again_wakes_too(store: PlanStore, waker: Waker) -> None:
    """A retry opens a plan that was completed: nobody asks for the head of the log by then."""
    accept(store, job(["lightgbm"]))
    (fit,) = store.reading.fits()
    store.cancel(fit.id)
    await_that(waker.moved, "move")
    await_that(lambda: not waker.moved() and waker.fileno() >= 0, "rest")
    store.retry(fit.id)
    poll = select.poll()
    poll.register(waker.fileno(), select.POLLIN)
    assert poll.poll(PATIENCE_SECONDS * 1000)


def test_a_store_in_memory_is_asked_for_its_head() -> None:
    """Without a file and without a server there is only asking."""
    with open_store("memory:") as store, closing(store.waker("w")) as waker:
        assert (waker.fileno(), waker.moved(), waker.moved()) == (-1, True, False)
        accept(store)
        assert waker.moved()
        assert waker.gone(["w"]) == frozenset()


def test_a_lost_connection_is_made_anew(postgres_url: str) -> None:
    """A waker whose session the server ended says that something may have happened, and listens again."""
    with open_store(postgres_url) as store, closing(store.waker("w")) as waker:
        assert waker.moved()
        with psycopg.connect(postgres_url, autocommit=True) as server:
            server.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        await_that(waker.moved, "notice of the loss")
        await_that(lambda: waker.fileno() >= 0 or (waker.moved() and False), "new connection")
        accept(store)
        await_that(waker.moved, "move")


@pytest.mark.usefixtures("quick")
def test_a_worker_whose_connection_ended_is_gone(postgres_url: str) -> None:
    """Its lock was seen and is missing: it is gone, and only it."""
    with (
        open_store(postgres_url) as store,
        closing(store.waker("a")) as asking,
        closing(store.waker("b")) as b,
    ):
        with closing(store.waker("c")) as c:
            assert (asking.moved(), b.moved(), c.moved()) == (True, True, True)
            assert asking.gone(["b", "c"]) == frozenset()
        await_that(lambda: asking.gone(["b", "c"]) == {"c"}, "end of c")


@pytest.mark.usefixtures("quick")
def test_a_worker_whose_lock_was_never_seen_is_not_gone(postgres_url: str) -> None:
    """A worker without a connection of that kind is left to its lease."""
    with open_store(postgres_url) as store, closing(store.waker("a")) as asking:
        assert asking.moved()
        assert [asking.gone(["other"]) for _ in range(3)] == [frozenset()] * 3


@pytest.mark.usefixtures("quick")
def test_a_worker_that_renews_is_alive(postgres_url: str) -> None:
    """Its connection was lost, and its lease is renewed all the same: it is not taken for dead."""
    with open_store(postgres_url) as store, closing(store.waker("a")) as asking:
        accept(store)
        (claim,) = store.claim("b", stage="cpu")
        with closing(store.waker("b")) as other:
            assert asking.moved()
            assert other.moved()
            assert asking.gone(["b"]) == frozenset()
        server = psycopg.connect(postgres_url, autocommit=True)
        locks = "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory'"
        await_that(lambda: server.execute(locks).fetchone() == (1,), "end of the connection")
        server.close()
        assert asking.gone(["b"]) == frozenset()  # missing from now on
        store.renew(claim)
        assert asking.gone(["b"]) == frozenset()


def test_just_after_the_start_of_the_server_nobody_is_gone(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that starts holds no locks: all workers come back one by one."""
    monkeypatch.setattr(postgres_waker, "GRACE_SECONDS", 10.0**9)
    monkeypatch.setattr(postgres_waker, "MISSING_SECONDS", 0.0)
    with open_store(postgres_url) as store, closing(store.waker("a")) as asking:
        with closing(store.waker("b")) as other:
            assert asking.moved()
            assert other.moved()
            assert asking.gone(["b"]) == frozenset()
        assert [asking.gone(["b"]) for _ in range(3)] == [frozenset()] * 3
