"""Which families a plan trains: names in any spelling, selectors of the older system set aside."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from executors.families import Family, availability, resolve

SELECTORS = frozenset(
    {
        "randomforest",
        "catboost",
        "lasso",
        "lassocv",
        "ridge",
        "elasticnet",
        "logisticregression",
        "mutualinformation",
        "univariate",
        "univariateselection",
        "rfe",
        "boruta",
        "stabilityselection",
        "histgradientboosting",
    }
)

_STAGES = {"cpu": 0, "gpu": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenFamilies:
    """The families of a plan in stage order, and the names set aside with their reasons."""

    families: tuple[Family, ...]
    left_out: dict[str, str]

    @property
    def names(self) -> list[str]:
        """Canonical names, CPU stage first."""
        return [family.name for family in self.families]


def choose_families(names: Sequence[str]) -> ChosenFamilies:
    """Return the families meant by `names`: each once, CPU stage before GPU stage, else in the order given.

    Feature selectors of the older system (random_forest, catboost, lasso ...) are set aside, never trained.
    An empty list is respected: nothing is trained.

    Raises:
        executors.errors.UnknownFamily: a name nobody knows, with the nearest one.
    """
    chosen: list[Family] = []
    left_out: dict[str, str] = {}
    for name in names:
        if re.sub(r"[^a-z0-9]", "", name.lower()) in SELECTORS:
            left_out[name] = "selects features in the older system; not one of the trained families"
            continue
        family = resolve(name)
        if family not in chosen:
            chosen.append(family)
    ordered = sorted(chosen, key=lambda family: _STAGES[family.stage])
    return ChosenFamilies(families=tuple(ordered), left_out=left_out)


def fitting_families(families: Sequence[Family], task: str | None) -> tuple[list[Family], dict[str, str]]:
    """Split families into those that learn `task` and those that do not, with the reason for each."""
    able = [family for family in families if task is None or task in family.tasks]
    unable = {family.name: refusal_words(family, task) for family in families if family not in able}
    return able, unable


def refusal_words(family: Family, task: str | None) -> str:
    """Return why a family does not learn a kind of target, in the catalogue's words."""
    why = f": {family.refusal}" if family.refusal else ""
    return f"does not learn {task} targets{why}"


def unavailable_families(chosen: ChosenFamilies) -> list[str]:
    """Return one sentence for each family that this machine cannot train now, and for each set aside."""
    found = {family.name: availability(family) for family in chosen.families} | chosen.left_out
    return [f"{name}: {reason}" for name, reason in found.items() if reason]
