"""What the report says: plain words first, every model, every reason, what was not measured."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from many_jobs import Shares, many_jobs
from report_samples import (
    CALIBRATED,
    EVALUATION,
    METRICS,
    PLANNING,
    decisions_of_two,
    filled,
    finish,
    planned,
    report_on,
    section_of,
    words_of,
)
from store_samples import DATA, cs_job, document, family_of, plan_of

from daemon.report.closer import calibration_words
from daemon.report.numbers import compact, interval, listed, signed
from daemon.views.foreign import finite
from store import complete_plan, open_store, parse_plan_text
from store.events import LeakFound, PlanningStarted


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report on a small log."""
    return report_on(filled(tmp_path_factory.mktemp("log"))[0])


def test_it_begins_with_what_came_of_it_in_plain_words(html: str) -> None:
    """The first section counts targets, leaks, models by their worth, and fits by how they ended."""
    words = section_of(html, "summary")
    assert "1 target went" not in words  # y_up_1d has a job as well, though no ranking speaks of it
    assert "3 targets were looked at of 2 symbols (AAPL, MSFT)." in words
    assert "2 targets went into training: y_range_5d, y_up_1d." in words
    assert "1 did not: 1 could not be told from luck." in words
    assert "1 feature (oracle) knows the future of 1 target and was kept out of all models." in words
    assert "1 of 2 models surely foretell better than the naive forecast" in words
    assert "1 have no skill that could be told from luck" in words
    assert "2 of 4 fits ended in a model, 1 failed" in words
    assert "1 fit had not ended" in words
    assert "trading costs" in words


def test_targets_stand_with_their_reason_and_its_event(html: str) -> None:
    """Trained and dropped targets have score, q and reason, and the number of the event that says so."""
    words = section_of(html, "targets")
    assert "kept: q 0.002 within 0.05" in words
    assert "dropped: q 0.75 above 0.05" in words
    assert "+0.500 ± 0.020" in words
    assert "(TargetRanked)" in words


def test_leaks_stand_with_their_evidence(html: str) -> None:
    """A blocked feature has the targets it concerns, how it was found, and the evidence."""
    words = section_of(html, "leaks")
    assert "oracle blocked 1 y_range_5d nearly a copy of the target y_range_5d: rank 0.99" in words


def test_features_stand_with_their_stability(html: str) -> None:
    """Each selected feature has the share of folds that chose it; those left out have their reason."""
    words = section_of(html, "features")
    assert "2 of 4 features selected over 4 folds; two folds share 50 % of what either chose" in words
    assert "1 vol 100 % 0.6 chosen in 4 of 4 folds" in words
    assert "2 gap 75 % 0.2 chosen in 3 of 4 folds" in words
    assert "All together: 2 features score 0.5." in words
    assert "1 dull chosen in 0 of 4 folds, 2 needed" in words


def test_every_model_stands_against_naive_with_its_interval(html: str) -> None:
    """Score, naive score and the paired difference have their intervals, and a word that does not flatter."""
    words = section_of(html, "models")
    assert "+0.200 (0.160 to 0.240) +0.100 +0.100 (0.050 to 0.150) -5.0 % better than naive" in words
    assert "+0.010 (-0.030 to 0.050) +0.100 -0.090 (-0.150 to -0.030) -5.0 % no skill" in words
    assert "about one in 40 looks better by luck" in words


def test_the_best_model_is_looked_at_closely(html: str) -> None:
    """Calibration, single periods, symbols, the learning curve and importances of the best model are told."""
    words = section_of(html, "closer")
    assert "where the model predicts one unit more, 1.02 units more came (95 % 0.920 to 1.120" in words
    assert "2 periods, of which 1 no better than no skill" in words
    assert "rank_corr over time within each symbol" in words
    assert "Learning curve" in words
    assert "What the model leans on (tree shap)" in words


