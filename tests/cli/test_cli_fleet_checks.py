"""``doctor`` on a log that hosts share: who is heard of, whose this host's name is, what all can reach."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cli_samples import living_daemon
from store_samples import Clock

from daemon.cli import fleet_checks
from daemon.cli.findings import Asked, Finding
from daemon.identity import own_identity
from daemon.settings import Settings
from store import PlanStore, open_store

OTHER, MINE = "0" * 16, "f" * 16


@pytest.fixture(autouse=True)
def known_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine is known, also where the tests run in a container without a machine-id; it may be slow."""
    monkeypatch.setattr("store.waiting.SILENT_SECONDS", 86_400.0)
    monkeypatch.setattr(
        fleet_checks, "own_identity", lambda name=None: replace(own_identity(name), machine=MINE)
    )


@pytest.fixture
def shared(postgres_url: str) -> Iterator[PlanStore]:
    """A log that several hosts share."""
    with open_store(postgres_url) as store:
        yield store


def looked(check: str, folder: Path, url: str, **settings: object) -> dict[str, Finding]:
    """What one of the checks finds, by name."""
    given = {"results_dir": folder / "results", "database_url": url, **settings}
    asked = Asked(settings=Settings.from_sources({}, {}, given), config=None)
    return {finding.name: finding for finding in getattr(fleet_checks, check)(asked)}


def start(store: PlanStore, host: str, *, version: str = "1", machine: str = OTHER) -> str:
    """Let a daemon of another machine start."""
    worker = f"{host}/boot/1/2/3/{machine}"
    store.daemon_started(replace(living_daemon(), host=host, worker=worker, version=version, machine=machine))
    store.beat(host, worker)
    return worker


def test_hosts_of_one_version_that_are_heard_of_are_well(
    shared: PlanStore, tmp_path: Path, postgres_url: str
) -> None:
    """How many there are and how they stand is said in any case."""
    start(shared, "a")
    start(shared, "b")
    shared.drain_host("b")
    found = looked("hosts", tmp_path, postgres_url)
    assert found["hosts"] == Finding(name="hosts", state="ok", words="2 hosts, 1 up, 1 drained")
    assert found["host name"].words == own_identity().host
    start(shared, "c", version="2")
    assert "they are of several versions: 1, 2" in looked("hosts", tmp_path, postgres_url)["hosts"].words


def test_a_host_that_is_not_heard_of_is_named(postgres_url: str, tmp_path: Path) -> None:
    """By its last sign of life, which is older than a lease lasts."""
    clock = Clock()
    with open_store(postgres_url, clock=clock) as store:
        start(store, "a")  # long before now, by that clock
    found = looked("hosts", tmp_path, postgres_url)["hosts"]
    assert (found.state, found.words) == ("warn", "1 host, 1 silent: not heard of: a")
    assert "trainwright hosts remove" in found.fix


def test_a_name_that_another_machine_works_under_is_found_out(
    shared: PlanStore, tmp_path: Path, postgres_url: str
) -> None:
    """The second daemon would be refused; a machine that took the place of another only hears of it."""
    start(shared, "trainer")
    name = looked("hosts", tmp_path, postgres_url, host_name="trainer")["host name"]
    assert (name.state, name.words) == ("fail", "trainer: another machine is at work under it")
    assert "host_name" in name.fix
    assert looked("hosts", tmp_path, postgres_url, host_name="mine")["host name"].state == "ok"
    start(shared, "mine", machine=MINE)
    assert looked("hosts", tmp_path, postgres_url, host_name="mine")["host name"].state == "ok"
    clock = Clock()
    with open_store(postgres_url, clock=clock) as store:
        start(store, "old")
    assert looked("hosts", tmp_path, postgres_url, host_name="old")["host name"].state == "warn"


def test_hosts_that_share_a_log_and_no_place_for_artefacts_are_warned(
    tmp_path: Path, postgres_url: str
) -> None:
    """What one of them saves no other finds; on SQLite that is as it must be."""
    found = looked("artefacts", tmp_path, postgres_url)["artefacts"]
    assert (found.state, "other hosts find neither state nor model in" in found.words) == ("warn", True)
    assert looked("artefacts", tmp_path, f"sqlite:///{tmp_path}/x.db") == {}
    sqlite = looked("hosts", tmp_path, f"sqlite:///{tmp_path}/x.db")
    assert [one.words for one in sqlite.values()] == ["SQLite: the event log is this machine's own"]


def test_the_place_of_artefacts_is_asked(tmp_path: Path, postgres_url: str) -> None:
    """A directory that is not there is one that is not mounted; one that is there is well."""
    place = tmp_path / "shared"
    missing = looked("artefacts", tmp_path, postgres_url, artefacts=f"file://{place}")["artefacts"]
    assert (missing.state, "no such directory" in missing.words) == ("fail", True)
    place.mkdir()
    assert looked("artefacts", tmp_path, postgres_url, artefacts=f"file://{place}")["artefacts"].state == "ok"


def test_on_a_shared_file_system_nothing_more_is_needed(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directories are those of all hosts."""
    monkeypatch.setattr(fleet_checks, "file_system", lambda _path: "nfs4")
    assert looked("artefacts", tmp_path, postgres_url)["artefacts"].state == "ok"
