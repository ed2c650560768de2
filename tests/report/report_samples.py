"""Logs and bundles of known content for the tests of the report."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from store_samples import cs_job, plan_of

from daemon.report import report_html
from executors.cards import card_bytes
from store import Plan, PlanStore, open_store
from store.events import (
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

BECAUSE = {
    "vol": "chosen in 4 of 4 folds; 2 features score 0.5",
    "gap": "chosen in 3 of 4 folds; 2 features score 0.5",
    "dull": "chosen in 0 of 4 folds, 2 needed",
}
PLANNING = "n_00000000000000bb"
METRICS: Mapping[str, Any] = {
    "metric": "rank_ic", "score": 0.2, "standard_error": 0.02, "low": 0.16, "high": 0.24, "skill": 0.2,
    "n": 500, "n_effective": 200.0, "beats_no_skill": True, "beats_baseline": True, "baseline": "persistence",
    "baseline_score": 0.1, "baseline_standard_error": 0.02, "ahead": 0.1, "ahead_low": 0.05,
    "ahead_high": 0.15, "error_reduction": 0.05,
}  # fmt: skip
WEAK = {**METRICS, "score": 0.01, "low": -0.03, "high": 0.05, "skill": 0.01, "beats_no_skill": False,
        "beats_baseline": False, "ahead": -0.09, "ahead_low": -0.15, "ahead_high": -0.03}  # fmt: skip
CALIBRATED: Mapping[str, Any] = {
    "kind": "regression", "rows": 100, "bias": 0.0, "bias_standard_error": 0.1, "slope": 1.02,
    "slope_standard_error": 0.05, "slope_low": 0.92, "slope_high": 1.12, "intercept": 0.0,
    "bins": [
        {"rows": 50, "predicted": 0.1, "observed": 0.11},
        {"rows": 50, "predicted": 0.2, "observed": 0.19},
    ],
}  # fmt: skip
EVALUATION: Mapping[str, Any] = {
    "evaluation_version": 1, "calibration": CALIBRATED, "distribution": None,
    "by_period": [
        {"from": "2024-01-01T00:00:00Z", "until": "2024-02-01T00:00:00Z", "rows": 50, "metric": "rank_ic",
         "score": 0.3, "standard_error": 0.1, "low": 0.1, "high": 0.5, "n": 50, "n_effective": 20.0},
        {"from": "2024-02-01T00:00:00Z", "until": "2024-03-01T00:00:00Z", "rows": 50, "metric": "rank_ic",
         "score": -0.1, "standard_error": 0.1, "low": -0.3, "high": 0.1, "n": 50, "n_effective": 20.0},
    ],
    "by_symbol": [
        {"symbol": name, "rows": 50, "metric": "rank_corr", "score": score, "standard_error": 0.1,
         "low": score - 0.2, "high": score + 0.2, "n": 50, "n_effective": 20.0}
        for name, score in (("AAPL", 0.3), ("MSFT", 0.1))
    ],
}  # fmt: skip


def write_bundle(
    folder: Path, *, evaluation: Mapping[str, Any] = EVALUATION, **fields: Any
) -> tuple[Path, str]:
    """Write a bundle of a card and an evaluation; return where it lies, and its digest."""
    folder.mkdir(parents=True)
    told = json.dumps(evaluation).encode()
    (folder / "evaluation.json").write_bytes(told)
    card = {
        "card_version": 2, "family": "LightGBM", "features": ["vol", "gap"], "best_step": 2, "steps": 3,
        "curve": {"train_loss": [1.0, 0.8, 0.7], "valid_loss": [1.1, 0.9, 0.95]}, "metrics": dict(METRICS),
        "files": {"evaluation.json": hashlib.sha256(told).hexdigest()}, "importance_method": "tree_shap",
        "importances": {"vol": 0.7, "gap": 0.1}, "versions": {"lightgbm": "4.6.0"},
        **fields,
    }  # fmt: skip
    data, digest = card_bytes(card)
    (folder / "card.json").write_bytes(data)
    return folder, digest


def planned(store: PlanStore, *decisions: Any) -> None:
    """Record a planning of the panel that sample plans are of, with the decisions of two targets."""
    started = PlanningStarted(data_dir="data", panel_key="d_1", settings={"config_hash": "c"})
    store.record(PLANNING, [started, *decisions_of_two(), *decisions])


def decisions_of_two() -> list[Any]:
    """A target that is kept, one that is not, a blocked leak, a selection and a route."""
    kept = TargetRanked(
        target="y_range_5d", view="CROSS_SECTIONAL", symbol=None, score=0.5, standard_error=0.02, p=0.001,
        q=0.002, kept=True, reason="kept: q 0.002 within 0.05", metric="rank_ic", low=0.46, high=0.54, rank=1,
    )  # fmt: skip
    dropped = TargetRanked(
        target="y_noise_5d", view="CROSS_SECTIONAL", symbol=None, score=0.01, standard_error=0.02, p=0.7,
        q=0.75, kept=False, reason="dropped: q 0.75 above 0.05", metric="rank_ic",
    )  # fmt: skip
    return [
        kept,
        dropped,
        LeakFound(
            target="y_range_5d", feature="oracle", verdict="BLOCKED", probe="copy", evidence="rank 0.99"
        ),
        FeaturesSelected(
            target="y_range_5d", symbol=None, features=("vol", "gap"), left_out=2,
            because=BECAUSE, steadiness={"vol": 1.0, "gap": 0.75}, weights={"vol": 0.6, "gap": 0.2},
            folds=4, jaccard=0.5,
        ),
        RouteChosen(
            target="y_range_5d", symbol=None, route="ROUTE_CROSS_SECTIONAL", reason="strong for all"
        ),
    ]  # fmt: skip


def filled(folder: Path, *, evaluation: Mapping[str, Any] = EVALUATION) -> tuple[str, Plan]:
    """A log with a good model, a weak one, a fit that failed and one that waits; its url, its plan."""
    url = f"sqlite:///{folder}/trainwright.db"
    with open_store(url) as store:
        planned(store)
        job = cs_job("y_range_5d", families=("LightGBM", "XGBoost", "MLP"))
        plan = plan_of(job, cs_job("y_up_1d", families=("LightGBM",)))
        store.accept(plan, source="test", name="nightly", planning_id=PLANNING)
        first, second, third = store.claim("host-a/1", stage="cpu", limit=3)
        finish(store, first, folder, METRICS, evaluation)
        finish(store, second, folder, WEAK, evaluation)
        begin(store, third)
        store.released(third, FitReleased(cause="stopped by SIGTERM", step=4))
        (again,) = store.claim("host-a/1", stage="cpu", limit=1)
        begin(store, again)
        store.failed(
            again, Failure(cause="bad_input", sentence="the label has one class", where="rows 0 to 9")
        )
    return url, plan


def begin(store: PlanStore, claim: Claim) -> None:
    """Say that the process of a claimed fit runs."""
    store.started(claim, FitStarted(pid=42, device_requested="cpu", device_used="cpu"))


def finish(
    store: PlanStore,
    claim: Claim,
    folder: Path,
    metrics: Mapping[str, Any],
    evaluation: Mapping[str, Any] = EVALUATION,
) -> None:
    """Have a claimed fit succeed with these metrics, its bundle on disk."""
    begin(store, claim)
    path, digest = write_bundle(folder / "models" / claim.fit_id, evaluation=evaluation, family=claim.family)
    store.succeeded(claim, FitSucceeded(bundle=str(path), sha256=digest, metrics=metrics, seconds=12.5))


def report_on(url: str) -> str:
    """The report on the newest plan of a log."""
    with open_store(url) as store:
        return report_html(store.reading, store.reading.plans()[-1].id)


def words_of(html: str) -> str:
    """What a reader sees of a report: its text on one line."""
    body = html[html.index("<body") :]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def section_of(html: str, key: str) -> str:
    """The words of one section."""
    start = html.index(f'<section id="{key}"')
    return words_of("<body" + html[start : html.index("</section>", start)])


class Elements(HTMLParser):
    """All elements of a document: (name, attributes), and whether each that was opened was closed."""

    VOID = frozenset(("meta", "link", "br", "img"))

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take an element that begins."""
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take an element without content."""
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Take the end of an element."""
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)