def test_failures_stand_with_their_sentence_and_what_broke_off(html: str) -> None:
    """A failed fit has its sentence and place, an attempt that broke off its cause."""
    words = section_of(html, "failures")
    assert "cs_y_up_1d/LightGBM failed the label has one class (rows 0 to 9) 2" in words
    assert "stopped by SIGTERM" in words
    assert "cs_y_range_5d/MLP waiting" in words


def test_costs_and_provenance_say_what_is_not_known(html: str) -> None:
    """Seconds by family are told; memory that nobody measured and versions nobody wrote down are named so."""
    costs, provenance = section_of(html, "costs"), section_of(html, "provenance")
    assert "2 models took 25s of training" in costs
    assert "how much it really took is not recorded" in costs
    assert "lightgbm 4.6.0" in provenance
    assert "version that planned not recorded" in provenance
    assert "trained by host-a" in provenance


def test_what_to_be_wary_of_is_found_in_the_numbers(html: str) -> None:
    """A score that shrank since the ranking and weak periods are named."""
    words = section_of(html, "summary")
    assert (
        "y_range_5d was ranked by a rank_ic of +0.500 on the older data; on the newest its best model reaches"
        in words
    )
    assert "cs_y_range_5d/LightGBM was no better than no skill in 1 of 2 periods (from 2024-02)." in words


def test_a_suspect_that_models_may_use_is_named(tmp_path: Path) -> None:
    """A feature that may leak is a reason to be wary, one that is kept out for leaking elsewhere is none."""
    url = f"sqlite:///{tmp_path}/trainwright.db"
    suspect = LeakFound(
        target="y_range_5d", feature="odd", verdict="SUSPECT", probe="too_good", evidence="0.2"
    )
    other = dataclasses.replace(suspect, feature="far", probe="elsewhere")
    with open_store(url) as store:
        planned(store, suspect, other)
        store.accept(plan_of(cs_job("y_range_5d")), source="test", name="x", planning_id=PLANNING)
    words = section_of(report_on(url), "summary")
    assert "Suspected of knowing the future, and not blocked for it: odd." in words
    assert "far" not in words.replace("how far", "")


def test_a_damaged_or_missing_bundle_is_told_and_the_rest_stands(tmp_path: Path) -> None:
    """Without its bundle a model keeps its scores; what cannot be looked at is said."""
    url, _ = filled(tmp_path)
    shutil.rmtree(tmp_path / "models")
    html = report_on(url)
    assert "Saved models are not as they were recorded: cs_y_range_5d/LightGBM" in section_of(html, "summary")
    assert "The saved model cannot be looked at" in section_of(html, "closer")
    assert "+0.200 (0.160 to 0.240)" in section_of(html, "models")


def test_a_plan_made_elsewhere_is_reported_as_far_as_it_goes(tmp_path: Path) -> None:
    """Without its planning in the log nothing is made up: no ranking, no probes, no stability."""
    url = f"sqlite:///{tmp_path}/trainwright.db"
    with open_store(url) as store:
        job = {**cs_job("y_5d"), "features": ["vol", "gap"], "blocked_features": ["oracle"]}
        store.accept(plan_of(job), source="test", name="from afar")
    html = report_on(url)
    assert "The ranking itself is not in this log" in section_of(html, "targets")
    assert "the plan names what it keeps out, not the evidence" in section_of(html, "leaks")
    assert "oracle 1" in section_of(html, "leaks")
    assert "how stable the choice was is not known" in section_of(html, "features")
    assert "not in this log: the plan was made elsewhere, or by hand" in section_of(html, "provenance")


def test_a_planning_with_other_settings_is_not_taken_for_that_of_the_plan(tmp_path: Path) -> None:
    """A planning of the same data that the log does not link to the plan counts only with equal settings."""
    url = f"sqlite:///{tmp_path}/trainwright.db"
    with open_store(url) as store:
        planned(store)
        store.accept(plan_of(cs_job("y_range_5d")), source="test", name="other")
    assert "The ranking itself is not in this log" in section_of(report_on(url), "targets")


