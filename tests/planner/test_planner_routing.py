"""Golden tests of the routing rules: one for each state, each combination, each closed gap."""

from __future__ import annotations

from typing import Any

import pytest
from planner_samples import candidate, local_candidate

from planner.config import RoutingConfig
from planner.routing import (
    ROUTE_BLOCKED,
    ROUTE_BOTH,
    ROUTE_CROSS_SECTIONAL,
    ROUTE_EXPERIMENTAL_ONLY,
    ROUTE_SYMBOL_SPECIFIC,
    ROUTES,
    combine,
    route_counts,
    route_target,
)
from planner.signals import DISALLOWED, EXPERIMENTAL, STRONG, WEAK_BUT_OK, describe, signal_of
from planner.tables import Candidate

CONFIG = RoutingConfig()
SHAKY: dict[str, Any] = {
    "kept": False,
    "kept_reason": "q 0.09 above 0.05",
    "stability": "DRIFTING",
    "p_value": 0.03,
}


@pytest.mark.parametrize(
    ("row", "state"),
    [
        (candidate(), STRONG),
        (candidate(score=0.03, score_ci_low=0.01), STRONG),
        (candidate(score=0.029, score_ci_low=0.02), WEAK_BUT_OK),
        (candidate(score=0.5, score_ci_low=0.009), DISALLOWED),
        (candidate(score=0.10, score_ci_low=None, score_ci_high=None), STRONG),
        (candidate(stability="DRIFTING"), STRONG),
        (candidate(stability="UNKNOWN"), STRONG),
        (candidate(stability="DIVERGED"), DISALLOWED),
        (local_candidate(), STRONG),
        (local_candidate(score=0.05, score_ci_low=0.02), STRONG),
        (local_candidate(score=0.049, score_ci_low=0.02), WEAK_BUT_OK),
        (local_candidate(stability="UNKNOWN"), STRONG),
        (local_candidate(stability="DRIFTING"), EXPERIMENTAL),
        (local_candidate(stability="DIVERGED"), DISALLOWED),
        (local_candidate(stability="DRIFTING", p_value=0.06), DISALLOWED),
        (local_candidate(stability="DRIFTING", score=0.019), DISALLOWED),
    ],
)
def test_the_state_of_a_regression_row(row: Candidate, state: str) -> None:
    """The low end of the interval is held against the minimum, the score against the strong line."""
    assert signal_of(row, CONFIG).state == state


@pytest.mark.parametrize(
    ("score", "low", "local", "state"),
    [
        (0.515, 0.505, False, STRONG),
        (0.514, 0.505, False, WEAK_BUT_OK),
        (0.60, 0.504, False, DISALLOWED),
        (0.525, 0.51, True, STRONG),
        (0.524, 0.51, True, WEAK_BUT_OK),
        (0.65, 0.509, True, DISALLOWED),
    ],
)
def test_the_state_of_a_class_row(score: float, low: float, local: bool, state: str) -> None:
    """Classes are judged by AUC, with the stricter lines for a single symbol."""
    changes: dict[str, Any] = {
        "score": score,
        "score_ci_low": low,
        "metric_name": "auc",
        "task_type": "binary",
    }
    row = local_candidate(**changes) if local else candidate(**changes)
    assert signal_of(row, CONFIG).state == state


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"score": None, "kept_reason": "dropped: too short"}, "too short"),
        ({"sample_size": 1_999}, "1999 rows, 2000 needed"),
        ({"effective_sample_size": 12.0}, "12 effective rows of 10000, 50 needed"),
        ({"leakage_status": "BLOCKED", "leakage_reason": "all of it"}, "blocked by a leak: all of it"),
        ({"kept": False, "kept_reason": "dropped: q 0.5"}, "dropped: q 0.5"),
        ({"score_ci_low": -0.01}, "low end -0.01 under the minimum 0.01"),
    ],
)
def test_a_row_that_may_not_train_says_why(changes: dict[str, Any], words: str) -> None:
    """Every refusal carries the number that decided."""
    signal = signal_of(candidate(**changes), CONFIG)
    assert signal.state == DISALLOWED
    assert words in signal.reason


def test_a_missing_row_is_disallowed() -> None:
    """What was not measured is not trained."""
    assert signal_of(None, CONFIG).state == DISALLOWED


