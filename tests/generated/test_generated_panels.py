"""The generator of panels of known truth: same bits, what was planted is there, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from generated.leaks import LEAK_KINDS
from generated.panels import Generated, generate, panel_of
from generated.targets import KINDS, make_targets, usual_kinds
from generated.truth import BLOCKED, oracle_ic
from generated.world import make_world

from panel.metrics import rank_ic

SMALL = {"symbols": 6, "bars": 900, "features": 60}


@pytest.fixture(scope="module")
def full() -> Generated:
    """A panel of the usual size."""
    return generate(5)


def _pooled_scores(made: Generated, name: str) -> npt.NDArray[np.float64]:
    """Ranks within each symbol, mean 0 and variance 1, missing values zero; all symbols in one row."""
    parts = []
    for symbol in made.truth.symbols:
        values = made.column(symbol, name).astype(np.float64)
        scores, known = np.zeros(len(values)), np.isfinite(values)
        ranks = values[known].argsort().argsort()
        scores[known] = (ranks - ranks.mean()) / ranks.std()
        parts.append(scores)
    return np.concatenate(parts)


@pytest.mark.parametrize("interval", ["daily", "5m"])
def test_the_same_arguments_give_the_same_bits(interval: str) -> None:
    """Two panels of one seed are equal in every byte and in their truth; another seed is another panel."""
    one, again = (generate(3, interval=interval, **SMALL) for _ in range(2))
    assert one.truth == again.truth
    assert all(one.values[symbol].tobytes() == again.values[symbol].tobytes() for symbol in one.values)
    assert generate(4, interval=interval, **SMALL).truth != one.truth


def test_a_panel_has_the_shape_that_was_asked_for(full: Generated) -> None:
    """Twelve symbols, 120 features, 14 targets, one leak of each kind, names that say nothing."""
    truth = full.truth
    assert (len(truth.symbols), len(truth.features), len(truth.targets)) == (12, 120, 14)
    assert sorted(leak.kind for leak in truth.leaks) == sorted(LEAK_KINDS)
    assert {target.kind for target in truth.targets} == set(usual_kinds(5))
    assert all(name[:2] in {"f_", "y_"} and name[2:].isdigit() for name in full.names)
    assert any(target.horizon_bars == 60 for target in truth.targets)


def test_every_kind_comes_up_in_two_neighbouring_seeds() -> None:
    """Degenerate and volatility targets take turns, all others are always there."""
    assert set(usual_kinds(0)) | set(usual_kinds(1)) == set(KINDS)
    assert len(usual_kinds(0)) == len(usual_kinds(1)) == 14


@pytest.mark.parametrize(
    "kind", ["strong_linear", "weak_linear", "nonlinear", "product", "sequence", "legal_lag"]
)
def test_the_planted_correlation_is_measured(kind: str) -> None:
    """Within timestamps the true conditional mean correlates with the label as was solved in closed form."""
    errors = []
    for seed in range(4):
        world = make_world(seed, symbols=12, bars=8_000, interval="daily")
        target = make_targets(world, (kind,))[0]
        rows = world.listed & np.isfinite(target.label)
        time = world.calendar[rows]
        counts = np.maximum(np.bincount(time), 1)
        centred = [
            values[rows] - (np.bincount(time, weights=values[rows]) / counts)[time]
            for values in (target.expected, target.label)
        ]
        errors.append(np.corrcoef(*centred)[0, 1] - target.planted_ic)
    assert abs(np.mean(errors)) < 0.008, errors
    assert np.max(np.abs(errors)) < 0.02, errors


def test_the_oracle_is_the_metric_of_the_product() -> None:
    """It is the mean of panel.metrics.rank_ic over timestamps before the final fifth, with ties and gaps."""
    world = make_world(3, symbols=5, bars=400, interval="daily")
    rng = world.rng("test")
    expected, label = rng.integers(0, 4, world.shape).astype(float), rng.standard_normal(world.shape)
    expected[:, ::7] = label[:, ::7]
    expected[rng.random(world.shape) < 0.1] = np.nan
    seen = world.listed & (world.calendar < 320)
    _, values = rank_ic(expected[seen], label[seen], world.calendar[seen], 3)
    assert oracle_ic(world, expected, label) == pytest.approx(values.mean(), abs=2e-3)


def test_files_hold_what_was_generated(tmp_path: Path) -> None:
    """The prepared panel has the rows, the features, the usable targets and the horizons of the truth."""
    made = generate(8, **SMALL)
    panel = panel_of(made, tmp_path)
    assert panel.symbols == made.truth.symbols
    assert panel.rows == sum(len(times) for times in made.times.values())
    assert panel.feature_names == made.truth.features
    assert {target.name: target.horizon_bars for target in panel.targets} == {
        target.name: target.horizon_bars for target in made.truth.targets if target.kind != "degenerate"
    } | {target.name: 1 for target in panel.targets if made.truth.target(target.name).kind == "degenerate"}


def test_the_data_is_as_dirty_as_real_data(full: Generated) -> None:
    """Late listings, gaps, missing and infinite values; times rise and never repeat."""
    rows = [len(times) for times in full.times.values()]
    assert min(rows) < 0.91 * max(rows)
    assert max(rows) < 8_000
    assert all((np.diff(times) > 0).all() for times in full.times.values())
    together = np.concatenate(list(full.values.values()), axis=1)
    assert np.isnan(together).any(axis=1).mean() > 0.3
    assert np.isinf(together).any()


def test_five_minute_bars_come_in_sessions() -> None:
    """78 bars a day, five minutes apart, and the night between."""
    made = generate(1, interval="5m", **SMALL)
    steps, counts = np.unique(np.diff(made.times["S00"]), return_counts=True)
    assert steps[counts.argmax()] == 300 * 10**9
    assert steps[-1] > 10 * 3_600 * 10**9


def test_every_leak_knows_its_target_and_nothing_safe_knows_noise(full: Generated) -> None:
    """Rank correlations with labels: leaks stand out, no safe feature tells anything of mere noise."""
    truth = full.truth
    known = {leak.feature: _pooled_scores(full, leak.feature) for leak in truth.leaks}
    labels = {name: _pooled_scores(full, name) for _, name in truth.leaked()}
    for feature, name in truth.leaked():
        assert abs(np.mean(known[feature] * labels[name])) > 0.04, (feature, name)
    noisy = _pooled_scores(full, truth.of_kind("short_noise")[0].name)
    safe = [name for name in truth.features if name not in known]
    found = [abs(np.mean(_pooled_scores(full, name) * noisy)) for name in safe]
    assert np.median(found) < 0.01
    assert max(found) < 0.08


def test_the_truth_names_who_deserves_what(full: Generated) -> None:
    """Own laws are strong where they are planted and absent elsewhere; what cannot be known is blocked."""
    alone = full.truth.of_kind("symbol_only")[0]
    assert len(alone.own_symbols) == len(alone.features_by_symbol) == 3
    assert set(alone.oracle_by_symbol) == set(alone.own_symbols)
    assert min(alone.oracle_by_symbol.values()) > 0.08
    for target in full.truth.targets:
        assert (target.route == BLOCKED) != target.predictable
        assert not target.predictable or target.oracle_ic > 0.04


def test_a_decayed_law_is_dead_at_the_end() -> None:
    """The true features lead before the death and say nothing in the last 30 % of the bars."""
    made = generate(4, kinds=("decayed",), features=6, leaks=())
    target = made.truth.targets[0]
    assert not target.predictable
    alive, dead = [], []
    for symbol in made.truth.symbols:
        bars = len(made.times[symbol])
        label = made.column(symbol, target.name)
        for name in target.features:
            both = np.stack([made.column(symbol, name), label])
            for place, found in ((slice(0, int(0.6 * bars)), alive), (slice(int(0.72 * bars), bars), dead)):
                known = np.isfinite(both[:, place]).all(axis=0)
                found.append(abs(np.corrcoef(both[:, place][:, known])[0, 1]))
    assert np.mean(alive) > 1.6 * np.mean(dead)


def test_too_few_features_are_refused() -> None:
    """The law and the leaks need room."""
    with pytest.raises(ValueError, match="10 features are too few"):
        generate(1, features=10, symbols=3, bars=300)
