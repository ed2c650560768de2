"""The training plan: the older system's fields verbatim, ours beside them, from the routing plan alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from planner_samples import candidate, local_candidate

from executors.errors import UnknownFamily
from executors.families import DEFAULT_FAMILIES
from planner.config import RoutingConfig
from planner.errors import PlanUnreadable
from planner.markdown import training_markdown
from planner.routing_plan import routing_plan
from planner.schema import load_schema
from planner.tables import Candidate
from planner.training_plan import TrainingPlanGenerator
from store.plan_document import parse_plan_text

AT = "2026-01-02T03:04:05Z"
PROVENANCE = {
    "config_hash": "c0",
    "code_version": "0",
    "fingerprints": {"panel": "d_0", "config": "c0"},
    "seed": 1,
    "training": {"seed": 1},
    "data": {"data_dir": "/data", "symbols": ["AAA", "BBB"]},
}
WEAK: dict[str, Any] = {"kept": False, "kept_reason": "dropped: q 0.4", "p_value": 0.3}


def _routes(*rows: Candidate, **options: Any) -> dict[str, Any]:
    targets = sorted({row.target for row in rows})
    return routing_plan(
        rows,
        RoutingConfig(),
        **{
            "targets": targets,
            "symbols": ["AAA", "BBB"],
            "generated_at": AT,
            "provenance": PROVENANCE,
            **options,
        },
    )


def _plan(*rows: Candidate, families: list[str] | None = None, **options: Any) -> dict[str, Any]:
    generator = TrainingPlanGenerator(routing_plan=_routes(*rows), model_families=families)
    return generator.generate_training_plan(generated_at=AT, **options)


def _jobs(document: Mapping[str, Any]) -> dict[str, Any]:
    return {job["job_id"]: job for job in document["jobs"]}


def test_a_job_has_the_older_fields_and_ours() -> None:
    """Nothing renamed, nothing missing."""
    job = _jobs(_plan(candidate()))["cs_y"]
    assert job["target"] == "y"
    assert job["symbol"] is None
    assert job["route"] == "ROUTE_CROSS_SECTIONAL"
    assert job["training_type"] == "cross_sectional"
    assert job["model_families"] == list(DEFAULT_FAMILIES)
    assert job["priority"] == 2
    assert job["reason"].startswith("CS training enabled: rank_ic 0.1")
    assert job["metadata"]["cs_state"] == "STRONG"
    assert job["metadata"]["sample_size"] == 10_000
    assert job["features"] == ["alpha", "beta"]
    assert job["fits"][0] == {
        "family": "LightGBM",
        "stage": "cpu",
        "depends_on": [],
        "estimate": job["fits"][0]["estimate"],
    }
    assert job["fits"][0]["estimate"]["seconds"] > 0


def test_a_symbol_job_of_both_routes_needs_the_ensemble_and_names_its_partner() -> None:
    """needs_cs_ensemble is true for ROUTE_BOTH alone, and the blend is with an existing job."""
    jobs = _jobs(_plan(candidate(), local_candidate("AAA")))
    assert jobs["sym_y_AAA"]["route"] == "ROUTE_BOTH"
    assert jobs["sym_y_AAA"]["priority"] == 3
    assert jobs["sym_y_AAA"]["metadata"]["needs_cs_ensemble"] is True
    assert jobs["sym_y_AAA"]["metadata"]["blend_with"] == "cs_y"
    assert jobs["sym_y_AAA"]["reason"].startswith("Both CS and local strong → ROUTE_BOTH; ")
    assert "sym_y_BBB" not in jobs
    alone = _jobs(_plan(candidate(**WEAK), local_candidate("AAA")))["sym_y_AAA"]
    assert (alone["route"], alone["priority"]) == ("ROUTE_SYMBOL_SPECIFIC", 2)
    assert alone["metadata"]["needs_cs_ensemble"] is False
    assert alone["metadata"]["blend_with"] is None


def test_a_plan_of_symbol_jobs_has_symbol_jobs_only() -> None:
    """No common job appears beside them."""
    document = _plan(candidate(**WEAK), local_candidate("AAA"), local_candidate("BBB"))
    assert {job["training_type"] for job in document["jobs"]} == {"symbol_specific"}
    assert document["summary"]["total_cs_jobs"] == 0
    assert document["summary"]["total_symbol_jobs"] == 2


def test_an_experiment_has_the_lowest_priority() -> None:
    """A shaky symbol with no common model is one job of priority one."""
    shaky = local_candidate("AAA", **{**WEAK, "stability": "DRIFTING", "p_value": 0.02})
    jobs = _jobs(_plan(candidate(**WEAK), shaky))
    assert [(job["route"], job["priority"]) for job in jobs.values()] == [("ROUTE_EXPERIMENTAL_ONLY", 1)]


def test_jobs_are_ordered_by_priority_then_rank_then_name() -> None:
    """The best target of the highest priority comes first."""
    document = _plan(
        candidate(target="b", target_rank=2),
        candidate(target="a", target_rank=3),
        candidate(target="c", target_rank=1),
        local_candidate("BBB", target="c", target_rank=1),
    )
    assert [job["job_id"] for job in document["jobs"]] == ["sym_c_BBB", "cs_c", "cs_b", "cs_a"]


def test_blocked_jobs_appear_only_when_asked_for() -> None:
    """With include_blocked each blocked pair is a job without families, and still nothing to train."""
    rows = (candidate(**WEAK), local_candidate("AAA", **WEAK))
    assert _plan(*rows)["jobs"] == []
    blocked = _plan(*rows, include_blocked=True)
    assert [job["job_id"] for job in blocked["jobs"]] == ["blocked_y_AAA", "blocked_y_BBB"]
    assert all(job["model_families"] == [] and job["fits"] == [] for job in blocked["jobs"])
    assert blocked["summary"]["total_blocked"] == 2


def test_a_plan_without_jobs_is_written_honestly() -> None:
    """No jobs is an empty list, zero counts, and a reason for each target."""
    document = _plan(candidate(**WEAK))
    assert document["jobs"] == []
    assert document["metadata"]["total_jobs"] == 0
    assert document["summary"]["total_blocked"] == 2
    assert "dropped: q 0.4" in document["blocked"]["y"][0]


def test_the_summary_counts_what_is_there() -> None:
    """Routes, types and priorities add up to the jobs."""
    document = _plan(candidate(), local_candidate("AAA"), candidate(target="z"))
    summary = document["summary"]
    assert summary["by_route"] == {"ROUTE_CROSS_SECTIONAL": 2, "ROUTE_BOTH": 1}
    assert summary["by_type"] == {"cross_sectional": 2, "symbol_specific": 1}
    assert summary["by_priority"] == {"3": 1, "2": 2}
    assert (summary["total_cs_jobs"], summary["total_symbol_jobs"]) == (2, 1)


def test_families_come_in_any_spelling_each_once_cpu_stage_first() -> None:
    """Both of the older system's spellings mean the same family."""
    document = _plan(candidate(), families=["lstm", "light_gbm", "LightGBM", "TabLSTM", "xgboost"])
    assert document["metadata"]["model_families"] == ["LightGBM", "XGBoost", "LSTM", "TabLSTM"]
    assert [fit["stage"] for fit in document["jobs"][0]["fits"]] == ["cpu", "cpu", "gpu", "gpu"]


