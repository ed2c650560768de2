"""How long a plan will still take, as far as its past tells: an estimate, always said with a "~"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from daemon.views.waiting import Watch
from daemon.views.words import span
from store.reading import Reader
from store.records import PauseRow
from store.rest import RestOfKind

UNKNOWN = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remaining:
    """What is left of a plan.

    Attributes:
        seconds: how long it will take; None where nothing tells, or where nothing goes on.
        words: the same for people: ``~4m 10s``, a dash for what is not known.
        fits_known: open fits of whose kind a duration is known; of a plan of many thousands about so many.
        fits_open: all fits that have not ended, likewise.
    """

    seconds: float | None
    words: str
    fits_known: int
    fits_open: int


def remaining(reader: Reader, plan_id: str, *, watch: Watch | None = None) -> Remaining:
    """Return how long a plan will still take if the hosts at work do nothing else.

    A kind of fit takes what such fits of this plan took, else what the plan expects, else what past fits of
    the family cost by their size. The CPU stage comes before the GPU stage. Held fits are not counted in;
    where no daemon is at work or the whole plan is paused there is no end to tell.
    """
    kinds = reader.rest(plan_id)
    fits_open = sum(kind.open + kind.held for kind in kinds)
    each = _seconds_each(reader, kinds)
    known = sum(kind.open for kind in kinds if _key(kind) in each)
    seconds = None
    if known:
        watch = watch or Watch(reader)
        if watch.workers and not _is_paused(watch.pauses, plan_id):
            seconds = _seconds(kinds, each, watch)
    words = UNKNOWN if seconds is None else _words(seconds)
    return Remaining(seconds=seconds, words=words, fits_known=known, fits_open=fits_open)


def _words(seconds: float) -> str:
    """An estimate without a precision that it does not have."""
    return f"~{seconds:.0f}s" if seconds < 10 else f"~{span(seconds)}"


def _seconds(kinds: Iterable[RestOfKind], each: Mapping[tuple[str, str, str], float], watch: Watch) -> float:
    """Both stages one after the other; a fit of an unknown kind counts like the mean of its stage."""
    total = 0.0
    for stage, slots in (("cpu", watch.cpu_slots), ("gpu", watch.gpu_slots)):
        here = [kind for kind in kinds if kind.stage == stage and kind.open]
        told = [kind for kind in here if _key(kind) in each]
        fits = sum(kind.open for kind in told)
        work = sum(max(0.0, kind.open - kind.begun) * each[_key(kind)] for kind in told)
        if not fits:
            continue
        longest = max(each[_key(kind)] * min(1.0, kind.open - kind.begun) for kind in told)
        work *= sum(kind.open for kind in here) / fits
        total += max(work / max(1, slots), longest)
    return total


def _seconds_each(reader: Reader, kinds: Iterable[RestOfKind]) -> dict[tuple[str, str, str], float]:
    """What one fit of each kind takes; kinds of which nothing is known are left out.

    What past fits cost is dear to ask, and asked only for a stage of which the plan itself tells nothing.
    """
    each, unknown = {}, []
    for kind in kinds:
        seconds = kind.seconds if kind.seconds is not None else kind.estimate
        if seconds is None:
            unknown.append(kind)
        else:
            each[_key(kind)] = seconds
    told = {stage for stage, _, _ in each}
    asked = {kind.family for kind in unknown if kind.megacells and kind.stage not in told}
    past = reader.past_costs(asked) if asked else {}
    for kind in unknown:
        cost = past.get(kind.family)
        if cost is not None and kind.megacells:
            per_cell = cost["seconds_per_megacell"]
            each[_key(kind)] = cost["seconds_at_least"] + per_cell * kind.megacells
    return each


def _key(kind: RestOfKind) -> tuple[str, str, str]:
    return (kind.stage, kind.family, kind.training_type)


def _is_paused(pauses: Iterable[PauseRow], plan_id: str) -> bool:
    return any(
        pause.plan in (None, plan_id) and pause.stage is None and pause.host is None for pause in pauses
    )
