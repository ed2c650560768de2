"""Each probe finds its leak and leaves its legal neighbour alone; without the probe the leak passes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from planner_samples import ahead, panel_of

from panel.aligned import Panel
from panel.folds import holdout_from
from planner.config import LeakageConfig
from planner.leakage import judge_leaks, noise_line, spread_blame, unusable_features
from planner.probes import Probes, probe_targets, probes_from, stored_probes
from planner.tables import BLOCKED, SAFE, SUSPECT, LeakRow

Floats = npt.NDArray[np.float64]
ROWS = 2_600
HORIZONS = {"y_ret_1d": 1, "y_ret_6d": 6, "y_ret_20d": 20, "y_ret_60d": 60, "y_up_6d": 6}


def _past(shocks: Floats, bars: int) -> Floats:
    """The sum of the last `bars` shocks, this row's included."""
    return pd.Series(shocks).rolling(bars).sum().to_numpy()


def _moved(values: Floats, bars: int) -> Floats:
    return pd.Series(values).shift(bars).to_numpy()


def _mixed(label: Floats, weight: float, noise: Floats) -> Floats:
    scaled = (label - np.nanmean(label)) / np.nanstd(label)
    return np.asarray(weight * scaled + np.sqrt(1 - weight**2) * noise)


def _some(label: Floats, share: float, rng: np.random.Generator) -> Floats:
    """The label in a share of the rows, its own values in any order in the others."""
    shuffled = rng.permutation(np.nan_to_num(label))
    return np.where(rng.uniform(size=len(label)) < share, label, shuffled)


