"""What went wrong: fits without a model with their sentence, and the work that was lost on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from daemon.report.blocks import Block, Cell, Section, Table, Value, Words, rest
from daemon.report.material import Material
from daemon.report.numbers import BAD, event, listed
from daemon.views.foreign import mapping
from daemon.views.words import counted, moment, span
from store.records import EventRow, FitRow

LISTED = 40
GROUPED_FROM = 12  # fits without a model: so many say more by their reasons than one by one
OPEN = ("ready", "claimed", "running")
_ENDS = {"failed": "FitFailed", "unavailable": "FitUnavailable", "cancelled": "FitCancelled"}


def failures_section(material: Material) -> Section:
    """The section on failures."""
    without = [fit for fit in material.fits if fit.state in _ENDS]
    still_open = [fit for fit in material.fits if fit.state in OPEN]
    lost = lost_attempts(material)
    blocks: list[Block] = [Words(text=_lead(without, still_open, lost))]
    if len(without) >= GROUPED_FROM:
        blocks.append(_by_reason(material, without))
    if without:
        blocks.append(_table(material, without))
    blocks += _left_out(material)
    if still_open:
        blocks.append(_open_table(still_open))
    if lost:
        blocks.append(_lost_table(material, lost))
    return Section(
        key="failures", title="What went wrong, and what is missing", blocks=blocks, source=_source(material)
    )


def lost_attempts(material: Material) -> tuple[EventRow, ...]:
    """Return the ends of attempts that were not the last word on their fit, oldest first."""
    return tuple(
        event
        for event in material.events
        if event.kind in ("LeaseExpired", "FitReleased")
        or (event.kind == "FitFailed" and event.data.get("retry"))
    )


def lost_seconds(material: Material) -> float:
    """Return how much work processes that ended without a word took with them."""
    expired = (event for event in material.events if event.kind == "LeaseExpired")
    return sum(float(event.data.get("lost_seconds") or 0.0) for event in expired)


def _lead(without: Sequence[FitRow], still_open: Sequence[FitRow], lost: Sequence[EventRow]) -> str:
    counts = {state: sum(fit.state == state for fit in without) for state in _ENDS}
    told = [f"{counted(count, 'fit')} {state}" for state, count in counts.items() if count]
    said = f"{', '.join(told)}. " if told else "Every fit that ended has a model. "
    if still_open:
        said += f"{counted(len(still_open), 'fit')} had not ended when this was written. "
    if lost:
        return said + f"{counted(len(lost), 'attempt')} broke off and went on in another."
    return said + "No attempt broke off."


def _by_reason(material: Material, without: Sequence[FitRow]) -> Table:
    """The fits without a model by their reason, the most frequent first."""
    groups: dict[tuple[str, str], list[FitRow]] = {}
    for fit in without:
        groups.setdefault((fit.state, _why(material, fit)), []).append(fit)
    rows = sorted(groups.items(), key=lambda item: -len(item[1]))
    return Table(
        caption="Without a model, by reason",
        headers=("fits", "state", "why", "families"),
        right=("fits",),
        wide=("why", "families"),
        rows=[
            (len(fits), state, why, listed(sorted({fit.family for fit in fits}), 6))
            for (state, why), fits in rows[:LISTED]
        ],
        left_out=rest(len(rows) - LISTED, "reasons", "trainwright jobs --failed"),
    )


def _why(material: Material, fit: FitRow) -> str:
    last = _last_end(material, fit)
    return fit.sentence or (str(last.data.get("reason") or "") if last else "") or "no reason was given"


def _last_end(material: Material, fit: FitRow) -> EventRow | None:
    ends = [one for one in material.of_fit.get(fit.id, ()) if one.kind == _ENDS[fit.state]]
    return ends[-1] if ends else None


def _table(material: Material, without: Sequence[FitRow]) -> Table:
    return Table(
        caption="Without a model",
        headers=("fit", "state", "why", "attempts", "event"),
        right=("attempts",),
        wide=("why",),
        rows=[_row(material, fit) for fit in without[:LISTED]],
        left_out=rest(len(without) - LISTED, "fits", "trainwright jobs --failed"),
    )


def _row(material: Material, fit: FitRow) -> tuple[Value, ...]:
    last = _last_end(material, fit)
    place = f" ({fit.place.splitlines()[0]})" if fit.place else ""
    state = Cell(text=fit.state, kind=BAD if fit.state == "failed" else "")
    return fit.name, state, f"{_why(material, fit)}{place}", fit.attempt, event(last.seq if last else None)


def _left_out(material: Material) -> list[Block]:
    """Families that the planner left out of jobs, those with the same reason together."""
    counts: dict[tuple[str, str], int] = {}
    for job in material.jobs:
        left_out = mapping(mapping(job.record.get("metadata")).get("families_left_out"))
        for family, reason in left_out.items():
            counts[family, str(reason)] = counts.get((family, str(reason)), 0) + 1
    if not counts:
        return []
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [
        Table(
            caption="Families that the plan left out",
            headers=("family", "jobs", "why"),
            right=("jobs",),
            wide=("why",),
            rows=[(family, count, reason) for (family, reason), count in rows[:LISTED]],
            left_out=rest(len(rows) - LISTED, "reasons", "trainwright why JOB"),
        )
    ]


def _open_table(still_open: Sequence[FitRow]) -> Table:
    return Table(
        caption="Not ended yet",
        headers=("fit", "state", "attempt"),
        right=("attempt",),
        rows=[
            (fit.name, "waiting" if fit.state == "ready" else fit.state, fit.attempt)
            for fit in still_open[:20]
        ],
        left_out=rest(len(still_open) - 20, "open fits", "trainwright jobs"),
    )


def _lost_table(material: Material, lost: Sequence[EventRow]) -> Table:
    names = {fit.id: fit.name for fit in material.fits}
    return Table(
        caption="Attempts that broke off",
        headers=("fit", "attempt", "when", "why", "work lost", "event"),
        right=("attempt", "work lost"),
        wide=("why",),
        rows=[_lost_row(one, names) for one in lost[-LISTED:]],
        left_out=rest(len(lost) - LISTED, "older ones", "trainwright job FIT"),
    )


def _lost_row(one: EventRow, names: Mapping[str, str]) -> tuple[Value, ...]:
    lost = one.data.get("lost_seconds")
    why = one.data.get("sentence") or one.data.get("cause") or "-"
    return (
        names.get(one.fit or "", one.job),
        one.attempt,
        moment(one.at),
        str(why),
        "-" if lost is None else span(float(lost)),
        event(one.seq),
    )


def _source(material: Material) -> str:
    kinds = "FitFailed, FitUnavailable, FitCancelled, LeaseExpired, FitReleased"
    return f"the log up to event #{material.head.seq}: {kinds}"
