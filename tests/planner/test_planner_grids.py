"""The features of a fold: measured on its training bars alone, and columns that are plain arithmetic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from planner_cells import Stage, series, stage

from planner.grids import FoldGrid, Term, standardise
from planner.scores import CROSS, TIME, across

Float32s = npt.NDArray[np.float32]
ROWS, TEST_FROM, TEST_UNTIL = 300, 200, 260
EVERY = (0, 1, 2, 3)


def _frames(rows: int = ROWS) -> dict[str, pd.DataFrame]:
    """Four symbols; a drifting feature, one with holes, a plain one; the last symbol is listed at bar 40."""
    found = {}
    for seed, name in enumerate(("AAA", "BBB", "CCC", "DDD")):
        rng = np.random.default_rng(seed)
        drift, holes = np.cumsum(rng.standard_normal(rows)), rng.standard_normal(rows)
        holes[rng.random(rows) < 0.1] = np.nan
        found[name] = series(
            {
                "drift": drift,
                "holes": holes,
                "plain": rng.lognormal(size=rows),
                "y_x_1d": rng.standard_normal(rows),
            }
        )
    found["DDD"] = found["DDD"].iloc[40:].reset_index(drop=True)
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Four symbols of 300 days."""
    return stage(_frames(), tmp_path_factory.mktemp("grids"))


@pytest.fixture(scope="module")
def grid(made: Stage) -> FoldGrid:
    """One fold of it."""
    return made.grid(TEST_FROM, TEST_UNTIL)


def test_values_are_brought_to_mean_0_and_variance_1_of_the_training_bars() -> None:
    """Cut at the values 1 % from either end, less the mean, over the spread: as plain numpy says it."""
    rng = np.random.default_rng(1)
    raw = rng.standard_t(3, size=(1, 2, 500)).astype(np.float32)
    raw[0, 1, ::7] = np.nan
    made = raw.copy()
    standardise(made, 400)
    for before, after in zip(raw[0], made[0], strict=True):
        train = np.sort(before[:400][np.isfinite(before[:400])])
        last = len(train) - 1
        low, high = train[int(0.01 * last)], train[int(np.ceil(0.99 * last))]
        cut = np.clip(train, low, high)
        wanted = np.nan_to_num((np.clip(before, low, high) - cut.mean()) / cut.std())
        assert after == pytest.approx(wanted, abs=1e-5)


def test_no_later_value_changes_an_earlier_one_nor_the_scale() -> None:
    """Whatever happens from the first test bar on, training bars and untouched test bars stay bit for bit."""
    raw = np.random.default_rng(2).standard_normal((3, 4, 400)).astype(np.float32)
    other = raw.copy()
    other[..., 300:] = other[..., 300:] * 50.0 + 7.0
    other[..., 399] = raw[..., 399]
    other[1, 2, 350:390] = np.nan
    for values in (raw, other):
        standardise(values, 300)
    assert raw[..., :300].tobytes() == other[..., :300].tobytes()
    assert raw[..., 399].tobytes() == other[..., 399].tobytes()
    assert not np.array_equal(raw[..., 300:399], other[..., 300:399])


def test_a_feature_of_few_bars_in_a_symbol_is_measured_by_all_symbols() -> None:
    """Under a hundred training bars its own mean says little: that of all symbols is taken, for it alone."""
    rng = np.random.default_rng(3)
    raw = (rng.standard_normal((3, 2, 600)) + 5.0).astype(np.float32)
    raw[2, 0, :520] = np.nan
    raw[2, 0, 520:] += 100.0
    alone = raw[2:, 1:].copy()
    standardise(alone, 600)
    standardise(raw, 600)
    assert raw[:2].mean(axis=2) == pytest.approx(np.zeros((2, 2)), abs=0.2)
    assert raw[2, 0, 520:].min() > 1.0  # far above what the others have
    assert raw[2, 1].tobytes() == alone[0, 0].tobytes()


def test_missing_and_constant_features_count_as_nothing() -> None:
    """A missing value is 0, and so is all of a feature that never varies or is never there."""
    raw = np.random.default_rng(4).standard_normal((2, 3, 300)).astype(np.float32)
    raw[0, 0, ::3] = np.nan
    raw[:, 1] = 7.0
    raw[:, 2] = np.nan
    standardise(raw, 200)
    assert not raw[0, 0, ::3].any()
    assert not raw[:, 1:].any()
    assert np.isfinite(raw).all()


