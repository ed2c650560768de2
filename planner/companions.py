"""What a fit of one job needs of the rest of its plan: members to stack, targets to learn beside its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from executors.families import CPU, Family
from planner.routing import ROUTE_BOTH, ROUTE_EXPERIMENTAL_ONLY, ROUTE_SYMBOL_SPECIFIC
from planner.signals import DISALLOWED
from store.awaited import MEMBERS_AT_LEAST
from store.plan_parts import OTHER_TARGETS_MAX

_UNRANKED = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Companions:
    """The targets that a plan trains, best ranked first: through all symbols, and by symbol on its own."""

    pooled: tuple[str, ...]
    by_symbol: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, targets: Mapping[str, Mapping[str, Any]]) -> "Companions":
        """Return those of the targets of a routing plan."""
        ranked = sorted(targets, key=lambda name: (targets[name].get("rank") or _UNRANKED, name))
        by_symbol: dict[str, list[str]] = {}
        for name in ranked:
            for symbol, row in targets[name].get("symbols", {}).items():
                if trains_symbol(row):
                    by_symbol.setdefault(symbol, []).append(name)
        return cls(
            pooled=tuple(name for name in ranked if trains_pooled(targets[name])),
            by_symbol={symbol: tuple(names) for symbol, names in by_symbol.items()},
        )

    def beside(self, target: str, symbol: str | None) -> list[str]:
        """Return the other targets that are trained in the same way as this one, the best ranked of them."""
        known = self.pooled if symbol is None else self.by_symbol.get(symbol, ())
        return [name for name in known if name != target][:OTHER_TARGETS_MAX]


def trains_pooled(record: Mapping[str, Any]) -> bool:
    """Return whether a target has a model of all symbols."""
    return bool(record.get("cross_sectional", {}).get("route") == "ENABLED")


def trains_symbol(row: Mapping[str, Any]) -> bool:
    """Return whether a symbol has a model of its own for a target."""
    if row["route"] == ROUTE_EXPERIMENTAL_ONLY:
        return row.get("local_state") != DISALLOWED
    return row["route"] in (ROUTE_BOTH, ROUTE_SYMBOL_SPECIFIC)


def members_of(family: Family, families: Sequence[Family]) -> list[str]:
    """Return the families of a job that one of them is stacked from: all others of the CPU stage."""
    return [one.name for one in families if one is not family and one.stage == CPU and not one.stacks]


def with_company(
    families: Sequence[Family], others: Sequence[str], symbol: str | None
) -> tuple[list[Family], dict[str, str]]:
    """Split a job's families into those with enough company to be trained and the others, with the reason.

    Args:
        families: those that learn the job's target.
        others: targets that the plan trains beside the job's own, in the same way.
        symbol: of the job, None for all symbols.
    """
    left_out: dict[str, str] = {}
    for family in families:
        if family.stacks and len(members_of(family, families)) < MEMBERS_AT_LEAST:
            left_out[family.name] = f"is made from {MEMBERS_AT_LEAST} other fits of the CPU stage at least"
        elif family.shares and not others:
            whom = f"of {symbol}" if symbol is not None else "of all symbols"
            left_out[family.name] = f"learns several targets at once, and the plan trains no other {whom}"
    return [family for family in families if family.name not in left_out], left_out
