"""From predictions to numbers: score, error, interval, recent windows, comparisons of one cell."""

from typing import Any

import numpy as np
import numpy.typing as npt

from panel.aligned import Panel
from panel.metrics import Score, persistence
from planner.cells import FEWEST_TRAIN_ROWS, Cell
from planner.config import RankingConfig
from planner.finding import Law, Laws
from planner.rounding import rounded
from planner.scores import Axis
from planner.size_path import PathPoint
from planner.skill import FoldView, Recent, Skill
from planner.tables import SYMBOL_SPECIFIC

Float32s = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

FEWEST_FOLDS = 2
TWIN_LINE = 0.9
RECENT_SHARES = (0.125, 0.175, 0.225, 0.3, 0.375)


def closed(
    panel: Panel, axis: Axis, cell: Cell, laws: Laws | None, pooled: Cell | None, config: RankingConfig
) -> Skill:
    """Return the skill of a cell whose folds are done; `pooled` is the target's cell of all symbols."""
    facts: dict[str, Any] = {
        "target": cell.column.name,
        "view": cell.view,
        "symbol": cell.symbol,
        "features": cell.features,
        "horizon_bars": cell.horizon_bars,
        "rows": cell.rows,
        "coverage": cell.coverage,
        **_law_facts(cell.law),
        **_whose_law(cell, laws),
    }
    if cell.reason is not None:
        return Skill(**facts, reason=cell.reason)
    if len(cell.folds) < FEWEST_FOLDS:
        count = f"{len(cell.folds)} of {config.folds} folds have"
        return Skill(**facts, reason=f"too short: {count} {FEWEST_TRAIN_ROWS} training rows")
    prediction = cell.prediction
    own = cell.judge.score(prediction, cell.tested)
    facts |= _score_facts(own, int(cell.tested.sum()))
    facts["linear"] = rounded(cell.judge.score(cell.linear, cell.tested).value)
    facts["recent"] = _recent(cell, prediction)
    facts["folds"] = tuple(_fold_view(cell, prediction, number) for number in range(len(cell.folds)))
    if cell.confirmed:
        facts["boosted"] = rounded(cell.judge.score(cell.boosted, cell.tested).value)
        facts["path"] = _path(cell)
        facts["twins"] = _twins(cell)
        facts |= _comparisons(panel, axis, cell, pooled)
    return Skill(**facts)


def _law_facts(law: Law | None) -> dict[str, Any]:
    if law is None:
        return {}
    return {
        "z": rounded(law.z),
        "p_value": rounded(law.p),
        "tests": law.tests,
        "found_by": law.found_by,
        "leading": law.leading,
        "sign": law.sign,
        "bars": law.bars,
    }


def _whose_law(cell: Cell, laws: Laws | None) -> dict[str, Any]:
    if laws is None:
        return {}
    if cell.view == SYMBOL_SPECIFIC:
        found = laws.deviations.get(cell.symbol or "")
        if found is None:
            return {}
        words = f"{found.feature}: {found.own:+.3f} here, {found.rest:+.3f} elsewhere"
        return {
            "deviation_z": rounded(found.z),
            "deviation_p": rounded(found.p),
            "deviation": words,
        }
    rest = laws.rest
    return {
        "deviating": laws.deviating,
        "rest_z": None if rest is None else rounded(rest.z),
        "rest_p": None if rest is None else rounded(rest.p),
    }


def _score_facts(own: Score, rows: int) -> dict[str, Any]:
    return {
        "scored_rows": rows,
        "metric": own.metric,
        "score": rounded(own.value),
        "standard_error": rounded(own.standard_error),
        "low": rounded(own.low),
        "high": rounded(own.high),
        "effective_rows": rounded(own.n_effective),
    }


def _recent(cell: Cell, prediction: Float32s) -> tuple[Recent, ...]:
    """Skill of trailing windows of the time that was scored."""
    times = np.flatnonzero(cell.tested.any(axis=0))
    found = []
    for share in RECENT_SHARES:
        first = times[-max(1, round(share * len(times)))]
        own = cell.judge.score(prediction, _since(cell.tested, int(first)))
        found.append(
            Recent(share=share, score=rounded(own.value), standard_error=rounded(own.standard_error))
        )
    return tuple(found)


def _since(mask: Mask, first: int) -> Mask:
    late = mask.copy()
    late[:, :first] = False
    return late


def _fold_view(cell: Cell, prediction: Float32s, number: int) -> FoldView:
    fold = cell.folds[number]
    mask = cell.tested.copy()
    mask[:, : fold.test_from] = mask[:, fold.test_until :] = False
    vectors = {
        name: tuple(rounded(value) for value in getattr(fold, name))
        for name in ("correlation", "ridge", "gain", "permutation", "information")
    }
    own = cell.judge.score(prediction, mask)
    return FoldView(
        score=rounded(own.value),
        standard_error=rounded(own.standard_error),
        train_rows=fold.train_rows,
        train_timestamps=fold.train_timestamps,
        order=fold.order,
        **vectors,
    )


def _path(cell: Cell) -> tuple[PathPoint, ...]:
    """Skill by number of features; the last point is all of them."""
    everything = cell.path[max(cell.path)]
    points = []
    for size, prediction in sorted(cell.path.items()):
        own = cell.judge.score(prediction, cell.tested)
        ahead, error = (0.0, 0.0)
        if prediction is not everything:
            ahead, error = cell.judge.ahead(everything, prediction, cell.tested)
        points.append(
            PathPoint(
                size=size,
                score=rounded(own.value),
                standard_error=rounded(own.standard_error),
                behind_all=rounded(ahead),
                behind_error=rounded(error),
            )
        )
    return tuple(points)


def _twins(cell: Cell) -> tuple[tuple[str, str, float], ...]:
    """Pairs of features whose standardised training bars correlate by more than 0.9."""
    first, second = np.nonzero(np.triu(np.abs(cell.alike) > TWIN_LINE, k=1))
    return tuple(
        (cell.features[int(one)], cell.features[int(two)], rounded(cell.alike[one, two]))
        for one, two in zip(first, second, strict=True)
    )


def _comparisons(panel: Panel, axis: Axis, cell: Cell, pooled: Cell | None) -> dict[str, Any]:
    """The newest label already known, and the pooled model on the same rows."""
    found: dict[str, Any] = {}
    if cell.task != "multiclass":
        known = axis.on_grid(persistence(panel, cell.column.name, cell.horizon_bars))
        naive = known[list(cell.symbols)][:, None, :]
        found["persistence"] = rounded(cell.judge.score(naive, cell.tested).value)
    if cell.view == SYMBOL_SPECIFIC and pooled is not None and len(pooled.folds) >= FEWEST_FOLDS:
        common = pooled.prediction[list(cell.symbols)]
        mask = cell.tested & np.isfinite(common).all(axis=1)
        if mask.any():
            found["pooled"] = rounded(cell.judge.score(common, mask).value)
    return found


def best_model(cell: Skill) -> str | None:
    """Return which learner scored best by itself, linear or boosted; None when nothing was measured."""
    if cell.linear is None:
        return None
    if cell.boosted is None or cell.linear >= cell.boosted:
        return "linear"
    return "boosted"
