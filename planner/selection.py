"""Feature selection inside the training folds: chosen in each fold by itself, kept when chosen steadily."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from planner.config import SelectionConfig
from planner.rounding import rounded
from planner.skill import FoldView, Skill
from planner.tables import SAFE, SelectionRow

Floats = npt.NDArray[np.float64]


def select_features(
    cell: Skill,
    config: SelectionConfig,
    *,
    horizon_bars: int,
    verdicts: Mapping[str, str],
    as_given: str | None = None,
) -> list[SelectionRow]:
    """Return a row for each feature of one (target, view, symbol), the selected first in order of importance.

    A fold chooses its leading features that rise above noise by rank correlation, or take more than an even
    share of boosting's gain. Selected is what at least `min_frequency` of the folds chose, without lesser
    twins; when that is too little, the next most important fill up. `as_given` (a reason) selects all.
    """
    if not cell.folds:
        return []
    shares = np.stack([importance_of(fold) for fold in cell.folds])  # (folds, features)
    chosen = np.stack(
        [_chosen(fold, share, config, horizon_bars) for fold, share in zip(cell.folds, shares, strict=True)]
    )
    frequency, importance = chosen.mean(axis=0), shares.mean(axis=0)
    order = sorted(
        range(len(cell.features)), key=lambda place: (-rounded(importance[place]), cell.features[place])
    )
    reasons = _reasons(cell, order, frequency, config) if as_given is None else {}
    selected = [place for place in order if reasons.get(place, (True, ""))[0]]
    position = {place: number for number, place in enumerate(selected, start=1)}
    rows = [
        SelectionRow(
            target=cell.target,
            view=cell.view,
            symbol=cell.symbol,
            feature=cell.features[place],
            selected=place in position,
            position=position.get(place),
            reason=as_given or reasons[place][1],
            frequency=rounded(frequency[place]),
            importance=rounded(importance[place]),
            rank_correlation=rounded(np.mean([fold.correlation[place] for fold in cell.folds])),
            ridge_importance=rounded(np.mean([share_of(fold.ridge)[place] for fold in cell.folds])),
            boosting_importance=rounded(np.mean([share_of(fold.gain)[place] for fold in cell.folds])),
            folds=len(cell.folds),
            leakage_verdict=verdicts.get(cell.features[place], SAFE),
        )
        for place in order
    ]
    return sorted(rows, key=lambda row: row.position or len(rows) + 1)


def importance_of(fold: FoldView) -> Floats:
    """Return each feature's importance in a fold, (features,) summing to 1.

    It is the mean of three shares: of absolute rank correlation, ridge coefficients and boosting gain.
    """
    parts = [share_of(fold.correlation), share_of(fold.ridge), share_of(fold.gain)]
    return np.asarray(np.mean(parts, axis=0))


def share_of(values: Sequence[float]) -> Floats:
    """Return absolute values scaled to sum 1; even shares when all are zero."""
    size = np.abs(np.asarray(values, dtype=np.float64))
    total = size.sum()
    return size / total if total > 0 else np.full(len(size), 1.0 / len(size))


def _chosen(
    fold: FoldView, share: Floats, config: SelectionConfig, horizon_bars: int
) -> npt.NDArray[np.bool_]:
    effective = max(1.0, fold.train_timestamps / horizon_bars)  # windows that do not overlap
    clear = np.abs(np.asarray(fold.correlation)) * np.sqrt(effective) >= config.noise_line
    used = share_of(fold.gain) > 1.0 / len(share)
    leading = np.zeros(len(share), dtype=bool)
    leading[np.argsort(-share, kind="stable")[: config.max_features]] = True
    return np.asarray(leading & (clear | used))


def _reasons(
    cell: Skill, order: Sequence[int], frequency: Floats, config: SelectionConfig
) -> dict[int, tuple[bool, str]]:
    """Walk from the most important feature down; {place: (selected, reason)}."""
    twins = {frozenset((one, two)): alike for one, two, alike in cell.twins}
    reasons: dict[int, tuple[bool, str]] = {}
    kept: list[int] = []
    for place in order:
        name, share = cell.features[place], f"chosen in {frequency[place]:.0%} of the folds"
        twin = next(
            (
                cell.features[other]
                for other in kept
                if abs(twins.get(frozenset((name, cell.features[other])), 0.0)) > config.max_twin_correlation
            ),
            None,
        )
        if twin is not None:
            reasons[place] = (False, f"says the same as {twin}")
        elif frequency[place] < config.min_frequency:
            reasons[place] = (False, f"{share}, {config.min_frequency:.0%} needed")
        elif len(kept) >= config.max_features:
            reasons[place] = (False, f"{share}, but {config.max_features} are enough")
        else:
            kept.append(place)
            reasons[place] = (True, share)
    spare = [place for place in order if not reasons[place][0] and "same as" not in reasons[place][1]]
    for place in spare[: max(0, min(config.min_features, config.max_features) - len(kept))]:
        reasons[place] = (True, f"{reasons[place][1]}; taken to have {config.min_features}")
    return reasons