def test_a_leak_does_not_block_when_the_configuration_says_so() -> None:
    """The switch of the older system works."""
    row = candidate(leakage_status="BLOCKED")
    assert signal_of(row, RoutingConfig(block_on_leakage=False)).state == STRONG


def test_the_experimental_lane_can_be_closed() -> None:
    """Without the lane a shaky row is no row."""
    assert signal_of(local_candidate(**SHAKY), CONFIG).state == EXPERIMENTAL
    assert signal_of(local_candidate(**SHAKY), RoutingConfig(experimental_lane=False)).state == DISALLOWED


def test_a_row_of_the_older_system_without_tests_is_judged_by_its_interval() -> None:
    """No p, q or verdict in the table: score, interval, rows and stability still decide."""
    row = candidate(kept=None, kept_reason=None, p_value=None, q_value=None, effective_sample_size=None)
    assert signal_of(row, CONFIG).state == STRONG


@pytest.mark.parametrize(
    ("pooled", "local", "route"),
    [
        (DISALLOWED, DISALLOWED, ROUTE_BLOCKED),
        (DISALLOWED, WEAK_BUT_OK, ROUTE_SYMBOL_SPECIFIC),
        (DISALLOWED, STRONG, ROUTE_SYMBOL_SPECIFIC),
        (DISALLOWED, EXPERIMENTAL, ROUTE_EXPERIMENTAL_ONLY),
        (WEAK_BUT_OK, DISALLOWED, ROUTE_CROSS_SECTIONAL),
        (STRONG, DISALLOWED, ROUTE_CROSS_SECTIONAL),
        (EXPERIMENTAL, DISALLOWED, ROUTE_EXPERIMENTAL_ONLY),
        (STRONG, STRONG, ROUTE_BOTH),
        (STRONG, WEAK_BUT_OK, ROUTE_BOTH),
        (WEAK_BUT_OK, STRONG, ROUTE_BOTH),
        (WEAK_BUT_OK, WEAK_BUT_OK, ROUTE_BOTH),
        (STRONG, EXPERIMENTAL, ROUTE_CROSS_SECTIONAL),
        (WEAK_BUT_OK, EXPERIMENTAL, ROUTE_CROSS_SECTIONAL),
        (EXPERIMENTAL, STRONG, ROUTE_SYMBOL_SPECIFIC),
        (EXPERIMENTAL, WEAK_BUT_OK, ROUTE_SYMBOL_SPECIFIC),
        (EXPERIMENTAL, EXPERIMENTAL, ROUTE_EXPERIMENTAL_ONLY),
    ],
)
def test_every_pair_of_states_has_its_route(pooled: str, local: str, route: str) -> None:
    """All sixteen combinations, none left to chance."""
    chosen, rule = combine(pooled, local, "ROUTE_BOTH")
    assert chosen == route
    assert rule


@pytest.mark.parametrize(
    ("behavior", "route"),
    [
        ("PREFER_CS", ROUTE_CROSS_SECTIONAL),
        ("PREFER_SYMBOL", ROUTE_SYMBOL_SPECIFIC),
        ("ROUTE_BOTH", ROUTE_BOTH),
    ],
)
def test_two_usable_signals_follow_the_preference(behavior: str, route: str) -> None:
    """The older system's three behaviours for two usable signals."""
    assert combine(STRONG, WEAK_BUT_OK, behavior)[0] == route


def test_both_strong_is_said_in_the_words_of_the_older_system() -> None:
    """The reason of a job that needs the ensemble is the one users know."""
    assert combine(STRONG, STRONG, "ROUTE_BOTH")[1] == "Both CS and local strong → ROUTE_BOTH"


def test_a_target_routes_each_symbol_by_its_own_row() -> None:
    """One strong symbol gets both, one without a row is covered by the common model."""
    route = route_target("y", [candidate(), local_candidate("AAA")], ["BBB", "AAA"], CONFIG)
    assert [(row.symbol, row.route) for row in route.symbols] == [
        ("AAA", ROUTE_BOTH),
        ("BBB", ROUTE_CROSS_SECTIONAL),
    ]
    assert route.cross_sectional_route == ROUTE_CROSS_SECTIONAL


