"""Progress and the time that is left, from measured work."""

from __future__ import annotations

import pytest

from planner.metering import Meter, fit_cost
from planner.request import Progress


class Told:
    """A clock that is set by hand, and the progress told by a meter that reads it."""

    def __init__(self, total: int) -> None:
        self.now = 100.0
        self.words: list[Progress] = []
        self.meter = Meter("ranking targets", total, self.words.append, clock=lambda: self.now)

    def left(self) -> list[float | None]:
        """The seconds left, as told."""
        return [word.seconds_left for word in self.words]


def test_time_left_is_that_of_the_work_done_carried_over() -> None:
    """A quarter of the work in ten seconds leaves thirty; a slower quarter makes the rest longer."""
    told = Told(total=400)
    told.meter.begin()
    told.now += 10
    told.meter.measured("y_one", cost=100)
    told.now += 30
    told.meter.measured("y_two", cost=100)
    told.now += 20
    told.meter.measured("y_three", cost=200)
    assert told.left() == [30.0, 40.0, 0.0]
    assert [(word.done, word.total, word.words) for word in told.words] == [
        (100, 400, "y_one"),
        (200, 400, "y_two"),
        (400, 400, "y_three"),
    ]


def test_what_the_cache_answered_says_nothing_about_time() -> None:
    """It counts as done, but the pace is that of what was measured; nothing measured, no time told."""
    told = Told(total=1_000)
    told.meter.known("y_known", cost=800)
    told.meter.begin()
    told.now += 5
    told.meter.measured("y_new", cost=50)
    assert told.left() == [None, pytest.approx(15.0)]
    assert told.words[-1].done == 850


def test_more_work_than_was_foreseen_leaves_nothing_rather_than_less() -> None:
    """An estimate of the work that was too low ends at the total, with no seconds left."""
    told = Told(total=10)
    told.meter.begin()
    told.now += 1
    told.meter.measured("y", cost=25)
    assert (told.words[0].done, told.words[0].seconds_left) == (10, 0.0)


def test_the_work_of_fits_grows_with_rows_features_and_fits_and_is_never_nothing() -> None:
    """In thousands of cells; a tiny fit still counts as one."""
    assert fit_cost(10_000, 50) == 500
    assert fit_cost(10_000, 50, fits=8) == 4_000
    assert fit_cost(10, 3) == 1
