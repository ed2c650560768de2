"""Feature selection inside the folds: clear, steady, without twins, and never too few."""

from __future__ import annotations

from planner_samples import cell, fold_view

from planner.config import SelectionConfig
from planner.selection import importance_of, select_features, share_of

CONFIG = SelectionConfig(min_features=1)


def _selected(found: list[object]) -> list[str]:
    return [row.feature for row in found if row.selected]  # type: ignore[attr-defined]  # rows of selection


def test_clear_features_are_chosen_in_order_of_importance() -> None:
    """Two features far above noise are taken, the strongest first; the noise stays out with its share."""
    rows = select_features(cell(), CONFIG, horizon_bars=1, verdicts={})
    assert [(row.feature, row.position, row.selected) for row in rows] == [
        ("alpha", 1, True),
        ("beta", 2, True),
        ("gamma", None, False),
    ]
    assert rows[2].reason == "chosen in 0% of the folds, 50% needed"
    assert rows[0].frequency == 1.0


def test_a_feature_must_be_chosen_in_enough_folds() -> None:
    """One good fold of three is not steady."""
    folds = (fold_view((0.3, 0.3, 0.0)), fold_view((0.3, 0.0, 0.0)), fold_view((0.3, 0.0, 0.0)))
    rows = select_features(cell(folds=folds), CONFIG, horizon_bars=1, verdicts={})
    assert _selected(list(rows)) == ["alpha"]
    assert next(row for row in rows if row.feature == "beta").frequency == 0.333333


def test_overlapping_windows_raise_the_line_of_noise() -> None:
    """A correlation that is clear for a thousand separate labels is noise when they overlap a hundredfold."""
    folds = tuple(fold_view((0.3, 0.08, 0.0), gain=(1.0, 0.0, 0.0)) for _ in range(3))
    near = select_features(cell(folds=folds), CONFIG, horizon_bars=1, verdicts={})
    far = select_features(cell(folds=folds), CONFIG, horizon_bars=100, verdicts={})
    assert _selected(list(near)) == ["alpha", "beta"]
    assert _selected(list(far)) == ["alpha"]


def test_what_boosting_alone_uses_is_chosen_as_well() -> None:
    """A feature without rank correlation but with the lion's share of the gain is no noise."""
    folds = tuple(fold_view((0.3, 0.2, 0.0), gain=(0.1, 0.1, 0.8)) for _ in range(3))
    assert "gamma" in _selected(list(select_features(cell(folds=folds), CONFIG, horizon_bars=1, verdicts={})))


def test_the_lesser_of_two_twins_is_left_out() -> None:
    """A feature that says the same as a better one adds nothing, and says of which."""
    rows = select_features(cell(twins=(("alpha", "beta", -0.99),)), CONFIG, horizon_bars=1, verdicts={})
    beta = next(row for row in rows if row.feature == "beta")
    assert not beta.selected
    assert beta.reason == "says the same as alpha"
    near = select_features(cell(twins=(("alpha", "beta", 0.95),)), CONFIG, horizon_bars=1, verdicts={})
    assert "beta" in _selected(list(near))


def test_no_more_than_the_most_and_no_fewer_than_the_least() -> None:
    """The cap drops the lesser; the floor fills up with the next, though never with a twin."""
    capped = select_features(
        cell(), SelectionConfig(max_features=1, min_features=1), horizon_bars=1, verdicts={}
    )
    assert _selected(list(capped)) == ["alpha"]
    filled = select_features(cell(), SelectionConfig(min_features=3), horizon_bars=1, verdicts={})
    assert _selected(list(filled)) == ["alpha", "beta", "gamma"]
    assert filled[2].reason.endswith("taken to have 3")
    twins = (("alpha", "gamma", 1.0),)
    spared = select_features(cell(twins=twins), SelectionConfig(min_features=3), horizon_bars=1, verdicts={})
    assert _selected(list(spared)) == ["alpha", "beta"]


def test_features_given_by_hand_are_all_selected_with_the_reason() -> None:
    """Nothing is judged away when the user chose; importances are still reported."""
    rows = select_features(cell(), CONFIG, horizon_bars=1, verdicts={}, as_given="named by the user")
    assert _selected(list(rows)) == ["alpha", "beta", "gamma"]
    assert {row.reason for row in rows} == {"named by the user"}
    assert rows[0].importance > rows[2].importance


def test_verdicts_of_the_probes_stand_beside_each_feature() -> None:
    """A suspect feature is marked where it is selected."""
    rows = select_features(cell(), CONFIG, horizon_bars=1, verdicts={"beta": "SUSPECT"})
    assert {row.feature: row.leakage_verdict for row in rows} == {
        "alpha": "SAFE",
        "beta": "SUSPECT",
        "gamma": "SAFE",
    }


def test_an_unmeasured_cell_selects_nothing() -> None:
    """Without folds there is nothing to go by."""
    assert select_features(cell(folds=()), CONFIG, horizon_bars=1, verdicts={}) == []


def test_equal_importances_are_ordered_by_name() -> None:
    """Ties never depend on the order of columns."""
    folds = (fold_view((0.2, 0.2, 0.2)),) * 2
    rows = select_features(cell(folds=folds, features=("c", "a", "b")), CONFIG, horizon_bars=1, verdicts={})
    assert [row.feature for row in rows] == ["a", "b", "c"]


def test_shares_sum_to_one_also_when_nothing_is_there() -> None:
    """All zeros means that no feature stands out: even shares."""
    assert share_of([0.0, 0.0]).tolist() == [0.5, 0.5]
    assert share_of([-3.0, 1.0]).tolist() == [0.75, 0.25]
    assert abs(importance_of(fold_view((0.3, -0.1, 0.0))).sum() - 1.0) < 1e-12
