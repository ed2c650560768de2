"""Stability from fold to fold: skill gives the label, features the evidence."""

from __future__ import annotations

import numpy as np
import pytest
from planner_samples import cell, fold_view
from scipy.stats import kendalltau

from planner.agreement import Agreement, agreement_of, jaccard, kendall_tau
from planner.config import RoutingConfig, SelectionConfig
from planner.selection import select_features
from planner.stability import stability_label, stability_of

CONFIG = RoutingConfig()


@pytest.mark.parametrize(
    ("skills", "label"),
    [
        ([], "UNKNOWN"),
        ([0.3], "UNKNOWN"),
        ([0.1, 0.1, 0.1, 0.1], "STABLE"),
        ([0.3, 0.1, 0.2, 0.04], "STABLE"),
        ([0.3, 0.1, 0.2, 0.02], "DRIFTING"),
        ([0.3, 0.1, 0.2, -0.02], "DRIFTING"),
        ([0.3, 0.1, -0.1, -0.02], "DIVERGED"),
        ([-0.3, 0.1, 0.1, 0.05], "DIVERGED"),
        ([0.0, 0.0, 0.0, 0.0], "DIVERGED"),
    ],
)
def test_the_label_is_of_the_skill_in_every_part_of_the_past(skills: list[float], label: str) -> None:
    """Skill everywhere is stable, skill in most folds drifts, else the target has diverged."""
    assert stability_label(skills, CONFIG) == label


def test_skill_of_an_auc_counts_from_one_half() -> None:
    """An AUC of .49 is a fold without skill."""
    folds = tuple(fold_view((0.3, 0.2, 0.0), score=score) for score in (0.6, 0.6, 0.49, 0.6))
    assert stability_of(cell(metric="auc", folds=folds), CONFIG).label == "DRIFTING"


def test_folds_that_choose_the_same_overlap_fully() -> None:
    """The same features chosen in the same order give overlap and tau of one, without spread."""
    found = stability_of(cell(), CONFIG, 2)
    same = Agreement(mean_overlap=1.0, std_overlap=0.0, mean_tau=1.0, std_tau=0.0)
    assert (found.agreement, found.snapshots) == (same, 3)


def test_folds_that_choose_otherwise_do_not_overlap() -> None:
    """Other features in every fold: nothing in common, however steady the skill."""
    folds = (fold_view((0.4, 0.0, 0.0)), fold_view((0.0, 0.4, 0.0)), fold_view((0.0, 0.0, 0.4)))
    found = stability_of(cell(folds=folds), CONFIG, 1)
    assert found.agreement.mean_overlap == 0.0
    assert found.label == "STABLE"


def test_what_a_fold_did_not_choose_does_not_count() -> None:
    """The order among features left out is no part of overlap and tau."""
    one = fold_view((0.4, 0.01, 0.02), gain=(1.0, 0.0, 0.0))
    two = fold_view((0.4, 0.02, 0.01), gain=(1.0, 0.0, 0.0))
    found = stability_of(cell(folds=(one, two)), CONFIG, 1).agreement
    assert (found.mean_overlap, found.mean_tau) == (1.0, 1.0)


def test_twins_count_as_one() -> None:
    """Two features that say the same may swap places between folds without lowering the overlap."""
    one, two = fold_view((0.4, 0.0, 0.2)), fold_view((0.0, 0.4, 0.2))
    apart = stability_of(cell(folds=(one, two)), CONFIG, 2).agreement
    together = stability_of(cell(folds=(one, two), twins=(("alpha", "beta", 0.97),)), CONFIG, 2).agreement
    assert apart.mean_overlap == 0.333333
    assert together.mean_overlap == 1.0


def test_the_numbers_are_those_of_the_selection() -> None:
    """Overlap and tau of a candidate and of its features' rows cannot differ."""
    folds = (fold_view((0.4, 0.3, 0.2)), fold_view((0.4, 0.1, 0.2)), fold_view((0.1, 0.4, 0.2)))
    measured = cell(folds=folds)
    (row, *_others) = select_features(measured, SelectionConfig(), verdicts={})
    found = stability_of(measured, CONFIG, row.fold_features).agreement
    assert (found.mean_overlap, found.mean_tau) == (row.jaccard, row.tau)


def test_a_single_fold_has_nothing_to_agree_with() -> None:
    """Without a pair of folds the numbers are missing, not zero."""
    found = stability_of(cell(folds=(fold_view((0.3, 0.2, 0.1)),)), CONFIG, 2)
    assert (found.agreement, found.label, found.snapshots) == (Agreement(), "UNKNOWN", 1)


def test_folds_that_chose_nothing_have_no_overlap() -> None:
    """Where no feature stands out there is nothing to agree upon."""
    flat = fold_view((0.0, 0.0, 0.0))
    assert stability_of(cell(folds=(flat, flat)), CONFIG).agreement == Agreement()


def test_tau_and_overlap_are_the_textbook_ones() -> None:
    """Against scipy with ties, and by hand."""
    rng = np.random.default_rng(3)
    for _ in range(20):
        one, two = rng.integers(0, 5, (2, 12)).astype(float)
        assert kendall_tau(one, two) == pytest.approx(kendalltau(one, two).statistic)
    chosen = np.array([[True, True, False, False], [False, True, True, False]])
    assert jaccard(chosen[0], chosen[1]) == pytest.approx(1 / 3)
    assert kendall_tau(np.ones(3), np.arange(3.0)) == 0.0


def test_the_importance_of_what_was_not_chosen_counts_as_nothing() -> None:
    """A fold that left a feature out ranks it last, whatever it thought of it."""
    chosen = np.array([[True, True, False], [False, True, True]])
    found = agreement_of(chosen, np.array([[1.0, 2.0, 9.0], [9.0, 2.0, 1.0]]))
    assert found.mean_tau == pytest.approx(kendalltau([1.0, 2.0, 0.0], [0.0, 2.0, 1.0]).statistic, abs=1e-6)


def test_agreement_is_over_all_pairs_of_folds() -> None:
    """Three folds make three pairs, not two neighbours."""
    chosen = np.array([[True, True, False], [True, True, False], [False, True, True]])
    found = agreement_of(chosen, np.array([[3.0, 2.0, 1.0]] * 3))
    assert found.mean_overlap == pytest.approx((1 + 1 / 3 + 1 / 3) / 3, abs=1e-6)
    assert found.std_overlap == pytest.approx(np.std([1, 1 / 3, 1 / 3]), abs=1e-6)
