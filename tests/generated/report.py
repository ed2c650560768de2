"""The tables of the study in Markdown, and the page that holds them between two marks."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

from generated.figures import figures
from generated.judge import JudgedTarget, Judgement
from generated.targets import KINDS

STUDY, UNSEEN = "study, made by make study WRITE=1", "unseen, made by planner_study.py --first 201"
CALIBRATION = "calibration, made by planner_study.py --calibrate"


def report(judged: Sequence[Judgement]) -> str:
    """Every figure beside its bar."""
    lines = [f"| {len(judged)} panels | measured | bar | |", "|---|---|---|---|"]
    lines += [
        f"| {figure.name} | {figure.shown} | {figure.wanted} | "
        f"{'' if figure.bar is None else 'met' if figure.met else '**missed**'} |"
        for figure in figures(judged)
    ]
    return "\n".join(lines)


def kinds_table(judged: Sequence[Judgement]) -> str:
    """One line for each kind of target: how many, how strong, kept, routed right."""
    by_kind: dict[str, list[JudgedTarget]] = {}
    for one in judged:
        for target in one.targets:
            by_kind.setdefault(target.truth.kind, []).append(target)
    columns = (
        "kind of target",
        "panels",
        "oracle IC",
        "kept",
        "right route",
        "symbol models right / false / missed",
        "features chosen",
        "of them true",
    )
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    lines += [_kind_line(kind, by_kind[kind]) for kind in KINDS if kind in by_kind]
    return "\n".join(lines)


def _kind_line(kind: str, targets: Sequence[JudgedTarget]) -> str:
    known = [target.truth.oracle_ic for target in targets if target.truth.oracle_ic is not None]
    oracle = f"{min(known):.3f} to {max(known):.3f}" if known else "none"
    own = [
        sum(len(getattr(target, name)) for target in targets)
        for name in ("own_right", "own_false", "own_missed")
    ]
    chosen = [target for target in targets if target.selected]
    features = f"{mean(target.selected for target in chosen):.1f}" if chosen else ""
    true = f"{mean(target.true_selected for target in chosen):.1f}" if chosen else ""
    kept, right = sum(target.kept for target in targets), sum(target.right_route for target in targets)
    return (
        f"| {kind.replace('_', ' ')} | {len(targets)} | {oracle} | {kept} | {right} | "
        f"{' / '.join(map(str, own)) if any(own) else ''} | {features} | {true} |"
    )


def with_report(page: str, judged: Sequence[Judgement]) -> str:
    """The page with the tables of these panels between the marks of the study.

    Raises:
        ValueError: the marks are not there, in this order.
    """
    return with_block(page, STUDY, f"{report(judged)}\n\n{kinds_table(judged)}")


def with_block(page: str, name: str, text: str) -> str:
    """The page with what stands between the two marks of that name replaced.

    Raises:
        ValueError: the marks are not there, in this order.
    """
    first, last = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, begin, rest = page.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"the page must hold {first!r} and then {last!r}")
    return f"{before}{first}\n\n{text}\n\n{last}{after}"
