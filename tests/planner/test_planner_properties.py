"""Whatever the candidates are: the rules that hold for every routing plan and every training plan."""

from __future__ import annotations

import functools
import json
from typing import Any

import jsonschema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from planner_samples import candidate, local_candidate

from planner.config import RoutingConfig
from planner.routing import DISALLOWED, ROUTE_BLOCKED, ROUTE_EXPERIMENTAL_ONLY, USABLE, signal_of
from planner.routing_plan import routing_plan
from planner.schema import load_schema
from planner.tables import SYMBOL_SPECIFIC, Candidate
from planner.training_plan import TrainingPlanGenerator

SYMBOLS = ("AAA", "BBB", "CCC")
TARGETS = ("y_one", "y_two")
CHECKED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

_numbers = some.fixed_dictionaries(
    {
        "score": some.one_of(some.none(), some.floats(-0.2, 0.9)),
        "score_ci_low": some.one_of(some.none(), some.floats(-0.4, 0.8)),
        "kept": some.sampled_from([None, True, False]),
        "p_value": some.one_of(some.none(), some.floats(0.0, 1.0)),
        "stability": some.sampled_from(["STABLE", "DRIFTING", "DIVERGED", "UNKNOWN"]),
        "leakage_status": some.sampled_from(["SAFE", "SUSPECT", "BLOCKED", "UNKNOWN"]),
        "sample_size": some.sampled_from([0, 600, 50_000]),
        "metric_name": some.sampled_from(["rank_ic", "auc"]),
    }
)
_common_law = some.fixed_dictionaries(
    {
        "deviating_symbols": some.sampled_from([(), ("AAA",), SYMBOLS]),
        "rest_p": some.one_of(some.none(), some.floats(0.0, 1.0)),
    }
)
_own_law = some.fixed_dictionaries(
    {
        "deviates": some.sampled_from([None, True, False]),
        "deviation_q": some.one_of(some.none(), some.floats(0.0, 1.0)),
    }
)


@some.composite
def _tables(draw: some.DrawFn) -> list[Candidate]:
    """Candidates of two targets, with any of the rows missing."""
    rows = []
    for target in TARGETS:
        if draw(some.booleans()):
            rows.append(candidate(target=target, **draw(_numbers), **draw(_common_law)))
        present = [symbol for symbol in SYMBOLS if draw(some.booleans())]
        rows += [
            local_candidate(symbol, target=target, **draw(_numbers), **draw(_own_law)) for symbol in present
        ]
    return rows


def _routes(rows: list[Candidate], **options: Any) -> dict[str, Any]:
    return routing_plan(
        rows,
        RoutingConfig(),
        **{
            "targets": TARGETS,
            "symbols": SYMBOLS,
            "generated_at": "2026-01-02T03:04:05Z",
            "provenance": {},
            **options,
        },
    )


def _plan(routes: dict[str, Any]) -> dict[str, Any]:
    generator = TrainingPlanGenerator(routes, ["LightGBM", "LSTM"])
    return generator.generate_training_plan(generated_at="2026-01-02T03:04:05Z")


@functools.cache
def _validator(schema: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(load_schema(schema))


@CHECKED
@given(rows=_tables())
def test_both_documents_are_always_valid(rows: list[Candidate]) -> None:
    """No table of candidates leads to a file that its schema refuses."""
    routes = _routes(rows)
    _validator("routing_plan").validate(routes)
    _validator("training_plan").validate(_plan(routes))


@CHECKED
@given(rows=_tables())
def test_a_row_that_may_not_train_never_trains(rows: list[Candidate]) -> None:
    """A job exists only for a row whose own signal allows it."""
    signals = {(row.target, row.symbol): signal_of(row, RoutingConfig()).state for row in rows}
    for job in _plan(_routes(rows))["jobs"]:
        state = signals.get((job["target"], job["symbol"]), DISALLOWED)
        assert state != DISALLOWED
        assert (job["route"] == ROUTE_EXPERIMENTAL_ONLY) is (state not in USABLE)


@CHECKED
@given(rows=_tables())
def test_no_skill_or_a_leak_never_makes_a_full_job(rows: list[Candidate]) -> None:
    """Whatever the other numbers say: a blocked leak, or an interval under zero skill, is no ordinary job."""
    numbers = {(row.target, row.symbol): row for row in rows}
    for job in _plan(_routes(rows))["jobs"]:
        row = numbers[job["target"], job["symbol"]]
        assert row.leakage_status != "BLOCKED"
        if job["route"] != ROUTE_EXPERIMENTAL_ONLY:
            low = row.score if row.score_ci_low is None else row.score_ci_low
            assert low is not None
            assert low > (0.5 if row.metric_name == "auc" else 0.0)
            assert row.kept is not False


@CHECKED
@given(rows=_tables())
def test_the_counts_add_up(rows: list[Candidate]) -> None:
    """Jobs, routes and blocked pairs are counted once each; ids are unique; order follows priority."""
    routes = _routes(rows)
    document = _plan(routes)
    summary, jobs = document["summary"], document["jobs"]
    assert document["metadata"]["total_jobs"] == len(jobs)
    assert document["metadata"]["total_fits"] == sum(len(job["fits"]) for job in jobs) == 2 * len(jobs)
    assert summary["total_cs_jobs"] + summary["total_symbol_jobs"] == len(jobs)
    assert sum(routes["summary"]["by_route"].values()) == len(TARGETS) * len(SYMBOLS)
    assert summary["total_blocked"] == routes["summary"]["by_route"][ROUTE_BLOCKED]
    assert len({job["job_id"] for job in jobs}) == len(jobs)
    priorities = [job["priority"] for job in jobs]
    assert priorities == sorted(priorities, reverse=True)


@CHECKED
@given(rows=_tables())
def test_a_target_is_blocked_with_reasons_or_has_jobs(rows: list[Candidate]) -> None:
    """Nothing falls between: each target trains or says why not, never both."""
    document = _plan(_routes(rows))
    training = {job["target"] for job in document["jobs"]}
    blocked = set(document["blocked"])
    assert training.isdisjoint(blocked)
    assert training | blocked == set(TARGETS)
    assert all(reasons and all(reasons) for reasons in document["blocked"].values())


@CHECKED
@given(rows=_tables(), order=some.randoms(use_true_random=False))
def test_the_order_of_candidates_changes_nothing(rows: list[Candidate], order: Any) -> None:
    """The same rows in any order are the same bytes."""
    shuffled = list(rows)
    order.shuffle(shuffled)
    assert json.dumps(_plan(_routes(rows))) == json.dumps(_plan(_routes(shuffled)))


@CHECKED
@given(rows=_tables())
def test_a_named_target_always_trains(rows: list[Candidate]) -> None:
    """Used as given means that every named target has a job."""
    document = _plan(_routes(rows, as_given=True))
    assert {job["target"] for job in document["jobs"]} == set(TARGETS)


@CHECKED
@given(rows=_tables())
def test_experiments_stay_within_their_share(rows: list[Candidate]) -> None:
    """Of three symbols at most one is an experiment of its own."""
    for target in TARGETS:
        own = [
            job
            for job in _plan(_routes(rows))["jobs"]
            if job["target"] == target
            and job["training_type"] == SYMBOL_SPECIFIC.lower()
            and job["route"] == ROUTE_EXPERIMENTAL_ONLY
        ]
        assert len(own) <= 1
