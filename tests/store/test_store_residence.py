"""One daemon for each host of a store, on every engine; nobody is locked out by one that is gone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from store import postgres_residence, residence
from store.errors import DatabaseUnavailable, DatabaseUnsafe, HostTaken
from store.postgres_residence import PostgresResidence
from store.residence import take_residence

HOLDER = """
import sys
from store.residence import take_residence
place = take_residence(sys.argv[1], "alpha", holder="pid 7 on alpha")
print("holds", flush=True)
sys.stdin.read()
"""


def test_a_second_one_is_refused_and_told_who_is_there(database_url: str) -> None:
    """Exit code 75; another host has a place of its own; a place that was given up is free."""
    first = take_residence(database_url, "alpha", holder="pid 7 on alpha")
    with pytest.raises(HostTaken, match="as host alpha: pid 7 on alpha") as caught:
        take_residence(database_url, "alpha", holder="pid 8 on alpha")
    assert caught.value.exit_code == 75
    other = take_residence(database_url, "beta/../x", holder="pid 8 on beta")
    assert first.is_held()
    assert other.is_held()
    first.close()
    take_residence(database_url, "alpha", holder="pid 9 on alpha").close()
    other.close()


def test_a_killed_holder_lets_go(database_url: str) -> None:
    """However its process ended, the place is free once it is gone."""
    with subprocess.Popen(
        [sys.executable, "-P", "-c", HOLDER, database_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"holds\n"
        with pytest.raises(HostTaken):
            take_residence(database_url, "alpha", holder="me")
        holder.kill()
        holder.wait()
    taken = None
    while taken is None:  # the server hears of it in a moment
        try:
            taken = take_residence(database_url, "alpha", holder="me")
        except HostTaken:
            continue
    taken.close()


def _cut(url: str) -> None:
    """Let the server end the connections of residences, and wait until they are gone."""
    mine = (
        "SELECT pid FROM pg_stat_activity "
        "WHERE application_name LIKE 'pid %' AND datname = current_database()"
    )
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"SELECT pg_terminate_backend(pid, 60000) FROM ({mine}) AS found".encode())


def test_a_cut_connection_is_made_again_and_the_place_kept(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server lets go of the lock with the connection; nobody came, so it is taken again."""
    monkeypatch.setattr(postgres_residence, "LOOK_SECONDS", 0.0)
    place = take_residence(postgres_url, "alpha", holder="pid 7 on alpha")
    _cut(postgres_url)
    assert place.is_held()
    with pytest.raises(HostTaken):
        take_residence(postgres_url, "alpha", holder="pid 8 on alpha")
    place.close()


def test_whoever_came_meanwhile_keeps_the_place(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one whose connection was cut learns that it has lost it."""
    monkeypatch.setattr(postgres_residence, "LOOK_SECONDS", 0.0)
    first = take_residence(postgres_url, "alpha", holder="pid 7 on alpha")
    _cut(postgres_url)
    second = take_residence(postgres_url, "alpha", holder="pid 8 on alpha")
    assert not first.is_held()
    assert second.is_held()
    second.close()
    first.close()


def _is_connected(place: PostgresResidence) -> bool:
    return place._connection is not None


def test_the_place_is_kept_for_a_connection_of_ours_that_the_server_has_not_given_up(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off where only we have noticed: nobody else is there, and the place is taken again later."""
    monkeypatch.setattr(postgres_residence, "LOOK_SECONDS", 0.0)
    place = PostgresResidence(postgres_url, host="alpha", holder="pid 7 on alpha")
    last = place._connection
    assert last is not None
    place._connection = None
    assert place.is_held()
    assert not _is_connected(place)
    last.close()
    while not _is_connected(place):  # the server hears of it in a moment
        assert place.is_held()
    with pytest.raises(HostTaken):
        take_residence(postgres_url, "alpha", holder="pid 8 on alpha")
    place.close()


def test_a_place_that_cannot_be_had_says_why(tmp_path: Path) -> None:
    """A directory that is none will not mend by waiting; a server that is away may come back."""
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseUnsafe, match="cannot be worked in"):
        take_residence(f"sqlite:///{tmp_path}/file/x.db", "alpha", holder="me")
    with pytest.raises(DatabaseUnavailable):
        take_residence(f"postgresql://nobody@/none?host={tmp_path}", "alpha", holder="me")


def test_a_store_in_memory_is_alone() -> None:
    """Nobody else can work on it."""
    place = take_residence("memory:", "alpha", holder="me")
    assert place.is_held()
    take_residence("memory:", "alpha", holder="me").close()
    place.close()


def test_a_duty_is_of_one_host_and_goes_to_the_next_one_when_it_is_gone(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Duties are taken one by one; who leaves one, or goes, leaves it to the others."""
    monkeypatch.setattr(residence, "DUTY_SECONDS", 0.0)
    monkeypatch.setattr(postgres_residence, "DUTY_SECONDS", 0.0)
    first = take_residence(database_url, "alpha", holder="pid 7 on alpha")
    second = take_residence(database_url, "beta", holder="pid 7 on beta")
    assert first.has("telling")
    assert not second.has("telling")
    assert second.has("sealing")
    assert (first.has("telling"), first.has("sealing")) == (True, False)
    second.leave("sealing")
    second.leave("telling")  # it has not got it
    assert first.has("sealing")
    first.close()
    assert not first.has("telling")
    while not second.has("telling"):  # the server hears of it in a moment
        pass
    second.close()


def test_a_host_is_not_asked_for_a_duty_of_its_own_name(database_url: str) -> None:
    """The name of a host and that of a duty are two things."""
    host = take_residence(database_url, "telling", holder="me")
    other = take_residence(database_url, "duty telling", holder="me")
    assert host.has("telling")
    host.close()
    other.close()


def test_a_duty_is_not_believed_once_the_connection_had_time_to_end(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a silence the first question may be for the duty, and another host may have it since."""
    monkeypatch.setattr(postgres_residence, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(postgres_residence, "DUTY_SECONDS", 0.0)
    first = take_residence(postgres_url, "alpha", holder="pid 7 on alpha")
    assert first.has("telling")
    _cut(postgres_url)
    second = take_residence(postgres_url, "beta", holder="pid 8 on beta")
    assert second.has("telling")
    assert not first.has("telling")
    assert first.is_held()
    assert not first.has("telling")
    for place in (first, second):
        place.close()


def test_a_duty_is_lost_with_the_connection_and_taken_again(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever was quicker has it; the cut one learns of it at its next look."""
    monkeypatch.setattr(postgres_residence, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(postgres_residence, "DUTY_SECONDS", 0.0)
    first = take_residence(postgres_url, "alpha", holder="pid 7 on alpha")
    assert first.has("telling")
    _cut(postgres_url)
    second = take_residence(postgres_url, "beta", holder="pid 8 on beta")
    assert second.has("telling")
    assert first.is_held()
    assert not first.has("telling")
    second.close()
    while not first.has("telling"):
        pass
    first.close()
