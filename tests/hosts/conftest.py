"""A network with a Postgres in it, and machines beside it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "faults"), str(TESTS / "hosts")]

import hosts_network  # noqa: E402  the folders must be on the path first
from hosts_machines import Machine, remove  # noqa: E402
from hosts_network import NETWORK, Network  # noqa: E402
from postgres_servers import PostgresServer  # noqa: E402

from store.schema import upgrade  # noqa: E402

SERVER = "server"
_MISSING = hosts_network.missing()
_NUMBERS = count(1)
_TEMPLATE = "template_hosts"


@dataclass(slots=True)
class Site:
    """A Postgres at one port of a network that has further ports for machines."""

    network: Network
    server: PostgresServer
    database: str = "postgres"

    @property
    def far(self) -> str:
        """The log's address for the machines."""
        return f"postgresql://postgres@{self.network.addresses[SERVER]}/{self.database}"

    @property
    def near(self) -> str:
        """The log's address for the test, which no cut concerns."""
        return self.server.address(self.database)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs machines where there can be none, and say why."""
    here = str(Path(__file__).parent)
    for item in items:
        if _MISSING and str(item.path).startswith(here):
            item.add_marker(pytest.mark.skip(reason=_MISSING))


def _told(server: PostgresServer, statement: str) -> None:
    with server.connected() as connection:
        connection.execute(statement.encode())


@pytest.fixture(scope="session")
def _site() -> Iterator[Site]:
    """The network with its server, whose database `template_hosts` has all tables."""
    network = Network((SERVER, "alpha", "beta", "store"))
    network.lay()
    address = network.addresses[SERVER]
    server = PostgresServer(
        settings={"listen_addresses": address}, inside=network.inside(SERVER), trusted=NETWORK
    )
    server.initialize()
    server.start()
    _told(server, f"CREATE DATABASE {_TEMPLATE}")
    upgrade(server.address(_TEMPLATE))
    yield Site(network, server)
    server.remove()
    network.remove()


@pytest.fixture
def site(_site: Site) -> Iterator[Site]:
    """The network with a fresh log; every cable is whole."""
    name = f"log{next(_NUMBERS)}"
    _told(_site.server, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    yield Site(_site.network, _site.server, name)
    _told(_site.server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def machines(site: Site, tmp_path: Path) -> Iterator[Callable[..., Machine]]:
    """Make machines, switched on and configured for the log; all are off when the test is over."""
    made: list[Machine] = []

    def make(name: str, *, host_name: str = "", **settings: object) -> Machine:
        machine = Machine(name, site.network, tmp_path, host_name=host_name)
        made.append(machine)
        machine.switch_on()
        machine.configure(site.far, **settings)
        return machine

    yield make
    remove(made)
    for machine in made:
        site.network.heal(machine.name, peer=SERVER)
