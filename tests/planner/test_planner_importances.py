"""What features are worth: codes, mutual information and permutation against slow references."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays
from sklearn.metrics import mutual_info_score

import planner.importances
from planner.importances import (
    ScoreOf,
    bin_codes,
    combined_importance,
    mutual_information,
    permutation_importance,
    share_of,
)

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


def _reference_codes(column: Float32s, bins: int) -> list[int]:
    """Bin by bin in plain Python."""
    known = sorted(value for value in column.tolist() if math.isfinite(value))
    edges = {known[math.ceil(step * len(known) / bins) - 1] for step in range(1, bins)} if known else set()
    return [
        1 + sum(value > edge for edge in edges) if math.isfinite(value) else 0 for value in column.tolist()
    ]


def _reference_information(feature: Bytes, label: Bytes) -> float:
    """Mutual information by counting pairs, with Miller's correction of every entropy."""
    pairs = [(int(one), int(two)) for one, two in zip(feature, label, strict=True) if one and two]
    if not pairs:
        return 0.0

    def entropy(things: list[object]) -> float:
        counts = Counter(things)
        plain = -sum(count / len(things) * math.log(count / len(things)) for count in counts.values())
        return plain + (len(counts) - 1) / (2 * len(things))

    ones, twos = [one for one, _ in pairs], [two for _, two in pairs]
    return entropy([*ones]) + entropy([*twos]) - entropy([*pairs])


@given(
    arrays(
        np.float32,
        some.tuples(some.integers(1, 4), some.integers(0, 60)),
        elements=some.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.1, 0.25, 1.0, 3.0, np.nan, np.inf, -np.inf]),
    ),
    some.integers(2, 12),
)
def test_codes_are_those_of_plain_counting(values: Float32s, bins: int) -> None:
    """Ties share a code, missing and infinite values have code 0, in either memory order."""
    expected = [_reference_codes(column, bins) for column in values]
    assert bin_codes(values, bins).tolist() == expected
    assert bin_codes(np.asfortranarray(values), bins).tolist() == expected


def test_bins_hold_equal_shares_also_when_the_edges_come_from_a_sample() -> None:
    """Fifty thousand rows, edges from a fifth of them: every bin within a tenth of its share."""
    values = np.random.default_rng(1).standard_normal((2, 50_000)).astype(np.float32)
    counts = np.bincount(bin_codes(values, 16)[1], minlength=17)
    assert counts[0] == 0
    assert np.abs(counts[1:] * 16 / 50_000 - 1).max() < 0.1


@pytest.mark.parametrize("bins", [1, 256])
def test_bins_that_do_not_fit_a_byte_are_refused(bins: int) -> None:
    """Code 0 is taken, so 255 are the most."""
    with pytest.raises(ValueError, match="2 to 255"):
        bin_codes(np.zeros((1, 3), dtype=np.float32), bins)


@settings(deadline=None)
@given(some.integers(0, 10**6), some.integers(1, 40), some.integers(2, 9), some.integers(1, 7))
def test_information_is_that_of_plain_counting(seed: int, rows: int, bins: int, targets: int) -> None:
    """Every pair on the rows where both are known, however many targets are counted in one pass."""
    rng = np.random.default_rng(seed)
    features = rng.integers(0, bins + 1, (3, rows), dtype=np.uint8)
    labels = rng.integers(0, bins + 1, (targets, rows), dtype=np.uint8)
    labels[0] = features[0]
    found = mutual_information(features, labels, bins)
    expected = [[_reference_information(one, two) for two in labels] for one in features]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_information_before_its_correction_is_that_of_the_library() -> None:
    """scikit-learn's plug-in estimate, less the bias of Miller and Madow."""
    rng = np.random.default_rng(2)
    feature = rng.integers(1, 9, (1, 2_000), dtype=np.uint8)
    label = np.minimum(8, feature + rng.integers(0, 3, (1, 2_000))).astype(np.uint8)
    occupied = [len(np.unique(feature)), len(np.unique(label)), len(np.unique(feature * 16 + label))]
    bias = (occupied[2] - occupied[0] - occupied[1] + 1) / 4_000
    plain = mutual_info_score(feature[0], label[0])
    assert mutual_information(feature, label, 8)[0, 0] == pytest.approx(plain - bias, abs=1e-12)


