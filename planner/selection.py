"""Feature selection: chosen in each training fold by itself, kept when steady, as few as are enough."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from planner.agreement import Agreement, agreement_of
from planner.config import SelectionConfig
from planner.importances import combined_importance, share_of
from planner.rounding import rounded_all
from planner.size_path import choose_size
from planner.skill import FoldView, Skill, no_skill_of
from planner.tables import SAFE, SelectionRow

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]
Judged = tuple[bool, str]  # selected or not, and why

METHODS = ("correlation", "ridge", "gain", "permutation", "information")


def select_features(
    cell: Skill, config: SelectionConfig, *, verdicts: Mapping[str, str], as_given: str | None = None
) -> list[SelectionRow]:
    """Return a row for each feature of one (target, view, symbol), the selected first in order of importance.

    Every fold chooses the first few of its own order, as many as the path of sizes says are enough. Selected
    is what at least `min_frequency` of the folds chose, without lesser twins, and in any case the features of
    the law that the screens found. `as_given` (a reason) selects all.
    """
    if not cell.folds:
        return []
    size = choose_size(cell.path, config, no_skill=no_skill_of(cell))
    votes = votes_of(cell, size.size)
    together = _together(cell, config, votes)
    if as_given is not None:
        judged = dict.fromkeys(together.order, (True, as_given))
    else:
        judged = {
            place: (taken, f"{why}; {size.reason}" if taken else why)
            for place, (taken, why) in _judge(together, cell, config, size.size).items()
        }
    agreement = agreement_of_folds(cell, votes)
    columns = _Columns.of(cell.folds, len(judged))
    taken = [place for place in together.order if judged[place][0]]
    left = [place for place in together.order if not judged[place][0]]
    return [
        SelectionRow(
            target=cell.target,
            view=cell.view,
            symbol=cell.symbol,
            feature=cell.features[place],
            selected=judged[place][0],
            position=number if number <= len(taken) else None,
            reason=judged[place][1],
            frequency=together.frequency[place],
            importance=together.importance[place],
            correlation_z=columns.correlation[place],
            ridge_importance=columns.ridge[place],
            boosting_importance=columns.gain[place],
            permutation_importance=columns.permutation[place],
            information=columns.information[place],
            folds=len(cell.folds),
            fold_features=size.size,
            jaccard=agreement.mean_overlap,
            tau=agreement.mean_tau,
            leakage_verdict=verdicts.get(cell.features[place], SAFE),
        )
        for number, place in enumerate(taken + left, start=1)
    ]


def importance_of(fold: FoldView) -> Floats:
    """Return each feature's importance in a fold, (features,) summing to 1: the mean share of all methods."""
    return combined_importance({name: getattr(fold, name) for name in METHODS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Votes:
    """What each fold thinks of the features, and which of them it chose; both (folds, features)."""

    importance: Floats
    chosen: Bools


def votes_of(cell: Skill, size: int | None) -> Votes:
    """Return the folds' votes: each chooses the first `size` of its order, or all when there are no more.

    Without a size these are the features whose importance is above an even share. A fold without an order
    takes its features by importance.
    """
    importance = np.stack([importance_of(fold) for fold in cell.folds])
    chosen = np.full(importance.shape, size == importance.shape[1])
    for fold, worth, row in zip(cell.folds, importance, chosen, strict=True):
        order = np.asarray(fold.order or np.argsort(-worth, kind="stable"), dtype=np.intp)
        row[order[:size] if size is not None else order[worth[order] > 1.0 / len(worth)]] = True
    return Votes(importance=importance, chosen=chosen)


def twin_groups(cell: Skill, line: float) -> Ints:
    """Return the number of each feature's group, (features,): twins correlate by more than `line`."""
    place = {name: number for number, name in enumerate(cell.features)}
    groups = np.arange(len(cell.features))
    for one, two, alike in cell.twins:
        if abs(alike) > line:
            first, second = groups[place[one]], groups[place[two]]
            groups[groups == max(first, second)] = min(first, second)
    return groups


def agreement_of_folds(cell: Skill, votes: Votes) -> Agreement:
    """Return how alike the folds are in what they chose; twins count as one feature."""
    chosen, importance = votes.chosen.copy(), votes.importance.copy()
    groups = twin_groups(cell, line=0.0)
    for place in np.flatnonzero(groups != np.arange(len(groups))):
        chosen[:, groups[place]] |= chosen[:, place]
        importance[:, groups[place]] += importance[:, place]
        chosen[:, place] = False
    return agreement_of(chosen, importance)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Together:
    """What the folds say together; a group of twins counts as one feature."""

    importance: tuple[float, ...]  # (features,) mean over the folds
    frequency: tuple[float, ...]  # (features,) share of the folds that chose it or a twin of it
    order: tuple[int, ...]  # places, most important first
    groups: tuple[int, ...]  # (features,)
    counts: tuple[int, ...]  # (features,) folds that chose it or a twin of it
    cost: tuple[float, ...]  # (features,) mean skill gained by shuffling it; 0 where not measured


def _together(cell: Skill, config: SelectionConfig, votes: Votes) -> _Together:
    worth = rounded_all(votes.importance.mean(axis=0))
    groups = twin_groups(cell, config.max_twin_correlation)
    chosen = votes.chosen.copy()
    for place in np.flatnonzero(groups != np.arange(len(groups))):
        chosen[:, groups[place]] |= chosen[:, place]
    counts = chosen[:, groups].sum(axis=0)
    lost = _mean_of([fold.permutation for fold in cell.folds])
    return _Together(
        importance=tuple(worth),
        frequency=tuple(rounded_all(counts / len(cell.folds))),
        order=tuple(sorted(range(len(worth)), key=lambda place: (-worth[place], cell.features[place]))),
        groups=tuple(groups.tolist()),
        counts=tuple(counts.tolist()),
        cost=(0.0,) * len(groups) if lost is None else tuple((-lost).tolist()),
    )


def _judge(folds: _Together, cell: Skill, config: SelectionConfig, size: int | None) -> dict[int, Judged]:
    """Walk down from the features of the law, then the most important; {place: (selected, why)}."""
    most = config.max_features if size is None else min(size, config.max_features)
    needed = max(1, math.ceil(config.min_frequency * len(cell.folds) - 1e-9))
    judged: dict[int, Judged] = {}
    kept: dict[int, int] = {}  # group of twins -> the place that stands for it
    for place in sorted(folds.order, key=lambda one: cell.features[one] not in cell.leading):
        group, leads = folds.groups[place], cell.features[place] in cell.leading
        count, cost = folds.counts[place], folds.cost[place]
        share = f"chosen in {count} of {len(cell.folds)} folds"
        if group in kept:
            judged[place] = (False, f"says the same as {cell.features[kept[group]]}")
        elif leads and len(kept) < config.max_features:
            judged[place] = (True, f"part of the law that the screens found, {share}")
        elif count < needed:
            judged[place] = (False, f"{share}, {needed} needed")
        elif count < len(cell.folds) and cost > 0.0:
            judged[place] = (False, f"{share}, but out of sample it cost {cost:.4f}")
        elif len(kept) >= most:
            judged[place] = (False, f"{share}, but {most} are enough")
        else:
            judged[place] = (True, share)
        if judged[place][0]:
            kept[group] = place
    for place in folds.order:  # never fewer than the least, though never a twin
        if len(kept) < min(config.min_features, config.max_features) and folds.groups[place] not in kept:
            kept[folds.groups[place]] = place
            judged[place] = (True, f"{judged[place][1]}; taken to have {config.min_features}")
    return judged


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """The methods' columns of the table: means over the folds that measured them, each (features,)."""

    correlation: Sequence[float | None]
    ridge: Sequence[float | None]
    gain: Sequence[float | None]
    permutation: Sequence[float | None]
    information: Sequence[float | None]

    @classmethod
    def of(cls, folds: Sequence[FoldView], features: int) -> "_Columns":
        """Coefficients and gain as shares of their fold; what no fold measured is None."""
        return cls(
            correlation=_plain(_mean_of([fold.correlation for fold in folds]), features),
            ridge=_plain(_mean_of([share_of(np.abs(fold.ridge)) for fold in folds if fold.ridge]), features),
            gain=_plain(_mean_of([share_of(fold.gain) for fold in folds if fold.gain]), features),
            permutation=_plain(_mean_of([fold.permutation for fold in folds]), features),
            information=_plain(_mean_of([fold.information for fold in folds]), features),
        )


def _mean_of(values: Sequence[Sequence[float] | Floats]) -> Floats | None:
    """Mean over the folds that measured it, (features,); None where none did."""
    measured = [np.asarray(value, dtype=np.float64) for value in values if len(value)]
    return np.asarray(np.mean(measured, axis=0)) if measured else None


def _plain(column: Floats | None, count: int) -> Sequence[float | None]:
    return [None] * count if column is None else rounded_all(column)