def _frame(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    e = rng.standard_t(5, ROWS)
    y = {name: ahead(e, bars) for name, bars in HORIZONS.items()}
    y6, y20, y60 = y["y_ret_6d"], y["y_ret_20d"], y["y_ret_60d"]

    def noise(size: float = 1.0) -> Floats:
        return np.asarray(size * rng.standard_normal(ROWS))

    features = {
        "copy": y6,
        "scaled": 2.0 - 3.7 * y6,
        "monotone": np.exp(y6 / 5.0),
        "near": y6 + noise(0.001),
        "one_bar": ahead(e, 1) + noise(2.1),
        "half": ahead(e, 10) + noise(0.5),
        "centred": _past(e, 5) + ahead(e, 5),
        "fifth_bar": _moved(e, -5) + noise(0.9),
        "overlap": _moved(y60, 54),
        "partial": _some(y20, 0.05, rng),
        "partial_affine": 5.0 - 2.0 * _some(y20, 0.15, rng),
        "stealth": _mixed(y6, 0.28, noise()),
        "lucky": _mixed(y6, 0.165, noise()),
        "fair_lag_6": _moved(y6, 6),
        "fair_lag_60": _moved(y60, 60),
        "fair_last_bar": e + noise(2.1),
        "fair_half": _past(e, 10) + noise(0.5),
        "fair_trailing": _past(e, 11),
        "fair_long_sum": _past(e, 70),
        "fair_partial": _some(np.nan_to_num(_moved(y20, 20)), 0.05, rng),
        "fair_partial_affine": 5.0 - 2.0 * _some(np.nan_to_num(_moved(y20, 20)), 0.15, rng),
        "fair_signal": _mixed(y6, 0.08, noise()),
        "fair_slow": pd.Series(noise()).ewm(alpha=0.01).mean().to_numpy(),
        "fair_weekday": (np.arange(ROWS) % 7).astype(float),
    }
    y["y_up_6d"] = np.where(np.isfinite(y6), (y6 > 0).astype(float), np.nan)
    stamps = pd.date_range("2001-01-01", periods=ROWS, freq="D", tz="UTC").as_unit("ns")
    return pd.DataFrame({"ts": stamps, **features, **y})


def _data(symbols: int = 4) -> dict[str, pd.DataFrame]:
    return {f"S{seed}": _frame(seed) for seed in range(1, symbols + 1)}


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """Four symbols, labels of white shocks over 1 to 60 bars, leaks of each kind and legal neighbours."""
    return panel_of(_data(), tmp_path_factory.mktemp("leakage"), horizons=HORIZONS)


@pytest.fixture(scope="module")
def probed(panel: Panel) -> Mapping[str, Probes]:
    """Everything measured, by target."""
    return {probes.target: probes for probes in _probed(panel)}


def _probed(panel: Panel, **changes: Any) -> list[Probes]:
    values = {"columns": panel.targets, "features": panel.feature_names, **changes}
    return list(probe_targets(panel, until=holdout_from(panel, 0.2), **values))


def _row(probes: Probes, feature: str, **lines: Any) -> LeakRow:
    (row,) = judge_leaks(probes, [feature], dataclasses.replace(LeakageConfig(), **lines))
    return row


LEAKS = [
    ("y_ret_6d", "copy", "copy", ("fair_lag_6", "fair_signal")),
    ("y_ret_6d", "scaled", "copy", ("fair_lag_6",)),
    ("y_ret_6d", "monotone", "copy", ("fair_lag_6",)),
    ("y_ret_6d", "near", "copy", ("fair_lag_6",)),
    ("y_ret_20d", "one_bar", "next_bar", ("fair_last_bar",)),
    ("y_ret_20d", "half", "part_window", ("fair_half",)),
    ("y_ret_1d", "centred", "centred_window", ("fair_trailing",)),
    ("y_ret_60d", "centred", "centred_window", ("fair_trailing",)),
    ("y_ret_20d", "fifth_bar", "future_increment", ("fair_last_bar",)),
    ("y_up_6d", "one_bar", "future_increment", ("fair_last_bar",)),
    ("y_ret_60d", "overlap", "overlap", ("fair_lag_60", "fair_long_sum")),
    ("y_ret_20d", "partial", "ratio_spike", ("fair_partial",)),
    ("y_ret_20d", "partial_affine", "slope_spike", ("fair_partial_affine",)),
    ("y_ret_6d", "stealth", "correlation", ("fair_signal",)),
]


@pytest.mark.parametrize(("target", "leak", "probe", "neighbours"), LEAKS)
def test_a_leak_is_blocked_by_its_probe_and_its_legal_neighbour_is_safe(
    probed: Mapping[str, Probes], target: str, leak: str, probe: str, neighbours: tuple[str, ...]
) -> None:
    """With the number in words; the same made of what is over at the time is nothing."""
    row = _row(probed[target], leak)
    assert (row.verdict, row.probe) == (BLOCKED, probe)
    assert any(digit.isdigit() for digit in row.evidence)
    for neighbour in neighbours:
        assert _row(probed[target], neighbour).verdict == SAFE


def test_no_legal_feature_is_suspected_for_any_target(probed: Mapping[str, Probes]) -> None:
    """Lags, sums of the past, slow noise, the weekday, an honest signal: five targets, none accused."""
    for probes in probed.values():
        for row in judge_leaks(probes, probes.features, LeakageConfig()):
            assert row.verdict == SAFE or not row.feature.startswith("fair_"), row


OFF = 2.0


@pytest.mark.parametrize(
    ("target", "leak", "line"),
    [
        ("y_ret_1d", "centred", "blocked_part"),
        ("y_ret_20d", "fifth_bar", "blocked_part"),
        ("y_up_6d", "one_bar", "blocked_increment"),
        ("y_ret_60d", "overlap", "overlap_correlation"),
        ("y_ret_20d", "partial", "blocked_ratio_spike"),
        ("y_ret_20d", "partial_affine", "blocked_slope_spike"),
        ("y_ret_6d", "stealth", "blocked_correlation"),
        ("y_ret_6d", "stealth", "blocked_excess"),
    ],
)
def test_without_its_probe_the_leak_passes(
    probed: Mapping[str, Probes], target: str, leak: str, line: str
) -> None:
    """No probe is there for show: switched off, nothing else blocks what it found."""
    assert _row(probed[target], leak).verdict == BLOCKED
    assert _row(probed[target], leak, **{line: OFF}).verdict != BLOCKED


def test_a_copy_is_named_by_its_own_probe_and_held_by_others(probed: Mapping[str, Probes]) -> None:
    """Whoever loosens one line has not opened the door."""
    row = _row(probed["y_ret_6d"], "monotone", copy_correlation=OFF)
    assert (row.verdict, row.probe) == (BLOCKED, "part_window")


def test_a_short_history_accuses_no_slow_feature(tmp_path: Path) -> None:
    """Where chance alone reaches any correlation, none is held against anybody."""
    table = _frame(9).iloc[:400][["ts", "fair_slow", "fair_long_sum", "fair_signal", "y_ret_60d"]]
    (probes,) = _probed(panel_of({"S1": table}, tmp_path, horizons=HORIZONS))
    rows = judge_leaks(probes, probes.features, LeakageConfig())
    assert {row.verdict for row in rows} == {SAFE}
    assert all(row.noise_line is not None for row in rows)
    slow = next(row for row in rows if row.feature == "fair_slow")
    assert slow.noise_line is not None
    assert slow.noise_line > 0.8


def test_too_good_a_score_is_suspect_and_stays_usable(probed: Mapping[str, Probes]) -> None:
    """Under the line that blocks, above what anybody finds: out of sample, in numbers, for one target."""
    probes = probed["y_ret_6d"]
    lines = {"blocked_correlation": 0.3}
    row = _row(probes, "lucky", **lines)
    assert (row.verdict, row.probe) == (SUSPECT, "too_good")
    assert row.out_of_sample is not None
    assert f"{row.out_of_sample:.3f} with the coming window out of sample" in row.evidence
    assert unusable_features(spread_blame([row])) == {}
    assert _row(probes, "lucky", suspect_score=OFF, **lines).verdict == SAFE
    assert _row(probes, "fair_signal", **lines).verdict == SAFE


def test_the_evidence_names_the_bars(probed: Mapping[str, Probes]) -> None:
    """How far ahead a feature knows, by how much a label was moved."""
    assert "what the bar 5 ahead alone will bring" in _row(probed["y_ret_20d"], "fifth_bar").evidence
    assert "the next 10 bars" in _row(probed["y_ret_20d"], "half").evidence
    overlap = _row(probed["y_ret_60d"], "overlap")
    assert overlap.evidence.startswith("the target itself moved by 54 of its 60 bars: rank correlation 1.00")
    assert (overlap.overlap_bars, overlap.symbol) == (54, None)


def test_a_proof_counts_for_every_target_and_a_mere_strength_for_those_it_reaches() -> None:
    """A moved label cannot be had in time at all; a correlation that cannot be says so of its own target."""

    def row(target: str, verdict: str, probe: str | None, match: float) -> LeakRow:
        base = _ROW
        return dataclasses.replace(base, target=target, verdict=verdict, probe=probe, correlation=match)

    proven = spread_blame([row("a", BLOCKED, "overlap", 0.1), row("b", SAFE, None, 0.0)])
    assert [one.probe for one in proven] == ["overlap", "elsewhere"]
    strong = [row("a", BLOCKED, "correlation", 0.3), row("b", SAFE, None, 0.2), row("c", SAFE, None, 0.1)]
    assert [one.verdict for one in spread_blame(strong)] == [BLOCKED, SUSPECT, SAFE]
    assert set(unusable_features(spread_blame(strong))) == {"a", "b"}
    both = [*strong, row("d", BLOCKED, "copy", 1.0)]
    assert {one.verdict for one in spread_blame(both)} == {BLOCKED, SUSPECT}


_ROW = LeakRow(
    target="a",
    feature="x",
    verdict=SAFE,
    probe=None,
    evidence="numbers",
    copy_correlation=0.0,
    increment=0.0,
    increment_bars=None,
    correlation=0.0,
    past_correlation=0.0,
    ratio_spike=0.0,
    noise_line=0.1,
    symbol=None,
)


def test_a_leak_of_one_quarter_of_the_time_is_found_and_dated(tmp_path: Path) -> None:
    """A vendor's file that was wrong for some years is wrong; the other years make it no better."""
    data = {}
    for name, table in _data(3).items():
        early = np.arange(ROWS) < ROWS // 5
        table["sometimes"] = np.where(early, table["one_bar"], table["fair_last_bar"])
        data[name] = table[["ts", "sometimes", "fair_last_bar", "y_ret_20d"]]
    (probes,) = _probed(panel_of(data, tmp_path, horizons=HORIZONS))
    row = _row(probes, "sometimes", blocked_part=0.25)
    assert (row.verdict, row.symbol) == (BLOCKED, None)
    assert row.evidence.startswith("from 2001-01-01 to 2002-06-")
    assert _row(probes, "fair_last_bar", blocked_part=0.25).verdict == SAFE


def test_order_of_features_targets_and_symbols_changes_nothing(
    panel: Panel, probed: Mapping[str, Probes], tmp_path: Path
) -> None:
    """Shuffled columns and symbols that changed names are judged the same, number for number."""
    rng = np.random.default_rng(5)
    features = tuple(rng.permutation(panel.feature_names).tolist())
    shuffled = _probed(panel, features=features, columns=panel.targets[::-1])
    assert [probes.target for probes in shuffled] == [column.name for column in panel.targets[::-1]]
    renamed = dict(zip(("Z9", "B", "K", "A0"), _data().values(), strict=True))
    moved = {probes.target: probes for probes in _probed(panel_of(renamed, tmp_path, horizons=HORIZONS))}
    for probes in shuffled:
        for feature in panel.feature_names:
            before = _numbers(_row(probed[probes.target], feature))
            assert _numbers(_row(probes, feature)) == pytest.approx(before, abs=2e-6)
            assert _numbers(_row(moved[probes.target], feature)) == pytest.approx(before, abs=0.02)


def _numbers(row: LeakRow) -> dict[str, Any]:
    values = dataclasses.asdict(row)
    del values["evidence"], values["symbol"]
    return {name: value if isinstance(value, float) else str(value) for name, value in values.items()}


def test_probes_survive_the_cache(probed: Mapping[str, Probes]) -> None:
    """There and back again, places and all."""
    for probes in probed.values():
        again = probes_from(stored_probes(probes))
        assert dataclasses.replace(again, measures={}) == dataclasses.replace(probes, measures={})
        assert all(np.array_equal(again.measures[name], probes.measures[name]) for name in probes.measures)


def test_what_could_not_be_measured_is_not_called_safe(tmp_path: Path) -> None:
    """A feature without a row beside a label is suspect, and has no numbers."""
    table = _frame(3).iloc[:400][["ts", "fair_slow", "y_ret_6d"]]
    table["late"] = np.where(np.arange(400) < 300, np.nan, 1.0 * np.arange(400))
    (probes,) = _probed(panel_of({"S1": table}, tmp_path, horizons=HORIZONS))
    late, fair = judge_leaks(probes, ["late", "fair_slow"], LeakageConfig())
    assert (late.verdict, late.probe, late.correlation) == (SUSPECT, "unmeasured", None)
    assert fair.verdict == SAFE


def test_the_noise_line_rises_with_fewer_rows_and_more_comparisons() -> None:
    """By Fisher's z at the Bonferroni share; too few rows tell nothing at all."""
    lines = noise_line(np.array([2.0, 30.0, 1_000.0, 100_000.0]), 1_000, 0.01)
    assert lines.tolist() == sorted(lines.tolist(), reverse=True)
    assert lines[0] == 1.0
    assert lines[2] == pytest.approx(0.1384, abs=1e-3)  # tanh(4.417 / sqrt(997))
    assert noise_line(np.array([1_000.0]), 100_000, 0.01)[0] > lines[2]


@pytest.mark.parametrize("horizon", [1, 20])
def test_noise_is_accused_as_seldom_as_promised(tmp_path: Path, horizon: int) -> None:
    """Slow features, a short history, sixty targets of pure noise: at most one accuses anybody."""
    rng = np.random.default_rng(horizon)
    make: Callable[[], Floats] = lambda: rng.standard_normal(400)  # noqa: E731
    columns = {f"n{number}": pd.Series(make()).ewm(alpha=0.03).mean().to_numpy() for number in range(30)}
    targets = {f"y_{number:02d}": ahead(make(), horizon) for number in range(60)}
    stamps = pd.date_range("2020-01-01", periods=400, freq="D", tz="UTC").as_unit("ns")
    table = pd.DataFrame({"ts": stamps, **columns, **targets})
    panel = panel_of({"S1": table}, tmp_path, horizons=dict.fromkeys(targets, horizon))
    accused = [
        probes.target
        for probes in _probed(panel)
        for row in judge_leaks(probes, probes.features, LeakageConfig(blocked_excess=0.0))
        if row.verdict != SAFE
    ]
    assert len(set(accused)) <= 1


def test_targets_probed_in_parts_are_judged_the_same(
    panel: Panel, probed: Mapping[str, Probes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many targets are matched at once: the same numbers, in the same order."""
    monkeypatch.setattr("planner.probes._MOST_CELLS", 1)
    found = _probed(panel)
    assert [probes.target for probes in found] == [column.name for column in panel.targets]
    for probes in found:
        for name, values in probes.measures.items():
            assert values == pytest.approx(probed[probes.target].measures[name], abs=2e-6)


def test_the_reversal_of_a_quoted_price_is_no_knowledge_of_the_next_bar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prices jump between bid and ask: the next change takes the last one back, and everybody saw that."""
    data = {}
    for seed in (1, 2, 3):
        rng = np.random.default_rng(seed)
        e = 0.3 * rng.standard_normal(ROWS) + np.diff(rng.choice([-1.0, 1.0], ROWS + 1))
        table = _frame(seed)[["ts"]]
        data[f"S{seed}"] = table.assign(
            ret_1=e, seen=e + 0.2 * rng.standard_normal(ROWS), y_ret_1d=ahead(e, 1)
        )
    panel = panel_of(data, tmp_path, horizons=HORIZONS)
    (probes,) = _probed(panel)
    assert {_row(probes, name).verdict for name in ("ret_1", "seen")} == {SAFE}
    monkeypatch.setattr("planner.matches._REVERSAL", np.inf)
    (probes,) = _probed(panel)
    assert {_row(probes, name).verdict for name in ("ret_1", "seen")} == {BLOCKED}


def test_where_the_price_is_known_its_coming_bars_are_held_against_labels_that_are_no_sums(
    tmp_path: Path,
) -> None:
    """The largest of five moves gives no bars away; the close beside it does, although it is no feature."""
    data, bare = {}, {}
    for seed in (1, 2, 3):
        rng = np.random.default_rng(seed)
        moves = 0.01 * rng.standard_normal(ROWS)
        table = _frame(seed)[["ts"]].assign(
            tomorrow=ahead(moves, 1) + 0.01 * rng.standard_normal(ROWS),
            today=moves + 0.01 * rng.standard_normal(ROWS),
            close=np.exp(np.cumsum(moves)),
            y_range_6d=np.max([_moved(np.abs(moves), -bars) for bars in range(1, 7)], axis=0),
        )
        data[f"S{seed}"], bare[f"S{seed}"] = table, table.drop(columns="close")
    (priced,) = _probed(panel_of(data, tmp_path / "priced"))
    row = _row(priced, "tomorrow")
    assert (row.verdict, row.probe) == (BLOCKED, "next_bar")
    assert "the next bar alone will bring to the price" in row.evidence
    assert _row(priced, "today").verdict == SAFE
    (unpriced,) = _probed(panel_of(bare, tmp_path / "bare"))
    assert _row(unpriced, "tomorrow").part == 0.0
