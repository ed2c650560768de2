"""Why a fit is not running: one function, one code and one sentence for every waiting fit.

The codes: Held, PlanPaused, Draining, NoWorker, Labels, Dependency, WaitingForCpuStage, Backoff, DiskLow,
Resources(cpu), Resources(gpu), Resources(memory), Priority and Next for ready fits; LibraryMissing,
Unsuitable (what the plan asks for cannot be done with it) and Dependency for those that cannot run at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from store.moments import iso_utc
from store.records import FitRow, PauseRow, Room

_UNAVAILABLE = {"dependency": "Dependency", "unsuitable": "Unsuitable"}
NAMED_MAX = 3  # of the fits that are waited for


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A host as far as it decides who starts a fit.

    Attributes:
        labels: what it offers beside its room.
        at_work: whether its daemon works.
        draining: why it claims nothing more; None where it claims.
    """

    labels: tuple[str, ...] = ()
    at_work: bool = True
    draining: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingContext:
    """What the answer depends on besides the fit.

    Attributes:
        now: the moment of the question.
        daemons: how many daemons or draining commands are at work.
        hosts: the hosts they work on.
        pauses: all pauses; those that do not concern the fit are passed over.
        held_by: who holds the fit back, if anybody does.
        needs: names of the fits that it depends on and that have not succeeded.
        awaited: names of the fits that it is made from and that have not ended.
        cpu_open: CPU fits that the fit's stage barrier still waits for.
        rooms: what each daemon at work that claims has free; None when one of them did not say.
        offers: the labels of each of these; none where nobody has any.
        standing: every host that daemons ever worked on and that was not removed, by its name.
        running: fits of the same stage that run, which tells something where the rooms do not.
        ahead: ready fits of the same stage that come first; None when that was not counted.
        ahead_of_others: of these, how many are of which other plans, by name.
        at_work: fits of its own plan that run.
    """

    now: datetime
    daemons: int
    hosts: frozenset[str] = frozenset()
    pauses: tuple[PauseRow, ...] = ()
    held_by: str | None = None
    needs: tuple[str, ...] = ()
    awaited: tuple[str, ...] = ()
    cpu_open: int = 0
    rooms: tuple[Room, ...] | None = None
    offers: tuple[tuple[str, ...], ...] = ()
    standing: Mapping[str, Standing] = field(default_factory=dict)
    running: int = 0
    ahead: int | None = 0
    ahead_of_others: tuple[tuple[str, int], ...] = ()
    at_work: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingReason:
    """A code for programs and a sentence for people."""

    code: str
    words: str


def waiting_reason(fit: FitRow, context: WaitingContext) -> WaitingReason | None:
    """Return why a fit does not run, the first reason that holds; None when nothing keeps it waiting."""
    if fit.state == "unavailable":
        code = _UNAVAILABLE.get(fit.cause or "", "LibraryMissing")
        return WaitingReason(code=code, words=fit.sentence or "it cannot run here")
    if fit.state != "ready":
        return None
    for look in (_by_a_person, _for_a_worker, _for_labels, _for_others, _for_time, _for_room):
        reason = look(fit, context)
        if reason is not None:
            return reason
    if context.ahead is None:
        return WaitingReason(code="Priority", words="the most urgent come first")
    if context.ahead > 0:
        return WaitingReason(code="Priority", words=_first_words(fit, context.ahead, context))
    return WaitingReason(code="Next", words="it is next and will be claimed in a moment")


def pause_words(pause: PauseRow) -> str:
    """Return a pause as a sentence: what is paused, by whom, why."""
    scope = "all work" if pause.plan is None else f"plan {pause.plan}"
    stage = f" of the {pause.stage.upper()} stage" if pause.stage else ""
    host = f" on host {pause.host}" if pause.host else ""
    by = f" by {pause.actor}" if pause.actor else ""
    return f"{scope}{stage}{host} is paused{by}{f': {pause.reason}' if pause.reason else ''}"


