"""How far a duty has come is kept beside the log, on every engine, and is no part of what has happened."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from store_samples import cs_job, plan_of

from store import PlanStore, open_reader, open_store


@pytest.fixture(params=["sqlite_url", "postgres_url", "memory"])
def store(request: pytest.FixtureRequest) -> Iterator[PlanStore]:
    """A store of each engine in turn."""
    url = "memory:" if request.param == "memory" else request.getfixturevalue(request.param)
    with open_store(url) as opened:
        yield opened


def test_a_bookmark_is_the_last_one_written(store: PlanStore) -> None:
    """By its name alone; the others stay, and one that was never written is none."""
    assert store.reading.bookmark("telling webhook") is None
    store.bookmark("telling webhook", seq=3, data={"event": "a"})
    store.bookmark("tracking x", seq=9, data={})
    store.bookmark("telling webhook", seq=2, data={"event": "b", "told_at": {"disk_low": "x"}})
    found = store.reading.bookmark("telling webhook")
    assert found is not None
    assert (found.seq, found.data) == (2, {"event": "b", "told_at": {"disk_low": "x"}})
    assert [one.name for one in store.reading.bookmarks()] == ["telling webhook", "tracking x"]
    assert [one.seq for one in store.reading.bookmarks("tracking")] == [9]


def test_a_bookmark_is_no_event_and_outlives_a_rebuild(store: PlanStore) -> None:
    """The head stays where it is, the log verifies, and folding it anew forgets nothing of it."""
    store.accept(plan_of(cs_job("y")), source="test", name="one")
    before = store.head_seq()
    store.bookmark("sealing", seq=before, data={})
    assert store.head_seq() == before
    store.rebuild()
    assert store.verify().problems == ()
    found = store.reading.bookmark("sealing")
    assert found is not None
    assert found.seq == before


def test_who_only_reads_sees_it(database_url: str) -> None:
    """Another process knows how far people were told."""
    with open_store(database_url) as store, open_reader(database_url) as reader:
        store.bookmark("telling webhook", seq=5, data={})
        found = reader.bookmark("telling webhook")
    assert found is not None
    assert found.seq == 5
