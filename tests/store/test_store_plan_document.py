"""The plan document: the older format is accepted; what is broken is refused with place and fix."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest
from store_samples import DATA, cs_job, document, family_of, plan_of

from store import Plan, PlanRejected, complete_plan, find_plan, load_plan_directory, parse_plan_text
from store.plan_document import MASTER, MIRROR, summary_of

# The example of the older guide; its placeholders are filled, its counts are those of the two jobs shown.
SEED: dict[str, Any] = json.loads("""
{
  "metadata": {
    "generated_at": "2025-12-11T18:45:00Z",
    "routing_plan_path": "routing_candidates.parquet",
    "total_jobs": 2,
    "model_families": ["lightgbm", "xgboost"]
  },
  "jobs": [
    {
      "job_id": "cs_y_will_swing_low_10m_0.20",
      "target": "y_will_swing_low_10m_0.20",
      "symbol": null,
      "route": "ROUTE_CROSS_SECTIONAL",
      "training_type": "cross_sectional",
      "model_families": ["lightgbm", "xgboost"],
      "priority": 2,
      "reason": "CS training enabled",
      "metadata": {"cs_state": "STRONG", "sample_size": null}
    },
    {
      "job_id": "sym_y_will_swing_low_10m_0.20_AAPL",
      "target": "y_will_swing_low_10m_0.20",
      "symbol": "AAPL",
      "route": "ROUTE_BOTH",
      "training_type": "symbol_specific",
      "model_families": ["lightgbm", "xgboost"],
      "priority": 3,
      "reason": "Both CS and local strong → ROUTE_BOTH",
      "metadata": {"needs_cs_ensemble": true}
    }
  ],
  "summary": {
    "by_route": {"ROUTE_CROSS_SECTIONAL": 1, "ROUTE_BOTH": 1},
    "by_type": {"cross_sectional": 1, "symbol_specific": 1},
    "by_priority": {"2": 1, "3": 1},
    "total_cs_jobs": 1,
    "total_symbol_jobs": 1,
    "total_blocked": 0
  }
}
""")


def completed(raw: dict[str, Any], **training: Any) -> Plan:
    checked = parse_plan_text(json.dumps(raw).encode(), source="test")
    return complete_plan(checked, family_of=family_of, training=training, data=DATA)


def refused(raw: Any) -> PlanRejected:
    """Return the refusal of a document, given as text, bytes or value."""
    data = raw if isinstance(raw, bytes) else (raw if isinstance(raw, str) else json.dumps(raw)).encode()
    with pytest.raises(PlanRejected) as found:
        parse_plan_text(data, source="inbox/x")
    assert found.value.fix
    assert "inbox/x" in str(found.value)
    return found.value


def changed(*path: Any, to: Any) -> dict[str, Any]:
    """Return the seed with one value replaced."""
    raw = copy.deepcopy(SEED)
    inner: Any = raw
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = to
    return raw


def test_the_example_of_the_older_guide_is_accepted() -> None:
    """The older system's plan, without any of our additions, is a plan of four fits and a blend."""
    plan = completed(SEED)
    assert [fit.family for fit in plan.fits] == ["LightGBM", "XGBoost", "LightGBM", "XGBoost", "Blend"]
    assert [fit.ordinal for fit in plan.fits] == [0, 1, 2, 3, 4]
    assert plan.jobs[1].metadata == {"needs_cs_ensemble": True}
    assert (plan.jobs[1].symbol, plan.jobs[1].route, plan.jobs[1].priority) == ("AAPL", "ROUTE_BOTH", 3)
    assert plan.document["summary"] == SEED["summary"]
    assert plan.id == "p_" + plan.sha256[:16]


def test_the_short_example_of_the_older_guide_is_accepted() -> None:
    """A job of four fields is enough: route, priority and the rest have defaults."""
    job = {
        "job_id": "cs_y_will_swing_low_10m_0.20",
        "target": "y_will_swing_low_10m_0.20",
        "training_type": "cross_sectional",
        "model_families": ["LightGBM", "XGBoost", "LSTM"],
    }
    plan = completed({"jobs": [job]})
    assert [fit.stage for fit in plan.fits] == ["cpu", "cpu", "gpu"]
    assert (plan.jobs[0].route, plan.jobs[0].priority) == ("ROUTE_CROSS_SECTIONAL", 2)


def test_both_spellings_of_a_family_make_the_same_plan() -> None:
    """snake_case and CamelCase families lead to one plan id, and doubles count once."""
    camel = changed("jobs", 0, "model_families", to=["LightGBM", "XGBoost", "light_gbm"])
    assert completed(camel).id == completed(SEED).id


