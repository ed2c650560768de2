"""A daemon, its people and its page on Postgres by TLS, each in a role of its own, the password nowhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner, Result
from daemon_samples import all_events, document, job, settings_in, write_data
from fastapi.testclient import TestClient
from tls_servers import Authority, TlsServer, tls_server

from daemon.cli.main import cli
from daemon.handing_over import drop_document
from daemon.web.app import create_app
from store import DatabaseUnavailable, open_reader, open_store
from store.residence import take_residence
from store.schema import upgrade


@pytest.fixture(scope="module")
def server() -> Iterator[TlsServer]:
    """A server with an empty log and the three roles, made as the page for several hosts says."""
    with tls_server() as running:
        upgrade(running.address())
        script = CliRunner().invoke(cli, ["db", "roles"]).output
        psql = shutil.which("psql") or str(running.tools / "psql")
        subprocess.run([psql, "-X", "-q", running.address()], input=script, encoding="utf-8", check=True)
        for role in ("tw_owner", "tw_writer", "tw_reader"):
            running.let_in(role)
        yield running


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder to work in, without settings of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("TRAINWRIGHT_", "PG"))]:
        monkeypatch.delenv(name)
    return tmp_path


def words_of_processes(root: psutil.Process) -> str:
    """Arguments and environment of a process and all that it started."""
    found = []
    with suppress(psutil.Error):
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.Error):
                found += [*process.cmdline(), *process.environ().values()]
    return "\0".join(found)


@pytest.mark.slow
def test_a_daemon_works_as_the_writer_and_its_password_is_nowhere(server: TlsServer, folder: Path) -> None:
    """Fits are trained over TLS; no argument, environment, file, event or line of output has the password."""
    write_data(folder / "data", rows=300)
    address, secret = server.of_role("tw_writer", folder), server.passwords["tw_writer"]
    settings = settings_in(folder, database_url=address)
    drop_document(document(job(), training={"params": {"LightGBM": {"rounds": 5}}}), settings.inbox_dir)
    (folder / "trainwright.toml").write_text(
        f'[daemon]\ndatabase_url = "{address}"\ncpu_slots = 1\nlease_seconds = 5\n', encoding="utf-8"
    )
    words = [sys.executable, "-m", "daemon.cli.main", "daemon", "--drain", "--data-dir", "data"]
    said: set[str] = set()
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    ) as daemon:
        process = psutil.Process(daemon.pid)
        while daemon.poll() is None:
            said.add(words_of_processes(process))
            with suppress(subprocess.TimeoutExpired):
                daemon.wait(0.2)
        assert daemon.stdout is not None
        output = daemon.stdout.read()
    assert daemon.returncode == 0, output
    with open_store(address) as store:
        assert [fit.state for fit in store.reading.fits()] == ["succeeded"]
        assert secret not in "".join(str(event.data) for event in all_events(store))
    assert len(said) > 1
    assert not any(secret in one for one in said)
    assert secret not in output
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("pass-")]
    assert not [path for path in files if secret.encode() in path.read_bytes()]


def test_the_writer_has_a_place_and_its_duties(server: TlsServer, folder: Path) -> None:
    """Locks of a session need no right; where it is noted how far a duty came, and beats, are its own."""
    address = server.of_role("tw_writer", folder)
    place = take_residence(address, "alpha", holder="me")
    assert place.has("telling")
    with open_store(address) as store:
        store.bookmark("telling", seq=1, data={})
        store.beat("alpha", "alpha/b/1/2/3")
    place.close()


@pytest.fixture
def filled(server: TlsServer, folder: Path) -> TlsServer:
    """The server, with something to read in its log."""
    with open_store(server.of_role("tw_writer", folder)) as store:
        store.pause(stage="gpu", reason="for the readers")
    return server


def asked(address: str, *words: str) -> Result:
    """A call of the command line on a log."""
    return CliRunner().invoke(cli, words, env={"TRAINWRIGHT_DATABASE_URL": address}, catch_exceptions=True)


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("jobs",),
        ("events",),
        ("hosts", "ls"),
        ("db", "info"),
        ("db", "verify"),
        ("models", "ls"),
    ],
    ids=" ".join,
)
def test_the_reader_is_enough_for_who_only_looks(
    filled: TlsServer, folder: Path, words: tuple[str, ...]
) -> None:
    """Every reading command works under the role that may change nothing."""
    done = asked(filled.of_role("tw_reader", folder), *words)
    assert done.exit_code == 0, done.output + str(done.exception)


def test_the_page_works_under_the_reader_and_changes_nothing(filled: TlsServer, folder: Path) -> None:
    """It is shown; what somebody presses is refused with the role's name, and nothing is recorded."""
    settings = settings_in(folder, database_url=filled.of_role("tw_reader", folder))
    with (
        open_reader(settings.database_url) as reader,
        TestClient(create_app(settings), base_url="http://localhost", raise_server_exceptions=False) as page,
    ):
        before = reader.head_seq()
        assert page.get("/").status_code == 200
        assert page.get("/api/v1/status").status_code == 200
        answer = page.post("/api/v1/pauses", json={"stage": "cpu"})
        assert answer.status_code == 503
        assert "permission denied for table event" in answer.json()["detail"]
        assert reader.head_seq() == before


def test_a_change_under_the_reader_says_which_role_may(filled: TlsServer, folder: Path) -> None:
    """The sentence is Postgres's own, with what to do; the password is not in it."""
    address = filled.of_role("tw_reader", folder)
    with open_reader(address) as reader:
        before = reader.head_seq()
        done = asked(address, "pause", "--stage", "cpu")
        assert isinstance(done.exception, Exception)
        assert "permission denied for table" in str(done.exception)
        assert "trainwright db roles says which there are" in str(done.exception)
        assert reader.head_seq() == before


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"sslrootcert": "stranger"}, "certificate verify failed"),
        ({"host": "127.0.0.1"}, "does not match host name"),
        ({"sslmode": "disable"}, "no encryption"),
        ({"passfile": "/dev/null"}, "no password supplied"),
    ],
    ids=["another authority", "another name", "no TLS", "no password"],
)
def test_who_is_not_let_in_is_told_why(
    server: TlsServer, folder: Path, change: dict[str, str], cause: str
) -> None:
    """A stranger's certificate, another name than the certificate's, an open line, no password."""
    Authority("a stranger").write(folder / "stranger")
    given = {name: str(folder / value) if value == "stranger" else value for name, value in change.items()}
    address = server.of_role("tw_writer", folder, **given)
    with pytest.raises(DatabaseUnavailable, match=cause) as refused:
        open_store(address)
    assert server.passwords["tw_writer"] not in str(refused.value)


def test_only_the_owner_brings_the_tables_up(server: TlsServer, folder: Path) -> None:
    """A daemon of a newer version says who must run the upgrade; the owner runs it."""
    assert asked(server.of_role("tw_owner", folder), "db", "upgrade").exit_code == 0
    assert asked(server.of_role("tw_writer", folder), "db", "upgrade").exit_code == 0  # nothing is to be done
