"""Rebuilding the projections on line: others write meanwhile, and nothing of theirs is missed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from store_samples import STARTED, SUCCEEDED, cs_job, plan_of, projected_rows

from store import PlanStore, open_store, rebuilding
from store.comparing import Difference, differences
from store.database import Tx, connect
from store.log import all_rows
from store.projections import MemoryRows


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """A fresh database that two writers can have open."""
    found: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return found


def spoiled(url: str) -> None:
    """Change a row, remove one and add one behind the store's back."""
    with connect(url).transaction() as tx:
        tx.execute("UPDATE fit SET state = 'failed' WHERE ordinal = 0")
        tx.execute("DELETE FROM fit WHERE ordinal = 1")
        tx.execute("INSERT INTO pause (scope, reason, paused_at) VALUES ('*/gpu/*', '', 1)")


def test_a_rebuild_beside_a_writer_misses_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was wrong is mended, and what another wrote between the reading and the writing is in it."""
    with open_store(url) as store, open_store(url) as other:
        store.accept(plan_of(*(cs_job(f"y{number}") for number in range(4))), source="s", name="n")
        claims = store.claim("w", stage="cpu", limit=3)
        store.succeeded(claims[0], SUCCEEDED)
        spoiled(url)
        assert not store.verify().ok

        def with_a_writer(tx: Tx, rows: MemoryRows) -> Iterator[Difference]:
            found = list(differences(tx, rows))
            other.started(claims[2], STARTED)
            other.accept(plan_of(cs_job("later"), seed=2), source="s", name="n")
            return iter(found)

        monkeypatch.setattr(rebuilding, "differences", with_a_writer)
        assert store.rebuild() == store.head_seq()
        assert store.verify().problems == ()
        assert len(store.reading.plans()) == 2


def test_a_rebuild_that_forgets_the_tail_is_caught(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check above has teeth: without the events that came meanwhile, the rows are wrong."""
    with open_store(url) as store, open_store(url) as other:
        store.accept(plan_of(cs_job("a"), cs_job("b")), source="s", name="n")
        first = store.reading.fits()[0].id
        spoiled(url)

        def with_a_writer(tx: Tx, rows: MemoryRows) -> Iterator[Difference]:
            found = list(differences(tx, rows))
            other.retry(first)
            return iter(found)

        monkeypatch.setattr(rebuilding, "differences", with_a_writer)
        monkeypatch.setattr(rebuilding, "all_rows", lambda tx, after=0: () if after else all_rows(tx))
        store.rebuild()
        assert not store.verify().ok


def test_a_sound_store_is_left_as_it_is(plan_store: PlanStore, database_url: str) -> None:
    """A rebuild of rows that are right changes none of them."""
    plan_store.accept(plan_of(cs_job("a"), cs_job("b")), source="s", name="n")
    before = projected_rows(connect(database_url))
    plan_store.rebuild()
    assert projected_rows(connect(database_url)) == before