def test_an_unknown_family_is_an_error_with_the_nearest_name() -> None:
    """A slip is not trained around."""
    with pytest.raises(UnknownFamily) as caught:
        _plan(candidate(), families=["LigthGBM"])
    assert caught.value.nearest == "LightGBM"


def test_selectors_of_the_older_system_are_set_aside_not_refused() -> None:
    """The older system's own example names random_forest: it selects features there and is never trained."""
    document = _plan(candidate(), families=["lightgbm", "xgboost", "random_forest"])
    assert document["metadata"]["model_families"] == ["LightGBM", "XGBoost"]
    assert "random_forest" in document["metadata"]["model_families_left_out"]


def test_an_empty_list_of_families_trains_nothing() -> None:
    """Nothing asked for is respected."""
    assert _plan(candidate(), families=[])["jobs"][0]["fits"] == []


def test_a_family_that_cannot_learn_the_task_is_left_out_of_that_job_with_its_reason() -> None:
    """A quantile model has no business with classes."""
    rows = [
        candidate(),
        candidate(target="c", task_type="binary", metric_name="auc", score=0.6, score_ci_low=0.55),
    ]
    jobs = _jobs(_plan(*rows, families=["LightGBM", "QuantileLightGBM"]))
    assert jobs["cs_y"]["model_families"] == ["LightGBM", "QuantileLightGBM"]
    assert jobs["cs_c"]["model_families"] == ["LightGBM"]
    assert jobs["cs_c"]["metadata"]["families_left_out"] == {
        "QuantileLightGBM": "does not learn binary targets: quantiles are of numbers, and a class is none"
    }


def test_an_ensemble_names_the_other_fits_of_the_cpu_stage() -> None:
    """Of its own job, those that learn the job's kind of target, wherever it stands itself."""
    rows = [
        candidate(),
        candidate(target="c", task_type="binary", metric_name="auc", score=0.6, score_ci_low=0.55),
    ]
    families = ["ensemble", "LightGBM", "quantile", "XGBoost", "LSTM"]
    jobs = _jobs(_plan(*rows, families=families))
    after = {job_id: {fit["family"]: fit.get("after") for fit in job["fits"]} for job_id, job in jobs.items()}
    assert after["cs_y"]["Ensemble"] == ["LightGBM", "QuantileLightGBM", "XGBoost"]
    assert after["cs_c"]["Ensemble"] == ["LightGBM", "XGBoost"]
    assert all(after["cs_y"][name] is None for name in ("LightGBM", "LSTM"))


