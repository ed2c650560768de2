"""The columns of a model: features out of chance, and what the found families of laws make of features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from planner_cells import Stage, law, series, stage

from planner.config import RankingConfig
from planner.grids import FoldGrid, Term
from planner.scores import TIME
from planner.terms import extra_terms, features_of, ranked_terms

Float32s = npt.NDArray[np.float32]
ROWS, TEST_FROM = 500, 400
EVERY = (0, 1, 2)
SURE = 1e-9


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Three symbols with four features of noise."""
    rng = np.random.default_rng(1)
    data = {
        name: series({key: rng.standard_normal(ROWS) for key in ("a", "b", "c", "d", "y_x_1d")})
        for name in ("AAA", "BBB", "CCC")
    }
    return stage(data, tmp_path_factory.mktemp("terms"))


@pytest.fixture(scope="module")
def grid(made: Stage) -> FoldGrid:
    """One fold of it."""
    return made.grid(TEST_FROM, ROWS)


def _labels(grid: FoldGrid, driver: npt.NDArray[np.floating], strength: float = 1.0) -> Float32s:
    """Labels (symbols, 1, training bars) that follow a driver (symbols, training bars), around 0."""
    noise = np.random.default_rng(9).standard_normal(driver.shape)
    label = strength * driver + noise
    return (label - label.mean())[:, None].astype(np.float32)


def _train(grid: FoldGrid, feature: int) -> Float32s:
    return np.stack([grid.time[symbol, feature, :TEST_FROM] for symbol in EVERY])


def _extras(grid: FoldGrid, labels: Float32s, usable: Sequence[int] = range(4), **sure: float) -> list[Term]:
    return list(extra_terms(grid, TIME, EVERY, labels, np.array(usable), law(**sure)))


def test_features_out_of_chance_come_clearest_first() -> None:
    """Those with |z| of at least 2.6, whatever their sign, and of the usable ones only."""
    z = np.array([3.0, -9.0, 2.5, 50.0, 4.0])
    chosen = ranked_terms(z, np.array([0, 1, 2, 4]), RankingConfig())
    assert [term.first for term in chosen] == [1, 4, 0]
    assert {term.kind for term in chosen} == {"rank"}


def test_a_model_has_two_columns_where_it_can_and_twenty_at_most() -> None:
    """With nothing clear the two least unclear; with all clear as many as the settings allow."""
    config = RankingConfig(max_screened_features=5)
    assert [term.first for term in ranked_terms(np.array([0.1, -0.3, 0.2]), np.arange(3), config)] == [1, 2]
    assert len(ranked_terms(np.full(40, 8.0), np.arange(40), config)) == 5
    assert len(ranked_terms(np.array([0.1]), np.arange(1), config)) == 1


def test_without_a_law_nothing_is_made_of_features(grid: FoldGrid) -> None:
    """No screen found anything, or none of what makes columns: plain features only."""
    labels = _labels(grid, np.abs(_train(grid, 0)), 5.0)
    assert extra_terms(grid, TIME, EVERY, labels, np.arange(4), None) == ()
    assert not _extras(grid, labels, rank=SURE)
    assert not _extras(grid, labels, folded=0.2)


def test_a_law_of_size_gives_the_size_of_its_feature(grid: FoldGrid) -> None:
    """The distance from the middle of the feature that drives the label, and of no other."""
    labels = _labels(grid, np.abs(_train(grid, 2)))
    assert _extras(grid, labels, folded=SURE) == [Term("folded", 2)]
    assert not _extras(grid, labels, usable=(0, 1, 3), folded=SURE)


def test_a_law_of_products_gives_the_pair(grid: FoldGrid) -> None:
    """The two features whose product drives the label; a square is a pair of one."""
    pair = _labels(grid, _train(grid, 1) * _train(grid, 3))
    assert _extras(grid, pair, product=SURE)[0] == Term("product", 1, 3)
    square = _labels(grid, _train(grid, 0) ** 2)
    assert _extras(grid, square, product=SURE)[0] == Term("product", 0, 0)


def test_a_law_of_old_values_gives_the_lag(grid: FoldGrid) -> None:
    """The value of seven bars ago, found at its own age."""
    driver = np.zeros((3, TEST_FROM))
    driver[:, 7:] = _train(grid, 1)[:, :-7]
    found = _extras(grid, _labels(grid, driver), lag=SURE)
    assert found[0] == Term("lag", 1, bars=7)
    assert {term.first for term in found} == {1}


def test_a_law_of_sums_gives_the_window(grid: FoldGrid) -> None:
    """The sum of the newest ten bars is clearer than any single lag of it."""
    score = np.pad(_train(grid, 3), ((0, 0), (9, 0)))
    driver = sum(score[:, place : place + TEST_FROM] for place in range(10)) / np.sqrt(10)
    assert _extras(grid, _labels(grid, driver, 0.7), lag=SURE)[0] == Term("window", 3, bars=10)


def test_old_values_of_a_feature_that_counts_by_itself_are_not_looked_for(grid: FoldGrid) -> None:
    """When the plain law is clearer than that of lags, lags are the slow feature seen twice."""
    driver = np.zeros((3, TEST_FROM))
    driver[:, 3:] = _train(grid, 1)[:, :-3]
    assert not _extras(grid, _labels(grid, driver), lag=1e-9, rank=1e-12)


def test_noise_makes_no_columns(grid: FoldGrid) -> None:
    """Even where every family is believed, what does not stand out of the training bars is left out."""
    labels = _labels(grid, np.zeros((3, TEST_FROM)))
    assert len(_extras(grid, labels, folded=SURE, product=SURE, lag=SURE)) <= 1


def test_bars_without_a_label_do_not_take_part(grid: FoldGrid) -> None:
    """Labels of 0 stand for none: what the features do there changes no choice."""
    labels = _labels(grid, np.abs(_train(grid, 2)))
    labels[..., 300:] = 0.0
    assert _extras(grid, labels, folded=SURE) == [Term("folded", 2)]


def test_the_worth_of_columns_is_shared_by_their_features() -> None:
    """A product gives half to each, a square all to one; sums add up."""
    terms = (Term("rank", 0), Term("product", 0, 2), Term("product", 1, 1), Term("lag", 1, bars=3))
    assert features_of(terms, np.array([1.0, 4.0, 8.0, 16.0])) == {0: 3.0, 2: 2.0, 1: 24.0}
