"""Which numbers of a (target, view, symbol) moved across their lines between two plannings."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from planner.config import RoutingConfig
from planner.signals import lines_of
from planner.tables import CROSS_SECTIONAL, candidate_from

Row = Mapping[str, Any]
# The columns that any line is held against, and those that say which lines are.
COMPARED = (
    "target", "view", "symbol", "metric_name", "task_type", "rank", "q_value", "kept", "sample_size", "rows",
    "effective_sample_size", "effective_rows", "leakage_status", "score_ci_low", "stability", "score",
    "rest_p", "deviation_q", "deviates", "p_value", "reason",
)  # fmt: skip
_KIND = ("target", "view", "symbol", "metric_name", "task_type")
_VERDICTS = frozenset({"kept", "deviates"})

AT_LEAST, AT_MOST, ONE_OF, IS = "at least", "at most", "one of", "is"
MAIN, EXPERIMENTAL = "main", "experimental"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What one number of a row is held against; `bound` None means that nobody knows the line.

    `lane` is "main", or "experimental" for the lines that make an experiment of a row that fails a main one.
    """

    metric: str
    rule: str
    bound: Any
    lane: str = MAIN

    def passed(self, value: object) -> bool | None:
        """Return whether a value passes; None when the value or the line is not known."""
        if value is None or self.bound is None:
            return None
        if self.rule in (AT_LEAST, AT_MOST):
            if not isinstance(value, (int, float)):
                return None
            return bool(value >= self.bound if self.rule == AT_LEAST else value <= self.bound)
        return value in self.bound if self.rule == ONE_OF else value == self.bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One number before and after, with its lines; `words` names it: ``q_value 0.03 -> 0.21 (line 0.05)``.

    Without any number `metric` is a sentence.
    """

    metric: str
    before: object
    after: object
    line_before: object = None
    line_after: object = None

    @property
    def words(self) -> str:
        """The move in words."""
        if self.before is None and self.after is None:
            return self.metric
        value = f"{self.metric} {_short(self.after)}"
        if self.before != self.after:
            value = f"{self.metric} {_short(self.before)} -> {_short(self.after)}"
        if self.line_after is None and self.line_before is None:
            return value
        line = _short(self.line_after)
        if self.line_before != self.line_after:
            line = f"{_short(self.line_before)} -> {line}"
        return f"{value} (line {line})"


@dataclass(frozen=True, slots=True)
class Rules:
    """The lines that the settings of one planning draw.

    `settings` are all settings by section, as plans carry them in `metadata.settings`, and what was asked for
    under `request`. Without those of routing only the lines of the ranking are known, and that features are
    best STABLE.
    """

    settings: Row
    _known: dict[tuple[object, ...], tuple[Line, ...]] = field(default_factory=dict, init=False, repr=False)

    def lines_for(self, row: Row) -> tuple[Line, ...]:
        """Return the lines that a row is held against, in the order of the rules."""
        kind = tuple(row.get(name) for name in ("view", "metric_name", "task_type"))
        if kind not in self._known:
            self._known[kind] = (*self._of_ranking(), *self._of_routing(row))
        return self._known[kind]

    def _of_ranking(self) -> Iterator[Line]:
        ranking, request = self.settings.get("ranking") or {}, self.settings.get("request") or {}
        yield Line(metric="rank", rule=AT_MOST, bound=request.get("top_n_targets"))
        yield Line(metric="q_value", rule=AT_MOST, bound=ranking.get("false_discovery_rate"))
        yield Line(metric="kept", rule=IS, bound=True)

    def _of_routing(self, row: Row) -> Iterator[Line]:
        if not self.settings.get("routing"):
            yield Line(metric="stability", rule=IS, bound="STABLE")
            return
        config = _routing(self.settings["routing"])
        lines = lines_of(candidate_from({name: row.get(name) for name in _KIND}), config)
        yield Line(metric="sample_size", rule=AT_LEAST, bound=lines.rows)
        yield Line(metric="effective_sample_size", rule=AT_LEAST, bound=config.min_effective_rows)
        yield Line(metric="leakage_status", rule=ONE_OF, bound=_allowed(config))
        yield Line(metric="score_ci_low", rule=AT_LEAST, bound=lines.minimum)
        yield Line(metric="stability", rule=ONE_OF, bound=lines.stabilities)
        yield Line(metric="score", rule=AT_LEAST, bound=lines.strong)
        if row.get("view") == CROSS_SECTIONAL:
            yield Line(metric="rest_p", rule=AT_MOST, bound=config.max_rest_p_value)
        else:
            line = (self.settings.get("ranking") or {}).get("false_discovery_rate")
            yield Line(metric="deviation_q", rule=AT_MOST, bound=line)
            yield Line(metric="deviates", rule=IS, bound=True)
        yield Line(metric="score", rule=AT_LEAST, bound=lines.experimental, lane=EXPERIMENTAL)
        yield Line(metric="p_value", rule=AT_MOST, bound=config.experimental_max_p_value, lane=EXPERIMENTAL)
        yield Line(metric="stability", rule=ONE_OF, bound=config.experimental_stabilities, lane=EXPERIMENTAL)


def moved_lines(before: Row, after: Row, rules_before: Rules, rules_after: Rules) -> tuple[Moved, ...]:
    """Return the numbers of a row that pass their line on one side only, in the order of the rules.

    What one side does not know has not moved; a line that one side does not know is taken from the other.
    A verdict that follows from numbers (`kept`, `deviates`) is told only where no number explains it, and the
    experimental lane only where no main line was crossed.
    """
    old = {(line.lane, line.metric): line for line in rules_before.lines_for(before)}
    new = {(line.lane, line.metric): line for line in rules_after.lines_for(after)}
    found: dict[str, list[Moved]] = {"number": [], "verdict": [], EXPERIMENTAL: []}
    for lane, metric in dict.fromkeys([*old, *new]):
        one, two = old.get((lane, metric)), new.get((lane, metric))
        one, two = _known(one, two), _known(two, one)
        passed = one.passed(before.get(metric)), two.passed(after.get(metric))
        if None in passed or passed[0] == passed[1]:
            continue
        kind = lane if lane == EXPERIMENTAL else "verdict" if metric in _VERDICTS else "number"
        found[kind].append(
            Moved(
                metric=metric,
                before=before[metric],
                after=after[metric],
                line_before=_bound(one),
                line_after=_bound(two),
            )
        )
    numbers = found["number"]
    if not numbers and found["verdict"] and after.get("kept") is False and after.get("reason"):
        return (*found["verdict"], Moved(metric=gist(after["reason"]), before=None, after=None))
    if any(move.metric == "score_ci_low" for move in numbers):  # then strong or not no longer matters
        numbers = [move for move in numbers if move.metric != "score"]
    return tuple(numbers or found["verdict"] or found[EXPERIMENTAL])


def _known(line: Line | None, other: Line | None) -> Line:
    """A line, or that of the other side where an older plan does not say it."""
    known = other if line is None or line.bound is None else line
    return known or line or Line(metric="", rule=IS, bound=None)


def gist(reason: str) -> str:
    """Return what a reason of the ranking says last, beside its verdict and its numbers.

    ``dropped: rank_ic 0.1 (…); f1: z 4.0, q 0.02, but the skill is gone`` gives ``the skill is gone``.
    """
    _, but, rest = reason.rpartition(", but ")
    return rest if but else reason.rpartition(": ")[2]


def moved_values(before: Row, after: Row, metrics: Sequence[str]) -> tuple[Moved, ...]:
    """Return those of `metrics` that both rows have and that differ, lines aside."""
    return tuple(
        Moved(metric=metric, before=before[metric], after=after[metric])
        for metric in metrics
        if before.get(metric) is not None
        and after.get(metric) is not None
        and before[metric] != after[metric]
    )


def _bound(line: Line) -> object:
    """A line as it is told; of a verdict there is none."""
    return None if line.rule == IS else line.bound


def _routing(values: Row) -> RoutingConfig:
    """The routing settings of a plan, of this version or another; keys nobody knows are passed over."""
    known = {item.name for item in dataclasses.fields(RoutingConfig)}
    plain: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values.items()
        if name in known
    }
    return RoutingConfig(**plain)


def _allowed(config: RoutingConfig) -> tuple[str, ...]:
    """The leakage verdicts on a row's features that routing lets pass."""
    if config.require_safe_features_only:
        return tuple(config.allowed_feature_leakage_status)
    return (
        ("SAFE", "SUSPECT", "UNKNOWN")
        if config.block_on_leakage
        else ("SAFE", "SUSPECT", "UNKNOWN", "BLOCKED")
    )


def _short(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, (tuple, list)):
        return "|".join(str(item) for item in value) or "none"
    return "unknown" if value is None else str(value)
