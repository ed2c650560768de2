"""How steady a target is from fold to fold of one planning: skill gives the label, features the evidence.

The label is of the out-of-sample skill: a model whose skill is there in every part of the past is steady,
whatever it prefers among features that say the same. Overlap and Kendall's tau of what the folds chose are
reported beside it, the same numbers as in feature_selection.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from planner.agreement import Agreement
from planner.config import RoutingConfig
from planner.selection import agreement_of_folds, votes_of
from planner.skill import Skill, no_skill_of
from planner.tables import DIVERGED, DRIFTING, STABLE, UNKNOWN

_SLACK = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """A label of the skill from fold to fold, and how alike the folds are in the features they chose."""

    label: str
    agreement: Agreement
    snapshots: int = 0


def stability_of(cell: Skill, config: RoutingConfig, size: int | None = None) -> Stability:
    """Return how steady a cell is, `size` being what SelectionRow.fold_features says of it."""
    return Stability(
        label=stability_label(
            [fold.score - no_skill_of(cell) for fold in cell.folds],
            config,
            [fold.standard_error or 0.0 for fold in cell.folds],
        ),
        agreement=agreement_of_folds(cell, votes_of(cell, size)) if cell.folds else Agreement(),
        snapshots=len(cell.folds),
    )


def stability_label(
    skills: Sequence[float], config: RoutingConfig, errors: Sequence[float] | None = None
) -> str:
    """Return the label of the folds' skills (0: none), in order of time; UNKNOWN with fewer than two.

    A fold falls short when its skill lies under `stable_min_share` of the mean by more than two of its
    standard errors (`errors`; none: by anything), so that few rows alone do not make a target unsteady.
    STABLE: no fold falls short. DRIFTING: at least `drifting_min_share` of the folds do not. Else, or without
    skill on the whole, DIVERGED.
    """
    if len(skills) < 2:
        return UNKNOWN
    mean = sum(skills) / len(skills)
    if mean <= 0.0:
        return DIVERGED
    slack = [_SLACK * error for error in errors] if errors is not None else [0.0] * len(skills)
    needed = config.stable_min_share * mean
    enough = sum(skill + extra >= needed for skill, extra in zip(skills, slack, strict=True))
    if enough == len(skills):
        return STABLE
    return DRIFTING if enough / len(skills) >= config.drifting_min_share else DIVERGED