def test_an_unknown_family_is_refused_with_its_place() -> None:
    """The catalogue's own sentence is kept, and the place is the family's."""
    with pytest.raises(PlanRejected) as found:
        completed(changed("jobs", 1, "model_families", to=["lightgbm", "lightgmb"]))
    assert found.value.place == "jobs[1].model_families[1]"
    assert "nearest is LightGBM" in found.value.sentence


def test_families_come_from_the_plan_or_the_settings_where_a_job_has_none() -> None:
    """An older plan whose jobs name no families uses the plan's list, else the settings'."""
    job = {key: value for key, value in SEED["jobs"][0].items() if key != "model_families"}
    listed = {"metadata": {"model_families": ["xgboost"]}, "jobs": [job]}
    assert [fit.family for fit in completed(listed).fits] == ["XGBoost"]
    assert [fit.family for fit in completed({"jobs": [job]}, model_families=["lstm"]).fits] == ["LSTM"]


def test_an_empty_list_of_families_is_respected() -> None:
    """A job with an empty list trains nothing, whatever the plan's list says."""
    plan = completed(changed("jobs", 0, "model_families", to=[]))
    assert [len(job.fits) for job in plan.jobs] == [0, 2]


def test_identity_ignores_the_date_and_heeds_the_rest() -> None:
    """The id changes with jobs, data and settings that change models, not with date or thread count."""
    base = completed(SEED, seed=1).id
    later = changed("metadata", "generated_at", to="2026-01-01T00:00:00Z")
    assert completed(later, seed=1, threads=8).id == base
    assert completed(SEED, seed=2).id != base
    assert completed(changed("jobs", 0, "priority", to=1), seed=1).id != base
    other = complete_plan(SEED, family_of=family_of, training={"seed": 1}, data={**DATA, "panel_key": "d_2"})
    assert other.id != base


def test_the_same_rows_in_another_place_are_the_same_plan() -> None:
    """A known fingerprint says what the data is; where it lies is no part of the plan's identity."""
    here = changed("metadata", "data", to={"data_dir": "/srv/here"})
    there = changed("metadata", "data", to={"data_dir": "/mnt/there"})
    assert completed(here).id == completed(there).id
    unknown = [
        complete_plan(raw, family_of=family_of, training={}, data={**DATA, "panel_key": None}).id
        for raw in (here, there)
    ]
    assert unknown[0] != unknown[1]


def test_identity_does_not_hang_on_the_order_of_keys() -> None:
    """Two texts of the same document are one plan."""
    turned = json.loads(json.dumps(SEED, sort_keys=True))
    assert completed(turned).id == completed(SEED).id


def test_settings_in_the_document_win() -> None:
    """The plan's own training block stands over the daemon's settings."""
    raw = changed("metadata", "training", to={"seed": 7, "stage_barrier": "job"})
    plan = completed(raw, seed=1, folds=3)
    assert (plan.training["seed"], plan.training["folds"], plan.stage_barrier) == (7, 3, "job")


def test_our_additions_and_unknown_fields_are_kept() -> None:
    """Features, estimates and fields of later versions survive in the job's record."""
    job = {**cs_job("y"), "features": ["a", "b"], "estimate": {"seconds": 3.5}}
    plan = plan_of(job)
    assert plan.jobs[0].features == ("a", "b")
    assert plan.jobs[0].record["estimate"] == {"seconds": 3.5}


def test_a_plan_made_from_other_data_is_refused() -> None:
    """The data's fingerprint in the plan must be the one of the data at hand."""
    raw = changed("metadata", "fingerprints", to={"panel": "d_other"})
    with pytest.raises(PlanRejected, match="made from other data"):
        completed(raw)
    assert completed(changed("metadata", "fingerprints", to={"panel": "d_1"}))


def test_blocked_jobs_are_listed_and_not_trained() -> None:
    """A blocked job has no fits; a plan of nothing else is refused."""
    blocked = {
        "job_id": "blocked_y_AAPL",
        "target": "y",
        "symbol": "AAPL",
        "training_type": "blocked",
        "route": "ROUTE_BLOCKED",
    }
    plan = plan_of(cs_job("y"), {**blocked, "model_families": ["lightgbm"]})
    assert [len(job.fits) for job in plan.jobs] == [2, 0]
    assert plan.document["summary"]["total_blocked"] == 1
    assert "every job is blocked" in refused(document(blocked)).sentence


@pytest.mark.parametrize("cut", [1, 50, 400, len(json.dumps(SEED)) - 1])
def test_truncated_json_is_refused(cut: int) -> None:
    """A text that ends early is refused with line and column."""
    refusal = refused(json.dumps(SEED)[:cut])
    assert "truncated" in refusal.sentence
    assert refusal.place.startswith("line 1 column ")


@pytest.mark.parametrize("depth", [60, 5_000, 200_000])
def test_json_that_is_too_deep_is_refused(depth: int) -> None:
    """Deep nesting is refused, whether the parser itself could follow it or not."""
    assert "too deep" in refused('{"jobs": ' + "[" * depth + "]" * depth + "}").sentence


