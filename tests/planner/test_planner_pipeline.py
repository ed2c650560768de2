"""The whole planning: tree of files, cache, equal bytes, final segment, named targets and features."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
from planner_samples import (
    FEATURES,
    SYMBOLS,
    ahead,
    frames,
    quick_config,
    request,
    rows_by,
    tree,
    write,
)

from panel.errors import NoTargets
from planner import make_plan
from planner.artifacts import read_table
from planner.errors import RequestInvalid
from planner.request import STEPS, PlanningResult, Progress
from planner.schema import TABLES, load_schema
from store.events import LeakFound, PlanningFinished, PlanningStarted, RouteChosen, TargetRanked
from store.plan import FamilyEntry
from store.plan_document import complete_plan, load_plan_directory


@dataclasses.dataclass(frozen=True)
class _Planned:
    """A planning that was done once for many tests."""

    data_dir: Path
    results_dir: Path
    result: PlanningResult
    words: list[Any]


def forgotten(cache_dir: Path) -> Path:
    """A measurement in the planner's cache that nobody has used for years."""
    entry = cache_dir / "planning" / "skill" / "old.json"
    entry.parent.mkdir(parents=True, exist_ok=True)
    entry.write_bytes(b"{}")
    os.utime(entry, (0, 0))
    return entry


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> _Planned:
    """Four symbols, one driven target, two of luck, and a feature that knows the future of one."""
    place = tmp_path_factory.mktemp("planned")
    data = frames()
    for seed, table in enumerate(data.values()):
        noise = np.random.default_rng(seed + 50).standard_normal(len(table))
        table["peek"] = table["y_luck_5d"] + 0.5 * noise
    data_dir = write(data, place / "data")
    words: list[Any] = []
    forgotten(place / "results" / "cache")
    result = make_plan(
        request(data_dir, place / "results", families=("light_gbm", "lstm")), tell=words.append
    )
    return _Planned(data_dir=data_dir, results_dir=place / "results", result=result, words=words)


def test_the_driven_target_is_planned_and_luck_is_not(planned: _Planned) -> None:
    """Only what can be predicted gets jobs; the rest is blocked with numbers."""
    assert planned.result.selected_targets == ("y_linear_1d",)
    assert {job["target"] for job in planned.result.training_plan["jobs"]} == {"y_linear_1d"}
    assert set(planned.result.blocked) == {"y_luck_1d", "y_luck_5d"}
    assert "is luck's size" in " ".join(planned.result.blocked["y_luck_1d"])
    assert planned.result.jobs > 0
    assert planned.result.sentence.startswith("1 job for 1 target planned in ")


def test_the_leak_is_blocked_and_used_nowhere(planned: _Planned) -> None:
    """Evidence for the target whose future it knows, left out everywhere."""
    row = next(
        row for row in planned.result.leaks if (row["target"], row["feature"]) == ("y_luck_5d", "peek")
    )
    assert row["verdict"] == "BLOCKED"
    assert "0." in row["evidence"]
    for job in planned.result.training_plan["jobs"]:
        assert "peek" not in job["features"]
        assert "peek" in job["blocked_features"]


def test_every_file_of_the_tree_is_there_and_valid(planned: _Planned) -> None:
    """Tables, plans and views, each against its schema."""
    results = planned.results_dir
    for name in TABLES:
        rows = read_table(results, name)
        assert rows == [dict(row) for row in getattr(planned.result, _FIELD[name])]
        for row in rows:
            jsonschema.validate(row, load_schema(name))
    routing = json.loads((results / "METRICS/routing_plan/routing_plan.json").read_text())
    jsonschema.validate(routing, load_schema("routing_plan"))
    plan_dir = results / "globals/training_plan"
    master = json.loads((plan_dir / "master_training_plan.json").read_text())
    jsonschema.validate(master, load_schema("training_plan"))
    assert master == planned.result.training_plan
    for path in plan_dir.glob("by_*/*.json"):
        jsonschema.validate(json.loads(path.read_text()), load_schema(path.parent.name))
    for name in ("routing_plan.yaml", "routing_plan.md"):
        assert (results / "METRICS/routing_plan" / name).stat().st_size > 0
    assert (results / "METRICS/training_plan").readlink() == Path("../globals/training_plan")
    assert not list(results.rglob("*.tmp"))


_FIELD = {
    "routing_candidates": "candidates",
    "target_ranking": "ranking",
    "leakage": "leaks",
    "feature_selection": "selections",
}