def test_selections_of_an_older_log_say_that_nobody_wrote_their_stability_down(tmp_path: Path) -> None:
    """Where an event has no shares and no reasons the report says so instead of a number."""
    url = f"sqlite:///{tmp_path}/trainwright.db"
    bare: dict[str, Any] = {"because": {}, "steadiness": {}, "weights": {}, "folds": 0, "jaccard": None}
    old = [
        dataclasses.replace(one, **bare) if one.kind == "FeaturesSelected" else one
        for one in decisions_of_two()
    ]
    with open_store(url) as store:
        store.record(PLANNING, [PlanningStarted(data_dir="data", panel_key="d_1"), *old])
        store.accept(plan_of(cs_job("y_range_5d")), source="test", name="x", planning_id=PLANNING)
    assert "1 vol not recorded - not recorded" in section_of(report_on(url), "features")


def test_many_single_symbols_of_a_target_stand_together(tmp_path: Path) -> None:
    """The models of single symbols of one target share a picture and a table instead of one each."""
    url = f"sqlite:///{tmp_path}/trainwright.db"
    many_jobs(url, jobs=22, running=0, shares=Shares(succeeded=1.0), families=("LightGBM", "MLP"))
    words = section_of(report_on(url), "models")
    assert words.count("symbols alone") >= 1
    assert "AAPL LightGBM" in words


def test_a_second_model_of_a_target_does_not_hide_the_first(tmp_path: Path) -> None:
    """Models stand by their score, whatever order they ended in."""
    url = f"sqlite:///{tmp_path}/trainwright.db"
    with open_store(url) as store:
        store.accept(plan_of(cs_job("y", families=("LightGBM", "XGBoost"))), source="test", name="x")
        for claim, score in zip(store.claim("w/1", stage="cpu", limit=2), (0.1, 0.3), strict=True):
            finish(store, claim, tmp_path, {**METRICS, "score": score, "skill": score})
    words = section_of(report_on(url), "models")
    assert words.index("1 XGBoost") < words.index("2 LightGBM")


def test_metrics_of_an_older_log_are_shown_as_far_as_they_go(tmp_path: Path) -> None:
    """Without an interval or a verdict there is none in the report, and nothing fails."""
    url = f"sqlite:///{tmp_path}/trainwright.db"
    with open_store(url) as store:
        store.accept(plan_of(cs_job("y", families=("LightGBM",))), source="test", name="x")
        (claim,) = store.claim("w/1", stage="cpu", limit=1)
        finish(store, claim, tmp_path, {"metric": "rank_ic", "score": 0.2})
    words = section_of(report_on(url), "models")
    assert "1 LightGBM +0.200 (not known) - - (not known) - not known" in words


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "That agrees with predictions that mean what they say."),
        ({"slope": 1.5, "slope_low": 1.2, "slope_high": 1.8}, "too timid"),
        ({"slope": 0.5, "slope_low": 0.2, "slope_high": 0.8}, "too bold"),
        ({"slope": None}, "the predictions are all the same"),
        ({"slope_low": None}, "How sure that is was not measured."),
    ],
)
def test_calibration_is_told_in_plain_words(changes: dict[str, Any], said: str) -> None:
    """That predictions are too bold or too timid is said only where the slope's interval leaves out 1."""
    assert said in calibration_words({**CALIBRATED, **changes})


def test_calibration_of_probabilities_is_told_beside_what_chance_gives() -> None:
    """The mean gap of probabilities stands beside that of perfect ones."""
    found = {"kind": "binary", "expected_calibration_error": 0.03, "gap_by_chance": 0.02, "log_loss": 0.6,
             "log_loss_constant": 0.69}  # fmt: skip
    words = calibration_words(found)
    assert "0.030 apart in the mean (perfect ones would be 0.02 apart by chance)" in words