def test_reasons_carry_rule_numbers_and_the_pooled_comparison() -> None:
    """A reader sees which rule fired, both rows' numbers, and how the common model does on that symbol."""
    rows = [candidate(), local_candidate("AAA", score=0.2, pooled_score=0.25)]
    reasons = "; ".join(route_target("y", rows, ["AAA", "BBB"], CONFIG).symbols[0].reasons)
    assert "ROUTE_BOTH" in reasons
    assert "CS: rank_ic 0.1 (95 % 0.08 to 0.12), q 1e-05, STABLE: strong (low end ≥ 0.01" in reasons
    assert "local: rank_corr 0.2 (95 % 0.08 to 0.12), q 1e-05, STABLE: strong" in reasons
    assert "its own model scores 0.2, the pooled one 0.25" in reasons


def test_an_experimental_common_signal_is_an_experimental_job() -> None:
    """All symbols together may be an experiment too, never a full job."""
    shaky = candidate(**SHAKY)
    route = route_target("y", [shaky], ["AAA", "BBB"], CONFIG)
    assert route.cross_sectional.state == EXPERIMENTAL
    assert route.cross_sectional_route == ROUTE_EXPERIMENTAL_ONLY
    assert route.symbols[0].route == ROUTE_EXPERIMENTAL_ONLY


def test_the_common_model_is_left_out_when_every_symbol_prefers_its_own() -> None:
    """Preferring symbols, with all of them usable, trains no model that nobody asks for."""
    config = RoutingConfig(both_strong_behavior="PREFER_SYMBOL")
    rows = [candidate(), local_candidate("AAA"), local_candidate("BBB")]
    assert route_target("y", rows, ["AAA", "BBB"], config).cross_sectional_route == ROUTE_BLOCKED
    assert route_target("y", rows[:2], ["AAA", "BBB"], config).cross_sectional_route == ROUTE_CROSS_SECTIONAL


def test_the_share_of_experimental_symbols_is_capped_and_the_best_stay() -> None:
    """A fifth of ten symbols may be experiments: the two best-scored; the others say the lane is full."""
    symbols = [f"S{number}" for number in range(10)]
    rows = [
        local_candidate(symbol, **{**SHAKY, "score": 0.05 + number / 100})
        for number, symbol in enumerate(symbols)
    ]
    route = route_target("y", rows, symbols, CONFIG)
    trying = [row.symbol for row in route.symbols if row.route == ROUTE_EXPERIMENTAL_ONLY]
    assert trying == ["S8", "S9"]
    blocked = next(row for row in route.symbols if row.symbol == "S0")
    assert blocked.route == ROUTE_BLOCKED
    assert blocked.reasons[0].startswith("experimental lane full: 2 of 10 symbols")
    assert blocked.local.state == DISALLOWED


def test_a_named_target_is_trained_whatever_the_tests_say() -> None:
    """A target the user named goes through the common model, and the reasons keep the verdict."""
    bad = candidate(kept=False, kept_reason="dropped: q 0.8", p_value=0.8)
    route = route_target("y", [bad], ["AAA", "BBB"], CONFIG, as_given=True)
    assert route.cross_sectional_route == ROUTE_CROSS_SECTIONAL
    assert "named by the user" in route.cross_sectional.reason
    assert "dropped: q 0.8" in route.cross_sectional.reason
    assert {row.route for row in route.symbols} == {ROUTE_CROSS_SECTIONAL}


def test_a_named_target_of_a_single_symbol_is_trained_through_that_symbol() -> None:
    """With one symbol there is nothing to pool."""
    route = route_target("y", [], ["AAA"], CONFIG, as_given=True)
    assert route.cross_sectional_route == ROUTE_BLOCKED
    assert route.symbols[0].route == ROUTE_SYMBOL_SPECIFIC


def test_a_named_target_that_passes_takes_its_ordinary_routes() -> None:
    """Naming a target changes nothing when the rules train it anyway."""
    rows = [candidate(), local_candidate("AAA")]
    symbols = ["AAA", "BBB"]
    assert route_target("y", rows, symbols, CONFIG, as_given=True) == route_target("y", rows, symbols, CONFIG)


