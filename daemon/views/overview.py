"""How everything stands, in one look: what ``status``, the page and the API tell."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from daemon.views.fits import fit_document
from daemon.views.host_words import HostTold, hosts_told
from daemon.views.remaining import Remaining, remaining
from daemon.views.waiting import Watch, alive_then
from store.reading import Reader
from store.records import EventRow, FitRow, PlanRow

LINES_MAX = 8  # of each kind, the newest
LOSSES_PAGE = 1000
LOSS_KINDS = ("LeaseExpired", "FitReleased")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Resumption:
    """A fit that lost its process: what was lost, and from which step it went on.

    `resumed_from_step` is None for a start from the beginning; `state` is "waiting" until it went on.
    """

    name: str
    attempt: int
    cause: str
    lost_seconds: float
    at: datetime
    resumed_from_step: int | None
    state: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything status tells; `left` is what is left of the newest open plans, by their id."""

    watch: Watch
    hosts: tuple[HostTold, ...]
    plans: tuple[PlanRow, ...]
    running: tuple[FitRow, ...]
    failed: tuple[FitRow, ...]
    resumed: tuple[Resumption, ...]
    losses: int
    left: Mapping[str, Remaining]


def look(reader: Reader, *, past: bool = False) -> Overview:
    """Read what status tells: the newest failures and losses only, however many there are."""
    plans = reader.plans()
    newest, losses = _losses(reader)
    watch = Watch(reader, is_dead=alive_then) if past else Watch(reader)
    return Overview(
        watch=watch,
        hosts=hosts_told(reader, watch.hosts),
        plans=plans,
        running=reader.fits(states=("claimed", "running")),
        failed=_failed(reader, plans),
        resumed=tuple(_resumption(reader, event) for event in newest),
        losses=losses,
        left={
            plan.id: remaining(reader, plan.id, watch=watch)
            for plan in [plan for plan in plans if plan.open][-LINES_MAX:]
        },
    )


def _losses(reader: Reader) -> tuple[tuple[EventRow, ...], int]:
    """The newest losses of a process, oldest of them first, and how many there were at all."""
    newest: tuple[EventRow, ...] = ()
    count = after = 0
    while page := reader.events(kinds=LOSS_KINDS, after=after, limit=LOSSES_PAGE):
        newest, count, after = (*newest, *page)[-LINES_MAX:], count + len(page), page[-1].seq
        if len(page) < LOSSES_PAGE:
            break
    return newest, count


def _failed(reader: Reader, plans: Sequence[PlanRow]) -> tuple[FitRow, ...]:
    """Failed fits of the newest plans first, at most a screenful."""
    found: list[FitRow] = []
    for plan in reversed(plans):
        if plan.failed and len(found) < LINES_MAX:
            found += reader.fits(plan=plan.id, states=("failed",), limit=LINES_MAX - len(found))
    return tuple(found)


def _resumption(reader: Reader, event: EventRow) -> Resumption:
    """What became of a loss."""
    fit = reader.fit(event.fit or "")
    starts = reader.events(fit=fit.id, after=event.seq, kinds=("FitStarted",), limit=1)
    return Resumption(
        name=fit.name,
        attempt=event.attempt or 0,
        cause=event.data["cause"],
        lost_seconds=event.data.get("lost_seconds", 0.0),
        at=event.at,
        resumed_from_step=starts[0].data.get("resumed_from_step") if starts else None,
        state=fit.state if starts or fit.state in ("failed", "cancelled") else "waiting",
    )


def overview_document(found: Overview) -> dict[str, Any]:
    """Return the overview as a JSON document; `failed` and `resumed` hold the newest, the counts all."""
    watch = found.watch
    return {
        "at": watch.now,
        "workers": sorted(watch.workers),
        "hosts": [told.document for told in found.hosts],
        "plans": [_plan_document(plan, found.left.get(plan.id)) for plan in found.plans],
        "running": [fit_document(fit, None) for fit in found.running],
        "failed": [fit_document(fit, None) for fit in found.failed],
        "waiting": [dataclasses.asdict(group) for group in watch.groups(found.plans)],
        "resumed": [dataclasses.asdict(one) for one in found.resumed],
        "losses": found.losses,
        "pauses": [dataclasses.asdict(pause) for pause in watch.pauses],
        "held": watch.held,
    }


def _plan_document(plan: PlanRow, left: Remaining | None) -> dict[str, Any]:
    """A plan with what is left of it, None where it has ended or is older than those that are told."""
    rest = None if left is None else dataclasses.asdict(left)
    return dataclasses.asdict(plan) | {"open": plan.open, "remaining": rest}
