"""The rounds, the ratios and the table that the benchmarks judge with."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.store.ballast import add_finished
from benchmarks.store.figures import (
    Comparison,
    Figure,
    Sample,
    Side,
    compare,
    quantile,
    ratio_figure,
    table,
)
from store.database import connect
from store.rebuilding import fold_log


def sample(rate: float, cpu: float = 1.0) -> Sample:
    return Sample(done=100, seconds=100 / rate, cpu_seconds=cpu)


def turning(rates: list[float]) -> Side:
    left = iter(rates)
    return lambda: sample(next(left))


def test_rounds_go_forwards_and_backwards() -> None:
    """Each side is measured once a round, and every other round begins with the last side."""
    order: list[str] = []

    def side(name: str) -> Callable[[], Sample]:
        def act() -> Sample:
            order.append(name)
            return sample(1)

        return act

    found = compare({"a": side("a"), "b": side("b"), "c": side("c")}, rounds=2)
    assert order == ["a", "b", "c", "c", "b", "a"]
    assert {name: len(samples) for name, samples in found.samples.items()} == {"a": 2, "b": 2, "c": 2}


def test_a_ratio_is_of_one_round_and_the_median_of_all() -> None:
    """A round in which the whole machine was slow changes both rates and not their ratio."""
    found = compare({"raw": turning([100, 10, 100]), "ours": turning([80, 8, 90])}, rounds=3)
    assert found.ratios("ours", "raw") == pytest.approx([0.8, 0.8, 0.9])
    figure = ratio_figure("what", found, floor="raw", ours="ours", bar=0.8)
    assert (figure.ratio, figure.reached) == ("0.80 (0.80-0.90)", "yes")


@pytest.mark.parametrize(
    ("rate", "above", "reached"), [(79, False, "NO"), (80, False, "yes"), (80, True, "NO"), (81, True, "yes")]
)
def test_a_bar_is_reached_at_it_or_only_above_it(rate: float, above: bool, reached: str) -> None:
    """A bar of 0.8 is reached by 0.8, unless it says that ours must be above it."""
    found = Comparison(samples={"raw": [sample(100)], "ours": [sample(rate)]})
    assert ratio_figure("w", found, floor="raw", ours="ours", bar=0.8, above=above).reached == reached


def test_a_ratio_without_a_bar_is_not_judged() -> None:
    """A row for the reader only has neither bar nor verdict."""
    found = Comparison(samples={"raw": [sample(100)], "ours": [sample(1)]})
    figure = ratio_figure("w", found, floor="raw", ours="ours", bar=None)
    assert (figure.bar, figure.reached) == ("", "")


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0), (0.001, 1.0)])
def test_a_quantile_is_a_value_that_was_measured(share: float, expected: float) -> None:
    """The p99 of a hundred values is the ninety-ninth, not one between two."""
    assert quantile([float(value) for value in range(100, 0, -1)], share) == expected


def test_the_table_is_markdown_with_a_line_for_each_figure() -> None:
    """Heads, a rule, and the rows, all as wide as the widest."""
    lines = table([Figure(what="a"), Figure(what="longer", ours="1 ms", reached="yes")]).splitlines()
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1
    assert lines[0].startswith("| what")


def test_ballast_folds_to_as_many_finished_fits_as_it_says(database_url: str) -> None:
    """The copied events are a log in which every fit of every job has succeeded, on both engines."""
    events = add_finished(database_url, fits=40)
    with connect(database_url).snapshot() as tx:
        _, folded = fold_log(tx)
        counted = tx.query("SELECT MAX(seq), COUNT(*) FROM event")[0]
        states = tx.query("SELECT state, COUNT(*) FROM fit GROUP BY state")
    assert (events, folded, tuple(counted)) == (events, events, (events, events))
    assert [tuple(row) for row in states] == [("succeeded", 50)]
