"""The verdict on every (target, feature): SAFE, SUSPECT or BLOCKED, with the number that decided.

A line is crossed when a measure is above its setting and above what chance gives: the correlation that not
one of all comparisons of the panel would reach by luck but with probability `false_alarm` (Bonferroni;
Fisher's z), given the independent rows behind it. So few rows, long overlapping windows and slow features
accuse nobody. In a quarter of the time, or in a single symbol, settings count 1.6 times, and two standard
errors more: laws of one symbol and laws that died are stronger than the law of all, and of many such places
the most extreme is looked at.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from planner.config import LeakageConfig
from planner.probes import Place, Probes
from planner.rounding import rounded
from planner.tables import BLOCKED, SAFE, SUSPECT, LeakRow

ELSEWHERE = "elsewhere"
COPY, OVERLAP, NEXT_BAR, PART, CENTRED = "copy", "overlap", "next_bar", "part_window", "centred_window"
INCREMENT, CORRELATION, TOO_GOOD = "future_increment", "correlation", "too_good"
RATIO, SLOPE = "ratio_spike", "slope_spike"

_PLACE_SLACK = 1.6
_PLACE_ERRORS = 2.0
_ADDS_UP = 0.275  # of a line, times the root of the bars: what a feature that lasts may know of their sum
_CENTRED_SHARE = 0.5  # of the match with the coming part, that the part over has as well
_WEAK = (CORRELATION, TOO_GOOD)  # a strength that cannot be; the others are a proof

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def judge_leaks(probes: Probes, features: Sequence[str], config: LeakageConfig) -> list[LeakRow]:
    """Return one row per feature of a target, in the order of `features`: the worst verdict over all places.

    Raises:
        KeyError: a feature that was not probed.
    """
    judged = _Judged(probes, config)
    at = {name: place for place, name in enumerate(probes.features)}
    return [judged.row(at[feature]) for feature in features]


def spread_blame(rows: Iterable[LeakRow]) -> list[LeakRow]:
    """Make a feature that is proven to hold the future of one target SUSPECT for all others.

    What a bar will bring is no property of a target: a feature that knows it cannot be had in time, for no
    target. The probe of such a row is `elsewhere`; the feature is left out for that target too
    (unusable_features). A mere strength that cannot be (`correlation`) is no such proof: it spreads only to
    targets where the feature's own strength is half as improbable, or out of reach of chance.
    """
    judged = list(rows)
    proof: dict[str, LeakRow] = {}
    for row in sorted(judged, key=lambda row: row.probe in _WEAK):
        if row.verdict == BLOCKED:
            proof.setdefault(row.feature, row)
    return [
        replace(
            row,
            verdict=SUSPECT,
            probe=ELSEWHERE,
            evidence=f"knows the future of {proof[row.feature].target} ({proof[row.feature].evidence})",
        )
        if row.verdict != BLOCKED and row.feature in proof and _touches(proof[row.feature], row)
        else row
        for row in judged
    ]


def unusable_features(rows: Iterable[LeakRow]) -> dict[str, tuple[str, ...]]:
    """Return, for each target, the features that must not be used: BLOCKED here or for another target."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.verdict == BLOCKED or row.probe == ELSEWHERE:
            found.setdefault(row.target, []).append(row.feature)
    return {target: tuple(features) for target, features in found.items()}


def verdicts_of(rows: Iterable[LeakRow]) -> Mapping[str, Mapping[str, str]]:
    """Return {target: {feature: verdict}}."""
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        found.setdefault(row.target, {})[row.feature] = row.verdict
    return found


def noise_line(rows: Floats, comparisons: int, false_alarm: float) -> Floats:
    """Return the correlation that chance exceeds anywhere among `comparisons` with probability `false_alarm`.

    For `rows` independent rows, by Fisher's z-transformation (1921); 1 where there are too few to tell.
    """
    z = NormalDist().inv_cdf(1.0 - false_alarm / (2.0 * max(1, comparisons)))
    enough = rows > 4.0
    return np.where(enough, np.tanh(z / np.sqrt(np.where(enough, rows - 3.0, 1.0))), 1.0)


@dataclass(frozen=True, slots=True)
class _Charge:
    """A probe that may have found something: where (places, features), and how strongly it speaks."""

    probe: str
    verdict: str
    found: Bools


