"""The service with its event log in a Postgres over the network: the address is a secret, others are barred.

In the layout of control groups where systemd can watch addresses (version 2).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import reporting
from booted_host import EVERY_LIBRARY, UNIT, TrainingHost
from booted_machine import booted, layouts
from booted_postgres import start_postgres

PASSWORD = "pa55-" + "f00d" * 5
FAMILIES = EVERY_LIBRARY if reporting.LONG else ("XGBoost", "LSTM")
CREDENTIAL = "/etc/credstore/trainwright.database-url"


@pytest.fixture(scope="module")
def networked(image: Path) -> Iterator[TrainingHost]:
    """A host whose event log is in a Postgres of the same machine, over TCP."""
    if "unified" not in layouts():
        pytest.skip("this kernel has no control groups of version 2")
    with booted(layout="unified") as machine:
        host = TrainingHost(machine)
        host.install()
        address = start_postgres(machine, PASSWORD)
        machine.write(CREDENTIAL, f"{address}\n", mode=0o600)
        for variant in ("network", "postgres"):
            host.take_variant(variant)
        host.environment["TRAINWRIGHT_DATABASE_URL"] = address
        yield host


@pytest.mark.slow
def test_every_library_trains_with_the_log_over_the_network(networked: TrainingHost) -> None:
    """LightGBM, XGBoost, scikit-learn and torch train, and the log is in Postgres (in short: two of them)."""
    networked.start()
    networked.await_completed(networked.take("networked", FAMILIES))
    assert len(networked.events("FitSucceeded")) == len(FAMILIES)
    assert not networked.events("FitFailed")
    assert not networked.machine.path("/var/lib/trainwright/results/trainwright.db").exists()


def test_the_secret_is_nowhere_to_be_seen(networked: TrainingHost) -> None:
    """The database's password is in no environment, no argument list, no unit, no journal and no event."""
    machine = networked.machine
    networked.start()
    own = [f"/proc/{pid}/{name}" for pid in networked.processes() for name in ("environ", "cmdline")]
    assert own
    places = {
        "processes": machine.call("cat", *own).stdout,
        "unit": machine.run("systemctl", "show", UNIT) + machine.run("systemctl", "cat", UNIT),
        "journal": machine.run("journalctl", "--output=export", "--no-pager"),
        "events": networked.command("events", "--json").stdout,
        "files": machine.call("grep", "-r", PASSWORD, "/var/lib/trainwright", "/tmp", "/var/tmp").stdout,
    }
    assert {name for name, text in places.items() if PASSWORD in text} == set()
    assert "trainwright" in places["processes"]
    assert PASSWORD in machine.run("cat", CREDENTIAL)


def test_an_address_that_is_not_listed_cannot_be_reached(networked: TrainingHost) -> None:
    """Where the database is not among the allowed addresses the host waits for it and says so."""
    networked.stop()
    networked.change_unit("zz-addresses", "IPAddressAllow=")
    networked.systemctl("start", "--no-block")
    networked.machine.await_that(
        lambda: "waiting for the event log" in networked.shown("StatusText"), "word of it"
    )
    assert networked.shown("ActiveState") == "activating"
    networked.stop()
    networked.change_unit("zz-addresses", "IPAddressAllow=localhost")
    networked.start()
    assert networked.shown("ActiveState") == "active"
