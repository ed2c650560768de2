"""Connections to Postgres know when to give up, and say so to the server as well."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from store import DatabaseUnavailable, postgres_connection
from store.database import connect
from store.postgres_connection import BoundedConnection, opened


@contextmanager
def connected(url: str, *, readonly: bool = False) -> Iterator[BoundedConnection]:
    connection = opened(url, readonly=readonly)
    try:
        yield connection
    finally:
        connection.close()


def shown(connection: BoundedConnection, name: str) -> str:
    return str(connection.execute(f"SHOW {name}".encode()).fetchall()[0][0])


def test_a_session_waits_for_the_disk_and_does_not_keep_the_log_when_its_writer_is_silent(
    postgres_url: str,
) -> None:
    """Commits are durable whatever the server's default, and an open transaction ends when nobody speaks."""
    with connected(postgres_url + "&options=-csynchronous_commit%3Doff") as connection:
        assert shown(connection, "synchronous_commit") == "on"
        assert shown(connection, "idle_in_transaction_session_timeout") == "25s"
        assert shown(connection, "default_transaction_read_only") == "off"
    with connected(postgres_url, readonly=True) as connection:
        assert shown(connection, "default_transaction_read_only") == "on"


def test_what_the_address_says_wins(postgres_url: str) -> None:
    """Deadlines of the network are the store's unless the address names its own."""
    with connected(postgres_url + "&tcp_user_timeout=1234") as connection:
        given = connection.info.get_parameters()
    assert given["tcp_user_timeout"] == "1234"
    assert given["connect_timeout"] == "5"
    assert given["application_name"] == "trainwright"


def test_an_unreachable_server_is_given_up_within_ten_seconds() -> None:
    """The kernel's own deadlines, measured to add up to 2.5 seconds to these, leave no operation waiting."""
    ours = {name: int(value) for name, value in postgres_connection._OURS.items() if value.isdigit()}
    probes = ours["keepalives_idle"] + ours["keepalives_interval"] * ours["keepalives_count"]
    assert max(probes, ours["tcp_user_timeout"] / 1000, ours["connect_timeout"]) + 2.5 <= 10


def test_a_frozen_server_process_is_given_up(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its kernel still takes every byte; the error comes while it is frozen, and the connection is closed."""
    monkeypatch.setattr(postgres_connection, "ANSWER_SECONDS", 0.3)
    with connected(postgres_url) as connection:
        pid = connection.info.backend_pid
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(psycopg.OperationalError, match="frozen"):
                connection.execute("SELECT 1")
            assert connection.closed
        finally:
            os.kill(pid, signal.SIGCONT)


def test_a_log_that_another_writer_keeps_is_given_up_too(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for its turn longer than the deadline is told so, and nothing was written."""
    with connect(postgres_url).transaction() as tx:
        tx.query("SELECT 1")
        monkeypatch.setattr(postgres_connection, "ANSWER_SECONDS", 0.3)
        with pytest.raises(DatabaseUnavailable, match="a writer holds the log"):
            _take_the_log(postgres_url)


def _take_the_log(url: str) -> None:
    with connect(url).transaction() as tx:
        tx.query("SELECT 1")


@pytest.mark.parametrize(
    ("hosts", "readonly", "wanted"),
    [
        ("host=/no/one,/no/two", False, "read-write"),
        ("host=/no/one,/no/two", True, None),
        ("host=/no/one", False, None),
        ("host=/no/one,/no/two&target_session_attrs=any", False, "any"),
    ],
)
def test_of_several_servers_a_writer_wants_the_primary(
    monkeypatch: pytest.MonkeyPatch, hosts: str, wanted: str | None, *, readonly: bool
) -> None:
    """A standby would take the connection and refuse every word; a reader may ask any of them."""
    asked: dict[str, str] = {}

    def refused(_address: str, **given: str) -> None:
        asked.update(given)
        raise psycopg.OperationalError

    monkeypatch.setattr(BoundedConnection, "connect", refused)
    with pytest.raises(psycopg.OperationalError):
        opened(f"postgresql://u@/db?{hosts}", readonly=readonly)
    assert asked.get("target_session_attrs") == wanted
