"""How soon an idle host picks up a ready fit, what idling costs, and how soon a killed holder is noticed.

The hosts are real daemons in processes of their own (see `hosting`), on this machine.

Pick-up runs from the return of `PlanStore.accept`, when its commit is durable, to `FitClaimed` in the log, by
the database's clock (milliseconds on SQLite). Between two acceptances the host is idle for a random time, so
that nothing falls into step with its polling.

A kill is ``kill -9`` of the daemon that holds a fit, or of the fit's child, when the fit has run for half a
second to a second. The time runs from the kill to the `FitClaimed` of the next attempt by whichever host
takes it. On another machine means a host with another machine's name (a UTS namespace, unshare(1); root
only): then only the database can tell that the holder died.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg

from benchmarks.store.cluster import Cluster
from benchmarks.store.figures import Figure, quantile, say, verdict
from benchmarks.store.hosting import HostProcess
from benchmarks.store.options import Options
from benchmarks.store.plans import plan_of
from store import PlanStore, open_store
from store.moments import microseconds_of
from store.records import EventRow

PICKUP_MS_MAX = 50.0
RECOVERY_MS_MAX = 500.0
RECOVERY_APART_MS_MAX = 1000.0
PICKUP_SECONDS_MAX = 60.0
CLAIM_SECONDS_MAX = 90.0
POLL_SECONDS = 0.02


def waiting_figures(options: Options, cluster: Cluster) -> Iterator[Figure]:
    """Yield the rows of pick-up, idling and recovery on both engines."""
    for engine in ("SQLite", "Postgres"):
        url = cluster.store() if engine == "Postgres" else options.sqlite_store()
        folder = options.folder / f"host-{engine.lower()}"
        say(f"an idle host on {engine}")
        with HostProcess(url, folder, "refuse") as host, open_store(url) as store:
            host.await_work()
            yield from _pickups(options, store, engine)
            yield _idling(options, host, engine, url)
        for victim in ("daemon", "child"):
            say(f"kill -9 of the {victim} that holds a fit, {engine}")
            url = cluster.store() if engine == "Postgres" else options.sqlite_store()
            yield _recovery(options, url, folder, engine, victim)
    if os.geteuid() == 0:
        say("kill -9 of the daemon on another machine, Postgres")
        yield _recovery(options, cluster.store(), options.folder / "apart", "Postgres", "daemon", apart=True)


def _pickups(options: Options, store: PlanStore, engine: str) -> Iterator[Figure]:
    taken: list[float] = []
    begun = time.monotonic()
    while len(taken) < options.pickups and time.monotonic() - begun < PICKUP_SECONDS_MAX:
        time.sleep(random.uniform(0.03, 0.13))  # noqa: S311 - no secret, only out of step
        plan = plan_of(1)
        store.accept(plan, source="bench", name="bench")
        ready_at = time.time()
        claimed = _next_claim(store, plan.fits[0].id, attempt=1)
        taken.append(max(0.0, microseconds_of(claimed.at) / 1_000_000 - ready_at) * 1000)
    late = quantile(taken, 0.99)
    yield Figure(
        what=f"pick-up of a ready fit by an idle host, {engine}",
        floor=f"{len(taken)} acceptances",
        ours=f"p50 {statistics.median(taken):.1f} ms, p99 {late:.1f} ms",
        ratio=f"max {max(taken):.1f} ms",
        bar=f"p99 < {PICKUP_MS_MAX:g} ms",
        reached=verdict(late < PICKUP_MS_MAX),
    )


def _idling(options: Options, host: HostProcess, engine: str, url: str) -> Figure:
    """Return what an idle host costs: CPU, times it wakes, and transactions of its database."""
    time.sleep(2.0)  # so that what came before has been counted
    transactions_from = _transactions(url)
    cpu_from, wakes_from, begun = host.cpu_seconds(), host.wakes(), time.monotonic()
    time.sleep(options.idle_seconds)
    seconds = time.monotonic() - begun
    cpu = (host.cpu_seconds() - cpu_from) / seconds * 1000
    wakes = (host.wakes() - wakes_from) / seconds
    time.sleep(1.5 if transactions_from is not None else 0.0)
    words = [f"{cpu:.1f} ms CPU a second", f"{wakes:.0f} wake-ups a second"]
    if transactions_from is not None:
        words.append(
            f"{((_transactions(url) or 0) - transactions_from) / (seconds + 1.5):.0f} transactions/s"
        )
    return Figure(what=f"  what an idle host costs, {engine}", ours=", ".join(words))


def _transactions(url: str) -> int | None:
    """Return how many transactions a server has ended in a database, None for a file."""
    if not url.startswith("postgresql"):
        return None
    with psycopg.connect(url) as server:
        sql = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
        found = server.execute(sql).fetchone()
    return int(found[0]) if found else 0


def _recovery(
    options: Options, url: str, folder: Path, engine: str, victim: str, *, apart: bool = False
) -> Figure:
    """Return how long killed holders' fits wait for their next claim; `apart`: on machines of their own."""
    taken: list[float] = []
    with ExitStack() as stack, open_store(url) as store:

        def host(number: int) -> HostProcess:
            own, name = folder / str(number), f"machine{number}" if apart else None
            started = HostProcess(url, own if apart else folder, "rest", machine=name)
            return stack.enter_context(started).await_work()

        hosts = [host(0), host(1)]
        for number in range(2, options.kills + 2):
            plan = plan_of(1)
            store.accept(plan, source="bench", name="bench")
            fit = plan.fits[0].id
            holder = _holder(hosts, store, fit)
            time.sleep(random.uniform(0.5, 1.0))  # noqa: S311 - so long the fit has run
            killed_at = time.time()
            if victim == "daemon":
                os.kill(holder.pid, signal.SIGKILL)
            else:
                os.kill(holder.children[fit], signal.SIGKILL)
            claimed = _next_claim(store, fit, attempt=2)
            taken.append((microseconds_of(claimed.at) / 1_000_000 - killed_at) * 1000)
            store.cancel(fit)
            if victim == "daemon":
                hosts.remove(holder)
                holder.kill()
                hosts.append(host(number))
    late, bar = quantile(taken, 0.99), RECOVERY_APART_MS_MAX if apart else RECOVERY_MS_MAX
    where = " on another machine" if apart else ""
    return Figure(
        what=f"kill -9 of the {victim}{where}: its fit is claimed again, {engine}",
        floor=f"{len(taken)} kills",
        ours=f"p50 {statistics.median(taken):.0f} ms, p99 {late:.0f} ms",
        ratio=f"max {max(taken):.0f} ms",
        bar=f"p99 < {bar:g} ms",
        reached=verdict(late < bar),
    )


def _holder(hosts: list[HostProcess], store: PlanStore, fit: str) -> HostProcess:
    """Return the host that has started the fit's child."""
    _next_claim(store, fit, attempt=1)
    deadline = time.monotonic() + CLAIM_SECONDS_MAX
    while time.monotonic() < deadline:
        for host in hosts:
            host.hear()
            if fit in host.children:
                return host
        time.sleep(POLL_SECONDS)
    raise TimeoutError(f"no host started a child for {fit}")


def _next_claim(store: PlanStore, fit: str, *, attempt: int) -> EventRow:
    """Wait for the claim of an attempt at a fit and return its event; raises TimeoutError."""
    deadline = time.monotonic() + CLAIM_SECONDS_MAX
    while time.monotonic() < deadline:
        claims = store.events(fit=fit, kinds=("FitClaimed",))
        if len(claims) >= attempt:
            return claims[attempt - 1]
        time.sleep(POLL_SECONDS)
    raise TimeoutError(f"no host claimed {fit} within {CLAIM_SECONDS_MAX:g} s")
