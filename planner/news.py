"""The planner's decisions as events of the log, told one by one."""

from collections.abc import Iterable, Mapping
from typing import Any

from planner.request import Tell
from planner.tables import SAFE, LeakRow, RankedRow, SelectionRow
from store.planning_events import FeaturesSelected, LeakFound, RouteChosen, TargetRanked

REASONS_OF_ALL, REASONS_OF_ONE = 1000, 100  # of the features of all symbols, of one: the log stays small


def leak_news(rows: Iterable[LeakRow], tell: Tell) -> None:
    """Tell every verdict but SAFE."""
    for row in rows:
        if row.verdict != SAFE:
            tell(
                LeakFound(
                    target=row.target,
                    feature=row.feature,
                    verdict=row.verdict,
                    probe=row.probe or "",
                    evidence=row.evidence,
                )
            )


def ranking_news(rows: Iterable[RankedRow], tell: Tell) -> None:
    """Tell every judged (target, view, symbol) and every target left out."""
    for row in rows:
        tell(
            TargetRanked(
                target=row.target,
                view=row.view,
                symbol=row.symbol,
                score=row.score,
                standard_error=row.standard_error,
                p=row.p_value,
                q=row.q_value,
                kept=row.kept,
                reason=row.reason,
                metric=row.metric_name or "",
                low=row.score_ci_low,
                high=row.score_ci_high,
                rank=row.rank,
            )
        )


def selection_news(rows: Iterable[SelectionRow], tell: Tell) -> None:
    """Tell the chosen features of each (target, symbol or all)."""
    groups: dict[tuple[str, str | None], list[SelectionRow]] = {}
    for row in rows:
        groups.setdefault((row.target, row.symbol), []).append(row)
    for (target, symbol), group in groups.items():
        chosen = [row for row in group if row.selected]
        told = REASONS_OF_ALL if symbol is None else REASONS_OF_ONE
        tell(
            FeaturesSelected(
                target=target,
                symbol=symbol,
                features=tuple(row.feature for row in chosen),
                left_out=len(group) - len(chosen),
                because={row.feature: row.reason for row in group[:told]},
                steadiness={row.feature: row.frequency for row in chosen},
                weights={row.feature: row.importance for row in chosen},
                folds=group[0].folds,
                jaccard=group[0].jaccard,
                tau=group[0].tau,
            )
        )


def routing_news(plan: Mapping[str, Any], tell: Tell) -> None:
    """Tell the route of every target, for all symbols and for each, and of every target that got none."""
    for target, record in plan["targets"].items():
        pooled = record["cross_sectional"]
        tell(RouteChosen(target=target, symbol=None, route=pooled["training_route"], reason=pooled["reason"]))
        for symbol, row in record["symbols"].items():
            reason = "; ".join(row["reason"])
            tell(RouteChosen(target=target, symbol=symbol, route=row["route"], reason=reason))
    for target, reasons in plan["blocked"].items():
        if target not in plan["targets"]:
            tell(RouteChosen(target=target, symbol=None, route="ROUTE_BLOCKED", reason="; ".join(reasons)))
