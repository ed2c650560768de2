"""From predictions to numbers: each is the judge's on the right places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from planner_cells import Stage, law, series, stage
from planner_samples import ahead

from planner.cells import Cell, FoldFacts
from planner.closing import RECENT_SHARES, best_model, closed
from planner.config import RankingConfig
from planner.finding import Deviation, Laws
from planner.rounding import rounded
from planner.skill import Skill

Float32s = npt.NDArray[np.float32]
CONFIG = RankingConfig(folds=3)
ROWS, EDGES = 400, (100, 200, 300, 400)
FEATURES = ("a", "b", "c")
NOTHING = np.zeros(0)


def _frame(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    label = rng.standard_normal(ROWS)
    label[-1] = np.nan
    return series(
        {
            **{name: rng.standard_normal(ROWS) for name in FEATURES},
            "y_slow_5d": ahead(rng.standard_normal(ROWS), 5),
            "y_third_1d": np.digitize(label, [-0.5, 0.5]) - 1.0,
            "y_up_1d": np.where(np.isfinite(label), label > 0, np.nan),
            "y_x_1d": label,
        }
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Four symbols of 400 days."""
    data = {name: _frame(seed) for seed, name in enumerate(("AAA", "BBB", "CCC", "DDD"))}
    return stage(data, tmp_path_factory.mktemp("closing"))


def _judged(cell: Cell, strengths: Sequence[float] = (0.5, 0.5, 0.5), seed: int = 1) -> Cell:
    """A cell whose folds predicted the label so well, each learner with luck of its own."""
    rng = np.random.default_rng(seed)
    cell.tested[:] = np.isfinite(cell.raw).all(axis=1)
    cell.tested[:, : EDGES[0]] = False
    width = len(cell.usable)
    cell.alike = np.eye(width)
    cell.path = {width: cell.linear} if cell.confirmed else {}
    for number, strength in enumerate(strengths):
        span = slice(EDGES[number], EDGES[number + 1])
        for grid in (cell.linear, cell.boosted) if cell.confirmed else (cell.linear,):
            luck = rng.standard_normal(cell.raw[..., span].shape)
            found = strength * np.nan_to_num(cell.raw[..., span]) + luck
            grid[..., span] = np.where(cell.tested[:, None, span], found, np.nan)
        cell.folds.append(
            FoldFacts(
                test_from=span.start,
                test_until=span.stop,
                train_rows=span.start * 4,
                train_timestamps=span.start,
                correlation=np.linspace(1.0, 3.1234567, width),
                ridge=np.ones(width),
                gain=np.ones(width) if cell.confirmed else NOTHING,
                permutation=NOTHING,
                information=NOTHING,
                order=tuple(range(width)),
            )
        )
    return cell


def _close(made: Stage, cell: Cell, laws: Laws | None = None, pooled: Cell | None = None) -> Skill:
    return closed(made.panel, made.axis, cell, laws, pooled, CONFIG)


def _score(cell: Cell, prediction: Float32s, first: int = 0, until: int = ROWS) -> Any:
    mask = cell.tested.copy()
    mask[:, :first] = mask[:, until:] = False
    return cell.judge.score(prediction, mask)


@pytest.mark.parametrize("target", ["y_x_1d", "y_up_1d", "y_third_1d"])
def test_what_both_learners_say_together_is_judged(made: Stage, target: str) -> None:
    """Score, error and interval are those of their common prediction; each learner's own stands beside it."""
    cell = _judged(made.cell(target, confirmed=True))
    found = _close(made, cell)
    own = _score(cell, cell.prediction)
    wanted = [rounded(one) for one in (own.value, own.standard_error, own.low, own.high, own.n_effective)]
    assert [found.score, found.standard_error, found.low, found.high, found.effective_rows] == wanted
    assert found.metric == own.metric
    assert found.scored_rows == int(cell.tested.sum())
    assert found.linear == rounded(_score(cell, cell.linear).value)
    assert found.boosted == rounded(_score(cell, cell.boosted).value)
    assert found.score > max(found.linear, found.boosted)  # two errors that do not go together
    assert best_model(found) == ("linear" if found.linear >= found.boosted else "boosted")


def test_without_a_law_there_is_one_model_and_no_comparison(made: Stage) -> None:
    """What the screens found nothing in is scored by ridge alone: no path, no twins, no boosting."""
    found = _close(made, _judged(made.cell("y_x_1d", "AAA")), pooled=_judged(made.cell("y_x_1d")))
    assert found.score == found.linear
    assert (found.boosted, found.persistence, found.pooled) == (None, None, None)
    assert (found.path, found.twins) == ((), ())
    assert best_model(found) == "linear"


def test_recent_windows_are_the_newest_shares_of_the_scored_time(made: Stage) -> None:
    """An eighth to three eighths of the bars that were judged, counted from the newest."""
    cell = _judged(made.cell("y_x_1d"), (0.9, 0.9, -0.9))
    found = _close(made, cell)
    times = np.arange(100, 399)
    assert [one.share for one in found.recent] == list(RECENT_SHARES)
    for one in found.recent:
        newest = times[-round(one.share * len(times)) :]
        own = _score(cell, cell.prediction, first=int(newest[0]))
        assert own.n == len(newest)
        assert (one.score, one.standard_error) == (rounded(own.value), rounded(own.standard_error))
        assert one.score < 0 < found.score + 0.3


