"""Claim and complete in a store that has finished a million fits, against an empty one.

The finished fits are ballast made by the databases themselves (see `ballast`): 1,000,000 fits of 100,000 jobs
with 2,100,000 events.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.store.ballast import add_finished
from benchmarks.store.cluster import Cluster
from benchmarks.store.crew import Crew
from benchmarks.store.figures import Figure, Side, compare, ratio_figure, say
from benchmarks.store.options import Options
from benchmarks.store.queues import drain_store, filled, store_filler


def history_figures(options: Options, cluster: Cluster) -> Iterator[Figure]:
    """Yield the rows of both engines."""
    for engine in ("SQLite", "Postgres"):
        pid = cluster.pid if engine == "Postgres" else None
        empty, full = (cluster.store() if engine == "Postgres" else options.sqlite_store() for _ in range(2))
        say(f"filling {engine} with {options.finished_fits:,} finished fits")
        add_finished(full, fits=options.finished_fits)
        with ExitStack() as stack:
            sides: dict[str, Side] = {}
            for name, url in (("empty store", empty), ("full store", full)):
                crew = stack.enter_context(Crew(drain_store, url, workers=1, server_pid=pid))
                sides[name] = filled(crew, store_filler(url, options.fits, tidy=False))
            found = compare(sides, rounds=options.rounds)
        what = f"claim + complete with {options.finished_fits:,} finished fits, {engine}"
        yield ratio_figure(what, found, floor="empty store", ours="full store", bar=0.9)
