"""What a killed process held is taken back at once: no lease has to run out, and no timer to ring."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
from daemon_samples import PATIENCE_SECONDS, FakeChild, FakeClock, accept, all_events, await_that, settings_in

from daemon.host import Host
from daemon.identity import Identity, own_identity, start_ticks
from daemon.neighbours import Neighbours
from store import PlanStore, open_store, postgres_waker

HOLDER = """
import sys
from contextlib import closing
from daemon.identity import own_identity
from store import open_store
store = open_store(sys.argv[1])
worker = sys.argv[2] or own_identity().worker
waker = store.waker(worker)
waker.moved()
(claim,) = store.claim(worker, stage="cpu", lease_seconds=3600)
print("holds", flush=True)
sys.stdin.read()
"""


@contextmanager
def holder(url: str, worker: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds a fit for an hour, under a name of its own or another one."""
    words = [sys.executable, "-c", HOLDER, url, worker]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"holds\n"
        yield process
        process.kill()


@contextmanager
def waiting_host(url: str, folder: Path) -> Iterator[tuple[Host, PlanStore, list[FakeChild]]]:
    """A host that waits without any timer, its leases never to be renewed: only what it hears can wake it."""
    children: list[FakeChild] = []

    def begin(_spec: object, _places: object) -> FakeChild:
        children.append(FakeChild())
        return children[-1]

    with open_store(url) as store:
        host = Host(settings_in(folder, lease_seconds=3600.0), store, clock=FakeClock())
        host.dispatcher._begin = begin
        try:
            yield host, store, children
        finally:
            host.close()


def turned(host: Host, condition: Callable[[], object]) -> Callable[[], object]:
    """One more turn of a host's loop, then the condition."""

    def once() -> object:
        host.turn()
        found = condition()
        if not found:
            host.wait(0.5)
        return found

    return once


def test_the_fit_of_a_killed_daemon_is_taken_back_at_once(database_url: str, tmp_path: Path) -> None:
    """Another host of this machine sees the process end and claims the fit, an hour before the lease ends."""
    with waiting_host(database_url, tmp_path) as (host, store, children):
        accept(store)
        with holder(database_url) as process:
            await_that(turned(host, host.rescuer.descriptors), "watch")
            assert children == []
            os.kill(process.pid, signal.SIGKILL)
            await_that(turned(host, lambda: children), "claim")
        (expired,) = all_events(store, "LeaseExpired")
        assert expired.data["cause"] == "daemon gone"
        assert [event.attempt for event in all_events(store, "FitClaimed")] == [1, 2]


def test_a_far_host_is_taken_for_dead_when_its_connection_ends(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server sees the connection of a killed process die; no process of that host can be asked."""
    monkeypatch.setattr(postgres_waker, "GRACE_SECONDS", -1.0)
    with waiting_host(postgres_url, tmp_path) as (host, store, children):
        accept(store)
        with holder(postgres_url, "far/boot/1/77/1") as process:
            await_that(turned(host, lambda: host._waker._known), "sight of its lock")  # type: ignore[attr-defined]
            assert children == []
            os.kill(process.pid, signal.SIGKILL)
            await_that(turned(host, lambda: children), "claim")
        (expired,) = all_events(store, "LeaseExpired")
        assert expired.data["worker"] == "far/boot/1/77/1"


def test_an_idle_host_is_woken_by_a_plan(database_url: str, tmp_path: Path) -> None:
    """It waits for as long as it may, and a plan of somebody else ends the waiting."""
    with waiting_host(database_url, tmp_path) as (host, _, children):
        await_that(turned(host, lambda: not host.dispatcher.expecting and not host._moved), "rest")

        def hand_in() -> None:
            with open_store(database_url) as other:
                accept(other)

        other = Thread(target=hand_in)
        other.start()
        host.wait(PATIENCE_SECONDS)
        other.join()
        assert host._moved
        await_that(turned(host, lambda: children), "claim")


def test_a_cancelled_fit_is_ended_at_once(database_url: str, tmp_path: Path) -> None:
    """The event of the person who cancelled it ends the child, not the next renewal of its lease."""
    with waiting_host(database_url, tmp_path) as (host, store, children):
        accept(store)
        (child,) = await_that(turned(host, lambda: children), "claim")
        with open_store(database_url) as other:
            (fit,) = other.reading.fits()
            other.cancel(fit.id, actor="ada")
        await_that(turned(host, lambda: child.was_killed), "end of the child")
        assert host.dispatcher.running == []
        assert [fit.state for fit in store.reading.fits()] == ["cancelled"]


def test_only_processes_that_can_be_seen_are_watched() -> None:
    """Not oneself, no other host, boot or namespace, no name of another kind, no process that is gone."""
    here = own_identity()
    neighbours = Neighbours(here)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        there = replace(here, pid=process.pid, started=start_ticks(process.pid) or 0)
        others = (
            *(here, replace(there, host="far", boot_id="b"), replace(there, namespace=1)),
            *(replace(there, started=1), replace(there, pid=2**22 + 1)),
        )
        neighbours.watch(["w", *(one.worker for one in others)])
        assert neighbours.descriptors() == ()
        neighbours.watch([there.worker])
        assert len(neighbours.descriptors()) == 1
        assert neighbours.ended() == frozenset()
        process.kill()
        poll = select.poll()
        poll.register(neighbours.descriptors()[0], select.POLLIN)
        assert poll.poll(PATIENCE_SECONDS * 1000)
        assert neighbours.ended() == {there.worker}
        assert neighbours.descriptors() == ()
    assert Identity.of_worker(there.worker) == there
    neighbours.close()