def test_targets_are_learnt_beside_those_trained_in_the_same_way() -> None:
    """Common models beside common ones, the best ranked first, never beside themselves; few of them."""
    rows = [candidate(target=f"t{rank}", target_rank=rank) for rank in range(9, 0, -1)]
    own = (
        local_candidate("AAA", target="t9", target_rank=9),
        local_candidate("AAA", target="t2", target_rank=2),
    )
    jobs = _jobs(_plan(*rows, *own, families=["MultiTask"]))
    others = {job_id: job["fits"][0]["other_targets"] for job_id, job in jobs.items()}
    assert others["cs_t3"] == ["t1", "t2", "t4", "t5", "t6", "t7", "t8"]
    assert others["sym_t9_AAA"] == ["t2"]


def test_what_has_too_little_company_is_left_out_with_its_reason_on_the_page() -> None:
    """One model is no ensemble, one target no several."""
    plan = _plan(candidate(), local_candidate("AAA"), families=["LightGBM", "Ensemble", "MultiTask"])
    for job, whom in zip(plan["jobs"], ("AAA", "all symbols"), strict=True):
        assert job["model_families"] == ["LightGBM"]
        assert job["metadata"]["families_left_out"] == {
            "Ensemble": "is made from 2 other fits of the CPU stage at least",
            "MultiTask": f"learns several targets at once, and the plan trains no other of {whom}",
        }
    assert "| Ensemble | 2 | is made from 2 other fits of the CPU stage at least |" in training_markdown(plan)


def test_fingerprints_and_settings_travel_from_the_routing_plan() -> None:
    """The training plan needs nothing but the routing plan."""
    metadata = _plan(candidate())["metadata"]
    assert metadata["fingerprints"] == {"panel": "d_0", "config": "c0"}
    assert metadata["training"] == {"seed": 1}
    assert metadata["data"]["data_dir"] == "/data"
    assert metadata["generated_at"] == AT
    assert metadata["metrics_snapshot"] == "routing_candidates.parquet"


def _older(route: str, pooled: str, local: str) -> dict[str, Any]:
    return {"route": route, "cs_state": pooled, "local_state": local, "reason": ["as it was"]}


def test_a_routing_plan_of_the_older_system_is_understood() -> None:
    """Without our additions: no task, no features, no numbers; jobs, routes and reasons all the same."""
    older = {
        "metadata": {"generated_at": AT, "metrics_snapshot": "routing_candidates.parquet"},
        "targets": {
            "y_will_swing_low_10m_0.20": {
                "cross_sectional": {"state": "STABLE", "route": "ENABLED", "reason": "CS training enabled"},
                "symbols": {
                    "AAPL": _older("ROUTE_BOTH", "STRONG", "STRONG"),
                    "MSFT": _older("ROUTE_EXPERIMENTAL_ONLY", "EXPERIMENTAL", "STRONG"),
                    "IBM": _older("ROUTE_BLOCKED", "DISALLOWED", "DISALLOWED"),
                },
            }
        },
    }
    document = TrainingPlanGenerator(older, ["lightgbm"]).generate_training_plan(generated_at=AT)
    assert list(_jobs(document)) == [
        "sym_y_will_swing_low_10m_0.20_AAPL",
        "cs_y_will_swing_low_10m_0.20",
        "sym_y_will_swing_low_10m_0.20_MSFT",
    ]
    assert all(job["features"] is None for job in document["jobs"])
    assert document["summary"]["total_blocked"] == 1
    jsonschema.validate(document, load_schema("training_plan"))


@pytest.mark.parametrize(
    "broken", [{}, {"targets": []}, {"targets": {"y": {"symbols": {"A": {}}}}}, {"targets": {"y": 3}}]
)
def test_what_is_no_routing_plan_is_refused(broken: dict[str, Any]) -> None:
    """The first place that does not fit is named."""
    with pytest.raises(PlanUnreadable):
        TrainingPlanGenerator(broken)


def test_the_document_is_valid_and_accepted_by_the_store() -> None:
    """It validates against its schema, and the only reader of plans takes its bytes."""
    document = _plan(candidate(), local_candidate("AAA"), candidate(target="n", **WEAK))
    jsonschema.validate(document, load_schema("training_plan"))
    assert parse_plan_text(json.dumps(document).encode(), source="test")["jobs"] == document["jobs"]


