"""A log that a released version wrote folds, for ever, to the states that version recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from store_samples import projected_rows

from daemon.report import report_html
from daemon.views.explaining import why, why_lines
from daemon.views.families import catalogue
from daemon.views.overview import look, overview_document
from daemon.views.trained import model_summary
from store import PlanStore
from store.database import connect
from store.events import EVENT_TYPES
from store.layout import COLUMNS

HERE = Path(__file__).parent
VERSIONS = sorted(place.name for place in HERE.glob("v*") if place.is_dir())
BLOBS = ("event_id", "causation_id", "hash")


def rows_of(version: str) -> list[tuple[object, ...]]:
    """The rows of a golden log, as the table has them."""
    rows = []
    for line in (HERE / version / "log.ndjson").read_text().splitlines():
        row = json.loads(line)
        for name in BLOBS:
            row[name] = None if row[name] is None else bytes.fromhex(row[name])
        rows.append(tuple(row[name] for name in COLUMNS))
    return rows


def restored(url: str, version: str) -> PlanStore:
    """A store over a fresh database that holds a golden log and has folded it."""
    database = connect(url)
    marks = ", ".join("?" * len(COLUMNS))
    with database.transaction() as tx:
        tx.execute_many(f"INSERT INTO event ({', '.join(COLUMNS)}) VALUES ({marks})", rows_of(version))
    store = PlanStore(database)
    store.rebuild()
    return store


@pytest.mark.parametrize("version", VERSIONS)
def test_a_golden_log_folds_to_its_recorded_states(database_url: str, version: str) -> None:
    """Every row of every projection is the one that the version itself had, on both engines.

    Columns that came later stand behind those of the version, and tables that came later are empty.
    """
    store = restored(database_url, version)
    recorded = json.loads((HERE / version / "states.json").read_text())
    now = projected_rows(connect(database_url))
    for name, rows in now.items():
        known = recorded.get(name, [])
        width = len(known[0]) if known else 0
        assert [list(row[:width]) for row in rows] == known
    assert store.verify().problems == ()


def test_the_golden_logs_have_every_kind_of_event() -> None:
    """No kind of event is missing from what later versions must be able to read."""
    kinds = {row[4] for version in VERSIONS for row in rows_of(version)}
    assert kinds == {event.kind for event in EVENT_TYPES}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_golden_plan_comes_back_whole(sqlite_url: str, version: str) -> None:
    """The plans of a golden log can be had back with their jobs and fits."""
    reading = restored(sqlite_url, version).reading
    for row in reading.plans():
        plan = reading.plan(row.id)
        assert len(plan.jobs) == row.jobs
        assert len(plan.fits) == row.fits
        assert plan.document["metadata"]["total_jobs"] == row.jobs


@pytest.mark.parametrize("version", VERSIONS)
def test_what_people_see_can_be_made_from_a_golden_log(sqlite_url: str, version: str) -> None:
    """The report on each of its plans, how all stands, why each fit is as it is, and what its models are."""
    reading = restored(sqlite_url, version).reading
    overview_document(look(reading))
    catalogue(reading.fits(states=("succeeded",)))
    for plan in reading.plans():
        assert plan.id in report_html(reading, plan.id)
    for fit in reading.fits():
        assert list(why_lines(why(reading, fit.name)))
        assert model_summary(fit)["name"] == fit.name
