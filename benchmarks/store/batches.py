"""Claim and complete in batches of 100 on Postgres, beside pgqueuer, procrastinate and dbos.

All sides run in the same rounds on the same server, each in a database of its own, with no-op jobs, from the
word "go" until nothing is left. "by hand" is the floor of the one-by-one rows, "by hand x100" the same
statements over 100 rows at once. The peers run as their documentation says a fast worker runs (see
`benchmarks/peers`), and the clock stops for them at the last job's call, for us when its end is durable.

Ours claims up to 100 fits in one transaction and ends them in one transaction; each fit gets both its events,
its fence and its lease as ever. Neither pgqueuer nor procrastinate has a fence: a late word of a worker that
lost its job is taken.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import psycopg

from benchmarks.store.cluster import Cluster
from benchmarks.store.crew import Act, Crew
from benchmarks.store.figures import Comparison, Figure, Side, compare, ratio_figure, say
from benchmarks.store.options import Options
from benchmarks.store.peers import NAMES, PeerCrew, installed
from benchmarks.store.plans import DONE
from benchmarks.store.queues import (
    LEASE_SECONDS,
    drain_by_hand,
    filled,
    floor_filler,
    floor_table,
    store_filler,
)
from store import open_store

BATCH = 100
SHARES = {"pgqueuer": 1.0, "procrastinate": 0.05, "dbos": 0.1}  # of our jobs: the slow ones get fewer
BARS = {"pgqueuer": 1.0, "procrastinate": 10.0, "dbos": 10.0}
_CLAIM = (
    "UPDATE fit SET state = 'running', worker = %s, fence = fence + 1, lease_until = %s WHERE id IN ("
    f"SELECT id FROM fit WHERE state = 'ready' ORDER BY priority DESC, id LIMIT {BATCH} "
    "FOR UPDATE SKIP LOCKED) RETURNING id, fence"
)
_END = (
    "UPDATE fit SET state = 'succeeded' FROM unnest(%s::bigint[], %s::int[]) AS said (id, fence) "
    "WHERE fit.id = said.id AND fit.fence = said.fence AND fit.state = 'running'"
)


def batch_figures(options: Options, cluster: Cluster) -> Iterator[Figure]:
    """Yield the rows of batched claims: one worker and four."""
    for workers in (1, 4):
        say(f"claim and complete in batches of {BATCH} on Postgres, workers: {workers}")
        yield from _figures(options, cluster, workers)


def _figures(options: Options, cluster: Cluster, workers: int) -> Iterator[Figure]:
    with ExitStack() as stack:
        sides: dict[str, Side] = {}
        for name, prepare, fits in (
            ("by hand", drain_by_hand, options.fits),
            (f"by hand x{BATCH}", drain_by_hundreds, options.batched_fits),
        ):
            url = floor_table(options, cluster, "Postgres")
            crew = stack.enter_context(Crew(prepare, url, workers=workers, server_pid=cluster.pid))
            sides[name] = filled(crew, floor_filler(url, fits))
        url = cluster.store()
        crew = stack.enter_context(
            Crew(drain_store_by_hundreds, url, workers=workers, server_pid=cluster.pid)
        )
        sides["store"] = filled(crew, store_filler(url, options.batched_fits))
        for peer in NAMES if installed() else ():
            jobs = max(60, round(options.batched_fits * SHARES[peer]))
            peers = PeerCrew(peer, cluster.empty(), workers=workers, server_pid=cluster.pid)
            sides[peer] = filled(stack.enter_context(peers), partial(peers.fill, jobs))
        found = compare(sides, rounds=options.rounds)
    yield from _rows(found, workers)


def _rows(found: Comparison, workers: int) -> Iterator[Figure]:
    what = f"claim + complete, batches of {BATCH}, Postgres, {workers} worker{'s' if workers > 1 else ''}"
    for peer in NAMES:
        if peer in found.samples:
            yield ratio_figure(
                f"{what}, beside {peer}",
                found,
                floor=peer,
                ours="store",
                bar=BARS[peer],
                above=peer == "pgqueuer",
            )
        else:
            yield Figure(what=f"{what}, beside {peer}", floor="not installed: make bench-peers", reached="-")
    for side in ("store", "pgqueuer", f"by hand x{BATCH}"):
        if side in found.samples:
            yield ratio_figure(
                f"  {side} to the one-by-one floor", found, floor="by hand", ours=side, bar=None
            )


def drain_store_by_hundreds(url: str) -> Act:
    """Return the act of claiming and completing by the store, a hundred at a time, until nothing is left."""
    store = open_store(url)

    def act() -> int:
        done = 0
        while claims := store.claim("bench", stage="cpu", limit=BATCH, lease_seconds=LEASE_SECONDS):
            store.succeeded_many([(claim, DONE) for claim in claims])
            done += len(claims)
        return done

    return act


def drain_by_hundreds(url: str) -> Act:
    """Return the act of the status table, a hundred rows a statement."""
    server = psycopg.connect(url, autocommit=True)

    def act() -> int:
        done = 0
        until = int((time.time() + LEASE_SECONDS) * 1_000_000)
        while found := server.execute(_CLAIM, ("bench", until)).fetchall():
            server.execute(_END, ([row[0] for row in found], [row[1] for row in found]))
            done += len(found)
        return done

    return act
