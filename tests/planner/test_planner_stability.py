"""Stability from fold to fold: skill gives the label, features the evidence."""

from __future__ import annotations

import pytest
from planner_samples import cell, fold_view

from planner.config import RoutingConfig
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


def test_equal_folds_overlap_fully() -> None:
    """The same features carrying every fold give overlap and tau of one, without spread."""
    found = stability_of(cell(), CONFIG)
    assert (found.mean_overlap, found.std_overlap, found.mean_tau, found.snapshots) == (1.0, 0.0, 1.0, 3)


def test_changing_carriers_lower_the_overlap_and_not_the_label() -> None:
    """Folds carried by different features show it in the numbers."""
    folds = (fold_view((0.4, 0.0, 0.0)), fold_view((0.0, 0.4, 0.0)), fold_view((0.0, 0.0, 0.4)))
    found = stability_of(cell(folds=folds), CONFIG)
    assert found.mean_overlap == 0.0
    assert found.label == "STABLE"


def test_how_noise_is_ordered_does_not_count() -> None:
    """Features under the reach of chance are no part of overlap and tau."""
    one = fold_view((0.4, 0.01, 0.02), gain=(1.0, 0.0, 0.0))
    two = fold_view((0.4, 0.02, 0.01), gain=(1.0, 0.0, 0.0))
    found = stability_of(cell(folds=(one, two)), CONFIG)
    assert (found.mean_overlap, found.mean_tau) == (1.0, 1.0)


def test_twins_count_as_one() -> None:
    """Two features that say the same may swap places between folds without lowering the overlap."""
    one, two = fold_view((0.4, 0.0, 0.2)), fold_view((0.0, 0.4, 0.2))
    apart = stability_of(cell(folds=(one, two)), CONFIG)
    together = stability_of(cell(folds=(one, two), twins=(("alpha", "beta", 0.97),)), CONFIG)
    assert apart.mean_overlap is not None
    assert apart.mean_overlap < 0.6
    assert together.mean_overlap == 1.0


def test_folds_that_nothing_carries_have_no_overlap() -> None:
    """Without any clear feature the numbers are missing, not zero."""
    flat = fold_view((0.001, 0.001, 0.001))
    found = stability_of(cell(folds=(flat, flat)), CONFIG)
    assert found.mean_overlap is None
    assert found.snapshots == 2
