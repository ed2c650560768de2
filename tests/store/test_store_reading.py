"""Reading is light, read-only, and finds things by what people call them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from store_samples import SUCCEEDED, cs_job, plan_of

import store
from store import DatabaseUnavailable, NotFound, PlanStore, SchemaBehind, choosing, open_reader
from store.choosing import Wanted
from store.database import connect
from store.postgres_database import PostgresDatabase
from store.ready import ALONE, AT_WORK, BESIDE_OTHERS, NOW, OPEN_PLANS
from store.records import Room

HEAVY = ("sqlalchemy", "sqlmodel", "pydantic", "pandas", "numpy", "alembic", "psycopg", "torch")


def imported_by(code: str) -> set[str]:
    """Return the modules a fresh interpreter has after some code."""
    told = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(' '.join(sys.modules))"],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(told.stdout.split())


def test_reading_sqlite_imports_nothing_heavy(sqlite_url: str) -> None:
    """A status command pays for sqlite3 and json, not for an ORM, a validator or a data frame."""
    asked = "r.fits(); r.events(); r.plans()"
    code = f"import store.reading; r = store.reading.open_reader({sqlite_url!r}); {asked}"
    assert not imported_by(code) & set(HEAVY)


def test_the_face_is_lazy() -> None:
    """`import store` and `from store import open_reader` load neither the ORM nor pydantic."""
    assert not imported_by("import store; from store import open_reader, PlanRejected") & set(HEAVY)


def test_the_face_has_every_name_it_promises() -> None:
    """Each name of __all__ resolves, no other does, and the list is sorted and complete."""
    for name in store.__all__:
        assert getattr(store, name).__name__ == name
    assert list(store.__all__) == sorted(set(store.__all__))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = store.nonsense  # type: ignore[attr-defined]


@pytest.fixture
def filled(sqlite_url: str) -> PlanStore:
    plan_store = PlanStore(connect(sqlite_url))
    for seed in (1, 2):
        plan_store.accept(plan_of(cs_job("y1"), cs_job("y2"), seed=seed), source="s", name=f"n{seed}")
    return plan_store


def test_one_plan_is_found_without_reading_all(filled: PlanStore) -> None:
    """A plan is asked for by its id; one that is not there is none, or its nearest; open ones are counted."""
    first, second = filled.reading.plans()
    assert filled.reading.plan_row(first.id) == filled.reading.find_plan_row(first.id) == first
    assert filled.reading.find_plan_row("p_gone") is None
    with pytest.raises(NotFound, match=f"Did you mean {second.id}"):
        filled.reading.plan_row(second.id[:-1])
    assert filled.reading.open_plans() == 2
    for fit in filled.reading.fits(plan=first.id):
        filled.cancel(fit.id)
    assert filled.reading.open_plans() == sum(plan.open > 0 for plan in filled.reading.plans()) == 1


def test_a_reader_cannot_write(filled: PlanStore, sqlite_url: str) -> None:
    """The database is opened without the right to write."""
    database = connect(sqlite_url, readonly=True)
    with pytest.raises(DatabaseUnavailable, match="readonly"), database.transaction() as tx:
        tx.execute("DELETE FROM fit")


def test_a_reader_sees_what_a_writer_commits_meanwhile(filled: PlanStore, sqlite_url: str) -> None:
    """Each question is a fresh snapshot."""
    with open_reader(sqlite_url) as reader:
        before = reader.head_seq()
        filled.claim("w", stage="cpu")
        assert reader.head_seq() == before + 1
        assert reader.fit_counts()["cpu", "claimed"] == 1


def test_there_is_nothing_to_read_in_a_missing_file(tmp_path: Path) -> None:
    """The error names the command that makes a database; no file is made by looking."""
    with pytest.raises(SchemaBehind, match="trainwright db upgrade"):
        open_reader(f"sqlite:///{tmp_path}/none.db")
    assert list(tmp_path.iterdir()) == []


def test_a_fit_is_found_by_id_and_by_name(filled: PlanStore) -> None:
    """A name means the newest plan's fit; a wrong one is answered with the nearest."""
    newest = filled.reading.plans()[-1].id
    fit = filled.reading.fit("cs_y1/LSTM")
    assert (fit.plan_id, fit.name) == (newest, "cs_y1/LSTM")
    assert filled.reading.fit(fit.id) == fit
    with pytest.raises(NotFound, match="Did you mean cs_y1/LSTM"):
        filled.reading.fit("cs_y1/LSTN")