def test_the_same_routing_plan_gives_the_same_document() -> None:
    """Twice the same bytes, whatever the order of candidates."""
    rows = [candidate(target="b"), candidate(target="a"), local_candidate("AAA", target="b")]
    assert json.dumps(_plan(*rows)) == json.dumps(_plan(*reversed(rows)))


def test_it_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    """output_dir holds the master and its mirrors."""
    generator = TrainingPlanGenerator(
        routing_plan=_routes(candidate()), model_families=["lightgbm", "xgboost"]
    )
    document = generator.generate_training_plan(output_dir=tmp_path / "plan", include_blocked=False)
    assert json.loads((tmp_path / "plan" / "master_training_plan.json").read_text()) == document


def test_a_blend_of_both_models_comes_after_all_their_fits() -> None:
    """It has a model id of its own, names every part as job_id/Family, and says how they are weighed."""
    jobs = _jobs(_plan(candidate(), local_candidate("AAA"), families=["LSTM", "LightGBM"]))
    parts = ["cs_y/LightGBM", "cs_y/LSTM", "sym_y_AAA/LightGBM", "sym_y_AAA/LSTM"]
    assert jobs["sym_y_AAA"]["blend"] == {
        "model": "blend_y_AAA",
        "parts": parts,
        "weights": "inverse_validation_loss",
        "depends_on": parts,
    }
    assert "blend" not in jobs["cs_y"]


def test_nothing_is_blended_where_a_part_is_missing() -> None:
    """Without a common job, without families, or on another route there is no blend."""
    routes = _routes(candidate(), local_candidate("AAA"))
    routes["targets"]["y"]["cross_sectional"]["route"] = "DISABLED"
    alone = TrainingPlanGenerator(routes, ["LightGBM"]).generate_training_plan(generated_at=AT)
    plans = [
        alone,
        _plan(candidate(), local_candidate("AAA"), families=[]),
        _plan(candidate(**WEAK), local_candidate("AAA")),
    ]
    assert all("blend" not in job for plan in plans for job in plan["jobs"])
    assert [plan["summary"]["total_blends"] for plan in plans] == [0, 0, 0]


def test_the_weights_of_blends_are_a_setting() -> None:
    """[training] blend_weights travels with the routing plan's settings."""
    settings = {"settings": {"training": {"blend_weights": "equal"}}}
    routes = _routes(candidate(), local_candidate("AAA"), provenance={**PROVENANCE, **settings})
    jobs = _jobs(TrainingPlanGenerator(routes).generate_training_plan(generated_at=AT))
    assert jobs["sym_y_AAA"]["blend"]["weights"] == "equal"


def test_estimates_come_from_past_fits_and_the_plan_says_so() -> None:
    """The same past costs give the same bytes; the summary adds up the seconds of each stage."""
    past = {"LightGBM": {"fits": 3, "seconds_at_least": 2.0, "seconds_per_megacell": 100.0}}
    plans = [
        TrainingPlanGenerator(
            _routes(candidate()), ["LightGBM", "LSTM"], past_costs=past
        ).generate_training_plan(generated_at=AT)
        for _ in range(2)
    ]
    assert json.dumps(plans[0]) == json.dumps(plans[1])
    fits = {fit["family"]: fit["estimate"] for fit in plans[0]["jobs"][0]["fits"]}
    assert fits["LightGBM"] == {
        "rows": 10_000,
        "seconds": 4.0,
        "memory_bytes": fits["LightGBM"]["memory_bytes"],
        "source": "3 past fits",
    }
    assert fits["LSTM"]["source"] == "built-in"
    assert plans[0]["metadata"]["estimates"] == {"source": "past fits", "families": past}
    assert plans[0]["summary"]["estimated_seconds"] == {"cpu": 4.0, "gpu": fits["LSTM"]["seconds"]}


def test_an_unknown_route_of_a_routing_plan_is_refused_with_the_nearest_name() -> None:
    """A hand-edited routing plan is held to the same names."""
    routes = _routes(candidate())
    routes["targets"]["y"]["symbols"]["AAA"]["route"] = "ROUTE_BOHT"
    with pytest.raises(PlanUnreadable) as caught:
        TrainingPlanGenerator(routes)
    assert "targets.y.symbols.AAA.route" in caught.value.where
    assert "ROUTE_BOTH" in caught.value.fix


def test_of_one_target_the_best_symbols_come_first() -> None:
    """Scores break ties of priority and rank, names the rest."""
    rows = [candidate(), local_candidate("AAA", score=0.1), local_candidate("BBB", score=0.2)]
    ids = [job["job_id"] for job in _plan(*rows)["jobs"]]
    assert ids == ["sym_y_BBB", "sym_y_AAA", "cs_y"]
