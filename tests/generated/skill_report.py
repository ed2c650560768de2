"""The table of the skill study, and what in it misses a bar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import mean

from generated.signals import TARGET
from generated.skill import MADE_FOR, RIVALS, Found, known_families

SKILL = "skill study, made by make study-executors WRITE=1"

#: The bars: how far quantiles may be off; how much error fits of nothing may seem to take away, on average
#: over panels, for on one panel of a hundred days with heavy tails luck alone is worth about 0.02; and the
#: share of fits of nothing that may seem to have skill (by a 95 % interval one in forty do).
OFF_MAX = 0.02
NOTHING_MAX = 0.01
FALSE_SHARE_MAX = 0.06

COLUMNS = (
    *("family", "signal", "score (95 % from)", "of a perfect forecast", "rival's score", "error taken away"),
    *("AUC of 2 classes", "of 3 classes", "quantiles off (in a third)"),
    *("skill in noise", "error taken away there (most)", "CPU s a fit", "bars"),
)


def of_family(results: Sequence[Found], family: str) -> tuple[list[Found], list[Found]]:
    """Return the family's fits on its signal, and those on noise."""
    own = [one for one in results if one.task.family == family]
    of_signal = [one for one in own if one.task.kind == MADE_FOR[family]]
    return of_signal, [one for one in own if one.task.kind == "noise"]


def of_rival(results: Sequence[Found], kind: str) -> list[Found]:
    """Return the fits on a kind of signal of the family that is not made for it."""
    return [one for one in results if one.task.kind == kind and one.task.family == RIVALS[kind]]


def missed(signal: Sequence[Found], noise: Sequence[Found]) -> list[str]:
    """Return a line for each bar that a family's fits miss."""
    wrong = []
    for one in signal:
        where = f"{one.task.kind}, seed {one.task.seed}, {one.task.target}"
        if not one.has_skill:
            wrong.append(f"{where}: score {one.score:.3f} from {one.low:.3f}, no skill is {one.none:.1f}")
        if one.error_reduction <= 0:
            wrong.append(f"{where}: takes away {one.error_reduction:.3f} of the error")
        if one.off is not None and one.off > OFF_MAX:
            wrong.append(f"{where}: quantiles are off by {one.off:.3f}")
    if noise and mean(one.error_reduction for one in noise) > NOTHING_MAX:
        wrong.append(f"noise: takes away {mean(one.error_reduction for one in noise):.3f} of the error")
    return wrong


def false_share(results: Sequence[Found]) -> float:
    """Return the share of the fits on noise that seem to have skill."""
    noise = [one for one in results if one.task.kind == "noise"]
    return mean(one.has_skill for one in noise) if noise else 0.0


def failures(results: Sequence[Found]) -> list[str]:
    """Return a line for each bar missed, by family."""
    wrong = [
        f"{family}: {line}" for family in known_families() for line in missed(*of_family(results, family))
    ]
    if false_share(results) > FALSE_SHARE_MAX:
        wrong.append(f"all: skill is seen in {false_share(results):.1%} of the fits on noise")
    return wrong


def report(results: Sequence[Found]) -> str:
    """Return the table, a line a family, and what it adds up to."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    for family in known_families():
        signal, noise = of_family(results, family)
        if signal or noise:
            rival = of_rival(results, MADE_FOR[family])
            lines.append("| " + " | ".join(_cells(family, signal, noise, rival)) + " |")
    noise = [one for one in results if one.task.kind == "noise"]
    seen = sum(one.has_skill for one in noise)
    spent = sum(one.cpu_seconds for one in results)
    expected = f"{false_share(results):.1%}; 2.5 % are expected of a 95 % interval"
    lines += ["", f"Skill is seen in {seen} of {len(noise)} fits on pure noise ({expected})."]
    lines += [f"CPU seconds of all {len(results)} fits: {spent:.0f}."]
    wrong = failures(results)
    return "\n".join([*lines, "", "Bars missed:" if wrong else "No bar is missed.", *_listed(wrong)])


def _listed(wrong: Sequence[str]) -> list[str]:
    return ["", *(f"- {line}" for line in wrong)] if wrong else []


def _cells(family: str, signal: Sequence[Found], noise: Sequence[Found], rival: Sequence[Found]) -> list[str]:
    numbers = [one for one in signal if one.task.target == TARGET]
    off = [one for one in numbers if one.off is not None and one.off_in_part is not None]
    seen = sum(one.has_skill for one in noise)
    return [
        family,
        ", ".join(sorted({one.task.kind.replace("_", " ") for one in signal})),
        _each(f"{one.score:.3f} ({one.low:.3f})" for one in numbers),
        _each(f"{one.score / one.ceiling:.0%}" for one in numbers),
        _each(f"{one.score:.3f}" for one in rival) + (f" {rival[0].task.family}" if rival else ""),
        _each(f"{one.error_reduction:.3f}" for one in numbers),
        _each(f"{one.score:.3f} ({one.low:.3f})" for one in signal if "up" in one.task.target),
        _each(f"{one.score:.3f} ({one.low:.3f})" for one in signal if "class" in one.task.target),
        _each(f"{one.off:.3f} ({one.off_in_part:.3f})" for one in off),
        f"{seen} of {len(noise)}" if noise else "",
        _mean_and_most([one.error_reduction for one in noise]),
        f"{mean(one.cpu_seconds for one in (*signal, *noise)):.1f}",
        "missed" if missed(signal, noise) else "met",
    ]


def _mean_and_most(values: Sequence[float]) -> str:
    return f"{mean(values):.3f} ({max(values):.3f})" if values else ""


def _each(values: Iterable[str]) -> str:
    return ", ".join(values)
