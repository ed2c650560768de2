"""How steady a target is from fold to fold of one planning: skill gives the label, features the evidence.

The label is of the out-of-sample skill: a model whose skill is there in every part of the past is steady,
whatever it prefers among features that say the same. Overlap and Kendall's tau of the features that carry
neighbouring folds are reported beside it. A feature carries a fold when its rank correlation is out of reach
of chance among so many, or when it takes several even shares of boosting's gain; twins count as one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from planner.config import RoutingConfig
from planner.rounding import rounded
from planner.selection import importance_of, share_of
from planner.skill import FoldView, Skill, no_skill_of
from planner.tables import DIVERGED, DRIFTING, STABLE, UNKNOWN

Floats = npt.NDArray[np.float64]

_EVEN_SHARES = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """How alike the folds' feature rankings are: a label, overlaps and taus of neighbouring folds."""

    label: str
    mean_overlap: float | None = None
    std_overlap: float | None = None
    mean_tau: float | None = None
    std_tau: float | None = None
    snapshots: int = 0


def stability_of(cell: Skill, config: RoutingConfig) -> Stability:
    """Return the label of a cell's folds and how alike neighbouring folds are in what carries them."""
    label = stability_label([fold.score - no_skill_of(cell) for fold in cell.folds], config)
    groups = _twin_groups(cell)
    strengths = [_strength(fold, groups, cell.horizon_bars) for fold in cell.folds]
    if len(strengths) < 2 or not any(strength.any() for strength in strengths):
        return Stability(label=label, snapshots=len(strengths))
    overlaps = [_overlap(one, two) for one, two in pairwise(strengths)]
    taus = [_tau(one, two, config.stability_features) for one, two in pairwise(strengths)]
    return Stability(
        label=label,
        mean_overlap=rounded(np.mean(overlaps)),
        std_overlap=rounded(np.std(overlaps)),
        mean_tau=rounded(np.mean(taus)),
        std_tau=rounded(np.std(taus)),
        snapshots=len(strengths),
    )


def stability_label(skills: Sequence[float], config: RoutingConfig) -> str:
    """Return the label of the folds' skills (0: none), in order of time; UNKNOWN with fewer than two.

    STABLE: every fold has skill and the weakest at least `stable_min_share` of their mean. DRIFTING: at least
    `drifting_min_share` of the folds have skill, and so has their mean. Else DIVERGED.
    """
    if len(skills) < 2:
        return UNKNOWN
    mean = sum(skills) / len(skills)
    if mean > 0.0 and min(skills) >= config.stable_min_share * mean:
        return STABLE
    with_skill = sum(skill > 0.0 for skill in skills) / len(skills)
    return DRIFTING if mean > 0.0 and with_skill >= config.drifting_min_share else DIVERGED


def _twin_groups(cell: Skill) -> npt.NDArray[np.intp]:
    """Return the number of each feature's group of twins, (features,)."""
    place = {name: number for number, name in enumerate(cell.features)}
    groups = np.arange(len(cell.features))
    for one, two, _alike in cell.twins:
        first, second = groups[place[one]], groups[place[two]]
        groups[groups == second] = first
    return groups


def _strength(fold: FoldView, groups: npt.NDArray[np.intp], horizon_bars: int) -> Floats:
    """What each group carries of a fold, (features,) at the group's number, summing to 1 or all 0."""
    count = len(groups)
    effective = max(1.0, fold.train_timestamps / horizon_bars)
    line = (
        math.sqrt(2.0 * math.log(max(2, count))) + 1.0
    )  # the largest of so many chance z-values, and one more
    clear = np.abs(np.asarray(fold.correlation)) * math.sqrt(effective) >= line
    used = share_of(fold.gain) >= _EVEN_SHARES / count
    carried = np.where(clear | used, importance_of(fold), 0.0)
    grouped = np.bincount(groups, weights=carried, minlength=count)
    total = grouped.sum()
    return np.asarray(grouped / total if total > 0 else grouped)


def _overlap(one: Floats, two: Floats) -> float:
    whole = np.maximum(one, two).sum()
    return float(np.minimum(one, two).sum() / whole) if whole > 0 else 0.0


def _tau(one: Floats, two: Floats, most: int) -> float:
    """Kendall's tau-b among the `most` strongest features that carry either fold; 1 with a single one."""
    carrying = np.flatnonzero(one + two)
    carrying = carrying[np.argsort(-(one + two)[carrying], kind="stable")[:most]]
    if len(carrying) < 2:
        return float(len(carrying))
    upper = np.triu_indices(len(carrying), k=1)
    first = np.sign(one[carrying][:, None] - one[carrying][None, :])[upper]
    second = np.sign(two[carrying][:, None] - two[carrying][None, :])[upper]
    scale = np.sqrt((first**2).sum() * (second**2).sum())
    return float((first * second).sum() / scale) if scale > 0 else 0.0
