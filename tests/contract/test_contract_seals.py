"""Seals find what the chain alone cannot: a history that was computed anew, and an end that was cut off."""

from __future__ import annotations

import json
import os
from pathlib import Path
from unittest.mock import Mock

import pytest
from keeping_samples import ROUTE, cut_tail, finished, forge, history, opened, unguarded
from store_samples import Clock

from store import LogDamaged, PlanStore
from store import seals as seals_module
from store.errors import KeepingRefused
from store.seals import read_seals, seal, seal_log, seals_of, seals_path
from store.verification import verify


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "results" / "seals" / "trainwright.jsonl"


@pytest.fixture
def sealed(plan_store: PlanStore, database_url: str, clock: Clock, place: Path) -> PlanStore:
    """A store with a history that is sealed up to its last finished plan, every ten events."""
    history(plan_store, clock)
    seal_log(database_url, place, every=10)
    return plan_store


def test_segments_end_at_the_limit_and_with_each_finished_plan(
    sealed: PlanStore, database_url: str, place: Path
) -> None:
    """No segment is longer than the limit, each finished plan ends one, and together they cover the log."""
    made = read_seals(place)
    completed = [event.seq for event in sealed.events(kinds=["PlanCompleted"])]
    assert len(completed) == 2
    assert set(completed) <= {one.last_seq for one in made}
    assert [one.first_seq for one in made] == [1, *(one.last_seq + 1 for one in made[:-1])]
    assert all(one.last_seq - one.first_seq < 10 for one in made)
    with opened(database_url) as database, database.snapshot() as tx:
        assert seals_of(tx) == made
        for one in made:
            assert bytes(tx.query("SELECT hash FROM event WHERE seq = ?", (one.last_seq,))[0][0]) == one.hash


def test_sealing_again_adds_nothing_and_later_events_are_sealed_later(
    sealed: PlanStore, database_url: str, place: Path
) -> None:
    """A second call changes neither table nor file; to the head even one more event is sealed."""
    before = place.read_bytes()
    assert seal_log(database_url, place, every=10) == ()
    assert place.read_bytes() == before
    head = sealed.record("n_9", [ROUTE])[0]
    assert seal_log(database_url, place, every=10) == ()
    assert seal_log(database_url, place, every=10, to_head=True)[-1].last_seq == head
    assert place.read_bytes().startswith(before)


def test_a_line_of_the_file_says_what_was_sealed(sealed: PlanStore, place: Path) -> None:
    """Each line is JSON with the promised keys; times are ISO UTC."""
    first = json.loads(place.read_text().splitlines()[0])
    assert (first["first_seq"], first["last_seq"], first["events"]) == (1, 10, 10)
    assert len(first["hash"]) == 64
    assert first["sealed_at"].endswith("Z")


def test_a_line_torn_by_a_crash_is_written_again(sealed: PlanStore, database_url: str, place: Path) -> None:
    """What the file lacks of the table is added by the next call, and half a line is no seal."""
    whole = place.read_bytes()
    place.write_bytes(whole[:-30])
    assert len(read_seals(place)) == whole.count(b"\n") - 1
    seal_log(database_url, place, every=10)
    assert place.read_bytes() == whole