def _first_words(fit: FitRow, ahead: int, context: WaitingContext) -> str:
    """Return how many fits come first, and where others' plans are among them, of which."""
    first = f"{_counted(ahead, f'{fit.stage.upper()} fit')} {'comes' if ahead == 1 else 'come'}"
    if not context.ahead_of_others:
        return f"{first} first"
    own = ahead - sum(fits for _, fits in context.ahead_of_others)
    shares = [f"{own} of its own plan"] if own else []
    shares += [f"{fits} of plan {name}" for name, fits in context.ahead_of_others[:NAMED_MAX]]
    rest = context.ahead_of_others[NAMED_MAX:]
    shares += [f"{sum(fits for _, fits in rest)} of {len(rest)} more plans"] if rest else []
    at_work = f"; of its own plan {context.at_work} are at work" if context.at_work else ""
    return f"{first} first: {', '.join(shares)}{at_work}"


def _by_a_person(fit: FitRow, context: WaitingContext) -> WaitingReason | None:
    if fit.held is not None:
        by = f" by {context.held_by}" if context.held_by else ""
        return WaitingReason(code="Held", words=f"held{by}{f': {fit.held}' if fit.held else ''}")
    whole = [pause for pause in context.pauses if pause.host is None and _concerns(pause, fit)]
    if whole:
        return WaitingReason(code="PlanPaused", words=pause_words(whole[0]))
    here = [pause for pause in context.pauses if pause.host is not None and _concerns(pause, fit)]
    drained = {name: one.draining for name, one in context.standing.items() if one.draining is not None}
    held_up = [name for name in sorted(context.hosts) if name in drained]
    if (here or held_up) and context.hosts and context.hosts <= {*(pause.host for pause in here), *held_up}:
        words = [pause_words(pause) for pause in here if pause.host in context.hosts - drained.keys()]
        words += [draining_words(name, drained[name]) for name in held_up]
        more = len(words) - NAMED_MAX
        words = [*words[:NAMED_MAX], f"and {more} more hosts"] if more > 1 else words
        return WaitingReason(code="Draining" if held_up else "PlanPaused", words="; ".join(words))
    return None


def draining_words(host: str, reason: str | None) -> str:
    """Return that a host drains as a sentence."""
    return f"host {host} drains and claims nothing more{f': {reason}' if reason else ''}"


def _concerns(pause: PauseRow, fit: FitRow) -> bool:
    return pause.plan in (None, fit.plan_id) and pause.stage in (None, fit.stage)


def _for_a_worker(_fit: FitRow, context: WaitingContext) -> WaitingReason | None:
    if context.daemons:
        return None
    return WaitingReason(code="NoWorker", words="no daemon is at work; start one with: trainwright daemon")


def _for_labels(fit: FitRow, context: WaitingContext) -> WaitingReason | None:
    """Return which labels no host that claims has together; nothing where no daemon ever said its own."""
    claiming = [one for one in context.standing.values() if one.at_work and one.draining is None]
    if not fit.labels or not claiming or any(set(fit.labels) <= set(one.labels) for one in claiming):
        return None
    names = f"{'label' if len(fit.labels) == 1 else 'labels'} {' and '.join(fit.labels)}"
    many = f"none of the {len(claiming)} hosts at work has" if len(claiming) > 1 else "the host at work lacks"
    words = f"it needs a host with {names}; {many} {'it' if len(fit.labels) == 1 else 'them'}"
    others = {name: one for name, one in context.standing.items() if set(fit.labels) <= set(one.labels)}
    told = [f"{name} {'drains' if one.at_work else 'is not at work'}" for name, one in sorted(others.items())]
    more = f" ({_named(told)})" if told else ""
    return WaitingReason(code="Labels", words=f"{words}{more}")


