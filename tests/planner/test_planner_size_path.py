"""How many features are enough: the one-standard-error rule on made-up paths."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from planner.config import SelectionConfig
from planner.size_path import PathPoint, choose_size, path_sizes

CONFIG = SelectionConfig(min_features=2, max_features=200)


def _path(*points: tuple[int, float], error: float = 0.006, paired: float = 0.004) -> list[PathPoint]:
    """Sizes and scores; the last is of all features."""
    whole = points[-1][1]
    return [
        PathPoint(
            size=size,
            score=score,
            standard_error=error,
            behind_all=whole - score,
            behind_error=paired if size != points[-1][0] else 0.0,
        )
        for size, score in points
    ]


PATHS = some.lists(
    some.tuples(some.floats(-0.1, 0.2), some.floats(0.001, 0.05), some.floats(0.0, 0.05)),
    min_size=1,
    max_size=9,
)


def _random_path(numbers: list[tuple[float, float, float]]) -> list[PathPoint]:
    sizes = path_sizes(60)[-len(numbers) :]
    whole = numbers[-1][0]
    return [
        PathPoint(
            size=size,
            score=score,
            standard_error=error,
            behind_all=whole - score,
            behind_error=0.0 if size == 60 else paired,
        )
        for size, (score, error, paired) in zip(sizes, numbers, strict=True)
    ]


def test_the_path_ends_with_all_features() -> None:
    """Few steps, each about half as large again as the one before."""
    assert path_sizes(120) == (2, 3, 5, 8, 12, 20, 30, 50, 120)
    assert path_sizes(8) == (2, 3, 5, 8)
    assert path_sizes(1) == (1,)
    assert path_sizes(0) == ()


@pytest.mark.parametrize(
    ("points", "size"),
    [
        (((2, 0.060), (5, 0.071), (120, 0.066)), 5),  # 2 are too far behind the best
        (((2, 0.068), (5, 0.071), (120, 0.066)), 2),  # within the error of the best, ahead of all
        (((2, 0.050), (5, 0.071), (120, 0.0752)), 120),  # the best is out of reach of 5
        (((2, 0.050), (5, 0.071), (120, 0.0748)), 5),
        (((2, 0.014), (5, 0.013), (120, 0.012)), 2),
        (((120, 0.066),), 120),
        (((2, -0.02), (3, 0.01), (120, 0.011)), 2),  # no skill anywhere: the fewest
    ],
)
def test_the_smallest_within_one_error_is_chosen(points: tuple[tuple[int, float], ...], size: int) -> None:
    """Of the best on the path and of all features, by the error of the paired difference."""
    assert choose_size(_path(*points), CONFIG).size == size


def test_the_best_of_the_path_counts_by_the_smaller_of_two_errors() -> None:
    """Scores of the same rows move together: their own errors would call anything near."""
    points = ((2, 0.066), (5, 0.071), (120, 0.060))
    assert choose_size(_path(*points, error=0.03, paired=0.002), CONFIG).size == 5
    assert choose_size(_path(*points, error=0.03, paired=0.02), CONFIG).size == 2
    assert choose_size(_path(*points, error=0.002, paired=0.02), CONFIG).size == 5


def test_being_near_the_best_is_not_enough_when_all_features_are_ahead() -> None:
    """The paired difference with all features is the promise that is kept."""
    path = [
        PathPoint(size=2, score=0.070, standard_error=0.01, behind_all=0.006, behind_error=0.005),
        PathPoint(size=5, score=0.074, standard_error=0.01, behind_all=0.002, behind_error=0.005),
        PathPoint(size=40, score=0.074, standard_error=0.01, behind_all=0.0, behind_error=0.0),
    ]
    assert choose_size(path, CONFIG).size == 5


def test_the_reason_has_the_numbers() -> None:
    """Size, score, error, and the score of all features."""
    found = choose_size(_path((2, 0.060), (5, 0.071), (120, 0.066)), CONFIG)
    assert found.reason == "5 features score 0.071 ± 0.006, all 120 score 0.066"
    assert choose_size(_path((1, 0.066)), CONFIG).reason == "1 feature scores 0.066 ± 0.006"


def test_the_bounds_of_the_user_hold_and_say_what_they_cost() -> None:
    """Never under the least, never over the most."""
    points = ((2, 0.070), (3, 0.04), (5, 0.071), (30, 0.080), (120, 0.066))
    near = ((2, 0.070), (3, 0.04), (5, 0.071), (30, 0.072), (120, 0.066))
    assert choose_size(_path(*near), SelectionConfig(min_features=2, max_features=50)).size == 2
    assert choose_size(_path(*near), SelectionConfig(min_features=3, max_features=50)).size == 5
    capped = choose_size(_path(*points), SelectionConfig(min_features=2, max_features=10))
    assert (capped.size, capped.reason) == (
        5,
        "5 features score 0.071 ± 0.006, all 120 score 0.066; 30 would score 0.080, 10 are the most allowed",
    )
    few = choose_size(_path((2, 0.05), (3, 0.07)), SelectionConfig(min_features=1, max_features=1))
    assert few.size == 2  # the path knows nothing smaller
    fewer = choose_size(_path((2, 0.05), (3, 0.07)), SelectionConfig(min_features=10, max_features=50))
    assert fewer.size == 3


def test_a_path_without_skill_has_nothing_to_say() -> None:
    """The law is none that the path can follow, as with a product: as few as allowed, and it says so."""
    path = _path((2, 0.001), (5, 0.011), (120, 0.009))
    found = choose_size(path, CONFIG)
    assert (found.size, found.reason) == (
        2,
        "no number of features scores clearly above 0 in a linear model (5 features score 0.011 ± 0.006)",
    )
    halves = _path((2, 0.50), (5, 0.511), (120, 0.509))
    assert choose_size(halves, CONFIG).size == 5
    assert choose_size(halves, CONFIG, no_skill=0.5).size == 2


def test_without_a_path_there_is_no_size() -> None:
    """And the reason says so."""
    assert choose_size([], CONFIG).size is None


@given(PATHS)
def test_the_choice_is_never_behind_all_features_by_more_than_an_error(
    numbers: list[tuple[float, float, float]],
) -> None:
    """Whatever the path, and no smaller size would do as well."""
    path = _random_path(numbers)
    config = SelectionConfig(min_features=1, max_features=60)
    size = choose_size(path, config).size
    chosen = next(point for point in path if point.size == size)
    best = max(path, key=lambda point: (point.score, -point.size))  # of equals the smallest
    if "clearly above" in choose_size(path, config).reason:
        assert size == min(point.size for point in path)
        return
    assert chosen.behind_all <= chosen.behind_error + 1e-12
    for point in path:
        if point.size < chosen.size:
            allowed = min(best.standard_error, point.behind_error)
            assert best.score - point.score > allowed or point.behind_all > point.behind_error


@given(PATHS)
def test_the_order_of_the_points_does_not_matter(numbers: list[tuple[float, float, float]]) -> None:
    """A path read back in another order says the same."""
    path = _random_path(numbers)
    assert choose_size(path[::-1], CONFIG) == choose_size(path, CONFIG)
