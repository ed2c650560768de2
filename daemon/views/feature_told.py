"""What became of one feature of a target: chosen or left out, for whom and why, blocked as a leak."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from store.errors import NotFound
from store.records import DecisionRow

BLOCKED = "BLOCKED"
NOT_KEPT = "nobody wrote down why: this planning is older than the reasons in the log"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakTold:
    """A probe's word about the feature."""

    verdict: str
    probe: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceTold:
    """Whether the feature was chosen, for one symbol or for all (None)."""

    symbol: str | None
    selected: bool
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureTold:
    """All that the newest planning said of a feature of a target."""

    name: str
    target: str
    leaks: tuple[LeakTold, ...]
    choices: tuple[ChoiceTold, ...]


def feature_told(target: str, name: str, decisions: Sequence[DecisionRow]) -> FeatureTold:
    """Return what the planner decided about a feature of a target.

    Raises:
        NotFound: the planning of the target knew no such feature; names the nearest.
    """
    leaks = tuple(
        LeakTold(verdict=row.data["verdict"], probe=row.data["probe"], evidence=row.data["evidence"])
        for row in decisions
        if row.kind == "LeakFound" and row.data["feature"] == name
    )
    selections = [row for row in decisions if row.kind == "FeaturesSelected"]
    known = {feature for row in selections for feature in (*row.data["features"], *_because(row))}
    known |= {row.data["feature"] for row in decisions if row.kind == "LeakFound"}
    if name not in known and (not selections or any(_because(row) for row in selections)):
        near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
        raise NotFound(noun=f"feature of {target}", name=name, nearest=near[0] if near else None)
    is_blocked = any(leak.verdict == BLOCKED for leak in leaks)
    choices = (_choice(name, row, is_blocked=is_blocked) for row in selections)
    return FeatureTold(name=name, target=target, leaks=leaks, choices=tuple(filter(None, choices)))


def feature_words(told: FeatureTold) -> Iterator[tuple[str, str]]:
    """The same as lines of a label and words."""
    yield "feature", f"{told.name} of {told.target}: {_in_short(told)}"
    for leak in told.leaks:
        yield "leak", f"{leak.verdict} by {leak.probe}: {leak.evidence}"
    for choice in told.choices:
        who = choice.symbol or "all symbols"
        yield "", f"{who}: {'selected' if choice.selected else 'not selected'}: {choice.because}"


def feature_document(told: FeatureTold) -> dict[str, Any]:
    """The same for programs."""
    return asdict(told) | {"words": _in_short(told)}


def _in_short(told: FeatureTold) -> str:
    if any(leak.verdict == BLOCKED for leak in told.leaks):
        return "blocked as a leak, so no model may use it"
    count = sum(choice.selected for choice in told.choices)
    if not told.choices:
        return "no features were selected for this target"
    if count == 0:
        return "not selected"
    return "selected" if count == len(told.choices) else f"selected in {count} of {len(told.choices)} views"


def _because(row: DecisionRow) -> dict[str, str]:
    return row.data.get("because") or {}


def _choice(name: str, row: DecisionRow, *, is_blocked: bool) -> ChoiceTold | None:
    selected = name in row.data["features"]
    because = _because(row)
    if name not in because and because and not selected and not is_blocked:
        return None  # it was not among the candidates of this symbol
    told = "it is blocked as a leak" if is_blocked and not selected else NOT_KEPT
    return ChoiceTold(symbol=row.symbol, selected=selected, because=because.get(name, told))
