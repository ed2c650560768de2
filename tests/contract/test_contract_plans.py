"""Plans enter the log once, come out whole, and their projections can be dropped and rebuilt."""

from __future__ import annotations

import pytest
from store_samples import STARTED, SUCCEEDED, Clock, checkpoint, cs_job, plan_of, projected_rows

from store import Failure, NotFound, PlanRejected, PlanStore, new_event_id
from store.database import Database, connect
from store.events import (
    DaemonStarted,
    DaemonStopped,
    FitProgressed,
    FitReleased,
    PlanningFinished,
    TargetRanked,
)
from store.rebuilding import is_outdated
from store.revision import HEAD
from store.state import STATE_TYPES


def busy_history(plan_store: PlanStore, clock: Clock) -> None:
    """Let every kind of event happen at least once."""
    worker = DaemonStarted(worker="w", host="h", version="0.1.0", boot_id="b", pid=7)
    plan_store.daemon_started(worker)
    ranked = TargetRanked(
        target="y1", view="CROSS_SECTIONAL", symbol=None, score=0.03, standard_error=0.01, p=0.001, q=0.004,
        kept=True, reason="IC 0.03",
    )  # fmt: skip
    plan_store.record("n_1", [ranked, PlanningFinished(plan=None, jobs=3, path="p")])
    jobs = [cs_job(f"y{number}", families=("LightGBM", "XGBoost", "NGBoost", "LSTM")) for number in range(3)]
    plan_store.accept(plan_of(*jobs), source="inbox", name="big", planning_id="n_1")
    plan_store.reject(PlanRejected(source="s", place="jobs[0]", sentence="bad", fix="mend it"), name="bad")
    first, second, third, fourth, fifth, sixth = plan_store.claim("w", stage="cpu", limit=6, lease_seconds=60)
    plan_store.started(first, STARTED)
    plan_store.progressed(first, FitProgressed(step=5, steps_total=9, train_loss=0.5, valid_loss=0.25))
    plan_store.checkpointed(first, checkpoint(5))
    plan_store.succeeded(first, SUCCEEDED)
    plan_store.failed(second, Failure(cause="library", sentence="no", where="trace", retryable=True))
    plan_store.failed(third, Failure(cause="bad_input", sentence="constant label", where="dataset"))
    plan_store.released(fourth, FitReleased(cause="daemon stops", step=3))
    plan_store.cancel(fifth.fit_id, reason="not wanted")
    plan_store.started(sixth, STARTED)
    clock.move(61)
    assert [rescue.fit_id for rescue in plan_store.rescue()] == [sixth.fit_id]
    plan_store.retry(third.fit_id, reason="mended")
    plan_store.hold(third.fit_id, reason="not yet")
    plan_store.pause(stage="gpu", reason="the device is lent out")
    plan_store.daemon_said(DaemonStopped(worker="w", host="h", cause="SIGTERM"))


def test_the_same_plan_twice_is_one_plan(plan_store: PlanStore, clock: Clock) -> None:
    """The second acceptance says when it was accepted first and adds nothing."""
    plan = plan_of(cs_job("y1"))
    first = plan_store.accept(plan, source="a", name="a")
    clock.move(5)
    again = plan_store.accept(plan, source="b", name="b")
    assert (first.new, again.new) == (True, False)
    assert (again.plan_id, again.at, again.seq) == (first.plan_id, first.at, first.seq)
    assert plan_store.head_seq() == 2


def test_a_plan_comes_out_as_it_went_in(plan_store: PlanStore) -> None:
    """Document, jobs, fits, data and settings of an accepted plan can be had back, equal."""
    job = {
        **cs_job("y1", families=("lightgbm", "NGBoost", "LSTM")),
        "features": ["a", "b"],
        "extra": {"x": [1]},
    }
    plan = plan_of(job, cs_job("y2"))
    plan_store.accept(plan, source="s", name="n")
    assert plan_store.plan(plan.id) == plan


def test_an_unknown_plan_is_not_found_and_the_nearest_is_named(plan_store: PlanStore) -> None:
    """NotFound helps with a mistyped id."""
    plan = plan_of(cs_job("y1"))
    plan_store.accept(plan, source="s", name="n")
    with pytest.raises(NotFound, match=plan.id):
        plan_store.plan(plan.id[:-1] + "z")


def test_a_plan_whose_families_are_all_missing_completes_at_once(plan_store: PlanStore) -> None:
    """Fits that cannot run here are final with their reason, and the plan does not wait for them."""
    plan = plan_of(cs_job("y1", families=("NGBoost",)))
    plan_store.accept(plan, source="s", name="n")
    row = plan_store.reading.plan_row(plan.id)
    assert (row.state, row.unavailable, row.open) == ("completed", 1, 0)
    fit = plan_store.reading.fits()[0]
    assert (fit.state, fit.sentence) == ("unavailable", "library ngboost not installed")


def test_a_refusal_said_again_under_its_event_id_is_recorded_once(plan_store: PlanStore) -> None:
    """A daemon killed before it moved what it refused says it again; without an id each is its own."""
    refusal = PlanRejected(source="s", place="", sentence="bad", fix="mend it")
    event_id = new_event_id()
    seqs = {plan_store.reject(refusal, name="x", event_id=event_id) for _ in range(2)}
    assert len(seqs) == 1
    assert plan_store.reject(refusal, name="x") not in seqs
    assert [event.kind for event in plan_store.events()] == ["PlanRejected"] * 2


