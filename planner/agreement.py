"""How alike the choices of folds are: Jaccard's overlap of the chosen, Kendall's tau of their order."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from planner.rounding import rounded

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Means and standard deviations over all pairs of folds; None with fewer than two folds or no choice."""

    mean_overlap: float | None = None
    std_overlap: float | None = None
    mean_tau: float | None = None
    std_tau: float | None = None


def agreement_of(chosen: Bools, importance: Floats) -> Agreement:
    """Compare the folds pair by pair; `chosen` and `importance` are (folds, features).

    Tau is taken over what either of the two chose, with an importance of 0 where one did not.
    """
    pairs = list(combinations(range(len(chosen)), 2))
    if not pairs or not chosen.any():
        return Agreement()
    carried = np.where(chosen, importance, 0.0)
    overlaps = [jaccard(chosen[one], chosen[two]) for one, two in pairs]
    taus = [
        kendall_tau(carried[one][either], carried[two][either])
        for one, two in pairs
        for either in [chosen[one] | chosen[two]]
    ]
    return Agreement(
        mean_overlap=rounded(np.mean(overlaps)),
        std_overlap=rounded(np.std(overlaps)),
        mean_tau=rounded(np.mean(taus)),
        std_tau=rounded(np.std(taus)),
    )


def jaccard(one: Bools, two: Bools) -> float:
    """Return the share of what either chose that both chose (Jaccard 1912); 1 when neither chose anything."""
    either = int((one | two).sum())
    return int((one & two).sum()) / either if either else 1.0


def kendall_tau(one: Floats, two: Floats) -> float:
    """Return Kendall's (1945) tau-b of two lists: 1 when shorter than two, 0 when one is constant."""
    if len(one) < 2:
        return 1.0
    first = np.sign(one[:, None] - one[None, :])  # every pair twice, which the quotient does not notice
    second = np.sign(two[:, None] - two[None, :])
    scale = np.sqrt((first**2).sum() * (second**2).sum())
    return float((first * second).sum() / scale) if scale > 0 else 0.0
