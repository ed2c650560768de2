"""Plans of fits that only sleep, and what the log says of those who did them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import psycopg
from daemon_samples import all_events, await_that, document, job
from store_audit import Audit, audit_rows

from daemon.admission import family_entry
from store import EventRow, PlanStore, complete_plan, open_store

_ROWS = (
    "SELECT seq, encode(event_id, 'hex'), stream, version, kind, fit, plan, CAST(data AS TEXT) "
    "FROM event ORDER BY seq"
)


@contextmanager
def opened(url: str) -> Iterator[PlanStore]:
    """The log, for a test."""
    with open_store(url) as store:
        yield store


def accept_sleepers(store: PlanStore, count: int, *, name: str = "sleepers", **fields: Any) -> str:
    """Accept a plan of so many fits that need no data; returns its id. `fields` are for each job."""
    jobs = [job(target=f"y_{name}_{number}", **fields) for number in range(count)]
    plan = complete_plan(
        document(*jobs), family_of=family_entry, training={"seed": 42}, data={"output": name}
    )
    return store.accept(plan, source="test", name=name).plan_id


def await_hosts(store: PlanStore, *names: str) -> None:
    """Wait until daemons of these hosts have begun, and have not stopped."""

    def working() -> set[str]:
        return {row.host for row in store.reading.hosts() if row.state == "working"}

    await_that(lambda: working() >= set(names), f"daemons of {names}")


def await_end(store: PlanStore, *plans: str) -> None:
    """Wait until plans are final."""
    await_that(lambda: not any(store.reading.plan_row(plan).open for plan in plans), "end of the plans")


def host_of(event: EventRow) -> str:
    """Whose word an event is."""
    return str(event.actor).partition("/")[0]


def done_by(store: PlanStore, plan: str | None = None) -> Counter[str]:
    """How many fits, of a plan, were completed by each host, as the words of their ends tell."""
    ends = all_events(store, "FitSucceeded")
    return Counter(host_of(event) for event in ends if plan in (None, event.plan))


def span(store: PlanStore, plan: str) -> float:
    """The seconds from the first start to the last end of a plan's fits, on the database's clock."""

    def at(kind: str) -> list[datetime]:
        return [event.at for event in all_events(store, kind) if event.plan == plan]

    return (max(at("FitSucceeded")) - min(at("FitStarted"))).total_seconds()


def audited(url: str) -> Audit:
    """Judge the log by itself: claims of what is held, words of those who do not hold it, double ends."""
    with psycopg.connect(url) as connection:
        found = audit_rows(connection.execute(_ROWS.encode()), ())
    with open_store(url) as store:
        found.problems += store.verify().problems
    return found
