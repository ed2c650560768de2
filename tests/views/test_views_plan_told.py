"""A plan as people ask about it: from the decisions in the log, else from its own document."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from cli_samples import PLANNING
from store_samples import cs_job, plan_of

from daemon.views.documents import document_text
from daemon.views.plan_drawn import ranking_drawn, routes_drawn
from daemon.views.plan_facts import Scored, TargetTold
from daemon.views.plan_told import (
    features_document,
    leaks_document,
    plan_told,
    routes_document,
    targets_document,
)
from store import Plan, PlanStore
from store.errors import NotFound
from store.events import FeaturesSelected, PlanningFinished, PlanningStarted, RouteChosen, TargetRanked


def ranked(target: str, score: float, *, kept: bool = True, **more: object) -> TargetRanked:
    values: dict[str, object] = {
        "view": "CROSS_SECTIONAL", "symbol": None, "standard_error": 0.01, "p": 0.01, "q": 0.02,
        "reason": f"{'kept' if kept else 'dropped'}: {score}", "metric": "rank_ic", **more,
    }  # fmt: skip
    return TargetRanked(target=target, score=score, kept=kept, **values)  # type: ignore[arg-type]


def target_of(store: PlanStore, plan: Plan, name: str) -> TargetTold:
    return next(target for target in plan_told(store.reading, plan.id).targets if target.name == name)


def routed(target: str, route: str = "ROUTE_CROSS_SECTIONAL") -> RouteChosen:
    return RouteChosen(target=target, symbol=None, route=route, reason="for a reason")


def test_targets_come_with_all_that_was_decided_of_them(filled: PlanStore) -> None:
    """Score, interval, leaks, features, route and jobs of a target stand together, each with its event."""
    plan = filled.reading.plans()[0]
    told = plan_told(filled.reading, plan.id)
    assert (told.planning, told.linked) == (PLANNING, True)
    target = told.targets[0]
    assert (target.name, target.rank, target.kept, target.jobs, target.fits) == ("y_range_5d", 1, True, 1, 4)
    assert target.pooled is not None
    assert target.pooled.interval == pytest.approx((0.4608, 0.5392))
    assert [(leak.feature, leak.verdict) for leak in target.leaks] == [("leak", "BLOCKED")]
    assert [(one.symbol, len(one.features), one.left_out) for one in target.selections] == [("AAPL", 14, 3)]
    facts = (*target.scored, *target.leaks, *target.selections, *target.routes)
    seqs = {event.seq: event.kind for event in filled.events()}
    assert [seqs[fact.seq] for fact in facts if fact.seq] == [
        "TargetRanked", "LeakFound", "FeaturesSelected", "RouteChosen",
    ]  # fmt: skip


def test_what_was_left_out_says_why(filled: PlanStore) -> None:
    """A dropped target comes behind those that are kept, with the reason of its route."""
    told = plan_told(filled.reading, filled.reading.plans()[0].id)
    noise = next(target for target in told.targets if target.name == "y_noise_5d")
    assert told.targets.index(noise) > 0
    assert (noise.kept, noise.jobs, noise.rank) == (False, 0, None)
    assert noise.not_trained == ("not told apart from luck",)
    assert told.targets[0].not_trained == ()


def test_the_planners_own_rank_is_told(store: PlanStore) -> None:
    """The log's rank decides the order, not the score: the surest part of it does."""
    plan = plan_of(cs_job("wide"), cs_job("sure"))
    words = [ranked("wide", 0.6, rank=2, low=0.3, high=0.9), ranked("sure", 0.5, rank=1, low=0.45, high=0.55)]
    store.record("n_1", [PlanningStarted(data_dir="d"), *words, routed("wide"), routed("sure")])
    store.accept(plan, source="s", name="t", planning_id="n_1")
    told = plan_told(store.reading, plan.id)
    assert [(target.name, target.rank) for target in told.targets] == [("sure", 1), ("wide", 2)]


def test_an_older_log_is_ranked_by_the_same_rule(store: PlanStore) -> None:
    """Without ranks in the log the low end of the interval decides, on one scale for all metrics."""
    plan = plan_of(cs_job("auc"), cs_job("ic"), cs_job("weak"))
    words = [
        ranked("auc", 0.61, metric="auc"),
        ranked("ic", 0.2),
        ranked("weak", 0.19, standard_error=0.09),
        ranked("dropped", 0.9, kept=False),
    ]
    store.record("n_1", [PlanningStarted(data_dir="d"), *words, routed("ic")])
    store.accept(plan, source="s", name="t", planning_id="n_1")
    told = plan_told(store.reading, plan.id)
    assert [(target.name, target.rank) for target in told.targets] == [
        ("auc", 1), ("ic", 2), ("weak", 3), ("dropped", None),
    ]  # fmt: skip


