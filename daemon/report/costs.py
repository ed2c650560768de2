"""What it cost: time by family beside what was expected, memory asked for, devices used."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from daemon.pictures.drawing import NOTHING
from daemon.pictures.scores import bars
from daemon.report.blocks import Block, Figure, Section, Table, Value, Words
from daemon.report.failures import lost_seconds
from daemon.report.material import Material
from daemon.views.foreign import finite, mapping
from daemon.views.timeline import timeline
from daemon.views.timeline_drawn import drawn
from daemon.views.words import bytes_words, counted, moment, span
from store.reading import Reader
from store.records import FitRow

ATTEMPTS_DRAWN = 200
_UNITS = (("Hours", 3600), ("Minutes", 60), ("Seconds", 1))


def costs_section(reader: Reader, material: Material) -> Section:
    """The section on costs."""
    blocks: list[Block] = [Words(text=_lead(material)), *_course(reader, material)]
    done = [fit for fit in material.fits if fit.state == "succeeded" and fit.seconds is not None]
    groups: dict[str, list[FitRow]] = {}
    for fit in done:
        groups.setdefault(fit.family, []).append(fit)
    if groups:
        blocks += _by_family(groups)
        blocks.append(_table(groups, _expected(material)))
    blocks.append(
        Words(
            text="Memory is what the plan expects a fit to need and is set aside for it; how much it really "
            "took is not recorded.",
            kind="note",
        )
    )
    return Section(key="costs", title="What it cost", blocks=blocks, source=_source(material))


def _by_family(groups: Mapping[str, Sequence[FitRow]]) -> list[Block]:
    """How long the fits of each family took together, in the unit that reads best."""
    longest = max(_total(fits) for fits in groups.values())
    unit, seconds = next(
        (unit, seconds) for unit, seconds in _UNITS if longest >= 2 * seconds or seconds == 1
    )
    rows = sorted(groups.items(), key=lambda item: -_total(item[1]))
    picture = bars([(name, _total(fits) / seconds, None) for name, fits in rows], label=f"{unit} by family")
    if picture == NOTHING:
        return []
    return [Figure(pictures=[picture], caption=f"{unit} of training by family, all fits together.")]


def _course(reader: Reader, material: Material) -> list[Block]:
    """Which fit ran when, on which place."""
    # Up to the last event, not to now: the same log shall give the same report.
    head = material.head
    found = timeline(reader, plan=material.plan.id, until=head.seq, end=head.at, limit=ATTEMPTS_DRAWN)
    if found is None:
        return []
    caption = f"What ran when, side by side; at most the newest {ATTEMPTS_DRAWN} attempts."
    return [Figure(pictures=[drawn(found, links=False)], caption=caption)]


def trained_seconds(material: Material) -> float:
    """Return the seconds of all attempts that ended in a model, together."""
    return _total([fit for fit in material.fits if fit.state == "succeeded"])


def _lead(material: Material) -> str:
    done = sum(fit.state == "succeeded" for fit in material.fits)
    said = f"{counted(done, 'model')} took {span(trained_seconds(material))} of training together. "
    last = max((fit.ended_at for fit in material.fits if fit.ended_at is not None), default=None)
    if material.began_at is not None and last is not None:
        wall = span((last - material.began_at).total_seconds())
        said += (
            f"From the first start ({moment(material.began_at)}) to the last end ({moment(last)}): {wall}. "
        )
    lost = lost_seconds(material)
    return said + (f"{span(lost)} of work was lost to processes that ended without a word." if lost else "")


def _total(fits: Sequence[FitRow]) -> float:
    return sum(fit.seconds or 0.0 for fit in fits)


def _table(groups: Mapping[str, Sequence[FitRow]], expected: Mapping[tuple[str, str], float]) -> Table:
    headers = ("family", "fits", "device", "together", "median", "longest", "expected", "memory set aside")
    ordered = sorted(groups.items(), key=lambda item: -_total(item[1]))
    return Table(
        caption="By family",
        headers=headers,
        right=("fits", "together", "median", "longest", "expected", "memory set aside"),
        rows=[_row(name, fits, expected) for name, fits in ordered],
    )


def _row(name: str, fits: Sequence[FitRow], expected: Mapping[tuple[str, str], float]) -> tuple[Value, ...]:
    seconds = [fit.seconds or 0.0 for fit in fits]
    told = [expected[fit.job_id, fit.family] for fit in fits if (fit.job_id, fit.family) in expected]
    memory = max(fit.memory_bytes for fit in fits)
    return (
        name,
        len(fits),
        ", ".join(sorted({fit.device_used for fit in fits if fit.device_used})) or "-",
        span(sum(seconds)),
        span(statistics.median(seconds)),
        span(max(seconds)),
        span(sum(told)) if len(told) == len(fits) else "-",
        bytes_words(memory) if memory else "-",
    )


def _expected(material: Material) -> Mapping[tuple[str, str], float]:
    """What the plan expected each fit to take in seconds, by job and family."""
    found = {}
    for job in material.jobs:
        for fit in job.record.get("fits") or ():
            seconds = finite(mapping(fit.get("estimate")).get("seconds"))
            if seconds is not None:
                found[job.job_id, str(fit.get("family"))] = seconds
    return found


def _source(material: Material) -> str:
    return (
        "FitSucceeded (seconds of the attempt that ended in the model, by the clock, start of its process "
        f"included) and JobPlanned (expected, memory), up to event #{material.head.seq}"
    )
