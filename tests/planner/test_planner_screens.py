"""Screens: planted laws are found at the right feature and age, noise is not, and whose law it is shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy.signal import lfilter
from screen_samples import coming, grid_panel, remembering, sessions

import planner.screens
from panel.aligned import Panel
from panel.ranks import rank_rows
from planner.scores import CROSS, TIME, across, axis_of, channels_of, past_centred
from planner.screens import LAGS, WINDOWS, Screened, screen

Floats = npt.NDArray[np.float64]
SYMBOLS, TIMES, UNTIL = 6, 1_200, 1_000
FEATURES = ("a", "b", "c", "d", "e", "n0", "n1", "n2")
LAWS = ("rank", "folded", "lag", "window", "third", "up", "noise", "own", "without")


def _columns(seed: int = 1) -> dict[str, Floats]:
    """Eight features and a target for each kind of law: what is known at t, and noise, make the label."""
    rng = np.random.default_rng(seed)
    shape = (SYMBOLS, TIMES)
    x = {name: remembering(rng, shape, 0.0 if name in "abcd" else 0.8) for name in FEATURES}
    late = np.roll(x["c"], 5, axis=1)
    tenfold = lfilter(np.ones(10) / np.sqrt(10.0), [1.0], x["d"], axis=1)
    rank = -0.2 * x["a"] + rng.standard_normal(shape)
    alone = np.zeros((SYMBOLS, 1))
    alone[3] = 1.0
    return {
        **x,
        "y_rank_1d": rank,
        "y_folded_1d": 0.25 * np.abs(x["b"]) + rng.standard_normal(shape),
        "y_lag_1d": 0.2 * late + rng.standard_normal(shape),
        "y_window_1d": 0.2 * tenfold + rng.standard_normal(shape),
        "y_third_1d": np.digitize(rank, [-0.5, 0.5]).astype(np.float64),
        "y_up_1d": (rank > 0).astype(np.float64),
        "y_noise_1d": rng.standard_normal(shape),
        "y_own_1d": 0.5 * alone * x["e"] + rng.standard_normal(shape),
        "y_without_1d": 0.25 * (1.0 - alone) * x["e"] + rng.standard_normal(shape),
    }


def _screened(panel: Panel, until: int = UNTIL, targets: tuple[str, ...] = LAWS) -> Screened:
    wanted = [panel.column(f"y_{law}_1d") for law in targets]
    return screen(axis_of(panel, until), FEATURES, channels_of(panel, wanted))


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """Six symbols of 1,200 daily bars."""
    return grid_panel(_columns(), tmp_path_factory.mktemp("screens"))


@pytest.fixture(scope="module")
def found(panel: Panel) -> Screened:
    """Screened before the last sixth."""
    return _screened(panel)


def _place(found: Screened, law: str) -> int:
    return next(place for place, one in enumerate(found.channels) if one.target == f"y_{law}_1d")


def _leader(z: Floats) -> tuple[int, ...]:
    return tuple(int(place) for place in np.unravel_index(int(np.abs(z).argmax()), z.shape))


def test_a_monotone_law_is_found_by_rank(found: Screened) -> None:
    """At its feature, with its sign, about as clear as its correlation times the root of the rows."""
    z = found.pooled.rank[:, _place(found, "rank")]
    assert FEATURES[_leader(z)[0]] == "a"
    assert z[0] == pytest.approx(-0.17 * np.sqrt(SYMBOLS * UNTIL), rel=0.25)
    assert np.abs(z[1:]).max() < 4.0
    assert found.pooled.correlation[0, _place(found, "rank")] == pytest.approx(-0.17, abs=0.04)


def test_a_law_of_size_is_found_folded(found: Screened) -> None:
    """And not by rank, for its sign says nothing."""
    place = _place(found, "folded")
    assert FEATURES[_leader(found.pooled.fold[:, place])[0]] == "b"
    assert found.pooled.fold[1, place] > 7.0
    assert abs(found.pooled.rank[1, place]) < 4.0
    assert [FEATURES[_leader(z)[0]] for z in found.alone.fold[:, :, place]].count("b") >= 4


def test_a_law_of_an_old_value_is_found_at_its_lag(found: Screened) -> None:
    """Five bars old: the sum at a lag of five is the largest of all features, lags and windows."""
    z = found.pooled.lag[:, _place(found, "lag")]
    feature, step = _leader(z)
    assert (FEATURES[feature], LAGS[step]) == ("c", 5)
    assert z[feature, step] > 7.0
    assert abs(found.pooled.rank[2, _place(found, "lag")]) < 4.0


def test_a_law_of_a_trailing_sum_is_found_at_its_window(found: Screened) -> None:
    """Ten bars: clearer than any single lag and than windows of other lengths."""
    z = found.pooled.lag[:, _place(found, "window")]
    feature, step = _leader(z)
    assert (FEATURES[feature], WINDOWS[step - len(LAGS)]) == ("d", 10)
    assert z[feature, step] > 7.0


def test_a_plain_law_is_in_every_window_thinned_by_its_length(found: Screened) -> None:
    """A window sums this bar too: of a feature without memory it has the z of the bar over its root."""
    place = _place(found, "rank")
    plain = found.pooled.rank[0, place]
    for step, window in enumerate(WINDOWS, start=len(LAGS)):
        assert found.pooled.lag[0, place, step] == pytest.approx(plain / np.sqrt(window), abs=2.0)


def test_the_scores_are_kept_for_the_models(panel: Panel, found: Screened) -> None:
    """Both kinds, at half precision: plain ranks of each moment, and ranks over time from their own past."""
    axis = axis_of(panel, UNTIL)
    raw = axis.grid(FEATURES)
    np.testing.assert_allclose(found.scores[CROSS], across(raw), atol=2e-3)
    ranked = np.stack([rank_rows(own) for own in raw])
    np.testing.assert_allclose(found.scores[TIME], past_centred(axis, ranked, np.isfinite(raw)), atol=2e-3)


def test_laws_of_classes_are_found(found: Screened) -> None:
    """Two classes are one series; of three classes the outer ones go with the feature in opposite ways."""
    up = found.pooled.rank[:, _place(found, "up")]
    assert FEATURES[_leader(up)[0]] == "a"
    assert up[0] < -7.0
    first = _place(found, "third")
    low, middle, high = found.pooled.rank[0, first : first + 3]
    assert low > 5.0
    assert high < -5.0
    assert abs(middle) < 4.0


def test_noise_is_not_found(found: Screened) -> None:
    """Nothing of a target without a law reaches what the best of its screens would need."""
    place = _place(found, "noise")
    for z in (found.pooled.rank, found.pooled.fold, found.pooled.lag):
        assert np.abs(z[:, place]).max() < 4.5


def test_a_law_of_one_symbol_is_its_own(found: Screened) -> None:
    """That symbol's correlation differs from that of the rest, no other's does."""
    place, feature = _place(found, "own"), FEATURES.index("e")
    z = found.own.z[:, feature, place]
    assert int(np.abs(z).argmax()) == 3
    assert z[3] > 5.0
    assert np.abs(np.delete(z, 3)).max() < 4.0
    assert found.own.gap[3, feature, place] == pytest.approx(0.31, abs=0.08)
    assert abs(found.own.rest[3, feature, place]) < 0.1
    assert found.own.own_z[3, feature, place] > 6.0
    assert found.alone.rank[3, feature, place] > 6.0


def test_the_lack_of_the_common_law_shows_as_a_gap_without_a_law(found: Screened) -> None:
    """The symbol that does not follow lies below the rest and has no correlation of its own."""
    place, feature = _place(found, "without"), FEATURES.index("e")
    assert found.own.z[3, feature, place] < -4.0
    assert found.own.rest[3, feature, place] > 0.15
    assert abs(found.own.own_z[3, feature, place]) < 4.0


def test_the_gap_is_what_both_correlations_say(found: Screened) -> None:
    """Correlation within the symbol less that of the others, and both add up to the pooled one."""
    place = _place(found, "rank")
    rows = found.present[:, place].astype(np.float64)
    within = found.own.gap[:, :, place] + found.own.rest[:, :, place]
    pooled = (within * rows[:, None]).sum(axis=0) / rows.sum()
    np.testing.assert_allclose(pooled, found.pooled.correlation[:, place], atol=1e-5)
    for symbol in range(SYMBOLS):
        others = (pooled * rows.sum() - within[symbol] * rows[symbol]) / (rows.sum() - rows[symbol])
        np.testing.assert_allclose(found.own.rest[symbol, :, place], others, atol=1e-5)


def _momentum(seed: int, times: int = 1_500, bars: int = 5) -> dict[str, Floats]:
    """A label that is known one horizon later, and that same number as a feature with a true law."""
    rng = np.random.default_rng(seed)
    shocks = np.zeros((SYMBOLS, times))
    noise = rng.standard_normal(shocks.shape)
    for time in range(times):
        past = shocks[:, max(0, time - bars) : time].sum(axis=1)
        shocks[:, time] = -0.07 * past + noise[:, time]
    known = lfilter(np.ones(bars), [1.0], shocks, axis=1)
    return {
        "known": known,
        "other": remembering(rng, shocks.shape, 0.8),
        f"y_next_{bars}d": coming(shocks, bars),
    }


def test_the_legal_lag_of_a_label_keeps_its_power(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a label says of the next one is no luck of near shifts, where a feature meets its own past label.

    Counted into the null, those shifts would take away half of the evidence.
    """
    panel = grid_panel(_momentum(2), tmp_path)
    axis, channels = axis_of(panel, 1_400), channels_of(panel, panel.targets)
    z = screen(axis, ("known", "other"), channels).pooled.rank[:, 0]
    assert z[0] < -6.0
    assert abs(z[1]) < 3.0
    monkeypatch.setattr(
        planner.screens, "gaps_of", lambda horizons, _length: np.zeros(len(horizons), dtype=int)
    )
    blind = screen(axis, ("known", "other"), channels).pooled.rank[:, 0]
    assert abs(blind[0]) < abs(z[0]) / 1.8


