"""Two daemons on one log: people are told by one of them, and by the other once that one is killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from daemon_samples import await_that, settings_in
from reporting import LONG, report
from telling_samples import Receiver, reject

from store import PlanStore, open_store

KILLS = 20 if LONG else 2
HOSTS = ("alpha", "beta")
DAEMON = """
import json, sys
from store import postgres_residence
postgres_residence.DUTY_SECONDS = 0.2
{planted}
from daemon.service import serve
from daemon.settings import Settings
raise SystemExit(serve(Settings.from_sources({{}}, {{}}, json.loads(sys.argv[1]))))
"""
EVERYBODY = "postgres_residence.PostgresResidence.has = lambda self, duty: True"


@dataclass(slots=True)
class Daemons:
    """Two daemons on machines of one log that tell the same people; each has its own results."""

    url: str
    folder: Path
    receiver: Receiver
    planted: str
    stack: ExitStack
    running: dict[str, subprocess.Popen[bytes]]

    def start(self, host: str) -> None:
        """Start the daemon of a host and let it be ended with the test."""
        settings = settings_in(self.folder / host, database_url=self.url)
        given = {
            **{name: str(getattr(settings, name)) for name in ("results_dir", "database_url")},
            "host_name": host,
            "webhook_url": self.receiver.url,
            "web_listen": "off",
            "cpu_slots": 1,
        }
        words = [sys.executable, "-P", "-c", DAEMON.format(planted=self.planted), json.dumps(given)]
        environ = {name: text for name, text in os.environ.items() if not name.startswith("TRAINWRIGHT_")}
        with (self.folder / f"{host}.log").open("ab") as log:
            daemon = subprocess.Popen(words, stdout=log, stderr=log, env=environ, cwd=self.folder)
        self.stack.callback(daemon.wait)
        self.stack.callback(daemon.kill)
        self.running[host] = daemon
        await_that(lambda: b"daemon ready" in (self.folder / f"{host}.log").read_bytes(), f"start of {host}")

    def kill(self, host: str) -> None:
        """Kill -9, and let its log begin anew."""
        self.running[host].kill()
        self.running[host].wait()
        (self.folder / f"{host}.log").rename(self.folder / f"{host}.before")


@contextmanager
def daemons(url: str, folder: Path, planted: str = "") -> Iterator[Daemons]:
    """Yield both daemons at work, and what people hear of them."""
    receiver = Receiver()
    with ExitStack() as stack:
        stack.callback(receiver.close)
        found = Daemons(url, folder, receiver, planted, stack, {})
        for host in HOSTS:
            (folder / host).mkdir()
            found.start(host)
        yield found


def told(both: Daemons, store: PlanStore, name: str) -> str:
    """Let a plan be refused and wait until people know; returns the host that told them."""
    reject(store, name)
    arrived = both.receiver.arrived
    await_that(lambda: any(name in one["sentence"].split() for one in arrived), f"word of {name}")
    return next(str(one["host"]) for one in arrived if name in one["sentence"].split())


@pytest.mark.slow
def test_people_are_told_by_one_host_and_by_the_next_when_it_is_killed(
    tmp_path: Path, postgres_url: str
) -> None:
    """Each event once while nobody dies; after a kill -9 by the other host, with nothing lost."""
    began_at = time.monotonic()
    with open_store(postgres_url) as store, daemons(postgres_url, tmp_path) as both:
        for number in range(KILLS):
            teller = told(both, store, f"plan-{number}")
            for more in "abc":
                assert told(both, store, f"plan-{number}{more}") == teller
            reject(store, f"last-{number}")  # it may be told, or not, before the end
            both.kill(teller)
            assert told(both, store, f"next-{number}") != teller
            both.start(teller)
        wanted = {event.event_id for event in store.events(kinds=("PlanRejected",))}
        await_that(lambda: wanted <= {one["id"] for one in both.receiver.arrived}, "all words")
        counts = Counter(one["id"] for one in both.receiver.arrived if one["kind"] == "plan_rejected")
    assert set(counts) == wanted
    repeated = sum(counts.values()) - len(wanted)
    assert repeated <= KILLS  # what was under way
    report(
        "notices of two hosts, the one that tells killed",
        faults=KILLS,
        acknowledged=len(wanted),
        lost=0,
        seconds=time.monotonic() - began_at,
    )


@pytest.mark.slow
def test_two_that_both_have_the_duty_are_found_out(tmp_path: Path, postgres_url: str) -> None:
    """The defect planted: no lock is asked. Then people hear everything twice."""
    with open_store(postgres_url) as store, daemons(postgres_url, tmp_path, EVERYBODY) as both:
        reject(store, "once")
        await_that(lambda: len(both.receiver.arrived) == 2, "word by both")
    assert len({one["id"] for one in both.receiver.arrived}) == 1