def test_the_store_takes_the_plan(planned: _Planned) -> None:
    """The only reader of plans completes it: fits with ids, features, fingerprints that match."""
    document, _ = load_plan_directory(planned.results_dir)
    plan = complete_plan(
        document,
        family_of=lambda name: FamilyEntry(name=name, stage="gpu" if name == "LSTM" else "cpu"),
        training={},
        data={"panel_key": planned.result.panel_key},
    )
    assert len(plan.jobs) == planned.result.jobs
    assert {fit.family for fit in plan.fits} == {"LightGBM", "LSTM"}
    assert plan.training["test_share"] == 0.2


def test_the_plan_says_how_to_find_the_same_data_again(planned: _Planned) -> None:
    """Absolute directory, symbols and fingerprint are in the metadata."""
    metadata = planned.result.training_plan["metadata"]
    assert metadata["data"]["data_dir"] == str(planned.data_dir)
    assert metadata["data"]["symbols"] == list(SYMBOLS)
    assert metadata["fingerprints"]["panel"] == planned.result.panel_key


def test_steps_and_decisions_are_told_as_they_happen(planned: _Planned) -> None:
    """Progress in the order of the steps, and events for every decision."""
    steps = [word.step for word in planned.words if isinstance(word, Progress)]
    assert list(dict.fromkeys(steps)) == list(STEPS)
    events = [word for word in planned.words if not isinstance(word, Progress)]
    assert isinstance(events[0], PlanningStarted)
    assert isinstance(events[-1], PlanningFinished)
    assert events[-1].jobs == planned.result.jobs
    assert sum(isinstance(event, TargetRanked) for event in events) == 3 * (1 + len(SYMBOLS))
    assert any(isinstance(event, LeakFound) and event.feature == "peek" for event in events)
    blocked = {
        event.target for event in events if isinstance(event, RouteChosen) and event.route == "ROUTE_BLOCKED"
    }
    assert {"y_luck_1d", "y_luck_5d"} <= blocked
    assert set(planned.result.seconds_by_step) == set(STEPS)


def test_a_second_call_reads_the_cache_and_writes_the_same_bytes(planned: _Planned, tmp_path: Path) -> None:
    """Nothing is measured twice, and no byte differs but the time of writing."""
    again = request(
        planned.data_dir,
        tmp_path / "again",
        families=("light_gbm", "lstm"),
        cache_dir=planned.results_dir / "cache",
    )
    result = make_plan(again)
    assert set(result.from_cache) == {"probing for leaks", "ranking targets"}
    assert planned.result.from_cache == ()
    assert tree(tmp_path / "again") == tree(planned.results_dir)


def test_what_nobody_uses_any_more_leaves_the_cache_when_something_new_is_measured(
    planned: _Planned, tmp_path: Path
) -> None:
    """One that measured forgets old measurements but no panel; one that measured nothing removes nothing."""
    cache = planned.results_dir / "cache"
    assert not (cache / "planning" / "skill" / "old.json").exists()
    assert planned.result.panel_path.exists()
    kept = forgotten(cache)
    make_plan(request(planned.data_dir, tmp_path / "again", cache_dir=cache))
    assert kept.exists()


def test_force_refresh_measures_anew_to_the_same_bytes(planned: _Planned, tmp_path: Path) -> None:
    """The cache is ignored, the answer is the same."""
    fresh = request(
        planned.data_dir,
        tmp_path / "fresh",
        families=("light_gbm", "lstm"),
        cache_dir=planned.results_dir / "cache",
        force_refresh=True,
    )
    assert make_plan(fresh).from_cache == ()
    assert tree(tmp_path / "fresh") == tree(planned.results_dir)


@pytest.mark.parametrize(
    ("section", "values", "kept"),
    [
        ("routing", {"cs_strong_correlation": 0.9}, {"probing for leaks", "ranking targets"}),
        ("ranking", {"false_discovery_rate": 0.01}, {"probing for leaks", "ranking targets"}),
        ("selection", {"max_features": 2}, {"probing for leaks", "ranking targets"}),
        ("leakage", {"suspect_increment": 0.14}, {"probing for leaks", "ranking targets"}),
        ("ranking", {"boosting_rounds": 5}, {"probing for leaks"}),
    ],
)
def test_a_changed_setting_redoes_only_what_it_changes(
    planned: _Planned, tmp_path: Path, section: str, values: dict[str, Any], kept: set[str]
) -> None:
    """Judging is free; measuring is redone only when a measuring setting changed."""
    cache = tmp_path / "cache"
    _copy(planned.results_dir / "cache", cache)
    changed = request(
        planned.data_dir, tmp_path / "results", config=quick_config(**{section: values}), cache_dir=cache
    )
    assert set(make_plan(changed).from_cache) == kept


def _copy(source: Path, target: Path) -> None:
    for path in source.rglob("*"):
        if path.is_file():
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())


