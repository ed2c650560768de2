"""Features that know a target's future: which, for how many targets, by which probe, with what evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daemon.report.blocks import Block, Cell, Section, Table, Words, rest
from daemon.report.material import Material
from daemon.report.numbers import BAD, event, events, listed
from daemon.views.foreign import texts
from daemon.views.words import counted
from store.records import DecisionRow

LEAKS_LISTED = 60
BLOCKED = "BLOCKED"
ELSEWHERE = "elsewhere"  # the probe of a feature that is proven to leak for another target
_PROBES = {
    "copy": "nearly a copy of the target",
    "overlap": "nearly the target, moved by fewer bars than its horizon",
    "next_bar": "goes with the very next bar, not with the past",
    "part_window": "goes with what the first coming bars bring, not with those after",
    "centred_window": "an average over bars before and after",
    "future_increment": "goes with what one single bar ahead brings",
    "correlation": "goes with the coming window far more than with the past",
    "too_good": "foretells the target better than is plausible",
    "ratio_spike": "a fixed multiple of the future in some rows",
    "slope_spike": "a shifted copy of the future in some rows",
    "elsewhere": "proven to hold the future of another target",
    "unmeasured": "could not be measured",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """A feature under one verdict, with the targets it concerns; the first event has the evidence shown.

    What leaks for one target is kept out of all the others as well.
    """

    feature: str
    verdict: str
    rows: Sequence[DecisionRow]

    @property
    def is_blocked(self) -> bool:
        """Whether it was proven to know their future."""
        return self.verdict == BLOCKED

    @property
    def is_suspect(self) -> bool:
        """Whether it may know their future, and models may use it all the same."""
        return not self.is_blocked and any(row.data["probe"] != ELSEWHERE for row in self.rows)

    @property
    def word(self) -> str:
        """The verdict in a word."""
        return "blocked" if self.is_blocked else "suspect" if self.is_suspect else "kept out"

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets whose future it knows."""
        return tuple(dict.fromkeys(row.target or "" for row in self.rows))


def leaks_of(material: Material) -> tuple[Leak, ...]:
    """Return all leaks found, blocked ones before suspects, those of most targets first."""
    groups: dict[tuple[str, str], list[DecisionRow]] = {}
    for row in material.decided.get("LeakFound", ()):
        groups.setdefault((row.data["feature"], row.data["verdict"]), []).append(row)
    found = (Leak(feature=feature, verdict=verdict, rows=rows) for (feature, verdict), rows in groups.items())
    return tuple(sorted(found, key=lambda leak: (leak.verdict != BLOCKED, -len(leak.targets), leak.feature)))


def kept_out(material: Material) -> Mapping[str, int]:
    """Return the features that the jobs of the plan do without, and how many jobs each concerns."""
    counts: dict[str, int] = {}
    for job in material.jobs:
        for feature in texts(job.record.get("blocked_features")):
            counts[str(feature)] = counts.get(str(feature), 0) + 1
    return counts


def leaks_section(material: Material, found: Sequence[Leak]) -> Section:
    """The section on leaks."""
    if material.planning is None:
        return Section(
            key="leaks", title="Leaks", blocks=_of_the_plan(material), source=_plan_source(material)
        )
    if not found:
        text = "No feature was found to know a target's future. All features of all targets were probed."
        return Section(key="leaks", title="Leaks", blocks=[Words(text=text)], source=_source(material, found))
    blocked = sum(leak.is_blocked for leak in found)
    suspect = sum(leak.is_suspect for leak in found)
    lead = (
        f"{counted(blocked, 'feature')} blocked, {suspect} suspect. A blocked feature knows what it could "
        "not have known at its bar; no model may use it, and it is kept out of the other targets too. A "
        "suspect one stays in, unless the settings say otherwise: look at it before you believe a model "
        "that leans on it."
    )
    table = Table(
        caption="Found by the probes",
        headers=(
            "feature",
            "verdict",
            "targets",
            "which",
            "how it was found",
            "evidence of the first",
            "event",
        ),
        right=("targets",),
        wide=("which", "evidence of the first"),
        rows=[_row(leak) for leak in found[:LEAKS_LISTED]],
        left_out=rest(len(found) - LEAKS_LISTED, "leaks", "METRICS/leakage.parquet, or trainwright events"),
    )
    return Section(
        key="leaks", title="Leaks", blocks=[Words(text=lead), table], source=_source(material, found)
    )


def _row(leak: Leak) -> tuple[int | str | Cell, ...]:
    first = leak.rows[0]
    return (
        Cell(text=leak.feature, kind="code"),
        Cell(text=leak.word, kind=BAD if leak.is_blocked else ""),
        len(leak.targets),
        listed(leak.targets, 4),
        _PROBES.get(first.data["probe"], first.data["probe"].replace("_", " ")),
        f"{first.target}: {first.data['evidence']}",
        event(first.seq),
    )


def _of_the_plan(material: Material) -> list[Block]:
    counts = kept_out(material)
    if not counts:
        text = (
            "The plan names no blocked feature, and no probe ran here: the plan was made elsewhere. Whether "
            "its features were probed for leaks is not known."
        )
        return [Words(text=text, kind="wary")]
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    table = Table(
        caption="Blocked by the plan",
        headers=("feature", "jobs without it"),
        right=("jobs without it",),
        rows=rows[:LEAKS_LISTED],
        left_out=rest(len(rows) - LEAKS_LISTED, "features", "trainwright plan show"),
    )
    return [
        Words(text="The probes did not run here; the plan names what it keeps out, not the evidence."),
        table,
    ]


def _plan_source(material: Material) -> str:
    return f"the plan as it was accepted, event #{material.accepted.seq}"


def _source(material: Material, found: Sequence[Leak]) -> str:
    seqs = [row.seq for leak in found for row in leak.rows]
    planning = f"planning {material.planning_words}"
    return ", ".join(filter(None, (planning, events(seqs, "LeakFound"))))
