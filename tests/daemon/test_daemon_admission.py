"""A plan is compared with what is in the data, and its gaps are filled from the settings."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from daemon_samples import TARGET, document, job, settings_in, write_data

from daemon.admission import completed, family_entry, rehearse
from daemon.survey import describe
from daemon.surveying import Description, Survey, question_of
from store import PlanRejected

FOUND = Description(
    data_dir="data",
    panel_key="d_1",
    panel_path="cache/d_1",
    symbols=("AAA", "BBB"),
    features=("f0", "f1"),
    targets={TARGET: {"AAA": 1.0, "BBB": 0.9}, "y_only_1d": {"AAA": 1.0, "BBB": 0.0}},
    left_out={"y_const_1d": "one single value", "name": "not a number"},
)


SHARING = job(["MultiTask"], job_id="x", fits=[{"family": "MultiTask", "other_targets": ["y_only_2d"]}])


@pytest.mark.parametrize(
    ("wrong", "place", "words"),
    [
        (job(target="fwd_ret_2d"), "jobs[1].target", "Did you mean 'fwd_ret_1d'"),
        (job(target="zzz"), "jobs[1].target", "The data has"),
        (job(target="y_const_1d"), "jobs[1].target", "one single value"),
        (job(symbol="AAB"), "jobs[1].symbol", "Did you mean 'AAA'"),
        (job(["LigtGBM"], job_id="x"), "jobs[1].model_families[0]", "did you mean LightGBM"),
        (job(features=["f0", "f8"], job_id="x"), "jobs[1].features", "Did you mean 'f"),
        (job(target="y_only_1d", symbol="BBB"), "jobs[1].symbol", "It has values for AAA"),
        (job(target="../etc", job_id="x"), "jobs[1].target", "path"),
        (SHARING, "jobs[1].fits[0].other_targets", "Did you mean 'y_only_1d'"),
    ],
)
def test_what_is_not_in_the_data_is_rejected(
    wrong: dict[str, Any], place: str, words: str, tmp_path: Path
) -> None:
    """Unknown targets, symbols, features and families are named with their place and the nearest name."""
    with pytest.raises(PlanRejected) as caught:
        completed(settings_in(tmp_path), document(job(), wrong), FOUND, source="plan.json")
    assert caught.value.place == place
    assert words in str(caught.value)


def test_a_family_that_cannot_learn_the_target_is_accepted_as_unable_with_the_reason(tmp_path: Path) -> None:
    """A hand-written plan asks for quantiles of classes: the other fits run, and this one says why not."""
    found = replace(FOUND, tasks={TARGET: "binary"})
    asked = job(["LightGBM", "quantile", "xgboost", "Ensemble"])
    plan = completed(settings_in(tmp_path), document(asked), found, source="plan.json")
    lacking = {fit.family: fit.lacking for fit in plan.fits if fit.lacking}
    assert lacking == {
        "QuantileLightGBM": "does not learn binary targets: quantiles are of numbers, and a class is none"
    }


def test_a_job_that_leaves_its_families_to_the_settings_is_compared(tmp_path: Path) -> None:
    """Families that are null are filled in, and so the job is trained: its target must be there."""
    unnamed = job(target="gone", model_families=None)
    with pytest.raises(PlanRejected, match="unknown target 'gone'"):
        completed(settings_in(tmp_path), document(unnamed), FOUND, source="plan.json")


def test_blocked_jobs_are_not_compared(tmp_path: Path) -> None:
    """A job that trains nothing may name what is not there."""
    blocked = job([], target="gone", training_type="blocked", route="ROUTE_BLOCKED")
    plan = completed(settings_in(tmp_path), document(job(), blocked), FOUND, source="plan.json")
    assert len(plan.fits) == 1


def test_gaps_are_filled_from_the_settings(tmp_path: Path) -> None:
    """A plan of the older system gets families, seed and data; what it says itself stands."""
    settings = settings_in(tmp_path, families=["xgboost"], seed=7, stage_barrier="job")
    plan = completed(settings, document(job(None)), FOUND, source="plan.json")
    assert [fit.family for fit in plan.fits] == ["XGBoost"]
    assert (plan.training["seed"], plan.stage_barrier, plan.panel_key) == (7, "job", "d_1")
    own = document(job(["lightgbm"]), training={"seed": 5, "stage_barrier": "plan"})
    said = completed(settings, own, FOUND, source="plan.json")
    assert (said.training["seed"], said.stage_barrier) == (5, "plan")
    assert completed(settings, document(seed=9), FOUND, source="plan.json").training["seed"] == 9


def test_settings_a_plan_does_not_use_are_no_part_of_it(tmp_path: Path) -> None:
    """Slots, places and families nobody needs leave the plan's identity alone; the seed does not."""
    ids = {
        completed(settings, document(), FOUND, source="plan.json").id
        for settings in (
            settings_in(tmp_path),
            settings_in(tmp_path / "b", families=["LSTM"], cpu_slots=7, checkpoint_rounds=3),
        )
    }
    assert len(ids) == 1
    assert completed(settings_in(tmp_path, seed=1), document(), FOUND, source="plan.json").id not in ids


