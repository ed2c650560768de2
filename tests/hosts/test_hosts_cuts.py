"""Two hosts through cuts of the network and restarts of Postgres: every fit is done, and counts, once."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from daemon_samples import all_events, await_that
from hosts_machines import Machine
from hosts_network import CUTS
from hosts_work import accept_sleepers, audited, await_end, await_hosts, opened
from reporting import FORBIDDEN, LONG, Progress, report

from store import DatabaseUnavailable, PlanStore

if TYPE_CHECKING:
    from conftest import Site

SERVER = "server"
LEASED = ("claimed", "running")
SLOTS, SLEEP, LEASE = 4, 1.0, 3.0
ROUNDS = 60 if LONG else 1
Make = Callable[..., Machine]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200 if LONG else 300)]


@dataclass(slots=True)
class Campaign:
    """Two hosts with more work than they can do, and what is done to them."""

    site: Site
    store: PlanStore
    hosts: dict[str, Machine]
    mutant: str = ""
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    plans: list[str] = field(default_factory=list)
    faults: int = 0

    def begin(self) -> None:
        """Start both daemons."""
        self.feed()
        planted = {"sleep": SLEEP, "impatient": 1, "mutant": self.mutant}
        self.daemons = {name: host.start_daemon(**planted) for name, host in self.hosts.items()}
        await_hosts(self.store, *self.hosts)

    def feed(self) -> None:
        """Accept another plan when little is left to be done."""
        if not self.plans or self.store.reading.plan_row(self.plans[-1]).open < 4 * SLOTS:
            self.plans.append(accept_sleepers(self.store, 6 * SLOTS, name=f"plan{len(self.plans)}"))

    def count(self, kind: str, host: str) -> int:
        """How many events of a kind name a worker of a host, in their words or as their actor."""
        events = all_events(self.store, kind)
        return sum(str(event.data.get("worker") or event.actor).startswith(f"{host}/") for event in events)

    def await_more(self, kind: str, host: str, what: str) -> None:
        """Wait for another event of a kind about a host, with enough to do meanwhile."""
        before = self.count(kind, host)

        def more() -> bool:
            self.feed()
            return self.count(kind, host) > before

        await_that(more, f"{what} ({self.hosts[host].log()[-1500:]})")

    def cut(self, name: str, kind: str) -> None:
        """Cut a host off until what it did has been done by the other, and join it again."""
        self.await_more("FitClaimed", name, f"claim of {name}")
        self.faults += 1
        self.site.network.cut(name, kind, peer=SERVER)
        held = self.held_by(name)

        def done() -> bool:
            self.feed()
            return set(self.store.reading.states(held).values()) <= {"succeeded"}

        await_that(done, f"end of what {name} did, which is cut off: {kind}")
        self.site.network.heal(name, peer=SERVER)
        self.await_more("FitSucceeded", name, f"fit done by {name}, which is joined again")

    def held_by(self, name: str) -> list[str]:
        """The fits under a lease of a host."""
        rows = self.store.reading.fits(states=LEASED)
        return [row.id for row in rows if (row.worker or "").startswith(f"{name}/")]

    def blink(self, name: str, kind: str) -> None:
        """Cut a host off until it has noticed."""
        self.faults += 1
        before = self.hosts[name].log().count("does not answer")
        self.site.network.cut(name, kind, peer=SERVER)
        await_that(lambda: self.hosts[name].log().count("does not answer") > before, f"complaint of {name}")
        self.site.network.heal(name, peer=SERVER)
        self.await_more("FitSucceeded", name, f"fit done by {name}, which is joined again")

    def restart(self) -> None:
        """Crash the database and start it again."""
        self.faults += 1
        self.site.server.stop()
        self.site.server.start()
        with suppress(DatabaseUnavailable):  # the test's own connection ended with it
            self.store.head_seq()
        for name in self.hosts:
            self.await_more("FitClaimed", name, f"claim of {name} after the restart")

    def end(self) -> dict[str, Any]:
        """Let all be done, and judge the log."""
        await_end(self.store, *self.plans)
        rows = [self.store.reading.plan_row(plan) for plan in self.plans]
        found = audited(self.site.near).counts()
        refused = sum(host.log().count("lease lost") for host in self.hosts.values())
        done = sum(row.succeeded for row in rows)
        return {
            "faults": self.faults,
            "refused": refused,
            "fits": 6 * SLOTS * len(rows),
            "done": done,
            **found,
        }


@pytest.fixture
def campaign(site: Site, machines: Make, request: pytest.FixtureRequest) -> Any:
    """A campaign that has begun."""
    hosts = {name: machines(name, cpu_slots=SLOTS, lease_seconds=LEASE) for name in ("alpha", "beta")}
    with opened(site.near) as store:
        one = Campaign(site, store, hosts, getattr(request, "param", ""))
        one.begin()
        yield one


def test_two_hosts_do_every_fit_once_through_cuts_and_a_restart(campaign: Campaign) -> None:
    """A host that comes back finds its fits done by the other; its late words are refused, it goes on."""
    chance = random.Random(8)  # noqa: S311 - the same order every time
    progress = Progress("cuts between two hosts", ROUNDS)
    for number in range(ROUNDS):
        kinds = CUTS if LONG else CUTS[1:2]
        for name, kind in zip(("alpha", "beta") * 2, chance.sample(kinds, len(kinds)), strict=False):
            campaign.cut(name, kind)
        campaign.blink(chance.choice(("alpha", "beta")), chance.choice(CUTS))
        campaign.restart()
        progress.at(number)
    found = campaign.end()
    report("network cuts and restarts, two hosts", seconds=progress.seconds, **found)
    assert not found["problems"], found
    assert not any(found[what] for what in FORBIDDEN), found
    assert found["done"] == found["completions"] == found["fits"]
    assert found["refused"] > 0, "no late word was said, so none was refused"
    assert all(daemon.poll() is None for daemon in campaign.daemons.values()), "a daemon ended"


@pytest.mark.parametrize("campaign", ["no fence"], indirect=True)
def test_the_cuts_catch_hosts_without_a_fence(campaign: Campaign) -> None:
    """Where a store asks nobody for the fence, the late words of the host that comes back count as well."""
    campaign.cut("alpha", "cable pulled")
    found = campaign.end()
    caught = found["doubles"] > 0 and found["stale"] > 0
    report("network cuts and restarts, two hosts", mutants=1, mutants_caught=int(caught))
    assert caught, found
