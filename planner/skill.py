"""What was measured of a target: out-of-sample skill by view, and what each fold thought of the features."""

from dataclasses import dataclass

from panel.metrics import no_skill
from planner.size_path import PathPoint


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldView:
    """One fold: its score, and what its training rows say of each feature, ordered as Skill.features."""

    score: float
    train_rows: int
    train_timestamps: int
    correlation: tuple[float, ...]  # studentised (z), training rows
    ridge: tuple[float, ...]
    gain: tuple[float, ...]
    permutation: tuple[float, ...] = ()  # skill lost on the test rows; empty where not measured
    information: tuple[float, ...] = ()  # mutual information in nats, training rows
    order: tuple[int, ...] = ()  # places of features as the fold would take them, from its training rows
    standard_error: float | None = None  # of the score


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """Out-of-sample skill in the newest `share` of the scored time."""

    share: float
    score: float
    standard_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """The measured skill of one (target, view, symbol); `reason` says why when nothing could be measured.

    `z` and `p_value` are the screens' (planner.finding), `p_value` corrected for the `tests` looked at;
    score, error and interval are those of the models out of sample.
    """

    target: str
    view: str
    symbol: str | None
    features: tuple[str, ...]
    horizon_bars: int = 1
    rows: int = 0
    scored_rows: int = 0
    coverage: float = 0.0
    metric: str | None = None
    score: float | None = None
    standard_error: float | None = None
    low: float | None = None
    high: float | None = None
    effective_rows: float = 0.0
    linear: float | None = None  # score of ridge regression alone
    boosted: float | None = None  # of boosting alone; None where the screens found nothing
    z: float | None = None
    p_value: float | None = None
    tests: int = 0
    found_by: str | None = None  # rank, folded, product or lag
    leading: tuple[str, ...] = ()  # features of the law that the screens found
    sign: int | None = None
    bars: int | None = None  # age of the leading value, or how many bars it sums
    persistence: float | None = None
    pooled: float | None = None
    recent: tuple[Recent, ...] = ()
    deviation_z: float | None = None  # symbol rows: the symbol's law less that of the rest
    deviation_p: float | None = None
    deviation: str | None = None  # in words: feature and both correlations
    deviating: tuple[str, ...] = ()  # row of all symbols: those with a law of their own
    rest_z: float | None = None  # the pooled law without them
    rest_p: float | None = None
    folds: tuple[FoldView, ...] = ()
    twins: tuple[tuple[str, str, float], ...] = ()  # features alike in the last training fold
    path: tuple[PathPoint, ...] = ()  # skill of the first few features of the folds' orders, and of all
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Everything measured about one target: its cells, all symbols first, then each symbol."""

    target: str
    cells: tuple[Skill, ...]


def no_skill_of(cell: Skill) -> float:
    """Return the score of a prediction without information in the cell's metric."""
    return no_skill(cell.metric or "")