def test_each_fold_is_judged_on_its_own_bars(made: Stage) -> None:
    """Score and error of a fold, and what it thought of the features cut to six digits."""
    cell = _judged(made.cell("y_x_1d"), (0.0, 0.6, 2.0))
    found = _close(made, cell)
    assert [fold.train_rows for fold in found.folds] == [400, 800, 1200]
    for number, fold in enumerate(found.folds):
        own = _score(cell, cell.prediction, EDGES[number], EDGES[number + 1])
        assert (fold.score, fold.standard_error) == (rounded(own.value), rounded(own.standard_error))
        assert fold.correlation[-1] == 3.12346
        assert fold.order == (0, 1, 2)
    scores = [fold.score for fold in found.folds]
    assert scores == sorted(scores)


def test_persistence_is_the_newest_label_already_known(made: Stage) -> None:
    """The label of five days ago as forecast of the next five, on the same places."""
    cell = _judged(made.cell("y_slow_5d", "BBB", confirmed=True))
    own = cell.raw[0, 0]
    naive = np.concatenate([np.full(5, np.nan), own[:-5]]).astype(np.float32)
    wanted = cell.judge.score(naive[None, None], cell.tested).value
    assert _close(made, cell).persistence == rounded(wanted)
    assert _close(made, _judged(made.cell("y_third_1d", confirmed=True))).persistence is None


def test_a_symbol_is_told_how_the_common_model_does_on_its_rows(made: Stage) -> None:
    """The pooled prediction is judged on the symbol's own rows, by the symbol's own score."""
    own = _judged(made.cell("y_x_1d", "CCC", confirmed=True))
    pooled = _judged(made.cell("y_x_1d", confirmed=True), seed=2)
    pooled.linear[2, 0, 120:130] = np.nan
    pooled.boosted[2, 0, 120:130] = np.nan
    found = _close(made, own, pooled=pooled)
    mask = own.tested.copy()
    mask[:, 120:130] = False
    assert found.pooled == rounded(own.judge.score(pooled.prediction[[2]], mask).value)
    assert found.metric == "rank_corr"
    assert _close(made, pooled).pooled is None
    short = _judged(made.cell("y_x_1d", confirmed=True), (0.5,))
    assert _close(made, own, pooled=short).pooled is None


def test_the_path_compares_each_size_with_all_features(made: Stage) -> None:
    """The last point is all of them, behind nothing; the others say by how much they are behind."""
    cell = _judged(made.cell("y_x_1d", confirmed=True))
    rng = np.random.default_rng(5)
    everything = cell.linear.copy()
    cell.path = {3: everything, 2: (everything + rng.standard_normal(everything.shape)).astype(np.float32)}
    two, three = _close(made, cell).path
    assert (two.size, three.size) == (2, 3)
    assert (three.score, three.behind_all, three.behind_error) == (
        rounded(_score(cell, everything).value),
        0.0,
        0.0,
    )
    lead, error = cell.judge.ahead(everything, cell.path[2], cell.tested)
    assert (two.behind_all, two.behind_error) == (rounded(lead), rounded(error))
    assert two.behind_all == pytest.approx(three.score - two.score, abs=1e-5)
    assert two.behind_all > two.behind_error > 0


def test_twins_are_the_pairs_alike_in_training(made: Stage) -> None:
    """Both names and how alike they are, whatever the sign; nothing is its own twin."""
    cell = _judged(made.cell("y_x_1d", confirmed=True))
    cell.alike = np.array([[1.0, 0.5, -0.95], [0.5, 1.0, 0.91], [-0.95, 0.91, 1.0]])
    assert _close(made, cell).twins == (("a", "c", -0.95), ("b", "c", 0.91))


def test_too_few_folds_are_no_measurement(made: Stage) -> None:
    """One fold alone shows no skill that lasts: the row says how many there were."""
    found = _close(made, _judged(made.cell("y_x_1d", law=law(rank=1e-5)), (0.9,)))
    assert found.score is None
    assert found.reason == "too short: 1 of 3 folds have 100 training rows"
    assert found.p_value == 1e-5  # what the screens say stands all the same


def test_a_cell_that_was_refused_keeps_its_reason(made: Stage) -> None:
    """No numbers, the rows, and why."""
    cell = made.cell("y_x_1d", raw=np.ones_like(made.cell("y_x_1d").raw))
    found = _close(made, cell)
    assert (found.score, found.folds) == (None, ())
    assert found.reason == "one single value before the final segment"
    assert found.rows == 4 * ROWS


def test_whose_law_it_is_stands_in_both_views(made: Stage) -> None:
    """The symbol's row says how it differs, the row of all symbols who does and what is left without them."""
    own = Deviation(feature="b", z=6.5, p=1e-8, own=0.31, rest=-0.02)
    laws = Laws(
        pooled=law(rank=1e-3),
        alone={},
        deviations={"AAA": own},
        deviating=("AAA",),
        rest=law(rank=0.4),
    )
    alone = _close(made, _judged(made.cell("y_x_1d", "AAA")), laws)
    assert (alone.deviation_z, alone.deviation_p) == (6.5, 1e-8)
    assert alone.deviation == "b: +0.310 here, -0.020 elsewhere"
    assert _close(made, _judged(made.cell("y_x_1d", "BBB")), laws).deviation is None
    every = _close(made, _judged(made.cell("y_x_1d")), laws)
    assert (every.deviating, every.rest_z, every.rest_p) == (("AAA",), 9.0, 0.4)
    assert _close(made, _judged(made.cell("y_x_1d"))).deviating == ()


def test_what_was_not_measured_has_no_best_model(made: Stage) -> None:
    """Neither learner scored, so neither was best."""
    assert best_model(_close(made, made.cell("y_x_1d"))) is None
