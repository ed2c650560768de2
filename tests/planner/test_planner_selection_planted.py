"""Selection from measured folds of a planted panel: the law is found, its copy once, noise not at all."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from panel.metrics import SYMBOL_SPECIFIC, score, score_difference
from planner.config import SelectionConfig
from planner.importances import bin_codes, mutual_information, permutation_importance
from planner.redundancy import correlations_of, fold_order
from planner.selection import select_features
from planner.size_path import PathPoint, path_sizes
from planner.skill import FoldView, Skill
from planner.tables import SelectionRow

Floats = npt.NDArray[np.float64]

ROWS, FOLDS, BINS = 5_000, 4, 8
LAW = {"f_03": 0.35, "f_08": -0.25, "f_15": 0.20}
COPY, NAMES = "f_11", tuple(f"f_{place:02d}" for place in range(20))  # f_11 is all but f_03


def _planted(seed: int) -> tuple[Floats, Floats]:
    """Twenty features, three of which make the label, one a copy of the strongest; standardised."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((ROWS, len(NAMES)))
    features[:, NAMES.index(COPY)] = features[:, NAMES.index("f_03")] + 0.05 * rng.standard_normal(ROWS)
    label = sum(weight * features[:, NAMES.index(name)] for name, weight in LAW.items())
    return features, label + rng.standard_normal(ROWS)


@dataclass(slots=True)
class _Ridge:
    """A straight line through the training rows, of all features or some."""

    features: Floats
    label: Floats

    def of(self, places: list[int]) -> Floats:
        """Coefficients (all features,), 0 outside the places."""
        own = self.features[:, places]
        found = np.zeros(self.features.shape[1])
        found[places] = np.linalg.solve(own.T @ own + 20.0 * np.eye(len(places)), own.T @ self.label)
        return found


def _measured(features: Floats, label: Floats, names: tuple[str, ...]) -> Skill:
    """Walk forward over the rows as ranking does, each fold ordering its features by what it knows."""
    sizes, starts = path_sizes(len(names)), np.linspace(ROWS // 5, ROWS, FOLDS + 1).astype(int)
    predicted = {size: np.full(ROWS, np.nan) for size in sizes}
    views: list[FoldView] = []
    for start, stop in pairwise(starts.tolist()):
        ridge = _Ridge(features[:start], label[:start])
        alike = correlations_of(ridge.features.T @ ridge.features)
        whole = ridge.of(list(range(len(names))))
        codes = [
            bin_codes(values.astype(np.float32), BINS) for values in (ridge.features.T, ridge.label[None])
        ]
        methods = {
            "correlation": np.corrcoef(ridge.features.T, ridge.label)[-1, :-1] * np.sqrt(start),
            "ridge": whole,
            "information": mutual_information(codes[0], codes[1], BINS)[:, 0],
            "permutation": np.mean([view.permutation for view in views], axis=0) if views else (),
        }
        order = fold_order(methods, alike, twin_line=0.98)
        for size in sizes:
            places = list(order[:size]) if size < len(names) else list(range(len(names)))
            predicted[size][start:stop] = features[start:stop] @ ridge.of(places)
        views.append(
            FoldView(
                score=0.3,
                train_rows=start,
                train_timestamps=start,
                correlation=tuple(methods["correlation"]),
                ridge=tuple(whole),
                gain=(),
                permutation=tuple(_permutation(features[start:stop], label[start:stop], whole)),
                information=tuple(methods["information"]),
                order=order,
            )
        )
    pairs = np.argwhere(np.triu(np.abs(alike) > 0.9, k=1))
    return Skill(
        target="y",
        view=SYMBOL_SPECIFIC,
        symbol="AAA",
        features=names,
        metric="rank_corr",
        folds=tuple(views),
        twins=tuple((names[one], names[two], float(alike[one, two])) for one, two in pairs),
        path=tuple(_point(size, predicted, label) for size in sizes),
    )


def _permutation(test: Floats, label: Floats, coefficients: Floats) -> Floats:
    return permutation_importance(
        lambda rows: np.asarray(rows @ coefficients, dtype=np.float64),
        test.astype(np.float32),
        lambda predicted, rows: float(np.corrcoef(predicted, label[rows])[0, 1]),
        seed=1,
        block_rows=2,
    )


def _point(size: int, predicted: dict[int, Floats], label: Floats) -> PathPoint:
    times, symbols = np.arange(ROWS), np.zeros(ROWS, dtype=np.int64)
    own, whole = predicted[size], predicted[max(predicted)]
    scored = score(own, label, times, symbols, task="regression", view=SYMBOL_SPECIFIC, horizon_bars=1)
    behind = score_difference(
        whole, own, label, times, symbols, task="regression", view=SYMBOL_SPECIFIC, horizon_bars=1
    )
    return PathPoint(
        size=size,
        score=scored.value,
        standard_error=scored.standard_error,
        behind_all=behind.value,
        behind_error=behind.standard_error,
    )


def _rows(measured: Skill) -> dict[str, SelectionRow]:
    return {row.feature: row for row in select_features(measured, SelectionConfig(), verdicts={})}


@pytest.mark.parametrize("seed", range(4))
def test_the_law_is_chosen_its_copy_once_and_no_noise(seed: int) -> None:
    """Three of twenty features, the copy standing for none of them, in every fold."""
    rows = _rows(_measured(*_planted(seed), NAMES))
    chosen = {name for name, row in rows.items() if row.selected}
    assert {name.replace(COPY, "f_03") for name in chosen} == set(LAW)
    assert len(chosen) == len(LAW)
    left = ({"f_03", COPY} - chosen).pop()
    assert rows[left].reason.startswith("says the same as f_")
    assert {rows[name].frequency for name in chosen} == {1.0}
    assert next(iter(rows.values())).jaccard == 1.0


def test_few_score_as_well_as_all_on_rows_nobody_has_seen() -> None:
    """The reason's numbers hold: the chosen size is not behind all features by more than one error."""
    measured = _measured(*_planted(7), NAMES)
    (first, *_others) = select_features(measured, SelectionConfig(), verdicts={})
    point = next(point for point in measured.path if point.size == first.fold_features)
    assert point.behind_all <= point.behind_error
    assert f"{point.size} features score {point.score:.3f}" in first.reason


def test_columns_in_another_order_are_chosen_alike() -> None:
    """A panel with its columns shuffled selects the same features at the same positions."""
    features, label = _planted(2)
    columns = np.random.default_rng(9).permutation(len(NAMES))
    straight = _rows(_measured(features, label, NAMES))
    moved = _rows(_measured(features[:, columns], label, tuple(NAMES[place] for place in columns)))
    assert {name: row.position for name, row in moved.items()} == {
        name: row.position for name, row in straight.items()
    }