def test_noise_has_no_information_on_average() -> None:
    """The plain estimate of independent codes is 0.05 nats here; corrected it is nothing."""
    rng = np.random.default_rng(3)
    features = rng.integers(1, 17, (40, 2_000), dtype=np.uint8)
    labels = rng.integers(1, 17, (5, 2_000), dtype=np.uint8)
    plain = np.mean([mutual_info_score(one, two) for one in features[:5] for two in labels])
    assert plain > 0.05
    assert abs(mutual_information(features, labels, 16).mean()) < 0.002


def test_information_of_normal_variables_is_the_known_one() -> None:
    """-½ ln(1 - ρ²) for correlation ρ, less what 16 bins lose; a folded law is seen, luck is not."""
    rng = np.random.default_rng(4)
    one, luck = rng.standard_normal((2, 40_000))
    label = 0.5 * one + math.sqrt(0.75) * rng.standard_normal(40_000)
    folded = np.abs(one) + 0.5 * rng.standard_normal(40_000)
    codes = bin_codes(np.array([one, luck], dtype=np.float32), 16)
    found = mutual_information(codes, bin_codes(np.array([label, folded], dtype=np.float32), 16), 16)
    assert found[0, 0] == pytest.approx(-0.5 * math.log(0.75), rel=0.05)
    assert found[0, 1] > 0.2
    assert np.abs(found[1]).max() < 0.003


def test_as_many_bins_as_a_byte_holds() -> None:
    """Three targets of 255 bins are counted one by one: their joint table would not fit."""
    rng = np.random.default_rng(6)
    features, labels = (
        rng.integers(0, 256, (2, 500), dtype=np.uint8),
        rng.integers(0, 256, (3, 500), dtype=np.uint8),
    )
    expected = [[_reference_information(one, two) for two in labels] for one in features]
    np.testing.assert_allclose(mutual_information(features, labels, 255), expected, atol=1e-12)


def test_codes_beyond_the_bins_are_refused() -> None:
    """They would be counted as another pair."""
    with pytest.raises(ValueError, match="4 bins"):
        mutual_information(np.array([[5]], dtype=np.uint8), np.array([[1]], dtype=np.uint8), 4)


def _panel(rows: int = 400) -> tuple[Float32s, Floats]:
    rng = np.random.default_rng(5)
    features = rng.standard_normal((rows, 4)).astype(np.float32)
    return features, features[:, 0] + 0.5 * features[:, 2] + 0.1 * rng.standard_normal(rows)


def _linear(rows: Float32s) -> Floats:
    """A model of features 0 and 2 alone."""
    return np.asarray(rows[:, 0] + 0.5 * rows[:, 2], dtype=np.float64)


def _correlation(label: Floats) -> ScoreOf:
    return lambda predicted, rows: float(np.corrcoef(predicted, label[rows])[0, 1])


def _importance(features: Float32s, label: Floats, **changes: Any) -> Floats:
    asked: dict[str, Any] = {"seed": 7, "block_rows": 5, **changes}
    return permutation_importance(_linear, features, _correlation(label), **asked)


def test_what_a_model_uses_costs_skill_when_shuffled_and_nothing_else_does() -> None:
    """More for the larger coefficient, exactly nothing for features the model does not look at."""
    found = _importance(*_panel())
    assert found[0] > found[2] > 0.05
    assert (found[1], found[3]) == (0.0, 0.0)


