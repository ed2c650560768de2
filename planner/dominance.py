"""One feature that carries a model alone: too good a part of it to go unlooked at.

Most leaks that no probe knows by its form end here: the score is high, and nearly all of it is one feature's.
Nothing is proven by that, so the verdict is SUSPECT: the feature stays in use, and the target's routes say
so.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from planner.config import LeakageConfig
from planner.probes import Probes
from planner.skill import Measured, no_skill_of
from planner.tables import SAFE, SUSPECT, LeakRow

DOMINANCE = "dominance"

_CALENDAR_SHARE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the ranking measured of a target: its skill, and what each feature's share in it is."""

    target: str
    skill: float | None  # out of sample, above no skill; AUC doubled
    importances: Mapping[str, float]  # not below 0


def suspect_dominance(
    rows: Iterable[LeakRow],
    standings: Iterable[Standing],
    config: LeakageConfig,
    *,
    exempt: Collection[str] = (),
) -> list[LeakRow]:
    """Make SUSPECT what was SAFE and dominates a target of implausible skill; other rows stay as they are.

    A feature dominates with at least `dominance_share` of the importance and `dominance_times` that of the
    second. `exempt` names features of which that is no news: the calendar's (calendar_features). Nor is it of
    one that matches what is over half as well as what comes, like the size of moves.
    """
    found = {standing.target: _dominant(standing, config) for standing in standings}
    spared = {*exempt, *config.trusted}
    judged = []
    for row in rows:
        name, words = found.get(row.target, ("", ""))
        dominates = row.verdict == SAFE and row.feature == name and name not in spared and not _lasts(row)
        judged.append(replace(row, verdict=SUSPECT, probe=DOMINANCE, evidence=words) if dominates else row)
    return judged


def standings_of(measured: Iterable[Measured]) -> list[Standing]:
    """Return what the model of all symbols made of the features of each target.

    Importance is the skill lost out of sample without a feature, where that was measured, else boosting's
    gain; each fold's shares count the same.
    """
    found = []
    for target in measured:
        cell = target.cells[0]
        shares = np.zeros(len(cell.features))
        for fold in cell.folds:
            worth = np.maximum(np.asarray(fold.permutation or fold.gain, dtype=np.float64), 0.0)
            shares += worth / worth.sum() if worth.sum() > 0.0 else 0.0
        skill = None if cell.score is None else cell.score - no_skill_of(cell)
        if skill is not None and no_skill_of(cell) > 0.0:
            skill *= 2.0
        found.append(
            Standing(
                target=target.target,
                skill=skill,
                importances=dict(zip(cell.features, shares.tolist(), strict=True)),
            )
        )
    return found


def calendar_features(probes: Sequence[Probes]) -> frozenset[str]:
    """Return the features that are functions of the calendar: nine tenths of their variance are its."""
    return frozenset(
        name
        for probe in probes
        for name, share in zip(probe.features, probe.measures["calendar"][0], strict=True)
        if share >= _CALENDAR_SHARE
    )


def _lasts(row: LeakRow) -> bool:
    """Whether the windows already over are matched at least half as well as the coming one."""
    return (row.past_correlation or 0.0) >= 0.5 * (row.correlation or 0.0)


def _dominant(standing: Standing, config: LeakageConfig) -> tuple[str, str]:
    """The feature that dominates and the evidence; empty when none does."""
    total = sum(standing.importances.values())
    if standing.skill is None or standing.skill < config.dominance_score or total <= 0.0:
        return "", ""
    order = sorted(standing.importances, key=lambda name: (-standing.importances[name], name))
    first = standing.importances[order[0]]
    second = standing.importances[order[1]] if len(order) > 1 else 0.0
    if first < config.dominance_share * total or first < config.dominance_times * second:
        return "", ""
    beside = f"{first / second:.1f} times the second ({order[1]})" if second > 0.0 else "no other has any"
    return order[0], (
        f"carries {100 * first / total:.0f} % of the importance, {beside}, "
        f"of a skill of {standing.skill:.3f} out of sample"
    )