def test_fits_are_filtered(filled: PlanStore) -> None:
    """By plan, job, target, family, state and number."""
    reading = filled.reading
    first, second = (plan.id for plan in reading.plans())
    filled.succeeded(filled.claim("w", stage="cpu")[0], SUCCEEDED)
    assert len(reading.fits()) == 8
    assert len(reading.fits(plan=first, family="LSTM")) == 2
    assert [fit.state for fit in reading.fits(states=["succeeded"])] == ["succeeded"]
    assert reading.fits(states=[]) == ()
    assert {fit.job_id for fit in reading.fits(target="y2")} == {"cs_y2"}
    assert [fit.plan_id for fit in reading.fits(job="cs_y1", limit=3)] == [first, first, second]
    assert reading.fit_counts(first) == {("cpu", "ready"): 1, ("cpu", "succeeded"): 1, ("gpu", "ready"): 2}


def test_jobs_come_in_plan_order(filled: PlanStore) -> None:
    """A plan's jobs have their record."""
    jobs = filled.reading.jobs(filled.reading.plans()[0].id)
    assert [job.job_id for job in jobs] == ["cs_y1", "cs_y2"]
    assert jobs[0].record["reason"] == "CS training enabled"


def test_ten_thousand_fits_are_listed(sqlite_url: str) -> None:
    """A plan of 10,000 fits is accepted in one transaction, listed whole, and claimed from in order."""
    plan_store = PlanStore(connect(sqlite_url))
    jobs = (cs_job(f"y{number}", priority=number % 3) for number in range(5_000))
    plan_store.accept(plan_of(*jobs), source="s", name="big")
    assert len(plan_store.reading.fits()) == 10_000
    assert plan_store.reading.fit_counts() == {("cpu", "ready"): 5_000, ("gpu", "ready"): 5_000}
    assert [claim.target for claim in plan_store.claim("w", stage="cpu", limit=3)] == ["y2", "y5", "y8"]
    assert plan_store.claim("w", stage="gpu") == ()


def worded(sql: str, marks: Iterable[tuple[str, str]]) -> str:
    """Return a question as a turn asks it."""
    for mark, meant in ((NOW, "0"), *marks):
        sql = sql.replace(mark, meant)
    return sql


def test_a_claim_looks_nothing_up_for_fits_that_others_have_locked(postgres_url: str) -> None:
    """Of fits that others are about to claim no job, plan or lease is read, however many are passed over."""
    plan_store = PlanStore(connect(postgres_url))
    jobs = [cs_job(f"y{number}", families=("LightGBM",)) for number in range(50)]
    plan_store.accept(plan_of(*jobs), source="s", name="n")
    sql, parameters = choosing._first_fits(Wanted(stage="cpu", limit=2), None)
    database = PostgresDatabase(postgres_url)
    with psycopg.connect(postgres_url) as others:
        others.execute("SELECT 1 FROM fit WHERE ordinal < 40 FOR UPDATE")
        with database.aside() as tx:
            asked = f"EXPLAIN (ANALYZE, FORMAT JSON) {worded(sql, BESIDE_OTHERS)}"
            ((((told,),),),) = (tx.query(asked, parameters),)
    looked_up = [node for node in nodes(told["Plan"]) if node.get("Parent Relationship") == "SubPlan"]
    assert told["Plan"]["Actual Rows"] == 2
    assert len(looked_up) == 4, "job, data, training, lease"
    assert {node["Actual Loops"] for node in looked_up} == {2}
    database.close()
    plan_store.close()


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a plan of Postgres and all that is below it."""
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


@pytest.mark.parametrize("stage", ["cpu", "gpu"])
def test_the_questions_of_a_claim_use_partial_indexes(sqlite_url: str, stage: str) -> None:
    """Neither the fits of a plan, nor the queues of all plans, nor the barrier scan the table of fits."""
    wanted = Wanted(stage=stage, limit=2, room=Room(cores=2, gpus=1, whole=Room(cores=4, gpus=1)))
    asked = [
        choosing._first_fits(wanted, None),
        choosing._first_fits(wanted, 7),
        choosing._queues_of(wanted, [3]),
    ]
    for sql, parameters in (*asked, (OPEN_PLANS, ()), (AT_WORK, ())):
        with connect(sqlite_url).snapshot() as tx:
            question = f"EXPLAIN QUERY PLAN {worded(sql, ALONE)}"
            steps = " ".join(str(row[3]) for row in tx.query(question, parameters))
        assert "fit_of_plan" not in steps
        if sql == AT_WORK:
            assert "USING INDEX fit_leased" in steps
            continue
        assert "plan_open" in steps or (sql, parameters) == asked[1]
        assert "fit_ready" in steps or sql == OPEN_PLANS
        assert ("fit_unfinished_cpu" in steps) == (stage == "gpu" or sql == OPEN_PLANS)
        if (
            stage == "gpu" and sql != OPEN_PLANS
        ):  # a barrier by job looks at its own job's fits, not at the plan's
            assert "fit_unfinished_cpu (plan_id=? AND job_id=?)" in steps
        assert "SCAN f" not in steps
        assert "TEMP B-TREE" not in steps