def test_copies_predicted_together_score_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many copies fit into memory changes nothing."""
    features, label = _panel()
    together = _importance(features, label, repeats=3)
    monkeypatch.setattr(planner.importances, "_COPY_CELLS", 1)
    assert _importance(features, label, repeats=3).tolist() == together.tolist()


def test_few_predictions_serve_all_features() -> None:
    """One call for the rows as they are and one for all copies."""
    features, label = _panel()
    calls: list[int] = []

    def counted(rows: Float32s) -> Floats:
        calls.append(len(rows))
        return _linear(rows)

    permutation_importance(counted, features, _correlation(label), seed=1, block_rows=5)
    assert calls == [400, 1_600]


def test_repeats_are_averaged() -> None:
    """More shuffles give the same importance with less luck, not a larger one."""
    features, label = _panel()
    once, often = (_importance(features, label, repeats=repeats)[0] for repeats in (1, 8))
    assert often == pytest.approx(once, rel=0.2)


def test_only_the_columns_in_question_are_shuffled() -> None:
    """The others are 0 without having been looked at."""
    features, label = _panel()
    assert np.flatnonzero(_importance(features, label, columns=[2, 3])).tolist() == [2]
    assert _importance(features, label, columns=[2])[2] == _importance(features, label)[2]


def test_importance_moves_with_its_column_and_repeats_itself() -> None:
    """All features are shuffled alike, so their order does not matter; a seed gives its numbers again."""
    features, label = _panel()
    straight = permutation_importance(_linear, features, _correlation(label), seed=3, block_rows=5)
    swapped = permutation_importance(
        lambda rows: _linear(rows[:, ::-1]),
        features[:, ::-1],
        _correlation(label),
        seed=3,
        block_rows=5,
    )
    assert swapped[::-1].tolist() == straight.tolist()
    assert _importance(features, label, seed=8).tolist() != _importance(features, label).tolist()


def test_values_come_from_a_whole_block_away() -> None:
    """Blocks stay whole and none stays in its place: a label that overlaps does not meet its own feature."""
    rows = np.arange(103)
    seen: list[Float32s] = []

    def spy(given: Float32s) -> Floats:
        seen.append(given[:, 0].copy())
        return np.zeros(len(given))

    plain = permutation_importance(
        spy, rows[:, None].astype(np.float32), lambda _found, _rows: 0.0, seed=2, block_rows=10
    )
    moved = seen[1].astype(int)
    assert plain.tolist() == [0.0]
    assert sorted(moved) == list(range(100))
    assert np.abs(moved - np.arange(100)).min() >= 10
    assert (np.diff(moved.reshape(10, 10), axis=1) == 1).all()


def test_blocks_of_thinned_rows_still_reach_over_the_horizon() -> None:
    """Rows are thinned evenly and blocks with them; the score sees the rows that were kept."""
    kept: list[npt.NDArray[np.intp]] = []

    def score(predicted: Floats, rows: npt.NDArray[np.intp]) -> float:
        kept.append(rows)
        return float(predicted.mean())

    features, _label = _panel(1_000)
    permutation_importance(_linear, features, score, seed=1, block_rows=25, max_rows=100)
    assert kept[0].tolist() == list(range(0, 990, 10))


@pytest.mark.parametrize("rows", [0, 9])
def test_rows_too_few_to_shuffle_say_nothing(rows: int) -> None:
    """With less than two blocks there is no other place to take values from."""
    features, label = _panel()
    assert _importance(features[:rows], label[:rows]).tolist() == [0.0] * 4


def test_shares_sum_to_one_also_when_nothing_is_there() -> None:
    """What did harm counts as nothing; all zeros means that no feature stands out: even shares."""
    assert share_of([0.0, 0.0]).tolist() == [0.5, 0.5]
    assert share_of([-3.0, 1.0, 3.0]).tolist() == [0.0, 0.25, 0.75]
    assert share_of([]).tolist() == []


def test_methods_count_alike_in_units_of_explained_variance() -> None:
    """Correlation and coefficients are squared, gain is not; what says nothing is passed over."""
    found = combined_importance({"correlation": (2.0, -1.0), "gain": (1.0, 3.0), "permutation": ()})
    assert found.tolist() == [(0.8 + 0.25) / 2, (0.2 + 0.75) / 2]
    assert combined_importance({"gain": (0.0, 0.0), "ridge": (1.0, 0.0)}).tolist() == [1.0, 0.0]
    assert combined_importance({"gain": (0.0, 0.0), "permutation": (-1.0, -2.0)}).tolist() == [0.5, 0.5]