def test_a_crash_before_the_file_was_written_is_made_good(
    plan_store: PlanStore, database_url: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the process ends between the table and the file, the next call writes the file."""
    finished(plan_store, "y1")
    with monkeypatch.context() as patch:
        patch.setattr(seals_module, "_keep_outside", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            seal_log(database_url, place)
    assert not place.exists()
    assert seal_log(database_url, place) == ()
    assert [one.last_seq for one in read_seals(place)] == [plan_store.head_seq()]


def test_a_recomputed_history_passes_the_chain_and_is_found_by_the_seals_outside(
    sealed: PlanStore, database_url: str, place: Path
) -> None:
    """Who has the database can forge an event, the chain behind it and the seals in it, but not the file."""
    forge(database_url, 14)
    with unguarded(database_url) as tx:
        for one in seals_of(tx):
            link = tx.query("SELECT hash FROM event WHERE seq = ?", (one.last_seq,))[0][0]
            tx.execute("UPDATE seal SET hash = ? WHERE last_seq = ?", (link, one.last_seq))
    with opened(database_url) as database:
        assert verify(database).problems == ()
        found = verify(database, outside=read_seals(place))
    assert not found.ok
    segment = next(one for one in read_seals(place) if one.last_seq >= 14)
    assert found.problems[0].startswith(f"event {segment.first_seq}: from it to {segment.last_seq} ")
    assert "rewritten" in found.problems[0]
    assert "outside the database" in found.problems[0]


def test_a_recomputed_history_is_found_by_the_table_too(sealed: PlanStore, database_url: str) -> None:
    """Who forgets the table of seals is found without the file, and sealing goes no further."""
    forge(database_url, 14)
    problems = sealed.verify().problems
    assert problems[0].startswith("event 11: from it to ")
    assert "in the database" in problems[0]


def test_an_end_that_was_cut_off_is_named(sealed: PlanStore, database_url: str, place: Path) -> None:
    """Events removed from the end leave a sound chain; the seals say which events are missing."""
    last = read_seals(place)[-1].last_seq
    cut_tail(database_url, last - 3)
    with unguarded(database_url) as tx:
        tx.execute("DELETE FROM seal WHERE last_seq > ?", (last - 3,))
    sealed.rebuild()
    assert sealed.verify().ok
    with opened(database_url) as database:
        problems = verify(database, outside=read_seals(place)).problems
    assert problems[0].startswith(f"event {last - 2}: it and all up to {last} are missing at the end")


def test_a_log_that_is_not_the_sealed_one_is_sealed_no_further(
    sealed: PlanStore, database_url: str, place: Path
) -> None:
    """Sealing refuses a row that does not fit, a cut end, and a file that says otherwise."""
    last = read_seals(place)[-1].last_seq
    with unguarded(database_url) as tx:
        tx.execute("UPDATE event SET actor = 'mallory' WHERE seq = ?", (last + 1,))
    with pytest.raises(LogDamaged, match=f"event {last + 1}: its hash does not follow"):
        seal_log(database_url, place, to_head=True)
    cut_tail(database_url, last - 1)
    with pytest.raises(LogDamaged, match=f"event {last - 1}: the log ends here"):
        seal_log(database_url, place)
    with unguarded(database_url) as tx:
        tx.execute("DELETE FROM seal WHERE last_seq >= ?", (last - 1,))
    with pytest.raises(LogDamaged, match="its end is cut off"):
        seal_log(database_url, place)


def test_a_file_that_is_no_seals_is_refused_and_kept(
    sealed: PlanStore, database_url: str, place: Path
) -> None:
    """A line that cannot be read stops sealing with its number; the file is not touched."""
    place.write_text('{"first_seq": 1}\n')
    with pytest.raises(KeepingRefused, match="line 1 of the seals"):
        seal_log(database_url, place)
    assert place.read_text() == '{"first_seq": 1}\n'


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_two_who_seal_at_once_write_each_seal_once(sealed: PlanStore, database_url: str, place: Path) -> None:
    """Four processes seal the same log together: table and file have each segment once."""
    finished(sealed, "y7", "y8", "y9")
    children = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            try:
                seal_log(database_url, place, every=3, to_head=True)
            finally:
                os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)
    lines = [json.loads(line) for line in place.read_text().splitlines()]
    ends = [line["last_seq"] for line in lines]
    assert ends == sorted(set(ends))
    assert ends[-1] == sealed.head_seq()
    with opened(database_url) as database:
        assert verify(database, outside=read_seals(place)).ok


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("sqlite:////srv/results/trainwright.db", "trainwright.jsonl"),
        ("postgresql://me@db.example:5432/fits?sslmode=require", "fits.jsonl"),
        ("postgresql://me@/%2e%2e?host=/run", "_2e_2e.jsonl"),
    ],
)
def test_the_file_of_seals_is_named_after_the_database(url: str, name: str) -> None:
    """One file a database, beside the results, whatever the database is called."""
    assert seals_path(url, Path("results")) == Path("results/seals") / name


def test_seal_takes_a_database_as_it_is(plan_store: PlanStore, database_url: str, place: Path) -> None:
    """An empty log has nothing to seal, and `upto` ends a segment where it is told to."""
    with opened(database_url) as database:
        assert seal(database, place, to_head=True) == ()
        finished(plan_store, "y1")
        assert [one.last_seq for one in seal(database, place, upto=4)] == [4]