def test_a_fold_sees_nothing_of_later_features(grid: FoldGrid, tmp_path: Path) -> None:
    """Other features from the first test bar on: both kinds of score are the same before it."""
    changed = _frames()
    for seed, table in enumerate(changed.values()):
        late = table["ts"] >= pd.Timestamp("2015-01-01", tz="UTC") + pd.Timedelta(days=TEST_FROM)
        rng = np.random.default_rng(seed + 70)
        for name in ("drift", "holes", "plain"):
            table.loc[late, name] = rng.standard_normal(int(late.sum())) + 40.0 * seed
    other = stage(changed, tmp_path).grid(TEST_FROM, TEST_UNTIL)
    for symbol in EVERY:
        before, after = (one.matrix(TIME, symbol)[:, :TEST_FROM].tobytes() for one in (grid, other))
        assert before == after
        one, two = (one.matrix(CROSS, symbol)[:, :TEST_FROM] for one in (grid, other))
        assert one == pytest.approx(two, abs=5e-3)  # kept at half precision


def test_cross_scores_are_the_ranks_of_each_moment(grid: FoldGrid) -> None:
    """Nothing of other moments is in them, so nothing that is still to come."""
    raw = grid.axis.grid(grid.screened.features)[:, :, :TEST_UNTIL]
    made = np.stack([grid.matrix(CROSS, symbol) for symbol in EVERY])
    np.testing.assert_allclose(made, across(raw), atol=2e-3)


@pytest.mark.parametrize("kind", [TIME, CROSS])
def test_sums_of_products_are_those_of_the_training_bars(grid: FoldGrid, kind: str) -> None:
    """Gram and moments as plain matrix products over symbols, before the test."""
    labels = np.random.default_rng(5).standard_normal((4, 2, TEST_FROM)).astype(np.float32)
    x = np.stack([grid.matrix(kind, symbol)[:, :TEST_FROM] for symbol in EVERY])
    assert grid.gram(kind, EVERY) == pytest.approx(np.einsum("sft,sgt->fg", x, x), rel=1e-4)
    (moments,) = grid.moments(kind, EVERY, [labels])
    assert moments == pytest.approx(np.einsum("sft,skt->fk", x, labels), rel=1e-3, abs=1e-3)


def test_the_sums_of_a_target_do_not_depend_on_its_company(grid: FoldGrid) -> None:
    """Alone or beside others: the same bits."""
    rng = np.random.default_rng(6)
    first, second = (rng.standard_normal((4, 1, TEST_FROM)).astype(np.float32) for _ in range(2))
    together = grid.moments(TIME, EVERY, [second, first])[1]
    assert grid.moments(TIME, EVERY, [first])[0].tobytes() == together.tobytes()


def _column(grid: FoldGrid, term: Term, kind: str = TIME) -> Float32s:
    found = grid.columns((term,), kind, (0, 2))
    assert found.shape == (2, 1, TEST_UNTIL)
    return found[:, 0]


@pytest.mark.parametrize("kind", [TIME, CROSS])
def test_a_rank_a_lag_and_a_window_are_the_score_itself_moved_and_summed(grid: FoldGrid, kind: str) -> None:
    """Lag 4 is the score four bars ago, window 5 the sum of the newest five over the root of five."""
    score = np.stack([grid.matrix(kind, symbol)[1] for symbol in (0, 2)])
    assert _column(grid, Term("rank", 1), kind).tobytes() == score.tobytes()
    lagged = _column(grid, Term("lag", 1, bars=4), kind)
    assert not lagged[:, :4].any()
    assert lagged[:, 4:].tobytes() == score[:, :-4].tobytes()
    window = _column(grid, Term("window", 1, bars=5), kind)
    padded = np.concatenate([np.zeros((2, 4)), score], axis=1)
    wanted = sum(padded[:, place : place + TEST_UNTIL] for place in range(5)) / np.sqrt(5)
    assert window == pytest.approx(wanted, abs=1e-5)


def test_size_and_product_are_centred_on_the_training_bars(grid: FoldGrid) -> None:
    """What is made of standardised values has the mean of the training bars that are there taken off."""
    x, z = (np.stack([grid.matrix(TIME, symbol)[place] for symbol in (0, 2)]) for place in (1, 2))
    for term, plain in ((Term("folded", 1), np.abs(x)), (Term("product", 1, 2), x * z)):
        column = _column(grid, term)
        for own, made in zip(plain, column, strict=True):
            train = own[:TEST_FROM]
            wanted = np.clip(own - train[train != 0].mean(), -10, 10)
            assert made[own != 0] == pytest.approx(wanted[own != 0], abs=1e-5)
            assert not made[own == 0].any()


def test_the_level_of_a_cross_sectional_model_is_the_value_over_time(grid: FoldGrid) -> None:
    """Beside its rank of the moment a model may see how high a feature stands in its own history."""
    level = _column(grid, Term("level", 0), CROSS)
    assert level.tobytes() == np.stack([grid.matrix(TIME, symbol)[0] for symbol in (0, 2)]).tobytes()


def test_a_term_names_the_features_it_is_made_of() -> None:
    """Two for a product, one for everything else, a square included."""
    assert Term("product", 3, 5).features == (3, 5)
    assert Term("product", 3, 3).features == (3,)
    assert Term("lag", 3, bars=2).features == (3,)
