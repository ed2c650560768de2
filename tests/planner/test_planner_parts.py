"""The small parts: families, estimates, rounding, candidates, cache, events, provenance, the lazy face."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from planner_samples import cell, fold_view, quick_config, target_column

import planner
from executors.errors import UnknownFamily
from executors.families import resolve
from planner.cache import Cache, fingerprint
from planner.candidates import Provenance, make_candidates
from planner.config import RankingConfig, RoutingConfig
from planner.estimates import estimate_fit
from planner.families import choose_families, fitting_families, unavailable_families
from planner.news import leak_news, ranking_news, routing_news, selection_news
from planner.provenance import config_hash
from planner.ranking import rank_targets
from planner.rounding import rounded
from planner.selection import select_features
from planner.skill import Measured, Skill
from planner.tables import Candidate, LeakRow
from store.events import FeaturesSelected, LeakFound, RouteChosen, TargetRanked

ORIGIN = Provenance(panel_key="d_1", config_hash="c1", code_version="1", seed=7)


def _leak(feature: str, verdict: str) -> LeakRow:
    return LeakRow(
        target="y",
        feature=feature,
        verdict=verdict,
        probe=None if verdict == "SAFE" else "correlation",
        evidence=f"evidence on {feature}",
        copy_correlation=0.1,
        increment=0.1,
        increment_bars=1,
        correlation=0.1,
        past_correlation=0.1,
        ratio_spike=0.0,
        noise_line=0.1,
        symbol=None,
    )


def _symbol(symbol: str, **changes: Any) -> Skill:
    return cell(**{"view": "SYMBOL_SPECIFIC", "symbol": symbol, "metric": "rank_corr", **changes})


def _candidates(cells: list[Skill], *leaks: LeakRow, unusable: tuple[str, ...] = ()) -> list[Candidate]:
    measured = [Measured(target="y", cells=tuple(cells))]
    ranking = rank_targets(measured, [target_column()], RankingConfig(), top=5)
    selections = [
        row
        for one in cells
        for row in select_features(one, quick_config(selection={"min_features": 1}).selection, verdicts={})
    ]
    return make_candidates(
        measured,
        ranking,
        selections,
        leaks,
        {"y": unusable},
        RoutingConfig(),
        ORIGIN,
        own_law_rate=RankingConfig().false_discovery_rate,
    )


def test_a_candidate_gathers_what_routing_looks_at() -> None:
    """Score, interval, tests, stability, features and where it all comes from."""
    (row,) = _candidates([cell()], unusable=("peek",))
    assert (row.score, row.score_ci_low, row.score_ci_high, row.q_value) == (0.1, 0.08, 0.12, 1e-10)
    assert row.stability == "STABLE"
    assert row.features == ("alpha", "beta")
    assert row.feature_set_id is not None
    assert row.feature_set_id.startswith("s_")
    assert row.blocked_features == ("peek",)
    assert (row.panel_key, row.config_hash, row.seed, row.mode) == ("d_1", "c1", 7, "CROSS_SECTIONAL")


def test_a_candidate_says_what_was_found_and_whose_law_it_is() -> None:
    """The law's kind, features, sign and age; who deviates, the law without them, each symbol's q-value."""
    pooled = cell(
        found_by="lag",
        leading=("gamma",),
        sign=-1,
        bars=5,
        deviating=("BBB",),
        rest_z=7.5,
        rest_p=1e-9,
        linear=0.05,
        boosted=0.09,
    )
    strange = _symbol("BBB", deviation_z=6.0, deviation_p=1e-6)
    usual = _symbol("AAA", deviation_z=0.4, deviation_p=0.9)
    alike = {row.symbol: row for row in _candidates([pooled, usual, strange, _symbol("CCC")])}
    common = alike[None]
    assert (common.found_by, common.leading, common.sign, common.lag_bars) == ("lag", ("gamma",), -1, 5)
    assert (common.deviating_symbols, common.rest_z, common.rest_p) == (("BBB",), 7.5, 1e-9)
    assert (common.best_model, common.folds, common.coverage, common.deviates) == ("boosted", 3, 1.0, None)
    assert (alike["BBB"].deviates, alike["BBB"].deviation_z) == (True, 6.0)
    assert alike["BBB"].deviation_q == pytest.approx(2e-6)
    assert (alike["AAA"].deviates, alike["AAA"].deviation_q) == (False, pytest.approx(0.9))
    assert (alike["CCC"].deviates, alike["CCC"].deviation_q) == (None, None)


def test_the_leakage_status_is_of_the_features_really_used() -> None:
    """A suspect that was not selected does not taint the row; one that was does; no feature at all blocks."""
    assert _candidates([cell()], _leak("gamma", "SUSPECT"))[0].leakage_status == "SAFE"
    suspect = _candidates([cell()], _leak("beta", "SUSPECT"))[0]
    assert suspect.leakage_status == "SUSPECT"
    assert suspect.leakage_reason == "beta: evidence on beta"
    nothing = cell(features=(), folds=(), score=None, low=None, reason="no feature is left")
    assert _candidates([nothing])[0].leakage_status == "BLOCKED"


def test_an_unmeasured_cell_is_a_candidate_with_its_reason() -> None:
    """It is there to be refused with words."""
    unmeasured = cell(score=None, low=None, folds=(), reason="too short", metric=None, p_value=None)
    row = _candidates([unmeasured])[0]
    assert (row.score, row.model_status, row.kept_reason) == (None, "FAILED", "dropped: too short")


def test_names_of_families_are_taken_in_any_spelling_once() -> None:
    """Stage order first, then the order given."""
    chosen = choose_families(["TabLSTM", "xgb", "light_gbm", "XGBoost", "tab_lstm"])
    assert chosen.names == ["XGBoost", "LightGBM", "TabLSTM"]
    assert chosen.left_out == {}
    assert choose_families([]).names == []


@pytest.mark.parametrize("name", ["random_forest", "CatBoost", "lasso_cv", "boruta"])
def test_selectors_are_set_aside_with_the_reason(name: str) -> None:
    """They are known, and known not to be trained."""
    chosen = choose_families([name, "LightGBM"])
    assert chosen.names == ["LightGBM"]
    assert name in chosen.left_out
    assert unavailable_families(chosen) == [f"{name}: {chosen.left_out[name]}"]


def test_a_family_nobody_knows_is_an_error() -> None:
    """No silent skipping."""
    with pytest.raises(UnknownFamily):
        choose_families(["Perceptron9000"])


def test_families_that_cannot_learn_a_task_are_split_off() -> None:
    """An unknown task excludes nobody."""
    families = [resolve("LightGBM"), resolve("QuantileLightGBM")]
    able, unable = fitting_families(families, "multiclass")
    assert [family.name for family in able] == ["LightGBM"]
    assert unable == {
        "QuantileLightGBM": "does not learn multiclass targets: quantiles are of numbers, and a class is none"
    }
    assert fitting_families(families, None) == (families, {})


def test_estimates_grow_with_the_data_and_know_when_they_do_not_know() -> None:
    """Orders of magnitude: more rows cost more, a sequence model costs more than trees."""
    small = estimate_fit(resolve("LightGBM"), rows=10_000, features=20)
    large = estimate_fit(resolve("LightGBM"), rows=1_000_000, features=20)
    slow = estimate_fit(resolve("LSTM"), rows=1_000_000, features=20)
    assert small["seconds"] is not None
    assert large["seconds"] is not None
    assert slow["seconds"] is not None
    assert small["seconds"] < large["seconds"] < slow["seconds"]
    assert (large["memory_bytes"] or 0) > (small["memory_bytes"] or 0)
    unknown = estimate_fit(resolve("MLP"), rows=None, features=3)
    assert (unknown["seconds"], unknown["memory_bytes"]) == (None, None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.123456789, 0.123457),
        (-1234567.0, -1234570.0),
        (0, 0.0),
        (float("nan"), 0.0),
        (float("inf"), 0.0),
        (1e-12, 1e-12),
    ],
)
def test_numbers_keep_six_digits(value: float, expected: float) -> None:
    """And are always finite."""
    assert rounded(value) == expected


def test_the_cache_answers_what_it_was_given(tmp_path: Path) -> None:
    """Equal parts give the value back, whatever the order of their keys; others give nothing."""
    cache = Cache(tmp_path)
    cache.keep("skill", {"a": 1, "b": [1, 2]}, {"x": 0.5})
    assert cache.find("skill", {"b": [1, 2], "a": 1}) == {"x": 0.5}
    assert cache.find("skill", {"a": 2, "b": [1, 2]}) is None
    assert cache.find("probes", {"a": 1, "b": [1, 2]}) is None
    assert (cache.hits["skill"], cache.misses["skill"]) == (1, 1)
    assert not cache.answered("skill")


def test_a_refreshing_cache_reads_nothing_and_writes(tmp_path: Path) -> None:
    """What it writes is there for the next."""
    Cache(tmp_path).keep("s", {"a": 1}, {"x": 1})
    refreshing = Cache(tmp_path, refresh=True)
    assert refreshing.find("s", {"a": 1}) is None
    refreshing.keep("s", {"a": 1}, {"x": 2})
    assert Cache(tmp_path).find("s", {"a": 1}) == {"x": 2}


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"value": 3}', b"\xff\xfe"])
def test_a_damaged_entry_is_no_entry(tmp_path: Path, damage: bytes) -> None:
    """It is measured again, not believed and not fatal."""
    cache = Cache(tmp_path)
    cache.keep("s", {"a": 1}, {"x": 1})
    (file,) = (tmp_path / "s").iterdir()
    file.write_bytes(damage)
    assert cache.find("s", {"a": 1}) is None


def test_fingerprints_are_of_content() -> None:
    """Order of keys is no content, values are."""
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 1.5})
    assert len(fingerprint([])) == 32


def test_the_hash_of_the_settings_covers_every_section_and_the_seed() -> None:
    """Any change is another plan."""
    plain = quick_config()
    others = [
        quick_config(routing={"cs_min_auc": 0.53}),
        quick_config(leakage={"trusted": ["a"]}),
        quick_config(training={"valid_share": 0.2}),
    ]
    hashes = {config_hash(config, 1) for config in (plain, *others)} | {config_hash(plain, 2)}
    assert len(hashes) == 5
    assert config_hash(plain, 1) == config_hash(quick_config(), 1)


def test_decisions_are_told_as_events() -> None:
    """Every ranked row, every verdict but SAFE, every selection, every route and every target left out."""
    heard: list[Any] = []
    ranking = rank_targets([Measured(target="y", cells=(cell(),))], [target_column()], RankingConfig(), top=1)
    ranking_news(ranking.rows, heard.append)
    leak_news([_leak("alpha", "SAFE"), _leak("beta", "BLOCKED")], heard.append)
    config = quick_config(selection={"min_features": 1}).selection
    selection_news(select_features(cell(), config, verdicts={}), heard.append)
    routes = {
        "targets": {
            "y": {
                "cross_sectional": {"training_route": "ROUTE_CROSS_SECTIONAL", "reason": "good"},
                "symbols": {"AAA": {"route": "ROUTE_BOTH", "reason": ["one", "two"]}},
            }
        },
        "blocked": {"y": ["listed above"], "n": ["luck", "luck again"]},
    }
    routing_news(routes, heard.append)
    kinds = [type(event) for event in heard]
    assert kinds == [TargetRanked, LeakFound, FeaturesSelected, RouteChosen, RouteChosen, RouteChosen]
    assert heard[0].kept
    assert heard[1].feature == "beta"
    assert heard[2].features == ("alpha", "beta")
    assert heard[2].left_out == 1
    assert (heard[4].symbol, heard[4].reason) == ("AAA", "one; two")
    assert (heard[5].target, heard[5].route, heard[5].reason) == ("n", "ROUTE_BLOCKED", "luck; luck again")


def test_the_face_has_what_the_seeds_import() -> None:
    """All names of the face load, and a slip is an AttributeError."""
    for name in planner.__all__:
        assert getattr(planner, name) is not None
    with pytest.raises(AttributeError, match="nothing_like_it"):
        planner.nothing_like_it  # noqa: B018 - that it cannot be got is the test


def test_the_face_is_light() -> None:
    """Importing the package and its requests loads neither numpy nor any training library."""
    program = (
        "import sys, json, planner, planner.request\n"
        "heavy = ('numpy', 'pandas', 'pyarrow', 'lightgbm', 'scipy')\n"
        "print(json.dumps([name for name in heavy if name in sys.modules]))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert json.loads(answer.stdout) == []


def test_a_fold_view_knows_its_features_by_place() -> None:
    """The samples the tests build have one number for each feature."""
    view = fold_view((0.1, -0.2))
    assert view.ridge == (0.1, 0.2)
