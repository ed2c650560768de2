"""Ensemble: members stacked by what they say out of fold."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from executors.bundle import load_bundle
from executors.contract import Checkpointed, FitSpec, Part, Report, Started, Stopped, Succeeded
from executors.cpu.ensemble_family import fold_parts, mixture_weights, regression_weights
from executors.dataset import fit_data
from executors.errors import BadInput
from executors.stacking import added_up
from executors.training import fit_once
from panel.aligned import Panel

SpecMaker = Callable[..., FitSpec]

SMALL: dict[str, dict[str, Any]] = {
    "LightGBM": {"rounds": 40, "chunk_rounds": 10, "patience": 10},
    "XGBoost": {"rounds": 40, "chunk_rounds": 10, "patience": 10},
}


def member_of(make_spec: SpecMaker, directory: Path, family: str, **changes: Any) -> Part:
    """Train one member and return what the host would tell of it."""
    spec = make_spec(
        family=family,
        params=SMALL[family],
        bundle_path=directory / family,
        checkpoint_dir=directory / f"{family}-checkpoints",
        **changes,
    )
    outcome = fit_once(spec, tell=lambda report: None, should_stop=lambda: False)
    assert isinstance(outcome, Succeeded)
    name = f"{spec.job}/{family}"
    return Part(name=name, family=family, bundle_path=spec.bundle_path, bundle_sha256=outcome.bundle_sha256)


@pytest.fixture
def ensemble_spec(make_spec: SpecMaker, tmp_path: Path) -> SpecMaker:
    """Return a maker of ensembles of two small members."""

    def make(target: str = "fwd_ret_1d", **changes: Any) -> FitSpec:
        folder = tmp_path / "members" / target
        parts = tuple(member_of(make_spec, folder, family, target=target) for family in SMALL)
        return make_spec(family="Ensemble", target=target, parts=parts, **changes)

    return make


def fitted(spec: FitSpec, tell: Callable[[Report], None] = lambda report: None) -> Succeeded:
    """Do the fit to its end."""
    outcome = fit_once(spec, tell=tell, should_stop=lambda: False)
    assert isinstance(outcome, Succeeded)
    return outcome


@pytest.mark.parametrize("target", ["fwd_ret_1d", "y_up_1d", "y_class_1d"])
def test_an_ensemble_is_no_worse_than_its_worst_member_and_says_its_weights(
    ensemble_spec: SpecMaker, panel: Panel, target: str
) -> None:
    """Stacked predictions have skill, are made of the members inside, and come back from the bundle."""
    spec = ensemble_spec(target)
    outcome = fitted(spec)
    members = [load_bundle(part.bundle_path).card["metrics"] for part in spec.parts]
    assert outcome.metrics["error_reduction"] > min(metrics["error_reduction"] for metrics in members)
    assert outcome.metrics["beats_no_skill"]
    bundle = load_bundle(spec.bundle_path)
    outline = json.loads(bundle.files["preprocessing.json"])
    weights = list(outline["weights"].values())
    assert min(weights) >= 0.0
    assert max(weights) > 0.0
    if target != "fwd_ret_1d":
        assert sum(weights) == pytest.approx(1.0)
    rows = fit_data(spec).test
    own = bundle.predict(panel, rows)
    answers = [load_bundle(part.bundle_path).predict(panel, rows) for part in spec.parts]
    expected = added_up(answers, weights) + outline["intercept"]
    assert np.allclose(own, expected, atol=1e-6)
    recorded = bundle.predictions()
    again = recorded.probabilities if own.ndim == 2 else recorded.prediction
    assert np.array_equal(own, again)


def test_no_member_sees_the_fold_it_predicts(ensemble_spec: SpecMaker, panel: Panel) -> None:
    """In each fold the labels of all training and stopping rows end before the first predicted row."""
    spec = ensemble_spec()
    data = fit_data(spec)
    ends = panel.label_end_codes(data.horizon_bars)
    for part in fold_parts(data, folds=3, embargo=None):
        begin = panel.time_codes[part.test].min()
        assert (ends[part.train] + data.horizon_bars < panel.time_codes[part.valid].min()).all()
        assert (ends[part.valid] + data.horizon_bars < begin).all()
        assert np.isin(part.test, data.train).all()


def test_labels_of_the_test_rows_change_nothing_of_the_weights(
    ensemble_spec: SpecMaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Weights come from training rows alone: with other labels at the test rows they are the same."""
    spec = ensemble_spec()
    fitted(spec)
    before = json.loads(load_bundle(spec.bundle_path).files["preprocessing.json"])
    test = set(fit_data(spec).test.tolist())
    untouched = Panel.values

    def spoiled(panel: Panel, name: str) -> Any:
        values = np.array(untouched(panel, name))
        if name == spec.target:
            values[sorted(test)] = -values[sorted(test)]
        return values

    monkeypatch.setattr(Panel, "values", spoiled)
    other = replace(spec, bundle_path=tmp_path / "other", checkpoint_dir=tmp_path / "others")
    fitted(other)
    after = json.loads(load_bundle(other.bundle_path).files["preprocessing.json"])
    assert after == before


