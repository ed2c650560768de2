"""Rescues where many hosts look at once: what is due is taken back once, and a look costs nobody anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Barrier

import psycopg
import pytest
from store_samples import SUCCEEDED, Clock, cs_job, plan_of

from store import PlanStore, RetryPolicy, open_store
from store.database import connect

HOSTS = 12


def claimed(store: PlanStore, fits: int, *, lease_seconds: float = 60) -> list[str]:
    """Claim so many fits for a worker that then dies."""
    jobs = [cs_job(f"y{number}", families=("LightGBM",)) for number in range(fits)]
    store.accept(plan_of(*jobs), source="s", name="n")
    return [
        claim.fit_id for claim in store.claim("dead", stage="cpu", limit=fits, lease_seconds=lease_seconds)
    ]


@contextmanager
def fit_locked(url: str, fit_id: str) -> Iterator[None]:
    """Somebody speaks of a fit: its row is locked."""
    with psycopg.connect(url) as other:
        other.execute("SELECT 1 FROM fit WHERE fit_id = %s FOR UPDATE", (fit_id,))
        yield
        other.rollback()


@pytest.mark.parametrize("expiries_max", [10, 1])
def test_all_hosts_see_a_death_and_one_takes_each_fit(database_url: str, expiries_max: int) -> None:
    """Twelve hosts rescue at the same moment: every fit is taken back once, also where that is its end."""
    policy = RetryPolicy(expiries_max=expiries_max)
    with open_store(database_url, policy=policy) as store:
        held = claimed(store, 30)
        together = Barrier(HOSTS)

        def host(_: int) -> list[str]:
            with open_store(database_url, policy=policy) as mine:
                together.wait(60)
                return [one.fit_id for one in mine.rescue(is_dead=lambda worker: worker == "dead")]

        with ThreadPoolExecutor(HOSTS) as pool:
            taken = Counter(fit_id for some in pool.map(host, range(HOSTS)) for fit_id in some)
        store.rescue(is_dead=lambda worker: worker == "dead")  # what was locked just then
        expired = Counter(event.fit for event in store.events(kinds=("LeaseExpired",)))
        assert expired == Counter(held)
        assert set(taken.values()) == {1}
        states = {fit.state for fit in store.reading.fits()}
        assert states == ({"ready"} if expiries_max > 1 else {"failed"})
        assert store.verify().ok


def test_a_look_that_finds_nothing_waits_for_no_writer(postgres_url: str) -> None:
    """While a plan is accepted, which has the log to itself, a rescue comes back with nothing."""
    with open_store(postgres_url) as store:
        claimed(store, 3)
        writer = connect(postgres_url)
        with writer.transaction() as tx:
            tx.query("SELECT 1")  # the lock is taken with the first question
            with ThreadPoolExecutor(1) as pool, open_store(postgres_url) as other:
                looked = pool.submit(other.rescue, is_dead=lambda _: False)
                assert looked.result(timeout=60) == ()
                beaten = pool.submit(other.beat, "alpha", "alpha/b/n/1/2/m", running=3)
                assert beaten.result(timeout=60) is None
        writer.close()


def test_a_fit_somebody_speaks_of_is_passed_over(postgres_url: str) -> None:
    """A rescue neither waits for the holder's word nor overtakes it; the next one sees what came of it."""
    with open_store(postgres_url) as store:
        first, second = claimed(store, 2)
        dead = {"dead"}.__contains__
        with fit_locked(postgres_url, first):
            assert [one.fit_id for one in store.rescue(is_dead=dead)] == [second]
        assert [one.fit_id for one in store.rescue(is_dead=dead)] == [first]


def test_a_renewal_that_came_first_counts(
    plan_store: PlanStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lease that is renewed between the look and the taking back stays: its holder was told so."""
    from store import rescuing

    plan_store.accept(plan_of(cs_job("a", families=("LightGBM",))), source="s", name="n")
    (claim,) = plan_store.claim("w", stage="cpu", lease_seconds=60)
    clock.move(61)
    looked = rescuing.question

    def late(fit_ids: tuple[str, ...]) -> object:
        assert plan_store.renew(claim) == clock.now + timedelta(seconds=60)
        return looked(fit_ids)

    monkeypatch.setattr(rescuing, "question", late)
    assert plan_store.rescue() == ()
    plan_store.succeeded(claim, SUCCEEDED)
