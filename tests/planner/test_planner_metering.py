"""Progress and the time that is left, from measured work."""

from __future__ import annotations

from planner.metering import Meter
from planner.request import Progress


def test_time_left_is_that_of_the_work_done_carried_over() -> None:
    """A quarter of the work in ten seconds leaves thirty; a slower quarter makes the rest longer."""
    now, told = [100.0], list[Progress]()
    meter = Meter("ranking targets", 400, told.append, clock=lambda: now[0])
    meter.reach("screening", 0)
    for seconds, done in ((10.0, 100), (30.0, 200), (20.0, 400), (1.0, 430)):
        now[0] += seconds
        meter.reach("folds", done)
    assert [word.seconds_left for word in told] == [None, 30.0, 40.0, 0.0, 0.0]
    assert [(word.done, word.total) for word in told] == [(done, 400) for done in (0, 100, 200, 400, 400)]
    assert (told[0].step, told[0].words, told[1].words) == ("ranking targets", "screening", "folds")
