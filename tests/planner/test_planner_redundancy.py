"""An order without redundancy: the same as a plain reference, twins once, noise last."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as some

from planner.redundancy import choose, correlations_of, fold_order

Floats = npt.NDArray[np.float64]


def _reference(relevance: Floats, alike: Floats, most: int, twin_line: float) -> list[int]:
    """Minimum redundancy, maximum relevance as it is written in the paper, one pair at a time."""
    chosen: list[int] = []
    top = max(relevance.tolist())
    while len(chosen) < most:
        best, best_score = -1, -np.inf
        for place in range(len(relevance)):
            if place in chosen or any(abs(alike[place, other]) > twin_line for other in chosen):
                continue
            redundancy = sum(alike[place, other] ** 2 for other in chosen) / max(1, len(chosen))
            score = round(relevance[place] / top - redundancy, 12)
            if score > best_score:
                best, best_score = place, score
        if best < 0:
            break
        chosen.append(best)
    return chosen


def _made(seed: int, features: int, rows: int = 60) -> tuple[Floats, Floats]:
    """Relevances and correlations of features that share a few sources."""
    rng = np.random.default_rng(seed)
    data = rng.standard_normal((rows, 3)) @ rng.standard_normal((3, features))
    data += rng.uniform(0.05, 2.0, features) * rng.standard_normal((rows, features))
    data -= data.mean(axis=0)
    return rng.uniform(0.01, 1.0, features), correlations_of(data.T @ data)


@given(
    some.integers(0, 10**6), some.integers(1, 15), some.integers(0, 20), some.sampled_from([0.8, 0.95, 1.0])
)
def test_the_order_is_that_of_the_paper(seed: int, features: int, most: int, twin_line: float) -> None:
    """The same features in the same order as one pair at a time, twins left out."""
    relevance, alike = _made(seed, features)
    assert list(choose(relevance, alike, most, twin_line=twin_line)) == _reference(
        relevance, alike, most, twin_line
    )


@settings(max_examples=50)
@given(some.integers(0, 10**6), some.integers(2, 12))
def test_a_shorter_order_is_the_beginning_of_a_longer_one(seed: int, features: int) -> None:
    """So one order serves every size of the path."""
    relevance, alike = _made(seed, features)
    whole = choose(relevance, alike, features)
    assert sorted(whole) == list(range(features))
    assert all(choose(relevance, alike, size) == whole[:size] for size in range(features))


@given(some.permutations(range(8)), some.integers(0, 1_000))
def test_columns_may_be_in_any_order(columns: list[int], seed: int) -> None:
    """The same features are chosen one after the other."""
    relevance, alike = _made(seed, 8)
    moved = choose(relevance[columns], alike[np.ix_(columns, columns)], 5)
    assert [columns[place] for place in moved] == list(choose(relevance, alike, 5))


def test_a_second_source_comes_before_a_copy_of_the_first() -> None:
    """Half as relevant but new beats nearly as relevant but said already; a twin never comes."""
    alike = np.array(
        [[1.0, 0.99, 0.8, 0.0], [0.99, 1.0, 0.8, 0.0], [0.8, 0.8, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    )
    relevance = np.array([1.0, 0.98, 0.7, 0.5])
    assert choose(relevance, alike, 4) == (0, 3, 1, 2)
    assert choose(relevance, alike, 4, twin_line=0.98) == (0, 3, 2)
    assert choose(relevance, -alike, 4, twin_line=0.98) == (0, 3, 2)


def test_what_is_relevant_only_through_another_comes_after_what_is_not() -> None:
    """An echo of the strongest feature has just the relevance its correlation brings."""
    alike = np.eye(3)
    alike[0, 1] = alike[1, 0] = 0.6
    assert choose(np.array([1.0, 0.36, 0.05]), alike, 3) == (0, 2, 1)


def test_equal_scores_go_to_the_first_place_whatever_the_last_bits() -> None:
    """Sums in another order must not swap features."""
    assert choose(np.array([0.1 + 0.2, 0.3, 1.0]), np.eye(3), 3) == (2, 0, 1)
    assert choose(np.array([0.3, 0.1 + 0.2, 1.0]), np.eye(3), 3) == (2, 0, 1)
    assert choose(np.zeros(3), np.eye(3), 2) == (0, 1)


def test_correlations_come_from_the_gram_matrix() -> None:
    """As numpy has them; a constant feature correlates with nothing."""
    data = np.random.default_rng(1).standard_normal((50, 3))
    data -= data.mean(axis=0)
    np.testing.assert_allclose(correlations_of(data.T @ data), np.corrcoef(data.T), atol=1e-12)
    data[:, 1] = 0.0
    assert correlations_of(data.T @ data)[1].tolist() == [0.0, 0.0, 0.0]


def test_a_fold_orders_by_all_methods_together() -> None:
    """One method's favourite yields to what all others agree upon; of twins only the better is there."""
    methods = {"correlation": (3.0, 1.0, 0.0), "gain": (8.0, 1.0, 1.0), "information": (0.0, 0.0, 0.1)}
    assert fold_order(methods, np.eye(3), twin_line=0.98) == (0, 2, 1)
    assert fold_order(methods, np.ones((3, 3)), twin_line=0.98) == (0,)