class _Judged:
    """One target's measures held against the lines."""

    def __init__(self, probes: Probes, config: LeakageConfig) -> None:
        self.probes = probes
        self.config = config
        self.stamps = stamps = np.array([[float(place.timestamps)] for place in probes.places])
        comparisons = probes.columns * len(probes.features) * len(probes.places)
        self.measured = (stamps >= config.min_rows) & (probes.measures["rows"] >= config.min_rows)
        measures = probes.measures
        self.step_line = noise_line(stamps, comparisons, config.false_alarm)
        self.part_line = noise_line(measures["part_rows"], comparisons, config.false_alarm)
        self.window_line = noise_line(measures["window_rows"], comparisons, config.false_alarm)
        self.slack = np.array([[1.0 if place.whole else _PLACE_SLACK] for place in probes.places])
        self.errors = np.array([[0.0 if place.whole else _PLACE_ERRORS] for place in probes.places])
        self.charges = [*self._blocking(), *self._suspicious()]

    def row(self, feature: int) -> LeakRow:
        """Return the row of one feature: its gravest charge, and of those the widest place."""
        for charge in self.charges:
            places = np.flatnonzero(charge.found[:, feature])
            if len(places):
                return self._row(feature, int(places[0]), charge)
        if not self.measured[:, feature].any():
            return self._made(feature, 0, SUSPECT, "unmeasured", _UNMEASURED, measured=False)
        return self._made(feature, 0, SAFE, None, self._safe_words(feature))

    def _blocking(self) -> list[_Charge]:
        config, measures = self.config, self.probes.measures
        window = measures["window_rows"]
        excess = measures["correlation"] - measures["past_correlation"]
        found = [
            (COPY, measures["copy"] >= config.copy_correlation),
            (OVERLAP, measures["overlap"] >= config.overlap_correlation),
            (PART, self._parts(config.blocked_part)),
            (INCREMENT, self._steps(config.blocked_part, config.blocked_increment)),
            (RATIO, measures["ratio_spike"] > config.blocked_ratio_spike),
            (SLOPE, measures["slope_spike"] > config.blocked_slope_spike),
            (
                CORRELATION,
                (measures["correlation"] > self._above(config.blocked_correlation, self.window_line, window))
                & (excess > self._above(config.blocked_excess, self.window_line, window)),
            ),
        ]
        return [_Charge(probe, BLOCKED, self.measured & hits) for probe, hits in found]

    def _suspicious(self) -> list[_Charge]:
        config, measures = self.config, self.probes.measures
        window = measures["window_rows"]
        excess = measures["out_of_sample"] - measures["past_correlation"]
        found = [
            (PART, self._parts(config.suspect_part)),
            (INCREMENT, self._steps(config.suspect_part, config.suspect_increment)),
            (
                TOO_GOOD,
                (measures["out_of_sample"] > self._above(config.suspect_score, self.window_line, window))
                & (excess > self._above(config.suspect_excess, self.window_line, window)),
            ),
        ]
        return [_Charge(probe, SUSPECT, self.measured & hits) for probe, hits in found]

    def _parts(self, line: float) -> Bools:
        """Where a sum of first bars is known too well, beyond the sum that follows it.

        What an honest, lasting feature knows of each bar adds up with the root of their number.
        """
        measures = self.probes.measures
        setting = np.maximum(line, line * _ADDS_UP * np.sqrt(measures["part_bars"]))
        return measures["part"] - measures["part_beyond"] > self._above(
            setting, self.part_line, measures["part_rows"]
        )

    def _steps(self, single_bar: float, increment: float) -> Bools:
        """Where one coming bar is known too well, beyond the others, or an increment."""
        setting = single_bar if self.probes.additive else increment
        excess = self.probes.measures["step"] - self.probes.measures["step_rest"]
        return excess > self._above(setting, self.step_line, self.stamps)

    def _above(self, setting: Floats | float, line: Floats, rows: Floats) -> Floats:
        """The higher of what is set for a place and what chance gives there."""
        return np.asarray(
            np.maximum(setting * self.slack + self.errors / np.sqrt(np.maximum(rows, 1.0)), line)
        )

    def _row(self, feature: int, place: int, charge: _Charge) -> LeakRow:
        words, probe = self._words(feature, place, charge.probe)
        verdict = charge.verdict
        words = f"{_where(self.probes.places[place])}{words}"
        if self.probes.features[feature] in self.config.trusted:
            verdict, words = SAFE, f"trusted by the configuration; {words}"
        return self._made(feature, place, verdict, probe, words)

    def _words(self, feature: int, place: int, probe: str) -> tuple[str, str]:
        """The evidence in words, and the probe by its closer name."""
        value = {name: float(measure[place, feature]) for name, measure in self.probes.measures.items()}
        if probe == PART:
            return _part_words(value, "" if self.probes.additive else " to the price")
        if probe == INCREMENT and self.probes.additive:
            bars = int(value["step_bars"])
            words = (
                f"rank correlation {value['step']:.3f} with what the bar {bars} ahead alone will bring, "
                f"{value['step_rest']:.3f} with most others"
            )
            return words, NEXT_BAR if bars == 1 else INCREMENT
        percents = {f"{name}_percent": 100 * value[f"{name}_spike"] for name in ("ratio", "slope")}
        return _WORDS[probe].format(**value, **percents, horizon=self.probes.horizon_bars), probe

    def _safe_words(self, feature: int) -> str:
        value = {name: float(measure[0, feature]) for name, measure in self.probes.measures.items()}
        ahead = "single bars ahead" if self.probes.additive else "future changes"
        return f"{_CORRELATION_WORDS.format(**value)}; at most {value['step']:.3f} with {ahead}"

    def _made(
        self, feature: int, place: int, verdict: str, probe: str | None, words: str, *, measured: bool = True
    ) -> LeakRow:
        measures = self.probes.measures
        value = {name: rounded(float(measures[name][place, feature])) if measured else None for name in _TOLD}
        bars = {
            name: int(measures[name][place, feature]) if measured and measures[name][place, feature] else None
            for name in ("step_bars", "part_bars", "overlap_bars")
        }
        line = float(self.window_line[place, feature])
        return LeakRow(
            target=self.probes.target,
            feature=self.probes.features[feature],
            verdict=verdict,
            probe=probe if verdict != SAFE else None,
            evidence=words,
            copy_correlation=value["copy"],
            increment=value["step"],
            increment_bars=bars["step_bars"],
            part=value["part"],
            part_bars=bars["part_bars"],
            overlap=value["overlap"],
            overlap_bars=bars["overlap_bars"],
            correlation=value["correlation"],
            past_correlation=value["past_correlation"],
            out_of_sample=value["out_of_sample"],
            ratio_spike=value["ratio_spike"],
            slope_spike=value["slope_spike"],
            noise_line=round(line, 4) if measured else None,
            effective_rows=round(float(measures["window_rows"][place, feature]), 1) if measured else None,
            symbol=self.probes.places[place].symbol,
        )