def test_order_of_files_symbols_and_columns_changes_nothing(tmp_path: Path) -> None:
    """The same data in other order and other files is the same plan, byte for byte."""
    one, two = tmp_path / "one", tmp_path / "two"
    data = frames(rows=400)
    write(data, one / "data")
    for symbol in reversed(SYMBOLS):
        table = data[symbol]
        shuffled = table[list(reversed(table.columns))].iloc[::-1]
        (two / "data").mkdir(parents=True, exist_ok=True)
        shuffled.to_csv(two / "data" / f"{symbol}.csv", index=False)
    first = make_plan(request(one / "data", one / "results", symbols=SYMBOLS))
    second = make_plan(request(two / "data", two / "results", symbols=tuple(reversed(SYMBOLS))))
    assert first.panel_key == second.panel_key
    before, after = tree(one / "results"), tree(two / "results")
    assert before.keys() == after.keys()
    for name, content in before.items():
        assert content.replace(str(one).encode(), str(two).encode()) == after[name], name


def test_the_final_segment_changes_no_output_but_fingerprints(tmp_path: Path) -> None:
    """Other values in the last fifth of the time: the same ranking, leaks, features, routes and jobs."""
    data = frames(rows=400)
    write(data, tmp_path / "one" / "data")
    rng = np.random.default_rng(5)
    for table in data.values():
        late = table.index >= 320
        for name in (*FEATURES, "y_linear_1d", "y_luck_1d", "y_luck_5d"):
            changed = rng.standard_normal(int(late.sum())) * 30
            table.loc[late, name] = np.where(table.loc[late, name].isna(), np.nan, changed)
        table.loc[late, "beta"] = table.loc[late, "y_linear_1d"]
        table.loc[(table.index >= 315) & ~late, "y_luck_5d"] = 1e3
    write(data, tmp_path / "two" / "data")
    one = make_plan(request(tmp_path / "one/data", tmp_path / "one/results"))
    two = make_plan(request(tmp_path / "two/data", tmp_path / "two/results"))
    assert one.panel_key != two.panel_key
    assert one.ranking == two.ranking
    assert one.leaks == two.leaks
    assert one.selections == two.selections
    assert one.blocked == two.blocked
    assert one.training_plan["jobs"] == two.training_plan["jobs"]
    assert one.routing_plan["targets"] == two.routing_plan["targets"]
    assert [_without_key(row) for row in one.candidates] == [_without_key(row) for row in two.candidates]


def _without_key(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "panel_key"}


def test_named_targets_are_used_as_given_and_still_probed(planned: _Planned, tmp_path: Path) -> None:
    """A target of luck, named without --auto-targets, is trained; the tests' verdict stays in the reason."""
    named = request(
        planned.data_dir,
        tmp_path,
        targets=("y_luck_5d",),
        auto_targets=False,
        cache_dir=planned.results_dir / "cache",
    )
    result = make_plan(named)
    assert [job["job_id"] for job in result.training_plan["jobs"]] == ["cs_y_luck_5d"]
    reason = result.training_plan["jobs"][0]["reason"]
    assert "named by the user" in reason
    assert "is luck's size" in reason
    assert "peek" not in result.training_plan["jobs"][0]["features"]
    assert rows_by(result, "leaks", "target")["y_luck_5d"]


def test_named_targets_with_auto_targets_are_ranked_among_themselves(
    planned: _Planned, tmp_path: Path
) -> None:
    """Only the named are ranked, and only the good of them kept."""
    narrowed = request(planned.data_dir, tmp_path, targets=("y_luck_1d", "y_linear_1d"))
    result = make_plan(narrowed)
    assert result.selected_targets == ("y_linear_1d",)
    assert "y_luck_5d" not in {row["target"] for row in result.ranking if row["score"] is not None}


def test_named_features_are_used_as_given_even_a_leak_and_loudly(planned: _Planned, tmp_path: Path) -> None:
    """The user's list stands; what it knows of the future is said in warnings, table and status."""
    named = request(
        planned.data_dir,
        tmp_path,
        targets=("y_luck_5d",),
        features=("peek", "beta"),
        auto_targets=False,
        auto_features=False,
    )
    result = make_plan(named)
    job = next(job for job in result.training_plan["jobs"] if job["symbol"] is None)
    assert sorted(job["features"]) == ["beta", "peek"]
    assert any("peek" in warning and "know the future" in warning for warning in result.warnings)
    assert job["metadata"]["leakage_status"] == "SUSPECT"
    verdicts = {row["feature"]: row["verdict"] for row in result.leaks if row["target"] == "y_luck_5d"}
    assert verdicts == {"peek": "BLOCKED", "beta": "SAFE"}
    assert {row["reason"] for row in result.selections} == {"named by the user"}