def test_a_market_that_moves_all_symbols_does_not_multiply_the_evidence(tmp_path: Path) -> None:
    """Ten symbols that are one and the same are worth one symbol: the pooled z does not grow with copies."""
    rng = np.random.default_rng(3)
    feature = rng.standard_normal((1, 600))
    label = (0.4 * feature + rng.standard_normal((1, 600)) > 0).astype(np.float64)
    panel = grid_panel({"x": np.tile(feature, (10, 1)), "y_up_1d": np.tile(label, (10, 1))}, tmp_path)
    made = screen(axis_of(panel, 500), ("x",), channels_of(panel, panel.targets))
    assert made.pooled.rank[0, 0] == pytest.approx(made.alone.rank[0, 0, 0], rel=0.02)
    assert made.pooled.rank[0, 0] > 4.0


def test_the_pattern_of_the_day_is_not_skill(tmp_path: Path) -> None:
    """A feature and a label that both follow the clock have nothing in common beyond it."""
    rng = np.random.default_rng(5)
    days, slots = 60, 13
    clock = np.tile(np.cos(np.arange(slots) / slots * 2 * np.pi), days)
    noise = rng.standard_normal((2, 4, days * slots))
    columns = {"clock": clock + 0.5 * noise[0], "y_up_30m": (clock + noise[1] > 0.0).astype(np.float64)}
    panel = grid_panel(columns, tmp_path, stamps=sessions(days, slots))
    axis, channels = axis_of(panel, 50 * slots), channels_of(panel, panel.targets)
    assert abs(screen(axis, ("clock",), channels).pooled.rank[0, 0]) < 3.5
    blind = screen(replace(axis, slots=None), ("clock",), channels)
    assert blind.pooled.correlation[0, 0] > 0.2