_UNMEASURED = "too few common rows before the final segment to probe it"
_TOLD = (
    "copy",
    "step",
    "part",
    "overlap",
    "correlation",
    "past_correlation",
    "out_of_sample",
    "ratio_spike",
    "slope_spike",
)
_CORRELATION_WORDS = (
    "rank correlation {correlation:.3f} with the coming window, "
    "at most {past_correlation:.3f} with windows already over"
)
_WORDS = {
    COPY: "a copy of the target: rank correlation {copy:.4f}",
    OVERLAP: "the target itself moved by {overlap_bars:.0f} of its {horizon} bars: "
    "rank correlation {overlap:.4f}; a lag is legal from {horizon} bars on",
    INCREMENT: "rank correlation {step:.3f} with the change of the target {step_bars:.0f} bars ahead, "
    "which nobody can know yet",
    CORRELATION: _CORRELATION_WORDS,
    RATIO: "feature / target is one and the same number in {ratio_percent:.1f} % of the rows",
    SLOPE: "change of feature / change of target is one and the same number in {slope_percent:.1f} % "
    "of the pairs of neighbouring rows: a shifted or scaled copy in some of the rows",
    TOO_GOOD: "rank correlation {out_of_sample:.3f} with the coming window out of sample, "
    "at most {past_correlation:.3f} with windows already over",
}


def _part_words(value: Mapping[str, float], what: str) -> tuple[str, str]:
    bars = int(value["part_bars"])
    words = (
        f"rank correlation {value['part']:.3f} with what the next {_bars(bars)} alone will bring{what}, "
        f"{value['part_beyond']:.3f} with as many after, {value['part_past']:.3f} with as many before"
    )
    if value["part_past"] >= _CENTRED_SHARE * value["part"]:
        return f"{words}: a centred window", CENTRED
    return words, NEXT_BAR if bars == 1 else PART


def _bars(count: int) -> str:
    return "bar" if count == 1 else f"{count} bars"


def _where(place: Place) -> str:
    if place.symbol is not None:
        return f"{place.symbol} alone: "
    return "" if place.since is None else f"from {place.since} to {place.until}: "


def _touches(proof: LeakRow, row: LeakRow) -> bool:
    """Whether what was found for one target speaks against the feature for the target of `row`."""
    if proof.probe not in _WEAK:
        return True
    mine, theirs = ((one.correlation or 0.0) - (one.past_correlation or 0.0) for one in (row, proof))
    return mine > 0.5 * theirs or mine > (row.noise_line or 1.0)
