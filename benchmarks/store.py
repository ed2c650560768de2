"""``make bench-store``: the event log and the claims against hand-written SQLite with the same durability."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path

from benchmarks.rounds import measure, print_ratios
from store import FamilyEntry, PlanStore, complete_plan, open_store
from store.events import FitSucceeded, TargetRanked

APPENDS, FITS = 300, 300
RANKED = TargetRanked(
    target="fwd_ret_5d",
    view="CROSS_SECTIONAL",
    symbol=None,
    score=0.01,
    standard_error=0.02,
    p=0.3,
    q=0.5,
    kept=False,
    reason="dropped: rank_ic 0.01 (95 % -0.03 to 0.05), z 0.5, q 0.5 above 0.05",
)
DONE = FitSucceeded(
    bundle="models/x", sha256="0" * 64, metrics={"score": 0.1, "metric": "rank_ic"}, seconds=1.0
)


def raw_connection(path: Path) -> sqlite3.Connection:
    """A connection with the durability of the store."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def raw_append(folder: Path) -> Callable[[], None]:
    """Insert one row of an events table per commit, blindly."""
    connection = raw_connection(folder / "raw.db")
    connection.execute(
        "CREATE TABLE event (seq INTEGER PRIMARY KEY, event_id BLOB UNIQUE, stream TEXT, version INTEGER, "
        "kind TEXT, recorded_at INTEGER, actor TEXT, data TEXT, UNIQUE (stream, version))"
    )
    data = json.dumps({name: getattr(RANKED, name) for name in RANKED.__slots__})
    version = 0

    def act() -> None:
        nonlocal version
        for _ in range(APPENDS):
            version += 1
            connection.execute("BEGIN IMMEDIATE")
            row = (uuid.uuid4().bytes, "s", version, "TargetRanked", 0, "bench", data)
            connection.execute(
                "INSERT INTO event (event_id, stream, version, kind, recorded_at, actor, data) "
                "VALUES (?,?,?,?,?,?,?)",
                row,
            )
            connection.execute("COMMIT")

    return act


def raw_queue(folder: Path) -> Callable[[], None]:
    """Claim and complete rows of a status table one at a time: the floor of any queue, without a log."""
    connection = raw_connection(folder / "queue.db")
    connection.execute("CREATE TABLE fit (id INTEGER PRIMARY KEY, state TEXT, worker TEXT, until INTEGER)")
    connection.execute("CREATE INDEX ready ON fit (id) WHERE state = 'ready'")

    def act() -> None:
        connection.execute("DELETE FROM fit")
        connection.executemany("INSERT INTO fit (state) VALUES (?)", [("ready",)] * FITS)
        for _ in range(FITS):
            connection.execute("BEGIN IMMEDIATE")
            found = connection.execute(
                "SELECT id FROM fit WHERE state = 'ready' ORDER BY id LIMIT 1"
            ).fetchone()
            connection.execute(
                "UPDATE fit SET state = 'running', worker = 'w', until = 1 WHERE id = ?", found
            )
            connection.execute("COMMIT")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE fit SET state = 'succeeded' WHERE id = ? AND worker = 'w'", found)
            connection.execute("COMMIT")

    return act


def store_queue(store: PlanStore) -> Callable[[], None]:
    """Accept a plan and claim and complete its fits one at a time, events and projections included."""
    turn = 0

    def act() -> None:
        nonlocal turn
        turn += 1
        accept(store, turn)
        while claims := store.claim("bench", stage="cpu"):
            store.succeeded(claims[0], DONE)

    return act


def accept(store: PlanStore, turn: int) -> None:
    """Accept a plan of so many jobs with one family each."""
    jobs = [
        {
            "job_id": f"cs_y_{turn}_{number}",
            "target": f"y_{turn}_{number}",
            "symbol": None,
            "route": "ROUTE_CROSS_SECTIONAL",
            "training_type": "cross_sectional",
            "model_families": ["LightGBM"],
            "priority": 2,
            "reason": "bench",
            "metadata": {},
        }
        for number in range(FITS)
    ]
    metadata = {"generated_at": None, "total_jobs": len(jobs), "model_families": ["LightGBM"]}
    plan = complete_plan(
        {"metadata": metadata, "jobs": jobs},
        family_of=lambda name: FamilyEntry(name=name, stage="cpu"),
        training={},
        data={},
    )
    store.accept(plan, source="bench", name="bench")


def main() -> None:
    """Print the ratios."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with open_store(f"sqlite:///{folder / 'log.db'}") as store:

            def append() -> None:
                for _ in range(APPENDS):
                    store.record("n_bench", [RANKED])

            appends = {"raw sqlite3: blind insert, one per commit": raw_append(folder)}
            appends["store: check, chain, append, project"] = append
            print_ratios(f"{APPENDS} events, one per commit, synchronous=FULL", measure(appends))
            queues = {"raw sqlite3: a status table, no log": raw_queue(folder)}
            queues["store: accept, claim, complete, with events"] = store_queue(store)
            print_ratios(f"{FITS} no-op fits, one at a time", measure(queues, rounds=3))


if __name__ == "__main__":
    main()
