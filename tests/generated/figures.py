"""The figures over many judged panels, each beside its bar, and the list of what went wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, median

from generated.judge import JudgedTarget, Judgement
from generated.truth import BLOCKED

PLAIN_LEAKS = (
    "copy",
    "scaled_copy",
    "near_copy",
    "monotone",
    "next_bar",
    "half_window",
    "overlap",
    "centred",
)
HARD_LEAKS = ("partial", "stealth")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure: `value` from `hits` of `cases` (a mean has no hits), and the bar it must reach."""

    name: str
    value: float | None
    bar: float | None
    at_least: bool
    hits: int | None
    cases: int
    share: bool = True
    extra: str = ""

    @property
    def met(self) -> bool:
        """Whether the bar is reached; a figure without a bar or without cases always is."""
        if self.bar is None or self.value is None:
            return True
        return self.value >= self.bar if self.at_least else self.value <= self.bar

    @property
    def shown(self) -> str:
        """The value as a person reads it."""
        if self.value is None:
            return "–"
        number = f"{100 * self.value:.1f} %" if self.share else f"{self.value:.2f}"
        counted = "" if self.hits is None else f" ({self.hits} of {self.cases})"
        return f"{number}{counted}{self.extra}"

    @property
    def wanted(self) -> str:
        """The bar as a person reads it."""
        if self.bar is None:
            return ""
        number = f"{100 * self.bar:g} %" if self.share else f"{self.bar:g}"
        return f"{'≥' if self.at_least else '≤'} {number}"


def figures(judged: Sequence[Judgement]) -> list[Figure]:
    """Every figure of the bar over all the panels."""
    targets = [target for one in judged for target in one.targets]
    own_right = sum(len(target.own_right) for target in targets)
    own_false = sum(len(target.own_false) for target in targets)
    own_missed = sum(len(target.own_missed) for target in targets)
    return [
        _share("unpredictable targets kept", _unpredictable_kept(targets), 0.05, at_least=False),
        _share(
            "targets with oracle IC ≥ 0.05 kept",
            [target.kept for target in targets if target.worthwhile],
            0.95,
        ),
        _share("right route", [target.right_route for target in targets], 0.90),
        _share(
            "symbol routes given that are false",
            [False] * own_right + [True] * own_false,
            0.05,
            at_least=False,
        ),
        _share("symbols with a law of their own that got a model", [True] * own_right + [False] * own_missed),
        *(_leak_figure(judged, kind, 0.95) for kind in PLAIN_LEAKS),
        *(_leak_figure(judged, kind, 0.70) for kind in HARD_LEAKS),
        _count(
            "safe features blocked",
            sum(len(one.safe_features_blocked) for one in judged),
            sum(one.safe_features for one in judged),
        ),
        _count(
            "safe (feature, target) pairs blocked",
            sum(len(one.false_alarms) for one in judged),
            sum(one.safe_pairs for one in judged),
        ),
        _share(
            "panels with a leak among the selected",
            [bool(one.selected_leaks) for one in judged],
            0.0,
            at_least=False,
        ),
        _share(
            "panels that an unpredictable target leads",
            [_led_astray(one) for one in judged],
            0.0,
            at_least=False,
        ),
        _oracle_share(targets),
        _seconds(judged),
    ]


def _share(name: str, cases: Iterable[bool], bar: float | None = None, *, at_least: bool = True) -> Figure:
    counted = list(cases)
    value = sum(counted) / len(counted) if counted else None
    return Figure(name=name, value=value, bar=bar, at_least=at_least, hits=sum(counted), cases=len(counted))


def _count(name: str, hits: int, cases: int) -> Figure:
    value = hits / cases if cases else None
    return Figure(name=name, value=value, bar=0.01, at_least=False, hits=hits, cases=cases)


def _unpredictable_kept(targets: Sequence[JudgedTarget]) -> list[bool]:
    """Kept by the ranking or trained other than as an experiment: either counts."""
    return [
        target.kept or target.route not in {BLOCKED, "EXPERIMENTAL"}
        for target in targets
        if not target.truth.predictable
    ]


def _leak_figure(judged: Sequence[Judgement], kind: str, bar: float) -> Figure:
    found = [leak.verdict == BLOCKED for one in judged for leak in one.leaks if leak.kind == kind]
    return _share(f"leaks blocked: {kind.replace('_', ' ')}", found, bar)


def _led_astray(judged: Judgement) -> bool:
    return judged.first is not None and not judged.first.truth.predictable


def _oracle_share(targets: Sequence[JudgedTarget]) -> Figure:
    shares = [share for target in targets if (share := target.share_of_oracle) is not None]
    return Figure(
        name="rank score over oracle IC, linear targets of all symbols",
        value=mean(shares) if shares else None,
        bar=0.8,
        at_least=True,
        hits=None,
        cases=len(shares),
        share=False,
        extra=f" (median {median(shares):.2f}, lowest {min(shares):.2f})" if shares else "",
    )


def _seconds(judged: Sequence[Judgement]) -> Figure:
    seconds = [one.cpu_seconds for one in judged if one.cpu_seconds is not None]
    return Figure(
        name="CPU seconds of a whole planning",
        value=mean(seconds) if seconds else None,
        bar=40.0,
        at_least=False,
        hits=None,
        cases=len(seconds),
        share=False,
        extra=f" (longest {max(seconds):.1f})" if seconds else "",
    )


def failures(judged: Judgement) -> list[str]:
    """One line for each thing that is wrong in a panel, with the planner's own sentence."""
    seed = f"seed {judged.seed}"
    lines = []
    for target in judged.targets:
        truth = target.truth
        known = f"{truth.kind} {truth.name} (h {truth.horizon_bars}, oracle {_number(truth.oracle_ic)})"
        kept_wrongly = target.kept and not truth.predictable
        missed = target.worthwhile and not target.kept
        if kept_wrongly or missed or not target.right_route:
            lines.append(
                f"{seed}: {known}: {'kept' if target.kept else 'dropped'}, route {target.route}, right is "
                f"{truth.route}: {target.reason}"
            )
        if target.own_false or target.own_missed:
            lines.append(
                f"{seed}: {known}: symbol models right {list(target.own_right)}, "
                f"false {list(target.own_false)}, missed {list(target.own_missed)}"
            )
        share = target.share_of_oracle
        if share is not None and share < 0.8:
            lines.append(f"{seed}: {known}: score {_number(target.score)} is {share:.2f} of the oracle")
    lines += [
        f"{seed}: leak {leak.kind} {leak.feature} of {leak.target_kind} {leak.target}: {leak.verdict}: "
        f"{leak.evidence}"
        for leak in judged.leaks
        if leak.verdict != BLOCKED
    ]
    lines += [
        f"{seed}: safe {alarm.feature} blocked for {alarm.target_kind} {alarm.target} by {alarm.probe}: "
        f"{alarm.evidence}"
        for alarm in judged.false_alarms
    ]
    lines += [f"{seed}: leak {feature} selected for {target}" for feature, target in judged.selected_leaks]
    return lines


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
