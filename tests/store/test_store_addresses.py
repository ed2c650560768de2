"""Addresses are shown without passwords, however they were written."""

import pytest

from store.addresses import without_password
from store.errors import DatabaseUnavailable, DatabaseUnsafe, SchemaBehind, WriteRefused


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host:5432/db?x=1", "postgresql://me@host:5432/db?x=1"),
        ("postgresql://me:se@cr/e:t?@host/db", "postgresql://me@host/db"),
        ("postgresql://me@h/db?password=secret&x=1", "postgresql://me@h/db?password=***&x=1"),
        ("postgresql://h/db?x=1&sslPassword=secret", "postgresql://h/db?x=1&sslPassword=***"),
        ("postgresql://me:secret/db", "postgresql://me:***/db"),
        ("me:secret@host/db", "me@host/db"),
        ("mysql+x://me:secret@host/db", "mysql+x://me@host/db"),
    ],
)
def test_a_password_is_left_out(url: str, shown: str) -> None:
    """Before the host, in the query, raw or encoded, with or without a scheme."""
    assert without_password(url) == shown
    assert without_password(f"no answer from {shown} at all") == f"no answer from {shown} at all"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://host:5432/db",
        "postgresql://h1:1,h2:2/db",
        "postgresql:///db?host=/run",
        "sqlite:////home/me@work/trainwright.db",
        "sqlite:///results/trainwright.db",
    ],
)
def test_an_address_without_a_password_is_shown_as_it_is(url: str) -> None:
    """Ports, several hosts, sockets and files are no secrets."""
    assert without_password(url) == url


def test_no_error_shows_a_password() -> None:
    """Whoever raises it, and whatever the cause quotes."""
    url = "postgresql://me:secret@host/db"
    errors = [
        DatabaseUnavailable(url=url, cause=f"could not connect to {url}"),
        WriteRefused(url=url, cause=f"{url}?password=secret"),
        DatabaseUnsafe(url=url, sentence="no", fix="Do"),
        SchemaBehind(url=url, found=None, wanted="r1"),
    ]
    for error in errors:
        assert "secret" not in f"{error}{vars(error)}"
        assert "postgresql://me@host/db" in str(error)
