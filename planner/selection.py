"""Feature selection: chosen in each training fold by itself, kept when steady, as few as are enough."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from planner.agreement import Agreement, agreement_of
from planner.config import SelectionConfig
from planner.importances import combined_importance, share_of
from planner.rounding import rounded
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
    folds = _folds_of(cell, config, size.size)
    if as_given is not None:
        judged = dict.fromkeys(folds.order, (True, as_given))
    else:
        judged = {
            place: (taken, f"{why}; {size.reason}" if taken else why)
            for place, (taken, why) in _judge(folds, cell, config, size.size).items()
        }
    return _rows(cell, folds, judged, size.size, verdicts)


def importance_of(fold: FoldView) -> Floats:
    """Return each feature's importance in a fold, (features,) summing to 1: the mean share of all methods."""
    return combined_importance({name: getattr(fold, name) for name in METHODS})


def chosen_by_folds(cell: Skill, size: int | None) -> Bools:
    """Return what each fold chose, (folds, features): the first `size` of its order, or all there are.

    Without a size these are the features whose importance is above an even share. A fold without an order
    takes its features by importance.
    """
    chosen = np.full((len(cell.folds), len(cell.features)), size == len(cell.features))
    for row, fold in zip(chosen, cell.folds, strict=True):
        importance = importance_of(fold)
        order = np.asarray(fold.order or np.argsort(-importance, kind="stable"), dtype=np.intp)
        row[order[:size] if size is not None else order[importance[order] > 1.0 / len(importance)]] = True
    return chosen


def twin_groups(cell: Skill, line: float) -> Ints:
    """Return the number of each feature's group, (features,): twins correlate by more than `line`."""
    place = {name: number for number, name in enumerate(cell.features)}
    groups = np.arange(len(cell.features))
    for one, two, alike in cell.twins:
        if abs(alike) > line:
            first, second = groups[place[one]], groups[place[two]]
            groups[groups == max(first, second)] = min(first, second)
    return groups


def agreement_of_folds(cell: Skill, size: int | None) -> Agreement:
    """Return how alike the folds are in what they chose (`chosen_by_folds`); twins count as one feature."""
    groups = twin_groups(cell, line=0.0)
    importance = np.zeros((len(cell.folds), len(cell.features)))
    for row, fold in zip(importance, cell.folds, strict=True):
        np.add.at(row, groups, importance_of(fold))
    return agreement_of(_by_group(chosen_by_folds(cell, size), groups), importance)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Folds:
    """What the folds say together; a group of twins counts as one feature."""

    importance: Floats  # (features,) mean over the folds
    order: tuple[int, ...]  # places, most important first
    groups: Ints  # (features,)
    counts: Ints  # (features,) folds that chose it or a twin of it
    cost: Floats  # (features,) mean skill gained by shuffling it out of sample; 0 where not measured


def _folds_of(cell: Skill, config: SelectionConfig, size: int | None) -> _Folds:
    importance = np.mean([importance_of(fold) for fold in cell.folds], axis=0)
    groups = twin_groups(cell, config.max_twin_correlation)
    chosen = _by_group(chosen_by_folds(cell, size), groups)
    lost = _mean_of([fold.permutation for fold in cell.folds])
    return _Folds(
        importance=importance,
        order=tuple(
            sorted(range(len(importance)), key=lambda one: (-rounded(importance[one]), cell.features[one]))
        ),
        groups=groups,
        counts=chosen[:, groups].sum(axis=0),
        cost=np.zeros(len(importance)) if lost is None else -lost,
    )


def _by_group(chosen: Bools, groups: Ints) -> Bools:
    """Return whether a fold chose any member of a group, (folds, features) at the group's number."""
    found = np.zeros_like(chosen)
    for place, group in enumerate(groups):
        found[:, group] |= chosen[:, place]
    return found


def _judge(folds: _Folds, cell: Skill, config: SelectionConfig, size: int | None) -> dict[int, Judged]:
    """Walk down from the features of the law, then the most important; {place: (selected, why)}."""
    most = config.max_features if size is None else min(size, config.max_features)
    needed = max(1, math.ceil(config.min_frequency * len(cell.folds) - 1e-9))
    judged: dict[int, Judged] = {}
    kept: dict[int, int] = {}  # group of twins -> the place that stands for it
    for place in sorted(folds.order, key=lambda one: cell.features[one] not in cell.leading):
        group, leads = int(folds.groups[place]), cell.features[place] in cell.leading
        count, cost = int(folds.counts[place]), folds.cost[place]
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
        if len(kept) < min(config.min_features, config.max_features) and int(folds.groups[place]) not in kept:
            kept[int(folds.groups[place])] = place
            judged[place] = (True, f"{judged[place][1]}; taken to have {config.min_features}")
    return judged


def _rows(
    cell: Skill,
    folds: _Folds,
    judged: Mapping[int, Judged],
    size: int | None,
    verdicts: Mapping[str, str],
) -> list[SelectionRow]:
    """The rows of all features, the selected first, by importance."""
    ordered = sorted(folds.order, key=lambda place: not judged[place][0])  # stable: importance within
    selected = sum(taken for taken, _why in judged.values())
    agreement = agreement_of_folds(cell, size)
    named = ("correlation", "permutation", "information")
    columns = {name: _mean_of([getattr(fold, name) for fold in cell.folds]) for name in named}
    for name in ("ridge", "gain"):
        values = [getattr(fold, name) for fold in cell.folds]
        columns[name] = _mean_of([share_of(np.abs(value)) for value in values if value])
    return [
        SelectionRow(
            target=cell.target,
            view=cell.view,
            symbol=cell.symbol,
            feature=cell.features[place],
            selected=judged[place][0],
            position=number if number <= selected else None,
            reason=judged[place][1],
            frequency=rounded(folds.counts[place] / len(cell.folds)),
            importance=rounded(folds.importance[place]),
            correlation_z=_number(columns["correlation"], place),
            ridge_importance=_number(columns["ridge"], place),
            boosting_importance=_number(columns["gain"], place),
            permutation_importance=_number(columns["permutation"], place),
            information=_number(columns["information"], place),
            folds=len(cell.folds),
            fold_features=size,
            jaccard=agreement.mean_overlap,
            tau=agreement.mean_tau,
            leakage_verdict=verdicts.get(cell.features[place], SAFE),
        )
        for number, place in enumerate(ordered, start=1)
    ]


def _mean_of(values: Sequence[Sequence[float] | Floats]) -> Floats | None:
    """Mean over the folds that measured it, (features,); None where none did."""
    measured = [np.asarray(value, dtype=np.float64) for value in values if len(value)]
    return np.asarray(np.mean(measured, axis=0)) if measured else None


def _number(values: Floats | None, place: int) -> float | None:
    return None if values is None else rounded(values[place])
