"""What waking an idle host costs: NOTIFY with every write, NOTIFY for ready fits only, or a poll of the head.

NOTIFY: writers insert one small row per commit, in one statement and one round trip with or without
``pg_notify``, while two idle hosts listen; "ready fits only" sends it with one write in ten. The latency is
from before a notice's commit to the listener's wake-up. Poll: one look at the head of the log, all that an
idle host does: ``PRAGMA data_version`` and ``MAX(seq)`` on SQLite, ``MAX(seq)`` on Postgres.
"""

from __future__ import annotations

import sqlite3
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psycopg

from benchmarks.store.ballast import add_finished
from benchmarks.store.cluster import Cluster
from benchmarks.store.crew import Act, Crew
from benchmarks.store.figures import Figure, Side, compare, quantile, ratio_figure, say, timed
from benchmarks.store.options import Options
from store.database import sqlite_path

LISTENERS = 2
WRITES = 1500
ROUNDS = 5
POLLS = 2000
NOTES = 100
_WRITE = "WITH new AS (INSERT INTO note (data) VALUES ('written') RETURNING 1) SELECT {what} FROM new"


def waking_figures(options: Options, cluster: Cluster) -> Iterator[Figure]:
    """Yield what waking by NOTIFY takes from the writers, its latency, and what a look at the head costs."""
    say("waking: NOTIFY or a poll of the head")
    url = cluster.empty()
    with psycopg.connect(url) as server:
        server.execute("CREATE TABLE note (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, data text)")
    with ExitStack() as stack:
        for _ in range(LISTENERS):
            listener = stack.enter_context(psycopg.connect(url, autocommit=True))
            listener.execute("LISTEN note")
        for writers in (1, 4):
            sides: dict[str, Side] = {
                name: stack.enter_context(Crew(prepare, url, workers=writers, server_pid=cluster.pid)).drain
                for name, prepare in (
                    ("no notice", write_quietly),
                    ("NOTIFY in every write", write_loudly),
                    ("NOTIFY for ready fits only", write_at_times),
                )
            }
            found = compare(sides, rounds=ROUNDS)
            for name in list(sides)[1:]:
                what = f"waking, {name}, Postgres, {writers} writer{'s' if writers > 1 else ''}"
                yield ratio_figure(what, found, floor="no notice", ours=name, bar=None)
    taken = _latencies(url)
    latency = f"p50 {statistics.median(taken):.1f} ms, p99 {quantile(taken, 0.99):.1f} ms"
    yield Figure(what="  latency of NOTIFY, Postgres", ours=latency)
    yield from _polls(options, cluster)


def write_quietly(url: str) -> Act:
    """Return the act of writing without a word."""
    return _writing(url, lambda _number: "1")


def write_loudly(url: str) -> Act:
    """Return the act of writing with a notice each."""
    return _writing(url, lambda _number: "pg_notify('note', '')")


def write_at_times(url: str) -> Act:
    """Return the act of writing with a notice now and then."""
    return _writing(url, lambda number: "1" if number % 10 else "pg_notify('note', '')")


def _writing(url: str, what: Callable[[int], str]) -> Act:
    server = psycopg.connect(url, autocommit=True)

    def act() -> int:
        for number in range(WRITES):
            server.execute(_WRITE.format(what=what(number)).encode())
        return WRITES

    return act


def _latencies(url: str) -> list[float]:
    """Return the milliseconds from before a notice's commit to the listener's wake-up."""
    woken: list[float] = []
    listening = threading.Event()

    def listen() -> None:
        with psycopg.connect(url, autocommit=True) as server:
            server.execute("LISTEN note")
            listening.set()
            notices = server.notifies(timeout=30, stop_after=NOTES)
            woken.extend(time.perf_counter() for _ in notices)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    listening.wait(30)
    taken = []
    with psycopg.connect(url, autocommit=True) as server:
        for number in range(NOTES):
            begun = time.perf_counter()
            server.execute("NOTIFY note")
            deadline = begun + 5
            while len(woken) <= number and time.perf_counter() < deadline:
                time.sleep(0.0005)
            if len(woken) > number:
                taken.append((woken[number] - begun) * 1000)
    listener.join(1)
    return taken


def _polls(options: Options, cluster: Cluster) -> Iterator[Figure]:
    """Yield what one look at the head costs in a log that is not empty."""
    path, url = options.sqlite_store(), cluster.store()
    for store in (path, url):
        add_finished(store, fits=10_000)
    file, server = sqlite3.connect(sqlite_path(path)), psycopg.connect(url, autocommit=True)
    for name, look, pid in (
        ("PRAGMA data_version, SQLite", lambda: file.execute("PRAGMA data_version").fetchone(), None),
        ("MAX(seq), SQLite", lambda: file.execute("SELECT MAX(seq) FROM event").fetchone(), None),
        ("MAX(seq), Postgres", lambda: server.execute("SELECT MAX(seq) FROM event").fetchone(), cluster.pid),
    ):
        sample = timed(lambda look=look: sum(1 for _ in range(POLLS) if look()), server_pid=pid)  # type: ignore[misc]
        words = f"{1e6 / sample.rate:.0f} us, {sample.cpu * 1e6:.0f} us CPU with the server"
        share = f"{sample.cpu * 50 * 100:.2f} % of a core at 50 looks a second"
        yield Figure(what=f"waking, poll of {name}", ours=words, ratio=share)
    file.close()
    server.close()