def test_a_plan_of_other_data_is_rejected(tmp_path: Path) -> None:
    """A plan that carries the fingerprint of other data is not trained on these."""
    foreign = document(fingerprints={"panel": "d_2"})
    with pytest.raises(PlanRejected, match="made from other data"):
        completed(settings_in(tmp_path), foreign, FOUND, source="plan.json")
    rehearse(settings_in(tmp_path), foreign, source="plan.json")


def test_a_rehearsal_needs_no_data(tmp_path: Path) -> None:
    """An unknown family is found before the data is looked at."""
    with pytest.raises(PlanRejected, match="LightGBM"):
        rehearse(settings_in(tmp_path), document(job(["LigtGBM"])), source="plan.json")


def test_labels_of_a_family_fill_what_a_plan_does_not_say(tmp_path: Path) -> None:
    """Its own word stands, also when it is that no label is needed; the plan's id is the same either way."""
    told = [{"family": "XGBoost", "needs": {"labels": []}}, {"family": "LSTM", "needs": {"labels": ["nvme"]}}]
    given = document(job(["LightGBM", "XGBoost", "LSTM"], fits=told))
    wanted = dict.fromkeys(("LightGBM", "XGBoost", "LSTM"), ("bigmem",))
    settings = settings_in(tmp_path, family_labels=wanted)
    plan = rehearse(settings, given, source="plan.json")
    assert [fit.labels for fit in plan.fits] == [("bigmem",), (), ("nvme",)]
    assert plan.id == rehearse(settings_in(tmp_path), given, source="plan.json").id


def test_a_family_says_where_and_whether_it_runs(ngboost_missing: None) -> None:
    """The store hears the stage of a family, and why it cannot run here."""
    assert family_entry("tab_lstm").stage == "gpu"
    assert "pip install 'trainwright[ngboost]'" in str(family_entry("NGBoost").unavailable)
    assert family_entry("light_gbm").unavailable is None
    with pytest.raises(LookupError, match="did you mean LightGBM"):
        family_entry("LigtGBM")


def test_a_plan_says_which_data_it_is_about(tmp_path: Path) -> None:
    """The plan's own data is taken where it is here, else that of the settings; without any that is named."""
    settings = settings_in(tmp_path, symbols=["AAA"])
    (tmp_path / "own").mkdir()
    asked = question_of(settings, document(data={"data_dir": str(tmp_path / "own")}), source="plan.json")
    assert (asked["data_dir"], asked["symbols"]) == (str(tmp_path / "own"), ["AAA"])
    moved = document(data={"data_dir": str(tmp_path / "of another machine")})
    assert question_of(settings, moved, source="x")["data_dir"] == str(tmp_path / "data")
    assert question_of(settings, document(), source="x")["data_dir"] == str(tmp_path / "data")
    homeless = type(settings).from_sources({}, {}, {"results_dir": tmp_path})
    with pytest.raises(PlanRejected, match="TRAINWRIGHT_DATA_DIR"):
        question_of(homeless, document(), source="plan.json")


def test_a_survey_tells_what_is_in_the_data(tmp_path: Path) -> None:
    """The answer names symbols, features and targets with their coverage, and the panel that was prepared."""
    write_data(tmp_path / "data", rows=200)
    settings = settings_in(tmp_path)
    answer = describe(question_of(settings, document(), source="x"))
    assert json.loads(json.dumps(answer)) == answer
    assert answer["symbols"] == ["AAA", "BBB"]
    assert set(answer["targets"]) == {TARGET, "y_up_1d", "y_only_1d"}
    assert answer["targets"]["y_only_1d"]["coverage"].get("BBB", 0.0) == 0.0
    assert Path(answer["panel_path"]).is_dir()


def test_a_survey_that_is_ended_says_so(tmp_path: Path) -> None:
    """A survey's process that is killed rejects the plan in words and harms nobody."""
    write_data(tmp_path / "data", rows=200)
    survey = Survey(settings_in(tmp_path), document(), source="plan.json")
    survey._process.kill()
    with pytest.raises(PlanRejected, match="code -9"):
        survey.wait()