def _same(one: Screened, two: Screened, *, features: list[int], symbols: list[int]) -> None:
    """Equal numbers when features and symbols of the second are taken in this order."""
    for name in ("rank", "fold", "lag", "correlation", "inflation"):
        np.testing.assert_allclose(
            getattr(one.pooled, name), getattr(two.pooled, name)[features], rtol=1e-3, atol=1e-3
        )
        np.testing.assert_allclose(
            getattr(one.alone, name), getattr(two.alone, name)[symbols][:, features], rtol=1e-3, atol=1e-3
        )
    for name in ("z", "gap", "rest", "own_z"):
        np.testing.assert_allclose(
            getattr(one.own, name), getattr(two.own, name)[symbols][:, features], rtol=1e-3, atol=2e-3
        )


def test_the_order_of_features_changes_nothing(panel: Panel, found: Screened) -> None:
    """Nor does how many are looked at at once."""
    axis, channels = axis_of(panel, UNTIL), found.channels
    back = screen(axis, FEATURES[::-1], channels)
    _same(found, back, features=list(range(len(FEATURES)))[::-1], symbols=list(range(SYMBOLS)))


def test_how_many_features_are_looked_at_at_once_changes_nothing(
    panel: Panel, found: Screened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three at a time are as good as all."""
    room = 3 * SYMBOLS * len(found.channels) * 1_000
    monkeypatch.setattr(planner.screens, "_CURVE_VALUES", room)
    parts = _screened(panel)
    _same(found, parts, features=list(range(len(FEATURES))), symbols=list(range(SYMBOLS)))
    for kind, scores in found.scores.items():
        np.testing.assert_array_equal(parts.scores[kind], scores)


def test_the_order_of_symbols_changes_nothing(found: Screened, tmp_path: Path) -> None:
    """Under other names the symbols lie in another order; each keeps its numbers."""
    order = [4, 1, 5, 0, 3, 2]
    columns = {name: values[order] for name, values in _columns().items()}
    other = _screened(grid_panel(columns, tmp_path))
    back = [order.index(symbol) for symbol in range(SYMBOLS)]
    _same(found, other, features=list(range(len(FEATURES))), symbols=back)


def test_nothing_from_the_end_on_is_looked_at(found: Screened, tmp_path: Path) -> None:
    """Other values after it, and the same numbers to the last bit."""
    columns = _columns()
    rng = np.random.default_rng(9)
    for name, values in columns.items():
        wild = 50.0 * rng.standard_normal((SYMBOLS, TIMES - UNTIL))
        values[:, UNTIL:] = wild if not name.startswith(("y_up", "y_third")) else wild > 0
    other = _screened(grid_panel(columns, tmp_path), targets=LAWS[:4])
    mine = _screened_first(found, 4)
    np.testing.assert_array_equal(other.pooled.rank, mine.pooled.rank)
    np.testing.assert_array_equal(other.pooled.lag, mine.pooled.lag)
    np.testing.assert_array_equal(other.alone.fold, mine.alone.fold)
    np.testing.assert_array_equal(other.own.z, mine.own.z)


def _screened_first(found: Screened, count: int) -> Screened:
    """The first channels alone."""
    cut = slice(count)
    pooled = replace(
        found.pooled,
        rank=found.pooled.rank[:, cut],
        lag=found.pooled.lag[:, cut],
        fold=found.pooled.fold[:, cut],
    )
    alone = replace(found.alone, fold=found.alone.fold[:, :, cut])
    return replace(found, pooled=pooled, alone=alone, own=replace(found.own, z=found.own.z[:, :, cut]))


def test_too_many_symbols_are_screened_together_alone(panel: Panel, found: Screened) -> None:
    """The pooled numbers are the same; no symbol has a screen of its own."""
    axis = axis_of(panel, UNTIL)
    made = screen(axis, FEATURES, found.channels, by_symbol=False)
    for name in ("rank", "fold", "lag", "correlation", "inflation"):
        np.testing.assert_array_equal(getattr(made.pooled, name), getattr(found.pooled, name))
    assert len(made.alone.rank) == len(made.own.z) == 0


def test_a_symbol_without_any_label_disturbs_nobody(tmp_path: Path) -> None:
    """It has no rows, no evidence, and the others keep theirs."""
    columns = _columns()
    for law in LAWS:
        columns[f"y_{law}_1d"][5] = np.nan
    made = _screened(grid_panel(columns, tmp_path))
    assert not made.present[5].any()
    assert not made.alone.rank[5].any()
    assert not made.own.own_z[5].any()
    assert np.isfinite(made.own.z).all()
    assert made.pooled.rank[0, 0] < -9.0


def test_a_constant_feature_says_nothing(tmp_path: Path) -> None:
    """No variation, no evidence, no number that is none."""
    columns = {**_columns(), "n2": np.zeros((SYMBOLS, TIMES))}
    made = _screened(grid_panel(columns, tmp_path), targets=("rank", "up"))
    for sums in (made.pooled, made.alone):
        for name in ("rank", "fold", "lag"):
            values = getattr(sums, name)
            assert np.isfinite(values).all()
    assert not made.pooled.rank[7].any()
    assert not made.alone.lag[:, 7].any()
