"""Splits never look ahead: purged in time, across symbols, embargo included."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import panel_cases as cases
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from panel.aligned import Panel
from panel.errors import TooShort
from panel.folds import holdout, holdout_from, walk_forward

SPANS = [(0, 240), (35, 150), (100, 140), (0, 90), (200, 40)]


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """Five symbols whose listings start and end at different times."""
    return cases.listed_panel(SPANS, tmp_path_factory.mktemp("uneven"))


def brute_ends(panel: Panel, horizon: int) -> npt.NDArray[np.int64]:
    """Label ends row by row, straight from the definition."""
    ends = []
    for row in range(panel.rows):
        own = panel.rows_of(panel.symbols[panel.symbol_codes[row]])
        ahead = row + horizon
        ends.append(int(panel.time_codes[ahead]) if ahead < own.stop else len(panel.timestamps) - 1)
    return np.array(ends)


def boundaries(panel: Panel, horizon: int, embargo: int) -> Iterator[tuple[str, npt.NDArray[np.int64], int]]:
    """Each (what, rows whose labels must be over, first judged time code) of all splits of a panel."""
    for fold in walk_forward(panel, horizon_bars=horizon, embargo_bars=embargo):
        yield "fold", fold.train, int(panel.time_codes[fold.test].min())
    split = holdout(panel, horizon_bars=horizon, embargo_bars=embargo)
    yield "holdout train", split.train, int(panel.time_codes[split.valid].min())
    yield "holdout valid", split.valid, int(panel.time_codes[split.test].min())
    yield "holdout train", split.train, split.test_from


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(horizon=st.integers(1, 16), embargo=st.integers(0, 16))
def test_no_training_label_reaches_a_judged_time(uneven: Panel, horizon: int, embargo: int) -> None:
    """For any horizon and embargo, every training label with its embargo ends before the first judged bar."""
    ends = brute_ends(uneven, horizon)
    for what, rows, first in boundaries(uneven, horizon, embargo):
        assert (ends[rows] + embargo < first).all(), what
        assert (uneven.time_codes[rows] < first).all(), what


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(horizon=st.integers(1, 12), embargo=st.integers(0, 12))
def test_nothing_is_purged_without_need(uneven: Panel, horizon: int, embargo: int) -> None:
    """Every row whose label is over in time does train: the purge is exact, not merely safe."""
    ends = brute_ends(uneven, horizon)
    for fold in walk_forward(uneven, horizon_bars=horizon, embargo_bars=embargo):
        expected = np.flatnonzero(ends + embargo < fold.test_from)
        assert np.array_equal(np.sort(fold.train), expected)
        assert fold.train_until == fold.test_from - embargo


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(horizon=st.integers(1, 12), until=st.integers(60, 240))
def test_until_hides_everything_from_there_on(uneven: Panel, horizon: int, until: int) -> None:
    """No row used in planning has a label that reaches the time kept for the last judgement."""
    ends = brute_ends(uneven, horizon)
    for fold in walk_forward(uneven, horizon_bars=horizon, until=until):
        assert (ends[np.concatenate([fold.train, fold.test])] < until).all()
        assert fold.test_until <= until


def test_folds_expand_and_judge_each_time_once(uneven: Panel) -> None:
    """Test parts follow each other without overlap, training grows."""
    folds = walk_forward(uneven, horizon_bars=3, folds=5)
    assert len(folds) == 5
    assert all(one.test_until == two.test_from for one, two in pairwise(folds))
    assert all(set(one.train) < set(two.train) for one, two in pairwise(folds))
    for fold in folds:
        codes = uneven.time_codes[fold.test]
        assert fold.test_from <= codes.min()
        assert codes.max() < fold.test_until


def test_the_embargo_is_the_horizon_unless_given(uneven: Panel) -> None:
    """Saying nothing costs one more horizon of distance."""
    silent, said = (walk_forward(uneven, horizon_bars=7, embargo_bars=embargo) for embargo in (None, 7))
    assert all(np.array_equal(one.train, two.train) for one, two in zip(silent, said, strict=True))
    bare = walk_forward(uneven, horizon_bars=7, embargo_bars=0)
    assert len(bare[0].train) > len(silent[0].train)


def test_the_last_judgement_starts_at_one_time_for_all(uneven: Panel) -> None:
    """Horizon, target and rows do not move the test part."""
    first = holdout_from(uneven, 0.2)
    assert first == 192
    for horizon in (1, 9):
        split = holdout(uneven, horizon_bars=horizon)
        assert split.test_from == first
        assert np.array_equal(split.test, np.flatnonzero(uneven.time_codes >= first))


def test_rows_of_one_symbol_split_on_their_own(uneven: Panel) -> None:
    """Given rows, only these are split; a late listing still gets a validation part."""
    rows = np.arange(uneven.rows)[uneven.rows_of("S2")]
    split = holdout(uneven, horizon_bars=2, rows=rows)
    assert set(np.concatenate([split.train, split.valid, split.test])) <= set(rows)
    assert split.valid_from > 100
    folds = walk_forward(uneven, horizon_bars=2, rows=uneven.rows_of("S2"))
    assert all(set(fold.train) | set(fold.test) <= set(rows) for fold in folds)


@pytest.mark.parametrize(
    ("symbol", "part"),
    [("S4", "training"), ("S3", "test")],
)
def test_too_short_a_history_says_which_part_is_empty(uneven: Panel, symbol: str, part: str) -> None:
    """A symbol listed inside the test part, or ended before it, cannot be split."""
    with pytest.raises(TooShort, match=f"the {part} part is empty"):
        holdout(uneven, horizon_bars=5, rows=uneven.rows_of(symbol))


def test_a_horizon_longer_than_the_history_is_refused(uneven: Panel) -> None:
    """When purging leaves nothing to train on, there are no folds to return."""
    with pytest.raises(TooShort):
        walk_forward(uneven, horizon_bars=500)
    with pytest.raises(TooShort):
        walk_forward(uneven, horizon_bars=1, rows=np.arange(3))
