"""A store in memory is a whole store that keeps nothing, and says so."""

from __future__ import annotations

import gc
import threading

import pytest
from store_samples import cs_job, plan_of

from store import DatabaseUnavailable, PlanStore, WriteRefused, open_store
from store.database import connect
from store.events import RouteChosen
from store.memory_database import MemoryDatabase

_LARGE_SEAL = "INSERT INTO seal (last_seq, first_seq, hash, sealed_at) VALUES (?, 1, zeroblob(?), 0)"
ROUTE = RouteChosen(target="y", symbol=None, route="R", reason="r")


def test_a_store_in_memory_says_that_it_keeps_nothing() -> None:
    """Info warns in plain words, and counts the bytes it takes."""
    info = open_store("memory:").info()
    assert any("lost when this process ends" in warning for warning in info.warnings)
    assert info.size_bytes > 10_000


def test_an_address_without_a_name_is_a_store_of_its_own() -> None:
    """Two stores at ``memory:`` know nothing of each other; two at one name share everything."""
    one, other = open_store("memory:"), open_store("memory:")
    one.record("n_1", [ROUTE])
    assert (one.head_seq(), other.head_seq()) == (1, 0)
    named, same = open_store("memory:shared"), open_store("memory:shared")
    named.record("n_1", [ROUTE])
    assert same.head_seq() == 1


def test_a_named_store_goes_with_its_last_user() -> None:
    """Nothing is left in the process once nobody has the store open: the next one begins empty."""
    store = open_store("memory:gone")
    store.record("n_1", [ROUTE])
    del store
    gc.collect()
    assert open_store("memory:gone").head_seq() == 0


def test_a_state_can_be_taken_and_gone_back_to() -> None:
    """After going back, the store is what it was, sound, and takes events as if nothing had been."""
    database = MemoryDatabase()
    store = PlanStore(database)
    store.accept(plan_of(cs_job("a")), source="s", name="n")
    state, head = database.serialize(), store.head_seq()
    first = store.claim("u", stage="cpu")[0]
    database.deserialize(state)
    assert store.head_seq() == head
    second = store.claim("v", stage="cpu")[0]
    assert (second.fit_id, second.fence) == (first.fit_id, first.fence)
    assert store.verify().problems == ()


def test_threads_take_turns() -> None:
    """Four threads on one store in memory lose no event and never meet inside a transaction."""
    store = open_store("memory:")
    errors: list[BaseException] = []

    def write(name: str) -> None:
        try:
            for _ in range(25):
                store.record(name, [ROUTE])
        except BaseException as error:  # noqa: BLE001 - the main thread must see whatever it was
            errors.append(error)

    threads = [threading.Thread(target=write, args=(f"n_{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert store.head_seq() == 100
    assert store.verify().ok


def test_a_transaction_inside_another_is_refused_and_harms_nothing() -> None:
    """One thread, one transaction: the inner one is an error, the outer one goes on to its commit."""
    database = MemoryDatabase()
    store = PlanStore(database)
    with database.transaction() as tx:
        tx.execute("INSERT INTO projection (name, code_version, rebuilt_seq) VALUES ('x', 1, 0)")
        with pytest.raises(DatabaseUnavailable, match="open already"):
            store.record("n_1", [ROUTE])
        with pytest.raises(DatabaseUnavailable, match="open already"):
            database.serialize()
    with database.snapshot() as tx:
        assert tx.query("SELECT code_version FROM projection WHERE name = 'x'") == [(1,)]


def test_a_reader_of_a_store_in_memory_cannot_write() -> None:
    """Who opened it to read is refused, and whoever writes beside is not held up by that."""
    writer = open_store("memory:read")
    reader = PlanStore(connect("memory:read", readonly=True))
    with pytest.raises((DatabaseUnavailable, WriteRefused), match="readonly"):
        reader.record("n_1", [ROUTE])
    writer.record("n_1", [ROUTE])
    assert reader.head_seq() == 1


def test_it_grows_beyond_a_gibibyte() -> None:
    """SQLite gives a database that was deserialized one GiB: a log in memory has as much as there is."""
    database = MemoryDatabase()
    database.deserialize(database.serialize())
    some = 128 << 20
    for number in range(1, 10):
        with database.transaction() as tx:
            tx.execute(_LARGE_SEAL, (number, some))
    with database.snapshot() as tx:
        assert tx.query("SELECT SUM(LENGTH(hash)) FROM seal") == [(9 * some,)]


def test_it_tells_the_time_by_its_clock() -> None:
    """What `now` returns is the clock that is written into the events, whichever that is."""
    database = MemoryDatabase()
    with database.snapshot() as tx:
        tx.clock = "5"
        assert tx.now() == 5
