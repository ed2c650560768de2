"""How many features are enough: scores along a path of sizes, and the one-standard-error rule."""

from collections.abc import Sequence
from dataclasses import dataclass

from planner.config import SelectionConfig

_CLEAR = 2.0  # standard errors above no skill
_STEPS = (2, 3, 5, 8, 12, 20, 30, 50)


@dataclass(frozen=True, slots=True, kw_only=True)
class PathPoint:
    """Out-of-sample skill of the first `size` features of every fold's own order, all folds together.

    `behind_all` is how much better all features score on the same rows, `behind_error` the standard error of
    that paired difference (panel.metrics.score_difference).
    """

    size: int
    score: float
    standard_error: float
    behind_all: float
    behind_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeChoice:
    """How many features each fold may choose, None where no path was measured, with the numbers behind it."""

    size: int | None
    reason: str


def path_sizes(features: int) -> tuple[int, ...]:
    """Return the sizes to be scored out of so many features, rising; the last is all of them."""
    return (*(step for step in _STEPS if step < features), features) if features else ()


def choose_size(path: Sequence[PathPoint], config: SelectionConfig, *, no_skill: float = 0.0) -> SizeChoice:
    """Return the smallest size that scores within one standard error of the best and of all features.

    The rule of Breiman, Friedman, Olshen and Stone (1984, 3.4.3). Scores on the same rows move together, so
    the error that counts against the best is the smaller of the best's own and the size's paired error;
    against all features it is the paired error. The greatest size of the path is that of all features. Sizes
    under `min_features` are passed over; where only more than `max_features` would do, it is the greatest
    allowed, and the reason says what that costs. Where no size has a score clearly above `no_skill` the path
    has nothing to say (the law is none that it can follow), and the smallest is chosen.
    """
    if not path:
        return SizeChoice(size=None, reason="no sizes were compared")
    rising = sorted(path, key=lambda point: point.size)
    everything = rising[-1]
    rising = [point for point in rising if point.size >= config.min_features] or [everything]
    best = max(rising, key=lambda point: (point.score, -point.size))
    if best.score - no_skill < _CLEAR * best.standard_error:
        reason = f"no number of features scores clearly above {no_skill:g} in a linear model"
        return SizeChoice(size=rising[0].size, reason=f"{reason} ({_scored(best)})")
    enough = next(point for point in rising if point is best or _near(point, best))
    allowed = [point for point in rising if point.size <= config.max_features] or rising[:1]
    chosen = enough if enough in allowed else allowed[-1]
    reason = _scored(chosen)
    if chosen is not everything:
        reason += f", all {everything.size} score {everything.score:.3f}"
    if chosen is not enough:
        reason += (
            f"; {enough.size} would score {enough.score:.3f}, {config.max_features} are the most allowed"
        )
    return SizeChoice(size=chosen.size, reason=reason)


def _near(point: PathPoint, best: PathPoint) -> bool:
    """Whether a size is behind neither the best nor all features by more than one standard error."""
    tolerance = min(best.standard_error, point.behind_error)
    return best.score - point.score <= tolerance and point.behind_all <= point.behind_error


def _scored(point: PathPoint) -> str:
    words = "1 feature scores" if point.size == 1 else f"{point.size} features score"
    return f"{words} {point.score:.3f} ± {point.standard_error:.3f}"
