"""A Postgres inside a booted machine that asks for a password over TCP; the tests have its wheel anyway."""

from __future__ import annotations

from pathlib import Path

from booted_machine import Machine
from postgres_servers import tools_of_the_wheel

PORT = 5433
_PLACE = Path("/var/lib/database")
_USER = "database"
_SECRET = "/run/database-password"


def start_postgres(machine: Machine, password: str) -> str:
    """Make a cluster and start it as a service; returns its address, which holds the password."""
    tools = _inside(tools_of_the_wheel())
    machine.run("useradd", "--system", "--home-dir", _PLACE, "--create-home", _USER)
    machine.write(_SECRET, password, mode=0o444)
    cluster = ("-D", _PLACE / "data", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync")
    machine.run(tools / "initdb", *cluster, "-A", "scram-sha-256", f"--pwfile={_SECRET}", user=_USER)
    settings = (
        "-c",
        f"port={PORT}",
        "-c",
        f"unix_socket_directories={_PLACE}",
        "-c",
        "listen_addresses=127.0.0.1",
    )
    service = ("systemd-run", "--quiet", "--unit=database", f"--uid={_USER}")
    machine.run(*service, tools / "postgres", "-D", _PLACE / "data", *settings)
    ready = (tools / "pg_isready", "-h", "127.0.0.1", "-p", str(PORT))
    machine.await_that(lambda: machine.call(*ready).returncode == 0, "database")
    return f"postgresql://postgres:{password}@127.0.0.1:{PORT}/postgres"


def _inside(path: Path) -> Path:
    """Where a path among the libraries of this environment lies in the machine."""
    parts = path.parts
    return Path("/opt/libraries", *parts[parts.index("site-packages") + 1 :])
