"""Feature selection over the folds: steady, few by the one-standard-error rule, with what the law needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from planner_samples import cell as any_cell
from planner_samples import fold_view

from planner.config import SelectionConfig
from planner.selection import importance_of, select_features, twin_groups, votes_of
from planner.size_path import PathPoint
from planner.skill import Skill
from planner.tables import SelectionRow

CONFIG = SelectionConfig(min_features=1)


def cell(**changes: object) -> Skill:
    """A measured cell of whose law the screens say nothing."""
    return any_cell(**{"leading": (), **changes})


NAMES = ("alpha", "beta", "gamma", "delta", "epsilon")


def _point(size: int, score: float, behind: float = 0.0) -> PathPoint:
    return PathPoint(size=size, score=score, standard_error=0.006, behind_all=behind, behind_error=0.003)


def _cell(*orders: Sequence[int], size: int = 2, **changes: object) -> Skill:
    """Five features; each fold takes them in the order given, of which `size` are enough."""
    folds = tuple(
        fold_view(tuple(0.5 - 0.1 * list(order).index(place) for place in range(5)), order=tuple(order))
        for order in orders
    )
    path = (_point(size, 0.071, -0.005), _point(5, 0.066))
    return cell(**{"folds": folds, "features": NAMES, "path": path, **changes})


def _rows(measured: Skill, config: SelectionConfig = CONFIG) -> dict[str, SelectionRow]:
    return {row.feature: row for row in select_features(measured, config, verdicts={})}


def _selected(measured: Skill, config: SelectionConfig = CONFIG) -> list[str]:
    return [row.feature for row in select_features(measured, config, verdicts={}) if row.selected]


def test_the_first_few_of_every_fold_are_selected_with_the_numbers_behind() -> None:
    """As many as the path says, the strongest first; the reason counts folds and compares with all."""
    rows = _rows(_cell(range(5), range(5), range(5)))
    assert [(row.feature, row.position) for row in rows.values() if row.selected] == [
        ("alpha", 1),
        ("beta", 2),
    ]
    assert rows["alpha"].reason == (
        "chosen in 3 of 3 folds; 2 features score 0.071 ± 0.006, all 5 score 0.066"
    )
    assert rows["gamma"].reason == "chosen in 0 of 3 folds, 2 needed"
    assert (rows["gamma"].position, rows["gamma"].frequency, rows["alpha"].frequency) == (None, 0.0, 1.0)
    assert {row.fold_features for row in rows.values()} == {2}


def test_a_feature_must_be_chosen_in_enough_folds() -> None:
    """One good fold of three is not steady, two are."""
    measured = _cell([0, 1, 2, 3, 4], [0, 2, 1, 3, 4], [0, 2, 3, 1, 4])
    assert _selected(measured) == ["alpha", "gamma"]
    assert _rows(measured)["beta"].frequency == 0.333333


def test_no_more_than_are_enough_are_selected() -> None:
    """Of the features that are steady the least important are left out when the folds chose fewer."""
    measured = _cell([0, 1, 2, 3, 4], [0, 2, 1, 3, 4])
    rows = _rows(measured)
    assert _selected(measured) == ["alpha", "beta"]
    assert rows["gamma"].reason == "chosen in 1 of 2 folds, but 2 are enough"


def test_what_the_law_needs_is_selected_whatever_the_folds_chose() -> None:
    """Both parts of a product are features of the law, though neither is worth much by itself."""
    rows = _rows(_cell(range(5), range(5), leading=("delta", "epsilon")))
    assert {name for name, row in rows.items() if row.selected} == {"delta", "epsilon"}
    assert rows["delta"].reason.startswith("part of the law that the screens found, chosen in 0 of 2 folds; ")
    also = _rows(_cell(range(5), range(5), leading=("epsilon", "not_in_the_panel")))
    assert {name for name, row in also.items() if row.selected} == {"alpha", "epsilon"}


def test_the_law_does_not_lift_the_cap() -> None:
    """What the user allows at most holds for the law as well."""
    measured = _cell(range(5), range(5), leading=("delta", "epsilon"))
    assert len(_selected(measured, SelectionConfig(max_features=1, min_features=1))) == 1


def test_what_did_harm_out_of_sample_is_left_out_unless_every_fold_chose_it() -> None:
    """Shuffling it made predictions better on rows no fold had seen: a feature of luck."""
    folds = (
        fold_view((0.5, 0.2, 0.3), order=(0, 2, 1), permutation=(0.02, -0.002, -0.001)),
        fold_view((0.5, 0.3, 0.2), order=(0, 1, 2), permutation=(0.02, -0.004, -0.001)),
    )
    rows = _rows(cell(folds=folds, path=(_point(2, 0.07), _point(3, 0.07))))
    assert [name for name, row in rows.items() if row.selected] == ["alpha"]
    assert rows["beta"].reason == "chosen in 1 of 2 folds, but out of sample it cost 0.0030"
    assert rows["beta"].permutation_importance == -0.003
    steady = tuple(fold_view((0.5, 0.3, 0.0), order=(0, 1, 2), permutation=(0.02, -0.001, 0.0)) for _ in "ab")
    assert "beta" in _selected(cell(folds=steady, path=(_point(2, 0.07), _point(3, 0.07))))


def test_twins_are_chosen_once_and_count_together() -> None:
    """Folds that chose one or the other of two copies chose the same; the better one stands for both."""
    measured = _cell([0, 1, 2, 3, 4], [0, 2, 1, 3, 4], [0, 3, 4, 1, 2], [0, 4, 3, 1, 2])
    assert _selected(measured) == ["alpha"]
    twins = (("beta", "gamma", -0.99),)
    rows = _rows(_cell(*[fold.order for fold in measured.folds], twins=twins))
    assert [name for name, row in rows.items() if row.selected] == ["alpha", "beta"]
    assert rows["beta"].frequency == 0.5
    assert rows["gamma"].reason == "says the same as beta"
    near = _rows(_cell(*[fold.order for fold in measured.folds], twins=(("beta", "gamma", 0.95),)))
    assert near["beta"].frequency == 0.25


def test_of_twins_the_one_in_the_law_is_selected() -> None:
    """The law names a feature: its copy does not take its place, however important."""
    twins = (("alpha", "delta", 0.99),)
    rows = _rows(_cell(range(5), range(5), leading=("delta",), twins=twins))
    assert rows["delta"].selected
    assert rows["alpha"].reason == "says the same as delta"


def test_never_fewer_than_the_least() -> None:
    """The next most important fill up, though never a twin."""
    measured = _cell([0, 1, 2, 3, 4], [0, 2, 1, 3, 4], [0, 3, 1, 2, 4], [0, 4, 1, 2, 3])
    config = SelectionConfig(min_features=2)
    assert _selected(measured) == ["alpha"]
    rows = _rows(measured, config)
    assert [name for name, row in rows.items() if row.selected] == ["alpha", "beta"]
    assert rows["beta"].reason.startswith("chosen in 1 of 4 folds, 2 needed; taken to have 2; ")
    twins = (("alpha", "beta", 1.0),)
    spared = _cell(*[fold.order for fold in measured.folds], twins=twins)
    assert "beta" not in _selected(spared, config)
    assert len(_selected(spared, config)) == 2


def test_without_a_path_what_is_above_an_even_share_is_chosen() -> None:
    """Skill that was never compared along sizes still gives a choice, and says that it was not compared."""
    rows = _rows(cell())
    assert [name for name, row in rows.items() if row.selected] == ["alpha", "beta"]
    assert rows["alpha"].reason == "chosen in 3 of 3 folds; no sizes were compared"
    assert rows["alpha"].fold_features is None


def test_features_given_by_hand_are_all_selected_with_the_reason() -> None:
    """Nothing is judged away when the user chose; importances are still reported."""
    rows = select_features(cell(), CONFIG, verdicts={}, as_given="named by the user")
    assert [(row.feature, row.position) for row in rows] == [("alpha", 1), ("beta", 2), ("gamma", 3)]
    assert {row.reason for row in rows} == {"named by the user"}
    assert rows[0].importance > rows[2].importance


def test_verdicts_of_the_probes_stand_beside_each_feature() -> None:
    """A suspect feature is marked where it is selected."""
    rows = select_features(cell(), CONFIG, verdicts={"beta": "SUSPECT"})
    assert {row.feature: row.leakage_verdict for row in rows} == {
        "alpha": "SAFE",
        "beta": "SUSPECT",
        "gamma": "SAFE",
    }


def test_an_unmeasured_cell_selects_nothing() -> None:
    """Without folds there is nothing to go by."""
    assert select_features(cell(folds=()), CONFIG, verdicts={}) == []


def test_equal_importances_are_ordered_by_name() -> None:
    """Ties never depend on the order of columns."""
    folds = (fold_view((0.2, 0.2, 0.2)),) * 2
    rows = select_features(cell(folds=folds, features=("c", "a", "b")), CONFIG, verdicts={})
    assert [row.feature for row in rows] == ["a", "b", "c"]


def test_every_method_is_reported_and_missing_ones_are_missing() -> None:
    """A number that was not measured is None, never 0; one measured in some folds is their mean."""
    folds = (
        fold_view((3.0, 1.0), ridge=(0.3, -0.1), information=(0.02, 0.01)),
        fold_view((5.0, 2.0), ridge=(0.1, -0.3), information=(0.04, 0.01), permutation=(0.05, 0.0)),
    )
    rows = _rows(cell(folds=folds, features=("alpha", "beta")))
    alpha = rows["alpha"]
    assert (alpha.correlation_z, alpha.ridge_importance, alpha.information) == (4.0, 0.5, 0.03)
    assert alpha.permutation_importance == 0.05
    blank = _rows(cell())["alpha"]
    assert (blank.permutation_importance, blank.information) == (None, None)


def test_folds_that_agree_say_so_in_every_row() -> None:
    """Overlap and tau are of what the folds chose, here two of three features each."""
    alike = _rows(_cell([0, 1, 2, 3, 4], [0, 1, 2, 3, 4]))
    apart = _rows(_cell([0, 1, 2, 3, 4], [0, 2, 1, 3, 4]))
    assert {(row.jaccard, row.tau) for row in alike.values()} == {(1.0, 1.0)}
    assert {row.jaccard for row in apart.values()} == {0.333333}
    assert next(iter(apart.values())).tau == pytest.approx(1 / 3, abs=1e-6)
    assert {(row.jaccard, row.tau) for row in _rows(_cell([0, 1, 2, 3, 4])).values()} == {(None, None)}


def test_skill_of_an_auc_counts_from_one_half() -> None:
    """An AUC of .51 on the path is as good as nothing: the fewest are chosen, and the reason says why."""
    path = (_point(2, 0.501, 0.008), _point(5, 0.509))
    rows = _rows(_cell(range(5), range(5), metric="auc", path=path))
    assert {row.fold_features for row in rows.values()} == {2}
    assert "scores clearly above 0.5 in a linear model" in rows["alpha"].reason


def test_a_fold_without_an_order_takes_its_features_by_importance() -> None:
    """Views that carry vectors alone can still be chosen from."""
    votes = votes_of(cell(folds=(fold_view((0.1, 0.9, 0.5)),)), 2)
    assert votes.chosen.tolist() == [[False, True, True]]


def test_where_all_features_are_needed_each_fold_chose_all() -> None:
    """Also those that its order leaves out as twins."""
    measured = cell(folds=(fold_view((0.1, 0.9, 0.5), order=(1, 2)),))
    assert votes_of(measured, 3).chosen.tolist() == [[True, True, True]]
    assert votes_of(measured, 2).chosen.tolist() == [[False, True, True]]


def test_groups_of_twins_are_closed() -> None:
    """A twin of a twin belongs to the same group, whatever the order of the pairs."""
    pairs = (("delta", "gamma", 0.99), ("alpha", "delta", -0.99), ("beta", "epsilon", 0.95))
    assert twin_groups(_cell(range(5), twins=pairs), 0.98).tolist() == [0, 1, 0, 0, 4]
    assert twin_groups(_cell(range(5), twins=pairs[::-1]), 0.9).tolist() == [0, 1, 0, 0, 1]


def test_importance_is_of_explained_variance() -> None:
    """A coefficient twice as large counts four times, as it does in gain."""
    view = fold_view((0.2, -0.1), gain=(4.0, 1.0))
    assert importance_of(view).tolist() == pytest.approx([0.8, 0.2])


@given(some.permutations(range(5)), some.permutations(range(5)), some.permutations(range(5)))
def test_the_order_of_columns_does_not_matter(columns: list[int], one: list[int], two: list[int]) -> None:
    """Renumbering the features changes no row of the table."""
    measured = _cell(one, two, twins=(("alpha", "beta", 0.99),), leading=("gamma",))
    place = {old: new for new, old in enumerate(columns)}
    folds = tuple(
        fold_view(tuple(np.asarray(fold.correlation)[columns]), order=tuple(place[old] for old in fold.order))
        for fold in measured.folds
    )
    moved = cell(
        folds=folds,
        features=tuple(NAMES[old] for old in columns),
        path=measured.path,
        twins=measured.twins,
        leading=measured.leading,
    )
    assert select_features(moved, CONFIG, verdicts={}) == select_features(measured, CONFIG, verdicts={})
