"""Write the golden log of the version at hand, once per release: `python tests/golden/write_log.py DIR`.

A log once written is never written again: it stands for the databases that users of that version have.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from store_samples import (
    STARTED,
    SUCCEEDED,
    Clock,
    blended_jobs,
    checkpoint,
    cs_job,
    plan_of,
    projected_rows,
)

from store import Failure, PlanRejected, PlanStore
from store.database import Database, connect
from store.events import (
    DaemonReloaded,
    DaemonStarted,
    DaemonStopped,
    FeaturesSelected,
    FitProgressed,
    FitReleased,
    LeakFound,
    PlanArchived,
    PlanningFinished,
    PlanningStarted,
    RouteChosen,
    TargetRanked,
)
from store.ids import ARCHIVE_STREAM
from store.layout import COLUMNS
from store.log import all_rows
from store.moments import microseconds_of
from store.schema import upgrade
from store.turn import Turn


def history(database: Database, clock: Clock) -> None:
    """Let every kind of event happen."""
    store = PlanStore(database, clock=clock)
    store.daemon_started(DaemonStarted(worker="h:1:b:9", host="h", version="0.1.0", boot_id="b", pid=1))
    store.record(
        "n_0123456789abcdef",
        [
            PlanningStarted(
                data_dir="data", symbols=("AAPL", "MSFT"), panel_key="d_1", settings={"top_n": 10}
            ),
            TargetRanked(
                target="y_a",
                view="CROSS_SECTIONAL",
                symbol=None,
                score=0.031,
                standard_error=0.008,
                p=0.0001,
                q=0.002,
                kept=True,
                reason="rank IC 0.031 ± 0.008",
                metric="rank_ic",
            ),
            LeakFound(
                target="y_a", feature="x_copy", verdict="BLOCKED", probe="near copy", evidence="r = 0.9999"
            ),
            FeaturesSelected(target="y_a", symbol=None, features=("x1", "x2"), left_out=3),
            RouteChosen(target="y_a", symbol=None, route="ROUTE_CROSS_SECTIONAL", reason="0.031 > 0.02"),
            PlanningFinished(plan=None, jobs=3, path="results/globals/training_plan"),
        ],
    )
    families = ("LightGBM", "XGBoost", "NGBoost", "LSTM")
    symbol = {
        **cs_job("y_b", families=families),
        "job_id": "sym_y_b_AAPL",
        "symbol": "AAPL",
        "priority": 3,
        "training_type": "symbol_specific",
        "route": "ROUTE_BOTH",
        "metadata": {"needs_cs_ensemble": True},
    }
    jobs = [cs_job("y_a", families=families), symbol, cs_job("y_c → σ", families=families, priority=1)]
    store.accept(plan_of(*jobs), source="inbox/first", name="first", planning_id="n_0123456789abcdef")
    refusal = PlanRejected(source="inbox/bad", place="jobs[3].target", sentence="a path", fix="Rename it")
    store.reject(refusal, name="bad")
    one, two, three, four, five, six = store.claim("h:1:b:9", stage="cpu", limit=6, lease_seconds=60)
    store.started(one, STARTED)
    store.progressed(one, FitProgressed(step=50, steps_total=400, train_loss=0.51, valid_loss=0.62))
    clock.move(7.25)
    store.checkpointed(one, checkpoint(50))
    store.succeeded(one, SUCCEEDED)
    store.failed(two, Failure(cause="library", sentence="it fell over", where="trace", retryable=True))
    store.failed(three, Failure(cause="bad_input", sentence="constant label", where="dataset"))
    store.released(four, FitReleased(cause="daemon stops", step=3))
    store.cancel(five.fit_id, reason="not wanted")
    store.started(six, STARTED)
    clock.move(61)
    store.rescue()
    store.retry(three.fit_id, reason="mended")
    store.hold(three.fit_id, reason="the label is looked at")
    store.lift_hold(three.fit_id, reason="it is right")
    store.pause(stage="gpu", reason="the device is lent out")
    store.resume(stage="gpu", reason="it is back")
    store.pause(host="other", reason="it is moved")
    for stage in ("cpu", "gpu"):
        while claims := store.claim("h:1:b:9", stage=stage):
            store.started(claims[0], STARTED)
            store.succeeded(claims[0], SUCCEEDED)
    (plan,) = store.reading.plans()
    archived = PlanArchived(
        plan=plan.id, path="archive/p.parquet", sha256="cd" * 32, events=60, first_seq=8, last_seq=70
    )
    with database.transaction() as tx:
        turn = Turn(tx, now=microseconds_of(clock()))
        turn.append_next(ARCHIVE_STREAM, [archived], actor="keeper", plan=plan.id)
        turn.flush()
    promoted = store.reading.fits(plan=plan.id, states=("succeeded",))[0]
    store.promote(promoted.id, "champion", reason="the best so far")
    made_of_others(store)
    of_a_fleet(store)
    store.daemon_said(DaemonReloaded(worker="h:1:b:9", host="h", changed=("cpu_slots",), cpu_slots=4))
    store.daemon_said(DaemonStopped(worker="h:1:b:9", host="h", cause="SIGTERM"))


def made_of_others(store: PlanStore) -> None:
    """Ensembles, blends and shared targets: made without a lost member, given up, brought back, at work."""
    families = ("LightGBM", "XGBoost", "Ensemble", "NGBoost", "LSTM", "MultiTask")
    jobs = (*blended_jobs(*families), cs_job("y_e", families=("LightGBM", "Ensemble")))
    plan = plan_of(*jobs, cs_job("y_f", families=("XGBoost", "MultiTask")), seed=2)
    store.accept(plan, source="inbox/second", name="second")
    named = {(fit.job_id, fit.family): fit.id for fit in plan.fits}
    lost = named["sym_y_AAPL", "LightGBM"], named["sym_y_AAPL", "XGBoost"]
    for claim in store.claim("h:1:b:9", stage="cpu", limit=9):
        if claim.fit_id in lost:  # their ensemble has too few left
            store.failed(claim, Failure(cause="bad_input", sentence="constant label", where="dataset"))
        else:
            store.succeeded(claim, SUCCEEDED)
    for fit_id in lost:  # it comes back with the second
        store.retry(fit_id, reason="the label was mended")
    store.cancel(lost[0], reason="not wanted")  # it is given up again, the blend goes on without it
    for stage in ("cpu", "gpu"):
        while claims := store.claim("h:1:b:9", stage=stage):
            store.started(claims[0], STARTED)
            if claims[0].family == "Blend":
                return  # at work when the log was written
            store.succeeded(claims[0], SUCCEEDED)


def of_a_fleet(store: PlanStore) -> None:
    """A second host with labels: it hands a claim over, drains, comes back, and is removed with a fit."""
    far = "far/b2/4026531836/17/900/0123456789abcdef"
    hello = DaemonStarted(worker=far, host="far", version="0.6.0", boot_id="b2", pid=17)
    machine = {"labels": ("bigmem", "gpu"), "machine": "0123456789abcdef", "engine": "ray"}
    store.daemon_started(replace(hello, **machine))
    needing = [{"family": "LightGBM", "needs": {"labels": ["bigmem"]}}]
    job = {**cs_job("y_l", families=("LightGBM", "XGBoost")), "fits": needing}
    plan = plan_of(job, seed=3)
    store.accept(plan, source="inbox/third", name="third")
    handed, held = store.claim(far, stage="cpu", limit=2, plans=[plan.id], labels=("bigmem", "gpu"))
    agent = store.take_over(handed.fit_id, handed.fence, "node/b3/4026531836/5/40/")
    store.started(agent, STARTED)
    store.drain_host("far", reason="its disk is changed", give_back=True)
    store.return_host("far", reason="it is new")
    store.drain_host("far", reason="it is sold")
    store.started(held, STARTED)
    store.remove_host("far", reason="sold", force=True)
    store.daemon_started(DaemonStarted(worker="near/b/n/1/2/", host="near", version="0.6.0", boot_id="b"))
    store.daemon_said(DaemonReloaded(worker="near/b/n/1/2/", host="near", labels=("night",)))
    store.drain_host("near", reason="tonight")
    store.succeeded(agent, SUCCEEDED)


def plain(value: Any) -> Any:
    """Return bytes as hex, everything else as it is."""
    return value.hex() if isinstance(value, bytes) else value


def written(database: Database) -> tuple[str, str]:
    """Return the log as NDJSON and the states as JSON."""
    with database.snapshot() as tx:
        rows = [dict(zip(COLUMNS, map(plain, row), strict=True)) for row in all_rows(tx)]
    log = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return log, json.dumps(projected_rows(database), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    target = Path(sys.argv[1])
    if (target / "log.ndjson").exists():
        raise SystemExit(f"{target} is written; a golden log is never written again")
    with tempfile.TemporaryDirectory() as folder:
        url, clock = f"sqlite:///{folder}/golden.db", Clock()
        upgrade(url)
        database = connect(url)
        history(database, clock)
        log, states = written(database)
        database.close()
    target.mkdir(parents=True, exist_ok=True)
    (target / "log.ndjson").write_text(log)
    (target / "states.json").write_text(states)


if __name__ == "__main__":
    main()