def _for_others(fit: FitRow, context: WaitingContext) -> WaitingReason | None:
    if fit.waits_for:
        return WaitingReason(code="Dependency", words=_other_words(fit, context))
    if fit.stage == "gpu" and context.cpu_open > 0:
        scope = "its job" if fit.stage_barrier == "job" else "its plan"
        return WaitingReason(
            code="WaitingForCpuStage",
            words=f"{_counted(context.cpu_open, 'CPU fit')} of {scope} must end before its GPU fits start",
        )
    return None


def _other_words(fit: FitRow, context: WaitingContext) -> str:
    """Return which fits are waited for, by name or only how many they are."""
    if context.needs:
        return f"it needs {_named(context.needs)}, not yet succeeded"
    if context.awaited:
        return f"it is made from fits that have not all ended: {_named(context.awaited)}"
    if fit.depends_on or not fit.awaits:
        return f"it needs {fit.waits_for} other fits that have not succeeded yet"
    return f"it is made from fits of which {fit.waits_for} have not ended"


def _named(fits: Sequence[str]) -> str:
    """Return the names of fits, few of them."""
    more = f" and {len(fits) - NAMED_MAX} more" if len(fits) > NAMED_MAX else ""
    return f"{', '.join(fits[:NAMED_MAX])}{more}"


def _for_time(fit: FitRow, context: WaitingContext) -> WaitingReason | None:
    if fit.not_before_at is None or fit.not_before_at <= context.now:
        return None
    seconds = (fit.not_before_at - context.now).total_seconds()
    when = f"at {iso_utc(fit.not_before_at)}, in {seconds:.0f} s"
    if fit.cause == "disk_full":
        words = f"the disk was full; it is tried again {when}, and no attempt is used up"
        return WaitingReason(code="DiskLow", words=words)
    return WaitingReason(
        code="Backoff", words=f"it failed {_counted(fit.failures, 'time')} and is tried again {when}"
    )


def _for_room(fit: FitRow, context: WaitingContext) -> WaitingReason | None:
    """Return what no daemon has enough of; nothing for a fit that others come before."""
    if context.rooms is None:
        if context.running and context.ahead == 0:
            words = f"all {fit.stage.upper()} places are taken, {_counted(context.running, 'fit')} at work"
            return WaitingReason(code=f"Resources({fit.stage})", words=words)
        return None
    offers = context.offers or ((),) * len(context.rooms)
    pairs = zip(context.rooms, offers, strict=True)
    rooms = [room for room, labels in pairs if set(fit.labels) <= set(labels)]
    # What every host has too little of is passed over for ever, whoever comes first.
    lack = _lack(fit, [room.whole for room in rooms], "are all there is")
    if lack is None and context.ahead == 0:
        lack = _lack(fit, rooms, "are free")
    return lack


def _lack(fit: FitRow, rooms: Sequence[Room | None], are: str) -> WaitingReason | None:
    """Return what the first of some rooms has too little of; None when one of them has enough."""
    found = [None if room is None else _lack_of(fit, room, are) for room in rooms]
    return found[0] if found and None not in found else None


def _lack_of(fit: FitRow, room: Room, are: str) -> WaitingReason | None:
    """Return the first resource that a room has too little of, with a sentence; None when there is enough."""
    if fit.gpus > room.gpus:
        words = f"it needs {_counted(fit.gpus, 'GPU place')} and {room.gpus} {are}"
        return WaitingReason(code="Resources(gpu)", words=words)
    if fit.cores > room.cores:
        words = f"it needs {_counted(fit.cores, 'CPU place')} and {room.cores} {are}"
        return WaitingReason(code="Resources(cpu)", words=words)
    if room.memory_bytes is not None and fit.memory_bytes > room.memory_bytes:
        need, have = fit.memory_bytes / 1e9, room.memory_bytes / 1e9
        words = f"it needs {need:.1f} GB of memory and {have:.1f} GB {are}"
        return WaitingReason(code="Resources(memory)", words=words)
    return None


def _counted(count: int, noun: str) -> str:
    """A number of things: ``1 fit``, ``10,000 fits``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