def test_a_plan_from_elsewhere_is_told_by_its_own_document(store: PlanStore) -> None:
    """Without a planning in the log the jobs say targets, features and routes; nobody claims a rank."""
    job = cs_job("y") | {
        "features": ["f1", "f2"],
        "blocked_features": ["f9"],
        "metadata": {"metric": "auc", "score": 0.6},
    }
    plan = plan_of(job)
    store.accept(plan, source="s", name="t")
    told = plan_told(store.reading, plan.id)
    target = target_of(store, plan, "y")
    assert (told.planning, told.linked, target.rank, target.jobs) == (None, False, None, 1)
    assert [(one.features, one.left_out) for one in target.selections] == [(("f1", "f2"), None)]
    assert [leak.feature for leak in target.leaks] == ["f9"]
    assert target.pooled is not None
    assert (target.pooled.score, target.pooled.interval) == (0.6, None)
    assert target.pooled.skill == pytest.approx(0.2)


def test_a_plan_handed_over_later_finds_its_planning(store: PlanStore) -> None:
    """Planned here, submitted later: the newest planning of the same data with as many jobs is its own."""
    plan = plan_of(cs_job("y"))
    for number, jobs in ((1, 1), (2, 1), (3, 7)):
        start = PlanningStarted(data_dir="d", panel_key=plan.panel_key)
        end = PlanningFinished(plan=None, jobs=jobs, path="results")
        store.record(f"n_{number}", [start, ranked("y", 0.1 * number), routed("y"), end])
    store.accept(plan, source="s", name="t")
    told = plan_told(store.reading, plan.id)
    assert (told.planning, told.linked) == ("n_2", False)


def test_the_decisions_of_another_planning_are_not_mixed_in(store: PlanStore) -> None:
    """Two plannings of one target before a plan: only its own speaks."""
    plan = plan_of(cs_job("y"))
    for name, score in (("n_1", 0.1), ("n_2", 0.2)):
        store.record(name, [PlanningStarted(data_dir="d"), ranked("y", score), routed("y")])
    store.accept(plan, source="s", name="t", planning_id="n_1")
    assert [one.score for one in target_of(store, plan, "y").scored] == [0.1]


def test_a_plan_nobody_accepted_is_not_found(store: PlanStore) -> None:
    """The answer names what was asked for."""
    with pytest.raises(NotFound, match="p_nobody"):
        plan_told(store.reading, "p_nobody")


def test_documents_are_plain_and_whole(filled: PlanStore) -> None:
    """Every part can be written as JSON, with the plan and the planning it is of."""
    told = plan_told(filled.reading, filled.reading.plans()[0].id)
    parts = {
        "targets": targets_document, "leaks": leaks_document, "features": features_document,
        "routes": routes_document,
    }  # fmt: skip
    for key, document_of in parts.items():
        document = json.loads(document_text(document_of(told)))
        assert (document["plan"], document["planning"]) == (told.plan.id, PLANNING)
        assert document[key]
    assert json.loads(document_text(targets_document(told)))["targets"][0]["scored"][0]["symbol"] is None


def test_pictures_lead_to_the_targets_of_the_plan(filled: PlanStore) -> None:
    """Each name in the pictures of a plan leads to what is told of that target; in a file to nowhere."""
    told = plan_told(filled.reading, filled.reading.plans()[0].id)
    link = f'href="/plans/{told.plan.id}?target=y_range_5d"'
    assert link in ranking_drawn(told.targets, plan=told.plan.id)
    assert link in routes_drawn(told)
    assert "href" not in routes_drawn(told, links=False) + ranking_drawn(told.targets)


def test_a_score_of_one_symbol_speaks_where_there_is_none_of_all() -> None:
    """A target that was measured on symbols alone is told by the surest of them that was kept."""
    none = Scored(
        symbol=None, metric="", score=None, standard_error=None, low=None, high=None, p=None, q=None,
        kept=False, reason="too few symbols", seq=1,
    )  # fmt: skip
    one = replace(none, symbol="A", metric="rank_corr", score=0.5, standard_error=0.3)
    two = replace(one, symbol="B", score=0.2, standard_error=0.01, kept=True)
    target = TargetTold(
        name="y", rank=1, kept=True, jobs=1, fits=1, reason="", scored=(none, one, two), leaks=(),
        selections=(), routes=(), not_trained=(),
    )  # fmt: skip
    assert target.best is two
    assert target.pooled is none


def test_features_left_out_are_counted_only_where_somebody_counted(store: PlanStore) -> None:
    """What the selection left out is a number of the log; of a plan from elsewhere it is not known."""
    plan = plan_of(cs_job("y"))
    chosen = FeaturesSelected(target="y", symbol=None, features=("a", "b"), left_out=8)
    store.record("n_1", [PlanningStarted(data_dir="d"), ranked("y", 0.1), chosen, routed("y")])
    store.accept(plan, source="s", name="t", planning_id="n_1")
    assert "2 of 10" in routes_drawn(plan_told(store.reading, plan.id))
