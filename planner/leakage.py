"""The verdict on every (target, feature): SAFE, SUSPECT or BLOCKED, with the number that decided."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from planner.config import LeakageConfig
from planner.probes import Probed, Probes
from planner.tables import BLOCKED, SAFE, SUSPECT, LeakRow

ELSEWHERE = "elsewhere"

_ORDER = {BLOCKED: 0, SUSPECT: 1, SAFE: 2}


def judge_leaks(probes: Probes, features: Sequence[str], config: LeakageConfig) -> list[LeakRow]:
    """Return one row per feature of a target; the worst verdict over all symbols together and each alone.

    Every line is at least `noise_floor` / sqrt(timestamps), so that few rows do not accuse anybody; a single
    symbol must in addition exceed the line by half.
    """
    return [_judge(probes, feature, config) for feature in features]


def spread_blame(rows: Iterable[LeakRow]) -> list[LeakRow]:
    """Make a feature that is BLOCKED for one target SUSPECT for all others: it cannot be had in time.

    The probe of such a row is `elsewhere`; the feature is left out for that target too (unusable_features).
    """
    judged = list(rows)
    proof: dict[str, LeakRow] = {}
    for row in judged:
        if row.verdict == BLOCKED:
            proof.setdefault(row.feature, row)
    return [
        replace(
            row,
            verdict=SUSPECT,
            probe=ELSEWHERE,
            evidence=f"knows the future of {proof[row.feature].target} ({proof[row.feature].evidence})",
        )
        if row.feature in proof and row.verdict != BLOCKED
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


def _judge(probes: Probes, feature: str, config: LeakageConfig) -> LeakRow:
    judged = []
    if feature in probes.pooled:
        judged.append(_row(probes, feature, probes.pooled[feature], probes.timestamps, config, slack=1.0))
    for probed in probes.alone.get(feature, ()):
        timestamps = probes.timestamps_alone[probed.symbol or ""]
        if len(probes.timestamps_alone) > 1 and timestamps >= config.min_rows:
            judged.append(_row(probes, feature, probed, timestamps, config, slack=1.5))
    if not judged:
        return _unmeasured(probes.target, feature)
    worst = min(judged, key=lambda row: _ORDER[row.verdict])
    if feature in config.trusted and worst.verdict != SAFE:
        return replace(worst, verdict=SAFE, evidence=f"trusted by the configuration; {worst.evidence}")
    return worst


def _row(
    probes: Probes, feature: str, probed: Probed, timestamps: int, config: LeakageConfig, *, slack: float
) -> LeakRow:
    floor = config.noise_floor / max(1, timestamps) ** 0.5
    verdict, probe, evidence = _verdict(probed, config, floor=floor, slack=slack)
    place = "" if probed.symbol is None else f"{probed.symbol} alone: "
    return LeakRow(
        target=probes.target,
        feature=feature,
        verdict=verdict,
        probe=probe,
        evidence=f"{place}{evidence}",
        copy_correlation=probed.copy_correlation,
        increment=probed.increment,
        increment_bars=probed.increment_bars,
        correlation=probed.correlation,
        past_correlation=probed.past_correlation,
        ratio_spike=probed.ratio_spike,
        noise_line=round(floor, 4),
        symbol=probed.symbol,
    )


def _verdict(
    probed: Probed, config: LeakageConfig, *, floor: float, slack: float
) -> tuple[str, str | None, str]:
    excess = probed.correlation - probed.past_correlation
    ahead = (
        f"rank correlation {probed.correlation:.3f} with the coming window, "
        f"at most {probed.past_correlation:.3f} with windows already over"
    )
    step = (
        f"rank correlation {probed.increment:.3f} with the change of the target "
        f"{probed.increment_bars} bars ahead, which nobody can know yet"
    )
    if probed.copy_correlation >= config.copy_correlation:
        return BLOCKED, "copy", f"a copy of the target: rank correlation {probed.copy_correlation:.4f}"
    if probed.increment > max(config.blocked_increment * slack, floor):
        return BLOCKED, "future_increment", step
    if probed.correlation > max(config.blocked_correlation * slack, floor) and excess > max(
        config.blocked_excess * slack, floor
    ):
        return BLOCKED, "correlation", ahead
    if probed.ratio_spike > config.blocked_ratio_spike:
        share = f"{100 * probed.ratio_spike:.1f} %"
        return BLOCKED, "ratio_spike", f"feature / target is one and the same number in {share} of the rows"
    if probed.increment > max(config.suspect_increment * slack, floor):
        return SUSPECT, "future_increment", step
    if probed.correlation > max(config.suspect_correlation * slack, floor) and excess > max(
        config.suspect_excess * slack, floor
    ):
        return SUSPECT, "correlation", ahead
    return SAFE, None, f"{ahead}; at most {probed.increment:.3f} with future changes"


def _unmeasured(target: str, feature: str) -> LeakRow:
    return LeakRow(
        target=target,
        feature=feature,
        verdict=SUSPECT,
        probe="unmeasured",
        evidence="too few common rows before the final segment to probe it",
        copy_correlation=None,
        increment=None,
        increment_bars=None,
        correlation=None,
        past_correlation=None,
        ratio_spike=None,
        noise_line=None,
        symbol=None,
    )