def test_an_ensemble_stopped_in_the_midst_of_a_member_goes_on_from_there(
    ensemble_spec: SpecMaker, tmp_path: Path
) -> None:
    """Killed after every saved state, its bundle has the bytes of the uninterrupted one."""
    spec = ensemble_spec(checkpoint_rounds=7)
    whole = replace(spec, bundle_path=tmp_path / "whole", checkpoint_dir=tmp_path / "whole-checkpoints")
    expected = fitted(whole).bundle_sha256
    resumed: list[int | None] = []
    saved: list[Report] = []

    def tell(report: Report) -> None:
        if isinstance(report, Checkpointed):
            saved.append(report)
        if isinstance(report, Started):
            resumed.append(report.resumed_from_step)

    for fence in range(1, 200):
        saved.clear()
        outcome = fit_once(
            replace(spec, fence=fence, attempt=fence), tell=tell, should_stop=lambda: bool(saved)
        )
        if not isinstance(outcome, Stopped):
            break
    assert isinstance(outcome, Succeeded)
    assert outcome.bundle_sha256 == expected
    assert len(resumed) >= 10
    steps = [step for step in resumed if step is not None]
    assert steps == sorted(set(steps))


def test_seeds_of_inner_trainings_decide_the_result(
    ensemble_spec: SpecMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: with seeds that do not know their member and fold, members share seeds and the bytes differ."""
    spec = ensemble_spec()
    expected = fitted(spec).bundle_sha256
    monkeypatch.setattr("executors.nested.NestedSession.seed", lambda self, *parts: 1)
    other = replace(spec, bundle_path=tmp_path / "other", checkpoint_dir=tmp_path / "others")
    assert fitted(other).bundle_sha256 != expected


def test_too_few_members_and_foreign_parts_are_refused(ensemble_spec: SpecMaker, tmp_path: Path) -> None:
    """One member, a part of another target, a part whose bundle was exchanged: one clear sentence each."""
    spec = ensemble_spec()
    with pytest.raises(BadInput, match="1 of its members have a model, 2 are needed"):
        fitted(replace(spec, parts=spec.parts[:1]))
    with pytest.raises(BadInput, match="its target is fwd_ret_1d, not y_noise_1d"):
        fitted(replace(spec, target="y_noise_1d"))
    exchanged = replace(spec.parts[0], bundle_sha256="0" * 64)
    with pytest.raises(BadInput, match="is not the one that was recorded"):
        fitted(replace(spec, parts=(exchanged, spec.parts[1])))


def test_weights_of_a_regression_find_the_mixture_that_made_the_labels() -> None:
    """Labels that are 0.7 a + 0.2 b + 1 give these numbers; a member that is noise gets about nothing."""
    random = np.random.default_rng(1)
    answers = [random.standard_normal(4000) for _ in range(3)]
    labels = 0.7 * answers[0] + 0.2 * answers[1] + 1.0 + 0.1 * random.standard_normal(4000)
    weights, intercept = regression_weights(answers, labels, np.ones(4000))
    assert weights == pytest.approx([0.7, 0.2, 0.0], abs=0.01)
    assert intercept == pytest.approx(1.0, abs=0.01)


def test_weights_of_classes_are_the_likeliest_mixture() -> None:
    """Labels drawn from a mixture of two forecasters 0.8 : 0.2 give back its shares."""
    random = np.random.default_rng(2)
    chances = random.uniform(0.02, 0.98, (20_000, 2))
    mixed = chances @ [0.8, 0.2]
    came = random.random(20_000) < mixed
    likely = np.where(came[:, None], chances, 1.0 - chances)
    assert mixture_weights(likely, np.ones(20_000)) == pytest.approx([0.8, 0.2], abs=0.03)


def test_where_one_member_says_nothing_the_others_speak() -> None:
    """A missing answer is left out and the weights of the rest count in full; nobody's answer is NaN."""
    first = np.array([1.0, np.nan, np.nan])
    second = np.array([3.0, 3.0, np.nan])
    together = added_up([first, second], [0.25, 0.75])
    assert together[:2] == pytest.approx([2.5, 3.0])
    assert np.isnan(together[2])


def test_a_nested_session_reports_no_second_start(ensemble_spec: SpecMaker) -> None:
    """However many trainings are inside, the fit starts once and its steps never fall back."""
    reports: list[Report] = []
    fitted(ensemble_spec(checkpoint_rounds=20), reports.append)
    assert sum(isinstance(report, Started) for report in reports) == 1
    steps = [report.step for report in reports if isinstance(report, Checkpointed)]
    assert steps == sorted(steps)
