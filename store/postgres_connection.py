"""Connections to Postgres that always come back: a server that is cut off, frozen or gone ends in an error.

Three silences are told apart, for no single setting hears them all:

- the network is cut: the kernel gives up (``tcp_user_timeout``, keepalives), here and on the server, which
  else holds the log's lock of a vanished writer for hours;
- the server process is frozen: its kernel still acknowledges every byte, so only a deadline on this side
  notices. Not ``statement_timeout``: the frozen server keeps it, and a cancelled wait for a synchronous
  standby is reported as a commit;
- this process is frozen in the middle of a transaction: the server ends its session, so that the others
  get their turn, and whatever it says later is refused.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict

from store.database import Row
from store.errors import DatabaseUnsafe
from store.patience import HURRY_SECONDS, PATIENCE

ANSWER_SECONDS = 30.0  # of silence from the server while an answer is due
IDLE_SECONDS = 25  # of silence from us inside a transaction
UNREACHABLE_SECONDS = 7  # of a peer that acknowledges nothing; measured: an error after 7 to 9.5 s

# For libpq, https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS; the address wins.
_OURS = {
    "connect_timeout": "5",
    "keepalives_idle": "3",
    "keepalives_interval": "2",
    "keepalives_count": "2",
    "tcp_user_timeout": str(UNREACHABLE_SECONDS * 1000),
    "application_name": "trainwright",
}
# For the server's end of the session, where its version knows the setting.
_THEIRS = {
    "synchronous_commit": "on",
    "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
    "tcp_keepalives_idle": "3",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "2",
    "tcp_user_timeout": f"{UNREACHABLE_SECONDS}s",
    "client_connection_check_interval": "2s",
}
# For the session by which a host shows that it lives: one that is cut off is given the time a lease has.
_PRESENT = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "11",
    "tcp_user_timeout": "60s",
}
T = TypeVar("T")


class BoundedConnection(psycopg.Connection[Row]):
    """A connection on which no call waits longer than `ANSWER_SECONDS` for a sign of life."""

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:  # noqa: ANN401 - passed on
        """Drive one exchange with the server; raises OperationalError, the connection closed, on silence."""
        return super().wait(self._heard(gen), *args, **kwargs)

    def _heard(self, exchange: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        """Yield what an exchange waits for, and measure for how long nothing comes of it.

        The driver sends a false value whenever its polling interval (0.1 s) passed without a byte.
        """
        heard_at = time.monotonic()
        try:
            wanted = next(exchange)
            while True:
                ready = yield wanted
                now = time.monotonic()
                if ready:
                    heard_at = now
                elif now - heard_at > (limit := PATIENCE.seconds(ANSWER_SECONDS)):
                    PATIENCE.lost()
                    exchange.close()
                    self.close()
                    raise psycopg.OperationalError(
                        f"no answer for {limit:g} s: the server is frozen, or a writer holds the log"
                    )
                wanted = exchange.send(ready)
        except StopIteration as ended:
            answer: T = ended.value
            return answer


def opened(address: str, *, readonly: bool, presence: bool = False) -> BoundedConnection:
    """Return a connection to the first server of the address that takes it; raises psycopg.Error.

    Of several servers a writer wants the primary: a standby takes connections, but no words. A connection
    for `presence` writes nothing; the server keeps it through a cut of the network.
    """
    named = conninfo_to_dict(address)
    several = "," in f"{named.get('host', '')}{named.get('hostaddr', '')}"
    wanted = {"target_session_attrs": "read-write"} if several and not readonly else {}
    settings: dict[str, Any] = {**_OURS, **wanted, **named}
    if PATIENCE.is_over:
        raise psycopg.OperationalError("the server was silent while this process was told to stop")
    if PATIENCE.is_short:
        settings["connect_timeout"] = f"{HURRY_SECONDS:.0f}"
    connection = BoundedConnection.connect("", autocommit=True, **settings)
    theirs = {**_THEIRS, "default_transaction_read_only": "on"} if readonly else dict(_THEIRS)
    theirs |= _PRESENT if presence else {}
    connection.execute(
        "SELECT set_config(name, wanted, false) FROM pg_settings JOIN unnest(%s::text[], %s::text[])"
        " AS ours (named, wanted) ON name = named",
        (list(theirs), list(theirs.values())),
    )
    if not readonly:
        _require_durable(connection, address)
    return connection


def _require_durable(connection: BoundedConnection, address: str) -> None:
    """Raise DatabaseUnsafe unless what the server acknowledges survives a power cut.

    https://www.postgresql.org/docs/current/runtime-config-wal.html: without ``fsync`` or ``full_page_writes``
    a crash can leave a database that cannot be repaired, without ``synchronous_commit`` it forgets commits.
    """
    needed = ("fsync", "full_page_writes", "synchronous_commit")
    asked = ", ".join(f"current_setting('{name}')" for name in needed)
    found = connection.execute(f"SELECT {asked}".encode()).fetchone() or ()
    for name, value in zip(needed, found, strict=True):
        if value in ("off", "local"):
            connection.close()
            raise DatabaseUnsafe(
                url=address,
                sentence=f"{name} is {value} there, so that a power cut can take back what was acknowledged",
                fix=f"Run as a superuser: ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf()",
            )