def test_without_selection_every_fair_feature_is_used(planned: _Planned, tmp_path: Path) -> None:
    """Neither --auto-features nor --features: all that know nothing of the future."""
    plain = request(planned.data_dir, tmp_path, auto_features=False, cache_dir=planned.results_dir / "cache")
    for job in make_plan(plain).training_plan["jobs"]:
        assert sorted(job["features"]) == sorted(FEATURES)


def test_top_n_takes_the_best(tmp_path: Path) -> None:
    """Of two good targets the better one is planned, the other says its rank."""
    data = frames(rows=1500)
    for table in data.values():
        table["y_second_1d"] = table["y_linear_1d"] + 0.5 * np.random.default_rng(77).standard_normal(
            len(table)
        )
    write(data, tmp_path / "data")
    result = make_plan(request(tmp_path / "data", tmp_path / "results", top_n_targets=1))
    assert result.selected_targets == ("y_linear_1d",)
    assert result.blocked["y_second_1d"][0] == "rank 2 lies beyond the number of targets asked for"


def test_a_plan_with_nothing_to_train_is_written_and_says_so(tmp_path: Path) -> None:
    """Only luck in the data: no jobs, reasons for each target, all files there."""
    data = {name: table.drop(columns="y_linear_1d") for name, table in frames().items()}
    write(data, tmp_path / "data")
    result = make_plan(request(tmp_path / "data", tmp_path / "results"))
    assert result.jobs == 0
    assert result.sentence.startswith("no jobs: none of 2 targets may be trained")
    document = json.loads((result.plan_dir / "master_training_plan.json").read_text())
    assert document["jobs"] == []
    assert set(document["blocked"]) == {"y_luck_1d", "y_luck_5d"}
    jsonschema.validate(document, load_schema("training_plan"))
    assert read_table(tmp_path / "results", "routing_candidates") == []


def test_one_symbol_is_planned_by_itself(tmp_path: Path) -> None:
    """Without other symbols there are symbol jobs only."""
    write(frames(rows=3500, symbols=("AAA",)), tmp_path / "data")
    result = make_plan(request(tmp_path / "data", tmp_path / "results"))
    assert [job["job_id"] for job in result.training_plan["jobs"]] == ["sym_y_linear_1d_AAA"]


def test_odd_names_go_through(tmp_path: Path) -> None:
    """A target and a symbol with spaces and dots are planned like any other."""
    data = frames(rows=2000, symbols=("BRK.B", "A B"))
    for name, table in data.items():
        data[name] = table.rename(columns={"y_linear_1d": "y_odd name_1d"})
    write(data, tmp_path / "data")
    result = make_plan(request(tmp_path / "data", tmp_path / "results"))
    assert result.selected_targets == ("y_odd name_1d",)
    assert len(list((result.plan_dir / "by_target").iterdir())) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"targets": ("y_linear_2d",)}, "y_linear_1d"),
        ({"features": ("alpa",)}, "alpha"),
        ({"features": ("y_luck_1d",)}, "y_luck_1d"),
        ({"targets": ("alpha",)}, "cannot be used as a target"),
    ],
)
def test_a_name_that_is_not_there_is_refused_with_the_nearest(
    planned: _Planned, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    """Neither a target nor a feature is guessed, and a label never becomes a feature."""
    with pytest.raises(RequestInvalid, match=words):
        make_plan(request(planned.data_dir, tmp_path, **changes))
    assert not (tmp_path / "globals").exists()


def test_raw_bars_are_refused_by_the_panel(tmp_path: Path) -> None:
    """Data without targets is not planned; the error names the command that makes them."""
    stamps = pd.date_range("2020-01-01", periods=200, freq="D", tz="UTC").as_unit("ns")
    bars = pd.DataFrame({"ts": stamps, "open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5, "volume": 10.0})
    write({"AAA": bars}, tmp_path / "data")
    with pytest.raises(NoTargets, match="label"):
        make_plan(request(tmp_path / "data", tmp_path / "results"))


def test_targets_the_panel_left_out_are_in_the_ranking_with_the_fix(tmp_path: Path) -> None:
    """A target without a horizon is listed, and an override in the settings makes it usable."""
    data = frames(rows=400)
    for table in data.values():
        table["y_free"] = ahead(np.nan_to_num(table["y_luck_1d"].to_numpy()), 1)
    write(data, tmp_path / "data")
    result = make_plan(request(tmp_path / "data", tmp_path / "one"))
    assert "[data.horizons] y_free" in rows_by(result, "ranking", "target")["y_free"][0]["reason"]
    config = quick_config(data={"horizons": {"y_free": 1}})
    known = make_plan(request(tmp_path / "data", tmp_path / "two", config=config))
    assert rows_by(known, "ranking", "target")["y_free"][0]["score"] is not None