def test_a_refused_plan_is_an_event(plan_store: PlanStore) -> None:
    """The refusal is in the log with its sentence, place and fix."""
    refusal = PlanRejected(source="inbox/x", place="jobs[3].target", sentence="a path", fix="Rename it")
    plan_store.reject(refusal, name="x")
    event = plan_store.events()[0]
    assert event.kind == "PlanRejected"
    assert event.data == {
        "name": "x", "source": "inbox/x", "place": "jobs[3].target", "sentence": "a path", "fix": "Rename it",
    }  # fmt: skip


def test_the_last_final_fit_completes_its_plan_in_the_same_transaction(plan_store: PlanStore) -> None:
    """PlanCompleted follows the last outcome directly and carries the counts."""
    plan_store.accept(plan_of(cs_job("y1", families=("LightGBM", "XGBoost"))), source="s", name="n")
    one, two = plan_store.claim("w", stage="cpu", limit=2)
    plan_store.succeeded(one, SUCCEEDED)
    assert plan_store.reading.plans()[0].state == "active"
    seq = plan_store.failed(two, Failure(cause="library", sentence="no")) and plan_store.head_seq()
    last = plan_store.events(after=seq - 1)[0]
    assert (last.kind, last.data["succeeded"], last.data["failed"]) == ("PlanCompleted", 1, 1)
    assert plan_store.reading.plans()[0].state == "completed"


def test_a_retried_fit_reopens_its_plan(plan_store: PlanStore) -> None:
    """After a retry the plan is active again, and completes again."""
    plan_store.accept(plan_of(cs_job("y1", families=("LightGBM",))), source="s", name="n")
    plan_store.failed(plan_store.claim("w", stage="cpu")[0], Failure(cause="library", sentence="no"))
    plan_store.retry(plan_store.reading.fits()[0].id)
    row = plan_store.reading.plans()[0]
    assert (row.state, row.failed, row.completed_at) == ("active", 0, None)
    plan_store.succeeded(plan_store.claim("w", stage="cpu")[0], SUCCEEDED)
    row = plan_store.reading.plans()[0]
    assert (row.state, row.succeeded, row.failed) == ("completed", 1, 0)


def emptied(database: Database) -> None:
    with database.transaction() as tx:
        for kind in STATE_TYPES:
            tx.execute(f"DELETE FROM {kind.TABLE}")


def test_a_rebuild_into_empty_projections_gives_identical_rows(
    plan_store: PlanStore, clock: Clock, database_url: str
) -> None:
    """Every row of every projection table, column by column, is what the log folds to."""
    busy_history(plan_store, clock)
    database = connect(database_url)
    live = projected_rows(database)
    assert all(live.values()), "every table has rows"
    emptied(database)
    assert not any(projected_rows(database).values())
    assert plan_store.rebuild() == plan_store.head_seq()
    assert projected_rows(database) == live
    assert plan_store.verify().ok
    database.close()


def test_both_engines_fold_a_history_to_the_same_rows(sqlite_url: str, postgres_url: str) -> None:
    """The same calls at the same moments give the same projections on SQLite and Postgres."""
    rows = []
    for url in (sqlite_url, postgres_url):
        clock, database = Clock(), connect(url)
        busy_history(PlanStore(database, clock=clock), clock)
        rows.append(projected_rows(database))
        database.close()
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("sql", "complaint"),
    [
        ("UPDATE fit SET state = 'succeeded' WHERE state = 'failed'", "differs from the log in state"),
        ("DELETE FROM job WHERE job_id = 'cs_y1'", "is missing"),
        ("UPDATE plan SET succeeded = succeeded + 1", "differs from the log in succeeded"),
        ("INSERT INTO decision VALUES (999, 'n', 'k', NULL, NULL, NULL, 0)", "row 999 is in no event"),
    ],
)
def test_verify_finds_an_edited_projection_and_rebuild_mends_it(
    plan_store: PlanStore, clock: Clock, database_url: str, sql: str, complaint: str
) -> None:
    """A projection that does not follow from the log is named; a rebuild makes it right."""
    busy_history(plan_store, clock)
    plan_store.cancel(plan_store.claim("w", stage="cpu")[0].fit_id)
    plan_store.failed(plan_store.claim("w", stage="cpu")[0], Failure(cause="library", sentence="no"))
    database = connect(database_url)
    with database.transaction() as tx:
        assert tx.execute(sql) >= 1
    database.close()
    assert any(complaint in problem for problem in plan_store.verify().problems)
    plan_store.rebuild()
    assert plan_store.verify().ok


def test_projections_of_another_version_are_outdated(plan_store: PlanStore, database_url: str) -> None:
    """The version of the fold is kept beside the rows, so that opening knows when to rebuild."""
    database = connect(database_url)
    plan_store.rebuild()
    assert not is_outdated(database)
    with database.transaction() as tx:
        tx.execute("UPDATE projection SET code_version = code_version + 1")
    assert is_outdated(database)
    database.close()


def test_decisions_of_a_target_are_found(plan_store: PlanStore, clock: Clock) -> None:
    """The planner's words about a target come back in order with their payload."""
    busy_history(plan_store, clock)
    found = plan_store.reading.decisions("y1")
    assert [(one.kind, one.view, one.data["q"]) for one in found] == [
        ("TargetRanked", "CROSS_SECTIONAL", 0.004)
    ]
    assert len(plan_store.reading.decisions(planning_id="n_1")) == 2


def test_info_counts(plan_store: PlanStore, clock: Clock) -> None:
    """Info tells engine, schema and counts."""
    busy_history(plan_store, clock)
    info = plan_store.info()
    assert (info.plans, info.fits, info.schema) == (1, 12, HEAD)
    assert info.events == plan_store.head_seq()
    assert info.size_bytes > 10_000
