"""What a report is made from: one plan as the log tells of it, and what its models and tables say.

The log is asked a few questions, however many fits there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from daemon.views.foreign import mapping, texts
from daemon.views.plan_facts import PlanTold
from daemon.views.plan_told import plan_told
from store.reading import Reader
from store.records import DecisionRow, EventRow, FitRow, JobRow, PlanRow

EVENTS_MAX = 1_000_000
PLANNINGS_LOOKED_AT = 200
KINDS = (
    "PlanAccepted", "PlanCompleted", "FitStarted", "FitSucceeded", "FitFailed", "FitReleased", "LeaseExpired",
    "FitRetried", "FitCancelled", "FitUnavailable",
)  # fmt: skip
Cell = tuple[str, str | None]  # (target, symbol), None for all symbols


@dataclass(frozen=True, kw_only=True)
class Material:
    """One plan with all that was recorded of it.

    Attributes:
        header: the plan's document without its jobs.
        accepted: the event that accepted it.
        planning: what began the planning; None where the plan was made elsewhere.
        told: the same plan as the page tells of it.
        events: how its fits started and ended, in order.
        earlier: how many plans before it have models that were judged on the same panel.
        promoted: models of it that have a name of their own, by that name.
        head: the last event of the log when it was read.
    """

    plan: PlanRow
    header: Mapping[str, Any]
    jobs: Sequence[JobRow]
    fits: Sequence[FitRow]
    accepted: EventRow
    planning: EventRow | None
    told: PlanTold
    decisions: Sequence[DecisionRow]
    events: Sequence[EventRow]
    earlier: int
    promoted: Mapping[str, EventRow]
    head: EventRow
    decided: Mapping[str, Sequence[DecisionRow]] = field(init=False)

    def __post_init__(self) -> None:
        kinds: dict[str, list[DecisionRow]] = {}
        for decision in self.decisions:
            kinds.setdefault(decision.kind, []).append(decision)
        object.__setattr__(self, "decided", kinds)

    @property
    def metadata(self) -> Mapping[str, Any]:
        """How the plan was made: settings, data, request; empty for a plan of an older system."""
        return mapping(self.header.get("metadata"))

    def part(self, name: str) -> Mapping[str, Any]:
        """One object of the metadata, empty where the plan has none of that name."""
        return mapping(self.metadata.get(name))

    @property
    def blocked(self) -> Mapping[str, Sequence[str]]:
        """Why no job was made of a target, by target."""
        return {name: texts(why) for name, why in mapping(self.header.get("blocked")).items()}

    @property
    def planning_words(self) -> str:
        """The planning by its id, and how sure it is that the plan came from it."""
        if self.planning is None:
            return "not in this log: the plan was made elsewhere, or by hand"
        unsure = (
            "" if self.told.linked else " (not linked to the plan in the log; data and settings are the same)"
        )
        return f"{self.planning.correlation}{unsure}"

    @cached_property
    def of_fit(self) -> Mapping[str, Sequence[EventRow]]:
        """The events of each fit that started or ended, by its id."""
        found: dict[str, list[EventRow]] = {}
        for event in self.events:
            if event.fit is not None:
                found.setdefault(event.fit, []).append(event)
        return found

    @cached_property
    def success_seq(self) -> Mapping[str, int]:
        """The number of the event that recorded each finished model, by the fit's id."""
        return {event.fit: event.seq for event in self.events if event.kind == "FitSucceeded" and event.fit}

    @cached_property
    def targets(self) -> Sequence[str]:
        """The targets that are trained, in the plan's order of jobs."""
        return tuple(dict.fromkeys(job.target for job in self.jobs))

    @property
    def began_at(self) -> datetime | None:
        """When the first process of the plan started."""
        return next((event.at for event in self.events if event.kind == "FitStarted"), None)


def gather(reader: Reader, plan_id: str) -> Material:
    """Return all that the log has of a plan.

    Raises:
        NotFound: there is no such plan.
    """
    plan = reader.plan_row(plan_id)
    head = reader.events(after=reader.head_seq() - 1, limit=1)[0]
    events = reader.events(plan=plan.id, kinds=KINDS, limit=EVENTS_MAX)
    accepted = next(event for event in events if event.kind == "PlanAccepted")
    told = plan_told(reader, plan.id)
    planning = _planning(reader, accepted, told)
    return Material(
        plan=plan,
        header=accepted.data.get("header") or {},
        jobs=reader.jobs(plan.id),
        fits=reader.fits(plan=plan.id),
        accepted=accepted,
        planning=planning,
        told=told,
        decisions=() if planning is None else reader.decisions(planning_id=planning.correlation),
        events=events,
        earlier=_earlier(reader, plan),
        promoted={name: row for name, row in reader.promotions().items() if row.data["plan"] == plan.id},
        head=head,
    )


def _earlier(reader: Reader, plan: PlanRow) -> int:
    before = (one for one in reader.plans() if one.accepted_at < plan.accepted_at)
    return sum(one.panel_key == plan.panel_key is not None and one.succeeded > 0 for one in before)


def _planning(reader: Reader, accepted: EventRow, told: PlanTold) -> EventRow | None:
    """What began the planning that the plan came from.

    Where the log does not say so itself, data and number of jobs are the same; if the settings are not, it is
    another planning.
    """
    begun = reader.newest_events(("PlanningStarted",), until=accepted.seq, limit=PLANNINGS_LOOKED_AT)
    found = next((event for event in begun if event.correlation == told.planning), None)
    if found is None or told.linked:
        return found
    settings = found.data.get("settings") or {}
    is_alike = settings.get("config_hash") == told.metadata.get("config_hash") is not None
    return found if is_alike else None
