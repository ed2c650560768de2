"""The search for breaks: exact, close to what was planted, and quiet where nothing happens."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from executors.cpu.experts import Sample
from executors.cpu.relation import Relation
from executors.cpu.segments import Cells, Pelt, shared_noise, sharpened

BARS, SYMBOLS = 400, 6


def rows_of(seed: int, breaks: tuple[int, ...] = (), *, wild: bool = False, market: float = 0.0) -> Sample:
    """Return symbol after symbol; the sign of one relation changes at the breaks."""
    random = np.random.default_rng([seed, 9])
    values = random.standard_normal((SYMBOLS, BARS, 8))
    sign = np.where(np.searchsorted(breaks, np.arange(BARS), side="right") % 2, -1.0, 1.0)
    noise = random.standard_normal((SYMBOLS, BARS)) + market * random.standard_normal(BARS)
    if wild:  # calm and wild times take turns, smoothly, by a factor of three
        noise = noise * np.exp(0.55 * np.sin(np.arange(BARS) / 25.0))
    labels = 0.5 * sign * values[..., 2] + 0.2 * values[..., 5] + noise
    flat = (labels - labels.mean()) / labels.std()
    return Sample(
        values=values.reshape(-1, 8).astype(np.float32),
        labels=flat.reshape(-1),
        task="regression",
        outputs=1,
    )


def relation_of(rows: Sample, *, most: int = 500, span: int = 1) -> Relation:
    """Return the sums over the bars of all symbols."""
    codes = np.tile(np.arange(BARS), SYMBOLS)
    return Relation.of(codes, rows, np.ones(len(codes)), relations=4, span=span, most=most)


def found_in(relation: Relation) -> list[int]:
    """Return the bars of the breaks."""
    pelt = Pelt(relation.cells, price=relation.cells.price(), fewest=relation.fewest(0))
    pelt.advance(10**9)
    return relation.codes_of(pelt.breaks()).tolist()


def cells_of(seed: int, count: int = 60) -> Cells:
    """Return cells of a relation that changes twice, and noise."""
    random = np.random.default_rng(seed)
    values = np.column_stack([random.standard_normal((count * 3, 1)), np.ones(count * 3)])
    places = np.arange(count * 3) // 3
    sign = np.where((places > 20) & (places < 41), -0.7, 0.7)
    labels = sign * values[:, 0] + random.standard_normal(count * 3)
    return Cells.of_rows(values, labels, np.ones(count * 3), places, count)


def best_of_all(cells: Cells, price: float, fewest: int) -> tuple[float, tuple[int, ...]]:
    """Return the cheapest segmentation, looked for among all by plain optimal partitioning."""
    best: list[tuple[float, tuple[int, ...]]] = [(-price, ())]
    for end in range(1, cells.count + 1):
        tried = [
            (best[begin][0] + float(cells.costs(np.array([begin]), end)[0]) + price, (*best[begin][1], begin))
            for begin in range(end - fewest + 1)
            if np.isfinite(best[begin][0])
        ]
        best.append(min(tried, default=(np.inf, ())))
    total, begins = best[-1]
    return total, begins[1:]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("price", [2.0, 15.0])
def test_the_search_leaves_out_nothing_that_could_be_best(seed: int, price: float) -> None:
    """PELT's segmentation is that of a search through all of them, in any number of sittings."""
    cells = cells_of(seed)
    pelt = Pelt(cells, price=price, fewest=4)
    for _ in range(9):
        pelt.advance(7)
    total, breaks = best_of_all(cells, price, 4)
    assert pelt.best[-1] == pytest.approx(total)
    assert pelt.breaks() == breaks


def test_pruning_spares_work_where_there_are_breaks() -> None:
    """Begins before a break are given up, so the work per end does not grow with the past."""
    pelt = Pelt(cells_of(0), price=2.0, fewest=2)
    pelt.advance(60)
    assert int((pelt.doomed[:41] <= 60).sum()) > 20


