"""Copies in some of the rows, functions of the calendar, and one feature that carries a model alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from planner_samples import cell, fold_view, panel_of

from panel.aligned import Panel
from planner.config import LeakageConfig
from planner.dominance import DOMINANCE, Standing, calendar_features, standings_of, suspect_dominance
from planner.probes import probe_targets
from planner.skill import Measured
from planner.spikes import logs_of, sample_of, spikes_of
from planner.tables import BLOCKED, SAFE, SUSPECT, LeakRow

ROWS = 6_000


def _shares(feature: np.ndarray, label: np.ndarray, over: np.ndarray | None = None) -> tuple[float, float]:
    sample = sample_of([np.arange(ROWS)])
    one, other = logs_of(feature, sample), logs_of(label, sample)
    assert one is not None
    assert other is not None
    return spikes_of(one, other, None if over is None else logs_of(over, sample))


def test_a_share_of_copied_rows_is_measured_and_shifted_ones_by_their_changes() -> None:
    """A tenth of the rows that are y is a tenth; 7 - 2 y shows in the pairs of neighbours, a hundredth."""
    rng = np.random.default_rng(1)
    label, other = rng.standard_normal((2, ROWS))
    copied = np.where(rng.uniform(size=ROWS) < 0.1, label, other)
    ratio, slope = _shares(3.0 * copied, label)
    assert (round(ratio, 2), round(slope, 2)) == (0.1, 0.01)
    ratio, slope = _shares(7.0 - 2.0 * copied, label)
    assert (ratio, round(slope, 2)) == (0.0, 0.01)
    in_blocks = np.where(np.arange(ROWS) % 1_000 < 100, label, other)
    assert _shares(7.0 - 2.0 * in_blocks, label)[1] == pytest.approx(0.1, abs=0.01)


def test_independent_numbers_have_no_spike() -> None:
    """Whatever their law: chance never fills a bin."""
    rng = np.random.default_rng(2)
    label = rng.standard_t(3, ROWS)
    for feature in (rng.standard_normal(ROWS), rng.uniform(size=ROWS), np.exp(rng.standard_normal(ROWS))):
        assert _shares(feature, label) == (0.0, 0.0)


def test_what_the_labels_already_over_explain_counts_for_nothing() -> None:
    """A copy of what is known is a copy of what is known."""
    label = np.random.default_rng(3).standard_normal(ROWS)
    assert _shares(label, label, over=label) == (0.0, 0.0)


def test_columns_of_few_values_or_rows_are_not_looked_at() -> None:
    """A ratio of steps has spikes by itself."""
    sample = sample_of([np.arange(ROWS)])
    assert logs_of(np.arange(ROWS) % 20.0, sample) is None
    assert logs_of(np.where(np.arange(ROWS) < 20, 1.0, np.nan), sample) is None


def test_the_sample_keeps_pairs_within_a_symbol() -> None:
    """No change is measured from one symbol's last row to the next one's first."""
    sample = sample_of([np.arange(0, 50), np.arange(100, 160)])
    for later, earlier in sample.pairs:
        assert len(later)
        assert ((later < 50) == (earlier < 50)).all()


@pytest.fixture
def calendar_panel(tmp_path: Path) -> Panel:
    """Half-hour bars with a sine of the time of day, a weekday, a month, and what is none of it."""
    rng = np.random.default_rng(4)
    stamps = pd.DatetimeIndex(
        [
            pd.Timestamp("2024-01-02 14:30", tz="UTC") + pd.Timedelta(days=day, minutes=30 * bar)
            for day in range(150)
            for bar in range(13)
        ]
    ).as_unit("ns")
    clock = stamps.hour * 60 + stamps.minute
    table = {
        "ts": stamps,
        "clock_sin": np.sin(clock / 780.0),
        "weekday": stamps.day_of_week.to_numpy(float),
        "month": stamps.month.to_numpy(float),
        "noisy_clock": np.sin(clock / 780.0) + 0.3 * rng.standard_normal(len(stamps)),
        "noise": rng.standard_normal(len(stamps)),
        "y_move_30m": rng.standard_normal(len(stamps)),
    }
    return panel_of({"AAA": pd.DataFrame(table)}, tmp_path)


def test_the_calendar_is_known_by_its_values_not_by_its_name(calendar_panel: Panel) -> None:
    """What is a function of the time of day, the weekday or the month; noise on it makes it a measurement."""
    until = len(calendar_panel.timestamps)
    probes = list(
        probe_targets(calendar_panel, calendar_panel.targets, calendar_panel.feature_names, until=until)
    )
    assert calendar_features(probes) == {"clock_sin", "weekday", "month"}


def _row(feature: str, verdict: str = SAFE, target: str = "y") -> LeakRow:
    return LeakRow(
        target=target,
        feature=feature,
        verdict=verdict,
        probe=None if verdict == SAFE else "copy",
        evidence="numbers",
        copy_correlation=0.1,
        increment=0.1,
        increment_bars=1,
        correlation=0.2,
        past_correlation=0.05,
        ratio_spike=0.0,
        noise_line=0.1,
        symbol=None,
    )


def _verdicts(
    importances: Mapping[str, float],
    skill: float | None = 0.7,
    config: LeakageConfig | None = None,
    exempt: tuple[str, ...] = (),
) -> dict[str, str]:
    rows = suspect_dominance(
        [_row(name) for name in ("a", "b", "c")],
        [Standing(target="y", skill=skill, importances=importances)],
        config or LeakageConfig(),
        exempt=exempt,
    )
    return {row.feature: row.verdict for row in rows if row.verdict != SAFE}


def test_one_feature_that_carries_an_unlikely_skill_alone_is_suspect() -> None:
    """With its share, how many times the second, and the skill; the others stay as they are."""
    importances = {"a": 8.0, "b": 1.0, "c": 1.0}
    assert _verdicts(importances) == {"a": SUSPECT}
    rows = suspect_dominance(
        [_row("a"), _row("a", target="other"), _row("b")],
        [Standing(target="y", skill=0.7, importances=importances)],
        LeakageConfig(),
    )
    assert [(row.verdict, row.probe) for row in rows] == [(SUSPECT, DOMINANCE), (SAFE, None), (SAFE, None)]
    assert rows[0].evidence == (
        "carries 80 % of the importance, 8.0 times the second (b), of a skill of 0.700 out of sample"
    )


@pytest.mark.parametrize(
    ("importances", "skill"),
    [
        ({"a": 8.0, "b": 1.0, "c": 1.0}, 0.1),  # an honest feature alone
        ({"a": 8.0, "b": 1.0, "c": 1.0}, None),
        ({"a": 5.0, "b": 4.0, "c": 1.0}, 0.7),  # the second has nearly as much
        ({"a": 4.0, **{f"n{number}": 0.6 for number in range(10)}}, 0.7),  # many share the rest
        ({"a": 0.0, "b": 0.0}, 0.7),
        ({}, 0.7),
    ],
)
def test_shared_or_modest_skill_suspects_nobody(
    importances: Mapping[str, float], skill: float | None
) -> None:
    """Neither dominance alone nor skill alone is suspicious."""
    assert _verdicts(importances, skill) == {}


def test_what_the_ranking_measured_becomes_shares() -> None:
    """Skill lost out of sample before gain, folds alike, AUC doubled."""
    folds = (
        fold_view((0.3, 0.2, 0.0), gain=(1.0, 1.0, 2.0)),
        fold_view((0.3, 0.2, 0.0), gain=(1.0, 1.0, 2.0), permutation=(0.3, -0.1, 0.0)),
    )
    measured = [
        Measured(target="y", cells=(cell(folds=folds), cell(symbol="AAA"))),
        Measured(target="y_up", cells=(cell(metric="auc", score=0.7, folds=()),)),
    ]
    one, two = standings_of(measured)
    assert (one.skill, one.importances) == (0.1, {"alpha": 1.25, "beta": 0.25, "gamma": 0.5})
    assert two.skill == pytest.approx(0.4)
    assert not any(two.importances.values())


def test_the_calendar_and_the_trusted_may_dominate() -> None:
    """Of them it is no news, nor of what lasts; and what is blocked stays blocked."""
    importances = {"a": 8.0, "b": 1.0}
    lasting = dataclasses.replace(_row("a"), correlation=0.5, past_correlation=0.45)
    standing = Standing(target="y", skill=0.5, importances=importances)
    assert suspect_dominance([lasting], [standing], LeakageConfig()) == [lasting]
    assert _verdicts(importances, exempt=("a",)) == {}
    assert _verdicts(importances, config=LeakageConfig(trusted=("a",))) == {}
    assert _verdicts(importances, config=LeakageConfig(dominance_score=0.8)) == {}
    (row,) = suspect_dominance(
        [_row("a", BLOCKED)], [Standing(target="y", skill=0.7, importances=importances)], LeakageConfig()
    )
    assert row.verdict == BLOCKED