def test_counts_name_every_route() -> None:
    """A summary shows the zeros as well."""
    counts = route_counts([route_target("y", [candidate()], ["AAA", "BBB"], CONFIG)])
    assert set(counts) == set(ROUTES)
    assert counts[ROUTE_CROSS_SECTIONAL] == 2


def test_a_row_without_interval_is_still_described() -> None:
    """Older tables have only a score."""
    row = candidate(standard_error=None, score_ci_low=None, q_value=None)
    assert describe(row) == "rank_ic 0.1, STABLE"


def test_a_row_of_a_score_and_its_error_is_described_with_both() -> None:
    """Where no interval was told the error stands in its place."""
    row = candidate(standard_error=0.012, score_ci_low=None, score_ci_high=None, q_value=None)
    assert describe(row) == "rank_ic 0.1 ± 0.012, STABLE"


def test_an_experiment_beyond_the_lane_is_still_part_of_a_common_experiment() -> None:
    """The cap takes away the symbol's own trial, not its rows in the trial of all symbols."""
    symbols = [f"S{number}" for number in range(6)]
    rows = [candidate(**SHAKY), *(local_candidate(symbol, **SHAKY) for symbol in symbols)]
    route = route_target("y", rows, symbols, CONFIG)
    assert {row.route for row in route.symbols} == {ROUTE_EXPERIMENTAL_ONLY}
    assert [row.symbol for row in route.symbols if row.local.state == EXPERIMENTAL] == ["S0"]


def test_a_closed_share_leaves_no_experiment_of_a_symbol() -> None:
    """A share of zero is none, not one."""
    config = RoutingConfig(experimental_max_symbol_share=0.0)
    route = route_target("y", [local_candidate(**SHAKY)], ["AAA", "BBB"], config)
    assert {row.route for row in route.symbols} == {ROUTE_BLOCKED}


def test_skill_of_the_deviating_symbols_alone_is_no_common_skill() -> None:
    """The pooled view falls, says whose the skill is, and those symbols get models of their own."""
    pooled = candidate(deviating_symbols=("AAA", "CCC"), rest_z=0.4, rest_p=0.7)
    rows = [pooled, local_candidate("AAA", deviates=True), local_candidate("CCC", deviates=True)]
    route = route_target("y", rows, ["AAA", "BBB", "CCC"], CONFIG)
    assert route.cross_sectional.state == DISALLOWED
    assert "the skill is of AAA, CCC alone: without them z 0.4, p 0.7" in route.cross_sectional.reason
    assert [row.route for row in route.symbols] == [
        ROUTE_SYMBOL_SPECIFIC,
        ROUTE_BLOCKED,
        ROUTE_SYMBOL_SPECIFIC,
    ]


@pytest.mark.parametrize(
    ("changes", "config"),
    [
        ({"rest_p": 0.01}, {}),
        ({"rest_p": None}, {}),
        ({"rest_p": 0.7, "deviating_symbols": ()}, {}),
        ({"rest_p": 0.7}, {"max_rest_p_value": 1.0}),
    ],
)
def test_common_skill_stays_common(changes: dict[str, Any], config: dict[str, Any]) -> None:
    """Significant without the deviating symbols, not measured, nobody deviates, or the line is off."""
    row = candidate(**{"deviating_symbols": ("AAA",), "rest_z": 3.0, **changes})
    assert signal_of(row, RoutingConfig(**config)).state == STRONG


def test_many_deviating_symbols_are_counted() -> None:
    """A sentence names five and counts the rest."""
    row = candidate(deviating_symbols=tuple(f"S{n}" for n in range(8)), rest_p=0.7)
    assert "S0, S1, S2, S3, S4 and 3 more alone: without them p 0.7" in signal_of(row, CONFIG).reason