def test_a_too_bold_model_is_a_reason_to_be_wary(tmp_path: Path) -> None:
    """A slope surely below 1 is named in the summary."""
    bold = {**EVALUATION, "calibration": {**CALIBRATED, "slope": 0.5, "slope_low": 0.3, "slope_high": 0.7}}
    words = words_of(report_on(filled(tmp_path, evaluation=bold)[0]))
    assert "Too bold: the predictions of cs_y_range_5d/LightGBM differ more than what then comes." in words


def test_numbers_that_are_none_are_dashes() -> None:
    """What is missing, no number or not finite is said to be so."""
    assert [finite(value) for value in (None, "0.1", True, float("nan"), float("inf"), 2)] == [None] * 5 + [
        2.0
    ]
    assert (signed(None), signed(0.1234)) == ("-", "+0.123")
    assert (interval(0.1, None), interval(-0.1, 0.25)) == ("not known", "-0.100 to 0.250")
    assert (compact(None), compact(1204), compact(0.0432), compact(1.2e-7)) == (
        "-",
        "1,204",
        "0.0432",
        "1.2e-07",
    )
    assert (listed(None), listed(["a", "b", "c"], 2), listed("x")) == ("all", "a, b and 1 more", "x")


def test_rows_that_are_worth_little_are_a_reason_to_be_wary(tmp_path: Path) -> None:
    """A score from fewer than thirty independent rows is named, also from none at all."""
    url = f"sqlite:///{tmp_path}/trainwright.db"
    with open_store(url) as store:
        store.accept(plan_of(cs_job("y", families=("LightGBM",))), source="test", name="x")
        (claim,) = store.claim("w/1", stage="cpu", limit=1)
        finish(store, claim, tmp_path, {**METRICS, "n_effective": 0.0})
    words = section_of(report_on(url), "summary")
    assert "The newest rows of y are worth fewer than 30 independent ones" in words


def test_a_target_trained_without_skill_is_a_reason_to_be_wary(tmp_path: Path) -> None:
    """A target that somebody named is trained whatever its ranking says, and the report says that."""
    url = f"sqlite:///{tmp_path}/trainwright.db"
    with open_store(url) as store:
        planned(store)
        jobs = (cs_job("y_range_5d"), cs_job("y_noise_5d"))
        request = {"targets": ["y_range_5d", "y_noise_5d"], "top_n_targets": 10}
        text = json.dumps(document(*jobs, request=request)).encode()
        training = {"seed": 1, "stage_barrier": "plan"}
        checked = parse_plan_text(text, source="test")
        plan = complete_plan(checked, family_of=family_of, training=training, data=DATA)
        store.accept(plan, source="test", name="x", planning_id=PLANNING)
    words = section_of(report_on(url), "summary")
    assert "2 targets were looked at" in words
    assert "they were named, not chosen by their rank" in words
    assert "Trained though no skill was told from luck before: y_noise_5d." in words


def test_rows_that_judged_earlier_plans_are_a_reason_to_be_wary(tmp_path: Path) -> None:
    """The second plan on a panel is judged by rows that somebody may have looked at."""
    url, _ = filled(tmp_path)
    assert "earlier plan" not in section_of(report_on(url), "summary")
    with open_store(url) as store:
        store.accept(plan_of(cs_job("y_range_5d"), seed=2), source="test", name="again")
    words = section_of(report_on(url), "summary")
    assert "The same newest rows judged the models of 1 earlier plan on this panel" in words


def test_models_with_a_name_are_told(tmp_path: Path) -> None:
    """A promoted model stands with its name among the facts."""
    url, _ = filled(tmp_path)
    assert "none was promoted" in section_of(report_on(url), "provenance")
    with open_store(url) as store:
        (model,) = store.reading.fits(job="cs_y_range_5d", family="LightGBM")
        store.promote(model.id, "champion")
    words = section_of(report_on(url), "provenance")
    assert "champion is cs_y_range_5d/LightGBM (event #" in words