@pytest.mark.parametrize(
    "name", ["../etc/passwd", "a/b", "a\\b", "..", "/abs", "nul\0", "line\nbreak", "\x1b[31m", " ", ""]
)
@pytest.mark.parametrize("field", ["target", "symbol", "job_id"])
def test_a_path_in_a_name_is_refused(field: str, name: str) -> None:
    """No name may be a path or carry control characters; the place is the field's."""
    if (field, name) == ("symbol", "a/b"):
        name = "a//b"  # one slash makes a pair of currencies
    refusal = refused(changed("jobs", 1, field, to=name))
    assert refusal.place == f"jobs[1].{field}"
    assert any(word in refusal.sentence for word in ("path", "empty", "NUL"))


def test_a_pair_is_a_symbol_and_no_path() -> None:
    """EUR/USD may be traded; its slash may stand where the symbol stands and nowhere else."""
    document = changed("jobs", 1, "symbol", to="EUR/USD")
    document["jobs"][1]["job_id"] = f"sym_{document['jobs'][1]['target']}_EUR/USD"
    assert completed(document).jobs[1].symbol == "EUR/USD"
    document["jobs"][1]["job_id"] = "sym_a/b_EUR/USD"
    assert refused(document).place == "jobs[1].job_id"


def test_the_longest_target_and_symbol_fit_into_a_job_id() -> None:
    """A job may be called after a target and a symbol that are allowed themselves."""
    target, symbol = "t" * 256, "s" * 256
    job = {**SEED["jobs"][1], "job_id": f"sym_{target}_{symbol}", "target": target, "symbol": symbol}
    assert completed({"jobs": [job]}).jobs[0].target == target
    refusal = refused({"jobs": [{**job, "job_id": "j" * 518}]})
    assert (refusal.place, "518 characters" in refusal.sentence) == ("jobs[0].job_id", True)


def test_counts_of_our_own_plans_must_be_right_and_those_of_the_older_system_are_made_right() -> None:
    """A plan of ours that lost jobs is mismatched; the older guide's example says 42 and shows two."""
    older = changed("metadata", "total_jobs", to=42)
    assert completed(older).document["metadata"]["total_jobs"] == 2
    ours = {**older, "metadata": {**older["metadata"], "schema_version": 1}}
    refusal = refused(ours)
    assert refusal.place == "metadata.total_jobs"
    assert "42 jobs and the document has 2" in refusal.sentence


@pytest.mark.parametrize(
    ("raw", "place", "words"),
    [
        (changed("jobs", 1, "job_id", to=SEED["jobs"][0]["job_id"]), "jobs[1].job_id", "the id of jobs[0]"),
        (changed("jobs", to=[]), "jobs", "empty"),
        ({"metadata": {}}, "jobs", "missing"),
        (changed("jobs", to="all"), "jobs", "list"),
        (changed("jobs", 0, to=7), "jobs[0]", "7"),
        (changed("jobs", 0, to={"target": "y", "training_type": "blocked"}), "jobs[0].job_id", "missing"),
        (changed("jobs", 0, "target", to=5), "jobs[0].target", "string"),
        (changed("jobs", 0, "target", to="t" * 300), "jobs[0].target", "300 characters"),
        (changed("jobs", 0, "training_type", to="psychic"), "jobs[0].training_type", "psychic"),
        (changed("jobs", 0, "model_families", to="lightgbm"), "jobs[0].model_families", "list"),
        (changed("jobs", 0, "model_families", to=["../x"]), "jobs[0].model_families[0]", "path"),
        (changed("jobs", 0, "priority", to="high"), "jobs[0].priority", "integer"),
        (changed("jobs", 0, "priority", to=2**40), "jobs[0].priority", "less than"),
        (changed("jobs", 0, "symbol", to="AAPL"), "jobs[0].symbol", "all symbols"),
        (changed("jobs", 1, "symbol", to=None), "jobs[1].symbol", "no symbol"),
        ([SEED], "", "list"),
        ("", "", "empty"),
        ("  \n", "", "empty"),
        (b"\xff\xfe{}", "byte 0", "UTF-8"),
        ('{"jobs": [}', "line 1 column 11", "not JSON"),
        ('{"jobs": [], "jobs": []}', "", "comes twice"),
        ('{"jobs": [], "x": 1e999}', "x", "too big"),
        ('{"jobs": [], "x": "\\ud800"}', "x", "surrogate"),
        ('{"x": ' + "9" * 5000 + "}", "", "digits"),
    ],
)  # fmt: skip
def test_a_broken_document_is_refused_with_its_place(raw: Any, place: str, words: str) -> None:
    """Every fault has a place, a sentence that shows it, and a fix."""
    refusal = refused(raw)
    assert refusal.place == place
    assert words in refusal.sentence