@pytest.mark.parametrize(
    ("deviates", "config", "route"),
    [
        (False, {}, ROUTE_CROSS_SECTIONAL),
        (False, {"both_strong_behavior": "PREFER_SYMBOL"}, ROUTE_CROSS_SECTIONAL),
        (False, {"require_deviation": False}, ROUTE_BOTH),
        (True, {}, ROUTE_BOTH),
        (True, {"both_strong_behavior": "PREFER_CS"}, ROUTE_CROSS_SECTIONAL),
        (True, {"both_strong_behavior": "PREFER_SYMBOL"}, ROUTE_SYMBOL_SPECIFIC),
        (None, {}, ROUTE_BOTH),
    ],
)
def test_a_symbol_gets_its_own_model_beside_the_common_one_only_where_its_law_differs(
    deviates: bool | None, config: dict[str, Any], route: str
) -> None:
    """One law for all asks for one model, whatever is preferred; unknown is as it was before."""
    rows = [candidate(), local_candidate("AAA", deviates=deviates, deviation_z=1.2, deviation_q=0.8)]
    found = route_target("y", rows, ["AAA", "BBB"], RoutingConfig(**config)).symbols[0]
    assert found.route == route
    numbers = "deviation z 1.2, q 0.8"
    said = {
        True: [f"its law is its own: {numbers}"],
        False: [f"its law is the common one: {numbers}"],
        None: [],
    }
    assert [words for words in found.reasons if "its law" in words] == said[deviates]


def test_a_symbol_with_the_common_law_is_trained_alone_where_the_common_model_is_not() -> None:
    """Without a usable common view its own usable one counts."""
    rows = [candidate(kept=False), local_candidate("AAA", deviates=False)]
    assert route_target("y", rows, ["AAA", "BBB"], CONFIG).symbols[0].route == ROUTE_SYMBOL_SPECIFIC


@pytest.mark.parametrize(
    ("score", "changes", "state"),
    [
        (0.0, {"score": 0.02, "score_ci_low": 0.012}, WEAK_BUT_OK),
        (0.02, {"score": 0.03, "score_ci_low": 0.019}, DISALLOWED),
        (0.02, {"score": 0.03, "score_ci_low": 0.02}, STRONG),
        (0.08, {"score": 0.09, "score_ci_low": 0.08}, STRONG),
        (0.02, {"score": 0.514, "score_ci_low": 0.51, "metric_name": "auc"}, WEAK_BUT_OK),
        (0.06, {"score": 0.55, "score_ci_low": 0.529, "metric_name": "auc"}, DISALLOWED),
        (0.06, {"score": 0.55, "score_ci_low": 0.53, "metric_name": "auc"}, STRONG),
    ],
)
def test_min_score_raises_every_minimum_on_the_scale_of_skill(
    score: float, changes: dict[str, Any], state: str
) -> None:
    """A correlation counts as it is, an AUC double above one half; what was higher stays."""
    assert signal_of(candidate(**changes), RoutingConfig(min_score=score)).state == state


def test_min_score_holds_for_experiments_too() -> None:
    """No lane leads around it."""
    row = local_candidate(**{**SHAKY, "score": 0.05})
    assert signal_of(row, RoutingConfig(min_score=0.05)).state == EXPERIMENTAL
    assert signal_of(row, RoutingConfig(min_score=0.06)).state == DISALLOWED


@pytest.mark.parametrize(
    ("status", "config", "state"),
    [
        ("SUSPECT", {}, STRONG),
        ("UNKNOWN", {}, STRONG),
        ("SUSPECT", {"require_safe_features_only": True}, DISALLOWED),
        ("UNKNOWN", {"require_safe_features_only": True}, DISALLOWED),
        ("SAFE", {"require_safe_features_only": True}, STRONG),
        (
            "SUSPECT",
            {"require_safe_features_only": True, "allowed_feature_leakage_status": ("SAFE", "SUSPECT")},
            STRONG,
        ),
    ],
)
def test_the_status_of_the_features_decides_as_configured(
    status: str, config: dict[str, Any], state: str
) -> None:
    """The older system's two switches are enforced, and a suspect feature is named in the reason."""
    row = candidate(leakage_status=status, leakage_reason="alpha: correlation 0.2")
    signal = signal_of(row, RoutingConfig(**config))
    assert signal.state == state
    assert ("alpha: correlation 0.2" in signal.reason) == (status == "SUSPECT" or state == DISALLOWED)


def test_one_symbol_has_nothing_to_pool() -> None:
    """A single symbol is trained through its own row, never twice on the same rows."""
    route = route_target("y", [candidate(), local_candidate("AAA")], ["AAA"], CONFIG)
    assert route.cross_sectional_route == ROUTE_BLOCKED
    assert "1 symbol, 2 needed to pool" in route.cross_sectional_reason
    assert route.symbols[0].route == ROUTE_SYMBOL_SPECIFIC