def test_the_cost_of_a_segment_is_that_of_its_own_regression() -> None:
    """Sums over cells give the least squares fit of the rows in them."""
    random = np.random.default_rng(2)
    values = np.column_stack([random.standard_normal((90, 2)), np.ones(90)])
    labels = values @ [1.0, -2.0, 0.3] + random.standard_normal(90)
    cells = Cells.of_rows(values, labels, np.ones(90), np.arange(90) // 3, 30)
    inside = slice(15, 60)  # cells 5 to 20
    residual = labels[inside] - values[inside] @ np.linalg.lstsq(values[inside], labels[inside])[0]
    expected = 45 * np.log(float((residual**2).sum()) / 45)
    assert float(cells.costs(np.array([5]), 20)[0]) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("seed", range(6))
def test_planted_breaks_are_found_within_a_few_bars(seed: int) -> None:
    """Three changes of sign of one relation among eight features, in noise that times share or not."""
    planted = (110, 190, 310)
    for market in (0.0, 0.7):
        found = found_in(relation_of(rows_of(seed, planted, market=market)))
        assert len(found) == 3
        assert np.abs(np.array(found) - planted).max() <= 8


def test_breaks_are_told_to_the_bar_where_cells_hold_several() -> None:
    """With an eighth of the cells the search is coarse and its answer is not."""
    relation = relation_of(rows_of(1, (153, 267)), most=50)
    assert relation.bars_per_cell == 8
    found = found_in(relation)
    assert np.abs(np.array(found) - (153, 267)).max() <= 5
    assert np.abs(np.array(found) % 8).max() > 0


@pytest.mark.parametrize("kind", ["plain", "wild", "market"])
def test_nothing_is_found_where_nothing_happens(kind: str) -> None:
    """In fifteen stationary series of each kind at most one break in all, also in wild and quiet times."""
    alarms = 0
    for seed in range(15):
        rows = rows_of(seed, wild=kind == "wild", market=0.8 if kind == "market" else 0.0)
        alarms += len(found_in(relation_of(rows)))
    assert alarms <= 1


def test_a_search_that_takes_rows_for_independent_sees_breaks_in_overlap() -> None:
    """Labels of ten bars that share their bars are no ten labels: without the discount alarms ring."""
    alarms = {"discounted": 0, "not": 0}
    for seed in range(12):
        random = np.random.default_rng(seed)
        steps = random.standard_normal(BARS + 10) + random.standard_normal((SYMBOLS, BARS + 10))
        labels = np.stack([steps[:, bar + 1 : bar + 11].sum(axis=1) for bar in range(BARS)], axis=1)
        values = random.standard_normal((SYMBOLS * BARS, 3)).astype(np.float32)
        flat = labels.reshape(-1) / labels.std()
        rows = Sample(values=values, labels=flat, task="regression", outputs=1)
        relation = relation_of(rows, span=10)
        alarms["discounted"] += len(found_in(relation))
        bare = Cells(
            weight=relation.cells.weight * relation.shared,
            products=relation.cells.products * relation.shared,
            with_labels=relation.cells.with_labels * relation.shared,
            squares=relation.cells.squares * relation.shared,
        )
        pelt = Pelt(bare, price=bare.price(), fewest=relation.fewest(0))
        pelt.advance(10**9)
        alarms["not"] += len(pelt.breaks())
    assert alarms["not"] >= 20
    assert alarms["discounted"] <= 2


def test_shared_noise_is_one_for_independent_rows_and_counts_symbols_that_move_together() -> None:
    """Six symbols with the same noise are worth one where the noise meets the constant."""
    random = np.random.default_rng(1)
    bars = np.tile(np.arange(1000), 6)
    ones = np.ones((6000, 1))
    alone = random.standard_normal(6000)
    together = np.tile(random.standard_normal(1000), 6)
    assert shared_noise(ones, alone, np.ones(6000), bars, 1) == pytest.approx(1.0, abs=0.15)
    assert shared_noise(ones, together, np.ones(6000), bars, 1) == pytest.approx(6.0, rel=0.15)
    assert shared_noise(ones, np.zeros(6000), np.ones(6000), bars, 1) == 1.0


def test_sharpening_keeps_segments_apart() -> None:
    """A break moves to the cheapest cell in reach, never onto its neighbours."""
    cells = cells_of(3)
    moved = sharpened(cells, (18, 44), 6, 4)
    assert np.abs(np.array(moved) - (21, 41)).max() <= 2
    assert sharpened(cells, (3, 6), 6, 4)[0] == 3  # no room: as it is
    assert all(two - one >= 1 for one, two in itertools.pairwise(moved))


def test_a_search_resumed_from_its_arrays_goes_on_as_if_never_ended() -> None:
    """Best, last, doomed and done are all it remembers."""
    whole = Pelt(cells_of(4), price=5.0, fewest=3)
    whole.advance(60)
    first = Pelt(cells_of(4), price=5.0, fewest=3)
    first.advance(23)
    second = Pelt(cells_of(4), price=5.0, fewest=3)
    for name in ("best", "last", "doomed", "done"):
        setattr(second, name, getattr(first, name).copy())
    second.advance(60)
    np.testing.assert_array_equal(second.best, whole.best)
    assert second.breaks() == whole.breaks()
    forgetful = Pelt(cells_of(4), price=5.0, fewest=3)
    forgetful.done = first.done.copy()
    forgetful.advance(60)
    assert forgetful.breaks() != whole.breaks()