def test_numbers_that_the_older_system_wrote_are_read_as_null() -> None:
    """NaN in a job's metadata, which Python's json writes, does not keep a plan out."""
    text = json.dumps(changed("jobs", 0, "metadata", to={"score": float("nan")}))
    assert "NaN" in text
    checked = parse_plan_text(text.encode(), source="x")
    assert checked["jobs"][0]["metadata"] == {"score": None}


def test_an_unknown_barrier_is_refused() -> None:
    """The stage barrier is plan or job."""
    with pytest.raises(PlanRejected, match="plan or job"):
        completed(SEED, stage_barrier="week")


def test_a_plan_without_any_family_is_refused() -> None:
    """A plan that would train nothing is not taken for one that is done; one job without families may be."""
    idle = {**SEED, "jobs": [{**job, "model_families": []} for job in SEED["jobs"]]}
    with pytest.raises(PlanRejected, match="no job names a model family"):
        completed(idle)
    assert completed(changed("jobs", 0, "model_families", to=[])).jobs[0].fits == ()


def test_the_summary_counts() -> None:
    """Jobs are counted by route, type and priority."""
    assert summary_of(SEED["jobs"]) == SEED["summary"]


def written(directory: Path, raw: Any = SEED, name: str = MASTER) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_text(raw if isinstance(raw, str) else json.dumps(raw))
    return directory


@pytest.mark.parametrize("inside", ["", "globals/training_plan", "METRICS/training_plan"])
def test_a_plan_is_found_in_its_directory_or_in_results(tmp_path: Path, inside: str) -> None:
    """A training_plan directory and a whole results directory both work, and the bytes come along."""
    written(tmp_path / inside)
    loaded, data = load_plan_directory(tmp_path)
    assert loaded == SEED
    assert json.loads(data) == SEED


def test_the_mirror_serves_only_where_there_is_no_master(tmp_path: Path) -> None:
    """A broken master is an error even when its mirror is whole."""
    written(tmp_path, name=MIRROR)
    assert load_plan_directory(tmp_path)[0] == SEED
    assert load_plan_directory(tmp_path / MIRROR)[0] == SEED
    written(tmp_path, "{")
    with pytest.raises(PlanRejected, match="truncated"):
        load_plan_directory(tmp_path)


def test_the_older_place_may_be_a_link_inside_the_results(tmp_path: Path) -> None:
    """METRICS/training_plan -> ../globals/training_plan is followed."""
    written(tmp_path / "globals" / "training_plan")
    (tmp_path / "METRICS").mkdir()
    (tmp_path / "METRICS" / "training_plan").symlink_to("../globals/training_plan")
    assert load_plan_directory(tmp_path / "METRICS" / "training_plan")[0] == SEED


def test_links_that_lead_out_and_devices_are_refused(tmp_path: Path) -> None:
    """A plan directory cannot make the reader open a file elsewhere, or wait on a pipe."""
    written(tmp_path / "elsewhere")
    trap = tmp_path / "trap"
    trap.mkdir()
    (trap / MASTER).symlink_to(tmp_path / "elsewhere" / MASTER)
    with pytest.raises(PlanRejected, match="leads out"):
        load_plan_directory(trap)
    (trap / MASTER).unlink()
    os.mkfifo(trap / MASTER)
    with pytest.raises(PlanRejected, match="regular file"):
        load_plan_directory(trap)
    (trap / MASTER).unlink()
    (trap / MASTER).symlink_to("nowhere")
    with pytest.raises(PlanRejected, match="there is no"):
        load_plan_directory(trap)


def test_a_missing_plan_is_refused(tmp_path: Path) -> None:
    """No plan is an error that names the places and the way to train without one."""
    with pytest.raises(PlanRejected, match=MASTER):
        load_plan_directory(tmp_path)
    with pytest.raises(PlanRejected, match="--no-training-plan") as found:
        find_plan(tmp_path / "output" / "now", tmp_path / "results")
    assert str(tmp_path / "results" / "METRICS" / "training_plan") in str(found.value)


def test_plans_are_looked_for_in_the_promised_order(tmp_path: Path) -> None:
    """Output, its parent, their older places, then results; a directory without a master does not count."""
    output, results = tmp_path / "output" / "now", tmp_path / "results"
    order = [
        results / "METRICS" / "training_plan",
        results / "globals" / "training_plan",
        output.parent / "METRICS" / "training_plan",
        output / "METRICS" / "training_plan",
        output.parent / "globals" / "training_plan",
        output / "globals" / "training_plan",
    ]
    written(output / "globals" / "training_plan", name=MIRROR)
    for place in order:
        written(place)
        assert find_plan(output, results) == place
