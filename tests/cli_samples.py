"""Stores, data and calls for the tests of the command line."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from store_samples import cs_job, plan_of

from daemon.identity import own_identity
from store import Plan, PlanStore, open_store
from store.events import (
    CheckpointSaved,
    DaemonStarted,
    FeaturesSelected,
    FitReleased,
    FitStarted,
    FitSucceeded,
    LeakFound,
    PlanningStarted,
    RouteChosen,
    TargetRanked,
)
from store.records import Claim, Failure

METRICS = {
    "metric": "rank_ic",
    "score": 0.2,
    "standard_error": 0.02,
    "skill": 0.2,
    "beats_no_skill": True,
    "beats_baseline": True,
    "baseline": "persistence",
    "baseline_score": 0.1,
    "error_reduction": 0.05,
}
Call = Callable[..., "Called"]
TRAINED, BROKEN, GPU = "cs_y_range_5d/LightGBM", "cs_y_range_5d/XGBoost", "cs_y_range_5d/LSTM"
MISSING, STOPPED = "cs_y_range_5d/NGBoost", "cs_y_up_1d/LightGBM"
PLANNING = "n_00000000000000aa"


@dataclasses.dataclass(frozen=True)
class Called:
    """How a call of the command line ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What it printed as JSON."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        """What it printed, line by line."""
        return self.out.splitlines()


def sample_plan() -> Plan:
    """Two jobs with fits of every kind."""
    families = ("LightGBM", "XGBoost", "LSTM", "NGBoost")
    return plan_of(
        cs_job("y_range_5d", families=families, priority=3), cs_job("y_up_1d", families=("lightgbm",))
    )


def fill(store: PlanStore, folder: Path) -> Plan:
    """Record a planning and a plan of which one fit is trained, one failed, one was stopped, two wait."""
    store.record(PLANNING, decisions())
    plan = sample_plan()
    store.accept(plan, source="test", name="first", planning_id=PLANNING)
    trained, broken, stopped = store.claim("w1", stage="cpu", limit=3)
    start(store, trained, folder)
    store.succeeded(trained, FitSucceeded(bundle="models/b", sha256="ab" * 32, metrics=METRICS, seconds=12.5))
    start(store, broken, folder)
    failure = Failure(cause="bad_input", sentence="the label has one class", where="rows 0 to 9\nmore")
    store.failed(broken, failure)
    start(store, stopped, folder)
    store.checkpointed(stopped, CheckpointSaved(step=40, path="work/step-40", seconds=0.1))
    store.released(stopped, FitReleased(cause="stopped by SIGTERM", step=40))
    return plan


def start(store: PlanStore, claim: Claim, folder: Path, **fields: Any) -> None:
    """Say that a claimed fit runs and write its log."""
    log = folder / f"{claim.job_id}.{claim.family}.{claim.attempt}.log"
    log.write_text(f"attempt {claim.attempt} of {claim.family}\n", encoding="utf-8")
    word = FitStarted(pid=42, device_requested="cpu", device_used="cpu", log=str(log))
    store.started(claim, dataclasses.replace(word, **fields))


def decisions() -> list[Any]:
    """What a planner says of two targets."""
    ranked = TargetRanked(
        target="y_range_5d", view="CROSS_SECTIONAL", symbol=None, score=0.5, standard_error=0.02,
        p=0.001, q=0.002, kept=True, reason="kept: rank_ic 0.5, q 0.002 within 0.05", metric="rank_ic",
    )  # fmt: skip
    dropped = dataclasses.replace(
        ranked, target="y_noise_5d", kept=False, reason="dropped: q 0.75 above 0.05"
    )
    many = tuple(f"feature_{number}" for number in range(14))
    return [
        PlanningStarted(data_dir="data"),
        LeakFound(
            target="y_range_5d", feature="leak", verdict="BLOCKED", probe="correlation", evidence="0.9"
        ),
        ranked,
        dropped,
        FeaturesSelected(target="y_range_5d", symbol="AAPL", features=many, left_out=3),
        RouteChosen(
            target="y_range_5d", symbol=None, route="ROUTE_CROSS_SECTIONAL", reason="strong; and more"
        ),
        RouteChosen(
            target="y_noise_5d", symbol=None, route="ROUTE_BLOCKED", reason="not told apart from luck"
        ),
    ]


def living_daemon() -> DaemonStarted:
    """The start of a daemon that is alive: this very process."""
    here = own_identity()
    return DaemonStarted(
        worker=here.worker, host=here.host, version="0.1.0", boot_id=here.boot_id, pid=here.pid
    )


def many_fits(url: str, jobs: int) -> Plan:
    """A plan with so many jobs of two families each, none begun."""
    plan = plan_of(*(cs_job(f"y_{number:05d}", priority=number % 3) for number in range(jobs)))
    with open_store(url) as store:
        store.accept(plan, source="test", name="many")
    return plan


def write_data(directory: Path, *, rows: int = 420, strength: float = 0.7) -> Path:
    """Two symbols with a target that follows a feature with `strength`, and one of two classes from it."""
    directory.mkdir(parents=True)
    for place, symbol in enumerate(("AAA", "BBB")):
        random = np.random.default_rng([place, 7])
        values = random.standard_normal((rows, 4))
        frame = pd.DataFrame(values, columns=[f"f{number}" for number in range(4)])
        frame.insert(0, "date", pd.date_range("2020-01-01", periods=rows, freq="D"))
        frame["fwd_ret_1d"] = strength * frame["f0"] + random.standard_normal(rows)
        frame["y_up_1d"] = (frame["fwd_ret_1d"] > 0).astype(float)
        frame.to_csv(directory / f"{symbol}.csv", index=False)
    return directory


def write_bars(directory: Path, *, rows: int = 150) -> Path:
    """Raw daily bars of one symbol."""
    directory.mkdir(parents=True)
    random = np.random.default_rng(5)
    close = 100 * np.exp(np.cumsum(0.01 * random.standard_normal(rows)))
    frame = pd.DataFrame({"date": pd.date_range("2020-01-01", periods=rows, freq="D"), "open": close})
    frame["high"], frame["low"], frame["close"] = close * 1.01, close * 0.99, close
    frame["volume"] = 1000.0 + random.integers(0, 100, rows)
    frame.to_csv(directory / "AAA.csv", index=False)
    return directory
